import math
import signal
from dataclasses import dataclass, field, replace

import pytest
import torch
from training_faces import made_faces

from countenance.errors import CheckpointError, TrainingError
from countenance.training import loop as module
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, load, save
from countenance.training.loop import Budget, loop
from countenance.training.prepare import spread
from countenance.training.presets import PRESETS
from countenance.training.runs import Step, make_run
from countenance.training.scores import HeldOut
from countenance.training.train import choose_device

CPU = torch.device("cpu")
SMALL = {name: replace(recipe, batch_size=2) for name, recipe in PRESETS.items()}


def facts_of(name: str) -> CheckpointFacts:
    return CheckpointFacts(SMALL[name].to_json(), "vera", "ivan", "r", "s", "e", ("a", "b"), 5, 0, 0, 0.0, "cpu", ())


@pytest.mark.parametrize("name", ["swift", "classic"])
def test_resuming_is_exact_to_the_last_bit(name, people, tmp_path) -> None:
    whole = make_run(SMALL[name], people, device=CPU, seed=5)
    for iteration in range(2):
        whole.step(iteration)

    first = make_run(SMALL[name], people, device=CPU, seed=5)
    first.step(0)
    save(tmp_path, facts_of(name), first.tensors())
    second = make_run(SMALL[name], people, device=CPU, seed=5)
    second.restore(load(tmp_path / CHECKPOINT).tensors)
    second.step(1)

    expected, got = whole.tensors(), second.tensors()
    assert expected.keys() == got.keys()
    for tensor_name, tensor in expected.items():
        assert torch.equal(tensor, got[tensor_name]), tensor_name


def test_swift_learns(people) -> None:
    run = make_run(replace(SMALL["swift"], batch_size=4), people, device=CPU, seed=0)
    before = run.score()
    for iteration in range(40):
        run.step(iteration)
    after = run.score()
    # It starts from the warped references in the wanted light, so there is little left to win: 0.9329 becomes 0.9368.
    assert after.train_reconstruction > before.train_reconstruction + 0.002
    assert math.isfinite(after.reconstruction)


def test_faces_are_thinned_evenly_and_not_beyond() -> None:
    faces = made_faces(30, 0, size=64)
    assert spread(faces, 100) is faces
    thin = spread(faces, 10)
    assert len(thin.rgb) == 10
    assert thin.moment[0, 1] == faces.moment[0, 1]
    assert thin.moment[-1, 1] == faces.moment[-1, 1]


class FakeRun:
    """A run that costs nothing and can be told to fail."""

    def __init__(self, *, fail_at: int | None = None, error: BaseException | None = None) -> None:
        self.weight = torch.zeros(1)
        self.fail_at, self.error = fail_at, error

    def step(self, iteration: int) -> Step:
        if self.fail_at is not None and iteration >= self.fail_at:
            if self.error is not None:
                raise self.error
            return Step(4, math.nan)
        self.weight += 1
        return Step(4, 1.0 / (iteration + 1))

    def score(self) -> HeldOut:
        return HeldOut(float(self.weight) / 100, 0.25, math.nan, math.nan, 0.5)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"weight": self.weight}

    def restore(self, tensors) -> None:
        self.weight = tensors["weight"].clone()

    def slow(self, factor: float) -> None:
        self.factor = factor


def test_a_budget_counts_all_runs_together(tmp_path) -> None:
    run = FakeRun()
    facts = loop(run, facts_of("swift"), Budget(iterations=5), tmp_path)
    assert (facts.iteration, facts.samples_seen) == (5, 20)
    again = loop(run, facts, Budget(iterations=5), tmp_path)
    assert again.iteration == 5
    more = loop(run, facts, Budget(iterations=8), tmp_path)
    assert more.iteration == 8
    assert float(load(tmp_path / CHECKPOINT).tensors["weight"]) == 8


def test_a_budget_in_seconds_ends(tmp_path) -> None:
    ticks = iter(range(1000))
    facts = loop(FakeRun(), facts_of("swift"), Budget(seconds=10.0), tmp_path, clock=lambda: float(next(ticks)))
    assert facts.iteration == 10
    assert facts.seconds == 10.0


def test_ctrl_c_saves_before_it_leaves(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        loop(FakeRun(fail_at=6, error=KeyboardInterrupt()), facts_of("swift"), Budget(iterations=50), tmp_path)
    stored = load(tmp_path / CHECKPOINT)
    assert stored.facts.iteration == 6
    assert float(stored.tensors["weight"]) == 6


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(module, "_SAVE_SHARE", 1e9)
    with pytest.raises(TrainingError, match="not a number"):
        loop(FakeRun(fail_at=4), facts_of("swift"), Budget(iterations=50), tmp_path)
    assert float(load(tmp_path / CHECKPOINT).tensors["weight"]) == 4


def test_history_has_the_start_and_the_end(tmp_path) -> None:
    facts = loop(FakeRun(), facts_of("swift"), Budget(iterations=5), tmp_path)
    assert [row["iteration"] for row in facts.history] == [0.0, 5.0]
    assert "loss" not in facts.history[0]
    assert facts.history[-1]["held_out_ssim"] == pytest.approx(0.05)


def test_what_is_no_number_is_not_written(tmp_path) -> None:
    facts = loop(FakeRun(), facts_of("swift"), Budget(iterations=2), tmp_path)
    row = load(tmp_path / CHECKPOINT).facts.history[0]
    assert row == facts.history[0]
    assert set(row) == {"iteration", "seconds", "samples", "held_out_ssim", "held_out_performer_ssim", "trained_ssim"}


@dataclass
class TimedRun(FakeRun):
    """A run on a clock of its own: a step takes a second, a score ``cost``."""

    cost: float
    now: float = 0.0
    scored: float = 0.0
    scored_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def step(self, iteration: int) -> Step:
        self.now += 1.0
        return super().step(iteration)

    def score(self) -> HeldOut:
        self.now += self.cost
        self.scored += self.cost
        self.scored_at.append(float(self.weight))  # seconds of training
        return super().score()


@pytest.mark.parametrize("cost", [0.01, 0.6, 1.2, 4.0, 20.0])
@pytest.mark.parametrize("seconds", [1400.0, 2000.0])
def test_scoring_takes_less_than_its_share_and_happens_once_a_minute_at_most(tmp_path, cost, seconds) -> None:
    run = TimedRun(cost)
    loop(run, facts_of("swift"), Budget(seconds=seconds), tmp_path, clock=lambda: run.now)
    assert run.scored <= 0.03 * seconds
    gaps = [b - a for a, b in zip(run.scored_at[:-2], run.scored_at[1:-1], strict=True)]
    assert min(gaps, default=60.0) >= 60.0
    assert (run.scored_at[0], run.scored_at[-1]) == (0.0, seconds)  # the first and the last are always made
    if cost < 1.5:
        assert len(run.scored_at) >= seconds / 60.0 - 1.0


def test_a_short_run_is_scored_at_its_ends_only_and_a_resumed_one_at_its_end(tmp_path) -> None:
    run = TimedRun(1.0)
    facts = loop(run, facts_of("swift"), Budget(seconds=90.0), tmp_path, clock=lambda: run.now)
    assert run.scored_at == [0.0, 90.0]
    loop(run, facts, Budget(seconds=180.0), tmp_path, clock=lambda: run.now)
    assert run.scored_at == [0.0, 90.0, 180.0]
    more = TimedRun(0.3)
    loop(more, facts_of("swift"), Budget(seconds=150.0), tmp_path, clock=lambda: more.now)
    assert more.scored_at == [0.0, 60.0, 120.0, 150.0]


def test_the_note_tells_what_is_known_of_the_scores(tmp_path) -> None:
    class Seen(FakeRun):
        def score(self) -> HeldOut:
            return HeldOut(0.8, 0.7, 0.6, -0.125, 0.85)

    def notes(run: FakeRun) -> list[str]:
        heard: list[str] = []
        loop(
            run,
            facts_of("swift"),
            Budget(iterations=1),
            tmp_path,
            progress=lambda done, total, note="": heard.append(note),
        )
        return heard

    assert notes(Seen())[0].endswith("held-out SSIM 0.8000, identity margin -0.125")
    assert notes(FakeRun())[0].endswith("held-out SSIM 0.0000")


def test_a_history_without_the_newer_scores_goes_on(tmp_path) -> None:
    old = {"iteration": 3.0, "seconds": 1.0, "samples": 12.0, "held_out_ssim": 0.5}
    facts = replace(facts_of("swift"), iteration=3, samples_seen=12, seconds=1.0, history=(old,))
    save(tmp_path, facts, {"weight": torch.zeros(1)})
    after = loop(FakeRun(), load(tmp_path / CHECKPOINT).facts, Budget(iterations=5), tmp_path)
    assert after.history[0] == old
    assert "trained_ssim" in after.history[1]


def test_progress_hears_of_every_step(tmp_path) -> None:
    heard: list[float] = []
    loop(
        FakeRun(),
        facts_of("swift"),
        Budget(iterations=4),
        tmp_path,
        progress=lambda done, total, note="": heard.append(done / (total or 1)),
    )
    assert heard == [0.25, 0.5, 0.75, 1.0]


def test_weights_of_another_network_are_refused(people) -> None:
    run = make_run(SMALL["swift"], people, device=CPU, seed=0)
    wider = make_run(replace(SMALL["swift"], widths=(16, 32, 48, 64)), people, device=CPU, seed=0)
    with pytest.raises(CheckpointError, match="do not fit"):
        run.restore(wider.tensors())


def test_a_device_that_is_not_there_is_said() -> None:
    assert choose_device("cpu") == CPU
    with pytest.raises(TrainingError, match="cannot be used here"):
        choose_device("quantum")


def test_a_watcher_sees_every_row_once_and_a_broken_one_stops_nothing(tmp_path) -> None:
    run, seen = TimedRun(0.1), []
    loop(
        run,
        facts_of("swift"),
        Budget(seconds=200.0),
        tmp_path,
        clock=lambda: run.now,
        watch=lambda _run, facts: seen.append(facts.history[-1]["iteration"]),
    )
    assert seen == [0.0, 60.0, 120.0, 180.0, 200.0]

    def broken(_run, facts) -> None:
        seen.append(-1.0)
        raise RuntimeError("no screen")

    for notices in (None, []):
        seen.clear()
        run = TimedRun(0.1)
        settings = {"clock": lambda run=run: run.now, "watch": broken, "notices": notices}
        if notices is None:
            with pytest.warns(RuntimeWarning, match="no screen"):
                loop(run, facts_of("swift"), Budget(seconds=200.0), tmp_path, **settings)
        else:
            loop(run, facts_of("swift"), Budget(seconds=200.0), tmp_path, **settings)
            assert notices == ["The live view failed and was switched off (RuntimeError: no screen)."]
        assert seen == [-1.0]
        assert float(run.weight) == 200.0


def test_ctrl_c_in_a_watcher_saves_and_leaves(tmp_path) -> None:
    def pressed(_run, facts) -> None:
        if facts.iteration:
            raise KeyboardInterrupt

    run = TimedRun(0.1)
    with pytest.raises(KeyboardInterrupt):
        loop(run, facts_of("swift"), Budget(seconds=200.0), tmp_path, clock=lambda: run.now, watch=pressed)
    assert load(tmp_path / CHECKPOINT).facts.iteration == 60


def test_ctrl_c_waits_for_the_end_of_the_step_and_a_second_one_does_not(tmp_path) -> None:
    class Pressing(FakeRun):
        def __init__(self, times: int) -> None:
            super().__init__()
            self.times = times

        def step(self, iteration: int) -> Step:
            if iteration == 6:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
            return super().step(iteration)

    for times, whole in ((1, 7), (2, 6)):
        with pytest.raises(KeyboardInterrupt):
            loop(Pressing(times), facts_of("swift"), Budget(iterations=50), tmp_path / str(times))
        stored = load(tmp_path / str(times) / CHECKPOINT)
        assert stored.facts.iteration == float(stored.tensors["weight"]) == whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Flat(TimedRun):
    """Ten iterations a second, and nothing to learn."""

    def step(self, iteration: int) -> Step:
        self.now -= 0.9
        return super().step(iteration)

    def score(self) -> HeldOut:
        return super().score()._replace(reconstruction=0.9)


def test_training_stops_at_the_plateau_only_where_it_was_asked_to(tmp_path) -> None:
    run = Flat(0.1)
    facts = loop(run, facts_of("swift"), Budget(seconds=1200.0), tmp_path, early_stop=True, clock=lambda: run.now)
    assert 600.0 + 4 * 60.0 <= facts.seconds < 900.0
    stored = load(tmp_path / CHECKPOINT).facts
    assert replace(stored, tensors_sha256="") == facts  # its last row is in the file
    same = loop(run, stored, Budget(seconds=1200.0), tmp_path, early_stop=True, clock=lambda: run.now)
    assert same == stored
    more = loop(run, stored, Budget(seconds=1200.0), tmp_path, clock=lambda: run.now)
    assert more.seconds >= 1200.0
    notes: list[str] = []
    loop(
        run,
        more,
        Budget(seconds=1201.0),
        tmp_path,
        clock=lambda: run.now,
        progress=lambda done, total, note="": notes.append(note),
    )
    assert "10 more minutes: about +0.000" in notes[0]


def test_other_faces_begin_a_new_curve(tmp_path) -> None:
    run = Flat(0.1)
    facts = loop(run, facts_of("swift"), Budget(seconds=900.0), tmp_path, clock=lambda: run.now)
    renewed = replace(facts, curve_start=len(facts.history))
    after = loop(run, renewed, Budget(seconds=1000.0), tmp_path, early_stop=True, clock=lambda: run.now)
    assert after.curve[0]["iteration"] == facts.iteration  # scored anew, although nothing was trained in between
    assert after.seconds >= 1000.0


def test_saving_takes_less_than_a_hundredth(tmp_path, monkeypatch) -> None:
    for cost in (0.1, 0.6, 5.0, 20.0):
        run, spent = TimedRun(0.01), []

        def costly(*_args: object, run=run, cost=cost, spent=spent) -> None:
            run.now += cost
            spent.append(cost)

        monkeypatch.setattr(module, "save", costly)
        loop(run, facts_of("swift"), Budget(seconds=6000.0), tmp_path, clock=lambda run=run: run.now)
        assert sum(spent[1:-1]) <= 0.01 * 6000.0  # beside the first, whose cost nobody knows, and the last
        if cost <= 0.6:
            assert len(spent) >= 95  # a kill loses a minute at most
