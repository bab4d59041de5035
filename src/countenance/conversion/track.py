"""Follows every face of the footage and says which is the performer's: detect ▸ associate ▸ landmarks ▸ recognise.

Decisions about a frame are made a few frames later (:mod:`.decide`), when its future is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from countenance.conversion.recognise import Identity, Verdict
from countenance.conversion.report import Stopwatch
from countenance.conversion.shots import ShotDetector
from countenance.conversion.smooth import PointHistory
from countenance.perception.identity import SAME_PERSON_COSINE

if TYPE_CHECKING:
    from countenance.conversion.settings import ConvertSettings
    from countenance.perception.perceive import Perception
    from countenance.types import Detection, FaceLandmarks, Float32, Frame, UInt8

__all__ = ["Evidence", "Look", "Track", "Tracker", "WatchedFrame", "box_of", "overlap"]

Evidence = Literal["strong", "weak", "tracker", "none"]
"""What says that the face is there: the detector, the detector at its lower threshold, only the landmarks, nothing."""

_SAME_PLACE = 0.3  # intersection over union of two boxes of one face
_SAME_FACE = 0.6  # of two tracks' landmarks: they follow one face
_NEAR = 1.5  # boxes grown by half touch: faces that may be about to cross
_FIRST_LOOKS = 3
_LOOK_AGAIN_SECONDS = 0.4
_SURE_PRESENCE = 0.9  # of landmarks that no detection supports


@dataclass(slots=True, eq=False)
class Track:
    """One face followed through a shot."""

    number: int
    identity: Identity
    points: PointHistory
    box_xyxy: Float32
    landmarks: FaceLandmarks | None
    first_index: int
    seen_seconds: float
    looked_seconds: float = float("-inf")
    velocity_xy: Float32 = field(default_factory=lambda: np.zeros(2, np.float32))

    def predicted_box(self) -> Float32:
        """Where the face should be in the next frame."""
        return self.box_xyxy + np.tile(self.velocity_xy, 2)

    def move_to(self, box_xyxy: Float32) -> None:
        """Take the box of the present frame."""
        step = (box_xyxy - self.box_xyxy).reshape(2, 2).mean(axis=0)
        self.velocity_xy = (0.5 * self.velocity_xy + 0.5 * step).astype(np.float32)
        self.box_xyxy = box_xyxy


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One track in one frame. ``landmarks`` is None when they were lost; ``verdict`` is that of the moment."""

    track: Track
    landmarks: FaceLandmarks | None
    box_xyxy: Float32
    evidence: Evidence
    verdict: Verdict
    cosine: float | None


@dataclass(frozen=True, slots=True, eq=False)
class WatchedFrame:
    """A frame with everything that was seen in it; ``loose_boxes`` are weak detections that no track claims."""

    frame: Frame
    shot: int
    looks: tuple[Look, ...]
    loose_boxes: tuple[Float32, ...]


def box_of(points_xy: Float32) -> Float32:
    """Bounding box ``xyxy`` of landmarks."""
    return np.concatenate([points_xy[:468].min(axis=0), points_xy[:468].max(axis=0)]).astype(np.float32)


def overlap(a_xyxy: Float32, b_xyxy: Float32) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(a_xyxy[:2], b_xyxy[:2]), np.minimum(a_xyxy[2:], b_xyxy[2:])
    shared = float(np.prod(np.maximum(high - low, 0.0)))
    whole = float(np.prod(np.maximum(a_xyxy[2:] - a_xyxy[:2], 0.0)) + np.prod(np.maximum(b_xyxy[2:] - b_xyxy[:2], 0.0)))
    return shared / (whole - shared) if whole > shared else 0.0


class Tracker:
    """Watches frames one after another, in display order.

    Args:
        perception: the networks.
        template: float32 ``(128,)``, unit length: the performer's embedding.
        settings: thresholds.
        watch: takes the time of each step.
    """

    def __init__(
        self, perception: Perception, template: Float32, settings: ConvertSettings, watch: Stopwatch | None = None
    ) -> None:
        self._see, self._template, self._settings = perception, template, settings
        self._watch = watch or Stopwatch()
        self._shots = ShotDetector()
        self._tracks: list[Track] = []
        self._born = 0
        self.shot = 0

    def __call__(self, frame: Frame) -> WatchedFrame:
        """Watch one frame.

        Raises:
            WeightsError: a network cannot be fetched.
        """
        with self._watch("shots"):
            if self._shots(frame.rgb):
                self.shot += 1
                self._tracks.clear()
        earliest = float(frame.pts_seconds) - self._settings.hold_seconds
        self._tracks = [track for track in self._tracks if track.seen_seconds >= earliest]
        with self._watch("detect"):
            found = self._see.detector(frame.rgb, min_score=self._settings.weak_score)
        strong = [face for face in found if face.score >= self._settings.strong_score]
        weak = [face for face in found if face.score < self._settings.strong_score]
        claims = _claims(self._tracks, strong)
        claims |= _claims([track for track in self._tracks if track not in claims], weak)
        claimed = {id(face) for face in claims.values()}
        places = [self._follow(frame, track, claims.get(track)) for track in self._tracks]
        places += [self._begin(frame, face) for face in strong if id(face) not in claimed]
        self._drop_doubles(places)
        looks = tuple(self._recognise(frame, place) for place in places if place.track in self._tracks)
        loose = tuple(face.box_xyxy for face in weak if id(face) not in claimed)
        return WatchedFrame(frame, self.shot, looks, loose)

    def _follow(self, frame: Frame, track: Track, detection: Detection | None) -> _Place:
        """A known track in this frame, by its last landmarks where they hold, else by its detection."""
        landmarks = None
        if track.landmarks is not None:
            landmarks = self._landmarks(frame.rgb, track.landmarks)
        if detection is not None and (
            landmarks is None or overlap(box_of(landmarks.points_xy), detection.box_xyxy) < _SAME_PLACE
        ):
            landmarks = self._landmarks(frame.rgb, detection)
        if detection is None and landmarks is not None and landmarks.presence < _SURE_PRESENCE:
            landmarks = None
        evidence = _evidence(detection, landmarks, self._settings)
        if landmarks is not None:
            track.move_to(box_of(landmarks.points_xy))
        elif detection is not None:
            track.move_to(detection.box_xyxy)
        else:
            track.box_xyxy, track.velocity_xy = track.predicted_box(), np.float32(0.7) * track.velocity_xy
        if evidence != "none":
            track.seen_seconds = float(frame.pts_seconds)
        track.landmarks = landmarks
        return _Place(track, landmarks, evidence)

    def _begin(self, frame: Frame, detection: Detection) -> _Place:
        landmarks = self._landmarks(frame.rgb, detection)
        settings = self._settings
        threshold = SAME_PERSON_COSINE if settings.performer_cosine is None else settings.performer_cosine
        self._born += 1
        track = Track(
            number=self._born,
            identity=Identity(threshold, settings.other_cosine),
            points=PointHistory(2 * settings.smoothing_frames + settings.lookahead_frames + 2),
            box_xyxy=detection.box_xyxy if landmarks is None else box_of(landmarks.points_xy),
            landmarks=landmarks,
            first_index=frame.index,
            seen_seconds=float(frame.pts_seconds),
        )
        self._tracks.append(track)
        return _Place(track, landmarks, "strong")

    def _landmarks(self, rgb: UInt8, near: Detection | FaceLandmarks) -> FaceLandmarks | None:
        with self._watch("landmarks"):
            found = self._see.mesh(rgb, near)
        usable = found.presence >= self._settings.least_presence and bool(np.isfinite(found.points_xy).all())
        return found if usable and np.ptp(found.points_xy, axis=0).min() >= 2.0 else None

    def _drop_doubles(self, places: list[_Place]) -> None:
        """Forget the worse of two tracks that follow one face."""
        gone: set[int] = set()
        order = sorted(places, key=lambda place: ("strong", "weak", "tracker", "none").index(place.evidence))
        for position, place in enumerate(order):
            better = (other for other in order[:position] if id(other.track) not in gone)
            if any(overlap(place.track.box_xyxy, other.track.box_xyxy) > _SAME_FACE for other in better):
                gone.add(id(place.track))
        self._tracks = [track for track in self._tracks if id(track) not in gone]

    def _recognise(self, frame: Frame, place: _Place) -> Look:
        track, seconds, cosine = place.track, float(frame.pts_seconds), None
        if place.landmarks is not None:
            track.points.add(frame.index, seconds, place.landmarks.points_xy)
            if self._should_look(place, seconds):
                with self._watch("recognise"):
                    embedding = self._see.embedder(frame.rgb, place.landmarks)
                cosine = float(embedding @ self._template)
                track.identity.add(cosine)
                track.looked_seconds = seconds
        return Look(track, place.landmarks, track.box_xyxy, place.evidence, track.identity.verdict, cosine)

    def _should_look(self, place: _Place, seconds: float) -> bool:
        identity = place.track.identity
        return (
            identity.looks < _FIRST_LOOKS
            or identity.verdict in ("unknown", "uncertain")
            or place.evidence != "strong"
            or self._shots.disturbed
            or seconds - place.track.looked_seconds >= _LOOK_AGAIN_SECONDS
            or any(_near(place.track.box_xyxy, other.box_xyxy) for other in self._tracks if other is not place.track)
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    track: Track
    landmarks: FaceLandmarks | None
    evidence: Evidence


def _evidence(detection: Detection | None, landmarks: FaceLandmarks | None, settings: ConvertSettings) -> Evidence:
    if detection is None:
        return "none" if landmarks is None else "tracker"
    return "strong" if detection.score >= settings.strong_score else "weak"


def _claims(tracks: list[Track], detections: list[Detection]) -> dict[Track, Detection]:
    """Pairs of tracks and detections at one place, best overlap first, each used once."""
    pairs = [
        (shared, number, track, position, face)
        for number, track in enumerate(tracks)
        for position, face in enumerate(detections)
        if (shared := overlap(track.predicted_box(), face.box_xyxy)) >= _SAME_PLACE
    ]
    claims: dict[Track, Detection] = {}
    taken: set[int] = set()
    for _, _, track, position, face in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[3])):
        if track not in claims and position not in taken:
            claims[track] = face
            taken.add(position)
    return claims


def _near(a_xyxy: Float32, b_xyxy: Float32) -> bool:
    def grown(box: Float32) -> Float32:
        centre, half = (box[:2] + box[2:]) / 2.0, (box[2:] - box[:2]) / 2.0 * _NEAR
        return np.concatenate([centre - half, centre + half])

    return overlap(grown(a_xyxy), grown(b_xyxy)) > 0.0
