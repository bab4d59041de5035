"""How ``bench/ablation.py`` measures a model: frames as conversion paints them, held against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from quality_cases import CLIPS, PERFORMER, World

from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.track import Tracker
from countenance.evaluation.behaviour import behaviour
from countenance.evaluation.clips import mask_of, together
from countenance.evaluation.compare import TruthScorer
from countenance.evaluation.judge import DlibJudge, Referee, identity
from countenance.evaluation.metrics import masked_mean, ssim_map
from countenance.evaluation.observe import observe
from countenance.perception.identity import SAME_PERSON_COSINE
from countenance.training.mesh import EYE_LEFT, EYE_RIGHT, LIPS, filled
from countenance.training.model import GuidedModel
from countenance.training.painting import GuidedDrawn, GuidedPainter
from countenance.training.scores import template_of
from countenance.training.train import load_faces

if TYPE_CHECKING:
    from countenance.types import AlignedFace, FaceLandmarks, Float32, SwappedFace, UInt8

__all__ = ["PARTS", "Shot", "Swapper", "gradient_energy", "part_mask", "part_scores"]


class Seen(NamedTuple):
    """One measured frame: pictures, the true face's region, and what perception sees of the footage's face."""

    index: int
    footage: UInt8
    truth: UInt8
    face: Float32
    near: FaceLandmarks
    mine: FaceLandmarks
    parts: dict[str, Float32]


PARTS = {"eyes": (EYE_RIGHT, EYE_LEFT), "mouth": (LIPS,)}
_RIM = 7  # pixels of the square by which a part is widened: lids and the edge of the lips belong to it


def part_mask(points_xy: Float32, part: str, size_hw: tuple[int, int]) -> Float32:
    """Where the eyes or the mouth are: the contours' hulls and 3 pixels around, float32 ``(H, W)``, 1 inside."""
    inside = filled(points_xy, PARTS[part], max(size_hw))[: size_hw[0], : size_hw[1]]
    return cv2.dilate(inside, np.ones((_RIM, _RIM), np.uint8)).astype(np.float32)


def gradient_energy(rgb: UInt8, mask: Float32) -> float:
    """Mean squared length of luma's gradient (Scharr, grey levels a pixel) inside a mask."""
    luma = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    x, y = (cv2.Scharr(luma, cv2.CV_64F, *way, scale=1.0 / 32.0) for way in ((1, 0), (0, 1)))
    return masked_mean(x * x + y * y, mask)


def part_scores(pictures: Sequence[tuple[UInt8, UInt8, dict[str, Float32]]]) -> dict[str, float]:
    """SSIM inside eyes and mouth, and their sharpness: gradient energy by the truth's; 1 is as sharp as the truth.

    Args:
        pictures: of each frame the swap, the truth, and the parts' masks.
    """
    scores = {}
    for part in PARTS:
        likeness = [masked_mean(ssim_map(swap, truth), masks[part]) for swap, truth, masks in pictures]
        mine, theirs = (
            sum(gradient_energy(frame[side], frame[2][part]) for frame in pictures)  # type: ignore[arg-type]
            for side in (0, 1)
        )
        scores |= {f"{part}_ssim": float(np.mean(likeness)), f"{part}_sharpness": mine / theirs}
    return scores


class Swapper:
    """The lender's face by a model's weights; what does not depend on these is prepared once for each frame."""

    def __init__(self, painter: GuidedPainter) -> None:
        self._painter, self._drawn = painter, dict[bytes, GuidedDrawn]()
        self.model: GuidedModel | None = None
        self.masks: list[Float32] = []

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        key = b"".join(face.aligned_from_frame.tobytes() for face in faces)
        if key not in self._drawn:
            self._drawn[key] = self._painter.prepare(faces)
        assert self.model is not None
        painted = self._painter.paint(self.model, self._drawn[key])
        self.masks += [face.mask.values for face in painted]
        return painted


class Shot:
    """The frames to be measured, decided as conversion decides them, and how a swap of them scores."""

    def __init__(self, world: World, every: int, judge: DlibJudge) -> None:
        case = world.case
        assert case.truth is not None
        self._see, self._settings = world.see, ConvertSettings()
        self._referee = Referee.of(judge, *(CLIPS / f"{who}.mp4" for who in (case.lender, case.performer)), world.see)
        template = template_of(load_faces(world.project, PERFORMER).embeddings)
        tracker = Tracker(self._see, template, self._settings)
        clips = together([world.clip(name) for name in (case.footage, case.truth, case.mask)])
        self._seen: list[Seen] = []
        self._decided: list[DecidedFrame] = []

        def watched() -> Iterator[Any]:
            for index, (footage, truth, region) in enumerate(clips):
                if index % every == 0:
                    self._seen.append(self._look(index, footage.rgb, truth.rgb, mask_of(region)))
                yield tracker(footage)

        for number, decided in enumerate(Decider(self._settings, SAME_PERSON_COSINE)(watched())):
            if number % every == 0:
                assert [face.action for face in decided.faces] == ["replace"], "a row compares replaced faces only"
                self._decided.append(decided)

    def _look(self, index: int, footage: UInt8, truth: UInt8, face: Float32) -> Seen:
        """As :class:`countenance.evaluation.observe.Observer` looks, once for all rows; the parts lie in the truth."""
        near = self._see.mesh(footage, self._see.detector(footage)[0])
        true = self._see.mesh(truth, self._see.mesh(truth, self._see.detector(truth)[0]))
        parts = {part: part_mask(true.points_xy, part, face.shape) for part in PARTS}
        return Seen(index, footage, truth, face, near, self._see.mesh(footage, near), parts)

    def mask_error(self, masks: Sequence[Float32]) -> float:
        """Mean absolute difference of predicted and true mask in the crop, by the true mask's area."""
        wrong = area = 0.0
        for seen, decided, mask in zip(self._seen, self._decided, masks, strict=True):
            true = cv2.warpAffine(seen.face, decided.faces[0].aligned_from_frame, mask.shape[::-1])
            wrong, area = wrong + float(np.abs(mask - true).sum()), area + float(true.sum())
        return wrong / area

    def frames(self, swapper: Swapper) -> list[UInt8]:
        """The swap, uint8 ``(H, W, 3)`` each; the predicted masks are left in ``swapper.masks``."""
        swapper.masks = []
        painter = Painter(swapper, self._settings)
        size = self._settings.batch_frames
        groups = [self._decided[start : start + size] for start in range(0, len(self._decided), size)]
        return [painted.frame.rgb for group in groups for painted in painter(group)]

    def scores(self, swaps: Sequence[UInt8]) -> dict[str, float | None]:
        """Every figure of a row."""
        truth, pairs, descriptors, lost = TruthScorer(), [], [], 0
        for seen, swap in zip(self._seen, swaps, strict=True):
            truth.add(seen.index, swap, seen.truth, seen.face)
            theirs = self._see.mesh(swap, seen.near)
            if theirs.presence < 0.5:
                lost += 1
            else:
                pairs.append((observe(seen.mine), observe(theirs)))
            descriptors.append(self._referee.judge(swap, seen.mine.points_xy))
        score, whose, does = truth.result("mask"), identity(descriptors, self._referee), behaviour(pairs, lost)
        assert whose is not None
        assert does is not None
        figures = {name: getattr(score, name) for name in ("ssim", "psnr_db", "delta_e", "seam", "gradient_similarity")}
        figures |= {"margin": whose.margin, "frames": score.frames, "lost": lost}
        figures |= {
            name: getattr(does, name)
            for name in ("expression", "mouth_correlation", "blink_correlation", "gaze_degrees")  # not the jitter:
        }  # it needs frames in a row
        pictures = [(swap, seen.truth, seen.parts) for seen, swap in zip(self._seen, swaps, strict=True)]
        return figures | part_scores(pictures)
