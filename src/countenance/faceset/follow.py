"""Finds the faces of a clip frame by frame: the detector now and then, the landmark network in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance.faceset.curate import SURE_PRESENCE

if TYPE_CHECKING:
    from countenance.perception.perceive import Perception
    from countenance.types import Detection, FaceLandmarks, Float32, UInt8

__all__ = ["DETECT_EVERY", "MOST_FACES", "FaceFollower", "Sighting"]

DETECT_EVERY = 5
"""Frames between two runs of the detector, unless a face is lost: a new one is found within a fifth of a second."""

MOST_FACES = 8
"""Of one frame, the largest: nobody gathers a lender's face from a crowd."""

_SAME_PLACE = 0.3  # intersection over union of two boxes of one face
_SURE_DETECTION = 0.6


class Sighting(NamedTuple):
    """A face in a frame, without its expression, and the score of the detection that it was last confirmed by."""

    landmarks: FaceLandmarks
    detection_score: float


class FaceFollower:
    """Follows all faces of a clip. What it gives depends on the frames since the last :meth:`restart` only.

    Args:
        perception: its ``detector`` and ``mesh`` are used.
    """

    def __init__(self, perception: Perception) -> None:
        self._detector = perception.detector
        self._mesh = perception.mesh
        self._followed: list[Sighting] = []
        self._until_detection = 0

    def restart(self) -> None:
        """Forget every face; the next frame is searched afresh."""
        self._followed = []
        self._until_detection = 0

    def __call__(self, rgb: UInt8) -> list[Sighting]:
        """The faces of the next frame, those of low presence too (they are not followed any further).

        Args:
            rgb: uint8 ``(H, W, 3)``.
        """
        before = len(self._followed)
        found = [sighting for old in self._followed if (sighting := self._see(rgb, old.landmarks, old.detection_score))]
        alive = [sighting for sighting in found if sighting.landmarks.presence >= SURE_PRESENCE]
        if self._until_detection <= 0 or len(alive) < before:
            found = alive = self._searched(rgb, alive)
            self._until_detection = DETECT_EVERY
        self._until_detection -= 1
        self._followed = [sighting for sighting in alive if sighting.landmarks.presence >= SURE_PRESENCE]
        return found

    def _searched(self, rgb: UInt8, alive: list[Sighting]) -> list[Sighting]:
        """Confirm what is followed by the detector's boxes, and look at each face that is not followed yet."""
        result: list[Sighting] = []
        for detection in self._detector(rgb, min_score=_SURE_DETECTION)[:MOST_FACES]:
            known = [one for one in alive if _overlap(_box(one.landmarks), detection.box_xyxy) > _SAME_PLACE]
            if known:
                sighting: Sighting | None = Sighting(known[0].landmarks, detection.score)
            else:
                sighting = self._see(rgb, detection, detection.score)
            taken = [_box(one.landmarks) for one in result]
            if sighting and not any(_overlap(_box(sighting.landmarks), box) > _SAME_PLACE for box in taken):
                result.append(sighting)
        return result

    def _see(self, rgb: UInt8, near: Detection | FaceLandmarks, score: float) -> Sighting | None:
        try:
            landmarks = self._mesh(rgb, near, expression=False)
        except ValueError:  # the place that it was asked to look at has no extent: nothing to follow
            return None
        return Sighting(landmarks, score) if np.isfinite(landmarks.points_xy).all() else None


def _box(landmarks: FaceLandmarks) -> Float32:
    points = landmarks.points_xy[:468]
    return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def _overlap(a: Float32, b: Float32) -> float:
    """Intersection over union of two boxes xyxy."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.maximum(high - low, 0.0).prod())
    areas = float(np.maximum(a[2:] - a[:2], 0.0).prod() + np.maximum(b[2:] - b[:2], 0.0).prod())
    return shared / max(areas - shared, 1e-9)
