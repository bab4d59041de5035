"""The sides that stored crops may have, and a crop made smaller."""

from __future__ import annotations

import cv2
import numpy as np

from countenance import geometry
from countenance.types import AlignedFace, FaceLandmarks

__all__ = ["CROP_SIZES", "averaged"]

CROP_SIZES = (geometry.CROP_SIZE, 512)
"""Sides in pixels that the crops of a face set may have, all of one set alike."""


def averaged(face: AlignedFace, side: int) -> AlignedFace:
    """The same face in a smaller crop, each pixel the mean of those it covers; the face itself when it has that side.

    Args:
        face: a crop of side S.
        side: at most S, in pixels.

    Raises:
        ValueError: the crop would grow.
    """
    if side == face.size:
        return face
    if side > face.size:
        raise ValueError(f"averaged: expected a side of at most {face.size}, got {side}")
    smaller = geometry.resize_matrix(face.size, side)
    marks = face.landmarks
    return AlignedFace(
        np.asarray(cv2.resize(face.rgb, (side, side), interpolation=cv2.INTER_AREA), np.uint8),
        geometry.compose(smaller, face.aligned_from_frame),
        FaceLandmarks(
            geometry.apply(smaller, marks.points_xy),
            (marks.depth * np.float32(smaller[0, 0])).astype(np.float32),
            marks.blendshapes,
            marks.presence,
        ),
    )
