"""Colour: sRGB, linear light, CIE Lab, and matching the colours of two faces (pure: NumPy and OpenCV).

Pictures are sRGB-encoded uint8 RGB. Lab is CIE 1976 L*a*b* with the D65 white point: L in [0, 100], a and b around 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "ColorMatch",
    "ColorStatistics",
    "apply_match",
    "lab_from_rgb",
    "linear_from_srgb",
    "match_colors",
    "rgb_from_lab",
    "srgb_from_linear",
    "statistics",
]

_VISIBLE = 0.05  # in Lab units, far below one step of a uint8 picture: a smaller change is none
_LARGEST_GAIN = 1.25  # more contrast than this amplifies the noise of a small painted face


@lru_cache(maxsize=1)
def _linear_of_byte() -> Float32:
    """Linear light of each of the 256 sRGB codes, float32 ``(256,)`` in [0, 1] (IEC 61966-2-1)."""
    encoded = np.arange(256, dtype=np.float64) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def linear_from_srgb(rgb: UInt8) -> Float32:
    """Linear light in [0, 1], float32 of the same shape, of an sRGB-encoded uint8 picture."""
    return np.asarray(_linear_of_byte()[rgb], np.float32)


def srgb_from_linear(linear: Float32) -> UInt8:
    """sRGB-encoded uint8 picture of linear light; values outside [0, 1] are clipped."""
    light = np.clip(np.asarray(linear, np.float64), 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1.0 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255.0), np.uint8)


def lab_from_rgb(rgb: UInt8) -> Float32:
    """CIE Lab, float32 ``(H, W, 3)``, of an sRGB uint8 picture ``(H, W, 3)``."""
    scaled = np.multiply(rgb, np.float32(1.0 / 255.0), dtype=np.float32)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2Lab), np.float32)


def rgb_from_lab(lab: Float32) -> UInt8:
    """sRGB uint8 picture ``(H, W, 3)`` of CIE Lab; colours outside sRGB are clipped."""
    encoded = np.asarray(cv2.cvtColor(np.ascontiguousarray(lab, np.float32), cv2.COLOR_Lab2RGB), np.float32)
    return np.asarray(np.rint(np.clip(encoded, 0.0, 1.0) * 255.0), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class ColorStatistics:
    """Weighted mean and standard deviation of a picture's Lab channels, float64 ``(3,)`` each."""

    mean: Float64
    deviation: Float64


@dataclass(frozen=True, slots=True, eq=False)
class ColorMatch:
    """An affine change of Lab: ``gain * (lab - pivot) + pivot + shift``, each float64 ``(3,)``."""

    gain: Float64
    shift: Float64
    pivot: Float64

    def toward(self, other: ColorMatch, amount: float) -> ColorMatch:
        """This match moved by ``amount`` in [0, 1] to ``other``: how a match is smoothed in time."""
        return ColorMatch(
            self.gain + amount * (other.gain - self.gain),
            self.shift + amount * (other.shift - self.shift),
            self.pivot + amount * (other.pivot - self.pivot),
        )

    @property
    def is_visible(self) -> bool:
        """Whether the change is large enough to move any pixel of a uint8 picture."""
        # 25 is a generous spread of Lab inside a face: a gain moves the pixels there by so much at most.
        return bool(np.abs(self.shift).max() + 25.0 * np.abs(self.gain - 1.0).max() > _VISIBLE)


def statistics(lab: Float32, weights: Float32) -> ColorStatistics:
    """Weighted statistics of a Lab picture.

    Args:
        lab: float32 ``(H, W, 3)``.
        weights: float32 ``(H, W)``, not negative.

    Raises:
        ValueError: the weights are all zero, or the shapes differ.
    """
    if weights.shape != lab.shape[:2]:
        raise ValueError(f"statistics: expected weights {lab.shape[:2]}, got {weights.shape}")
    flat = lab.reshape(-1, 3)
    weight = weights.reshape(-1).astype(np.float32)
    total = float(weight.sum(dtype=np.float64))
    if not total > 0.0:
        raise ValueError("statistics: expected a weight above zero somewhere, got none")
    mean = (weight @ flat).astype(np.float64) / total
    centred = flat - mean.astype(np.float32)
    variance = (weight @ (centred * centred)).astype(np.float64) / total
    return ColorStatistics(mean, np.sqrt(variance))


def match_colors(painted: ColorStatistics, footage: ColorStatistics, *, strength: float = 1.0) -> ColorMatch:
    """The change that gives ``painted`` the statistics of ``footage``.

    E. Reinhard et al., "Color transfer between images", CG&A 2001, in Lab, with the gain kept within a factor of
    1.25: a swapped face may be flatter than the footage for reasons other than its light.

    Args:
        painted: of the face to change.
        footage: of the face to match.
        strength: 0 changes nothing, 1 matches fully.
    """
    ratio = (footage.deviation + 0.5) / (
        painted.deviation + 0.5
    )  # half a unit: a flat channel has no contrast to match
    gain = np.clip(ratio, 1.0 / _LARGEST_GAIN, _LARGEST_GAIN)
    return ColorMatch(1.0 + strength * (gain - 1.0), strength * (footage.mean - painted.mean), painted.mean)


def apply_match(rgb: UInt8, match: ColorMatch) -> UInt8:
    """The picture with its colours changed; the very same array when the change would not be visible."""
    if not match.is_visible:
        return rgb
    lab = lab_from_rgb(rgb)
    lab *= match.gain.astype(np.float32)
    lab += (match.pivot * (1.0 - match.gain) + match.shift).astype(np.float32)
    return rgb_from_lab(lab)
