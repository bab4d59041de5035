"""Swappers without any network: what a quality table must be read against.

Both lay one crop of the lender over the performer, the most similar one, at the geometry that is wanted: the
performer's expression on the lender's own shape, as :mod:`countenance.training.reference` finds it. Neither learns,
blends crops or matches light; colours are left to the conversion, as for every swapper. A network that does not beat
``MeshPaste`` has learned nothing that a look-up does not know.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.geometry import CROP_SIZE
from countenance.training.closing import expression
from countenance.training.mesh import frontalise, outline
from countenance.training.reference import (
    Gallery,
    Geometry,
    Wanted,
    describe,
    fitted_shape_cm,
    mean_shape_cm,
    transfer,
    want,
)
from countenance.types import Mask, SwappedFace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.prepare import PersonFaces
    from countenance.types import AlignedFace, Float32, UInt8

__all__ = ["AffinePaste", "MeshPaste", "inner_points", "soft_inside"]

_INNER_CM = 2.5  # inside the outline: the features, which a pasted face must meet; its rim is blended away
_FEATHER = 0.04  # width of the mask's ramp, in sides of the crop


@lru_cache(maxsize=1)
def inner_points() -> NDArray[np.intp]:
    """Numbers of the landmarks at least 2.5 cm inside the mesh's outline (eyes, nose and mouth, without the irises)."""
    xy_cm = geometry.canonical_face().vertices_cm[:, :2].astype(np.float64)
    distance = np.linalg.norm(xy_cm[:, None] - xy_cm[outline()][None], axis=2).min(1)
    return np.flatnonzero(distance >= _INNER_CM)


def soft_inside(wanted: Wanted) -> Float32:
    """The geometry's inside with a soft rim that lies within it: float32 ``(256, 256)`` in [0, 1]."""
    inside = cv2.resize(wanted.raster.inside, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    distance = cv2.distanceTransform((inside > 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ramp = np.asarray(distance, np.float32) / (_FEATHER * CROP_SIZE)
    return np.asarray(geometry.smoothstep(ramp), np.float32)


class _Paste:
    """What both anchors share: the wanted geometry, the look-up and the mask.

    Args:
        lender: whose face is shown; 256 × 256 crops.
        performer: of whom only the mean shape is used, to tell expression from shape.
        facts: passed through, so that conversion can treat an anchor as a trained model.
    """

    def __init__(self, lender: PersonFaces, performer: PersonFaces, facts: CheckpointFacts) -> None:
        self._facts = facts
        self._rgb = np.asarray(lender.rgb)
        opaque = np.full((*self._rgb.shape[:3], 1), 255, np.uint8)
        rgba = np.concatenate([self._rgb, opaque], axis=3)
        self._gallery = Gallery.build(rgba, lender.points_xy, lender.depth, lender.moment)
        self._performer_mean = mean_shape_cm(performer.points_xy, performer.depth)
        self._shape = fitted_shape_cm(self._gallery.mean_cm, self._performer_mean)

    @property
    def facts(self) -> CheckpointFacts:
        """What was given."""
        return self._facts

    def find(self, face: AlignedFace) -> tuple[Geometry, int]:
        """Where a face is to be painted, in its own crop, and the number of the lender's crop to paint it with.

        The crop is nearest by the sum of the squared eye and mouth distances: one has to serve both.
        """
        seen = frontalise(face.landmarks.points_xy, face.landmarks.depth)
        offset = expression(seen, self._performer_mean, self._shape)
        by_eyes, by_mouth = self._gallery.distances(*describe(seen, offset))
        number = int(np.argmin(np.square(by_eyes) + np.square(by_mouth)))
        return transfer(seen, offset, self._shape), number

    def _lay(self, rgb: UInt8, from_xy: Float32, to_xy: Float32, wanted: Wanted) -> UInt8:
        """The found crop brought from its landmarks to the wanted ones: uint8 ``(256, 256, 3)``."""
        raise NotImplementedError

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """One pasted face for each 256 × 256 crop of the performer, in order."""
        results = []
        for face in faces:
            target, number = self.find(face)
            wanted = want(target, CROP_SIZE, CROP_SIZE // 2)
            rgb = self._lay(self._rgb[number], self._gallery.points_xy[number], target.points_xy, wanted)
            results.append(SwappedFace(rgb, Mask(soft_inside(wanted), "predicted")))
        return results


class AffinePaste(_Paste):
    """The crop laid over by the similarity that best fits its inner landmarks; nothing is warped.

    The mask is the wanted face's, so where the pasted face is narrower, what is beside it shows.
    """

    def _lay(self, rgb: UInt8, from_xy: Float32, to_xy: Float32, wanted: Wanted) -> UInt8:  # noqa: ARG002
        inner = inner_points()
        matrix = geometry.umeyama(from_xy[inner], to_xy[inner])
        return geometry.warp(rgb, matrix, (CROP_SIZE, CROP_SIZE))


class MeshPaste(_Paste):
    """The crop warped by the mesh, every landmark to where it is wanted."""

    def _lay(self, rgb: UInt8, from_xy: Float32, to_xy: Float32, wanted: Wanted) -> UInt8:  # noqa: ARG002
        return wanted.raster.warp(rgb, from_xy)
