"""A quick sample of bench/leaks.py, its counting, and the page that shows its result."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from leaks import (
    BEGIN,
    END,
    PAGE,
    RESULT,
    Judge,
    Tally,
    good,
    measure,
    table,
)
from leaks_scenarios import scenarios
from leaks_scenes import Cast, Scene, play

from countenance.conversion.decide import DecidedFrame
from countenance.perception.perceive import Perception


@cache
def _cast() -> tuple[Cast, np.ndarray]:
    cast = Cast(Perception())
    return cast, cast.template()


def _part(name: str, first: int, last: int) -> Scene:
    scene = next(scene for scene in scenarios() if scene.name == name)
    return replace(scene, plans=scene.plans[first:last])


@pytest.mark.parametrize(("name", "first", "last"), [("turned_180", 0, 4), ("takes_the_place", 10, 16), ("bar", 8, 13)])
def test_nothing_leaks(name: str, first: int, last: int) -> None:
    tally = measure(_cast()[0], _part(name, first, last), _cast()[1])
    assert tally.recognisable >= 3
    assert (tally.leaks, tally.others_replaced) == (0, 0)


def test_a_leak_is_counted() -> None:
    cast, template = _cast()
    scene = _part("plain", 0, 2)
    tally = Tally()
    for seen in play(cast, scene):
        Judge(cast.perception, template)(tally, seen, DecidedFrame(seen.frame, 0, ()), seen.frame.rgb)
    assert (tally.leaks, tally.recognised_after, tally.least_covered) == (2, 2, 0.0)


def test_the_result_is_good_and_the_page_shows_it() -> None:
    facts = json.loads(RESULT.read_text(encoding="utf-8"))
    assert good(facts)
    assert list(facts["scenarios"]) == [scene.name for scene in scenarios()]
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table(facts)


@pytest.mark.parametrize(
    ("name", "change"), [("bar", {"leaks": 1}), ("side_by_side", {"others_replaced": 1}), ("plain", {"veiled": 2})]
)
def test_a_bad_result_is_seen(name: str, change: dict[str, int]) -> None:
    facts = json.loads(RESULT.read_text(encoding="utf-8"))
    facts["scenarios"][name] |= change
    assert not good(facts)
