"""The arithmetic of the time to quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from time_to_quality import RESULT, reached, table

ROOT = Path(__file__).parents[2]


def _row(system: str, wall: float, ssim: float, margin: float, expression: float) -> dict[str, Any]:
    evaluation = {
        "truth": {"ssim": ssim},
        "identity": {"margin": margin},
        "behaviour": {"expression": expression},
        "outside": None,
        "tone": None,
        "flicker_ratio": None,
    }
    return {"system": system, "wall_seconds": wall, "core_seconds": 0.5 * wall, "evaluation": evaluation}


def test_the_first_budget_that_is_as_good_counts_and_never_is_never() -> None:
    rows = [
        _row("classic", 600.0, 0.60, 0.10, 0.060),
        _row("classic", 3600.0, 0.70, 0.30, 0.040),
        _row("classic", 7200.0, 0.69, 0.32, 0.050),
        _row("swift", 20.0, 0.75, 0.20, 0.050),
        _row("swift", 60.0, 0.80, 0.25, 0.030),
    ]
    ssim, margin, expression = reached(rows)
    assert (ssim.name, ssim.classic_best, ssim.classic_seconds, ssim.swift_seconds) == ("SSIM", 0.70, 1800.0, 20.0)
    assert ssim.ratio == pytest.approx(90.0)
    assert ssim.core_ratio == pytest.approx(180.0)
    assert margin.ratio is None
    assert margin.swift_best == 0.25
    assert expression.ratio == pytest.approx(30.0)  # lower is better
    assert expression.classic_best == 0.040


def test_the_page_shows_what_was_measured() -> None:
    facts = json.loads(RESULT.read_bytes())
    assert table(facts) in (ROOT / "docs" / "concepts" / "training.md").read_text("utf-8")
    assert facts["rows"]
