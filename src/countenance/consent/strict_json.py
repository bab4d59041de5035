"""JSON that two readers cannot understand differently, and that cannot exhaust the reader.

Refused: a key given twice (one program would take the first, another the last), NaN and infinities, lone surrogates,
a byte-order mark, anything larger than the limit or nested so deep that it cannot be a document of ours.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NoReturn

from countenance.errors import ConsentError

__all__ = ["SIZE_LIMIT", "canonical", "loads", "read_bounded", "sha256_hex"]

SIZE_LIMIT = 64 * 1024
"""Largest document in bytes; a record has about 2 KiB."""


def canonical(value: object) -> bytes:
    """JSON in one form only: sorted keys, no spaces, UTF-8 (the form that is hashed and signed).

    Raises:
        ValueError: a number that JSON does not have, or a text that is no Unicode.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """SHA-256 in 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def loads(data: bytes, what: str, *, limit: int = SIZE_LIMIT) -> dict[str, Any]:
    """Read one JSON object.

    Args:
        data: the document's bytes.
        what: its name in messages, for example ``"The consent record"``.
        limit: largest size in bytes.

    Raises:
        ConsentError: it is refused for one of the reasons above, or no object.
    """
    if len(data) > limit:
        raise ConsentError(f"{what} is larger than {limit // 1024} KiB. Ask for the original file.")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        canonical(value)  # a lone surrogate is a valid JSON escape, but no Unicode text
    except (ValueError, RecursionError) as error:
        raise ConsentError(
            f"{what} is not a document that can be read safely ({error}). Ask for the original."
        ) from error
    if not isinstance(value, dict):
        raise ConsentError(f"{what} is not a JSON object. Ask for the original file.")
    return value


def read_bounded(path: Path, what: str, *, limit: int = SIZE_LIMIT) -> bytes:
    """Read a small file, never more than ``limit`` bytes and never from a pipe or device.

    Raises:
        ConsentError: it is missing, no ordinary file, too large or not readable.
    """
    try:
        if not path.is_file():
            raise ConsentError(f"{what} is missing: there is no file {path}. Check the name.")
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ConsentError(f"{what} cannot be read from {path} ({error}). Check its permissions.") from error
    if len(data) > limit:
        raise ConsentError(f"{what} in {path} is larger than {limit // 1024} KiB. Ask for the original file.")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} is given twice")
    return table


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
