"""The figures of ``bench/screens.py``: how bounds are made, and that the page tells the published run's."""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_screens", ROOT / "bench" / "screens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_screens"] = module
    spec.loader.exec_module(module)
    return module


def test_bounds(bench: ModuleType) -> None:
    assert bench.bound(0, 300) == 0.01
    assert bench.bound(0, 0) == bench.bound(0, 2) == 1.0
    assert 0.10 < bench.bound(10, 100) < 0.17
    assert bench.longest([0.9, 0.9, 0.1, 0.8, 0.85, 0.99, 0.0]) == 3


def test_a_track_is_judged_as_in_a_render(bench: ModuleType) -> None:
    years = [30.0] * 20 + [15.0] * 5 + [30.0] * 20
    in_a_row = bench.short_tracks(years, 1)
    assert (in_a_row["tracks"], in_a_row["refused"], in_a_row["lowest_median"]) == (41, 5, 15.0)
    assert bench.short_tracks(years, 2)["refused"] > 0
    assert bench.short_tracks(years[:3], 1) == {"tracks": 0}
    assert bench.looks_of_a_minute() == 121


def test_places_are_pictures_and_differ(bench: ModuleType) -> None:
    made = [place(3) for place in bench.PLACES.values()]
    assert {(picture.shape, picture.dtype.str) for picture in made} == {((360, 640, 3), "|u1")}
    assert all(np.abs(one.astype(int) - other).mean() > 8 for one, other in pairwise(made))


def test_the_page_tells_the_published_run(bench: ModuleType) -> None:
    result = json.loads((ROOT / "bench" / "results" / "screens.json").read_text())
    page = (ROOT / "docs" / "concepts" / "screens.md").read_text(encoding="utf-8")
    assert bench.tables(result) in page
    assert bench.cost_sentence(result["cost"]) in page
    assert result["sexual_content"]["limit"] == bench.SEXUAL_CONTENT_LIMIT
