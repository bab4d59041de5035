"""Follows every face of the footage and says which is the performer's: detect ▸ associate ▸ landmarks ▸ recognise.

Where a face should be and is not found, it is searched for again, closer and turned; now and then the whole picture is
searched for faces that the detector overlooks. Decisions about a frame are made a few frames later (:mod:`.decide`),
when its future is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np

from countenance.conversion.recognise import Identity, Verdict
from countenance.conversion.report import Stopwatch
from countenance.conversion.smooth import PointHistory
from countenance.media.shots import ShotDetector
from countenance.perception.identity import SAME_PERSON_COSINE

if TYPE_CHECKING:
    from countenance.conversion.settings import ConvertSettings
    from countenance.perception.perceive import Perception
    from countenance.types import Detection, FaceLandmarks, Float32, Frame, UInt8

__all__ = ["SAME_PLACE", "Evidence", "Look", "Track", "Tracker", "WatchedFrame", "box_of", "overlap"]

Evidence = Literal["strong", "weak", "tracker", "hindsight", "none"]
"""What says that the face is there: the detector, the detector at its lower threshold, only the landmarks, only a
search that started from a later frame, nothing."""

SAME_PLACE = 0.3  # intersection over union of two boxes of one face
_AGREES = 0.5  # of a face's landmarks with its detection; less after a jump, when they fit half of it
_SAME_FACE = 0.6  # of two tracks' landmarks: they follow one face
_NEAR = 1.5  # boxes grown by half touch: faces that may be about to cross
_HARDLY_A_FACE = 0.25  # highest cosine of what is none
_FIRST_LOOKS = 3
_LOOK_AGAIN_SECONDS = 0.4
_SURE_PRESENCE = 0.9  # of landmarks that no detection supports
_HINDSIGHT_PRESENCE = 0.5  # of landmarks that a later frame's vouch for
_THUMBNAIL = 12
_SAME_LOOK = 0.9  # correlation of a face's thumbnails from frame to frame; another face at its place is below


@dataclass(slots=True, eq=False)
class Track:
    """One face followed through a shot.

    ``strong`` says whether it was ever found above the upper threshold, ``degrees`` how far it last leaned clockwise;
    ``thumbnail`` float32 ``(12, 12)`` is its last look, of mean 0 and length 1; ``known_thumbnail`` that of the last
    recognised, None while it changes.
    """

    number: int
    identity: Identity
    points: PointHistory
    box_xyxy: Float32
    landmarks: FaceLandmarks | None
    first_index: int
    seen_seconds: float
    looked_seconds: float = float("-inf")
    looked_index: int = -1
    strong: bool = False
    degrees: float = 0.0
    thumbnail: Float32 | None = None
    known_thumbnail: Float32 | None = None
    velocity_xy: Float32 = field(default_factory=lambda: np.zeros(2, np.float32))

    def predicted_box(self) -> Float32:
        """Where the face should be in the next frame."""
        return self.box_xyxy + np.tile(self.velocity_xy, 2)

    @property
    def is_hardly_a_face(self) -> bool:
        """Whether only the detector's lower threshold takes it for a face: no landmarks fit, and it is like nobody."""
        return not self.strong and self.landmarks is None and self.identity.highest < _HARDLY_A_FACE

    def move_to(self, box_xyxy: Float32) -> None:
        """Take the box of the present frame."""
        step = (box_xyxy - self.box_xyxy).reshape(2, 2).mean(axis=0)
        self.velocity_xy = (0.5 * self.velocity_xy + 0.5 * step).astype(np.float32)
        self.box_xyxy = box_xyxy


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One track in one frame. ``landmarks`` is None when they were lost; ``verdict`` is that of the moment.

    ``doubtful`` says that the face, clearly seen, was not like the performer at this moment.
    """

    track: Track
    landmarks: FaceLandmarks | None
    box_xyxy: Float32
    evidence: Evidence
    verdict: Verdict
    cosine: float | None
    doubtful: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WatchedFrame:
    """A frame with everything that was seen in it."""

    frame: Frame
    shot: int
    looks: tuple[Look, ...]


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
        taken = [face.box_xyxy for face in claims.values()]
        places = [self._follow(frame, track, claims.get(track), taken) for track in self._tracks]
        places += [self._begin(frame, face) for face in strong + weak if id(face) not in claimed]
        self._drop_doubles(places)
        looks = [self._recognise(frame, place) for place in places if place.track in self._tracks]
        looks += [self._recognise(frame, place) for place in self._overlooked(frame, looks, empty=not found)]
        return WatchedFrame(frame, self.shot, tuple(look for look in looks if look.track in self._tracks))

    def look_back(self, frame: Frame, later: Look) -> Look | None:
        """The same face one frame before a look at it; None when nothing shows that it was there.

        Args:
            frame: the frame before, in the same shot.
            later: what was seen one frame later.
        """
        track, box, landmarks = later.track, later.box_xyxy, None
        if later.landmarks is not None:
            landmarks = self._landmarks(frame.rgb, later.landmarks, _HINDSIGHT_PRESENCE)
        if landmarks is not None:
            box = box_of(landmarks.points_xy)
        else:
            found = self._near(frame.rgb, box, track.degrees)
            if found is None:
                return None
            box = found.box_xyxy
        return Look(track, landmarks, box, "hindsight", "unknown", None)

    @property
    def performer_cosine(self) -> float:
        """Similarity to the template from which a look shows the performer: the settings' own, or the network's."""
        asked = self._settings.performer_cosine
        return SAME_PERSON_COSINE if asked is None else asked

    def _overlooked(self, frame: Frame, looks: list[Look], *, empty: bool) -> list[_Place]:
        """Now and then: faces that the detector does not find in the whole picture, small or turned.

        As often as a decision waits, so that looking back covers the frames between; turned ones only while no upright
        face is the performer.
        """
        if not self._shots.first and frame.index % max(self._settings.lookahead_frames, 1):
            return []
        performer = any(look.evidence == "strong" and look.verdict == "performer" for look in looks)
        with self._watch("detect"):
            found = self._see.search.wide(frame.rgb, self._settings.strong_score, turned=not performer, empty=empty)
        places = []
        for face in found:
            there = [look for look in looks if overlap(face.box_xyxy, look.box_xyxy) >= SAME_PLACE]
            if there and not self._misread(frame, face, there):
                continue
            places.append(place := self._begin(frame, face))
            place.track.strong = place.landmarks is not None  # a picture that is turned shows faces in anything
        return places

    def _misread(self, frame: Frame, face: Detection, there: list[Look]) -> bool:
        """Whether a turned face is the performer whom upright landmarks did not show there; ends their tracks."""
        if any(look.verdict == "performer" for look in there):
            return False
        landmarks = self._landmarks(frame.rgb, face)
        if landmarks is None:
            return False
        if float(self._see.look(frame.rgb, landmarks).embedding @ self._template) < self.performer_cosine:
            return False
        self._tracks = [track for track in self._tracks if all(track is not look.track for look in there)]
        return True

    def _near(self, rgb: UInt8, box_xyxy: Float32, degrees: float) -> Detection | None:
        with self._watch("detect"):
            return self._see.search.near(rgb, box_xyxy, degrees, self._settings.weak_score)

    def _follow(self, frame: Frame, track: Track, detection: Detection | None, taken: list[Float32]) -> _Place:
        """A known track in this frame, by its last landmarks where they hold, else by its detection."""
        landmarks = None
        if track.landmarks is not None:
            landmarks = self._landmarks(frame.rgb, track.landmarks)
        searched = detection is None and track.identity.verdict != "other" and (track.strong or landmarks is not None)
        if searched:
            box = track.predicted_box() if landmarks is None else box_of(landmarks.points_xy)
            detection = self._near(frame.rgb, box, track.degrees if landmarks is None else _lean(landmarks))
            if detection is not None and any(overlap(detection.box_xyxy, box) >= SAME_PLACE for box in taken):
                detection = None  # somebody else's
        if detection is not None and (
            landmarks is None or overlap(box_of(landmarks.points_xy), detection.box_xyxy) < _AGREES
        ):
            weak = detection.score < self._settings.strong_score
            idle = weak and track.is_hardly_a_face and track.identity.looks >= _FIRST_LOOKS
            if not idle or frame.index % max(self._settings.lookahead_frames, 1) == 0:
                landmarks = self._landmarks(frame.rgb, detection)
        if detection is None and landmarks is not None and landmarks.presence < _SURE_PRESENCE:
            landmarks = None
        if searched and detection is not None and landmarks is None and detection.score < self._settings.strong_score:
            detection = None  # a close search at the lower threshold sees faces in anything
        evidence = _evidence(detection, landmarks, self._settings)
        if landmarks is not None:
            track.move_to(box_of(landmarks.points_xy))
            track.degrees = _lean(landmarks)
        elif detection is not None:
            track.move_to(detection.box_xyxy)
        else:
            track.box_xyxy, track.velocity_xy = track.predicted_box(), np.float32(0.7) * track.velocity_xy
        if evidence != "none":
            track.seen_seconds = float(frame.pts_seconds)
        track.landmarks = landmarks
        track.strong |= evidence == "strong"
        return _Place(track, landmarks, evidence, detection)

    def _begin(self, frame: Frame, detection: Detection) -> _Place:
        landmarks = self._landmarks(frame.rgb, detection)
        settings = self._settings
        self._born += 1
        track = Track(
            number=self._born,
            identity=Identity(self.performer_cosine, settings.other_cosine),
            points=PointHistory(2 * settings.smoothing_frames + settings.lookahead_frames + 2),
            box_xyxy=detection.box_xyxy if landmarks is None else box_of(landmarks.points_xy),
            landmarks=landmarks,
            first_index=frame.index,
            seen_seconds=float(frame.pts_seconds),
            strong=detection.score >= settings.strong_score,
            degrees=0.0 if landmarks is None else _lean(landmarks),
        )
        self._tracks.append(track)
        return _Place(track, landmarks, _evidence(detection, landmarks, settings), detection)

    def _landmarks(
        self, rgb: UInt8, near: Detection | FaceLandmarks, least_presence: float | None = None
    ) -> FaceLandmarks | None:
        least = self._settings.least_presence if least_presence is None else least_presence
        with self._watch("landmarks"):
            found = self._see.mesh(rgb, near, expression=False)  # the models read places only
        usable = found.presence >= least and bool(np.isfinite(found.points_xy).all())
        return found if usable and np.ptp(found.points_xy, axis=0).min() >= 2.0 else None

    def _drop_doubles(self, places: list[_Place]) -> None:
        """Forget the worse of two tracks that follow one face."""
        gone: set[int] = set()
        order = sorted(places, key=lambda place: get_args(Evidence).index(place.evidence))
        for position, place in enumerate(order):
            better = (other for other in order[:position] if id(other.track) not in gone)
            if any(overlap(place.track.box_xyxy, other.track.box_xyxy) > _SAME_FACE for other in better):
                gone.add(id(place.track))
        self._tracks = [track for track in self._tracks if id(track) not in gone]

    def _recognise(self, frame: Frame, place: _Place) -> Look:
        track, seconds, cosine = place.track, float(frame.pts_seconds), None
        if place.landmarks is not None:
            track.points.add(frame.index, seconds, place.landmarks.points_xy)
        face = place.landmarks or place.detection
        changed = _looks_changed(track, frame.rgb)
        if face is not None and (changed or self._should_look(place, frame)):
            with self._watch("recognise"):
                embedding, clarity = self._see.look(frame.rgb, face)
            cosine = float(embedding @ self._template)
            track.identity.add(cosine, clarity)
            track.looked_seconds, track.looked_index = seconds, frame.index
            track.known_thumbnail = None if changed else track.thumbnail  # one more look after a change
        doubtful = cosine is not None and track.identity.doubtful
        return Look(track, place.landmarks, track.box_xyxy, place.evidence, track.identity.verdict, cosine, doubtful)

    def _should_look(self, place: _Place, frame: Frame) -> bool:
        track, identity = place.track, place.track.identity
        since = float(frame.pts_seconds) - track.looked_seconds
        waited = frame.index - track.looked_index >= self._settings.lookahead_frames
        watched = identity.surely_other and track.known_thumbnail is not None  # by _looks_changed
        if track.is_hardly_a_face and identity.looks >= _FIRST_LOOKS:
            return waited
        return (
            identity.looks < _FIRST_LOOKS
            or identity.verdict in ("unknown", "uncertain")
            or (identity.doubtful and not watched)
            or place.evidence != "strong"
            or self._shots.disturbed
            or since >= _LOOK_AGAIN_SECONDS
            # Who takes the place of somebody else must be known before the frames since the last look are decided.
            or (identity.verdict == "other" and (waited or not watched))
            or any(_near(track.box_xyxy, other.box_xyxy) for other in self._tracks if other is not track)
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    track: Track
    landmarks: FaceLandmarks | None
    evidence: Evidence
    detection: Detection | None


def _lean(landmarks: FaceLandmarks) -> float:
    """By how many degrees a face leans clockwise in the picture: the line through the outer eye corners."""
    across = landmarks.points_xy[263] - landmarks.points_xy[33]
    return float(np.degrees(np.arctan2(across[1], across[0])))


def _looks_changed(track: Track, rgb: UInt8) -> bool:
    """Whether another face may have come since the frame before or, after somebody else, since the last recognised."""
    x0, y0, x1, y1 = (int(value) for value in track.box_xyxy.round())
    part = rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if min(part.shape[:2]) < 4:
        track.thumbnail = track.known_thumbnail = None
        return False
    small = cv2.resize(np.ascontiguousarray(part), (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    gray = small.astype(np.float32).mean(axis=2)
    gray -= gray.mean()
    last, track.thumbnail = track.thumbnail, gray / max(float(np.linalg.norm(gray)), 1e-3)
    known = (last, track.known_thumbnail if track.identity.verdict == "other" else None)
    return any(one is not None and float((one * track.thumbnail).sum()) < _SAME_LOOK for one in known)


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
        if (shared := overlap(track.predicted_box(), face.box_xyxy)) >= SAME_PLACE
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
