"""What every network of this package needs of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from countenance.types import UInt8

__all__ = ["as_rgb"]


def as_rgb(who: str, rgb: UInt8) -> UInt8:
    """The same RGB uint8 ``(H, W, 3)`` picture, laid out row by row, which OpenCV insists on.

    Raises:
        ValueError: another dtype or shape, or an empty picture.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"{who}: expected uint8 (H, W, 3), got {rgb.dtype.name} {rgb.shape}")
    return np.ascontiguousarray(rgb)
