"""Says what happens to each face of a frame: replaced, veiled or left as it is. In doubt it is veiled.

A frame waits until its near future is known: a face that is recognised two frames after it came into the picture is
replaced from its first frame on, a face that is found late is looked for in the frames before, the veil is there in
full when the replacement ends, and the alignment is steadied by what follows as much as by what went before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from countenance import geometry
from countenance.conversion.track import SAME_PLACE, Look, Track, WatchedFrame, box_of, overlap
from countenance.conversion.veil import head_ellipse
from countenance.types import FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from countenance.conversion.settings import ConvertSettings
    from countenance.types import Float32, Float64, Frame

__all__ = ["Action", "DecidedFace", "DecidedFrame", "Decider", "Fade"]

Action = Literal["replace", "veil", "pass"]

_CLEARLY_LESS = 0.15  # cosine by which somebody else must be less like the performer than the performer is
_EXPRESSION_REACH = 2  # lids and lips move faster than the head: their landmarks are steadied over fewer frames
_BACK_DEGREES = 8.0  # a veiled face must turn back so far inside the limit before it is replaced again
_BACK_SIZE = 1.15  # and grow so far above the smallest size
_BACK_FIT = 0.85  # and fit so much better
_IN_THE_WAY = 0.25  # of the smaller of two faces' boxes
_UNSURE_PLACE = 1.2  # the veil is larger where only its place is known, not its outline
_FORGET_FRAMES = 250
_LOWER = "found only by the detector's lower threshold"


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFace:
    """One face and what happens to it.

    ``reason`` says why it is veiled. ``landmarks`` (steadied, frame pixels) and ``aligned_from_frame`` are there
    when it is replaced; ``ellipse`` is where its head is, for a veil. ``veil_amount`` in [0, 1] is how much of the veil
    lies over it: 1 when it is veiled, less on the frames where a replaced face passes into the veil or comes out of it.
    """

    track: int
    action: Action
    reason: str
    ellipse: Float32
    landmarks: FaceLandmarks | None = None
    aligned_from_frame: Float64 | None = None
    veil_amount: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFrame:
    """A frame and its faces; those that are left as they are, are left out."""

    frame: Frame
    shot: int
    faces: tuple[DecidedFace, ...]


@dataclass(slots=True)
class Fade:
    """When and why a track was last veiled; it ends with the shot."""

    index: int
    shot: int
    reason: str


class Decider:
    """Turns watched frames into decided ones, in order, ``lookahead_frames`` later.

    Args:
        settings: thresholds.
        performer_cosine: similarity from which one look by itself shows the performer.
        crop_size: side in pixels of the crops that faces are aligned to.
        look_back: looks for a face one frame before a look at it; see :meth:`Tracker.look_back`. None looks nowhere.
    """

    def __init__(
        self,
        settings: ConvertSettings,
        performer_cosine: float,
        crop_size: int = geometry.CROP_SIZE,
        look_back: Callable[[Frame, Look], Look | None] | None = None,
    ) -> None:
        self._settings, self._performer_cosine, self._crop_size = settings, performer_cosine, crop_size
        self._look_back = look_back
        self._shot_of_performer = -1
        self._fades: dict[int, Fade] = {}

    def __call__(self, watched: Iterator[WatchedFrame]) -> Iterator[DecidedFrame]:
        """Decide a stream of frames."""
        waiting: deque[WatchedFrame] = deque()
        for newest in watched:
            _spread_doubt(waiting, newest)
            self._fill_in(waiting, newest)
            waiting.append(newest)
            while len(waiting) > self._settings.lookahead_frames or waiting[0].shot != newest.shot:
                yield self._decide(waiting.popleft(), waiting)
        while waiting:
            yield self._decide(waiting.popleft(), waiting)

    def _fill_in(self, waiting: deque[WatchedFrame], newest: WatchedFrame) -> None:
        """Look for the faces of the newest frame in the frames before, as far as they were not found there."""
        if self._look_back is None:
            return
        for look in newest.looks:
            if look.evidence == "none" or look.track.identity.verdict == "other":
                continue
            later = look
            for place in range(len(waiting) - 1, -1, -1):
                seen = waiting[place]
                known = next((other for other in seen.looks if other.track is look.track), None)
                if seen.shot != newest.shot or (known is not None and known.evidence != "none"):
                    break
                others = tuple(other for other in seen.looks if other is not known)
                earlier = self._look_back(seen.frame, later)
                if earlier is None or any(_is_same(earlier, other) for other in others):
                    break
                waiting[place] = replace(seen, looks=(*others, earlier))
                later = earlier

    def _decide(self, seen: WatchedFrame, future: deque[WatchedFrame]) -> DecidedFrame:
        best = _best(seen)
        to_come = [later for later in future if later.shot == seen.shot]
        if best is not None or any(_is_performer(look) for later in to_come for look in later.looks):
            self._shot_of_performer = seen.shot
        faces = [
            self._aligned(seen, look, self._faded(seen, look, self._face(seen, look, best), to_come))
            for look in seen.looks
        ]
        self._fades = {
            track: fade for track, fade in self._fades.items() if seen.frame.index - fade.index < _FORGET_FRAMES
        }
        return DecidedFrame(seen.frame, seen.shot, tuple(face for face in faces if face.action != "pass"))

    def _face(self, seen: WatchedFrame, look: Look, best: float | None) -> DecidedFace:
        ellipse = head_ellipse(look.box_xyxy)
        if look.landmarks is None or look.evidence != "strong":
            ellipse = ellipse * np.array([1.0, 1.0, _UNSURE_PLACE, _UNSURE_PLACE], np.float32)

        def veiled(reason: str) -> DecidedFace:
            return DecidedFace(look.track.number, "veil", reason, ellipse, veil_amount=1.0)

        verdicts = {look.verdict, look.track.identity.verdict}
        if "performer" not in verdicts:
            if "other" in verdicts or self._is_nobody(seen, look, best):
                return DecidedFace(look.track.number, "pass", "", ellipse)
            return veiled("identity uncertain" if look.track.strong else _LOWER)
        score = look.track.identity.score
        if "other" in verdicts:
            return veiled("identity uncertain within the track")
        if look.evidence == "none" and any(_is_surely_performer(other) for other in seen.looks):
            return DecidedFace(look.track.number, "pass", "", ellipse)  # found again elsewhere: it only jumped
        if best is not None and score is not None and score < best - _CLEARLY_LESS:
            return veiled("somebody else in the frame is more like the performer")
        doubt = self._doubt(look)
        if not doubt and any(_is_in_the_way(look, other) for other in seen.looks):
            doubt = "another face is in the way"
        return veiled(doubt) if doubt else DecidedFace(look.track.number, "replace", "", ellipse)

    def _faded(self, seen: WatchedFrame, look: Look, face: DecidedFace, to_come: list[WatchedFrame]) -> DecidedFace:
        """Let a replaced face pass into the veil before it must be whole, and out of it afterwards."""
        index, number, frames = seen.frame.index, look.track.number, self._settings.fade_frames
        if face.action == "veil":
            self._fades[number] = Fade(index, seen.shot, face.reason)
        if face.action != "replace" or not frames:
            return face
        distance, reason = float(frames + 1), ""
        fade = self._fades.get(number)
        if fade is not None and fade.shot == seen.shot:
            distance, reason = float(index - fade.index), fade.reason
        for later in to_come:
            ahead = float(later.frame.index - index)
            if ahead >= min(distance, frames + 1):
                break
            looks = [other for other in later.looks if other.track is look.track]
            outcome = self._face(later, looks[0], _best(later)) if looks else None
            if outcome is not None and outcome.action == "veil":
                distance, reason = ahead, outcome.reason
                break
        amount = float(geometry.smoothstep(np.array(1.0 - distance / (frames + 1))))
        return replace(face, veil_amount=amount, reason=reason) if amount > 0.0 else face

    def _doubt(self, look: Look) -> str:
        """Why the performer's face cannot be replaced; empty when it can."""
        if look.evidence == "hindsight":
            return "found only by looking back"
        if look.landmarks is None:
            return "face lost" if look.evidence == "none" else "landmarks lost"
        proven = look.cosine is not None and look.cosine >= self._performer_cosine
        if look.evidence != "strong" and not proven:
            return _LOWER
        return "identity uncertain within the track" if look.doubtful else self._unfit(look.track, look.landmarks)

    def _is_nobody(self, seen: WatchedFrame, look: Look, best: float | None) -> bool:
        """An unrecognised face that is left alone: the performer is elsewhere in the picture, or nothing shows it."""
        identity = look.track.identity
        if look.evidence == "none" and not identity.looks:
            return True
        if best is not None and identity.score is not None and identity.score < best - _CLEARLY_LESS:
            return True
        missing = seen.shot == self._shot_of_performer and best is None
        return look.landmarks is None and look.track.is_hardly_a_face and not missing

    def _unfit(self, track: Track, landmarks: FaceLandmarks) -> str:
        """Why landmarks cannot carry a replacement; empty when they can."""
        settings = self._settings
        veiled = track.number in self._fades  # once veiled, a face must come back inside the limits
        box = box_of(landmarks.points_xy)
        if box[3] - box[1] < settings.smallest_face * (_BACK_SIZE if veiled else 1.0):
            return "face too small"
        misfit_cm, yaw, pitch = _stance(landmarks)
        if misfit_cm > settings.largest_misfit_cm * (_BACK_FIT if veiled else 1.0):
            return "landmarks unsure"
        back = _BACK_DEGREES if veiled else 0.0
        if abs(yaw) > settings.largest_yaw_degrees - back:
            return "face turned away"
        return "face turned up or down" if abs(pitch) > settings.largest_pitch_degrees - back else ""

    def _aligned(self, seen: WatchedFrame, look: Look, face: DecidedFace) -> DecidedFace:
        """A face that is replaced gets its steadied landmarks and its crop."""
        measured = look.landmarks
        if face.action != "replace" or measured is None:
            return face
        history, index = look.track.points, seen.frame.index
        points = history.at(index, min(_EXPRESSION_REACH, self._settings.smoothing_frames))
        matrix = geometry.aligned_from_frame(history.at(index, self._settings.smoothing_frames), self._crop_size)
        landmarks = FaceLandmarks(points, measured.depth, measured.blendshapes, measured.presence)
        return replace(face, landmarks=landmarks, aligned_from_frame=matrix)


def _is_in_the_way(look: Look, other: Look) -> bool:
    """Whether somebody else's face covers a part of a face or is covered by it: landmarks then belong to both."""
    if other is look or _is_performer(other) or other.landmarks is None or not other.track.strong:
        return False
    low = np.maximum(look.box_xyxy[:2], other.box_xyxy[:2])
    high = np.minimum(look.box_xyxy[2:], other.box_xyxy[2:])
    areas = (float(np.prod(box[2:] - box[:2])) for box in (look.box_xyxy, other.box_xyxy))
    return float(np.prod(np.maximum(high - low, 0.0))) > _IN_THE_WAY * min(areas)


@lru_cache(maxsize=256)  # a face is asked for in its own frame and, for the fade, in those before it
def _stance(landmarks: FaceLandmarks) -> tuple[float, float, float]:
    """How badly landmarks fit a head, in centimetres, and its yaw and pitch in degrees."""
    fit = geometry.fit_canonical(landmarks.points_xy, landmarks.depth)
    yaw, pitch, _ = geometry.pose_degrees(fit)
    return _misfit_cm(landmarks, fit), yaw, pitch


def _misfit_cm(landmarks: FaceLandmarks, frame_from_mesh: Float64) -> float:
    """How far the rigid landmarks lie from the canonical mesh in the picture, root mean square, in its centimetres."""
    mesh = geometry.canonical_face().vertices_cm[geometry.RIGID_POINTS].astype(np.float64) * [1.0, -1.0, -1.0]
    laid = mesh @ frame_from_mesh[:2, :3].T + frame_from_mesh[:2, 3]
    off = laid - landmarks.points_xy[geometry.RIGID_POINTS]
    scale = float(np.cbrt(np.linalg.det(frame_from_mesh[:, :3])))
    return float(np.sqrt((off**2).sum(axis=1).mean())) / scale


def _spread_doubt(waiting: deque[WatchedFrame], newest: WatchedFrame) -> None:
    """Doubt the frames, too, in which nobody looked before a look that raised doubt."""
    for doubted in (look.track for look in newest.looks if look.doubtful):
        for place in range(len(waiting) - 1, -1, -1):
            look = next((look for look in waiting[place].looks if look.track is doubted), None)
            if look is None or look.cosine is not None:
                break
            looks = (replace(other, doubtful=True) if other is look else other for other in waiting[place].looks)
            waiting[place] = replace(waiting[place], looks=tuple(looks))


def _is_same(look: Look, other: Look) -> bool:
    return other.evidence != "none" and overlap(look.box_xyxy, other.box_xyxy) > SAME_PLACE


def _best(seen: WatchedFrame) -> float | None:
    """The score of the face that is most like the performer, if any is the performer."""
    scores = [look.track.identity.score for look in seen.looks if _is_performer(look) and look.evidence != "none"]
    return max((score for score in scores if score is not None), default=None)


def _is_surely_performer(look: Look) -> bool:
    return look.evidence == "strong" and look.landmarks is not None and look.verdict == "performer"


def _is_performer(look: Look) -> bool:
    return "performer" in (look.verdict, look.track.identity.verdict)
