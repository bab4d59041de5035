"""A clip of one face, watched frame by frame: one person, alone, never out of the picture, filmed in one go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry
from countenance.consent.motion import Seen, face_size, step_of, thumb_change
from countenance.errors import ConsentError, NoFaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.types import Detection, FaceLandmarks, Float32, Frame, UInt8

__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "Observed", "observe"]

SHORTEST_SECONDS, LONGEST_SECONDS = 8.0, 180.0
"""How long a clip may be."""

_CLOSEST_SECONDS = 1.0 / 32.0  # frames nearer than this to the one before are passed over: 60 fps tell no more
_LARGEST_GAP_SECONDS = 0.25
_MEASURE_SECONDS = 0.2  # between two measurements of who it is, and how old
_SMALLEST_FACE = 80.0  # pixels
_PRESENCE = 0.5
_SECOND_FACE = 0.25  # of the first one's height; smaller ones are pictures on a wall
_SECOND_FACE_FRAMES = 2

# Between frames of one shot the synthetic performers reach 0.024 and 0.007, and at cuts between their shots at least
# 0.10 in both. A head that is thrown round moves by one and a half of its sizes a second.
_STEP, _STEP_A_SECOND = 0.09, 1.75
_CHANGE = 0.05


@dataclass(slots=True)
class Observed:
    """``seen`` of every frame; ``embeddings`` and ``ages`` (years), measured five times a second."""

    seen: list[Seen] = field(default_factory=list)
    embeddings: list[Float32] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)


def observe(frames: Iterable[Frame], perception: Perception, progress: Progress | None = None) -> Observed:
    """Follow the one face of a clip through every frame.

    Raises:
        NoFaceError: no face at first, or one that is too small.
        ConsentError: the face leaves, a second one is there, there is a cut or a gap, or the clip is too short or long.
        MediaError: the clip cannot be decoded.
    """
    watch = _Watch(perception)
    for frame, seconds in _paced(frames):
        watch.add(frame.rgb, seconds)
        if progress is not None:
            progress(seconds, None)
    seen = watch.observed.seen
    length = seen[-1].seconds if seen else 0.0
    if length < SHORTEST_SECONDS:
        raise ConsentError(
            f"The clip is too short ({length:.1f} s, at least {SHORTEST_SECONDS:.0f} needed). Film all cards in one go."
        )
    return watch.observed


def _paced(frames: Iterable[Frame]) -> Iterator[tuple[Frame, float]]:
    first = last = None
    for frame in frames:
        first = frame.pts_seconds if first is None else first
        seconds = float(frame.pts_seconds - first)
        if last is not None and seconds - last < _CLOSEST_SECONDS:
            continue
        if last is not None and seconds - last > _LARGEST_GAP_SECONDS:
            raise ConsentError(f"Pictures are missing at {last:.1f} s of the clip. Film it again without a break.")
        if seconds > LONGEST_SECONDS:
            raise ConsentError(
                f"The clip is longer than {LONGEST_SECONDS:.0f} s. Do the cards one after the other, with a second "
                "between them."
            )
        last = seconds
        yield frame, seconds


class _Watch:
    """Takes the frames in order and keeps what was seen."""

    def __init__(self, perception: Perception) -> None:
        self.observed = Observed()
        self._perception = perception
        self._face: FaceLandmarks | None = None
        self._measured = -np.inf
        self._crowded = 0

    def add(self, rgb: UInt8, seconds: float) -> None:
        found = self._perception.detector(rgb)
        self._count_others(found, seconds)
        near = self._face if self._face is not None else next(iter(found), None)
        if near is None:
            raise NoFaceError("The clip does not begin with a face. Look ahead into the camera for a second first.")
        face = self._perception.mesh(rgb, near)
        if face.presence < _PRESENCE:
            raise ConsentError(f"The face is not to be seen at {seconds:.1f} s. Film it again, staying in the picture.")
        if face_size(face.points_xy) < _SMALLEST_FACE:
            raise NoFaceError(
                f"The face is too small at {seconds:.1f} s ({face_size(face.points_xy):.0f} pixels, at least "
                f"{_SMALLEST_FACE:.0f} needed). Film it from nearer by."
            )
        self._face = face
        seen = _seen(rgb, seconds, face)
        self._require_one_go(seen)
        self.observed.seen.append(seen)
        if seconds - self._measured >= _MEASURE_SECONDS:
            self._measured = seconds
            self.observed.embeddings.append(self._perception.embedder(rgb, face))
            self.observed.ages.append(self._perception.age(rgb, face))

    def _count_others(self, found: list[Detection], seconds: float) -> None:
        heights = [float(face.box_xyxy[3] - face.box_xyxy[1]) for face in found]
        self._crowded += sum(height >= _SECOND_FACE * max(heights) for height in heights) > 1
        if self._crowded >= _SECOND_FACE_FRAMES:
            raise ConsentError(f"A second face is in the picture at {seconds:.1f} s. Film the lender alone.")

    def _require_one_go(self, seen: Seen) -> None:
        before = self.observed.seen[-1] if self.observed.seen else None
        if before is None:
            return
        limit = max(_STEP, _STEP_A_SECOND * (seen.seconds - before.seconds))
        if step_of(before, seen) > limit or thumb_change(before, seen) > _CHANGE:
            raise ConsentError(
                f"The picture jumps at {seen.seconds:.1f} s, as at a cut. Film the clip in one go, with the camera on "
                "a stand."
            )


def _seen(rgb: UInt8, seconds: float, face: FaceLandmarks) -> Seen:
    from countenance.perception.blendshapes import BLENDSHAPE_NAMES

    yaw, pitch, _ = geometry.head_pose_degrees(face.points_xy, face.depth)
    left, right = (BLENDSHAPE_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight"))
    thumb = np.asarray(cv2.resize(rgb, (16, 16), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255.0)
    blink = float(min(face.blendshapes[left], face.blendshapes[right]))
    return Seen(seconds, yaw, pitch, blink, face.points_xy, thumb)
