"""Between the player and the page: the newest picture, which replaces the one before it, fetched or not."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Channel", "Shown", "Status"]


class Shown(NamedTuple):
    """A marked and signed picture: its ``number``, counted from 1, and the bytes of the JPEG."""

    number: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """What the page tells beside the picture. Rates are frames a second, ``dropped_share`` is in [0, 1]."""

    timecode: str = "00:00:00:00"
    footage_frames_per_second: float = 0.0
    shown_frames_per_second: float = 0.0
    shown: int = 0
    dropped: int = 0
    dropped_share: float = 0.0
    veiled: bool = False
    message: str = "Waiting for the first picture."
    ended: bool = False


class Channel:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.watched = threading.Event()
        """Set when somebody looks for the first time."""
        self.said = threading.Event()
        """Set when somebody was told of the end."""
        self._news = threading.Condition()
        self._shown: Shown | None = None
        self._status = Status()

    def publish(self, jpeg: bytes, status: Status) -> None:
        """Show a picture."""
        with self._news:
            self._shown = Shown(1 if self._shown is None else self._shown.number + 1, jpeg)
            self._status = status
            self._news.notify_all()

    def tell(self, status: Status) -> None:
        """Change what is told, the end included; the picture stays."""
        with self._news:
            self._status = status
            self._news.notify_all()

    def status(self) -> Status:
        """What is told at the moment."""
        with self._news:
            return self._status

    def told(self) -> Status:
        """The same, for somebody outside."""
        status = self.status()
        if status.ended:
            self.said.set()
        return status

    def newest(self) -> Shown | None:
        """The picture of the moment."""
        with self._news:
            return self._shown

    def newer_than(self, number: int, seconds: float) -> Shown | None:
        """The newest picture, waiting for one after ``number``; None when none came in time, or the preview ended."""
        with self._news:
            self._news.wait_for(lambda: self._status.ended or self._number() > number, seconds)
            return self._shown if self._number() > number else None

    def _number(self) -> int:
        return 0 if self._shown is None else self._shown.number
