"""Work on many faces by several threads, in order, with little of it in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["in_order"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_AHEAD = 4  # results a thread that may wait to be taken


def in_order(function: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """The results of ``function`` for ``items``, in their order, by as many threads as there are cores.

    Unlike ``Executor.map`` it does not run ahead of whoever takes the results, so that results never pile up and an
    interruption is not held up by work that nobody waits for.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
