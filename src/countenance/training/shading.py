"""Light without features: how a face's light differs from the person's own mean, and putting it on another face.

A low-pass of a face is not its light: brows, lips and irises are in it, and carried over to another face they wash that
one's own features out. Against the same person's mean texture they cancel, and what is left is the light of the moment,
at a resolution at which noses throw shadows. So every crop of the lender is freed of its own light once, crops of all
lights can be blended, and the performer's light of the moment is put on the blend.

Textures lie on the canonical mesh seen from the front, a grid of :data:`GRID` cells, as logarithms of linear light.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.geometry import canonical_face, template
from countenance.training.mesh import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    LIPS,
    RasterMesh,
    filled,
    rasterise,
)

if TYPE_CHECKING:
    from countenance.training.prepare import PersonFaces
    from countenance.types import Float32, UInt8

__all__ = ["GRID", "NEUTRAL_SCALE", "light_gain", "mean_texture", "shading_of", "texture_of", "without_light"]

GRID = 96
"""Cells a side of a texture.

On the embedded pair, untrained and with the low-pass exchange of :mod:`.model` after it: SSIM 0.819 and 24.0 dB with 96
cells and σ = 2, 0.812 and 23.8 dB with 64, 0.817 and 23.9 dB with 128 and σ = 3; with the exchange alone 0.811 and
23.5 dB.
"""

NEUTRAL_SCALE = 0.6
"""Crops without their light are stored this much darker, so that highlights are not clipped."""

_SIGMA = 2.0  # cells: how smooth light is
_FEATURES_COUNT = 0.2  # of eyes, brows and lips in the smoothing: they move, so their means cancel least
_FLOOR = 0.02  # of linear light: the logarithm of noise in the dark is no light
_GAMMA = 2.2  # a gain of linear light as one of sRGB codes
_MEAN_OF = 150  # faces, evenly: the median has settled
_CM_TO_PIXELS = 12.0 / 256.0  # of the crop's side, as the template's


@lru_cache(maxsize=4)
def _front(size: int) -> tuple[RasterMesh, Float32]:
    """The canonical mesh on the grid, and its landmarks ``(478, 2)`` in pixels of a crop of side ``size``."""
    points = np.concatenate([template(size), np.zeros((10, 2), np.float32)]).astype(np.float32)
    z_cm = np.append(canonical_face().vertices_cm[:, 2].astype(np.float64), np.zeros(10))
    return rasterise(points, (-z_cm * _CM_TO_PIXELS * size).astype(np.float32), size, GRID), points


@lru_cache(maxsize=1)
def _weights() -> Float32:
    """How much each cell counts in the smoothing, float32 ``(GRID, GRID)``."""
    raster, points = _front(256)
    features = filled(points, (EYE_RIGHT, EYE_LEFT, LIPS, BROW_RIGHT, BROW_LEFT), 256)
    grown = cv2.dilate(features, np.ones((7, 7), np.uint8)).astype(np.float32)
    small = cv2.resize(grown, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(raster.inside * (1.0 - (1.0 - _FEATURES_COUNT) * small) + 1e-3, np.float32)


def texture_of(rgb: UInt8, points_xy: Float32) -> Float32:
    """A crop on the canonical mesh, as the logarithm of linear light: float32 ``(GRID, GRID, 3)``.

    Args:
        rgb: uint8 ``(S, S, 3)``.
        points_xy: float32 ``(478, 2)`` in pixels of the crop.
    """
    size = rgb.shape[0]
    mapping = _front(size)[0].sampling_map(points_xy)
    smooth = cv2.GaussianBlur(rgb, (0, 0), max(0.5 * size / GRID, 0.3))  # the grid is coarser than the crop
    x, y = np.ascontiguousarray(mapping[..., 0]), np.ascontiguousarray(mapping[..., 1])
    moved = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(_log_light()[moved], np.float32)


@lru_cache(maxsize=1)
def _log_light() -> Float32:
    """Logarithm of linear light of the 256 sRGB codes, float32 ``(256,)``."""
    from countenance.color import linear_from_srgb

    return np.asarray(np.log(linear_from_srgb(np.arange(256, dtype=np.uint8)) + _FLOOR), np.float32)


def mean_texture(faces: PersonFaces) -> Float32:
    """A person's median texture over (at most 150 of) their faces: float32 ``(GRID, GRID, 3)``."""
    from countenance.training.prepare import evenly

    rows = evenly(len(faces.rgb), _MEAN_OF)
    return np.median([texture_of(faces.rgb[row], faces.points_xy[row]) for row in rows], axis=0).astype(np.float32)


def shading_of(rgb: UInt8, points_xy: Float32, mean: Float32) -> Float32:
    """A crop's light against the person's mean, smooth, as a logarithm: float32 ``(GRID, GRID, 3)``.

    Args:
        rgb: uint8 ``(S, S, 3)``.
        points_xy: float32 ``(478, 2)`` in pixels of the crop.
        mean: :func:`mean_texture` of the same person.
    """
    weights = _weights()[..., None]
    difference = (texture_of(rgb, points_xy) - mean) * weights
    return np.asarray(_blur(difference) / _blur(weights)[..., None], np.float32)


def _blur(values: Float32) -> Float32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _SIGMA, borderType=cv2.BORDER_REPLICATE), np.float32)


def light_gain(shading: Float32, raster: RasterMesh) -> Float32:
    """A shading laid over a face: what to multiply sRGB codes by, float32 ``(S, S, 3)`` of the mesh's crop size.

    Args:
        shading: see :func:`shading_of`.
        raster: the face's mesh.
    """
    size = raster.size
    mapping = raster.sampling_map(_front(size)[1])  # where on the canonical crop each pixel lies
    if mapping.shape[0] != size:
        mapping = np.asarray(cv2.resize(mapping, (size, size)), np.float32)
    cells = np.asarray((mapping + 0.5) * (GRID / size) - 0.5, np.float32)
    x, y = np.ascontiguousarray(cells[..., 0]), np.ascontiguousarray(cells[..., 1])
    gain = np.exp(shading / np.float32(_GAMMA))  # on the grid: smooth, so that interpolating it afterwards is the same
    return np.asarray(cv2.remap(gain, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def without_light(faces: PersonFaces, mean: Float32) -> UInt8:
    """Every crop as it would look in the person's mean light, times :data:`NEUTRAL_SCALE`: uint8 ``(N, S, S, 3)``."""
    size = faces.rgb.shape[1]
    result = np.empty_like(faces.rgb)

    def free(row: int) -> None:
        raster = rasterise(faces.points_xy[row], faces.depth[row], size, size // 4)
        gain = light_gain(-shading_of(faces.rgb[row], faces.points_xy[row], mean), raster)
        np.clip(np.round(faces.rgb[row] * gain * np.float32(NEUTRAL_SCALE)), 0, 255, out=gain)
        result[row] = gain

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(free, range(len(faces.rgb))))
    return result
