"""Files that appear under their name only when complete, and private folders to make them in."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["output_error", "replacing", "sync_folder", "work_folder", "write_bytes"]

_STALE_SECONDS = 24 * 3600.0


def output_error(path: Path, error: OSError) -> OutputError:
    """The sentence a user needs when writing ``path`` failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"The disk is full while writing {path}. Free some space and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"No permission to write {path}. Choose another place or change the folder's permissions.")
    reason = error.strerror or str(error)
    return OutputError(f"Cannot write {path} ({reason}). Check that the folder exists and try again.")


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut (a no-op where folders cannot be opened, as on Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on a clean exit it is synced and takes the name, otherwise it is removed.

    The temporary name keeps the suffix, since encoders choose the container by it.

    Raises:
        OutputError: the disk is full, the folder missing or not writable; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: complete or not at all.

    Raises:
        OutputError: see :func:`replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def work_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """A private folder inside ``folder`` (same disk, readable by its owner only), removed in every case.

    Those that killed runs left behind go, too, once they are a day old.

    Args:
        folder: must be there.
        prefix: of the private folder's name; nothing else in ``folder`` may begin with it.

    Raises:
        OutputError: no permission, or the disk is full.
    """
    for old in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    try:
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
