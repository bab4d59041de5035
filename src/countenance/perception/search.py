"""Finds faces that the detector overlooks: turned far to a side, upside down, or small in a large picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.perception.pictures import as_rgb, cut
from countenance.types import Detection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from countenance.perception.detect import FaceDetector
    from countenance.types import Float32, Float64, UInt8

__all__ = ["FaceSearch"]

_SIDE = 256  # of the crop around a place: a face fills a third of it, which the detector knows best
_REACH = 3.0  # sides of the crop in sides of the place
_OF_SIZE = 1.6  # how many times larger or smaller than expected
_WIDE_SIDE = 640  # at which the detector sees a whole picture
_TILE_SIDE = 1280  # 720p in one; larger tiles take the network no less time a pixel, but more memory
_TILE_OVERLAP = 96  # a face cut by a tile's border is whole in the next tile, up to this height
_SAME = 0.3
_QUARTER_TURNS = (90.0, 180.0, 270.0)


class FaceSearch:
    """Asks the detector again, with crops that it can read.

    Args:
        detector: finds upright faces.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def near(self, rgb: UInt8, box_xyxy: Float32, degrees: float, min_score: float) -> Detection | None:
        """The best face at a place, in a crop turned upright, enlarged or shrunk; None when there is none.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            box_xyxy: float32 ``(4,)``, where a face should be.
            degrees: how far it leaned clockwise when it was last seen; other quarter turns are tried after it.
            min_score: of the detector, in [0, 1].
        """
        rgb = as_rgb("FaceSearch", rgb)
        centre = (box_xyxy[:2] + box_xyxy[2:]) / 2.0
        side = max(_REACH * float(max(box_xyxy[2:] - box_xyxy[:2])), 24.0)
        if not np.isfinite(centre).all() or not _touches(rgb, centre, side):
            return None
        for more in (0.0, *_QUARTER_TURNS):
            crop_from_frame = _turned(centre, side, degrees + more)
            found = self._detector(cut(rgb, crop_from_frame, _SIDE), min_score=min_score)
            inside = [_back(face, crop_from_frame) for face in found if _is_expected(face)]
            if inside:
                return max(inside, key=lambda face: face.score)
        return None

    def wide(self, rgb: UInt8, min_score: float, *, turned: bool, empty: bool = False) -> list[Detection]:
        """Faces of the whole picture that need more than one look: small ones, and turned ones if asked for.

        A picture up to 640 pixels wide or high is not searched for small faces: the detector has done so.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            min_score: of the detector, in [0, 1].
            turned: also search the picture turned by quarters.
            empty: whether the detector itself found nothing at this score or a lower one. Then it has looked at the
                picture's own size, too, and a picture of one tile is not looked at again.
        """
        rgb = as_rgb("FaceSearch", rgb)
        tiles = [] if empty and max(rgb.shape[:2]) <= _TILE_SIDE else _tiles(rgb)
        found = [face for tile, shift in tiles for face in self._shifted(tile, shift, min_score)]
        if turned:
            found += self._turned(rgb, min_score)
        return _distinct(found)

    def _shifted(self, tile: UInt8, shift: Float64, min_score: float) -> list[Detection]:
        return [_back(face, shift) for face in self._detector(tile, min_score=min_score, own_size=True)]

    def _turned(self, rgb: UInt8, min_score: float) -> Iterable[Detection]:
        height, width = rgb.shape[:2]
        scale = min(1.0, _WIDE_SIDE / max(height, width))
        small_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(cv2.resize(rgb, small_wh, interpolation=cv2.INTER_AREA), np.uint8) if scale < 1.0 else rgb
        resized = np.array([[small_wh[0] / width, 0.0, 0.0], [0.0, small_wh[1] / height, 0.0]])
        resized[:, 2] = (resized[[0, 1], [0, 1]] - 1.0) / 2.0
        for turns in (1, 2, 3):
            picture = np.ascontiguousarray(np.rot90(small, turns))
            matrix = geometry.compose(_rot90(small.shape[0], small.shape[1], turns), resized)
            for face in self._detector(picture, min_score=min_score):
                yield _back(face, matrix)


def _touches(rgb: UInt8, centre: Float32, side: float) -> bool:
    return bool(((centre > -side / 2.0) & (centre < np.array(rgb.shape[1::-1]) + side / 2.0)).all())


def _turned(centre: Float32, side: float, degrees: float) -> Float64:
    """Crop from frame: the crop shows a face upright that leans clockwise by so many degrees."""
    angle, scale = np.radians(degrees), _SIDE / side
    linear = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, (_SIDE - 1) / 2.0 - linear @ centre])


def _rot90(height: int, width: int, turns: int) -> Float64:
    """Turned from upright: where NumPy's ``rot90`` puts the pixels of a picture of that size."""
    return {
        1: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, width - 1.0]]),
        2: np.array([[-1.0, 0.0, width - 1.0], [0.0, -1.0, height - 1.0]]),
        3: np.array([[0.0, -1.0, height - 1.0], [1.0, 0.0, 0.0]]),
    }[turns]


def _is_expected(face: Detection) -> bool:
    """Whether a face is about where and as large as it should be: in the crop's middle, a third of its side."""
    middle = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2.0
    expected = _SIDE / _REACH
    size = float(max(face.box_xyxy[2:] - face.box_xyxy[:2])) / expected
    return bool((np.abs(middle - _SIDE / 2.0) < expected / 1.5).all()) and 1.0 / _OF_SIZE < size < _OF_SIZE


def _back(face: Detection, there_from_frame: Float64) -> Detection:
    """A detection in the frame; a turned box becomes the upright square of its own size around its middle."""
    frame_from_there = geometry.invert(there_from_frame)
    box = face.box_xyxy
    middle = geometry.apply(frame_from_there, ((box[:2] + box[2:]) / 2.0)[None])[0]
    scale = float(np.sqrt(abs(np.linalg.det(frame_from_there[:, :2]))))
    half = (box[2:] - box[:2]) * scale / 2.0
    if abs(frame_from_there[0, 1]) > 1e-6:
        half = np.full(2, half.max())
    return Detection(
        np.concatenate([middle - half, middle + half]).astype(np.float32),
        face.score,
        geometry.apply(frame_from_there, face.points_xy),
    )


def _tiles(rgb: UInt8) -> Iterable[tuple[UInt8, Float64]]:
    """Overlapping tiles with tile from frame; none for a picture that the detector has seen at its own size."""
    height, width = rgb.shape[:2]
    if max(height, width) <= _WIDE_SIDE:
        return
    step = _TILE_SIDE - _TILE_OVERLAP
    for top in range(0, max(height - _TILE_OVERLAP, 1), step):
        for left in range(0, max(width - _TILE_OVERLAP, 1), step):
            tile = rgb[top : top + _TILE_SIDE, left : left + _TILE_SIDE]
            yield tile, np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])


def _distinct(faces: list[Detection]) -> list[Detection]:
    """The best of each that overlap."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(_shared(face.box_xyxy, other.box_xyxy) < _SAME for other in kept):
            kept.append(face)
    return kept


def _shared(a_xyxy: Float32, b_xyxy: Float32) -> float:
    low, high = np.maximum(a_xyxy[:2], b_xyxy[:2]), np.minimum(a_xyxy[2:], b_xyxy[2:])
    both = float(np.prod(np.maximum(high - low, 0.0)))
    areas = float(np.prod(a_xyxy[2:] - a_xyxy[:2]) + np.prod(b_xyxy[2:] - b_xyxy[:2]))
    return both / max(areas - both, 1e-9)
