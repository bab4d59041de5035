"""The bench of quality: its rows, its page, and a run so small that it fits a test."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import quality
import quality_cases
import quality_page
from quality_cases import CASES, CLIPS, Stage, World

from countenance.evaluation.guide import METRICS
from countenance.evaluation.judge import DlibJudge, Referee
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "bench" / "results" / "quality.json"


def test_every_case_has_floor_and_anchors_and_the_first_one_everything() -> None:
    rows = {name: quality.stages(case, [1.0, 4.0], 2.0, 6.0) for name, case in CASES.items()}
    for name, stages in rows.items():
        systems = [stage.system for stage in stages]
        assert {"footage", "affine paste", "mesh paste", "classic", "swift"} <= set(systems)
        assert ("truth" in systems) == (CASES[name].truth is not None)
    assert [stage.minutes for stage in rows["forward"] if stage.system == "swift"] == [1.0, 4.0]
    assert {"saehd-df", "saehd-liae"} <= {stage.system for stage in rows["forward"]}
    assert not any(stage.system.startswith("saehd") for stage in quality.stages(CASES["forward"], [1.0], 1.0, 0.0))


def _row(system: str, minutes: float | None, **figures: float) -> dict[str, Any]:
    parts: dict[str, Any] = {"truth": {}, "outside": {}, "identity": {}, "behaviour": {}, "tone": {}}
    for metric in METRICS:
        value = figures.get(metric.key, 0.5)
        if metric.part:
            parts[metric.part][metric.key] = value
        else:
            parts[metric.key] = value
    return {"system": system, "minutes": minutes, "evaluation": parts}


def test_the_losses_name_who_is_ahead_and_what_is_worse_than_nothing() -> None:
    rows = [
        _row("footage", None, seam=4.0, top1=0.0),
        _row("truth", None, ssim=0.96, top1=1.0),
        _row("mesh paste", None, ssim=0.7, margin=0.9, top1=1.0),
        _row("swift", 1.0, ssim=0.2, top1=1.0),
        _row("swift", 8.0, ssim=0.8, margin=0.3, seam=4.6, jitter_ratio=0.7, top1=1.0),
        _row("classic", 8.0, ssim=0.6, margin=0.1, jitter_ratio=1.1, top1=1.0),
        _row("saehd-df", 4.0, ssim=0.9, jitter_ratio=1.0, top1=0.0),  # still the performer: no rival
    ]
    text = quality_page.losses(rows)
    assert "**Identity margin**: swift 0.300; better: mesh paste (0.900)" in text
    assert "**Jitter, ratio**: swift 0.70; better: classic, 8 min (1.10)" in text
    assert "**SSIM**" not in text
    assert "our reference" not in text
    assert "SSIM 0.800 against 0.960" in text
    assert "Worse than doing nothing: Seam error" in text


def test_the_page_is_that_of_the_published_run() -> None:
    facts = json.loads(RESULT.read_bytes())
    written = (ROOT / "docs" / "reference" / "quality.md").read_text(encoding="utf-8")
    assert written == quality_page.page(facts), "run: .venv/bin/python bench/quality_page.py"
    for picture in ("curves.png", "frames.jpg", "occlusion.jpg"):
        assert (ROOT / "docs" / "reference" / "quality" / picture).stat().st_size > 10_000


def test_the_published_run_is_whole_and_its_anchors_are_in_order() -> None:
    facts = json.loads(RESULT.read_bytes())
    assert facts["frames"] is None
    assert all(row["commit"] and not row["commit"].endswith("+") for row in facts["rows"])
    for name in ("forward", "reverse"):
        rows = {row["system"]: row["evaluation"] for row in facts["rows"] if row["case"] == name}  # the longest of each
        ssim = {system: evaluation["truth"]["ssim"] for system, evaluation in rows.items()}
        assert ssim["truth"] > ssim["swift"] > ssim["mesh paste"] > ssim["affine paste"]
        assert rows["footage"]["identity"]["top1"] == 0.0
        assert rows["truth"]["identity"]["top1"] == 1.0


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips of the first case, a few frames of each."""
    folder = tmp_path_factory.mktemp("clips")
    case = CASES["forward"]
    for name in (case.lender, case.performer, case.footage, case.truth, case.mask):
        assert name is not None
        count = 70 if name.startswith("train") else 6
        with VideoWriter(folder / f"{name}.mp4", probe(CLIPS / f"{name}.mp4"), crf=8, preset="veryfast") as writer:
            for frame in islice(read_frames(CLIPS / f"{name}.mp4"), count):
                writer.write(frame)
    return folder


@pytest.mark.timeout(900)  # 3 minutes with all cores taken
def test_a_small_run_goes_the_whole_way(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.perception.weights import fetch, weights_dir

    fetch()
    (tmp_path / "home" / "cache").mkdir(parents=True)
    (tmp_path / "home" / "cache" / "weights").symlink_to(weights_dir().resolve(), target_is_directory=True)
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(quality_cases, "CLIPS", short)
    world = World(CASES["forward"], tmp_path / "forward", short)
    referee = Referee.of(DlibJudge(), short / "train_B.mp4", short / "train_A.mp4", world.see)
    rows = {
        stage.system: quality.measured(world, stage, referee)
        for stage in (Stage("footage", None), Stage("mesh paste", None), Stage("swift", 0.02))
    }
    assert json.dumps(rows, allow_nan=False)
    assert rows["swift"]["iterations"] >= 1
    assert rows["swift"]["samples"] >= 12
    assert rows["footage"]["evaluation"]["identity"]["top1"] == 0.0
    assert rows["mesh paste"]["evaluation"]["identity"]["top1"] == 1.0
    assert rows["mesh paste"]["evaluation"]["truth"]["frames"] == 6
    lines = quality_page.table(list(rows.values()), METRICS).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("| no swap (floor) |")
