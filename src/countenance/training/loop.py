"""The loop: step, score, save; ends by minutes, iterations or the plateau, and is interruptible at any moment."""

from __future__ import annotations

import math
import signal
import threading
import time
import warnings
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from countenance.errors import RefusedError
from countenance.training.best import Best
from countenance.training.checkpoint import CheckpointFacts, save, sweep
from countenance.training.guard import Guard
from countenance.training.plateau import forecast, memorised, plateau_reached

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from countenance.progress import Progress
    from countenance.training.runs import Run, Step

    Watch = Callable[[Run, CheckpointFacts], None]
    Allowed = Callable[[], AbstractContextManager[None]]

__all__ = ["Budget", "loop"]

_SAVE_SECONDS = 60.0
_SAVE_SHARE = 0.01  # saving may cost this share of training time; huge checkpoints are written less often
_SCORE_SECONDS = 60.0
_SCORE_SHARE = 0.03  # the same of scoring, with the first and the last score
_SCORE_GUESS = 1.5  # seconds, until a score has been timed (on resuming the first row is there already)
_RATE_STEPS = 30  # over which samples per second are told
_NEWS_SECONDS = 60.0  # of training, during which the note tells of a rollback


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


class _WholeStep:
    """Puts off Ctrl-C to the end of the step, since half a step must not be saved; a second Ctrl-C does not wait.

    Only Python's own handler is stood in for, and only in the main thread: whoever has another one wants it.
    """

    def __init__(self) -> None:
        self._pressed = self._standing_in = False

    def __enter__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        self._standing_in = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._standing_in:
            signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *_error: object) -> None:
        if self._standing_in:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *_signal: object) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def leave(self) -> None:
        """Raise what was put off.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed during the step.
        """
        if self._pressed:
            raise KeyboardInterrupt


class _Watching:
    """Shows each new score row to a watcher, until the watcher fails; what it refuses ends the training."""

    def __init__(self, watch: Watch | None, notices: list[str] | None) -> None:
        self._watch, self._notices, self._shown = watch, notices, -1

    def __call__(self, run: Run, facts: CheckpointFacts) -> None:
        if self._watch is None or len(facts.history) == self._shown:
            return
        self._shown = len(facts.history)
        try:
            self._watch(run, facts)
        except RefusedError:  # that is no failure: what is learned here may not be shown, so it is not learned on
            raise
        except Exception as error:  # a view is a luxury: hours of training must not die of it
            self._watch = None
            text = f"The live view failed and was switched off ({type(error).__name__}: {error})."
            if self._notices is None:
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            else:
                self._notices.append(text)


class _Saver:
    """Writes checkpoints and best weights: after a while, and at no more than their share of the time."""

    def __init__(
        self, run: Run, facts: CheckpointFacts, folder: Path, clock: Callable[[], float], allowed: Allowed
    ) -> None:
        self._run, self._folder, self._clock, self._allowed = run, folder, clock, allowed
        self._stored, self._refused = facts, False
        self._due = clock() + _SAVE_SECONDS
        sweep(folder)
        self.best = Best(folder, facts)

    def due(self) -> bool:
        return self._clock() >= self._due

    def refuse(self) -> None:
        """Nothing more is written from now on."""
        self._refused = True

    def store(self, facts: CheckpointFacts) -> None:
        """Write, unless there is nothing new, nothing but the untrained model, or it may not be kept.

        Raises:
            RefusedError: it may not, and from now on nothing more is written.
        """
        if facts is self._stored or facts.iteration == 0 or self._refused:
            return
        begun = self._clock()
        self._refused = True
        with self._allowed():
            self._refused = False
            self.best.write()  # first, so that the best that a checkpoint tells of is there
            save(self._folder, facts, self._run.tensors())
        self._stored = facts
        now = self._clock()
        self._due = now + max(_SAVE_SECONDS, (now - begun) / _SAVE_SHARE)


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

    def put_off(self, facts: CheckpointFacts) -> None:
        """Not before a minute has passed: what led to a breakdown must not pass for good just before the next."""
        self._last = facts.seconds

    def add(self, facts: CheckpointFacts, losses: Sequence[float]) -> CheckpointFacts:
        """Append a history row, unless nothing happened since the last."""
        if facts.curve and facts.curve[-1]["iteration"] == facts.iteration:
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
    early_stop: bool = False,
    progress: Progress | None = None,
    watch: Watch | None = None,
    notices: list[str] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    allowed: Allowed = nullcontext,
) -> CheckpointFacts:
    """Step until the budget is used up, saving and scoring now and then; save at the end and on Ctrl-C.

    Where the loss, the weights or the held-out scores break down, training goes back to the last good state at half the
    learning rate (see :class:`countenance.training.guard.Guard`); the facts tell of it, and are saved at once.

    Args:
        run: model, optimiser and data.
        facts: where it stands.
        budget: when to stop.
        folder: of the checkpoints.
        early_stop: whether to stop at the plateau (:func:`countenance.training.plateau.plateau_reached`) as well.
        progress: called after each step with the budget's share.
        watch: called with the run and its facts after every score; it must not change the run. What it refuses ends the
            training, and nothing more is saved; whatever else it raises but Ctrl-C is told once, and training goes on
            without it.
        notices: takes sentences for the user; where it is None they are Python warnings.
        allowed: makes a context for each time that something is saved; it may refuse to be entered, and then training
            ends and nothing more is saved. Nothing is kept that consent does not cover at that moment.
        clock: seconds; training time, and what saving and scoring may take of it, are measured by it.

    Raises:
        TrainingError: training broke down too often; the last good checkpoint stands.
        CheckpointError: the best weights in the folder are damaged or of another run.
        OutputError: a checkpoint cannot be written.
        RefusedError: ``allowed`` or ``watch`` refused.
    """
    if facts.learning_rate_factor != 1.0:
        run.slow(facts.learning_rate_factor)
    watching, note, whole = _Watching(watch, notices), _Note(), _WholeStep()
    saver, scores = _Saver(run, facts, folder, clock, allowed), _Scores(run, facts, clock)
    losses: list[float] = []
    facts = scores.add(facts, losses)
    guard = Guard(run, facts)

    def passed() -> bool:
        """A row is good: show it, keep its weights if they are the best; whether it is time to stop."""
        saver.best.offer(run, facts)
        try:
            watching(run, facts)
        except RefusedError:
            saver.refuse()
            raise
        return early_stop and plateau_reached(facts.curve)

    over = passed()
    try:
        while True:
            last, wrong = over or budget.spent(facts), None
            if not last:
                facts, step, elapsed = _stepped(run, facts, whole, clock)
                whole.leave()
                losses.append(step.loss)
                note.stepped(step.samples, elapsed)
                wrong = guard.wrong_step(step.loss)
            if wrong is None and (last or scores.due(facts)):
                facts, losses = scores.add(facts, losses), []
                wrong = guard.wrong_score(facts)
                over = wrong is None and (over or passed())
            if wrong is None and saver.due() and not guard.doubtful:
                wrong = guard.wrong_weights()
                if wrong is None:
                    saver.store(facts)
            if wrong is not None:
                facts, losses, over = guard.roll_back(facts, wrong), [], False
                scores.put_off(facts)
                saver.store(facts)  # at once: a kill must not undo it
            elif last:
                return facts
            if progress is not None:
                progress(budget.share(facts), 1.0, note.text(facts))
    finally:
        # Reached by the end, by Ctrl-C and by errors alike; a diverged state is not worth keeping.
        if guard.worth_saving():
            saver.store(facts)


def _stepped(
    run: Run, facts: CheckpointFacts, whole: _WholeStep, clock: Callable[[], float]
) -> tuple[CheckpointFacts, Step, float]:
    """One step: the facts after it, what it did, and its seconds."""
    begun = clock()
    with whole:
        step = run.step(facts.iteration)
    elapsed = clock() - begun
    after = replace(
        facts,
        iteration=facts.iteration + 1,
        samples_seen=facts.samples_seen + step.samples,
        seconds=facts.seconds + elapsed,
    )
    return after, step, elapsed


_NOTED = {"held_out_ssim": "held-out SSIM {:.4f}", "held_out_identity_margin": "identity margin {:+.3f}"}


class _Note:
    """What progress tells besides the share."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque(maxlen=_RATE_STEPS)
        self._rows, self._scored = -1, ""

    def stepped(self, samples: int, elapsed: float) -> None:
        self._steps.append((samples, elapsed))

    def text(self, facts: CheckpointFacts) -> str:
        if len(facts.history) != self._rows:  # a forecast need not be made at every step
            self._rows, self._scored = len(facts.history), _scored(facts)
        rate = sum(samples for samples, _ in self._steps) / max(sum(elapsed for _, elapsed in self._steps), 1e-9)
        words = f"iteration {facts.iteration}, {rate:.0f} samples/s{self._scored}"
        if facts.rollbacks and facts.seconds - float(facts.rollbacks[-1]["seconds"]) < _NEWS_SECONDS:
            event = facts.rollbacks[-1]
            words += f", went back to iteration {event['back_to']}, since {event['reason']}"
        return words


def _scored(facts: CheckpointFacts) -> str:
    row = facts.curve[-1] if facts.curve else {}
    known = [text.format(row[name]) for name, text in _NOTED.items() if name in row]
    expected = forecast(facts.curve)
    if expected is not None:
        known.append(f"{expected.minutes:.0f} more minutes: about {expected.gain:+.3f}")
    known += [f"the {side}'s faces are being learned by heart" for side in memorised(facts.curve)]
    return "".join(f", {words}" for words in known)
