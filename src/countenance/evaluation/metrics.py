"""How close a picture is to the truth, inside a mask (pure: NumPy, and OpenCV for filtering).

These metrics compare pixel with pixel, so they need a truth: the same shot with the right face. None says whether a
face is *whose* it should be, or whether it moves well; two pictures that look alike to people can differ in each.
What each one measures, and what fools it, stands in :mod:`countenance.evaluation.guide`; colour and gradients are
measured in :mod:`.delta_e` and :mod:`.gradients`.

A mask that reaches outside the face flatters everybody: the pixels there are the same in footage and truth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "MS_SSIM_WEIGHTS",
    "SSIM_SIGMA",
    "SSIM_TAPS",
    "check_pair",
    "close_holes",
    "erode",
    "error_map",
    "masked_mean",
    "ms_ssim",
    "psnr_db",
    "psnr_db_of",
    "squared_error",
    "ssim",
    "ssim_map",
]

SSIM_TAPS = 11
"""Width of SSIM's Gaussian window in pixels."""

SSIM_SIGMA = 1.5
"""Standard deviation of SSIM's Gaussian window in pixels."""

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's five scales, the finest first (table 1 of the paper)."""

_PEAK = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2  # Wang's K1, K2: keep flat regions from dividing by nothing


def psnr_db(picture: UInt8, truth: UInt8, mask: Float32 | None = None) -> float:
    """Peak signal-to-noise ratio in decibels, ``10·log10(255² / MSE)``; infinite for equal pictures.

    The mean squared error is over the three channels, each pixel weighted by the mask.

    Args:
        picture: uint8 ``(H, W, 3)``.
        truth: uint8 ``(H, W, 3)``, the same size.
        mask: float32 ``(H, W)`` in [0, 1]; None counts every pixel.

    Raises:
        ValueError: shapes that differ, or a mask in which nothing counts.
    """
    return psnr_db_of(squared_error(picture, truth, mask))


def squared_error(picture: UInt8, truth: UInt8, mask: Float32 | None = None) -> float:
    """Mean squared error in 8-bit steps squared, 0 .. 65025; arguments and errors as of :func:`psnr_db`.

    A clip's PSNR is that of the mean of its frames' errors: a mean of decibels would be ruled by the best frames.
    """
    return masked_mean(error_map(picture, truth), mask)


def error_map(picture: UInt8, truth: UInt8) -> Float64:
    """Squared error of each pixel, float64 ``(H, W)`` in 8-bit steps squared: the mean of the three channels.

    Raises:
        ValueError: shapes that differ.
    """
    check_pair(picture, truth)
    difference = picture.astype(np.float64) - truth.astype(np.float64)
    return np.asarray((difference**2).mean(axis=2), np.float64)


def psnr_db_of(error: float) -> float:
    """PSNR in decibels of a mean squared error; infinite for 0."""
    return math.inf if error == 0.0 else 10.0 * math.log10(_PEAK**2 / error)


def ssim(picture: UInt8, truth: UInt8, mask: Float32 | None = None) -> float:
    """Mean of :func:`ssim_map` inside the mask, in [−1, 1]; 1 for equal pictures.

    Args:
        picture: uint8 ``(H, W, 3)``.
        truth: uint8 ``(H, W, 3)``, the same size.
        mask: float32 ``(H, W)`` in [0, 1]; None counts every pixel. Windows at its edge see a little of what lies
            outside (5 pixels): erode the mask where that matters.

    Raises:
        ValueError: shapes that differ, or a mask in which nothing counts.
    """
    return masked_mean(ssim_map(picture, truth), mask)


def ssim_map(picture: UInt8, truth: UInt8) -> Float64:
    """Structural similarity of each pixel's neighbourhood, float64 ``(H, W)``, the mean of the three channels.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004: 11 × 11 Gaussian window with σ = 1.5, K1 = 0.01, K2 = 0.03, L = 255. The paper
    takes luminance only; we take R, G and B apart and average, so that a wrong hue counts. At the border pictures are
    mirrored.

    Args:
        picture: uint8 ``(H, W, 3)``.
        truth: uint8 ``(H, W, 3)``, the same size.

    Raises:
        ValueError: shapes that differ.
    """
    check_pair(picture, truth)
    luminance, structure = _ssim_terms(picture.astype(np.float64), truth.astype(np.float64))
    return np.asarray((luminance * structure).mean(axis=2), np.float64)


def ms_ssim(picture: UInt8, truth: UInt8, mask: Float32 | None = None) -> float:
    """Multi-scale structural similarity inside a mask, in [0, 1]; 1 for equal pictures.

    Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multiscale structural similarity for image quality assessment", Asilomar
    2003: contrast and structure at five scales, each half the one before, luminance at the last; the product of the
    masked means with the exponents :data:`MS_SSIM_WEIGHTS`. A negative mean counts as 0. R, G and B apart, then their
    mean, as :func:`ssim_map` does. The mask shrinks with the pictures, by averaging.

    Args:
        picture: uint8 ``(H, W, 3)``, at least 16 pixels each way.
        truth: uint8 ``(H, W, 3)``, the same size.
        mask: float32 ``(H, W)`` in [0, 1]; None counts every pixel.

    Raises:
        ValueError: shapes that differ, a picture too small for five scales, or a mask in which nothing counts.
    """
    check_pair(picture, truth)
    if min(picture.shape[:2]) < 16:
        raise ValueError(f"picture: expected at least 16 pixels each way for five scales, got {picture.shape}")
    x, y = picture.astype(np.float64), truth.astype(np.float64)
    weights = np.ones(picture.shape[:2]) if mask is None else mask.astype(np.float64)
    if weights.shape != x.shape[:2]:
        raise ValueError(f"mask: expected {x.shape[:2]}, got {weights.shape}")
    product = np.ones(3)
    for scale, exponent in enumerate(MS_SSIM_WEIGHTS):
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        luminance, structure = _ssim_terms(x, y)
        values = luminance * structure if last else structure
        total = weights.sum()
        if not total > 0.0:
            raise ValueError("mask: expected a region that counts, got an empty mask")
        product *= np.maximum((values * weights[..., None]).sum(axis=(0, 1)) / total, 0.0) ** exponent
        if not last:
            x, y, weights = (_halved(plane) for plane in (x, y, weights))
    return float(product.mean())


def _ssim_terms(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """SSIM's luminance term, and its contrast and structure terms in one, float64 ``(H, W, 3)`` each."""
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2.0 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return luminance, (2.0 * covariance + _C2) / (variance_x + variance_y + _C2)


def _halved(values: Float64) -> Float64:
    """Means of 2 × 2 pixels; an odd last row or column is left out, as in the paper's filter-and-drop."""
    height, width = values.shape[0] // 2 * 2, values.shape[1] // 2 * 2
    even = values[:height, :width]
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4.0)


def masked_mean(values: Float64, mask: Float32 | None) -> float:
    """Mean of a map, each pixel weighted by the mask.

    Args:
        values: float64 ``(H, W)``.
        mask: float32 ``(H, W)`` in [0, 1]; None counts every pixel.

    Raises:
        ValueError: shapes that differ, or a mask in which nothing counts.
    """
    if mask is None:
        return float(values.mean())
    if mask.shape != values.shape:
        raise ValueError(f"mask: expected {values.shape}, got {mask.shape}")
    weights: NDArray[np.float64] = mask.astype(np.float64)
    total = float(weights.sum())
    if not total > 0.0:
        raise ValueError("mask: expected a region that counts, got an empty mask")
    return float((values * weights).sum() / total)


def close_holes(mask: Float32, radius: int = 4) -> Float32:
    """A mask without pin-holes: morphological closing by a square of ``2·radius + 1`` pixels, soft edges kept.

    Args:
        mask: float32 ``(H, W)`` in [0, 1].
        radius: holes up to twice as wide are closed.
    """
    side = 2 * radius + 1
    closed = cv2.morphologyEx(np.pad(mask, side), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(closed[side:-side, side:-side], np.float32)


def erode(mask: Float32, radius: int) -> Float32:
    """A mask whose edge has moved inwards by ``radius`` pixels: the face without its outline.

    Args:
        mask: float32 ``(H, W)`` in [0, 1].
        radius: in pixels; 0 changes nothing.
    """
    side = 2 * radius + 1
    return np.asarray(cv2.erode(mask, np.ones((side, side), np.uint8)), np.float32)


def _blur(values: Float64) -> Float64:
    return np.asarray(
        cv2.GaussianBlur(values, (SSIM_TAPS, SSIM_TAPS), SSIM_SIGMA, borderType=cv2.BORDER_REFLECT_101), np.float64
    )


def check_pair(picture: UInt8, truth: UInt8) -> None:
    """Hold two pictures to uint8 ``(H, W, 3)`` of one size.

    Raises:
        ValueError: they are not.
    """
    for name, value in (("picture", picture), ("truth", truth)):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
            raise ValueError(f"{name}: expected uint8 (any, any, 3), got {value.dtype.name} {value.shape}")
    if picture.shape != truth.shape:
        raise ValueError(f"picture: expected the truth's {truth.shape}, got {picture.shape}")
