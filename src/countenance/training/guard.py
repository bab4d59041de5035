"""What notices that training broke down, and takes it back to the last good weights at half the learning rate."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from torch import Tensor

from countenance.errors import TrainingError
from countenance.training.plateau import collapsed

if TYPE_CHECKING:
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.runs import Run

__all__ = ["MAX_ROLLBACKS", "Guard"]

MAX_ROLLBACKS = 4
"""Over a model's whole life; at a sixteenth of the learning rate the fault lies elsewhere."""

_WINDOW = 64  # losses whose median is usual
_FEWEST = 16  # before so many nothing is usual
_EXPLODED = 3.0  # times the usual loss
_EXPLODED_STEPS = 3  # in a row: one odd batch is no explosion


class Guard:
    """Judges losses, weights and scores, and holds a copy of the last good state in memory.

    The copy is made whenever a score has passed, so at most that much is lost (a minute or two). Going back means the
    very weights, moments and iteration of that moment; the chance of an iteration comes from its number, so only the
    learning rate makes the second try another one.

    Args:
        run: model and optimiser.
        facts: where it stands; taken for good.
    """

    def __init__(self, run: Run, facts: CheckpointFacts) -> None:
        self._run = run
        self._usual: deque[float] = deque(maxlen=_WINDOW)
        self._above = 0
        self._intact = True
        self._good_facts, self._good = facts, dict[str, Tensor]()
        self._keep(facts)

    @property
    def doubtful(self) -> bool:
        """Whether the last losses were odd, without being an explosion yet; such a state is not saved."""
        return self._above > 0

    def worth_saving(self) -> bool:
        """Whether the run's state is whole and sound."""
        return self._intact and not self.doubtful and self.wrong_weights() is None

    def _keep(self, facts: CheckpointFacts) -> None:
        """Take the present state for good; the memory of the copy before is used again."""
        self._good_facts = facts
        for name, tensor in self._run.tensors().items():
            if name in self._good:
                self._good[name].copy_(tensor.detach())
            else:
                self._good[name] = tensor.detach().clone()

    def wrong_step(self, loss: float) -> str | None:
        """What is wrong with a step's loss, in words, or None.

        No number at all, or three steps in a row with more than three times the median of the 64 before.
        """
        if not math.isfinite(loss):
            self._intact = False
            return "the loss is not a number any more"
        if len(self._usual) >= _FEWEST and loss > _EXPLODED * median(self._usual):
            self._above += 1
            if self._above < _EXPLODED_STEPS:
                return None  # nor does it count as usual
            self._intact = False
            return f"the loss is {loss / median(self._usual):.0f} times what it was"
        self._above = 0
        self._usual.append(loss)
        return None

    def wrong_weights(self) -> str | None:
        """Whether a weight or a moment is no number, in words, or None. The loss shows it a step later."""
        if all(_finite(tensor) for tensor in self._run.tensors().values()):
            return None
        self._intact = False
        return "a weight is not a number any more"

    def wrong_score(self, facts: CheckpointFacts) -> str | None:
        """What is wrong with the newest row, in words, or None: then this state is the good one from now on."""
        why = self.wrong_weights()
        if why is None and collapsed(facts.curve):
            self._intact = False
            why = "the held-out faces fell to pieces"
        if why is None and not self.doubtful:
            self._keep(facts)
        return why

    def roll_back(self, facts: CheckpointFacts, why: str) -> CheckpointFacts:
        """Go back to the last good state and halve the learning rate.

        Args:
            facts: where the run stands.
            why: in words.

        Returns:
            The good state's facts with the event; the time that was lost stays counted, so that a budget of minutes
            ends.

        Raises:
            TrainingError: that was done too often already.
        """
        if len(facts.rollbacks) >= MAX_ROLLBACKS:
            raise TrainingError(
                f"Training broke down again at iteration {facts.iteration} ({why}), after going back "
                f"{MAX_ROLLBACKS} times to good weights and a lower learning rate. The last good checkpoint is kept: "
                "look through both face sets for broken pictures, or delete the model's folder to train anew."
            )
        good = self._good_facts
        factor = facts.learning_rate_factor / 2.0
        event = {
            "iteration": facts.iteration,
            "back_to": good.iteration,
            "seconds": round(facts.seconds, 3),
            "reason": why,
        }
        # Copies, since an optimiser goes on in the very tensors that it is given.
        self._run.restore({name: tensor.clone() for name, tensor in self._good.items()})
        self._run.slow(factor)
        self._usual.clear()
        self._above, self._intact = 0, True
        back = replace(good, seconds=facts.seconds, learning_rate_factor=factor, rollbacks=(*facts.rollbacks, event))
        self._good_facts = back
        return back


def _finite(tensor: Tensor) -> bool:
    return math.isfinite(float(tensor.sum()))  # one pass: a sum with a NaN or an infinity in it is none
