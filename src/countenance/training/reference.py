"""Retrieve and warp: what the lender's own crops say about a wanted geometry, before anything is learned.

For a wanted geometry the nearest crops are looked up twice, by eyes and by mouth (each with the head's pose), blended
on the canonical mesh with weights that change continuously, so that no crop pops in, and warped there from it; eyes and
lips straight from the crops (see :mod:`countenance.training.unwrapped`). The performer's expression goes onto the
lender's own mean shape in the pose-free frame (performer − performer's mean + lender's mean; see
:mod:`countenance.training.closing` for what is closed).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.geometry import canonical_face, pose_degrees, smoothstep, template, umeyama
from countenance.training.mesh import FrontalFace, RasterMesh, frontalise, outline, rasterise, vertex_areas
from countenance.training.shading import canonical_xy, features, front, laid_over
from countenance.training.skin import own_skin
from countenance.training.unwrapped import (
    CELLS,
    FEATURES,
    blend,
    feature_box,
    feature_masks,
    finer,
    unwrap,
    unwrapped_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from countenance.memory import Rows
    from countenance.training.unwrapped import Patch, Unwrapped
    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "NEIGHBOURS",
    "Gallery",
    "Geometry",
    "Wanted",
    "describe",
    "fitted_shape_cm",
    "mean_shape_cm",
    "soft_neighbours",
    "transfer",
    "want",
]

NEIGHBOURS = 6
"""Crops blended for each of the two regions.

On the embedded pair, untrained, SSIM against the truth was 0.823 with 2, 0.829 with 4, 0.833 with 6 and 0.836 with 8;
past 6 the picture turns visibly soft.
"""

_AT_ONCE = 256  # descriptors
_EDGE_ON, _FACING = 0.3, 0.9  # area in a crop over the wanted area: where its pixels count nothing, and fully
_LEAST_WEIGHT = 0.5 / 255.0  # of a crop: less changes no level of the picture
_AGREED_FEATURES = 0.02  # of the own skin, where eyes, brows and lips are
_POSE_DEGREES = 6.0  # a turn of this much costs as much as one centimetre of expression
_EYES_GAIN, _MOUTH_GAIN = 1.2, 0.45  # centimetres of a lid weigh more than centimetres of a jaw
_OUTLINE_CM = 3.0  # over which the lender's shape gives way to the performer's outline
_FIT_SHARE = 0.92  # of _inner_share: points at least 2.5 cm inside the outline
_KEPT_BYTES = 192 * 2**20  # of unwrapped crops
_MOUTH_BELOW_CM, _EYES_ABOVE_CM = -2.6, -0.8  # of the canonical mesh: between them the regions cross-fade


class Geometry(NamedTuple):
    """Landmarks in crop pixels: ``points_xy`` float32 ``(478, 2)`` and ``depth`` float32 ``(478,)``."""

    points_xy: Float32
    depth: Float32


@lru_cache(maxsize=1)
def _region_points() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Landmark numbers that describe the eyes (lids, brows, irises) and the mouth (lips, chin, cheeks beside it)."""
    y_cm = canonical_face().vertices_cm[:, 1]
    x_cm = canonical_face().vertices_cm[:, 0]
    eyes = np.flatnonzero((y_cm > 1.2) & (y_cm < 6.2) & (np.abs(x_cm) > 0.9) & (np.abs(x_cm) < 6.0))
    mouth = np.flatnonzero((y_cm < -2.0) & (np.abs(x_cm) < 4.5))
    return np.concatenate([eyes, np.arange(468, 478)]), mouth


def mean_shape_cm(points_xy: Float32, depth: Float32) -> Float64:
    """Mean pose-free shape of a person over ``(N, 478, 2)`` landmarks and ``(N, 478)`` depths: float64 ``(478, 3)``."""
    return np.asarray(np.mean([frontalise(p, d).shape_cm for p, d in zip(points_xy, depth, strict=True)], axis=0))


def describe(face: FrontalFace, offset_cm: Float64) -> tuple[Float32, Float32]:
    """What to compare by: an eye and a mouth descriptor, each with the pose, float32 vectors in centimetres.

    Args:
        face: gives the pose.
        offset_cm: its expression, float64 ``(478, 3)``: a lender's own from their mean shape, or a performer's, see
            :func:`countenance.training.closing.expression`.
    """
    pose = np.array(pose_degrees(face.observed_from_shape)[:2]) / _POSE_DEGREES
    eyes, mouth = _region_points()
    return (
        np.concatenate([_EYES_GAIN * offset_cm[eyes, :2].ravel(), pose]).astype(np.float32),
        np.concatenate([_MOUTH_GAIN * offset_cm[mouth, :2].ravel(), pose]).astype(np.float32),
    )


@lru_cache(maxsize=1)
def _inner_share() -> Float64:
    """1 for features, falling to 0 at the mesh's outline over 3 cm: float64 ``(478, 1)``."""
    xy_cm = canonical_face().vertices_cm[:, :2].astype(np.float64)
    distance = np.linalg.norm(xy_cm[:, None] - xy_cm[outline()][None], axis=2).min(1)
    pupils = np.full(10, np.inf)  # they lie well inside
    return np.asarray(smoothstep(np.append(distance, pupils) / _OUTLINE_CM)[:, None])


def fitted_shape_cm(lender_mean_cm: Float64, performer_mean_cm: Float64) -> Float64:
    """The lender's features on the performer's head: float64 ``(478, 3)``.

    The lender's mean shape is fitted to the performer's by a similarity over the inner face, and the outline stays the
    performer's own, since the face is blended into the performer's head. Against the truth of the embedded pair this
    leaves 1.6 px of 256 where the raw means leave 2.6.
    """
    inner = np.flatnonzero(_inner_share()[:468, 0] > _FIT_SHARE)
    matrix = umeyama(lender_mean_cm[inner], performer_mean_cm[inner])
    fitted = lender_mean_cm @ matrix[:, :3].T + matrix[:, 3]
    return np.asarray(performer_mean_cm + _inner_share() * (fitted - performer_mean_cm))


def transfer(face: FrontalFace, offset_cm: Float64, shape_cm: Float64) -> Geometry:
    """An expression, in a face's pose, on another shape (:func:`fitted_shape_cm`): in the face's own crop."""
    shape = offset_cm + shape_cm
    observed = shape @ face.observed_from_shape[:, :3].T + face.observed_from_shape[:, 3]
    return Geometry(observed[:, :2].astype(np.float32), observed[:, 2].astype(np.float32))


class Wanted(NamedTuple):
    """A geometry to paint a face at.

    ``raster`` its mesh, drawn once; ``canonical`` float32 ``(S, S, 2)``, see
    :func:`countenance.training.shading.canonical_xy`; ``areas`` ``(468,)``, at least 1, see
    :func:`countenance.training.mesh.vertex_areas`.
    """

    raster: RasterMesh
    canonical: Float32
    areas: Float32


def want(geometry: Geometry, size: int, grid: int) -> Wanted:
    """Draw a wanted geometry for crops of side ``size``, on a grid of side ``grid`` (see :func:`rasterise`)."""
    raster = rasterise(*geometry, size=size, grid=grid)
    areas = np.maximum(vertex_areas(geometry.points_xy), np.float32(1.0))
    return Wanted(raster, canonical_xy(raster), areas)


def soft_neighbours(distances: Float32, count: int) -> tuple[NDArray[np.intp], Float32]:
    """The ``count`` nearest, with weights that reach zero exactly where another would take their place.

    Args:
        distances: float32 ``(N,)``, inf where a face may not be used.
        count: how many; fewer are returned when fewer are finite.
    """
    nearest = np.arange(len(distances))
    if len(distances) > count + 1:  # far fewer to sort, and the same order, also of equal ones
        nearest = np.flatnonzero(distances <= np.partition(distances, count)[count])
    order = nearest[np.argsort(distances[nearest], kind="stable")[: count + 1]]
    order = order[np.isfinite(distances[order])]
    near = distances[order]
    if len(order) <= count:
        weights = np.ones(len(order), np.float32)
    else:
        order, limit = order[:-1], max(float(near[-1]), 1e-6)
        weights = (np.square(1.0 - near[:-1] / limit) + 1e-6).astype(np.float32)
    return order, (weights / weights.sum()).astype(np.float32)


def _distances(described: Float32, one: Float32) -> Float32:
    """Euclidean distance of rows to one, float32 ``(N,)``, in parts that the processor's cache holds."""
    result = np.empty(len(described), np.float32)
    for start in range(0, len(described), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        result[rows] = np.linalg.norm(described[rows] - one, axis=1)
    return result


@lru_cache(maxsize=1)
def _eyes_share() -> Float32:
    """How much crops that match the eyes count in each row of the canonical mesh, float32 ``(CELLS, 1)``.

    The others are those that match the mouth.
    """
    slope, start = np.polyfit(template(CELLS)[:, 1], canonical_face().vertices_cm[:, 1], 1)
    y_cm = start + slope * np.arange(CELLS)
    share = smoothstep((y_cm - _MOUTH_BELOW_CM) / (_EYES_ABOVE_CM - _MOUTH_BELOW_CM))
    return np.asarray(share, np.float32)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """One person's crops, ready to be looked up and warped.

    ``unwrapped`` gives a crop by its number; ``base`` float32 ``(N, N, 4)``, what lies below the crops, see
    :func:`countenance.training.unwrapped.blend`; ``points_xy`` float32 ``(N, 478, 2)`` in crop pixels; ``mean_cm``
    float64 ``(478, 3)``; ``eyes`` and ``mouth`` float32 ``(N, D)`` descriptors; ``moment`` int64 ``(N, 2)``: source and
    frame index, by which training avoids a face's neighbours in time; ``areas`` float32 ``(N, 468)``, see
    :func:`countenance.training.mesh.vertex_areas`.
    """

    unwrapped: Callable[[int], Unwrapped]
    base: Float32
    points_xy: Float32
    mean_cm: Float64
    eyes: Float32
    mouth: Float32
    moment: NDArray[np.int64]
    areas: Float32

    @classmethod
    def build(
        cls, rgba: Rows, points_xy: Float32, depth: Float32, moment: NDArray[np.int64], keep_bytes: int = _KEPT_BYTES
    ) -> Gallery:
        """Describe every crop.

        Args:
            rgba: uint8 ``(N, S, S, 4)``, looked at crop by crop, see
                :func:`countenance.training.shading.neutral_crop`.
            points_xy: float32 ``(N, 478, 2)`` in crop pixels.
            depth: float32 ``(N, 478)``.
            moment: int64 ``(N, 2)``, see the class.
            keep_bytes: how much of the last unwrapped crops is kept.
        """
        faces = [frontalise(p, d) for p, d in zip(points_xy, depth, strict=True)]
        mean = np.asarray(np.mean([face.shape_cm for face in faces], axis=0))
        described = [describe(face, face.shape_cm - mean) for face in faces]
        eyes = np.stack([e for e, _ in described])
        mouth = np.stack([m for _, m in described])
        areas = np.stack([vertex_areas(points) for points in points_xy])
        base = _base(own_skin(rgba, points_xy, areas), rgba.shape[1])
        kept = lru_cache(maxsize=max(keep_bytes // unwrapped_bytes(rgba.shape[1]), 2 * NEIGHBOURS))

        def unwrapped(number: int) -> Unwrapped:
            return unwrap(rgba[number], points_xy[number])

        return cls(kept(unwrapped), base, points_xy, mean, eyes, mouth, moment, areas)

    def distances(self, eyes: Float32, mouth: Float32) -> tuple[Float32, Float32]:
        """Distance of every crop to a pair of descriptors, by eyes and by mouth: two float32 ``(N,)``."""
        return _distances(self.eyes, eyes), _distances(self.mouth, mouth)

    def paint(self, wanted: Wanted, by_eyes: Float32, by_mouth: Float32, count: int = NEIGHBOURS) -> UInt8:
        """Blend the nearest crops and warp them: uint8 ``(S, S, 3)``.

        Args:
            wanted: the geometry, drawn for this gallery's crop size.
            by_eyes: float32 ``(N,)`` distances, inf where a face may not be used.
            by_mouth: the same for the mouth.
            count: crops a region.
        """
        (eyes, eyes_weights), (mouth, mouth_weights) = (soft_neighbours(one, count) for one in (by_eyes, by_mouth))
        numbers, weights = np.concatenate([eyes, mouth]), np.concatenate([eyes_weights, mouth_weights])
        of_eyes = np.arange(len(numbers)) < len(eyes)
        seen = weights >= _LEAST_WEIGHT
        numbers, weights, of_eyes = numbers[seen], weights[seen], of_eyes[seen]
        share = (self.areas[numbers] / wanted.areas - _EDGE_ON) / (_FACING - _EDGE_ON)
        facing = np.asarray(smoothstep(share), np.float32)
        counts = front(256, CELLS)[0].interpolate(facing)
        of_region = np.where(of_eyes[:, None, None], _eyes_share(), 1.0 - _eyes_share())
        counts = np.asarray(counts * of_region * weights[:, None, None], np.float32)
        crops = [self.unwrapped(int(number)) for number in numbers]
        textures = [(crop.texture, one) for crop, one in zip(crops, counts, strict=True)]
        painted = laid_over(blend(self.base, textures), wanted.canonical)
        below = cv2.merge([cv2.extractChannel(painted, 3)] * 4)
        painted = np.asarray(cv2.divide(painted, below, scale=255.0), np.float32)
        for which, feature in enumerate(FEATURES):
            chosen = np.flatnonzero(of_eyes == feature.of_eyes)
            seen = weights[chosen] * facing[chosen][:, feature.contour].mean(1)
            moved = [(self.points_xy[numbers[one]], crops[one].patches[which]) for one in chosen]
            _lay_feature(painted, wanted, which, moved, seen)
        return np.asarray(cv2.cvtColor(cv2.convertScaleAbs(painted), cv2.COLOR_RGBA2RGB), np.uint8)


def _base(skin: Float32, size: int) -> Float32:
    """What all crops agree on, as much of it as of the nearest ones, and alone where none of them shows the face.

    Eyes and lips move, so there the nearest ones count.
    """
    side = finer(size)
    agreed = cv2.resize(1.0 - (1.0 - _AGREED_FEATURES) * features(), (side, side))
    large = cv2.resize(skin, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.dstack([large, np.full((side, side), 255.0)]) * (255.0 * agreed[..., None]), np.float32)


def _lay_feature(
    painted: Float32, wanted: Wanted, which: int, crops: Sequence[tuple[Float32, Patch]], seen: Float32
) -> None:
    """Lay a feature of :data:`FEATURES`, warped straight from the crops, over a painted face; in place.

    Args:
        painted: float32 ``(S, S, 4)`` in codes.
        wanted: the geometry.
        which: number of the feature.
        crops: landmarks ``(478, 2)`` of each crop, and the feature's part of it.
        seen: how much each crop counts, float32 ``(K,)``.
    """
    raster, size = wanted.raster, len(painted)
    grid = len(raster.triangle)
    cells = feature_box(raster.points_xy[list(FEATURES[which].contour)], size, grid)
    pixels = (
        slice(cells[0].start * size // grid, cells[0].stop * size // grid),
        slice(cells[1].start * size // grid, cells[1].stop * size // grid),
    )
    part = painted[pixels]
    total = part * np.float32(_AGREED_FEATURES)
    for (points_xy, patch), weight in zip(crops, seen.tolist(), strict=True):
        cv2.accumulate(raster.warp(patch.rgba, points_xy, cells, patch.corner) * np.float32(weight), total)
    total *= np.float32(1.0 / (_AGREED_FEATURES + float(seen.sum())))
    mask = laid_over(feature_masks()[which], wanted.canonical[pixels], size)
    part += (total - part) * mask[..., None]
