"""How much of each pixel is painted: predicted mask × landmark hull × occlusion, in the aligned crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.perception.occlusion import EYES, LIPS
from countenance.types import Mask

if TYPE_CHECKING:
    from countenance.types import Float32

__all__ = ["OPENINGS", "blend_mask", "landmark_mask", "skin_weights"]

_SOFTNESS = 0.022  # standard deviation of the hull's blur, in sides of the crop: the ramp is about twice as wide
_SUBPIXEL_BITS = 4

# Contours of the lids and lips in MediaPipe's mesh: what is inside opens and closes, so it tells nothing of the light.
OPENINGS = tuple(np.array(contour, np.intp) for contour in (*EYES, LIPS))


def landmark_mask(points_xy: Float32, size: int) -> Mask:
    """The face's hull, soft to the inside: 0 on the hull's edge and outside, 1 from about 4 % of the crop inwards.

    Sub-pixel: it moves with the landmarks smoothly, so its rim does not shimmer.

    Args:
        points_xy: float32 ``(478, 2)`` landmarks in pixels of the crop.
        size: side of the crop.
    """
    hull = np.rint(geometry.face_hull(points_xy) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    filled = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(filled, hull, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    soft = cv2.GaussianBlur(filled.astype(np.float32), (0, 0), _SOFTNESS * size)
    # Half of the blur lies outside the hull; keep only the inner half, stretched to [0, 1].
    inner = geometry.smoothstep(soft * (2.0 / 255.0) - 1.0)
    return Mask(np.asarray(inner, np.float32), "landmark")


def blend_mask(predicted: Mask, landmark: Mask, occlusion: Mask | None = None) -> Mask:
    """The product of the masks, at the landmark mask's size.

    Args:
        predicted: of the swapper, any size; shows the same part of the template.
        landmark: see :func:`landmark_mask`.
        occlusion: 1 where nothing is in front of the face, of the landmark mask's size.
    """
    size = landmark.values.shape[0]
    values = predicted.values
    if values.shape[0] != size:
        values = np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    product = values * landmark.values
    if occlusion is not None:
        product *= occlusion.values
    return Mask(np.clip(product, 0.0, 1.0), "blend")


def skin_weights(mask: Mask, points_xy: Float32, size: int) -> Float32:
    """Weights of the pixels that colours are compared on: inside the mask, without eyes and mouth, ``(size, size)``.

    Args:
        mask: blend mask of the crop.
        points_xy: landmarks in pixels of the crop of the mask.
        size: side of the result.
    """
    weights = np.array(cv2.resize(mask.values, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    weights[weights < 0.5] = 0.0  # the rim mixes in what lies around the face
    points = geometry.apply(geometry.resize_matrix(mask.values.shape[0], size), points_xy)
    cv2.fillPoly(weights, [np.rint(points[opening]).astype(np.int32) for opening in OPENINGS], 0.0)
    return weights
