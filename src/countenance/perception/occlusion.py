"""What is in front of a face: our own small network, trained by tools/train_occlusion.py and shipped in the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.perception.session import SessionProvider, default_sessions
from countenance.types import Mask

if TYPE_CHECKING:
    from countenance.types import AlignedFace, Float32, UInt8

__all__ = ["EYES", "LIPS", "SIDE", "OcclusionNet", "feature_planes", "network_input"]

SIDE = 128
"""Side in pixels of the picture that the network sees and of what it says."""

_SUBPIXEL_BITS = 4
EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
_BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
_OPENING = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
_NOSE = (168, 197, 48, 98, 2, 327, 278, 419)


def feature_planes(points_xy: Float32, size: int) -> UInt8:
    """Where the landmarks say that a face's parts are, drawn for the network: uint8 ``(4, SIDE, SIDE)``.

    The planes: the hull; eyes (255) and brows (128); lips (255) and what is between them (128); the nose.

    Args:
        points_xy: float32 ``(478, 2)`` landmarks in pixels of the crop.
        size: side of the crop.
    """
    points = geometry.apply(geometry.resize_matrix(size, SIDE), points_xy)
    fixed = np.rint(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    planes = np.zeros((4, SIDE, SIDE), np.uint8)

    def fill(plane: int, loops: list[np.ndarray], value: int) -> None:
        cv2.fillPoly(planes[plane], loops, value, cv2.LINE_AA, _SUBPIXEL_BITS)

    fill(0, [cv2.convexHull(fixed[:468])], 255)
    fill(1, [fixed[list(brow)] for brow in _BROWS], 128)
    fill(1, [fixed[list(eye)] for eye in EYES], 255)
    fill(2, [fixed[list(LIPS)]], 255)
    fill(2, [fixed[list(_OPENING)]], 128)
    fill(3, [fixed[list(_NOSE)]], 255)
    return planes


def network_input(rgb: UInt8, planes: UInt8) -> Float32:
    """Picture and planes as the network wants them, float32 ``(1, 7, SIDE, SIDE)`` in −0.5..0.5.

    Args:
        rgb: uint8 ``(SIDE, SIDE, 3)``.
        planes: uint8 ``(4, SIDE, SIDE)``, see :func:`feature_planes`.
    """
    together = np.concatenate([rgb.transpose(2, 0, 1), planes])[None]
    return np.asarray(together.astype(np.float32) * np.float32(1.0 / 255.0) - np.float32(0.5))


class OcclusionNet:
    """Tells a face from hands, microphones, glasses' frames, hair and whatever else is in front of it.

    A U-Net over the aligned face and its landmarks. It learned from two synthetic people in every light and complexion
    that could be made of them and from drawn occluders; docs/concepts/occlusion.md has its scores and its limits.

    Args:
        sessions: gives the network; the shipped one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, face: AlignedFace) -> Mask:
        """An occlusion mask, float32 ``(SIDE, SIDE)``: 1 where the face is seen, 0 where something is in front of it.

        It shows the same part of the template as the crop, and means nothing outside the hull of the landmarks.

        Args:
            face: any side.

        Raises:
            WeightsError: the package's network is damaged.
        """
        small = face.rgb
        if face.size != SIDE:
            small = np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        tensor = network_input(small, feature_planes(face.landmarks.points_xy, face.size))
        seen = self._sessions("face-occlusion").run({"face": tensor})[0].reshape(SIDE, SIDE)
        return Mask(np.clip(np.nan_to_num(seen, nan=1.0), 0.0, 1.0).astype(np.float32), "occlusion")
