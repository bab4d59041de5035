"""The best weights: noticed, written with the checkpoint, used by conversion, and refused where they do not belong."""

import math
from dataclasses import replace

import pytest
import torch

from countenance.errors import CheckpointError, OutputError
from countenance.training import loop as module
from countenance.training.best import Best, load_for_conversion, painted_from
from countenance.training.checkpoint import BEST, CHECKPOINT, CheckpointFacts, load, save, save_best
from countenance.training.loop import Budget, loop
from countenance.training.runs import Step
from countenance.training.scores import HeldOut

FACTS = CheckpointFacts({"name": "swift"}, "vera", "ivan", "r1", "ab", "cd", ("a", "b"), 3, 0, 0, 0.0, "cpu", ())
TRAINED = replace(
    FACTS, iteration=7, seconds=9.0, history=({"iteration": 7.0, "seconds": 9.0, "samples": 1.0, "held_out_ssim": 0.7},)
)


class Peaked:
    """A second a step; its score is best at iteration 120, and ``averaged.weight`` counts the steps."""

    def __init__(self, start: float = 0.0) -> None:
        self.weight, self.now = torch.full((1,), start), 0.0

    def step(self, _iteration: int) -> Step:
        self.now += 1.0
        self.weight += 1.0
        return Step(1, 0.5)

    def score(self) -> HeldOut:
        return HeldOut(0.9 - abs(float(self.weight) - 120.0) / 1e4, 0.5, math.nan, math.nan, 0.5)

    def tensors(self):
        return {"averaged.weight": self.weight, "model.weight": -self.weight, "optimiser.0.step": self.weight}

    def train(self, folder, facts=FACTS, iterations=300, **more) -> CheckpointFacts:
        return loop(self, facts, Budget(iterations=iterations), folder, clock=lambda: self.now, **more)


def test_the_best_weights_are_kept_and_only_what_conversion_needs(tmp_path) -> None:
    Peaked().train(tmp_path)
    best = load(tmp_path / BEST)
    assert best.facts.iteration == 120
    assert {name: float(tensor) for name, tensor in best.tensors.items()} == {"averaged.weight": 120.0}
    assert load(tmp_path / CHECKPOINT).facts.iteration == 300
    assert load_for_conversion(tmp_path).facts.iteration == 120
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((BEST, CHECKPOINT, "previous.safetensors"))


def test_a_resumed_run_has_to_beat_the_file_that_is_there(tmp_path) -> None:
    facts = Peaked().train(tmp_path, iterations=130)
    later = Peaked(130.0)
    later.train(tmp_path, facts, iterations=400)
    assert load(tmp_path / BEST).facts.iteration == 120
    again = Peaked(100.0)  # as if a checkpoint of iteration 100 had been continued
    again.train(tmp_path, replace(facts, iteration=100, history=facts.history[:1]), iterations=118)
    assert load(tmp_path / BEST).facts.iteration == 120


def test_an_untrained_model_is_no_best_and_without_scores_there_is_none(tmp_path) -> None:
    falling = Peaked(200.0)
    falling.train(tmp_path, iterations=5)
    assert load(tmp_path / BEST).facts.iteration == 5

    class Blind(Peaked):
        def score(self) -> HeldOut:
            return HeldOut(*[math.nan] * 5)

    Blind().train(tmp_path / "blind", iterations=5)
    assert not (tmp_path / "blind" / BEST).exists()
    assert load_for_conversion(tmp_path / "blind").facts.iteration == 5


def test_the_part_that_conversion_needs() -> None:
    names = ["model.a", "averaged.a", "optimiser.0.step", "shape.lender", "anything.new"]
    guided = {name: torch.zeros(1) for name in names}
    assert set(painted_from(guided)) == {"averaged.a", "shape.lender", "anything.new"}
    classic = {name: torch.zeros(1) for name in ("model.a", "optimiser-lender.0.step")}
    assert set(painted_from(classic)) == {"model.a"}


def test_other_faces_begin_anew_and_so_does_a_fresh_model(tmp_path) -> None:
    save_best(tmp_path, TRAINED, {"averaged.weight": torch.ones(1)})
    Best(tmp_path, TRAINED)
    assert (tmp_path / BEST).exists()
    Best(tmp_path, replace(TRAINED, faces_sha256=("a", "more")))
    assert not (tmp_path / BEST).exists()
    save_best(tmp_path, TRAINED, {"averaged.weight": torch.ones(1)})
    Best(tmp_path, FACTS)
    assert not (tmp_path / BEST).exists()


FOREIGN = {
    "preset": {"name": "classic"},
    "lender": "anna",
    "performer": "oleg",
    "record_id": "r2",
    "record_sha256": "ff",
    "seed": 4,
    "faces_sha256": ("a", "c"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_best_weights_of_another_run_are_refused_by_conversion_and_by_training(tmp_path, name) -> None:
    save(tmp_path, TRAINED, {"averaged.weight": torch.zeros(1), "model.weight": torch.zeros(1)})
    save_best(tmp_path, replace(TRAINED, **{name: FOREIGN[name]}), {"averaged.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match="than the checkpoint beside"):
        load_for_conversion(tmp_path)
    if name == "faces_sha256":
        return  # training goes on with other faces, and drops them
    with pytest.raises(CheckpointError, match="Delete that file"):
        Best(tmp_path, TRAINED)


def test_a_changed_byte_in_the_best_weights_is_refused_and_nothing_else_is_used_instead(tmp_path) -> None:
    save(tmp_path, TRAINED, {"averaged.weight": torch.zeros(8), "model.weight": torch.zeros(1)})
    path = save_best(tmp_path, TRAINED, {"averaged.weight": torch.ones(8)})
    data = path.read_bytes()
    for broken in (data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], data[:-9], data[:40], b""):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"best weights .* cannot be used"):
            load_for_conversion(tmp_path)
        with pytest.raises(CheckpointError, match="Delete that file"):
            Best(tmp_path, TRAINED)
    path.unlink()
    assert set(load_for_conversion(tmp_path).tensors) == {"averaged.weight", "model.weight"}


def test_a_full_disk_leaves_the_best_before(tmp_path, monkeypatch) -> None:
    save_best(tmp_path, TRAINED, {"averaged.weight": torch.ones(1)})

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match="disk is full"):
        save_best(tmp_path, replace(TRAINED, iteration=9), {"averaged.weight": torch.zeros(1)})
    assert load(tmp_path / BEST).facts.iteration == 7
    assert [path.name for path in tmp_path.iterdir()] == [BEST]


def test_saving_the_best_counts_in_the_share_of_saving(tmp_path, monkeypatch) -> None:
    """Every score is a new best here, and each file costs three seconds: still under a hundredth of the time."""
    run, spent = Peaked(), [0.0]

    def costly(*_args: object) -> None:
        run.now += 3.0
        spent[0] += 3.0

    monkeypatch.setattr(module, "save", costly)
    monkeypatch.setattr("countenance.training.best.save_best", costly)
    run.score = lambda: HeldOut(run.now / 1e6, 0.5, math.nan, math.nan, 0.5)
    run.train(tmp_path, iterations=6000)
    assert 0.0 < spent[0] <= 0.01 * 6000 + 12.0  # the first save comes after a minute, and the last at the end
