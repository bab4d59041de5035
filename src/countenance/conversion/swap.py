"""Paints decided frames: align ▸ swap ▸ colour ▸ mask ▸ blend, and the veil where that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from countenance import color, geometry
from countenance.conversion.blend import paste
from countenance.conversion.mask import blend_mask, landmark_mask, skin_weights
from countenance.conversion.occlusion import Steadied, judged, steadied
from countenance.conversion.patches import Patch, Veiled, patch_of
from countenance.conversion.report import Stopwatch
from countenance.conversion.smooth import forget_old
from countenance.conversion.texture import FaceInFrame, TextureMatcher
from countenance.conversion.veil import veil
from countenance.perception.occlusion import feature_planes
from countenance.types import AlignedFace, FaceLandmarks, Frame, Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from countenance.conversion.blend import Layer, Region
    from countenance.conversion.decide import DecidedFace, DecidedFrame
    from countenance.conversion.settings import ConvertSettings
    from countenance.types import Float32, Float64, SwappedFace, UInt8

__all__ = ["FaceSwapper", "PaintedFrame", "Painter", "Remembered", "align"]

_COVERED = 0.1  # of the face's hull: with less left to paint, nothing was replaced
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

    ``replaced`` counts faces; ``veiled`` holds (track, reason) of each veiled one. ``patches`` are what was laid over
    the footage, where the painter was asked for them, and ``veils`` the places of the veiled faces. ``faces`` are those
    that were replaced, and ``unveiled`` the picture before a veil was laid over them.
    """

    frame: Frame
    shot: int
    replaced: int
    veiled: tuple[tuple[int, str], ...]
    patches: tuple[Patch, ...] = ()
    veils: tuple[Veiled, ...] = ()
    faces: tuple[DecidedFace, ...] = ()
    unveiled: UInt8 | None = None

    @property
    def changed(self) -> bool:
        """Whether the picture is another one than the footage's."""
        return bool(self.replaced or self.veiled)


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
        occlusion: tells the face from what is in front of it (:class:`countenance.perception.occlusion.OcclusionNet`);
            None leaves that to the swapper's mask.
        watch: takes the time of each step.
        keep_patches: give what was painted apart from the footage, too.

    Attributes:
        crop_size: side in pixels of the aligned faces that the swapper wants.
    """

    def __init__(
        self,
        swapper: FaceSwapper,
        settings: ConvertSettings,
        occlusion: Callable[[AlignedFace], Mask] | None = None,
        watch: Stopwatch | None = None,
        *,
        keep_patches: bool = False,
    ) -> None:
        self._keep_patches = keep_patches
        self._swapper, self._settings, self._occlusion = swapper, settings, occlusion
        self.crop_size = int(getattr(swapper, "crop_size", geometry.CROP_SIZE))
        self._watch = watch or Stopwatch()
        self._matches: dict[int, Remembered] = {}
        self._textures = TextureMatcher()
        self._seen: dict[int, Steadied] = {}

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
        patches: list[Patch | None] = []
        veils = [(face, face.reason, 1.0) for face in decided.faces if face.action == "veil"]
        fading: list[tuple[DecidedFace, str, float]] = []
        to_replace = [face for face in decided.faces if face.action == "replace"]
        replaced: list[DecidedFace] = []
        for face, crop, painted in zip(to_replace, aligned, swapped, strict=True):
            layers: list[Layer] = []
            if not self._replace(rgb, decided, face, crop, painted, layers):
                veils.append((face, "face covered", 1.0))
            else:
                replaced.append(face)
                if face.veil_amount > 0.0:
                    fading.append((face, face.reason, face.veil_amount))
            place = geometry.invert(crop.aligned_from_frame)
            patches += [patch_of("face", face.track, layer, place, crop.size) for layer in layers]
        veils += fading
        unveiled = rgb.copy() if fading else rgb
        with self._watch("veil"):
            for face, _, amount in veils:  # after the replacements: a veil is never painted over
                layers = []
                veil(rgb, face.ellipse, layers if self._keep_patches else None, amount)
                patches += [patch_of("veil", face.track, layer) for layer in layers]
        frame = Frame(rgb, decided.frame.index, decided.frame.pts, decided.frame.time_base)
        return PaintedFrame(
            frame,
            decided.shot,
            len(replaced),
            tuple((face.track, reason) for face, reason, _ in veils),
            tuple(patch for patch in patches if patch is not None),
            tuple(Veiled(face.track, reason, face.ellipse) for face, reason, _ in veils),
            tuple(replaced),
            unveiled,
        )

    def _replace(
        self,
        rgb: UInt8,
        decided: DecidedFrame,
        face: DecidedFace,
        crop: AlignedFace,
        painted: SwappedFace,
        layers: list[Layer],
    ) -> bool:
        """Lay one painted face into ``rgb``; False when hardly anything of it would be seen."""
        with self._watch("mask"):
            landmark = landmark_mask(crop.landmarks.points_xy, crop.size)
            occlusion = None
            if self._occlusion is not None:
                occlusion = self._unoccluded(self._occlusion(crop), crop, decided, face.track)
                if occlusion is None:
                    return False
            mask = blend_mask(painted.mask, landmark, occlusion)
        if float(mask.values.sum()) < _COVERED * max(float(landmark.values.sum()), 1.0):
            return False
        with self._watch("colour"):
            matched = self._matched(painted.rgb, crop, mask, decided, face.track)
        with self._watch("blend"):
            place = geometry.invert(crop.aligned_from_frame)
            kept = layers if self._keep_patches else None
            finish = (
                partial(self._textured, decided, face.track, crop.landmarks, place) if self._settings.texture else None
            )
            paste(rgb, matched, mask, place, method=self._settings.blend, layers=kept, finish=finish)
        return True

    def _textured(
        self,
        decided: DecidedFrame,
        track: int,
        landmarks: FaceLandmarks,
        frame_from_crop: Float64,
        plate: UInt8,
        painted: UInt8,
        alpha: Float32,
        region: Region,
    ) -> UInt8:
        """The painted face in the frame, with the footage's sharpness and grain."""
        with self._watch("texture"):
            region_from_crop = frame_from_crop - [[0.0, 0.0, region.x0], [0.0, 0.0, region.y0]]
            points = geometry.apply(region_from_crop, landmarks.points_xy)
            seconds = float(decided.frame.pts_seconds)
            where = FaceInFrame(track, decided.shot, decided.frame.index, seconds, points, region_from_crop)
            return self._textures(plate, painted, alpha, where)

    def _unoccluded(self, seen: Mask, crop: AlignedFace, decided: DecidedFrame, track: int) -> Mask | None:
        """Where nothing is in front of the face; None when too much is, or nothing about it is sure."""
        now = steadied(self._seen.get(track), seen, decided.shot, float(decided.frame.pts_seconds))
        self._seen[track] = now
        forget_old(self._seen, now.seconds)
        judgement = judged(now.values, feature_planes(crop.landmarks.points_xy, crop.size))
        if judgement.hidden:
            return None
        values = cv2.resize(judgement.mask.values, (crop.size, crop.size), interpolation=cv2.INTER_LINEAR)
        return Mask(np.asarray(values, np.float32), "occlusion")

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
        forget_old(self._matches, seconds)
        return color.apply_match(painted_rgb, match)


def _statistics(rgb: UInt8, weights: Float32) -> color.ColorStatistics:
    small = np.asarray(cv2.resize(rgb, (_COLOR_SIDE, _COLOR_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return color.statistics(color.lab_from_rgb(small), weights)
