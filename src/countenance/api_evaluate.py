"""The part of the Python API that measures; see :mod:`countenance.api`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countenance.api_consent import AnyPath
    from countenance.evaluation.evaluate import Evaluation
    from countenance.evaluation.judge import Judge
    from countenance.progress import Progress

__all__ = ["evaluate"]


def evaluate(
    swapped: AnyPath,
    footage: AnyPath,
    *,
    truth: AnyPath | None = None,
    mask: AnyPath | None = None,
    lender: AnyPath | None = None,
    performer: AnyPath | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure how good a swap is, against the truth where there is one and against the footage in any case.

    Args:
        swapped: the render.
        footage: what it was made from; same size and number of frames.
        truth: the same shot with the lender's true face, where it is known; with ``mask``, white where the face is.
        mask: see ``truth``.
        lender: a clip or photo of the lender for the judge; the truth when None.
        performer: a clip or photo of the performer for the judge; the footage when None.
        judge: of identity, :class:`countenance.evaluation.judge.DlibJudge` where dlib is installed. Without it, or
            without any picture of the lender, identity is left out.
        progress: called per frame.

    Raises:
        MediaError: a clip cannot be read, clips do not belong together, or a truth came without its mask.
        NoFaceError: the judge finds no face of the lender or the performer.
        WeightsError: a network cannot be fetched.
    """
    from countenance.evaluation.evaluate import evaluate as run
    from countenance.evaluation.judge import Referee
    from countenance.perception.perceive import Perception

    perception, about_lender = Perception(), truth if lender is None else lender
    referee = None
    if judge is not None and about_lender is not None:
        about_performer = footage if performer is None else performer
        referee = Referee.of(judge, Path(about_lender), Path(about_performer), perception)
    return run(
        Path(swapped),
        Path(footage),
        truth=None if truth is None else Path(truth),
        mask=None if mask is None else Path(mask),
        referee=referee,
        perception=perception,
        progress=progress,
    )
