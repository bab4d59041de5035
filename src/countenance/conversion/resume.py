"""Going on with an interrupted render: what it must have been made from, and what the user is told."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countenance.atomic import output_error
from countenance.digest import file_sha256
from countenance.errors import MediaError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.conversion.segments import SegmentStore

__all__ = ["FootageFacts", "require_space", "told", "user_key"]

_KEY_BYTES = 32
_SPARE_BYTES = 2**20
_IN_WORDS = {
    "footage": "was made from other footage",
    "settings": "was made with other settings",
    "model": "was made with another model or other faces",
    "record": "was made under another consent record",
    "people": "was of other people",
    "program": "was made by another version of the program",
    "state": "cannot be read",
    "patches": "has lost its patches",
}


def user_key(folder: Path) -> bytes:
    """The secret by which unfinished renders are known as this user's own; made when it is not there.

    Args:
        folder: the user's data folder.

    Raises:
        OutputError: it cannot be read or written.
    """
    path = folder / "unfinished-renders.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(secrets.token_bytes(_KEY_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        key = path.read_bytes()
    except OSError as error:
        raise output_error(path, error) from error
    if len(key) != _KEY_BYTES:  # the power went while it was made
        path.unlink(missing_ok=True)
        raise OutputError(f"{path} is damaged and was removed. Run the same command again.")
    return key


def told(store: SegmentStore, output: Path) -> str | None:
    """One sentence on what is done about an earlier run; None where there was none."""
    if store.differs:
        reasons = " and ".join(_IN_WORDS.get(name, f"differs in {name}") for name in store.differs)
        return f"The unfinished render of {output.name} {reasons}, so it begins anew."
    if store.complete:
        return f"All {store.next_frame} frames of {output.name} were finished; they are joined and signed now."
    if store.segments:
        return f"Goes on with the unfinished render of {output.name} after {store.next_frame} finished frames."
    return None


@dataclass(frozen=True, slots=True)
class FootageFacts:
    """Which bytes the footage was, and how to see cheaply that it still is."""

    path: Path
    sha256: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FootageFacts:
        """The facts of a file.

        Raises:
            MediaError: it cannot be read.
        """
        try:
            before = path.stat()
        except OSError as error:
            raise MediaError(
                f"Cannot read {path} ({error.strerror or error}). Check that it is still there."
            ) from error
        return cls(path, file_sha256(path), before.st_size, before.st_mtime_ns)

    def require_unchanged(self) -> None:
        """Raise ``MediaError`` when the file is gone, or was written to since."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise MediaError(f"{self.path} is gone. Bring it back and run the same command again.") from error
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise MediaError(f"{self.path} was changed while it was converted. Run the same command again.")


def require_space(unsigned: Path) -> None:
    """Raise ``OutputError`` when there is no room for signing, which writes a copy: while what is finished is kept."""
    size = unsigned.stat().st_size
    if shutil.disk_usage(unsigned.parent).free < size + size // 50 + _SPARE_BYTES:
        raise OutputError(
            f"The disk is full: signing needs {size // 10**6 + 1} MB more. Free some space and run the same command "
            "again; what is finished is kept."
        )
