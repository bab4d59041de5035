"""What a conversion did: counts, veiled spans with timecodes, and where the time went."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from time import perf_counter
from typing import Any

__all__ = ["ConvertReport", "Spans", "Stopwatch", "VeiledSpan", "timecode"]


def timecode(seconds: Fraction, rate: Fraction) -> str:
    """``HH:MM:SS:FF`` from the start of the footage, non-drop: FF counts frames inside the second.

    Args:
        seconds: time since the first frame; a negative one counts as zero.
        rate: frames a second.
    """
    seconds = max(seconds, Fraction(0))
    whole = seconds.numerator // seconds.denominator
    frames = int((seconds - whole) * rate)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{frames:02d}"


@dataclass(frozen=True, slots=True)
class VeiledSpan:
    """Consecutive frames in which one face was veiled for one reason.

    ``first_frame`` and ``last_frame`` are indexes, both inside; the timecodes are theirs.
    """

    first_frame: int
    last_frame: int
    first_timecode: str
    last_timecode: str
    reason: str
    track: int


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """The facts about one conversion.

    ``frames`` is the sum of ``replaced`` (the performer's face was replaced and nothing veiled), ``veiled`` (a face was
    veiled) and ``passed`` (footage as it was, but for the marks). ``median_age`` is the performer's apparent age,
    ``median_lender_age`` that of the lender's face as it was painted, in years; ``close_calls`` are sentences about
    those that were near the limit. ``stage_milliseconds`` is the time at work per frame,
    by stage, waiting left out; ``step_milliseconds`` likewise for the steps inside stages. ``seconds`` is the wall
    clock, ``frames_per_second`` follows from it. ``left_out`` names what of the footage could not be carried
    over. ``resumed_at_frame`` is the first frame that this run made, when an interrupted one went before; all times are
    then of this run and its frames only.
    """

    frames: int
    replaced: int
    veiled: int
    passed: int
    veiled_spans: tuple[VeiledSpan, ...]
    shots: int
    median_age: float
    median_lender_age: float
    seconds: float
    frames_per_second: float
    stage_milliseconds: dict[str, float]
    step_milliseconds: dict[str, float]
    left_out: tuple[str, ...] = ()
    close_calls: tuple[str, ...] = ()
    resumed_at_frame: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


class Spans:
    """Joins veiled faces of consecutive frames into spans, in the order in which they begin."""

    def __init__(self, rate: Fraction, start_seconds: Fraction) -> None:
        self._rate, self._start = rate, start_seconds
        self._open: dict[tuple[int, str], VeiledSpan] = {}
        self._closed: deque[VeiledSpan] = deque()

    def add(self, index: int, seconds: Fraction, faces: list[tuple[int, str]]) -> None:
        """Take one frame: its index, time, and (track, reason) of each veiled face."""
        now = timecode(seconds - self._start, self._rate)
        for key in [key for key in self._open if key not in faces]:
            self._closed.append(self._open.pop(key))
        for track, reason in faces:
            began = self._open.get((track, reason))
            first, first_timecode = (began.first_frame, began.first_timecode) if began else (index, now)
            self._open[track, reason] = VeiledSpan(first, index, first_timecode, now, reason, track)

    def all(self) -> tuple[VeiledSpan, ...]:
        """Every span so far."""
        return tuple(sorted([*self._closed, *self._open.values()], key=lambda span: (span.first_frame, span.track)))


class Stopwatch:
    """Adds up seconds by name; each name belongs to one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a ``with`` block."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - began
