"""The bench of the loss's terms: its variants, its measures, its table, and the page that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ablation
import cv2
import numpy as np
import pytest
import torch
from ablation import BASE, COLUMNS, LAST, VARIANTS, Variant, laplacian_l1, steps_of
from ablation_measure import PARTS, part_mask, part_scores
from training_faces import made_faces

from countenance import geometry
from countenance.training.losses import LossTerms, contrast_l1
from countenance.training.presets import preset
from countenance.training.runs import GuidedRun

ROOT = Path(__file__).parents[2]


def test_detail_is_asked_for_in_its_place_by_one_term_and_anywhere_near_by_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 64, 64, generator=generator)
    weight = torch.ones(1, 1, 64, 64)
    moved = torch.roll(target, 1, 3)
    blurred = torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    for term in (laplacian_l1, contrast_l1):
        assert float(term(target, target, weight)) == 0.0
        assert float(term(blurred, target, weight)) > 0.01
        assert float(term(target + 0.1, target, weight)) < 1e-5  # light is not its business
    assert float(laplacian_l1(moved, target, weight)) > float(laplacian_l1(blurred, target, weight))
    assert float(contrast_l1(moved, target, weight)) < 0.3 * float(contrast_l1(blurred, target, weight))


@pytest.fixture(scope="module")
def run() -> GuidedRun:
    return GuidedRun(preset("swift"), (made_faces(24, 1), made_faces(24, 2)), device=torch.device("cpu"), seed=0)


def _stepped(run: GuidedRun, start: dict[str, torch.Tensor], variant: Variant | None) -> dict[str, torch.Tensor]:
    run.restore(start)
    if variant is None:
        run.step(0)
    else:
        with steps_of(variant):
            run.step(0)
    return {name: tensor.clone() for name, tensor in run.tensors().items() if name.startswith("model.")}


SHIPPED = next(variant for variant in VARIANTS if variant.name == "with detail")


def test_a_variant_differs_in_what_it_is_called_and_one_of_them_is_the_product(run: GuidedRun) -> None:
    start = {name: tensor.clone() for name, tensor in run.tensors().items()}

    def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(tensor, b[name]) for name, tensor in a.items())

    own = _stepped(run, start, None)
    assert SHIPPED.terms == LossTerms()
    assert not equal(own, {name: start[name] for name in own})
    base = _stepped(run, start, VARIANTS[0])
    for variant in VARIANTS[1:]:
        if variant.trained:
            after = _stepped(run, start, variant)
            assert equal(after, base) == (variant is LAST), variant.name
            assert equal(after, own) == (variant is SHIPPED), variant.name
    assert equal(_stepped(run, start, None), own)  # nothing of a variant stays


def test_a_part_of_the_truth_is_as_sharp_as_itself_and_a_blurred_one_is_not() -> None:
    rng = np.random.default_rng(0)
    mesh = geometry.template(256)
    points = np.concatenate([mesh, np.repeat(mesh[[159]], 5, 0), np.repeat(mesh[[386]], 5, 0)])
    truth = rng.integers(0, 256, (200, 256, 3), np.uint8)  # not square
    masks = {part: part_mask(points, part, truth.shape[:2]) for part in PARTS}
    assert all(0.005 < masks[part].mean() < 0.2 for part in PARTS)
    assert not (masks["eyes"] * masks["mouth"]).any()
    assert masks["mouth"][round(float(points[0, 1])), round(float(points[0, 0]))] == 1.0  # the upper lip's middle
    equal = part_scores([(truth, truth, masks)])
    assert equal == pytest.approx(dict.fromkeys(equal, 1.0))
    swap = truth.copy()
    lips = masks["mouth"] > 0
    swap[lips] = cv2.GaussianBlur(truth, (0, 0), 1.0)[lips]
    soft = part_scores([(swap, truth, masks)])
    assert soft["mouth_sharpness"] < 0.6
    assert soft["mouth_ssim"] < 0.9
    assert soft["eyes_ssim"] == soft["eyes_sharpness"] == 1.0


def _row(variant: str, seed: int, iterations: int = 200, **figures: float) -> dict[str, Any]:
    scores = {column.key: figures.get(column.key, 0.5) for column in COLUMNS}
    return {"variant": variant, "seed": seed, "iterations": iterations, "scores": scores}


def test_a_difference_within_the_spread_of_the_seeds_is_none_and_seeds_are_compared_in_pairs(tmp_path: Path) -> None:
    rows = [
        _row(BASE, 0, ssim=0.80, psnr_db=24.0),
        _row(BASE, 1, ssim=0.82, psnr_db=24.0),
        _row(BASE, 2, ssim=0.81, psnr_db=24.1),
        _row("without colour", 1, ssim=0.803, psnr_db=23.5),
        _row("no training", 0, iterations=0, ssim=0.77, psnr_db=24.05),
    ]
    assert ablation.spread(rows, "ssim") == pytest.approx(0.02)
    lines = ablation.table({"rows": rows}).splitlines()
    assert [line.split(" | ")[:3] for line in lines[2:]] == [
        [f"| **{BASE}**, mean of 3 seeds", "0.8100", "24.03"],
        ["| spread of its seeds", "0.0200", "0.10"],
        ["| no training", "-0.0300", "="],
        ["| without colour", "=", "-0.50"],  # 0.803 against 0.82, its own seed's
    ]
    for number, row in enumerate([*rows, _row(BASE, 3, iterations=7), _row("of an older bench", 0)]):
        (tmp_path / f"{number}.json").write_text(json.dumps(row))
    kept = ablation.collected(tmp_path, 200)
    assert [(row["variant"], row["seed"]) for row in kept] == [
        (BASE, 0),
        (BASE, 1),
        (BASE, 2),
        ("no training", 0),
        ("without colour", 1),
    ]


def test_every_variant_is_made_and_the_first_with_all_seeds() -> None:
    made = ablation.wanted(3, 1)
    assert [seed for variant, seed in made if variant.name == BASE] == [0, 1, 2]
    assert {variant.name for variant, _ in made} == {variant.name for variant in VARIANTS} - {LAST.name}
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


def test_the_published_run_is_whole_and_the_page_shows_its_table() -> None:
    facts = json.loads(ablation.RESULT.read_bytes())
    assert {row["variant"] for row in facts["rows"]} == {variant.name for variant in VARIANTS}
    assert len([row for row in facts["rows"] if row["variant"] == BASE]) >= 3
    assert len({row["program_sha256"] for row in facts["rows"]}) == 1
    assert all(row["commit"] for row in facts["rows"])
    page = (ROOT / "docs" / "concepts" / "training.md").read_text(encoding="utf-8")
    assert ablation.table(facts) in page, "put there what this prints: .venv/bin/python bench/ablation.py --table"
