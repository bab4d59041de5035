"""Files that appear under their name only when complete, and private folders to make them in."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "KeptFolder",
    "kept_folder",
    "output_error",
    "readable_by_others",
    "replacing",
    "sync_folder",
    "work_folder",
    "write_bytes",
]

_STALE_SECONDS = 24 * 3600.0
_KEPT_SECONDS = 7 * 24 * 3600.0
_LOCK = "lock"
_GONE = ".gone"
_LOCKED = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


def output_error(path: Path, error: OSError) -> OutputError:
    """The sentence a user needs when writing ``path`` failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"The disk is full while writing {path}. Free some space and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"No permission to write {path}. Choose another place or change the folder's permissions.")
    reason = error.strerror or str(error)
    return OutputError(f"Cannot write {path} ({reason}). Check that the folder exists and try again.")


def readable_by_others(path: Path) -> bool:
    """Whether other users of this computer may read or write a file that is its owner's alone; never known on Windows.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


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


@dataclass(slots=True)
class KeptFolder:
    """A private folder for long work; with ``keep`` set it stays when the block ends, for the same work to go on in."""

    path: Path
    keep: bool = False


@contextmanager
def kept_folder(folder: Path, prefix: str, name: str) -> Iterator[KeptFolder]:
    """A private folder of a known name inside ``folder`` that outlives a killed run, for one run at a time.

    It is removed when the block ends, unless ``keep`` was set by then. Others with the same prefix that nobody works in
    go once they are a week old.

    Args:
        folder: must be there.
        prefix: of such folders; nothing else in ``folder`` may begin with it.
        name: of this one, after the prefix.

    Raises:
        OutputError: no permission, the disk is full, another run works in it, or it is not the user's own.
    """
    for old in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            stale = old.name != f"{prefix}{name}" and time.time() - old.stat().st_mtime > _KEPT_SECONDS
            if stale or old.suffix == _GONE:
                _remove_idle(old)
    path = folder / f"{prefix}{name}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        _require_own(path)
        handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise output_error(path, error) from error
    kept = KeptFolder(path)
    try:
        if not _lock(handle):
            kept.keep = True
            raise OutputError(f"Another run is working in {path}. Wait for it, or choose another output.")
        try:
            yield kept
        finally:
            if not kept.keep:
                # Killed in the middle of it, the folder must not look like one to go on in.
                gone = path.with_name(f"{path.name}{_GONE}")
                path.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(handle)


def _require_own(path: Path) -> None:
    """Refuse a folder that somebody else put there, who could hand us their files or take ours; close one of ours.

    Drives that know no permissions (exFAT) leave it open; what lies there is open in any case.
    """
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or (hasattr(os, "getuid") and facts.st_uid != os.getuid()):
        raise OutputError(f"{path} is not a private folder of yours. Delete it and run the same command again.")
    path.chmod(0o700)


def _remove_idle(path: Path) -> None:
    handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _lock(handle):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the file is ours alone now, until it is closed or the process ends, however it ends.

    Drives that know no locks let everybody in.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _LOCKED
    return True
