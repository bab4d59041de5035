"""Faults that are injected into training: noticed, rolled back, told, and at some point given up."""

import math
from dataclasses import replace

import pytest
import torch

from countenance.errors import TrainingError
from countenance.training import loop as module
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, load
from countenance.training.guard import MAX_ROLLBACKS
from countenance.training.loop import Budget, loop
from countenance.training.presets import PRESETS
from countenance.training.runs import Step, make_run
from countenance.training.scores import HeldOut

CPU = torch.device("cpu")
SMALL = {
    "swift": replace(PRESETS["swift"], batch_size=2, widths=(8, 8, 8, 8)),
    "classic": replace(PRESETS["classic"], batch_size=2),
}
START = CheckpointFacts({}, "vera", "ivan", "r", "s", "e", ("a", "b"), 0, 0, 0, 0.0, "cpu", ())


class Frail:
    """On its own clock, a second a step; ``model.weight`` counts the steps, scaled by the learning rate's factor."""

    def __init__(self) -> None:
        self.weight, self.factor, self.now = torch.zeros(1, dtype=torch.float64), 1.0, 0.0
        self.heard: list[str] = []

    def loss(self, iteration: int) -> float:
        return 0.5

    def ssim(self) -> float:
        return 0.8

    def step(self, iteration: int) -> Step:
        self.now += 1.0
        self.weight += self.factor
        return Step(4, self.loss(iteration))

    def score(self) -> HeldOut:
        return HeldOut(self.ssim(), 0.7, math.nan, math.nan, 0.8)

    def preview(self):
        return []

    def tensors(self):
        return {"model.weight": self.weight}

    def restore(self, tensors) -> None:
        self.weight = tensors["model.weight"].clone()

    def slow(self, factor: float) -> None:
        self.factor = factor

    def train(self, folder, facts=START, *, iterations=200, **more) -> CheckpointFacts:
        def hear(_done, _total, note="") -> None:
            self.heard.append(note)

        return loop(self, facts, Budget(iterations=iterations), folder, progress=hear, clock=lambda: self.now, **more)


class Once(Frail):
    """Fails the first time that it comes to iteration 150."""

    def __init__(self, loss: float) -> None:
        super().__init__()
        self.bad, self.failed = loss, 0

    def loss(self, iteration: int) -> float:
        if self.factor == 1.0 and iteration >= 150:
            self.failed += 1
            return self.bad
        return 0.5


@pytest.mark.parametrize(
    ("loss", "steps", "reason"), [(math.nan, 1, "not a number"), (math.inf, 1, "not a number"), (5.0, 3, "10 times")]
)
def test_a_loss_that_breaks_down_is_rolled_back_at_half_the_rate_and_told(tmp_path, loss, steps, reason) -> None:
    run = Once(loss)
    facts = run.train(tmp_path)
    (event,) = facts.rollbacks
    assert run.failed == steps
    assert (facts.iteration, facts.samples_seen, facts.learning_rate_factor) == (200, 800, 0.5)
    assert (event["iteration"], event["back_to"]) == (150 + steps, 120)  # the last score that passed
    assert reason in event["reason"]
    assert float(run.weight) == 120 + 80 * 0.5
    assert facts.seconds == 200 + 30 + steps  # what was lost was spent all the same
    assert any("went back to iteration 120" in note for note in run.heard)
    assert "went back" not in run.heard[-1]  # news for a minute
    stored = load(tmp_path / CHECKPOINT)
    assert (stored.facts.rollbacks, stored.facts.learning_rate_factor) == (facts.rollbacks, 0.5)
    assert float(stored.tensors["model.weight"]) == float(run.weight)


def test_one_odd_batch_is_no_explosion(tmp_path) -> None:
    class Odd(Frail):
        def loss(self, iteration: int) -> float:
            return 5.0 if iteration % 20 in (0, 1) else 0.5

    assert Odd().train(tmp_path).rollbacks == ()


def test_a_loss_that_falls_or_wanders_is_no_explosion(tmp_path) -> None:
    class Wandering(Frail):
        def loss(self, iteration: int) -> float:
            return 0.5 / (1.0 + 0.05 * iteration) * (1.0 + 0.8 * math.sin(iteration))

    assert Wandering().train(tmp_path).rollbacks == ()


def test_held_out_faces_that_fall_to_pieces_are_noticed_without_any_loss(tmp_path) -> None:
    class Collapsing(Frail):
        def ssim(self) -> float:
            return 0.3 if self.factor == 1.0 and self.now > 290 else 0.8

    run = Collapsing()
    facts = run.train(tmp_path, iterations=400)
    (event,) = facts.rollbacks
    assert "fell to pieces" in event["reason"]
    assert (event["iteration"], event["back_to"]) == (300, 240)
    assert all(row["held_out_ssim"] == 0.8 for row in facts.history)  # the ruin's row goes with its weights
    assert [row["iteration"] for row in facts.history] == sorted({row["iteration"] for row in facts.history})


def test_a_poisoned_weight_is_never_saved(tmp_path, monkeypatch) -> None:
    """A weight can break while its loss was still a number: the file of that moment must not be."""
    monkeypatch.setattr(module, "_SAVE_SECONDS", 7.0)

    class Poisoned(Frail):
        def step(self, iteration: int) -> Step:
            step = super().step(iteration)
            if self.factor == 1.0 and iteration >= 133:
                self.weight.fill_(math.nan)
            return step

    run = Poisoned()
    saved: list[float] = []
    real = module.save

    def save(folder, facts, tensors):
        saved.append(float(tensors["model.weight"]))
        return real(folder, facts, tensors)

    monkeypatch.setattr(module, "save", save)
    facts = run.train(tmp_path)
    assert all(math.isfinite(value) for value in saved)
    assert "a weight is not a number" in facts.rollbacks[0]["reason"]
    assert math.isfinite(float(run.weight))


def test_a_fault_that_stays_ends_with_a_sentence_and_a_good_checkpoint(tmp_path) -> None:
    class Hopeless(Frail):
        def loss(self, iteration: int) -> float:
            return math.nan if iteration >= 150 else 0.5

    with pytest.raises(TrainingError, match="broke down again at iteration 151"):
        Hopeless().train(tmp_path)
    stored = load(tmp_path / CHECKPOINT)
    assert stored.facts.iteration == 120
    assert len(stored.facts.rollbacks) == MAX_ROLLBACKS
    assert stored.facts.learning_rate_factor == 0.5**MAX_ROLLBACKS
    assert math.isfinite(float(stored.tensors["model.weight"]))


def test_ctrl_c_in_a_doubtful_state_keeps_the_last_checkpoint(tmp_path) -> None:
    class Interrupted(Frail):
        def loss(self, iteration: int) -> float:
            return 50.0 if iteration == 150 else 0.5

        def step(self, iteration: int) -> Step:
            if iteration == 151:
                raise KeyboardInterrupt
            return super().step(iteration)

    with pytest.raises(KeyboardInterrupt):
        Interrupted().train(tmp_path)
    assert load(tmp_path / CHECKPOINT).facts.iteration == 120


def test_each_optimiser_learns_at_the_share_that_it_is_told(people) -> None:
    for name, recipe in SMALL.items():
        run = make_run(recipe, people, device=CPU, seed=0)
        run.slow(0.25)
        optimisers = [run.optimiser] if name == "swift" else run.optimisers.values()
        assert {group["lr"] for one in optimisers for group in one.param_groups} == {recipe.learning_rate / 4.0}


def test_after_a_rollback_a_resumed_run_equals_one_that_went_on(people, tmp_path) -> None:
    def fresh():
        return make_run(SMALL["swift"], people, device=CPU, seed=5)

    class Broken:
        """The real run, whose third step gives no number once."""

        def __init__(self) -> None:
            self.run, self.broken = fresh(), False

        def __getattr__(self, attribute):
            return getattr(self.run, attribute)

        def step(self, iteration: int) -> Step:
            step = self.run.step(iteration)
            if iteration == 2 and not self.broken:
                self.broken = True
                return Step(step.samples, math.nan)
            return step

    start = replace(START, preset=SMALL["swift"].to_json(), seed=5)
    whole = Broken()
    facts = loop(whole, start, Budget(iterations=5), tmp_path / "whole")
    assert [event["back_to"] for event in facts.rollbacks] == [0]
    part = Broken()
    loop(part, start, Budget(iterations=3), tmp_path / "part")
    stored = load(tmp_path / "part" / CHECKPOINT)
    assert stored.facts.learning_rate_factor == 0.5
    resumed = fresh()
    resumed.restore(stored.tensors)
    loop(resumed, stored.facts, Budget(iterations=5), tmp_path / "part")
    expected, got = whole.run.tensors(), resumed.tensors()
    assert expected.keys() == got.keys()
    assert all(torch.equal(tensor, got[key]) for key, tensor in expected.items())
    straight = fresh()
    for iteration in range(5):
        straight.step(iteration)
    changed = "model.decoders.lender.paint.weight"
    assert not torch.equal(straight.tensors()[changed], got[changed])  # the lower rate did something
