"""What perception sees of the replaced face, frame by frame, in the footage and in the swap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.conversion.track import overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.perception.perceive import Perception
    from countenance.types import Detection, FaceLandmarks, Float32, Float64, UInt8

__all__ = ["Observation", "Observer", "hull_mask", "observe"]

_LEAST_PRESENCE = 0.5
_SAME_PLACE = 0.3  # intersection over union with the face's last place

_EYES = (((33, 133), (160, 158), (144, 153), 468), ((362, 263), (385, 387), (380, 373), 473))
"""Of each eye: its corners, two points of the upper lid, the two of the lower lid below them, and the iris's centre."""

_FISSURE_OVER_EYEBALL = 15.0 / 12.0  # half the width of an open eye by the eyeball's radius, in millimetres


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face in one picture, as numbers that can be compared between two people.

    ``points_xy`` float32 ``(478, 2)``; ``rotation`` float64 ``(3, 3)`` of the head; ``blendshapes`` float32 ``(52,)``;
    ``mouth`` the gap between the lips and ``eyes`` that between the lids, in widths of the face and of the eye;
    ``gaze_degrees`` float64 ``(2, 2)``, each eye's turn to the right and down in the head.
    """

    points_xy: Float32
    rotation: Float64
    blendshapes: Float32
    mouth: float
    eyes: float
    gaze_degrees: Float64


def observe(landmarks: FaceLandmarks) -> Observation:
    """Measure a face's landmarks."""
    linear = geometry.fit_canonical(landmarks.points_xy, landmarks.depth)[:, :3]
    points = landmarks.points_xy.astype(np.float64)
    face_width = max(float(np.linalg.norm(points[454] - points[234])), 1e-6)
    opening, gaze = zip(*(_eye(points, *eye) for eye in _EYES), strict=True)
    return Observation(
        points_xy=landmarks.points_xy,
        rotation=linear / np.cbrt(np.linalg.det(linear)),
        blendshapes=landmarks.blendshapes,
        mouth=float(np.linalg.norm(points[13] - points[14])) / face_width,
        eyes=float(np.mean(opening)),
        gaze_degrees=np.stack(gaze),
    )


def _eye(
    points: Float64, corners: tuple[int, int], upper: tuple[int, int], lower: tuple[int, int], iris: int
) -> tuple[float, Float64]:
    """How far an eye is open (T. Soukupová, J. Čech, "Real-time eye blink detection using facial landmarks", 2016).

    And where it looks: the iris's place between the corners as an angle of a spherical eyeball.
    """
    across = points[corners[1]] - points[corners[0]]
    width = max(float(np.linalg.norm(across)), 1e-6)
    gap = float(np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1).mean())
    right = across / width
    down = np.array([-right[1], right[0]])
    offset = (points[iris] - points[list(corners)].mean(axis=0)) / (width / 2.0) * _FISSURE_OVER_EYEBALL
    turn = np.clip([offset @ right, offset @ down], -1.0, 1.0)
    return gap / width, np.degrees(np.arcsin(turn))


class Observer:
    """Follows the replaced face through footage and swap; for one pair of clips.

    In the footage the face nearest to its last place is taken; in a new place, or at first, the one whose picture
    differs most between the two clips. The swap's landmarks are searched where the footage's are, so that both are
    measured alike.
    """

    def __init__(self, perception: Perception) -> None:
        self._see = perception
        self._box: Float32 | None = None

    def __call__(self, footage: UInt8, swapped: UInt8) -> tuple[FaceLandmarks | None, FaceLandmarks | None]:
        """The face's landmarks in the footage and in the swap; None where there is no face.

        Args:
            footage: uint8 ``(H, W, 3)``.
            swapped: the same size.
        """
        found = self._see.detector(footage)
        chosen = self._choose(found, footage, swapped)
        if chosen is None:
            self._box = None
            return None, None
        self._box = chosen.box_xyxy
        near = self._see.mesh(footage, chosen)
        if near.presence < _LEAST_PRESENCE:
            return None, None
        # Both from one crop: equal pictures give equal landmarks, to the last bit.
        mine, theirs = self._see.mesh(footage, near), self._see.mesh(swapped, near)
        return mine, theirs if theirs.presence >= _LEAST_PRESENCE else None

    def _choose(self, found: Sequence[Detection], footage: UInt8, swapped: UInt8) -> Detection | None:
        if len(found) < 2:
            return found[0] if found else None
        if self._box is not None:
            box = self._box
            nearest = max(found, key=lambda face: overlap(face.box_xyxy, box))
            if overlap(nearest.box_xyxy, box) >= _SAME_PLACE:
                return nearest
        return max(found, key=lambda face: _change(face.box_xyxy, footage, swapped))


def _change(box_xyxy: Float32, footage: UInt8, swapped: UInt8) -> float:
    """Mean absolute difference of the two pictures inside a box."""
    height, width = footage.shape[:2]
    x0, y0, x1, y1 = np.clip(np.rint(box_xyxy), 0, [width, height, width, height]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return 0.0
    part = np.s_[y0:y1, x0:x1]
    return float(np.abs(footage[part].astype(np.float32) - swapped[part]).mean())


def hull_mask(points_xy: Float32, size_hw: tuple[int, ...]) -> Float32:
    """The landmarks' convex hull in the frame: float32 ``(H, W)``, 1 inside."""
    mask = np.zeros(size_hw[:2], np.float32)
    cv2.fillConvexPoly(mask, np.rint(geometry.face_hull(points_xy)).astype(np.int32), 1.0)
    return mask
