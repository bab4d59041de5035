"""How long work reports where it is; the command line turns it into a bar with an ETA."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress"]


class Progress(Protocol):
    """Called now and then, from the thread that does the work."""

    def __call__(self, done: float, total: float | None, note: str = "") -> None:
        """Report progress.

        Args:
            done: work finished so far, in the caller's unit.
            total: all of it in the same unit, or None when nobody knows.
            note: a few words on the present state.
        """
        ...
