"""The instrument is held to account: a broken swap must make the figures fall that should, and twice is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from evaluation_clips import PERFORMERS, pictures_of, write_clip

from countenance.errors import MediaError
from countenance.evaluation.evaluate import Evaluation, evaluate
from countenance.evaluation.guide import METRICS, value_of
from countenance.evaluation.judge import DlibJudge, Referee, template
from countenance.perception.perceive import Perception

START, COUNT = 30, 30  # the performer speaks and blinks here


class World:
    """Short clips of one shot: footage, truth and mask; and what is measured of swaps made from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.footage, self.truth, masks = (
            pictures_of(name, START, COUNT) for name in ("test_A", "test_gt_matched", "test_gt_matched_mask")
        )
        self.alpha = [mask.astype(np.float32) / 255.0 for mask in masks]
        self.paths = {
            "footage": write_clip(folder / "footage.mp4", self.footage, crf=8),
            "truth": write_clip(folder / "truth.mp4", self.truth, crf=8),
            "mask": write_clip(folder / "mask.mp4", masks, crf=8),
        }
        self.see, judge = Perception(), DlibJudge()
        self.referee = Referee.of(judge, PERFORMERS / "train_B.mp4", PERFORMERS / "train_A.mp4", self.see)
        stranger = template(PERFORMERS / "occl_C.mp4", judge, self.see)
        self.misled = replace(self.referee, lender=stranger)

    def measure(self, name: str, pictures: list[np.ndarray], **how: Any) -> Evaluation:
        clip = self.folder / f"{name}.mp4"
        if not clip.exists():
            write_clip(clip, pictures, crf=12)
        given = {"truth": self.paths["truth"], "mask": self.paths["mask"], "referee": self.referee}
        return evaluate(clip, self.paths["footage"], perception=self.see, **{**given, **how})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def good(world: World) -> Evaluation:
    """The truth itself as a swap: as good as can be."""
    return world.measure("good", world.truth)


def test_the_truth_is_near_the_top_of_every_scale(good: Evaluation) -> None:
    assert good.truth is not None
    assert good.truth.ssim > 0.97
    assert good.truth.psnr_db > 37.0
    assert good.truth.delta_e < 1.0
    assert good.identity is not None
    assert good.identity.top1 == 1.0
    assert good.behaviour is not None
    assert good.behaviour.lost == 0
    assert good.behaviour.mouth_correlation is not None
    assert good.behaviour.mouth_correlation > 0.85
    assert good.tone is not None
    assert good.tone.step < 3.0


def test_the_footage_itself_is_the_floor(world: World, good: Evaluation) -> None:
    floor = world.measure("floor", world.footage)
    assert floor.truth is not None
    assert good.truth is not None
    assert floor.truth.ssim < good.truth.ssim - 0.15
    assert floor.identity is not None
    assert floor.identity.top1 == 0.0
    assert floor.behaviour is not None
    assert floor.behaviour.pose_degrees < 1.0
    assert floor.outside is not None
    assert floor.outside.excess <= 12


def test_the_same_files_give_the_same_figures(world: World, good: Evaluation) -> None:
    again = world.measure("good", world.truth).to_json()
    facts = good.to_json()
    for metric in METRICS:
        first, second = value_of(facts, metric), value_of(again, metric)
        assert first is not None, metric
        assert second == pytest.approx(first, abs=5e-4), metric


def _inverted(world: World) -> list[np.ndarray]:
    """The lender's picture everywhere but in the face."""
    lender = [np.roll(picture, 40, axis=1) for picture in world.truth]
    return [
        np.rint(alpha * own + (1.0 - alpha) * other).astype(np.uint8)
        for alpha, own, other in zip(world.alpha, world.footage, lender, strict=True)
    ]


def _colours_swapped(world: World) -> list[np.ndarray]:
    return [
        np.rint(alpha * picture[..., ::-1] + (1.0 - alpha) * picture).astype(np.uint8)
        for alpha, picture in zip(world.alpha, world.truth, strict=True)
    ]


def _late(world: World) -> list[np.ndarray]:
    return [world.truth[0], *world.truth[:-1]]


def _frozen(world: World) -> list[np.ndarray]:
    return [world.truth[0]] * COUNT


def _soft(world: World) -> list[np.ndarray]:
    return [
        np.rint(alpha * cv2.GaussianBlur(picture, (0, 0), 3.0) + (1.0 - alpha) * picture).astype(np.uint8)
        for alpha, picture in zip(world.alpha, world.truth, strict=True)
    ]


def _trembling(world: World) -> list[np.ndarray]:
    return [
        np.rint(alpha * np.roll(picture, 2 * (index % 2), axis=0) + (1.0 - alpha) * picture).astype(np.uint8)
        for index, (alpha, picture) in enumerate(zip(world.alpha, world.truth, strict=True))
    ]


def _pasted(world: World) -> list[np.ndarray]:
    """A hard edge: the lender's face ten levels brighter, cut out with scissors."""
    return [
        np.where(alpha > 0.5, np.clip(picture.astype(int) + 10, 0, 255), picture).astype(np.uint8)
        for alpha, picture in zip(world.alpha, world.truth, strict=True)
    ]


BROKEN: dict[str, tuple[Callable[[World], list[np.ndarray]], dict[str, float]]] = {
    # what must get worse, and by how much at least
    "mask inverted": (
        _inverted,
        {"truth.ssim": 0.15, "identity.top1": 0.9, "identity.margin": 0.4, "outside.excess": 40},
    ),
    "colours swapped": (
        _colours_swapped,
        {"truth.ssim": 0.02, "truth.delta_e": 8.0, "tone.step": 8.0, "truth.psnr_db": 8.0},
    ),
    "one frame late": (
        _late,
        {"truth.psnr_db": 3.0, "truth.ssim": 0.01, "behaviour.expression": 0.002, "behaviour.mouth_correlation": 0.02},
    ),
    "frozen": (_frozen, {"behaviour.mouth_correlation": 0.5, "behaviour.expression": 0.005, ".flicker_ratio": 0.2}),
    "soft": (_soft, {"truth.ssim": 0.05, "truth.gradient_similarity": 0.02}),
    "trembling": (_trembling, {"behaviour.jitter_ratio": 0.5, ".flicker_ratio": 0.2}),
    "cut out with scissors": (_pasted, {"truth.seam": 0.5, "truth.delta_e": 2.0, "tone.step": 0.4}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_swap_makes_the_figures_fall_that_should(world: World, good: Evaluation, name: str) -> None:
    make, expected = BROKEN[name]
    broken, facts = world.measure(name, make(world)).to_json(), good.to_json()
    for place, least in expected.items():
        part, key = place.split(".")
        metric = next(metric for metric in METRICS if (metric.part, metric.key) == (part, key))
        before, after = value_of(facts, metric), value_of(broken, metric)
        assert before is not None, place
        assert after is not None, place
        if metric.better == "one":
            before, after = abs(before - 1.0), abs(after - 1.0)
        worse = before - after if metric.better == "higher" else after - before
        assert worse >= least, f"{place}: {before} became {after}"


def test_the_wrong_lender_is_told_by_the_judge_alone(world: World, good: Evaluation) -> None:
    wrong = world.measure("good", world.truth, referee=world.misled)
    assert wrong.identity is not None
    assert good.identity is not None
    assert wrong.identity.top1 < 0.2
    assert wrong.identity.margin < good.identity.margin - 0.2
    assert replace(wrong, identity=None) == replace(good, identity=None)


def test_without_a_truth_the_rest_is_measured(world: World, good: Evaluation) -> None:
    result = world.measure("good", world.truth, truth=None, mask=None, referee=None)
    assert result.truth is None
    assert result.identity is None
    assert result.behaviour == good.behaviour
    assert result.tone is not None
    assert result.outside is not None


def test_clips_without_a_face_give_no_figures_about_one(tmp_path: Path) -> None:
    wall = write_clip(tmp_path / "wall.mp4", [np.full((96, 128, 3), 90 + t, np.uint8) for t in range(3)])
    result = evaluate(wall, wall)
    assert (result.behaviour, result.identity, result.tone, result.flicker_ratio) == (None, None, None, None)
    assert result.outside is not None
    assert not list(tmp_path.glob(".countenance-*"))


def test_what_does_not_belong_together_is_refused_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", world.truth[:5], crf=20)
    with pytest.raises(MediaError, match=r"short\.mp4 ends at frame 5"):
        evaluate(short, world.paths["footage"], perception=world.see)
    with pytest.raises(MediaError, match="came without its mask"):
        evaluate(short, short, truth=short, perception=world.see)
    text = tmp_path / "letter.mp4"
    text.write_text("no film")
    with pytest.raises(MediaError):
        evaluate(text, world.paths["footage"], perception=world.see)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.mp4", "short.mp4"]


def test_every_figure_has_its_entry_in_the_guide(good: Evaluation) -> None:
    facts = good.to_json()
    told = {(metric.part, metric.key) for metric in METRICS}
    counts = {"frames", "lost", "worst_frame", "best_frame", "ssim_by_frame", "inner_psnr_db"}
    beside = {"largest", "encoder_largest", "encoder_mean", "footage_step", "lender_distance", "performer_distance"}
    for part, values in facts.items():
        keys = [(part, key) for key in values] if isinstance(values, dict) else [("", part)]
        assert {key for key in keys if key[1] not in counts | beside} <= told
    for metric in METRICS:
        assert metric.formula and metric.source and metric.range and metric.fooled_by, metric.name
