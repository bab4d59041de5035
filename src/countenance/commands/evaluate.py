"""``countenance evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from countenance.commands.terminal import Command, answer, json_option, progress_bar

if TYPE_CHECKING:
    from countenance.evaluation.evaluate import Evaluation
    from countenance.evaluation.judge import Judge

__all__ = ["evaluate"]

_CLIP = click.Path(path_type=Path)


@click.command(cls=Command, short_help="Measure how good a swap is.", resume="Nothing was written; run it again.")
@click.argument("swapped", type=_CLIP)
@click.option("--footage", required=True, metavar="FILE", type=_CLIP, help="What the swap was made from.")
@click.option("--truth", metavar="FILE", type=_CLIP, help="The same shot with the lender's true face, if there is one.")
@click.option("--mask", metavar="FILE", type=_CLIP, help="White where the face is; needed with --truth.")
@click.option("--lender", metavar="FILE", type=_CLIP, help="A clip or photo of the lender, for the judge of identity.")
@click.option("--performer", metavar="FILE", type=_CLIP, help="One of the performer; the footage if not given.")
@click.option("--no-identity", is_flag=True, help="Leave the judge of identity out.")
@json_option
def evaluate(
    swapped: Path,
    footage: Path,
    truth: Path | None,
    mask: Path | None,
    lender: Path | None,
    performer: Path | None,
    no_identity: bool,
    as_json: bool,
) -> None:
    """Measure how good a swap is: against the truth where there is one, and against the footage in any case.

    What each figure means, and what fools it: docs/reference/evaluate.md. Identity needs a clip of the lender (or the
    truth) and the judge, which is installed with `pip install dlib-bin`.

    \b
    Examples:
      countenance evaluate renders/scene.mp4 --footage scene.mp4 --lender vera.mp4
      countenance evaluate swapped.mp4 --footage A.mp4 --truth T.mp4 --mask M.mp4 --json
    """
    from countenance import api

    judge = None if no_identity else _judge(wanted=lender is not None or performer is not None)
    with progress_bar(f"evaluate {swapped.name}") as report:
        result = api.evaluate(
            swapped,
            footage,
            truth=truth,
            mask=mask,
            lender=lender,
            performer=performer,
            judge=judge,
            progress=report,
        )
    answer({"evaluation": result.to_json()}, _told(swapped, result, judge is not None), as_json=as_json)


def _judge(*, wanted: bool) -> Judge | None:
    """The judge; where dlib is missing that is an error only if identity was asked for."""
    from countenance.errors import WeightsError
    from countenance.evaluation.judge import DlibJudge

    try:
        return DlibJudge()
    except WeightsError:
        if wanted:
            raise
        return None


def _told(swapped: Path, result: Evaluation, judged: bool) -> str:
    from countenance.evaluation.guide import METRICS, value_of

    facts: dict[str, Any] = result.to_json()
    arrows = {"higher": "higher is better", "lower": "lower is better", "one": "1 is right"}
    lines = [f"{swapped}: {result.frames} frames"]
    for metric in METRICS:
        value = value_of(facts, metric)
        if value is not None:
            figure = f"{value:.{metric.digits}f} {metric.unit}".rstrip()
            lines.append(f"  {metric.name:<20} {figure:<26} {arrows[metric.better]}")
    if result.truth is None:
        lines.append("  No truth was given, so nothing is said about single pixels.")
    else:
        lines.append(f"  Worst frame {result.truth.worst_frame}, best {result.truth.best_frame} (by SSIM).")
    if result.behaviour is None:
        lines.append("  No face was found in both clips.")
    elif result.behaviour.lost:
        lines.append(f"  In {result.behaviour.lost} frames the swap shows no face where the footage does.")
    if not judged:
        lines.append("  Identity was not judged: pip install dlib-bin, or leave --no-identity out.")
    elif result.identity is None:
        lines.append("  Identity was not judged: give a clip of the lender with --lender.")
    return "\n".join(lines)
