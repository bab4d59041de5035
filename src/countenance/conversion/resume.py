"""Going on with an interrupted render: what it must have been made from, and what the user is told."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from countenance.digest import file_sha256
from countenance.errors import MediaError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.conversion.segments import SegmentStore

__all__ = ["FootageFacts", "require_space", "told"]

_COPIES = 4  # the signed file, and three that the library works with (provenance.sign)
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
    """Raise ``OutputError`` when there is no room for signing, which writes copies: while what is finished is kept."""
    size = _COPIES * unsigned.stat().st_size
    if shutil.disk_usage(unsigned.parent).free < size + size // 50 + _SPARE_BYTES:
        raise OutputError(
            f"The disk is full: signing needs {size // 10**6 + 1} MB more. Free some space and run the same command "
            "again; what is finished is kept."
        )
