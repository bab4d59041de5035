"""How the process's memory allocator is to treat tensors and frames that come and go."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
_LARGEST_BYTES = 64 * 2**20
_KEPT_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Let glibc keep up to 256 MiB that was freed, for the next step or frame, instead of handing it back at once.

    It maps each larger tensor or frame anew otherwise, and the system clears every page of it: about 20,000 faults a
    training step with swift, 5 to 10 % of its time (bench/efficiency.py). A frame of 720p takes 675 faults.

    Returns:
        whether this system's allocator can be told.
    """
    tell = _of_glibc("mallopt")
    return tell is not None and all(
        tell(setting, size) == 1
        for setting, size in ((_MMAP_THRESHOLD, _LARGEST_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES))
    )


def give_back_freed_memory() -> bool:
    """Hand what was freed between two pieces of memory in use back to the system, now and once.

    Frames and crops of many sizes, made and freed by several threads for hours, leave gaps that fit nothing new, and
    each thread has a heap of its own: an hour's work creeps up to more than a minute's (bench/conversion_memory.py).

    Returns:
        whether this system's allocator can be told.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)
    return trim is not None


def _of_glibc(name: str) -> Any:
    """A function of the system's C library; None where it has none of this name (macOS, Windows, musl)."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
