"""Says what happens to each face of a frame: replaced, veiled or left as it is. In doubt it is veiled.

A frame waits until its near future is known: a face that is recognised two frames after it came into the picture is
replaced from its first frame on, and the alignment is steadied by what follows as much as by what went before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from countenance import geometry
from countenance.conversion.track import Look, WatchedFrame, box_of
from countenance.conversion.veil import head_ellipse
from countenance.types import FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.conversion.settings import ConvertSettings
    from countenance.types import Float32, Float64, Frame

__all__ = ["Action", "DecidedFace", "DecidedFrame", "Decider"]

Action = Literal["replace", "veil", "pass"]

_CLEARLY_LESS = 0.15  # cosine by which somebody else must be less like the performer than the performer is
_EXPRESSION_REACH = 2  # lids and lips move faster than the head: their landmarks are steadied over fewer frames
_LOOSE_TRACK = 0  # the number under which detections that no track claims are reported


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFace:
    """One face and what happens to it.

    ``reason`` says why it is veiled. ``landmarks`` (steadied, frame pixels) and ``aligned_from_frame`` are there
    when it is replaced; ``ellipse`` is where its head is, for a veil.
    """

    track: int
    action: Action
    reason: str
    ellipse: Float32
    landmarks: FaceLandmarks | None = None
    aligned_from_frame: Float64 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFrame:
    """A frame and its faces; those that are left as they are, are left out."""

    frame: Frame
    shot: int
    faces: tuple[DecidedFace, ...]


class Decider:
    """Turns watched frames into decided ones, in order, ``lookahead_frames`` later.

    Args:
        settings: thresholds.
        performer_cosine: similarity from which one look by itself shows the performer.
        crop_size: side in pixels of the crops that faces are aligned to.
    """

    def __init__(self, settings: ConvertSettings, performer_cosine: float, crop_size: int = geometry.CROP_SIZE) -> None:
        self._settings, self._performer_cosine, self._crop_size = settings, performer_cosine, crop_size
        self._shot_of_performer = -1

    def __call__(self, watched: Iterator[WatchedFrame]) -> Iterator[DecidedFrame]:
        """Decide a stream of frames."""
        waiting: deque[WatchedFrame] = deque()
        for newest in watched:
            waiting.append(newest)
            while len(waiting) > self._settings.lookahead_frames or waiting[0].shot != newest.shot:
                yield self._decide(waiting.popleft(), waiting)
        while waiting:
            yield self._decide(waiting.popleft(), waiting)

    def _decide(self, seen: WatchedFrame, future: deque[WatchedFrame]) -> DecidedFrame:
        best = max((look.track.identity.score for look in seen.looks if _is_performer(look)), default=None)
        faces = [self._face(seen, look, best) for look in seen.looks]
        to_come = (look for later in future if later.shot == seen.shot for look in later.looks)
        if best is not None or any(_is_performer(look) for look in to_come):
            self._shot_of_performer = seen.shot
        visible = any(_is_performer(look) and look.evidence != "none" for look in seen.looks)
        if seen.shot == self._shot_of_performer and not visible:
            # The performer is in this shot and not found now: whatever looks like a face may be theirs.
            reason = "found only by the detector's lower threshold"
            faces += [DecidedFace(_LOOSE_TRACK, "veil", reason, head_ellipse(box)) for box in seen.loose_boxes]
        return DecidedFrame(seen.frame, seen.shot, tuple(face for face in faces if face.action != "pass"))

    def _face(self, seen: WatchedFrame, look: Look, best: float | None) -> DecidedFace:
        ellipse = head_ellipse(look.box_xyxy)

        def veiled(reason: str) -> DecidedFace:
            return DecidedFace(look.track.number, "veil", reason, ellipse)

        verdicts = {look.verdict, look.track.identity.verdict}
        if "performer" not in verdicts:
            if "other" in verdicts or self._is_nobody(look, best):
                return DecidedFace(look.track.number, "pass", "", ellipse)
            return veiled("identity uncertain")
        if "other" in verdicts:
            return veiled("identity uncertain within the track")
        if look.evidence == "none" and any(_is_surely_performer(other) for other in seen.looks):
            return DecidedFace(look.track.number, "pass", "", ellipse)  # found again elsewhere: it only jumped
        return self._replaced(seen, look) or veiled(self._doubt(look))

    def _doubt(self, look: Look) -> str:
        """Why the performer's face cannot be replaced; empty when it can."""
        if look.landmarks is None:
            return "face lost" if look.evidence == "none" else "landmarks lost"
        proven = look.cosine is not None and look.cosine >= self._performer_cosine
        if look.evidence != "strong" and not proven:
            return "found only by the detector's lower threshold"
        return self._unfit(look.landmarks)

    def _is_nobody(self, look: Look, best: float | None) -> bool:
        """An unrecognised face that is left alone: the performer is elsewhere in the picture, or nothing shows it."""
        elsewhere = best is not None and look.track.identity.score < best - _CLEARLY_LESS
        return elsewhere or (look.evidence == "none" and look.track.identity.looks == 0)

    def _unfit(self, landmarks: FaceLandmarks) -> str:
        """Why landmarks cannot carry a replacement; empty when they can."""
        box = box_of(landmarks.points_xy)
        if box[3] - box[1] < self._settings.smallest_face:
            return "face too small"
        yaw, _, _ = geometry.head_pose_degrees(landmarks.points_xy, landmarks.depth)
        return "face turned away" if abs(yaw) > self._settings.largest_yaw_degrees else ""

    def _replaced(self, seen: WatchedFrame, look: Look) -> DecidedFace | None:
        measured = look.landmarks
        if measured is None or self._doubt(look):
            return None
        history, index = look.track.points, seen.frame.index
        points = history.at(index, min(_EXPRESSION_REACH, self._settings.smoothing_frames))
        matrix = geometry.aligned_from_frame(history.at(index, self._settings.smoothing_frames), self._crop_size)
        landmarks = FaceLandmarks(points, measured.depth, measured.blendshapes, measured.presence)
        return DecidedFace(look.track.number, "replace", "", head_ellipse(look.box_xyxy), landmarks, matrix)


def _is_surely_performer(look: Look) -> bool:
    return look.evidence == "strong" and look.landmarks is not None and look.verdict == "performer"


def _is_performer(look: Look) -> bool:
    return "performer" in (look.verdict, look.track.identity.verdict)
