"""A step of the guided family by several threads, each with a share of the faces.

The network's layers are too small to be shared by two threads each: they wait for each other at every layer (a step of
swift on two cores was 1.2 times as quick as on one). So each thread takes some faces through the whole network and
back, and the gradients are added up, in the same order each time. Measured by ``bench/efficiency.py``.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, NamedTuple

import torch

from countenance.training.guided import GuidedBatch, guided_step
from countenance.training.losses import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countenance.training.model import GuidedModel

__all__ = ["Shares", "shares_of"]

_MOST = 4


class Piece(NamedTuple):
    """Some of a person's faces in a batch: rows from ``start`` to ``stop``."""

    person: str
    start: int
    stop: int


def shares_of(counts: Mapping[str, int], threads: int) -> list[list[Piece]]:
    """The faces of a step in as equal shares as can be, one a thread and at most four.

    Args:
        counts: how many faces of each person, in the order in which they are shared out.
        threads: at least 1.
    """
    total = sum(counts.values())
    count = max(1, min(threads, _MOST, total))
    ends = [round(total * number / count) for number in range(count + 1)]
    shares: list[list[Piece]] = [[] for _ in range(count)]
    first = 0
    for person, size in counts.items():
        for share, low, high in zip(shares, ends, ends[1:], strict=False):
            start, stop = max(low - first, 0), min(high - first, size)
            if start < stop:
                share.append(Piece(person, start, stop))
        first += size
    return shares


class Shares:
    """Adds a step's gradients to those of a model's parameters.

    The threads have models of their own, whose weights are the model's own memory and whose gradients are not.

    Args:
        model: on the CPU.
        counts: faces of each person in a step.
        threads: that torch may use.
    """

    def __init__(self, model: GuidedModel, counts: Mapping[str, int], threads: int) -> None:
        self._shares = shares_of(counts, threads)
        self._models = [model]
        for _ in self._shares[1:]:
            other = copy.deepcopy(model)
            for own, shared in zip(other.parameters(), model.parameters(), strict=True):
                own.data = shared.data
            self._models.append(other)
        self._pool = _pool(len(self._shares), threads)

    def backward(self, batches: Mapping[str, GuidedBatch]) -> float:
        """Gradients of each person's loss, summed; the losses' mean over all faces."""
        for model in self._models[1:]:
            model.zero_grad()
        work = map if self._pool is None else self._pool.map
        losses = list(work(_share, self._models, self._shares, [batches] * len(self._shares)))
        for model in self._models[1:]:
            for own, other in zip(self._models[0].parameters(), model.parameters(), strict=True):
                if own.grad is None or other.grad is None:  # a share without this person
                    own.grad = other.grad if own.grad is None else own.grad
                else:
                    own.grad += other.grad
        faces = sum(len(batch.target) for batch in batches.values())
        return sum(losses) / faces


def _pool(count: int, threads: int) -> ThreadPoolExecutor | None:
    """As many threads as there are shares, which have torch's threads among them; none for one share."""
    if count == 1:
        return None
    begun = Barrier(count)

    def begin(each: int) -> None:
        torch.get_num_threads()  # takes over the program's number; later that would undo the next line
        torch.set_num_threads(each)

    pool = ThreadPoolExecutor(count, "step", begin, (max(1, threads // count),))
    list(pool.map(lambda _: begun.wait(), range(count)))
    torch.set_num_threads(threads)  # what a thread sets for itself is also what later ones begin with
    return pool


def _share(model: GuidedModel, pieces: Sequence[Piece], batches: Mapping[str, GuidedBatch]) -> float:
    """Gradients of one share; its losses, each times the faces of the person's batch."""
    total = 0.0
    for person, start, stop in pieces:
        batch = batches[person]
        piece = GuidedBatch._make(tensor[start:stop] for tensor in batch)
        counted = float(piece.weight.sum() / batch.weight.sum().clamp_min(1e-6))
        part = Part(counted, (stop - start) / len(batch.target))
        loss, _ = guided_step(model, piece, person, part=part)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach()) * len(batch.target)
    return total
