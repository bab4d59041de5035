"""What every network of this package needs of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry

if TYPE_CHECKING:
    from countenance.types import Float64, UInt8

__all__ = ["as_rgb", "cut"]

_MOST_BLUR = 20.0  # pixels; reached by faces forty times a crop's size


def as_rgb(who: str, rgb: UInt8) -> UInt8:
    """The same RGB uint8 ``(H, W, 3)`` picture, laid out row by row, which OpenCV insists on.

    Raises:
        ValueError: another dtype or shape, or an empty picture.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"{who}: expected uint8 (H, W, 3), got {rgb.dtype.name} {rgb.shape}")
    return np.ascontiguousarray(rgb)


def cut(rgb: UInt8, crop_from_frame: Float64, side: int) -> UInt8:
    """A ``side`` × ``side`` crop, averaging when it shrinks; border pixels are repeated past the border.

    Works on the part of the frame that the crop shows, so that its cost does not grow with the frame. Unlike
    :func:`countenance.geometry.warp` it does not mirror at the border: networks take a mirrored face for a face.

    Args:
        rgb: uint8 ``(H, W, 3)``.
        crop_from_frame: float64 ``(2, 3)`` similarity transform.
        side: side of the crop in pixels.
    """
    height, width = rgb.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(crop_from_frame[:, :2]))))
    blur = min(0.5 * (1.0 / scale - 1.0), _MOST_BLUR) if scale < 0.6 else 0.0
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) - 0.5
    corners_xy = geometry.apply(geometry.invert(crop_from_frame), corners)
    margin = 3.0 * blur + 2.0
    left, top = (int(v) for v in np.clip(corners_xy.min(axis=0) - margin, 0, (width - 1, height - 1)))
    right, bottom = (int(v) + 1 for v in np.clip(corners_xy.max(axis=0) + margin, (left, top), (width - 1, height - 1)))
    part = rgb[top:bottom, left:right]
    if blur:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), blur), np.uint8)
    crop_from_part = geometry.compose(crop_from_frame, np.array([[1.0, 0.0, left], [0.0, 1.0, top]]))
    crop = cv2.warpAffine(part, crop_from_part, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)
