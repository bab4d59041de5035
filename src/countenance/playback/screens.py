"""The two screens of a preview, which has to know before it shows anything."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from countenance.perception.screen import require_adult, require_decent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.conversion.decide import DecidedFrame
    from countenance.conversion.swap import PaintedFrame
    from countenance.perception.perceive import Perception
    from countenance.types import Frame

__all__ = ["AGES_NEEDED", "Screens"]

AGES_NEEDED = 5
"""Estimates before a frame with a face that is replaced or veiled is shown: a single one may be ten years off."""


class Screens:
    """Looks at a frame every half second of footage, and at the performer's age, first in every frame.

    Args:
        perception: its ``screen`` and ``age`` are used.
        name: of the footage, for messages.
        every_seconds: of footage, between two looks.
    """

    def __init__(self, perception: Perception, name: str, every_seconds: float) -> None:
        self._see, self._name = perception, name
        self._step = Fraction(every_seconds).limit_denominator(1000)
        self._next_screen: Fraction | None = None
        self._next_age: Fraction | None = None
        self._ages: list[float] = []

    def restart(self) -> None:
        """The footage begins again; the performer's age stays known."""
        self._next_screen = self._next_age = None

    def decent(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames as they come; now and then one is looked at first.

        Raises:
            SexualContentError: it was flagged.
        """
        for frame in frames:
            if self._next_screen is None or frame.pts_seconds >= self._next_screen:
                require_decent([self._see.screen(frame.rgb)], self._name)
                self._next_screen = frame.pts_seconds + self._step
            yield frame

    def adult(self, decided: DecidedFrame) -> None:
        """Estimate the performer's age where a face is good enough to be replaced.

        Raises:
            MinorError: the performer appears under age.
        """
        face = next((face.landmarks for face in decided.faces if face.landmarks is not None), None)
        seconds = decided.frame.pts_seconds
        due = len(self._ages) < AGES_NEEDED or self._next_age is None or seconds >= self._next_age
        if face is None or not due:
            return
        self._ages.append(self._see.age(decided.frame.rgb, face))
        self._next_age = seconds + self._step
        if len(self._ages) >= AGES_NEEDED:
            require_adult(self._ages, f"The performer in {self._name}")

    def allow(self, painted: PaintedFrame) -> bool:
        """Whether a frame may be shown: always without a face that matters, else when the age is known."""
        return len(self._ages) >= AGES_NEEDED or not (painted.replaced or painted.veiled)
