"""How much memory a run takes, and a place on the disk for what would not fit into it.

A face set may be larger than the memory. What is only needed row by row then lies in nameless files of the project's
disk. They never have a name that somebody could open, and they vanish with the process, however it ends. They are read
and written by calls instead of being mapped: a full disk is an error with a sentence then and not a bus error, and what
lies there never counts as memory of the process.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from countenance.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

__all__ = ["MEMORY_BYTES", "DiskRows", "Held", "MadeRows", "Rows", "Scratch", "peak_rss_bytes"]

MEMORY_BYTES = 2**29
"""Face sets, and what is made of them, take this much memory at most; the rest lies on the disk (bench/memory.py)."""


class Rows(Protocol):
    """What is read row by row, the first axis counting: an array in memory, :class:`DiskRows` or :class:`MadeRows`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all rows together, as an array's."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        """One row by its number; several by a slice or an array of numbers."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class MadeRows:
    """Rows that are made when they are looked at, each time anew.

    Args:
        shape: of all rows together.
        make: gives one by its number.
    """

    def __init__(self, shape: tuple[int, ...], make: Callable[[int], NDArray[Any]]) -> None:
        self.shape, self._make = shape, make

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: Any, /) -> NDArray[Any]:
        """One row; not to be written to."""
        return self._make(int(row))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))


class _NamelessFile:
    """A file that is open for as long as somebody holds it, and then gone. Threads may share it."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size, self._lock = folder, size, threading.Lock()
        try:
            # Only its owner may open it, and on Linux it never has a name; elsewhere it loses it while still empty.
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed below
            weakref.finalize(self, self._file.close)
            self._reserve()
        except OSError as error:
            raise self._explained(error) from error

    def _reserve(self) -> None:
        """Take the room at once: a full disk is better found now than in an hour."""
        try:
            os.posix_fallocate(self._file.fileno(), 0, self._size)
        except AttributeError:  # macOS and Windows
            self._file.truncate(self._size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            self._file.truncate(self._size)

    def _explained(self, error: OSError) -> OutputError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return OutputError(
                f"The disk of {self._folder} is full: {self._size / 1e9:.1f} GB more are needed there for the faces "
                "while this runs. Free some space and run the same command again."
            )
        return OutputError(
            f"Cannot keep faces in {self._folder} while this runs ({error.strerror or error}). Check the disk and the "
            "folder's permissions, and run the same command again."
        )

    def read(self, offset: int, into: NDArray[Any]) -> None:
        """Fill a contiguous array with the bytes from ``offset`` on."""
        self._move(offset, into, "readinto")

    def write(self, offset: int, values: NDArray[Any]) -> None:
        """Write a contiguous array at ``offset``."""
        self._move(offset, values, "write")

    def _move(self, offset: int, values: NDArray[Any], how: str) -> None:
        left = values.reshape(-1).view(np.uint8).data
        try:
            with self._lock:
                self._file.seek(offset)
                while left:
                    moved = getattr(self._file, how)(left)
                    if not moved:
                        raise OSError(errno.EIO, "the file is shorter than it was made")  # noqa: TRY301
                    left = left[moved:]
        except OSError as error:
            raise self._explained(error) from error


class DiskRows:
    """Rows of one shape in a nameless file, all zeros at first. Made by :meth:`Scratch.rows`.

    ``rows[3]`` reads one row, ``rows[2:5]`` and ``rows[numbers]`` read several, always into a new array, and
    ``rows[3] = values`` writes one. Nothing reads all of them by accident: ``np.asarray(rows)`` raises TypeError.
    """

    def __init__(self, file: _NamelessFile, row: tuple[int, ...], dtype: np.dtype[Any], places: NDArray[np.intp]):
        self._file, self._row, self._dtype, self._places = file, row, dtype, places
        self._row_bytes = int(np.prod(row, dtype=np.int64)) * dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all rows together, as an array's."""
        return (len(self._places), *self._row)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[number] for number in range(len(self)))

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("DiskRows: not meant to be one array in memory; take some rows")

    def take(self, rows: slice | NDArray[np.intp]) -> DiskRows:
        """Some of the rows without reading them: the same file, numbered anew."""
        return DiskRows(self._file, self._row, self._dtype, self._places[rows])

    def __getitem__(self, rows: Any, /) -> NDArray[Any]:
        places = self._places[rows]
        if places.ndim == 0:
            one = np.empty(self._row, self._dtype)
            self._file.read(int(places) * self._row_bytes, one)
            return one
        several = np.empty((len(places), *self._row), self._dtype)
        for number, place in enumerate(places):
            self._file.read(int(place) * self._row_bytes, several[number])
        return several

    def __setitem__(self, row: int, values: NDArray[Any], /) -> None:
        plain = np.ascontiguousarray(values, self._dtype)
        if plain.shape != self._row:
            raise ValueError(f"DiskRows: expected a row of {self._row}, got {plain.shape}")
        self._file.write(int(self._places[row]) * self._row_bytes, plain)


@dataclass(frozen=True, slots=True)
class Held:
    """A set of arrays: what it is, its bytes, and how many of those lie on the disk."""

    name: str
    nbytes: int
    disk_bytes: int


class Scratch:
    """Gives room for arrays: memory while there is some left of a bound, and then nameless files.

    Args:
        folder: where those files are, on a disk with room; None keeps everything in memory.
        memory_bytes: the bound.
    """

    def __init__(self, folder: Path | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder, self._left = folder, memory_bytes
        self._held: dict[str, Held] = {}

    def rows(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any] | DiskRows:
        """Zeros of a shape. They last as long as somebody holds them; what is given back may be given again.

        Args:
            name: the set that they belong to, for :meth:`held`.
            shape: the first axis counts the rows.
            dtype: of the values.

        Raises:
            OutputError: the disk is full, or the folder cannot be written.
        """
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        folder = self._folder if size > max(self._left, 0) else None
        before = self._held.get(name, Held(name, 0, 0))
        self._held[name] = Held(name, before.nbytes + size, before.disk_bytes + size * (folder is not None))
        if folder is not None:
            return DiskRows(_NamelessFile(folder, size), shape[1:], kind, np.arange(shape[0], dtype=np.intp))
        array = np.zeros(shape, kind)
        self._left -= size
        weakref.finalize(array, self._give_back, size)
        return array

    def _give_back(self, size: int) -> None:
        self._left += size

    def held(self) -> list[Held]:
        """Every set that room was given for, the largest first."""
        return sorted(self._held.values(), key=lambda held: -held.nbytes)


def peak_rss_bytes() -> int | None:
    """The most memory that this process has had resident so far, in bytes; None where the system does not tell."""
    try:
        with Path("/proc/self/status").open(encoding="ascii", errors="replace") as lines:
            # Not getrusage's: a process inherits that from whoever started it.
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
