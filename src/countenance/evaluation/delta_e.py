"""How different two colours look: CIEDE2000 (pure: NumPy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float64

__all__ = ["delta_e_2000"]

_25_TO_7 = 25.0**7


def delta_e_2000(a_lab: NDArray[np.floating], b_lab: NDArray[np.floating]) -> Float64:
    """Colour difference ΔE00 of each pair of Lab colours; 0 is equal, about 1 just noticeable side by side.

    G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test
    data, and mathematical observations", Color Research and Application 30(1), 2005, with kL = kC = kH = 1. The tests
    hold it to the 34 pairs of that paper.

    Args:
        a_lab: ``(..., 3)``, CIE L*a*b* (L in [0, 100]).
        b_lab: the same shape.

    Returns:
        float64 ``(...)``, at least 0.

    Raises:
        ValueError: shapes that differ, or no three channels.
    """
    a, b = np.asarray(a_lab, np.float64), np.asarray(b_lab, np.float64)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise ValueError(f"delta_e_2000: expected two (..., 3) arrays of one shape, got {a.shape} and {b.shape}")
    mean_chroma7 = ((np.hypot(a[..., 1], a[..., 2]) + np.hypot(b[..., 1], b[..., 2])) / 2.0) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma7 / (mean_chroma7 + _25_TO_7))  # 1 + G
    (chroma_a, hue_a), (chroma_b, hue_b) = (_polar(c[..., 1] * stretch, c[..., 2]) for c in (a, b))
    grey = chroma_a * chroma_b == 0.0  # a grey has no hue: it takes the other's

    turn = hue_b - hue_a
    turn = np.where(turn > 180.0, turn - 360.0, np.where(turn < -180.0, turn + 360.0, turn))
    turn = np.where(grey, 0.0, turn)
    d_light, d_chroma = b[..., 0] - a[..., 0], chroma_b - chroma_a
    d_hue = 2.0 * np.sqrt(chroma_a * chroma_b) * np.sin(np.radians(turn / 2.0))

    light, chroma = (a[..., 0] + b[..., 0]) / 2.0, (chroma_a + chroma_b) / 2.0
    both = hue_a + hue_b
    far = np.abs(hue_a - hue_b) > 180.0
    hue = np.where(far, np.where(both < 360.0, both + 360.0, both - 360.0), both) / 2.0
    hue = np.where(grey, both, hue)

    t = (
        1.0
        - 0.17 * np.cos(np.radians(hue - 30.0))
        + 0.24 * np.cos(np.radians(2.0 * hue))
        + 0.32 * np.cos(np.radians(3.0 * hue + 6.0))
        - 0.20 * np.cos(np.radians(4.0 * hue - 63.0))
    )
    middle = (light - 50.0) ** 2
    scale_light = 1.0 + 0.015 * middle / np.sqrt(20.0 + middle)
    scale_chroma, scale_hue = 1.0 + 0.045 * chroma, 1.0 + 0.015 * chroma * t
    blue_angle = 30.0 * np.exp(-(((hue - 275.0) / 25.0) ** 2))
    chroma7 = chroma**7
    rotation = -2.0 * np.sqrt(chroma7 / (chroma7 + _25_TO_7)) * np.sin(np.radians(2.0 * blue_angle))
    l_term, c_term, h_term = d_light / scale_light, d_chroma / scale_chroma, d_hue / scale_hue
    squared = l_term**2 + c_term**2 + h_term**2 + rotation * c_term * h_term
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _polar(a: Float64, b: Float64) -> tuple[Float64, Float64]:
    """Chroma, and hue in degrees in [0, 360)."""
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360.0
