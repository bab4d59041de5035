"""The veil: what covers a performer's face that could not be replaced.

Soft to the eye and irreversible: the region keeps 6 × 7 averaged colours, rounded to 16 steps of lightness and 32 of
hue: the face itself is about 3 × 4 of them, too few to tell anybody from, whatever is done to them afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.conversion.blend import Layer, Region
from countenance.geometry import smoothstep

if TYPE_CHECKING:
    from countenance.types import Float32, UInt8

__all__ = ["head_ellipse", "veil", "veil_alpha"]

_CELLS_WH = (6, 7)
_STEPS_YCC = np.array([16, 8, 8])
_FEATHER = 1.3  # the ellipse's rim, where the veil has faded out, in radii of its full part


def head_ellipse(face_xyxy: Float32) -> Float32:
    """The ellipse of the whole head around a face's box: ``(x, y, radius_x, radius_y)``, float32 pixels.

    Args:
        face_xyxy: float32 ``(4,)``, from brow line or hairline to chin, as a detector or landmarks give it.
    """
    x0, y0, x1, y1 = (float(value) for value in face_xyxy)
    width, height = x1 - x0, y1 - y0
    size = max(width, 0.8 * height)  # a profile's box is narrow, its head is not
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2 - 0.08 * height, 0.75 * size, 0.85 * max(height, width)], np.float32)


def veil(rgb: UInt8, ellipse: Float32, layers: list[Layer] | None = None, amount: float = 1.0) -> None:
    """Veil an ellipse of a picture, in place; pixels farther out than 1.3 radii stay as they are.

    Args:
        rgb: uint8 ``(H, W, 3)``, writable.
        ellipse: float32 ``(4,)``, see :func:`head_ellipse`; may reach past the picture.
        layers: takes what was laid over the picture.
        amount: in [0, 1]; less than 1 only over a face that is replaced already.
    """
    left, top, right, bottom = _bounds(rgb.shape[:2], ellipse)
    if right <= left or bottom <= top or amount <= 0.0:
        return
    region = rgb[top:bottom, left:right]
    cells = cv2.resize(region, _CELLS_WH, interpolation=cv2.INTER_AREA)
    ycc = cv2.cvtColor(cells, cv2.COLOR_RGB2YCrCb).astype(np.int32)  # rounding RGB would speckle the skin with hues
    ycc = np.clip((ycc + _STEPS_YCC // 2) // _STEPS_YCC * _STEPS_YCC, 0, 255).astype(np.uint8)
    cells = cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    cover = cv2.resize(cells, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    alpha = np.float32(amount) * _alpha(ellipse, left, top, right, bottom)
    change = alpha[..., None] * (cover - region)
    if layers is not None:
        layers.append(Layer(Region(left, top, right, bottom), region.copy(), change, alpha))
    region[:] = np.rint(region + change).astype(np.uint8)


def veil_alpha(size_hw: tuple[int, int], ellipse: Float32) -> Float32:
    """How strongly a whole veil covers each pixel, float32 ``(H, W)`` in [0, 1].

    Args:
        size_hw: of the picture.
        ellipse: float32 ``(4,)``, see :func:`head_ellipse`.
    """
    whole = np.zeros(size_hw, np.float32)
    left, top, right, bottom = _bounds(size_hw, ellipse)
    if right > left and bottom > top:
        whole[top:bottom, left:right] = _alpha(ellipse, left, top, right, bottom)
    return whole


def _radii(ellipse: Float32) -> tuple[float, float]:
    return max(float(ellipse[2]), 2.0), max(float(ellipse[3]), 2.0)


def _bounds(size_hw: tuple[int, ...], ellipse: Float32) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that a veil touches, inside the picture."""
    (x, y), (radius_x, radius_y) = (float(ellipse[0]), float(ellipse[1])), _radii(ellipse)
    left, right = int(np.floor(x - _FEATHER * radius_x)), int(np.ceil(x + _FEATHER * radius_x)) + 1
    top, bottom = int(np.floor(y - _FEATHER * radius_y)), int(np.ceil(y + _FEATHER * radius_y)) + 1
    return max(left, 0), max(top, 0), min(right, size_hw[1]), min(bottom, size_hw[0])


def _alpha(ellipse: Float32, left: int, top: int, right: int, bottom: int) -> Float32:
    radius_x, radius_y = _radii(ellipse)
    across = (np.arange(left, right, dtype=np.float32) - ellipse[0]) / radius_x
    down = (np.arange(top, bottom, dtype=np.float32) - ellipse[1]) / radius_y
    distance = np.sqrt(down[:, None] ** 2 + across[None, :] ** 2)
    return np.asarray(smoothstep((_FEATHER - distance) / (_FEATHER - 1.0)), np.float32)
