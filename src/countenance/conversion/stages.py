"""A line of stages, each in a thread of its own, with bounded queues between them.

A stage is a generator function: it takes an iterator of what the stage before yields and yields its own. The last queue
is read by the caller's thread. Whatever goes wrong anywhere, in a stage or in the caller, stops every thread.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

__all__ = ["Stage", "StageFailure", "StageLine"]

_POLL_SECONDS = 0.1
_JOIN_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: ``run`` maps an iterator to an iterator; the first stage of a line gets an empty one."""

    name: str
    run: Callable[[Iterator[Any]], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class StageFailure:
    """What a stage raised, and the last item that it took (the first stage: that it gave); None before the first."""

    stage: str
    error: BaseException
    item: Any


class _StoppedError(BaseException):
    """Unwinds a stage when the line stops; a BaseException, so that no handler in a stage takes it for its own."""


_END = object()


class StageLine:
    """Runs stages; use as a context manager around :meth:`results`.

    Args:
        stages: in order.
        queue_length: items that may wait between two stages, so memory is bounded whatever the length.
    """

    def __init__(self, stages: Sequence[Stage], *, queue_length: int = 4) -> None:
        self._stop = threading.Event()
        self._failures: list[StageFailure] = []
        self._lock = threading.Lock()
        self._queues: list[queue.Queue[Any]] = [queue.Queue(queue_length) for _ in stages]
        self.busy_seconds = {stage.name: 0.0 for stage in stages}
        """Seconds that each stage worked, waiting for its neighbours left out."""
        self._threads = [
            # Daemons, so that a stage stuck in foreign code for ever cannot keep the program from ending.
            threading.Thread(target=self._work, args=(number, stage), name=f"convert-{stage.name}", daemon=True)
            for number, stage in enumerate(stages)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        deadline = monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    @property
    def failure(self) -> StageFailure | None:
        """The first thing that went wrong in a stage."""
        return self._failures[0] if self._failures else None

    def results(self) -> Iterator[Any]:
        """What the last stage yields.

        Raises:
            BaseException: what the first failing stage raised, as it was; :attr:`failure` says where.
        """
        while True:
            try:
                item = self._queues[-1].get(timeout=_POLL_SECONDS)
            except queue.Empty:
                item = None
            if self._failures:
                raise self._failures[0].error
            if item is _END:
                return
            if item is not None:
                yield item

    def _work(self, number: int, stage: Stage) -> None:
        last: list[Any] = [None]
        waited = [0.0]
        source = self._taken(number, last, waited)
        try:
            made = stage.run(source)
            try:
                self._pump(number, stage, made, last, waited)
            finally:
                close = getattr(made, "close", None)
                if close is not None:
                    close()
        except _StoppedError:
            return
        except BaseException as error:  # handed to the caller's thread, which raises it
            with self._lock:
                if not self._stop.is_set():
                    self._failures.append(StageFailure(stage.name, error, last[0]))
            self._stop.set()

    def _pump(self, number: int, stage: Stage, made: Iterator[Any], last: list[Any], waited: list[float]) -> None:
        while True:
            began, waited_before = perf_counter(), waited[0]
            item = next(made, _END)
            self.busy_seconds[stage.name] += perf_counter() - began - (waited[0] - waited_before)
            if number == 0 and item is not _END:
                last[0] = item
            self._give(number, item)
            if item is _END:
                return

    def _give(self, number: int, item: Any) -> None:
        while not self._stop.is_set():
            try:
                self._queues[number].put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return
        raise _StoppedError

    def _taken(self, number: int, last: list[Any], waited: list[float]) -> Iterator[Any]:
        """What the stage before gave, one by one."""
        if number == 0:
            return
        while True:
            began = perf_counter()
            item = self._get(number - 1)
            waited[0] += perf_counter() - began
            if item is _END:
                return
            last[0] = item
            yield item

    def _get(self, number: int) -> Any:
        while not self._stop.is_set():
            try:
                return self._queues[number].get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        raise _StoppedError
