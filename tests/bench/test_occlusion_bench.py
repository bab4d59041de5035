"""The bench of the occlusion network: its measures, and the page that shows the published run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import occlusion as bench
import pytest
from drawing import CROP, Scene
from occluders import HELD_OUT, TRAINED
from train_occlusion import CHANCE, Base, composed, sample

from countenance import geometry
from countenance.perception.cards import SHIPPED
from countenance.perception.occlusion import SIDE

ROOT = Path(__file__).parents[2]
POINTS = np.concatenate([geometry.template(CROP), np.zeros((10, 2), np.float32)])


def test_overlap_is_counted_where_the_truth_is_certain() -> None:
    said, front = np.zeros((2, 4, 4), bool)
    said[:2], front[1:3] = True, True
    counts = np.ones((4, 4), bool)
    counts[3] = False
    overlap = bench.Overlap()
    overlap.add(said, front, counts)
    assert overlap.row() == {"iou_occluder": pytest.approx(1 / 3, abs=1e-4), "iou_visible": 0.0}
    overlap.add(~counts, ~counts, counts)  # nothing in front, nothing said
    assert overlap.row() == {"iou_occluder": pytest.approx(1 / 3, abs=1e-4), "iou_visible": 0.6}


@pytest.mark.parametrize("kind", [*TRAINED, *HELD_OUT])
def test_every_kind_draws_something_soft_and_the_same_for_the_same_seed(kind: str) -> None:
    scene = Scene(POINTS, np.full((CROP, CROP, 3), (200, 150, 120), np.uint8))
    draw = {**TRAINED, **HELD_OUT}[kind]
    layers = [draw(np.random.default_rng(seed), scene) for seed in (1, 1, 2)]
    for layer in layers:
        assert layer.rgb.shape == (CROP, CROP, 3)
        assert (layer.alpha.min() >= 0.0, layer.alpha.max() <= 1.001) == (True, True)
    assert 0.001 < np.mean([layer.alpha.mean() for layer in layers]) < 0.9
    assert np.array_equal(layers[0].rgb * layers[0].alpha[..., None], layers[1].rgb * layers[1].alpha[..., None])
    assert not np.array_equal(layers[0].alpha, layers[2].alpha)
    light, covered = composed(np.random.default_rng(0), np.full((CROP, CROP, 3), 0.3, np.float32), layers[0])
    assert light.shape == (CROP, CROP, 3)
    assert covered.max() <= 1.0


def test_an_example_of_a_face_alone_has_nothing_in_front() -> None:
    base = Base(np.full((CROP, CROP, 3), 150, np.uint8), POINTS, *np.ones((2, CROP, CROP), np.float32))
    made = [sample(np.random.default_rng(seed), base) for seed in range(12)]
    assert all(one.shape == (9, SIDE, SIDE) and one.dtype == np.uint8 for one in made)
    covered = [(one[7] < 128)[one[8] > 128].mean() for one in made]
    assert sum(share == 0.0 for share in covered) >= 2  # three of ten have nothing in front, some only beside the face
    assert max(covered) > 0.1
    assert np.array_equal(made[3], sample(np.random.default_rng(3), base))
    assert set(CHANCE) == set(TRAINED)
    assert not set(TRAINED) & set(HELD_OUT)


def test_the_published_run_is_of_the_shipped_network_and_the_page_shows_it() -> None:
    facts = json.loads(bench.RESULT.read_bytes())
    assert facts["network"]["sha256"] == SHIPPED["face-occlusion"].sha256
    assert facts["commit"]
    assert set(facts["drawn"]) == {*TRAINED, *HELD_OUT}
    painted = facts["occl_C"]["painted_on_occluder"]
    assert painted["with"] < 0.6 * painted["without"], "it would not be worth having"
    assert all(row["shown_worst"] < 0.01 for row in facts["clean"].values())
    page = (ROOT / "docs" / "concepts" / "occlusion.md").read_text(encoding="utf-8")
    assert bench.tables(facts) in page, "put there what this prints: .venv/bin/python bench/occlusion.py --tables"
    assert f"{facts['milliseconds_one_thread']['network']:.2f} ms" in page
    assert facts["commit"][:12] in page
