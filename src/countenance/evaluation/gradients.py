"""Edges: how alike two pictures' gradients are, and how wrong they are along a seam (pure: NumPy and OpenCV)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.evaluation.metrics import check_pair, masked_mean

if TYPE_CHECKING:
    from countenance.types import Float32, Float64, UInt8

__all__ = ["gradient_similarity", "seam_error", "seam_ring"]

_T = 170.0  # keeps flat regions from dividing by nothing; the paper's value for 8-bit luma
_RING_SHARE = 0.03  # of the face's height, on either side of the mask's edge
_RING_LEAST = 2


def gradient_similarity(picture: UInt8, truth: UInt8, mask: Float32 | None = None) -> float:
    """Mean gradient-magnitude similarity inside a mask, in [0, 1]; 1 for equal pictures.

    W. Xue, L. Zhang, X. Mou, A. C. Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image
    quality index", IEEE TIP 23(2), 2014: luma averaged over 2 × 2 pixels, Prewitt gradients, (2ab + T)/(a² + b² + T)
    with T = 170. The paper goes on to the map's deviation (GMSD); inside a face the mean ranks as well and can be
    weighted by a mask.

    Args:
        picture: uint8 ``(H, W, 3)``.
        truth: uint8 ``(H, W, 3)``, the same size.
        mask: float32 ``(H, W)`` in [0, 1]; None counts every pixel.

    Raises:
        ValueError: shapes that differ, or a mask in which nothing counts.
    """
    check_pair(picture, truth)
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    a, b = (_magnitude(_resized(_luma(rgb), (width, height))) for rgb in (picture, truth))
    likeness = (2.0 * a * b + _T) / (a * a + b * b + _T)
    return masked_mean(likeness, None if mask is None else _resized(mask, (width, height)).astype(np.float32))


def seam_error(picture: UInt8, truth: UInt8, mask: Float32) -> float:
    """How wrong the gradients are along the mask's edge: mean length of ∇picture − ∇truth, grey levels a pixel.

    Luma, Scharr's derivative, in :func:`seam_ring`; 0 for equal pictures. A step of 10 grey levels that is not in the
    truth costs about 10 on the pixels that it crosses, and so does a true edge that is missing.

    Raises:
        ValueError: shapes that differ, or no ring (an empty mask).
    """
    check_pair(picture, truth)
    difference = _luma(picture) - _luma(truth)  # the gradient is linear
    x, y = _derivative(difference, 1, 0), _derivative(difference, 0, 1)
    return masked_mean(np.hypot(x, y), seam_ring(mask))


def seam_ring(mask: Float32) -> Float32:
    """The neighbourhood of a mask's edge: 3 % of its height to either side, 2 pixels at least; 1 there, 0 elsewhere.

    Args:
        mask: float32 ``(H, W)`` in [0, 1]; its edge is where it crosses one half.
    """
    inside = (mask > 0.5).astype(np.uint8)
    rows = np.flatnonzero(inside.any(axis=1))
    if not len(rows):
        return np.zeros(mask.shape, np.float32)
    reach = max(_RING_LEAST, round(_RING_SHARE * float(rows[-1] - rows[0] + 1)))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, ellipse), np.float32)


def _luma(rgb: UInt8) -> Float64:
    return np.asarray(rgb.astype(np.float64) @ [0.299, 0.587, 0.114], np.float64)


def _resized(plane: Float64 | Float32, size_wh: tuple[int, int]) -> Float64:
    return np.asarray(cv2.resize(plane, size_wh, interpolation=cv2.INTER_AREA), np.float64)


def _magnitude(luma: Float64) -> Float64:
    prewitt = np.array([[1.0, 0.0, -1.0]] * 3) / 3.0
    x, y = (cv2.filter2D(luma, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for kernel in (prewitt, prewitt.T))
    return np.asarray(np.hypot(x, y), np.float64)


def _derivative(values: Float64, dx: int, dy: int) -> Float64:
    # Scharr's weights sum to 32 over a distance of two pixels' half: 1/32 makes it grey levels a pixel.
    return np.asarray(cv2.Scharr(values, cv2.CV_64F, dx, dy, scale=1.0 / 32.0, borderType=cv2.BORDER_REFLECT_101))
