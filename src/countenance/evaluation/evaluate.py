"""Everything that can be measured of a swap: against the truth where there is one, and against the footage."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.atomic import work_folder
from countenance.conversion.settings import ConvertSettings
from countenance.errors import MediaError
from countenance.evaluation.behaviour import Behaviour, behaviour
from countenance.evaluation.clips import mask_of, together
from countenance.evaluation.compare import ClipScore, TruthScorer
from countenance.evaluation.flicker import FlickerMeter
from countenance.evaluation.judge import Identity, identity
from countenance.evaluation.observe import Observation, Observer, hull_mask, observe
from countenance.evaluation.outside import Marking, Outside, OutsideScorer, encode_unswapped, find_marking
from countenance.evaluation.tone import skin_around, tone_step
from countenance.media.shots import ShotDetector

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.evaluation.judge import Judge, Referee
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.types import FaceLandmarks, Float32, Float64, UInt8

__all__ = ["Evaluation", "Tone", "evaluate"]

_WORK_PREFIX = ".countenance-evaluate-"


@dataclass(frozen=True, slots=True)
class Tone:
    """Face against the skin around it, in ΔE00: ``step`` in the swap, ``footage_step`` in the footage; ``frames``."""

    frames: int
    step: float
    footage_step: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; a part that could not be is None.

    ``truth`` needs the truth and its mask; ``identity`` a judge and pictures of the lender; ``behaviour``, ``tone`` and
    ``flicker_ratio`` a face in the footage. Every metric stands in :mod:`countenance.evaluation.guide`.
    """

    frames: int
    truth: ClipScore | None
    outside: Outside | None
    identity: Identity | None
    behaviour: Behaviour | None
    flicker_ratio: float | None
    tone: Tone | None

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values (schema in docs/reference/evaluate.md)."""
        facts = asdict(self)
        return {**facts, "truth": None if self.truth is None else self.truth.to_json()}


def evaluate(
    swapped: Path,
    footage: Path,
    *,
    truth: Path | None = None,
    mask: Path | None = None,
    referee: Referee | None = None,
    perception: Perception | None = None,
    settings: ConvertSettings | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a swap. The same files give the same figures.

    Args:
        swapped: the render.
        footage: what it was made from; same size and number of frames.
        truth: the same shot with the lender's true face, where it is known.
        mask: white where the face is; needed with ``truth``. Without it the face is the landmarks' hull in the footage.
        referee: judges identity; None leaves that out.
        perception: the networks; the real ones when None.
        settings: of the encoder that wrote ``swapped``; the conversion's own when None.
        progress: called per frame.

    Raises:
        MediaError: a clip cannot be read, clips do not belong together, or a truth came without its mask.
        WeightsError: a network cannot be fetched.
    """
    if truth is not None and mask is None:
        raise MediaError(
            f"The truth {truth.name} came without its mask. Give the clip that is white where the face is."
        )
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    marking = find_marking(swapped)
    work = _Work(perception, None if referee is None else referee.judge, marking)
    with work_folder(swapped.parent, _WORK_PREFIX) as folder:
        encoded = folder / "unswapped.mp4"
        encode_unswapped(footage, encoded, marking, settings or ConvertSettings(), progress)
        paths = [swapped, footage, *(clip for clip in (truth, mask) if clip is not None)]
        for index, (seen, plain, *rest, again) in enumerate(together(paths, [encoded])):
            face = mask_of(rest[-1]) if mask is not None else None
            work.frame(index, seen.rgb, plain.rgb, again.rgb, face, rest[0].rgb if truth is not None else None)
            if progress is not None:
                progress(index + 1, None, f"measuring {swapped.name}")
    return Evaluation(
        frames=work.frames,
        truth=work.truth.result(mask.name) if truth is not None and mask is not None else None,
        outside=work.outside.result(),
        identity=None if referee is None else identity(work.descriptors, referee),
        behaviour=behaviour(work.pairs, work.lost),
        flicker_ratio=work.flicker.ratio(),
        tone=work.tone(),
    )


class _Work:
    """One pass over the frames; memory grows by about 10 KB a frame, the landmarks of both faces."""

    def __init__(self, perception: Perception, judge: Judge | None, marking: Marking) -> None:
        self._observer, self._judge, self._label = Observer(perception), judge, marking.label
        self.outside = OutsideScorer(marking)
        self.truth, self.flicker = TruthScorer(), FlickerMeter()
        self.frames = self.lost = 0
        self.pairs: list[tuple[Observation, Observation] | None] = []
        self.descriptors: list[Float64] = []
        self._tones: list[tuple[float, float]] = []
        self._cut = ShotDetector()

    def frame(
        self, index: int, swapped: UInt8, footage: UInt8, encoded: UInt8, face: Float32 | None, truth: UInt8 | None
    ) -> None:
        """Measure one frame."""
        self.frames += 1
        if self._cut(footage):
            self.pairs.append(None)
            self.flicker.add(footage, swapped, None)
        mine, theirs = self._observer(footage, swapped)
        hull = None if mine is None else hull_mask(mine.points_xy, footage.shape[:2])
        region = hull if face is None else face
        if truth is not None and face is not None:
            self.truth.add(index, swapped, truth, np.where(self._label, np.float32(0.0), face))
        replaced = hull if face is None or hull is None else np.maximum(hull, face)
        self.outside.add(swapped, encoded, footage, face if replaced is None else replaced)
        self.flicker.add(footage, swapped, region)
        self._behave(mine, theirs)
        if mine is not None and region is not None and region.any():
            self._skin(footage, swapped, region, mine)
            if self._judge is not None:
                self.descriptors.append(self._judge(swapped, mine.points_xy))

    def _behave(self, mine: FaceLandmarks | None, theirs: FaceLandmarks | None) -> None:
        if mine is None or theirs is None:
            self.lost += mine is not None
            self.pairs.append(None)
        else:
            self.pairs.append((observe(mine), observe(theirs)))

    def _skin(self, footage: UInt8, swapped: UInt8, region: Float32, mine: FaceLandmarks) -> None:
        where = skin_around(footage, region, mine.points_xy, self._label)
        if where is not None:
            self._tones.append((tone_step(swapped, where), tone_step(footage, where)))

    def tone(self) -> Tone | None:
        """The mean over the frames that show skin around the face."""
        if not self._tones:
            return None
        step, footage_step = (float(value) for value in np.mean(self._tones, axis=0))
        return Tone(len(self._tones), step, footage_step)
