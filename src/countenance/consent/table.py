"""Reading a JSON object that must have exactly certain members, each of its type; the readers of documents share it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from countenance.config import clean_line
from countenance.consent.clock import parse_time
from countenance.errors import InputError

__all__ = ["MalformedError", "Table", "with_optional"]

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class MalformedError(ValueError):
    """A document's member is missing, unknown or of another type; the message is a half-sentence."""


class Table:
    """A JSON object that must have exactly certain members; each is read with its type.

    Raises:
        MalformedError: members are missing or unknown, or one is of another type.
    """

    def __init__(self, value: object, what: str, members: Sequence[str]) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{what} is not a JSON object")
        for key in value:
            if key not in members:
                raise MalformedError(f"{what} has the unknown member {key[:40]!r}")
        for key in members:
            if key not in value:
                raise MalformedError(f"{what} has no {key}")
        self._value, self._what = value, what

    def raw(self, key: str) -> Any:
        """The member as it is."""
        return self._value[key]

    def text(self, key: str) -> str:
        """A text."""
        if not isinstance(self._value[key], str):
            raise MalformedError(f"{key} of {self._what} is not a text")
        return str(self._value[key])

    def members(self) -> dict[str, Any]:
        """All members."""
        return dict(self._value)

    def sha256(self, key: str) -> str:
        """A SHA-256 in 64 lower-case hex digits."""
        if not _SHA256.fullmatch(self.text(key)):
            raise MalformedError(f"{key} of {self._what} is not a SHA-256")
        return self.text(key)

    def line(self, key: str) -> str:
        """A text of one line that is shown as it is stored."""
        text = self.text(key)
        try:
            same = clean_line(text, key) == text
        except InputError as error:
            raise MalformedError(str(error)) from error
        if not same:
            raise MalformedError(f"{key} of {self._what} has unusual spaces or letters")
        return text

    def flag(self, key: str) -> bool:
        """True or false; not a number that looks like it."""
        if not isinstance(self._value[key], bool):
            raise MalformedError(f"{key} of {self._what} is neither true nor false")
        return bool(self._value[key])

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._value[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise MalformedError(f"{key} of {self._what} is not a number")
        return float(value)

    def time(self, key: str) -> datetime:
        """A moment in this millennium, so that adding to it or taking from it cannot fail."""
        moment = parse_time(self.text(key))
        if not 2000 <= moment.year < 3000:
            raise MalformedError(f"{key} of {self._what} is not in this millennium")
        return moment

    def day(self, key: str) -> date:
        """A calendar day, such as ``2026-03-01``, in this millennium."""
        text = self.text(key)
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None or not 2000 <= day.year < 3000:
            raise MalformedError(f"{key} of {self._what} is not a day of this millennium such as 2026-03-01")
        return day

    def one_of(self, key: str, known: Sequence[str] | Mapping[str, object]) -> str:
        """A text out of a closed list."""
        text = self.text(key)
        if text not in known:
            raise MalformedError(f"{key} of {self._what} is none of: {', '.join(known)}")
        return text

    def names(self, key: str, limit: int) -> tuple[str, ...]:
        """A list of different texts."""
        value = self._value[key]
        if not isinstance(value, list) or len(value) > limit or not all(isinstance(item, str) for item in value):
            raise MalformedError(f"{key} of {self._what} is not a list of at most {limit} texts")
        if len(set(value)) != len(value):
            raise MalformedError(f"{key} of {self._what} names something twice")
        return tuple(value)


def with_optional(value: object, members: Sequence[str], optional: Sequence[str]) -> tuple[str, ...]:
    """``members``, and those of ``optional`` that are there: what :class:`Table` is told to require."""
    return (*members, *(key for key in optional if isinstance(value, dict) and key in value))
