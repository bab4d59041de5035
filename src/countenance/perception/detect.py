"""Finds faces with YuNet (W. Wu, H. Peng, S. Yu, "YuNet: a tiny millisecond-level face detector", 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.perception.pictures import as_rgb
from countenance.perception.session import SessionProvider, default_sessions
from countenance.types import Detection

if TYPE_CHECKING:
    from countenance.types import Float32, UInt8

__all__ = ["FaceDetector"]

_STRIDES = (8, 16, 32)
_LONG_SIDE = 640  # the size the network was trained at
_SMALL_SIDE = 320  # brings a face that fills the picture back to sizes the network knows
_LARGEST_SIDE = 1920
_SAME_FACE_IOU = 0.3  # as in the reference (OpenCV's FaceDetectorYN)
_CANDIDATES = 1000


class FaceDetector:
    """Finds faces in a picture.

    Args:
        sessions: gives the network; the real one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8, *, min_score: float = 0.6, own_size: bool = False) -> list[Detection]:
        """All faces, largest first.

        The picture is searched at 640 pixels on its long side. Only when that shows nothing, it is searched at half
        that size (for a face that fills it) and, if it is larger, at its own size up to 1920 (for small faces).

        Args:
            rgb: uint8 ``(H, W, 3)``.
            min_score: detections below it are dropped, in [0, 1].
            own_size: search the picture once, at its own size, whatever that is; memory grows with it.

        Raises:
            ValueError: the picture or the score has another form.
            WeightsError: the network cannot be fetched.
        """
        rgb = as_rgb("FaceDetector", rgb)
        height, width = rgb.shape[:2]
        if not 0.0 <= min_score <= 1.0:
            raise ValueError(f"FaceDetector: expected min_score in [0, 1], got {min_score}")
        if own_size:
            return self._search(rgb, 1.0, min_score)
        long_side = max(height, width)
        sides = [min(long_side, _LONG_SIDE)]
        if long_side > _SMALL_SIDE:
            sides.append(_SMALL_SIDE)
        if long_side > _LONG_SIDE:
            sides.append(min(long_side, _LARGEST_SIDE))
        for side in sides:
            found = self._search(rgb, side / long_side, min_score)
            if found:
                return found
        return []

    def _search(self, rgb: UInt8, scale: float, min_score: float) -> list[Detection]:
        tensor, factors = _tensor(rgb, scale)
        outputs = self._sessions("face-detector").run({"input": tensor})
        rows = _decode(outputs, tensor.shape[3], min_score)
        # Pixel edges of the two sizes coincide, pixel centres do not: hence the half pixels.
        rows[:, 1:] = (rows[:, 1:] + 0.5) * np.tile(factors, 7) - 0.5
        rows = rows[_distinct(rows)]
        areas = (rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2])
        return [
            Detection(row[1:5].copy(), float(row[0]), row[5:].reshape(5, 2).copy())
            for row in rows[np.argsort(-areas, kind="stable")]
        ]


def _tensor(rgb: UInt8, scale: float) -> tuple[Float32, Float32]:
    """BGR ``(1, 3, H, W)``, padded below and right to multiples of 32, and picture pixels per tensor pixel (x, y)."""
    height, width = rgb.shape[:2]
    small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
    if (small_height, small_width) != (height, width):
        rgb = np.asarray(cv2.resize(rgb, (small_width, small_height), interpolation=cv2.INTER_AREA), np.uint8)
    tensor = np.zeros((1, 3, -(-small_height // 32) * 32, -(-small_width // 32) * 32), np.float32)
    for place, channel in zip(tensor[0], reversed(cv2.split(rgb)), strict=True):  # one by one: four times as fast
        place[:small_height, :small_width] = channel
    factors = np.array([width / small_width, height / small_height], np.float32)
    return tensor, factors


def _decode(outputs: list[Float32], width: int, min_score: float) -> Float32:
    """Rows of score, box xyxy and five points in tensor pixels, float32 ``(N, 15)``, best first."""
    found = []
    for level, stride in enumerate(_STRIDES):
        cls, obj, box, points = (outputs[kind * 3 + level][0] for kind in range(4))
        score = np.sqrt(np.clip(cls[:, 0], 0.0, 1.0) * np.clip(obj[:, 0], 0.0, 1.0))
        keep = np.flatnonzero(score >= min_score)
        if not len(keep):
            continue
        columns = width // stride
        cell = np.stack([keep % columns, keep // columns], axis=1).astype(np.float32)
        centre = (cell + box[keep, :2]) * stride
        half = np.exp(np.minimum(box[keep, 2:], 10.0)) * stride / 2.0
        dots = (points[keep].reshape(-1, 5, 2) + cell[:, None]) * stride
        found.append(np.column_stack([score[keep], centre - half, centre + half, dots.reshape(-1, 10)]))
    rows = np.concatenate(found) if found else np.zeros((0, 15))
    rows = rows[np.isfinite(rows).all(axis=1)].astype(np.float32)
    return np.asarray(rows[np.argsort(-rows[:, 0], kind="stable")[:_CANDIDATES]], np.float32)


def _distinct(rows: Float32) -> list[int]:
    """Greedy non-maximum suppression over rows sorted by score: indices of the boxes that stay."""
    boxes = rows[:, 1:5].astype(np.float64)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1)
    left = np.arange(len(rows))
    kept: list[int] = []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        corner_min = np.maximum(boxes[best, :2], boxes[left, :2])
        corner_max = np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = np.maximum(corner_max - corner_min, 0.0).prod(axis=1)
        left = left[shared <= _SAME_FACE_IOU * (areas[best] + areas[left] - shared)]
    return kept
