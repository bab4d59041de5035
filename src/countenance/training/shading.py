"""Light without features: how a face's light differs from the person's own mean, and putting it on another face.

A low-pass of a face is not its light: brows, lips and irises are in it, and carried over to another face they wash that
one's own features out. Against the same person's mean texture they cancel, and what is left is the light of the moment,
at a resolution at which noses throw shadows. So every crop of the lender is freed of its own light once, crops of all
lights can be blended, and the performer's light of the moment is put on the blend.

Textures lie on the canonical mesh seen from the front, a grid of :data:`GRID` cells, as logarithms of linear light.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.geometry import canonical_face, smoothstep, template
from countenance.memory import MadeRows
from countenance.training.mesh import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    LIPS,
    RasterMesh,
    filled,
    rasterise,
    sampled,
)

if TYPE_CHECKING:
    from countenance.training.prepare import PersonFaces
    from countenance.types import Float32, UInt8

__all__ = [
    "GRID",
    "NEUTRAL_SCALE",
    "canonical_xy",
    "features",
    "front",
    "laid_over",
    "light_and_clear",
    "light_gain",
    "mean_texture",
    "neutral_crop",
    "neutral_crops",
    "plausible",
    "shading_of",
    "texture_of",
]

GRID = 96
"""Cells a side of a texture.

On the embedded pair, untrained and with the low-pass exchange of :mod:`.model` after it: SSIM 0.819 and 24.0 dB with 96
cells and σ = 2, 0.812 and 23.8 dB with 64, 0.817 and 23.9 dB with 128 and σ = 3; with the exchange alone 0.811 and
23.5 dB.
"""

NEUTRAL_SCALE = 0.6
"""Crops without their light are stored this much darker, so that highlights are not clipped."""

_SIGMA = 2.0  # cells: how smooth light is
_FAR_SIGMA, _FAR_SHARE = 8.0, 0.05  # the light that goes on under hair, and its share where skin is seen
_COARSE_SIGMA = 10.0  # cells: light of a whole cheek
_REFITS = 4
_SHADOW = (
    0.4  # logarithm of light: what differs from its surroundings by so much is doubtful, by twice as much it is out
)
_FEATURES_COUNT = 0.2  # of eyes, brows and lips in the smoothing: they move, so their means cancel least
_FLOOR = 0.02  # of linear light: the logarithm of noise in the dark is no light
_GAMMA = 2.2  # a gain of linear light as one of sRGB codes
_MEAN_OF = 150  # faces, evenly: the median has settled
_KEPT_BYTES = 64 * 2**20  # of crops without their light: 256 of 256 × 256; unwrapped ones are kept, too
_CM_TO_PIXELS = 12.0 / 256.0  # of the crop's side, as the template's


@lru_cache(maxsize=4)
def front(size: int, grid: int) -> tuple[RasterMesh, Float32]:
    """The canonical mesh on a grid, and its landmarks ``(478, 2)`` in pixels of a crop of side ``size``."""
    points = np.concatenate([template(size), np.zeros((10, 2), np.float32)]).astype(np.float32)
    z_cm = np.append(canonical_face().vertices_cm[:, 2].astype(np.float64), np.zeros(10))
    return rasterise(points, (-z_cm * _CM_TO_PIXELS * size).astype(np.float32), size, grid), points


@lru_cache(maxsize=1)
def _weights() -> Float32:
    """How much each cell counts in the smoothing, float32 ``(GRID, GRID)``."""
    inside = front(256, GRID)[0].inside
    return np.asarray(inside * (1.0 - (1.0 - _FEATURES_COUNT) * features()) + 1e-3, np.float32)


@lru_cache(maxsize=1)
def features() -> Float32:
    """Where eyes, brows and lips are on a texture: float32 ``(GRID, GRID)`` in [0, 1]."""
    drawn = filled(front(256, GRID)[1], (EYE_RIGHT, EYE_LEFT, LIPS, BROW_RIGHT, BROW_LEFT), 256)
    grown = cv2.dilate(drawn, np.ones((7, 7), np.uint8)).astype(np.float32)
    return np.asarray(cv2.resize(grown, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def texture_of(rgb: UInt8, points_xy: Float32) -> Float32:
    """A crop on the canonical mesh, as the logarithm of linear light: float32 ``(GRID, GRID, 3)``.

    Args:
        rgb: uint8 ``(S, S, 3)``.
        points_xy: float32 ``(478, 2)`` in pixels of the crop.
    """
    size = rgb.shape[0]
    mapping = front(size, GRID)[0].sampling_map(points_xy)
    # The grid is coarser than the crop.
    smooth = np.asarray(cv2.GaussianBlur(rgb, (0, 0), max(0.5 * size / GRID, 0.3)), np.uint8)
    return np.asarray(cv2.LUT(sampled(smooth, mapping), _log_light()), np.float32)


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
    return light_and_clear(rgb, points_xy, mean)[0]


def light_and_clear(rgb: UInt8, points_xy: Float32, mean: Float32) -> tuple[Float32, Float32]:
    """Of a crop: :func:`shading_of`, and where it is :func:`plausible`; arguments as there."""
    difference = texture_of(rgb, points_xy) - mean
    clear = plausible(difference)
    return _light_in(difference, clear), clear


def _light_in(difference: Float32, clear: Float32) -> Float32:
    """The smooth part of a difference of textures, where it is :func:`plausible`."""
    weights = (_weights() * clear)[..., None]
    near, far = (
        (_blur(difference * weights, sigma), _blur(weights, sigma)[..., None]) for sigma in (_SIGMA, _FAR_SIGMA)
    )
    # Where nothing near by counts, such as under a strand of hair, what is around it goes on.
    return np.asarray((near[0] + _FAR_SHARE * far[0] / (far[1] + 1e-6)) / (near[1] + _FAR_SHARE), np.float32)


def plausible(difference: Float32) -> Float32:
    """Where a texture can show the person's own face: float32 ``(GRID, GRID)`` in [0, 1].

    Light is smooth, and a face's own marks cancel against the mean. Hair, a hand or what is behind the cheek differ
    over an area and by more than shadows do. Found by refitting a coarse light without what differed from the last one
    (iteratively reweighted least squares). Eyes, brows and lips move, so they always pass.

    Args:
        difference: of two textures (:func:`texture_of`), the second one the person's mean.
    """
    luma = _blur(np.asarray(difference.mean(2), np.float32), 1.0)
    skin = front(256, GRID)[0].inside * (1.0 - features()) + np.float32(1e-3)
    clear = np.ones_like(luma)
    for _ in range(_REFITS):
        weights = skin * clear
        coarse = _blur(luma * weights, _COARSE_SIGMA) / (_blur(weights, _COARSE_SIGMA) + 1e-6)
        clear = np.asarray(1.0 - smoothstep((np.abs(luma - coarse) - _SHADOW) / _SHADOW), np.float32)
    return np.maximum(clear, features())


def _blur(values: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def canonical_xy(raster: RasterMesh) -> Float32:
    """Where each pixel of a face's crop lies on the canonical one of the same side: float32 ``(S, S, 2)`` in pixels."""
    mapping = raster.sampling_map(front(raster.size, GRID)[1])
    if mapping.shape[0] != raster.size:
        mapping = np.asarray(cv2.resize(mapping, (raster.size, raster.size)), np.float32)
    return mapping


def laid_over(texture: Float32, canonical: Float32, size: int | None = None) -> Float32:
    """A texture of any grid laid over a face: float32 ``(H, W)`` or ``(H, W, C)``.

    Args:
        texture: float32 ``(G, G)`` or ``(G, G, C)``.
        canonical: :func:`canonical_xy` of the face, or a part of it ``(H, W, 2)``.
        size: side of the whole, if it is a part.
    """
    scale = texture.shape[0] / (size or canonical.shape[0])
    cells = np.asarray((canonical + np.float32(0.5)) * np.float32(scale) - np.float32(0.5), np.float32)
    how = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return np.asarray(cv2.remap(texture, cells, None, **how), np.float32)  # type: ignore[call-overload]  # see sampled


def light_gain(shading: Float32, canonical: Float32) -> Float32:
    """A shading laid over a face: what to multiply sRGB codes by, float32 ``(S, S, 3)``.

    Args:
        shading: see :func:`shading_of`.
        canonical: :func:`canonical_xy` of the face.
    """
    # Raised to its power on the grid: it is smooth, so that interpolating it afterwards is the same.
    return laid_over(np.exp(shading / np.float32(_GAMMA)), canonical)


def neutral_crop(rgb: UInt8, points_xy: Float32, depth: Float32, mean: Float32) -> UInt8:
    """One crop as it would look in the person's mean light, times :data:`NEUTRAL_SCALE`: uint8 ``(S, S, 4)``.

    The fourth channel is how surely a pixel shows the person's face (:func:`plausible`), 255 for surely.

    Args:
        rgb: uint8 ``(S, S, 3)``.
        points_xy: float32 ``(478, 2)`` in pixels of the crop.
        depth: float32 ``(478,)``.
        mean: :func:`mean_texture` of the same person.
    """
    size = rgb.shape[0]
    raster = rasterise(points_xy, depth, size, size // 4)
    canonical = canonical_xy(raster)
    shading, clear = light_and_clear(rgb, points_xy, mean)
    lit = np.asarray(cv2.multiply(rgb, light_gain(-shading, canonical), dtype=cv2.CV_32F), np.float32)
    lit *= np.float32(NEUTRAL_SCALE)
    sure = cv2.convertScaleAbs(255.0 * laid_over(clear, canonical))
    return np.asarray(cv2.merge([*cv2.split(cv2.convertScaleAbs(lit)), sure]), np.uint8)


def neutral_crops(faces: PersonFaces, mean: Float32, keep_bytes: int = _KEPT_BYTES) -> MadeRows:
    """:func:`neutral_crop` of each face, uint8 ``(N, S, S, 4)``, made when it is looked at.

    A render looks at few of the crops of a large face set, and at the same ones in frame after frame.

    Args:
        faces: the person's faces.
        mean: their :func:`mean_texture`.
        keep_bytes: how much of the last crops is kept.
    """
    shape = (*faces.rgb.shape[:3], 4)

    def make(row: int) -> UInt8:
        return neutral_crop(faces.rgb[row], faces.points_xy[row], faces.depth[row], mean)

    return MadeRows(shape, lru_cache(maxsize=keep_bytes // int(np.prod(shape[1:])))(make))
