from __future__ import annotations

import threading
import time

import pytest

from countenance.conversion.stages import Stage, StageLine


def _numbers(count: int):
    def run(_):
        yield from range(count)

    return run


def _double(items):
    for item in items:
        yield 2 * item


def _failing(at: int, error: BaseException):
    def run(items):
        for item in items:
            if item == at:
                raise error
            yield item

    return run


def _ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("convert-")]


def test_items_pass_in_order_and_the_threads_end() -> None:
    with StageLine([Stage("a", _numbers(100)), Stage("b", _double)], queue_length=2) as line:
        assert list(line.results()) == list(range(0, 200, 2))
    assert _ours() == []
    assert line.failure is None


def test_a_stage_may_give_fewer_or_more_items_than_it_takes() -> None:
    def pairs(items):
        for item in items:
            if item % 2:
                yield item
                yield -item

    with StageLine([Stage("a", _numbers(6)), Stage("b", pairs)]) as line:
        assert list(line.results()) == [1, -1, 3, -3, 5, -5]


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_the_first_error_stops_all_and_says_where(position: int, kind: type[BaseException]) -> None:
    stages = [Stage("a", _numbers(10_000)), Stage("b", _double), Stage("c", _double)]
    error = kind("broke")
    if position == 0:

        def run(_):
            yield 7
            raise error

        stages[0] = Stage("a", run)
    else:
        stages[position] = Stage("bc"[position - 1], _failing(40, error))
    began = time.monotonic()
    line = StageLine(stages, queue_length=2)
    with pytest.raises(kind, match="broke"), line:
        list(line.results())
    assert time.monotonic() - began < 3
    assert _ours() == []
    assert line.failure is not None
    assert line.failure.stage == "abc"[position]
    assert line.failure.item == (7 if position == 0 else 40)


def test_an_error_of_the_caller_stops_the_stages() -> None:
    closed = threading.Event()

    def run(_):
        try:
            yield from range(10_000)
        finally:
            closed.set()

    with pytest.raises(ZeroDivisionError), StageLine([Stage("a", run), Stage("b", _double)], queue_length=1) as line:
        for item in line.results():
            if item == 20:
                raise ZeroDivisionError
    assert closed.is_set()  # generators are closed, so files are
    assert _ours() == []


def test_the_queues_are_bounded() -> None:
    made = []

    def run(_):
        for number in range(1000):
            made.append(number)
            yield number

    with StageLine([Stage("a", run), Stage("b", _double)], queue_length=3) as line:
        results = line.results()
        assert next(results) == 0
        time.sleep(0.4)
        assert len(made) <= 1 + 2 * 3 + 3  # taken, two full queues, and one in each hand
    assert _ours() == []


def test_waiting_is_not_work() -> None:
    def slow(_):
        for number in range(5):
            time.sleep(0.04)
            yield number

    with StageLine([Stage("slow", slow), Stage("quick", _double)]) as line:
        list(line.results())
    assert line.busy_seconds["slow"] >= 0.18
    assert line.busy_seconds["quick"] < 0.1
