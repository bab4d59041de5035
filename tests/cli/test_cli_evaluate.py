"""``countenance evaluate`` at the command line: figures, JSON, and what cannot be measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from cli_world import PERFORMERS, Runs, cut

from countenance.evaluation.guide import METRICS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("a shot où")
    names = {"footage": "test_A", "swap": "test_gt_matched", "truth": "test_gt_own", "mask": "test_gt_own_mask"}
    return {name: cut(PERFORMERS / f"{clip}.mp4", folder / f"{name}.mp4", 6, first=40) for name, clip in names.items()}


def test_it_tells_every_figure_and_which_way_is_better(shot: dict[str, Path], countenance: Runs) -> None:
    words = ["evaluate", shot["swap"], "--footage", shot["footage"], "--truth", shot["truth"], "--mask", shot["mask"]]
    told = countenance(*words)
    assert told.code == 0, told.err
    for metric in METRICS:
        if metric.key != "blink_correlation":  # nobody blinks in six frames
            assert metric.name in told.out
    assert "Worst frame" in told.out
    facts = countenance(*words, "--json").json["evaluation"]
    assert facts["frames"] == 6
    assert facts["identity"]["top1"] == 1.0
    assert len(facts["truth"]["ssim_by_frame"]) == 6
    assert f"{facts['truth']['ssim']:.3f}" in told.out


def test_without_truth_and_lender_the_rest_is_told(shot: dict[str, Path], countenance: Runs) -> None:
    told = countenance("evaluate", shot["swap"], "--footage", shot["footage"])
    assert told.code == 0, told.err
    assert "No truth was given" in told.out
    assert "give a clip of the lender" in told.out
    assert "Head pose error" in told.out
    facts = countenance("evaluate", shot["swap"], "--footage", shot["footage"], "--json").json["evaluation"]
    assert facts["truth"] is None
    assert facts["identity"] is None


def test_without_dlib_identity_is_an_error_only_when_asked_for(
    shot: dict[str, Path], countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    told = countenance("evaluate", shot["swap"], "--footage", shot["footage"])
    assert told.code == 0
    assert "pip install dlib-bin" in told.out
    asked = countenance("evaluate", shot["swap"], "--footage", shot["footage"], "--lender", shot["truth"])
    asked.fails("needs dlib", "pip install dlib-bin")


def test_clips_that_cannot_be_measured(shot: dict[str, Path], countenance: Runs, tmp_path: Path) -> None:
    words = ["evaluate", shot["swap"], "--footage"]
    countenance(*words, tmp_path / "nothing.mp4").fails("nothing.mp4")
    text = tmp_path / "letter.mp4"
    text.write_text("no film at all")
    countenance(*words, text).fails("letter.mp4")
    short = cut(PERFORMERS / "test_A.mp4", tmp_path / "short.mp4", 3)
    countenance(*words, short).fails("short.mp4 ends at frame 3")
    countenance(*words, shot["footage"], "--truth", shot["truth"]).fails("came without its mask")
    black = cut(PERFORMERS / "test_A_mask.mp4", tmp_path / "mask.mp4", 3)
    words = ["evaluate", short, "--footage", short, "--mask", black, "--truth"]
    countenance(*words, black).fails("mask.mp4 shows no face")
    countenance(*words, shot["truth"]).fails("short.mp4, mask.mp4 ends at frame 3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.mp4", "mask.mp4", "short.mp4"]


def test_the_page_of_the_figures_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_evaluate_page", ROOT / "tools" / "make_evaluate_page.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (ROOT / "docs" / "reference" / "evaluate.md").read_text(encoding="utf-8")
    assert written == tool.page(), "run: .venv/bin/python tools/make_evaluate_page.py"
