"""Does the face's colour go with the skin around it: forehead above and neck below the replaced region."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.color import lab_from_rgb
from countenance.conversion.mask import skin_weights
from countenance.evaluation.delta_e import delta_e_2000
from countenance.evaluation.observe import hull_mask
from countenance.geometry import face_hull
from countenance.types import Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = ["SkinAround", "skin_around", "tone_step"]

_REACH = 0.35  # of the face's height: how far up and down from the hull skin is looked for
_LIKE_SKIN = 12.0  # ΔE00 from the face's own colour in the footage: hair, clothes and background are further off
_LEAST_PIXELS = 40


class SkinAround(NamedTuple):
    """Where a footage frame shows the face's skin and the skin around it: two bool ``(H, W)`` arrays."""

    face: NDArray[np.bool_]
    around: NDArray[np.bool_]


def skin_around(
    footage: UInt8, face: Float32, points_xy: Float32, covered: NDArray[np.bool_] | None = None
) -> SkinAround | None:
    """Find skin above and below the face, in the footage, where it is the performer's own.

    Args:
        footage: uint8 ``(H, W, 3)``.
        face: float32 ``(H, W)``, the face's region.
        points_xy: float32 ``(478, 2)`` landmarks.
        covered: bool ``(H, W)``, where the swap shows a label.

    Returns:
        None where hardly any is seen (a scarf, a fringe, the frame's edge).
    """
    lab = lab_from_rgb(footage)
    inside = _inside(face, points_xy)
    if inside.sum() < _LEAST_PIXELS:
        return None
    colour = np.median(lab[inside > 0.5], axis=0)
    band = _band(face, points_xy)
    if covered is not None:
        band &= ~covered
    around = np.zeros_like(band)
    around[band] = delta_e_2000(lab[band], np.broadcast_to(colour, lab[band].shape)) < _LIKE_SKIN
    return SkinAround(inside > 0.5, around) if around.sum() >= _LEAST_PIXELS else None


def tone_step(rgb: UInt8, where: SkinAround) -> float:
    """ΔE00 between the mean colours of the face's skin and of the skin around it, at least 0."""
    lab = lab_from_rgb(rgb).astype(np.float64)
    face, around = (lab[region].mean(axis=0) for region in (where.face, where.around))
    return float(delta_e_2000(face, around))


def _inside(face: Float32, points_xy: Float32) -> Float32:
    """The face without eyes, mouth and rim, 1 or 0."""
    height, width = face.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    square[:height, :width] = face
    weights = skin_weights(Mask(square, "landmark"), points_xy, side)[:height, :width]
    reach = max(1, round(0.05 * _height(points_xy)))
    return np.asarray(cv2.erode((weights > 0.5).astype(np.float32), np.ones((reach, reach), np.uint8)), np.float32)


def _band(face: Float32, points_xy: Float32) -> NDArray[np.bool_]:
    """The neighbourhood above and below the face along its own axis, outside its region."""
    top, chin = (points_xy[number].astype(np.float64) for number in (10, 152))
    hull = face_hull(points_xy)
    down: Float64 = (chin - top) * _REACH
    band = np.zeros(face.shape, np.uint8)
    for shift in (-down, down):
        moved = np.concatenate([hull, hull + shift]).astype(np.float32)
        cv2.fillConvexPoly(band, np.rint(cv2.convexHull(moved)[:, 0]).astype(np.int32), 1)
    rim = max(2, round(0.05 * _height(points_xy)))
    near = cv2.dilate((face > 0.02).astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
    return np.asarray((band == 1) & (near == 0) & (hull_mask(points_xy, face.shape) == 0.0))


def _height(points_xy: Float32) -> float:
    return float(np.linalg.norm(points_xy[152] - points_xy[10]))
