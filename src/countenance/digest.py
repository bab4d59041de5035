"""The hash of a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from countenance.errors import MediaError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["file_sha256"]


def file_sha256(path: Path) -> str:
    """Hash of a file, hex.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"Cannot read {path} ({error.strerror or error}). Check that it is still there.") from error
