"""What time it is, passed in as a function so that tests and replays give their own; never patched."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "format_time", "parse_time", "utc_now"]

Clock = Callable[[], datetime]
"""Gives the present moment, with a time zone."""

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def utc_now() -> datetime:
    """The system's clock, in UTC."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """A moment as ``2026-03-31T23:59:59Z``: UTC, whole seconds, one form only.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("format_time: expected a moment with a time zone, got one without")
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def parse_time(text: str) -> datetime:
    """The moment that :func:`format_time` wrote.

    Raises:
        ValueError: any other form.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"expected a time such as 2026-03-31T23:59:59Z, got {text[:40]!r}")
    return datetime.fromisoformat(text)
