"""Three kills of a small render: the bench's own claim, quickly."""

from __future__ import annotations

from pathlib import Path

from render_kills import Work, good, kills, summary


def test_a_render_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    facts = kills(Work(tmp_path, 30, 0.4, 0.004), 3, seed=1, within=(0.4, 1.2))
    figures = summary(facts)
    assert figures["kills"] == 3
    assert figures["resumed"] >= 1
    assert good(figures), figures
    assert all(not row["output_there"] or row["done"] or row["late"] for row in facts["rows"])


def test_a_difference_is_seen() -> None:
    one = {"frames": 1, "frames_sha256": "a", "times_sha256": "b", "sound_sha256": "c"}
    offset = {"click_after_flash_seconds": ["0"]}
    facts = {
        "uninterrupted": one | offset,
        "rows": [{"done": True, "late": False, "note": None}],
        "finished_renders": [one | offset | {"logged": True}],
        "footage_click_after_flash_seconds": ["0"],
        "left_behind": [],
    }
    assert good(summary(facts))
    for change in ({"frames_sha256": "x"}, {"times_sha256": "x"}, {"logged": False}, {"sound_sha256": "x"}):
        assert not good(summary(facts | {"finished_renders": [one | offset | {"logged": True} | change]}))
    moved = [one | {"click_after_flash_seconds": ["1/48000"], "logged": True}]
    assert not good(summary(facts | {"finished_renders": moved}))
    assert not good(summary(facts | {"left_behind": [".countenance-render-1"]}))
    assert not good(summary(facts | {"finished_renders": []}))
