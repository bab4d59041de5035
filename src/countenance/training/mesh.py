"""Warping one face picture to another face's geometry by the canonical mesh (NumPy and OpenCV).

The mesh's outline is continued by a ring, so that the warp fades out over cheeks and forehead instead of ending there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from countenance.geometry import canonical_face, fit_canonical, smoothstep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

    Part = tuple[slice, slice]

__all__ = [
    "BROW_LEFT",
    "BROW_RIGHT",
    "EYE_LEFT",
    "EYE_RIGHT",
    "LIPS",
    "FrontalFace",
    "RasterMesh",
    "filled",
    "frontalise",
    "outline",
    "rasterise",
    "sampled",
    "vertex_areas",
]

_RING = 1.35  # how far the ring lies beyond the outline, from the face's centre
_SUBPIXEL_BITS = 4
_EYES = ((33, 133, 159, 145, 468), (362, 263, 386, 374, 473))  # corners, middle of both lids, centre of the iris
_IRIS_REACH = (
    0.7  # eye widths around the iris over which the bend fades; gaze against the truth, untrained: none 10.5°,
)
_IRIS_SHIFT = 0.3  # 0.3 9.2°, 0.45 7.9°, 0.7 6.8°. And how far a source's iris may be moved, in eye widths
_FLAT = 1.3  # eyes are wider than high
_BESIDE = 0.15  # how far beside its triangle a pixel may lie, as a barycentric coordinate
_SLIVER = 1.0  # grid cells: twice the area under which a triangle is left to its neighbours
_WHOLE = (slice(None), slice(None))


EYE_RIGHT = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYE_LEFT = (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
BROW_RIGHT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_LEFT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)


def filled(points_xy: Float32, contours: Sequence[Sequence[int]], size: int) -> UInt8:
    """The convex hulls of some contours drawn into a crop: uint8 ``(size, size)``, 1 inside.

    Args:
        points_xy: float32 ``(478, 2)`` in pixels of the crop.
        contours: landmark numbers, for example :data:`LIPS`.
        size: side of the crop.
    """
    drawn = np.zeros((size, size), np.uint8)
    for contour in contours:
        hull = cv2.convexHull(points_xy[list(contour)].astype(np.float32))[:, 0]
        cv2.fillConvexPoly(drawn, np.rint(hull).astype(np.int32), 1)
    return drawn


@lru_cache(maxsize=1)
def outline() -> NDArray[np.intp]:
    """The mesh's outline as an ordered loop of landmark numbers, int ``(36,)``."""
    triangles = canonical_face().triangles.astype(np.intp)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    key = np.sort(edges, axis=1)
    unique, counts = np.unique(key, axis=0, return_counts=True)
    border = {tuple(edge) for edge in unique[counts == 1].tolist()}
    following = {int(a): int(b) for a, b in edges.tolist() if tuple(sorted((a, b))) in border}
    start = min(following)
    loop = [start]
    while (step := following[loop[-1]]) != start:
        loop.append(step)
    return np.array(loop, np.intp)


@lru_cache(maxsize=1)
def _topology() -> NDArray[np.intp]:
    """Triangles of the mesh and its ring, ``(M, 3)``; vertices 468.. are the ring's, in the outline's order."""
    loop = outline()
    count = len(loop)
    inner, inner_next = loop, np.roll(loop, -1)
    outer = 468 + np.arange(count)
    outer_next = np.roll(outer, -1)
    strip = np.concatenate([np.stack([inner, inner_next, outer], 1), np.stack([inner_next, outer_next, outer], 1)])
    return np.concatenate([strip, canonical_face().triangles.astype(np.intp)])


def _with_ring(points_xy: Float32) -> Float64:
    """The 468 mesh points and the ring, float64 ``(468 + 36, 2)``."""
    mesh = np.asarray(points_xy[:468], np.float64)
    border = mesh[outline()]
    centre = border.mean(0)
    return np.concatenate([mesh, centre + _RING * (border - centre)])


class _Bend(NamedTuple):
    """Around one iris of a wanted face: where a sampling map may be bent, and how much of the bend counts there.

    ``rows`` and ``columns`` of the grid; ``share`` float64 ``(rows, columns)``, 1 on the iris; ``cell`` the grid cell
    nearest to the iris, ``(row, column)``; ``beyond_xy`` how far the iris lies from that cell's centre, in crop pixels.
    """

    rows: slice
    columns: slice
    share: Float64
    cell: tuple[int, int]
    beyond_xy: Float64


@dataclass(frozen=True, slots=True, eq=False)
class RasterMesh:
    """A face's mesh drawn into a crop: for each pixel its triangle, and where in it the pixel lies.

    ``triangle`` int32 ``(G, G)``, −1 outside the ring; ``corners`` ``(3, G, G)``, the numbers of its points (468.. are
    the ring's); ``weights`` float32 ``(3, G, G, 2)``, theirs, of sum 1, each twice; ``inside`` float32 ``(G, G)``, 1 in
    the face's outline; ``size`` is the side of the crop that the landmarks are measured in, G the side of the grid;
    ``points_xy`` float32 ``(478, 2)`` the landmarks; ``bends`` what to do around each iris.
    """

    triangle: NDArray[np.int32]
    corners: NDArray[np.intp]
    weights: Float32
    inside: Float32
    size: int
    points_xy: Float32
    bends: tuple[_Bend | None, ...]

    def sampling_map(self, source_xy: Float32, part: Part = _WHOLE) -> Float32:
        """Where in a source crop (of side ``size``) each grid pixel comes from: float32 ``(G, G, 2)``.

        Args:
            source_xy: float32 ``(478, 2)`` in pixels of the source.
            part: rows and columns of the grid, whole ones from a start to a stop; the result has only these.
        """
        points = _with_ring(source_xy).astype(np.float32)  # (468 + 36, 2), both numbers of a point fetched as one
        weights = self.weights[:, *part]
        corners = np.take(points.view(np.float64)[:, 0], self.corners[:, *part]).view(np.float32).reshape(weights.shape)
        corners *= weights
        result = corners[0] + corners[1]
        result += corners[2]
        outside = self.triangle[part] < 0
        centres, (rows, columns) = _centres(self.triangle.shape[0], self.size), part
        np.copyto(result[..., 0], centres[None, columns], where=outside)
        np.copyto(result[..., 1], centres[rows, None], where=outside)
        return np.asarray(result, np.float32)

    def warp(
        self, source_rgb: UInt8, source_xy: Float32, part: Part = _WHOLE, corner: tuple[int, int] = (0, 0)
    ) -> UInt8:
        """``source_rgb`` ``(S, S, 3)`` of this mesh's crop size, moved from ``source_xy`` to this mesh's geometry.

        The irises are brought to their places, too: the mesh ends at the lids, and an eye in the right shape that
        looks elsewhere is the first thing that a viewer sees.

        Args:
            source_rgb: uint8 ``(S, S, 3)`` or ``(S, S, 4)``, or a part of it.
            source_xy: float32 ``(478, 2)`` in pixels of the whole source.
            part: rows and columns of the grid, whole ones from a start to a stop; the result has only these, enlarged
                to pixels. An iris outside of it bends nothing.
            corner: ``(x, y)`` of the first pixel of ``source_rgb`` in the whole source.
        """
        grid = self.triangle.shape[0]
        each = self.size // grid
        inner = tuple(slice(*one.indices(grid)[:2]) for one in part)
        rows, columns = inner
        if each > 1:  # what enlarging looks at
            rows, columns = (slice(max(one.start - 1, 0), min(one.stop + 1, grid)) for one in inner)
        mapping = self.sampling_map(source_xy, (rows, columns))
        for eye, bend in zip(_EYES, self.bends, strict=True):
            if bend is not None:
                self._bring_iris(mapping, (rows.start, columns.start), source_xy, eye, bend)
        if grid != self.size:
            height, width = mapping.shape[:2]
            mapping = np.asarray(cv2.resize(mapping, (width * self.size // grid, height * self.size // grid)))
            top, left = (inner[0].start - rows.start) * each, (inner[1].start - columns.start) * each
            height, width = ((one.stop - one.start) * self.size // grid for one in inner)
            mapping = mapping[top : top + height, left : left + width]
        if corner != (0, 0):
            mapping = mapping - np.array(corner, np.float32)
        return sampled(source_rgb, mapping)

    def _bring_iris(
        self,
        mapping: Float32,
        first: tuple[int, int],
        source_xy: Float32,
        eye: tuple[int, int, int, int, int],
        bend: _Bend,
    ) -> None:
        """Bend a sampling map around one iris, fading out within the eye; in place. ``first`` is its first cell."""
        outer, inner, upper, lower, iris = eye
        row, column = bend.cell[0] - first[0], bend.cell[1] - first[1]
        width = float(np.linalg.norm(source_xy[outer] - source_xy[inner]))
        if not (0 <= row < mapping.shape[0] and 0 <= column < mapping.shape[1]) or width < 1e-3:
            return
        offset = source_xy[iris] - (mapping[row, column] + bend.beyond_xy)  # from where the mesh alone would look
        length = max(float(np.linalg.norm(offset)), 1e-6)
        opening = float(np.linalg.norm(source_xy[upper] - source_xy[lower])) / width
        offset *= min(1.0, _IRIS_SHIFT * width / length) * float(smoothstep(np.array((opening - 0.05) / 0.1)))
        # The bend's cells, and those of them that the map has.
        inside, bent = [], []
        for axis, cells in enumerate((bend.rows, bend.columns)):
            low, high = max(cells.start, first[axis]), min(cells.stop, first[axis] + mapping.shape[axis])
            inside.append(slice(low - first[axis], high - first[axis]))
            bent.append(slice(low - cells.start, high - cells.start))
        mapping[tuple(inside)] += (bend.share[tuple(bent)][..., None] * offset).astype(np.float32)

    def interpolate(self, vertex_values: Float32) -> Float32:
        """A value per landmark spread over the grid; 0 outside the ring.

        Args:
            vertex_values: float32 ``(468,)`` or longer, or ``(K, 468)`` for K of them at once.

        Returns:
            float32 ``(G, G)`` or ``(K, G, G)``.
        """
        values = np.concatenate([vertex_values[..., :468], vertex_values[..., outline()]], axis=-1)
        corners = np.take(np.asarray(values, np.float32), self.corners, axis=-1)
        corners *= self.weights[..., 0]
        result = corners.sum(axis=-3)
        result[..., self.triangle < 0] = 0.0
        return np.asarray(result, np.float32)


def sampled(picture: UInt8, mapping: Float32) -> UInt8:
    """The places of a picture that a map names, uint8 ``(H, W, C)``; it is mirrored at its border.

    Args:
        picture: uint8 ``(S, S, 3)`` or ``(S, S, 4)``.
        mapping: float32 ``(H, W, 2)`` in its pixels.
    """
    if picture.shape[2] == 4:
        return np.asarray(_remapped(picture, mapping), np.uint8)
    # OpenCV takes twice as long for three channels as for four.
    return np.asarray(cv2.cvtColor(_remapped(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), mapping), cv2.COLOR_RGBA2RGB))


def _remapped(rgba: Any, mapping: Float32) -> Any:
    # The stubs ask for a second map, which a map of pairs has no use for.
    return cv2.remap(rgba, mapping, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)  # type: ignore[call-overload]


def vertex_areas(points_xy: Float32) -> Float32:
    """What the triangles around each landmark cover of a picture: float32 ``(468,)``, pixels², below 0 from behind."""
    triangles = canonical_face().triangles.astype(np.intp)
    a, b, c = (points_xy[triangles[:, corner]] for corner in range(3))
    doubled = (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]) - (c[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return np.bincount(triangles.T.ravel(), np.tile(0.5 * doubled, 3), 468).astype(np.float32)


def _centres(grid: int, size: int) -> Float32:
    """Where the centres of ``grid`` cells lie in a crop of side ``size``, along one axis."""
    return ((np.arange(grid, dtype=np.float32) + 0.5) * (size / grid) - 0.5).astype(np.float32)


def rasterise(points_xy: Float32, depth: Float32, size: int, grid: int) -> RasterMesh:
    """Draw a face's mesh, nearest triangle last.

    Args:
        points_xy: float32 ``(478, 2)`` in pixels of a ``size`` × ``size`` crop.
        depth: float32 ``(478,)``, smaller is nearer.
        size: side of the crop that ``points_xy`` is measured in.
        grid: side of the grid to draw; 2 pixels of a crop a cell lose less than a tenth of a pixel.
    """
    topology = _topology()
    corners = _with_ring(points_xy)[topology]  # (M, 3, 2)
    following, last = np.roll(corners, -1, axis=1), np.roll(corners, -2, axis=1)
    edge = last - following  # opposite each corner
    area = edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0]  # twice a triangle's
    flat = np.abs(area) < _SLIVER * (size / grid) ** 2
    constant = following[..., 0] * last[..., 1] - last[..., 0] * following[..., 1]
    # Cramer's rule for each corner's share of a point: (M, corner, (x, y, 1)). What is flat is not drawn.
    barycentric = np.stack([-edge[..., 1], edge[..., 0], constant], axis=2) / np.where(flat, 1.0, area)[:, None, None]
    strip = 2 * len(outline())
    distance = np.full(len(topology), np.inf)
    distance[strip:] = depth[topology[strip:]].mean(1)
    order = np.argsort(-distance, kind="stable")
    order = order[~flat[order]]
    scaled = (corners + 0.5) * (grid / size) - 0.5
    fixed = np.round(scaled * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    canvas = np.full((grid, grid), -1, np.int32)
    for number, triangle in zip(order.tolist(), fixed[order], strict=True):
        cv2.fillConvexPoly(canvas, triangle, number, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
    inside = (canvas >= strip).astype(np.float32)
    weights = _weights(canvas, barycentric, _centres(grid, size))
    bends = tuple(_bend(points_xy, eye, size, grid) for eye in _EYES)
    numbers = np.take(np.ascontiguousarray(topology.T), canvas, axis=1, mode="wrap")
    return RasterMesh(canvas, numbers, weights, inside, size, points_xy, bends)


def _bend(points_xy: Float32, eye: tuple[int, int, int, int, int], size: int, grid: int) -> _Bend | None:
    """What to do around one iris of a face; None when it lies outside the grid."""
    outer, inner, _, _, iris = eye
    scale = grid / size
    centre = (points_xy[iris] + 0.5) * scale - 0.5
    reach = _IRIS_REACH * float(np.linalg.norm(points_xy[outer] - points_xy[inner])) * scale
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, grid).astype(int)
    if (high <= low).any() or not ((centre >= 0) & (centre <= grid - 1)).all():
        return None
    column, row = np.rint(centre).astype(int).tolist()
    x = np.arange(low[0], high[0]) - centre[0]
    y = _FLAT * (np.arange(low[1], high[1]) - centre[1])
    share = np.asarray(smoothstep(1.0 - np.hypot(x[None, :], y[:, None]) / reach), np.float64)
    beyond = (centre - [column, row]) / scale
    return _Bend(slice(low[1], high[1]), slice(low[0], high[0]), share, (row, column), beyond)


def _weights(canvas: NDArray[np.int32], barycentric: Float64, centres: Float32) -> Float32:
    """Barycentric coordinates of each pixel in its triangle, each twice, float32 ``(3, G, G, 2)``.

    Drawing covers pixels up to one beside a triangle. Beside one that is seen nearly edge-on, that is many times its
    height, and would fetch a colour from far away, a dark speck beside the nose. So the coordinates are bounded.
    """
    solve = np.take(barycentric.astype(np.float32).transpose(1, 2, 0), canvas, axis=2, mode="wrap")
    weights = solve[:, 0] * centres[None, None, :]
    weights += solve[:, 1] * centres[None, :, None]
    weights += solve[:, 2]
    np.clip(weights, -_BESIDE, 1.0 + _BESIDE, out=weights)
    weights /= weights.sum(0)
    return np.repeat(weights[..., None], 2, axis=3)


@dataclass(frozen=True, slots=True, eq=False)
class FrontalFace:
    """A face's landmarks without its pose.

    ``shape_cm`` float64 ``(478, 3)``: as the canonical mesh lies, x right, y down, z away from the camera;
    ``observed_from_shape`` float64 ``(3, 4)``, back to crop pixels and depth.
    """

    shape_cm: Float64
    observed_from_shape: Float64


def frontalise(points_xy: Float32, depth: Float32) -> FrontalFace:
    """Undo position, scale and rotation by fitting the canonical mesh's rigid points in three dimensions."""
    observed = np.column_stack([points_xy, depth]).astype(np.float64)
    observed_from_shape = fit_canonical(points_xy, depth)
    linear, shift = observed_from_shape[:, :3], observed_from_shape[:, 3]
    return FrontalFace((observed - shift) @ np.linalg.inv(linear).T, observed_from_shape)
