"""The best weights by held-out score: kept beside the checkpoint, and what conversion uses.

``best.safetensors`` holds only what painting needs, so it is a quarter of swift's checkpoint. It is refused unless it
belongs to the very run of the checkpoint beside it: otherwise weights that were trained under one consent record could
be laid into the folder of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from countenance.errors import CheckpointError
from countenance.training.checkpoint import BEST, CHECKPOINT, Checkpoint, load, read_facts, save_best
from countenance.training.plateau import better

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.runs import Run

__all__ = ["Best", "load_for_conversion", "painted_from"]

_OF_THE_RUN = {
    "preset": "of another recipe",
    "lender": "of another lender",
    "performer": "of another performer",
    "record_sha256": "trained under another consent record",
    "record_id": "trained under another consent record",
    "seed": "of another run",
}


def painted_from(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a checkpoint's tensors that conversion needs.

    Averaged weights with all that is neither the last weights nor an optimiser's; without averaged ones the model's.
    """
    if any(name.startswith("averaged.") for name in tensors):
        return {name: tensor for name, tensor in tensors.items() if not name.startswith(("model.", "optimiser"))}
    return {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}


def _require_same_run(path: Path, best: CheckpointFacts, facts: CheckpointFacts) -> None:
    for name, why in _OF_THE_RUN.items():
        if getattr(best, name) != getattr(facts, name):
            raise CheckpointError(
                f"The best weights {path} are {why} than the checkpoint beside them. "
                f"Delete that file, and the weights in {CHECKPOINT} are used."
            )


def load_for_conversion(folder: Path) -> Checkpoint:
    """The best weights of a model's folder, or the checkpoint where no best were kept.

    Raises:
        CheckpointError: one of the files is damaged, or the best weights are not of the checkpoint's run.
    """
    path = folder / BEST
    if not path.exists():
        return load(folder / CHECKPOINT)
    facts, best = read_facts(folder / CHECKPOINT), load(path)
    _require_same_run(path, best.facts, facts)
    if best.facts.faces_sha256 != facts.faces_sha256:
        raise CheckpointError(
            f"The best weights {path} were trained on other faces than the checkpoint beside them. "
            f"Delete that file, and the weights in {CHECKPOINT} are used."
        )
    return best


class Best:
    """Notices the best weights while a run goes on, and writes them when its checkpoint is written.

    A file of this run that is there already is to be beaten. One of earlier faces goes, since its score was of
    other held-out faces, and so does what is left of a model whose checkpoint was deleted.

    Raises:
        CheckpointError: the file that is there is damaged or of another run.
    """

    def __init__(self, folder: Path, facts: CheckpointFacts) -> None:
        self._folder = folder
        self._row: Mapping[str, float] | None = None
        self._waiting: tuple[CheckpointFacts, dict[str, Tensor]] | None = None
        path = folder / BEST
        if not path.exists():
            return
        if facts.iteration == 0:
            path.unlink()
            return
        kept = load(path).facts
        _require_same_run(path, kept, facts)
        if kept.faces_sha256 != facts.faces_sha256 or not kept.history:
            path.unlink()
        else:
            self._row = kept.history[-1]

    def offer(self, run: Run, facts: CheckpointFacts) -> None:
        """Take a copy of the weights if the newest row is their score and the best so far."""
        row = facts.history[-1] if facts.history else None
        if row is None or row["iteration"] != facts.iteration or not better(row, self._row):
            return
        self._row = row
        tensors = painted_from(run.tensors())
        if tensors:
            # The run goes on changing its own in place.
            self._waiting = facts, {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def write(self) -> None:
        """Write what has not been written yet.

        Raises:
            OutputError: disk full or no permission; the best file that was there is untouched.
        """
        if self._waiting is not None:
            save_best(self._folder, *self._waiting)
            self._waiting = None
