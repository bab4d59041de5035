"""478 landmarks and 52 expression coefficients of a face, by MediaPipe's Face Landmarker networks (run by LiteRT).

I. Grishchenko et al., "Attention Mesh: high-fidelity face mesh prediction in real-time", 2020. The crop follows
MediaPipe's convention: a square around the landmarks' box, 1.5 times as large, turned so that the eyes are level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance import geometry
from countenance.perception.blendshapes import BLENDSHAPE_NAMES, BLENDSHAPE_POINTS
from countenance.perception.pictures import as_rgb, cut
from countenance.perception.session import SessionProvider, default_sessions
from countenance.types import BLENDSHAPES, LANDMARKS, Detection, FaceLandmarks

if TYPE_CHECKING:
    from countenance.types import Float32, Float64, UInt8

__all__ = ["BLENDSHAPE_NAMES", "FaceMesh"]

_SIDE = 256
_MARGIN = 1.5
_RIGHT_EYE, _LEFT_EYE = 33, 263  # outer corners


class _Region(NamedTuple):
    """A turned square of the frame: its centre, side in pixels, and the angle of its x axis in radians."""

    centre_xy: Float64
    side: float
    angle: float


class FaceMesh:
    """Finds the landmarks of one face.

    Args:
        sessions: gives the networks; the real ones when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8, near: Detection | FaceLandmarks, *, expression: bool = True) -> FaceLandmarks:
        """The landmarks of the face at ``near``.

        After a detection the network runs twice, the second time on the crop that the first landmarks ask for, which
        is the kind of crop it was trained on. After the last frame's landmarks it runs once.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            near: where the face is, by the detector or by its landmarks in the frame before. Look at the result's
                ``presence``: below about 0.5 there is no face any more.
            expression: whether the coefficients are wanted; without them they are zeros, and a network is spared.

        Raises:
            ValueError: the picture has another form, or ``near`` is a single point.
            WeightsError: a network cannot be fetched.
        """
        rgb = as_rgb("FaceMesh", rgb)
        if isinstance(near, Detection):
            points, _, _ = self._points(rgb, _region_of_detection(near))
            region = _region_of_points(points)
        else:
            region = _region_of_points(near.points_xy)
        points, depth, presence = self._points(rgb, region)
        coefficients = self.expression(points) if expression else np.zeros(BLENDSHAPES, np.float32)
        return FaceLandmarks(points, depth, coefficients, presence)

    def expression(self, points_xy: Float32) -> Float32:
        """The expression that landmarks show, float32 ``(52,)`` in [0, 1], see :data:`BLENDSHAPE_NAMES`.

        Args:
            points_xy: float32 ``(478, 2)``, pixels of the whole picture.

        Raises:
            WeightsError: the network cannot be fetched.
        """
        tensor = np.ascontiguousarray(points_xy[BLENDSHAPE_POINTS][None], np.float32)
        (scores,) = self._sessions("face-blendshapes").run({"serving_default_input_points:0": tensor})
        return np.clip(scores.reshape(-1), 0.0, 1.0).astype(np.float32)

    def _points(self, rgb: UInt8, region: _Region) -> tuple[Float32, Float32, float]:
        crop_from_frame = _crop_from_frame(region)
        crop = cut(rgb, crop_from_frame, _SIDE)
        tensor = np.multiply(crop, np.float32(1.0 / 255.0), dtype=np.float32)[None]
        mesh, presence, *_ = self._sessions("face-mesh").run({"input_12": tensor})
        xyz = mesh.reshape(LANDMARKS, 3)
        # The network counts from the crop's edge, we from the first pixel's centre: on mirrored crops its points
        # mirror about 128, not 127.5 (tests/perception/test_landmarks.py measures it).
        points = geometry.apply(geometry.invert(crop_from_frame), xyz[:, :2] - 0.5)
        depth = np.asarray(xyz[:, 2] * (region.side / _SIDE), np.float32)
        logit = float(presence.reshape(-1)[0])
        return points, depth, float(1.0 / (1.0 + np.exp(-np.clip(logit, -60.0, 60.0))))


def _crop_from_frame(region: _Region) -> Float64:
    scale = _SIDE / region.side
    cosine, sine = np.cos(region.angle) * scale, np.sin(region.angle) * scale
    linear = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([linear, (_SIDE - 1) / 2.0 - linear @ region.centre_xy])


def _extent(*points: Float32) -> list[Float64]:
    """The points in float64, once they are known to be finite and to span more than nothing."""
    wide = [group.astype(np.float64) for group in points]
    if not all(np.isfinite(group).all() for group in wide) or np.ptp(wide[0].reshape(-1, 2), axis=0).max() < 1e-3:
        raise ValueError("FaceMesh: expected a face of some size at `near`, got coincident or infinite points")
    return wide


def _region_of_points(points_xy: Float32) -> _Region:
    """MediaPipe's tracking crop, with the box measured along the turned axes so that a tilted head is not cut."""
    (points,) = _extent(points_xy)
    across = points[_LEFT_EYE] - points[_RIGHT_EYE]
    angle = float(np.arctan2(across[1], across[0]))
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = points @ axes
    low, high = turned.min(axis=0), turned.max(axis=0)
    return _Region(axes @ ((low + high) / 2.0), float((high - low).max()) * _MARGIN, angle)


def _region_of_detection(detection: Detection) -> _Region:
    """A first crop from the detector: its box, turned about its centre by the line through the eyes."""
    box, eyes = _extent(detection.box_xyxy, detection.points_xy[:2])
    across = eyes[1] - eyes[0]
    centre = (box[:2] + box[2:]) / 2.0
    return _Region(centre, float(np.abs(box[2:] - box[:2]).max()) * _MARGIN, float(np.arctan2(across[1], across[0])))
