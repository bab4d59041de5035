"""Which frames are in time, by a clock that stands still unless somebody waits or works."""

from __future__ import annotations

from fractions import Fraction

from countenance.playback.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def played(decode_seconds: float, work_seconds: float, frames: int = 50) -> tuple[list[int], Clock]:
    """Which of ``frames`` at 25 a second are worked on, where decoding and working take so long, beside each other."""
    clock, free_at, given = Clock(), [0.0], []
    pace = Pace(0.04, clock.wait, clock)
    for index in range(frames):
        clock.now += decode_seconds
        if pace.admits(Fraction(index, 25) + 7, lambda: clock.now >= free_at[0]):
            given.append(index)
            free_at[0] = clock.now + work_seconds
    return given, clock


def test_with_time_enough_every_frame_is_given_when_it_is_due() -> None:
    given, clock = played(0.01, 0.03)
    assert given == list(range(50))
    assert abs(clock.now - 100.0 - 0.01 - 49 * 0.04) < 1e-6  # neither faster nor slower than the footage
    assert max(clock.waits) <= 0.04 + 1e-9


def test_slow_work_drops_frames_and_does_not_fall_behind() -> None:
    given, clock = played(0.01, 0.11)
    assert given == list(range(0, 50, 3))
    assert abs(clock.now - 100.0 - 0.01 - 49 * 0.04) < 1e-6


def test_frames_that_come_late_out_of_the_decoder_are_dropped_until_it_has_caught_up() -> None:
    clock = Clock()
    pace = Pace(0.04, clock.wait, clock)
    assert pace.admits(Fraction(0), lambda: True)
    clock.now += 0.5  # the decoder stalls, then gives what it has
    answers = [pace.admits(Fraction(index, 25), lambda: True) for index in range(1, 20)]
    assert answers == [index / 25 >= 0.5 - 0.04 for index in range(1, 20)]


def test_a_decoder_that_is_always_too_slow_still_shows_a_frame_a_second() -> None:
    given, clock = played(0.08, 0.0)
    seconds = clock.now - 100.0
    assert seconds > 3.5
    assert 3 <= len(given) <= 6
