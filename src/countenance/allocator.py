"""How the process's memory allocator is to treat tensors and frames that come and go."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

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
    if not sys.platform.startswith("linux"):
        return False
    tell = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return tell is not None and all(
        tell(setting, size) == 1
        for setting, size in ((_MMAP_THRESHOLD, _LARGEST_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES))
    )
