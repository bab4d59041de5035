"""Crops unwrapped onto the canonical mesh, where they lie over each other and can be blended without a warp each.

Skin bears being sampled twice, since the texture is finer than the crop. Eyes and mouth do not: there a mesh that was
seen with closed lips has no room for teeth, and the irises move. So a crop's own pixels are kept of those, to be warped
straight to a wanted geometry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.training.mesh import EYE_LEFT, EYE_RIGHT, LIPS, RasterMesh, filled
from countenance.training.shading import GRID, front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.types import Float32, UInt8

__all__ = [
    "CELLS",
    "FEATURES",
    "Feature",
    "Patch",
    "Unwrapped",
    "blend",
    "feature_box",
    "feature_masks",
    "finer",
    "unwrap",
    "unwrapped_bytes",
]

CELLS = 48
"""Cells a side of the maps that say how much a crop counts at each place: that changes slowly."""

_CELL = 6  # texels of a crop of 256
_GROWN, _SOFT = 2, 1.0  # pixels of 256 around lids and lips: kept whole, and the standard deviation of the rim
_REACH = 16  # pixels of 256 around lids and lips in which everything of a feature lies


class Feature(NamedTuple):
    """Part of a face that moves: its contour's landmark numbers, and whether the eyes' descriptor governs it."""

    contour: tuple[int, ...]
    of_eyes: bool


FEATURES = (Feature(EYE_RIGHT, True), Feature(EYE_LEFT, True), Feature(LIPS, False))


class Patch(NamedTuple):
    """A crop's pixels around a feature: uint8 ``(h, w, 4)``, and the ``(x, y)`` of its first pixel in the crop."""

    rgba: UInt8
    corner: tuple[int, int]


class Unwrapped(NamedTuple):
    """A crop on the canonical mesh.

    ``texture`` uint8 ``(N, N, 4)``, with N of :func:`finer`: colours times how surely they are the person's own, and
    that; ``patches`` one of each of :data:`FEATURES`.
    """

    texture: UInt8
    patches: tuple[Patch, ...]


def finer(size: int) -> int:
    """Side of the texture of crops of side ``size``."""
    return CELLS * max(_CELL * size // 256, 1)


def unwrapped_bytes(size: int) -> int:
    """About how much memory an unwrapped crop of side ``size`` takes."""
    return 4 * (finer(size) ** 2 + size**2 // 4)


@lru_cache(maxsize=4)
def _mesh(size: int) -> RasterMesh:
    return front(size, finer(size) // 2)[0]


def unwrap(rgba: UInt8, points_xy: Float32) -> Unwrapped:
    """Unwrap a crop.

    Args:
        rgba: uint8 ``(S, S, 4)``, see :func:`countenance.training.shading.neutral_crop`.
        points_xy: float32 ``(478, 2)`` in its pixels.
    """
    side = finer(len(rgba))
    mapping = cv2.resize(_mesh(len(rgba)).sampling_map(points_xy), (side, side), interpolation=cv2.INTER_LINEAR)
    seen = cv2.remap(rgba, mapping, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]
    sure = cv2.merge([cv2.extractChannel(seen, 3)] * 4)
    seen[..., 3] = 255
    texture = np.asarray(cv2.multiply(seen, sure, scale=1.0 / 255.0), np.uint8)
    return Unwrapped(texture, tuple(_patch(rgba, points_xy[list(feature.contour)]) for feature in FEATURES))


def _patch(rgba: UInt8, contour_xy: Float32) -> Patch:
    size = len(rgba)
    reach = _REACH * size // 256
    x0, y0 = np.clip(np.floor(contour_xy.min(0)).astype(int) - reach, 0, size - 2).tolist()
    x1, y1 = np.clip(np.ceil(contour_xy.max(0)).astype(int) + reach + 1, [x0 + 2, y0 + 2], size).tolist()
    return Patch(rgba[y0:y1, x0:x1].copy(), (x0, y0))


@lru_cache(maxsize=1)
def feature_masks() -> tuple[Float32, ...]:
    """Where each of :data:`FEATURES` is on the canonical mesh, soft: float32 ``(GRID, GRID)`` in [0, 1]."""
    drawn = []
    for feature in FEATURES:
        inside = filled(front(256, GRID)[1], (feature.contour,), 256)
        grown = cv2.dilate(inside, np.ones((2 * _GROWN + 1, 2 * _GROWN + 1), np.uint8)).astype(np.float32)
        drawn.append(cv2.resize(cv2.GaussianBlur(grown, (0, 0), _SOFT), (GRID, GRID), interpolation=cv2.INTER_AREA))
    return tuple(np.asarray(one, np.float32) for one in drawn)


def feature_box(contour_xy: Float32, size: int, grid: int) -> tuple[slice, slice]:
    """Cells of a grid (rows, columns) over a crop of side ``size`` in which everything of a feature lies."""
    each, reach = size / grid, _REACH * size / 256
    low = np.clip(np.floor((contour_xy.min(0) - reach) / each), 0, grid - 1).astype(int)
    high = np.clip(np.ceil((contour_xy.max(0) + reach) / each) + 1, low + 1, grid).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def blend(base: Float32, crops: Sequence[tuple[UInt8, Float32]]) -> Float32:
    """A base and textures over each other, float32 ``(N, N, 4)``: colours times how much they count, and that.

    Args:
        base: the same of what lies below them.
        crops: textures with how much each counts at each place, ``(CELLS, CELLS)`` in [0, 1].
    """
    total, side = base.copy(), len(base)
    each = side // CELLS
    for texture, counts in crops:
        weights = cv2.convertScaleAbs(np.maximum(counts, 0.0), alpha=255.0)
        rows = np.flatnonzero(weights.any(axis=1))
        if not len(rows):
            continue
        start, stop = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, CELLS)
        part = slice(start * each, stop * each)
        large = cv2.resize(weights[start:stop], (side, (stop - start) * each), interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(texture[part], cv2.merge([large] * 4), total[part])
    return total
