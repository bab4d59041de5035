"""Which frames of the footage are still in time."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

__all__ = ["Pace"]

_SIGN_OF_LIFE_SECONDS = 1.0


class Pace:
    """Waits until a frame is due, and says whether it is to be worked on.

    The clock starts with the first frame and never waits for anybody: a frame that nobody asked for when it was due is
    dropped, and so is one that comes out of the decoder more than a frame late. Only where decoding alone is slower
    than the footage, when everything is late, one frame a second goes through all the same.

    Args:
        frame_seconds: from one frame to the next.
        wait: sleeps so many seconds, or less when the preview ends.
        clock: gives seconds.
    """

    def __init__(
        self, frame_seconds: float, wait: Callable[[float], object], clock: Callable[[], float] = monotonic
    ) -> None:
        self._slack, self._wait, self._clock = frame_seconds, wait, clock
        self._began: float | None = None
        self._given = float("-inf")

    def admits(self, at: Fraction, is_wanted: Callable[[], bool]) -> bool:
        """Whether the frame is worked on; False drops it.

        Args:
            at: seconds of the footage; increase from call to call.
            is_wanted: whether somebody is free for a frame; asked when the frame is due.
        """
        if self._began is None:
            self._began = self._clock() - float(at)
        late = self._clock() - self._began - float(at)
        if late < 0.0:
            self._wait(-late)
        now = self._clock()
        if not is_wanted() or (late > self._slack and now - self._given < _SIGN_OF_LIFE_SECONDS):
            return False
        self._given = now
        return True
