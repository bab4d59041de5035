"""The loop: step, score, save; bounded by minutes or iterations, interruptible at any moment."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from countenance.errors import TrainingError
from countenance.training.checkpoint import CheckpointFacts, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from countenance.progress import Progress
    from countenance.training.runs import Run

__all__ = ["Budget", "loop"]

_SAVE_SECONDS = 60.0
_SAVE_SHARE = 0.02  # saving may cost this share of training time; huge checkpoints are written less often
_SCORE_SECONDS = 60.0
_SCORE_SHARE = 0.03  # the same of scoring, with the first and the last score
_SCORE_GUESS = 1.5  # seconds, until a score has been timed (on resuming the first row is there already)
_BAD_STEPS = 10


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop, counted over all runs of this model: the first limit that is reached."""

    seconds: float = math.inf
    iterations: float = math.inf

    def spent(self, facts: CheckpointFacts) -> bool:
        """Whether a checkpoint has used the budget up."""
        return facts.seconds >= self.seconds or facts.iteration >= self.iterations

    def share(self, facts: CheckpointFacts) -> float:
        """How much is used up, in [0, 1]."""
        return min(1.0, max(facts.seconds / self.seconds, facts.iteration / self.iterations))


class _SaveClock:
    """When the next save is due: after a while, and never at more than its share of the time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due = clock() + _SAVE_SECONDS

    def due(self) -> bool:
        return self._clock() >= self._due

    def took(self, cost: float) -> None:
        self._due = self._clock() + max(_SAVE_SECONDS, cost / _SAVE_SHARE)


class _Scores:
    """Scores now and then, and knows what that has cost of this run's training time."""

    def __init__(self, run: Run, facts: CheckpointFacts, clock: Callable[[], float]) -> None:
        self._run, self._clock = run, clock
        self._begun = self._last = facts.seconds
        self._spent, self._cost = 0.0, _SCORE_GUESS

    def due(self, facts: CheckpointFacts) -> bool:
        """At most once a minute, and with one cost kept back for the last score, which is always made."""
        allowed = _SCORE_SHARE * (facts.seconds - self._begun)
        return facts.seconds - self._last >= _SCORE_SECONDS and self._spent + 2.0 * self._cost <= allowed

    def add(self, facts: CheckpointFacts, losses: Sequence[float]) -> CheckpointFacts:
        """Append a history row, unless nothing happened since the last."""
        if facts.history and facts.history[-1]["iteration"] == facts.iteration:
            return facts
        begun = self._clock()
        scores = self._run.score()
        self._cost = self._clock() - begun
        self._spent += self._cost
        self._last = facts.seconds
        row = {
            "iteration": float(facts.iteration),
            "seconds": round(facts.seconds, 3),
            "samples": float(facts.samples_seen),
            **scores.row(),
        }
        finite = [loss for loss in losses if math.isfinite(loss)]
        if finite:
            row["loss"] = round(sum(finite) / len(finite), 6)
        return replace(facts, history=(*facts.history, row))


def loop(
    run: Run,
    facts: CheckpointFacts,
    budget: Budget,
    folder: Path,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> CheckpointFacts:
    """Step until the budget is used up, saving and scoring now and then; save at the end and on Ctrl-C.

    Args:
        run: model, optimiser and data.
        facts: where it stands.
        budget: when to stop.
        folder: of the checkpoints.
        progress: called after each step with the budget's share.
        clock: seconds; training time, and what saving and scoring may take of it, are measured by it.

    Raises:
        TrainingError: ten steps in a row gave no finite loss; the last good checkpoint stands.
    """
    saving, scores = _SaveClock(clock), _Scores(run, facts, clock)
    losses: list[float] = []
    facts, bad, saved = scores.add(facts, losses), 0, facts.iteration
    try:
        while not budget.spent(facts):
            begun = clock()
            step = run.step(facts.iteration)
            elapsed = clock() - begun
            bad = 0 if math.isfinite(step.loss) else bad + 1
            if bad >= _BAD_STEPS:
                raise TrainingError(
                    f"The loss is not a number any more, at iteration {facts.iteration}. "
                    "The last checkpoint is good: run the same command again to go on from it."
                )
            losses.append(step.loss)
            facts = replace(
                facts,
                iteration=facts.iteration + 1,
                samples_seen=facts.samples_seen + step.samples,
                seconds=facts.seconds + elapsed,
            )
            if scores.due(facts):
                facts, losses = scores.add(facts, losses), []
            if saving.due() and not bad:
                begun = clock()
                save(folder, facts, run.tensors())
                saved = facts.iteration
                saving.took(clock() - begun)
            if progress is not None:
                progress(budget.share(facts), 1.0, _note(facts, step.loss, step.samples / max(elapsed, 1e-9)))
        facts = scores.add(facts, losses)
    finally:
        # Reached by the budget's end, by Ctrl-C and by errors alike; a diverged state is not worth keeping.
        if not bad and facts.iteration > saved:
            save(folder, facts, run.tensors())
    return facts


_NOTED = {"held_out_ssim": "held-out SSIM {:.4f}", "held_out_identity_margin": "identity margin {:+.3f}"}


def _note(facts: CheckpointFacts, loss: float, rate: float) -> str:
    last = facts.history[-1] if facts.history else {}
    known = [text.format(last[name]) for name, text in _NOTED.items() if name in last]
    return ", ".join([f"iteration {facts.iteration}, {rate:.0f} samples/s, loss {loss:.4f}", *known])
