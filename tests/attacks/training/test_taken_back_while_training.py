"""A training whose consent ends while it runs saves nothing more."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "training"))

from test_train import Story, story  # noqa: F401 - a fixture

from countenance.api import consent_revoke
from countenance.errors import ConsentError
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, read_facts
from countenance.training.loop import Budget, loop
from countenance.training.runs import Step
from countenance.training.scores import NOBODY, HeldOut

FACTS = CheckpointFacts({"name": "swift"}, "vera", "ivan", "r", "s", "e", ("a", "b"), 0, 0, 0, 0.0, "cpu", ())


@dataclass
class Run:
    """Counts, and its clock goes on a minute a step."""

    weights: torch.Tensor = field(default_factory=lambda: torch.zeros(2))
    seconds: float = 0.0

    def step(self, iteration: int) -> Step:
        self.weights += 1.0
        self.seconds += 61.0
        return Step(2, 0.5)

    def score(self) -> HeldOut:
        return HeldOut(0.5, 0.5, *NOBODY, 0.5, 0.5)

    def preview(self) -> list[Any]:
        return []

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"model.weights": self.weights}

    def restore(self, tensors: Any) -> None:
        self.weights = tensors["model.weights"]

    def slow(self, factor: float) -> None: ...


@pytest.mark.parametrize("iterations", [10, 3])
def test_nothing_is_saved_after_a_refusal(iterations: int, tmp_path: Path) -> None:
    """Neither on the way nor at the end."""
    run, asked = Run(), list[int]()

    @contextmanager
    def allowed():
        asked.append(1)
        if len(asked) == 3:
            raise ConsentError("The training was stopped. Consent was taken back.")
        yield

    with pytest.raises(ConsentError, match="taken back"):
        loop(
            run, FACTS, Budget(iterations=iterations), tmp_path, clock=lambda: run.seconds,
            allowed=allowed,
        )  # fmt: skip
    assert len(asked) == 3  # not once more for the last save
    assert read_facts(tmp_path / CHECKPOINT).iteration == 2


def test_a_revocation_stops_a_training(story: Story) -> None:  # noqa: F811 - the fixture
    with pytest.raises(ConsentError, match=r"^The training was stopped, and nothing more of it was saved\..*revoked"):
        story.train(iterations=1, watch=lambda *_: consent_revoke(story.project, "vera"))
    assert not (story.folder / CHECKPOINT).exists()
