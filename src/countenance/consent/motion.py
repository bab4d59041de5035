"""What a face does in a clip: turns, nods, blinks, an open mouth, in order; and whether it has depth (pure).

Angles and coefficients come from the networks frame by frame; here they become events. Every event has a threshold at
which it begins and a lower one at which it ends (hysteresis), so that a value that trembles about one line is not two
events. Left and right are the person's, which holds for pictures that are not mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.geometry import RIGID_POINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.types import Float32, Float64

__all__ = [
    "Event",
    "Seen",
    "events_of",
    "face_size",
    "flat_residual",
    "looks_ahead",
    "mouth_moves",
    "step_of",
    "thumb_change",
]

TURN_DEGREES, NOD_DEGREES = 18.0, 12.0
"""How far the head has to turn or nod from where it looked at first."""

_RETURN = 0.6  # of these angles: nearer than that it looks ahead again
_EYES_SHUT, _EYES_OPEN = 0.45, 0.3
_MOUTH_OPEN, _MOUTH_SHUT = 0.15, 0.08  # the synthetic performers, talking, reach 0.08 (A) and 0.11 (B)
_SHORTEST_BLINK = 0.35  # seconds; the performers' own blinks last 0.12 to 0.24
_SHORTEST_MOUTH = 0.4  # seconds; vowels are shorter
_AHEAD_SECONDS = 0.5
_LARGEST_YAW, _LARGEST_PITCH = 15.0, 25.0  # of a face that looks ahead, into a camera above or below it
_SPEECH_RANGE, _SPEECH_TURNS = 0.02, 4
_LIPS = np.array([13, 14], np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The face in one frame.

    ``seconds`` from the clip's start; ``yaw`` and ``pitch`` in degrees, positive towards the picture's right and up;
    ``blink`` of the eye that is less shut, in [0, 1]; ``points_xy`` float32 ``(478, 2)`` pixels; ``thumb`` float32
    ``(16, 16, 3)`` in [0, 1], the whole picture made small.
    """

    seconds: float
    yaw: float
    pitch: float
    blink: float
    points_xy: Float32
    thumb: Float32

    @property
    def mouth(self) -> float:
        """The gap between the lips, in parts of the face's size."""
        gap = np.diff(self.points_xy[_LIPS].astype(np.float64), axis=0)
        return float(np.linalg.norm(gap)) / face_size(self.points_xy)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done: what, how often, from when to when in seconds; ``ahead`` and ``peak`` are frames.

    ``ahead`` is the last frame before it in which the face looked ahead, ``peak`` the one in which it went farthest.
    """

    do: str
    times: int
    start: float
    end: float
    ahead: int
    peak: int


def looks_ahead(seen: Sequence[Seen]) -> tuple[float, float] | None:
    """Yaw and pitch of the first half second, or None when the face does not look ahead, still, in it."""
    first = [one for one in seen if one.seconds <= seen[0].seconds + _AHEAD_SECONDS]
    yaw, pitch = np.array([one.yaw for one in first]), np.array([one.pitch for one in first])
    middle = float(np.median(yaw)), float(np.median(pitch))
    away = _reach(yaw - middle[0], pitch - middle[1])
    still = float(away.max()) < _RETURN
    return middle if still and abs(middle[0]) <= _LARGEST_YAW and abs(middle[1]) <= _LARGEST_PITCH else None


def events_of(seen: Sequence[Seen], ahead: tuple[float, float]) -> list[Event]:
    """Everything that was done, in order; blinks that follow one another are one event.

    Short blinks and talking are not events. An event that has not ended when the clip does ends with it.

    Args:
        seen: all frames in order.
        ahead: the answer of :func:`looks_ahead`.
    """
    yaw = np.array([one.yaw for one in seen]) - ahead[0]
    pitch = np.array([one.pitch for one in seen]) - ahead[1]
    away = _reach(yaw, pitch)
    times = [one.seconds for one in seen]
    found: list[Event] = []

    def add(do: str, start: int, end: int, peak: int) -> None:
        found.append(Event(do, 1, times[start], times[min(end, len(times) - 1)], max(start - 1, 0), peak))

    turned = _runs(away, 1.0, _RETURN)
    for start, end in turned:
        peak = start + int(np.argmax(away[start:end]))
        add(_direction(float(yaw[peak]), float(pitch[peak])), start, end, peak)
    # A lowered head half shuts the eyes of the picture, and a turned mouth looks narrower: only a face ahead counts.
    ahead_now = away < _RETURN
    for do, values, high, low, shortest in (
        ("blink", np.array([one.blink for one in seen]), _EYES_SHUT, _EYES_OPEN, _SHORTEST_BLINK),
        ("open_mouth", np.array([one.mouth for one in seen]), _MOUTH_OPEN, _MOUTH_SHUT, _SHORTEST_MOUTH),
    ):
        for start, end in _runs(np.where(ahead_now, values, 0.0), high, low):
            if times[min(end, len(times) - 1)] - times[start] >= shortest:
                add(do, start, end, start + int(np.argmax(values[start:end])))
    return _joined(sorted(found, key=lambda event: event.start))


def flat_residual(before_xy: Float32, after_xy: Float32) -> float:
    """How far two views of a face are from two views of a plane: 0 for a picture that is moved or tilted.

    The homography that takes the rigid landmarks of one view nearest to the other's; what is left, as the root of the
    mean square, in parts of the face's size. A plane leaves nothing but the landmarks' noise; a head that turns leaves
    the nose, which moves against the cheeks.

    Args:
        before_xy, after_xy: float32 ``(478, 2)`` landmarks in pixels.
    """
    before = before_xy[RIGID_POINTS].astype(np.float64)
    after = after_xy[RIGID_POINTS].astype(np.float64)
    matrix, _ = cv2.findHomography(before, after, 0)
    if np.ndim(matrix) != 2:  # coincident points: nothing that has depth
        return 0.0
    placed = cv2.perspectiveTransform(before[None], np.asarray(matrix, np.float64))[0]
    return float(np.sqrt(((placed - after) ** 2).sum(axis=1).mean())) / face_size(after_xy)


def step_of(before: Seen, after: Seen) -> float:
    """How far the face moved between two frames, in parts of its own size."""
    moved = after.points_xy[RIGID_POINTS] - before.points_xy[RIGID_POINTS]
    return float(np.sqrt((moved**2).sum(axis=1).mean())) / face_size(before.points_xy)


def thumb_change(before: Seen, after: Seen) -> float:
    """Mean absolute difference of two whole pictures, in [0, 1]."""
    return float(np.abs(after.thumb - before.thumb).mean())


def mouth_moves(seen: Sequence[Seen], start: float, end: float) -> bool:
    """Whether the mouth opens and closes several times between two moments, as it does in speech."""
    gap = np.array([one.mouth for one in seen if start < one.seconds < end])
    if len(gap) < _SPEECH_TURNS:
        return False
    low, high = np.percentile(gap, [5, 95])  # the edges belong to what comes before and after
    if high - low < _SPEECH_RANGE:
        return False
    middle = (low + high) / 2.0
    wide = gap[np.abs(gap - middle) > _SPEECH_RANGE / 4.0] > middle
    return int((wide[1:] != wide[:-1]).sum()) >= _SPEECH_TURNS


def _reach(yaw: Float64, pitch: Float64) -> Float64:
    """How far from ahead, 1 where a turn or nod begins to count."""
    return np.maximum(np.abs(yaw) / TURN_DEGREES, np.abs(pitch) / NOD_DEGREES)


def _direction(yaw: float, pitch: float) -> str:
    if abs(yaw) / TURN_DEGREES >= abs(pitch) / NOD_DEGREES:
        return "turn_left" if yaw > 0.0 else "turn_right"
    return "look_up" if pitch > 0.0 else "look_down"


def _runs(values: Float64, high: float, low: float) -> list[tuple[int, int]]:
    """Stretches that reach ``high``, as wide as they stay at or above ``low``: (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (values >= low).astype(np.int8), [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(start, end) for start, end in pairs if float(values[start:end].max()) >= high]


def _joined(events: Sequence[Event]) -> list[Event]:
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if last is not None and last.do == event.do == "blink":
            joined[-1] = Event("blink", last.times + 1, last.start, event.end, last.ahead, last.peak)
        else:
            joined.append(event)
    return joined


def face_size(points_xy: Float32) -> float:
    """A length that says how large a face is: the root of its box's area, in pixels."""
    return float(np.sqrt(np.prod(np.ptp(points_xy[:468].astype(np.float64), axis=0)))) + 1e-9
