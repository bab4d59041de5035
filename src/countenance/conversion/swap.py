"""Paints decided frames: align ▸ swap ▸ colour ▸ mask ▸ blend, and the veil where that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from countenance import color, geometry
from countenance.conversion.blend import paste
from countenance.conversion.mask import blend_mask, landmark_mask, skin_weights
from countenance.conversion.report import Stopwatch
from countenance.conversion.veil import veil
from countenance.types import AlignedFace, FaceLandmarks, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.conversion.decide import DecidedFace, DecidedFrame
    from countenance.conversion.settings import ConvertSettings
    from countenance.perception.segment import PersonSegmenter
    from countenance.types import Float32, Float64, Mask, SwappedFace, UInt8

__all__ = ["FaceSwapper", "PaintedFrame", "Painter", "Remembered", "align"]

_COVERED = 0.1  # of the face's hull: with less left to paint, nothing was replaced
_FORGET_SECONDS = 5.0  # tracks that ended so long ago; a long film has many
_COLOR_SIDE = 64  # colours are compared at this size: detail has no part in them


class FaceSwapper(Protocol):
    """Paints the lender's face for each aligned face of the performer, aligned like its input.

    One that wants crops of another side than :data:`countenance.geometry.CROP_SIZE` has it as ``crop_size``, in pixels.
    """

    def __call__(self, faces: Sequence[AlignedFace]) -> Sequence[SwappedFace]:
        """One result a face, in order. The faces may be of several frames."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PaintedFrame:
    """A frame on its way out; its ``rgb`` is the footage's own array when nothing was changed.

    ``replaced`` counts faces; ``veiled`` holds (track, reason) of each veiled one.
    """

    frame: Frame
    shot: int
    replaced: int
    veiled: tuple[tuple[int, str], ...]


def align(rgb: UInt8, landmarks: FaceLandmarks, aligned_from_frame: Float64, size: int) -> AlignedFace:
    """The aligned face of a frame; costs what the face's area costs, however large the frame is.

    Args:
        rgb: uint8 ``(H, W, 3)``.
        landmarks: in frame pixels.
        aligned_from_frame: float64 ``(2, 3)``, to a crop of ``size``.
        size: side of the crop.
    """
    edges = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - 0.5
    corners = geometry.apply(geometry.invert(aligned_from_frame), edges)
    margin = 4 + int(4.0 * max(np.ptp(corners, axis=0)) / size)  # the reach of the low-pass filter before shrinking
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, [rgb.shape[1], rgb.shape[0]])
    low = np.minimum(low, high - 2)  # a face outside the picture: its border is reflected
    part = rgb[low[1] : high[1], low[0] : high[0]]
    from_part = geometry.compose(aligned_from_frame, np.array([[1.0, 0.0, low[0]], [0.0, 1.0, low[1]]]))
    crop = geometry.warp(part, from_part, (size, size))
    scale = float(np.sqrt(abs(np.linalg.det(aligned_from_frame[:, :2]))))
    inside = FaceLandmarks(
        points_xy=geometry.apply(aligned_from_frame, landmarks.points_xy),
        depth=np.asarray(landmarks.depth * np.float32(scale), np.float32),
        blendshapes=landmarks.blendshapes,
        presence=landmarks.presence,
    )
    return AlignedFace(crop, aligned_from_frame, inside)


@dataclass(slots=True)
class Remembered:
    """The last colour match of a track, with the shot and the time that it was made for."""

    match: color.ColorMatch
    shot: int
    seconds: float


class Painter:
    """Paints frames in order, several at a time so that the swapper can work on a batch.

    Args:
        swapper: paints faces.
        settings: knobs.
        segmenter: tells the person from what is in front; None leaves occlusion to the swapper's mask.
        watch: takes the time of each step.

    Attributes:
        crop_size: side in pixels of the aligned faces that the swapper wants.
    """

    def __init__(
        self,
        swapper: FaceSwapper,
        settings: ConvertSettings,
        segmenter: PersonSegmenter | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        self._swapper, self._settings, self._segmenter = swapper, settings, segmenter
        self.crop_size = int(getattr(swapper, "crop_size", geometry.CROP_SIZE))
        self._watch = watch or Stopwatch()
        self._matches: dict[int, Remembered] = {}

    def __call__(self, frames: Sequence[DecidedFrame]) -> list[PaintedFrame]:
        """Paint some consecutive frames.

        Raises:
            ValueError: the swapper gave another number of faces than it was asked for.
        """
        with self._watch("align"):
            aligned = [self._aligned(decided) for decided in frames]
        together = [face for faces in aligned for face in faces]
        swapped: Sequence[SwappedFace] = ()
        if together:
            with self._watch("swap"):
                swapped = self._swapper(together)
        if len(swapped) != len(together):
            raise ValueError(f"swapper: expected {len(together)} faces, got {len(swapped)}")
        painted, taken = [], 0
        for decided, faces in zip(frames, aligned, strict=True):
            painted.append(self._paint(decided, faces, swapped[taken : taken + len(faces)]))
            taken += len(faces)
        return painted

    def _aligned(self, decided: DecidedFrame) -> list[AlignedFace]:
        return [
            align(decided.frame.rgb, face.landmarks, face.aligned_from_frame, self.crop_size)
            for face in decided.faces
            if face.landmarks is not None and face.aligned_from_frame is not None
        ]

    def _paint(
        self, decided: DecidedFrame, aligned: Sequence[AlignedFace], swapped: Sequence[SwappedFace]
    ) -> PaintedFrame:
        if not decided.faces:
            return PaintedFrame(decided.frame, decided.shot, 0, ())
        rgb = decided.frame.rgb.copy()
        veils = [(face, face.reason) for face in decided.faces if face.action == "veil"]
        to_replace = [face for face in decided.faces if face.action == "replace"]
        for face, crop, painted in zip(to_replace, aligned, swapped, strict=True):
            if not self._replace(rgb, decided, face, crop, painted):
                veils.append((face, "face covered"))
        with self._watch("veil"):
            for face, _ in veils:  # after the replacements: a veil is never painted over
                veil(rgb, face.ellipse)
        reasons = tuple((face.track, reason) for face, reason in veils)
        frame = Frame(rgb, decided.frame.index, decided.frame.pts, decided.frame.time_base)
        return PaintedFrame(frame, decided.shot, len(decided.faces) - len(veils), reasons)

    def _replace(
        self, rgb: UInt8, decided: DecidedFrame, face: DecidedFace, crop: AlignedFace, painted: SwappedFace
    ) -> bool:
        """Lay one painted face into ``rgb``; False when hardly anything of it would be seen."""
        with self._watch("mask"):
            landmark = landmark_mask(crop.landmarks.points_xy, crop.size)
            occlusion = self._segmenter(crop.rgb) if self._segmenter is not None else None
            mask = blend_mask(painted.mask, landmark, occlusion)
        if float(mask.values.sum()) < _COVERED * max(float(landmark.values.sum()), 1.0):
            return False
        with self._watch("colour"):
            matched = self._matched(painted.rgb, crop, mask, decided, face.track)
        with self._watch("blend"):
            paste(rgb, matched, mask, geometry.invert(crop.aligned_from_frame), method=self._settings.blend)
        return True

    def _matched(self, painted_rgb: UInt8, crop: AlignedFace, mask: Mask, decided: DecidedFrame, track: int) -> UInt8:
        """The painted face in the footage's colours; the match follows the track smoothly."""
        if self._settings.color_strength <= 0.0:
            return painted_rgb
        weights = skin_weights(mask, crop.landmarks.points_xy, _COLOR_SIDE)
        if weights.sum() < 16.0:
            return painted_rgb
        match = color.match_colors(
            _statistics(painted_rgb, weights),
            _statistics(crop.rgb, weights),
            strength=self._settings.color_strength,
        )
        seconds = float(decided.frame.pts_seconds)
        last = self._matches.get(track)
        if last is not None and last.shot == decided.shot and self._settings.color_seconds > 0.0:
            amount = 1.0 - float(np.exp(-max(seconds - last.seconds, 0.0) / self._settings.color_seconds))
            match = last.match.toward(match, amount)
        self._matches[track] = Remembered(match, decided.shot, seconds)
        for number in [number for number, kept in self._matches.items() if seconds - kept.seconds > _FORGET_SECONDS]:
            del self._matches[number]
        return color.apply_match(painted_rgb, match)


def _statistics(rgb: UInt8, weights: Float32) -> color.ColorStatistics:
    small = np.asarray(cv2.resize(rgb, (_COLOR_SIDE, _COLOR_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return color.statistics(color.lab_from_rgb(small), weights)
