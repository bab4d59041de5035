"""The forms of a training step that ``efficiency.py`` compares: each idea without the others, and all undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from efficiency_work import ssim_by_convolution, written_conv, written_join

from countenance.training import losses, model
from countenance.training.runs import Run
from countenance.training.shares import Shares


def _optimisers(run: Any) -> list[torch.optim.Optimizer]:
    return list(run.optimisers.values()) if hasattr(run, "optimisers") else [run.optimiser]


@contextlib.contextmanager
def optimiser_apart(run: Run) -> Iterator[None]:
    """Each tensor updated by a handful of passes instead of one."""
    groups = [group for one in _optimisers(run) for group in one.param_groups]
    for group in groups:
        group["fused"] = False
    try:
        yield
    finally:
        for group in groups:
            group["fused"] = True


@contextlib.contextmanager
def laid_out(run: Any, layout: torch.memory_format) -> Iterator[None]:
    """Weights, their moments and the pictures between the layers in another layout."""
    usual = torch.channels_last

    def lay(wanted: torch.memory_format) -> None:
        run.model.to(memory_format=wanted)
        for optimiser in _optimisers(run):
            for slot in optimiser.state.values():
                slot |= {name: kept.contiguous(memory_format=wanted) for name, kept in slot.items() if kept.dim() == 4}

    lay(layout)
    try:
        with patch.object(torch, "channels_last", layout):
            yield
    finally:
        lay(usual)


@contextlib.contextmanager
def lower_precision(run: Any) -> Iterator[None]:
    """bfloat16 inside the network, as the presets with ``precision`` do it on a GPU."""
    network = run.model
    if isinstance(network, model.GuidedModel):
        with patch.object(model, "_AUTOCAST_ON", ("cpu", "cuda")), patch.object(network, "precision", "bfloat16"):
            yield
        return
    plain = network.forward

    def forward(driver: torch.Tensor, person: str) -> torch.Tensor:
        with torch.autocast(driver.device.type, torch.bfloat16):
            painted: torch.Tensor = plain(driver, person)
        return painted.float()

    with patch.object(network, "forward", forward):
        yield


@contextlib.contextmanager
def compiled(run: Any) -> Iterator[None]:
    """The network and swift's loss through ``torch.compile``."""
    network = run.model
    with (
        patch.object(network, "forward", torch.compile(network.forward)),
        patch.object(losses, "ssim_map", torch.compile(losses.ssim_map)),
    ):
        yield


def _before(run: Any) -> contextlib.ExitStack:
    """All that was gained by ``bench/efficiency.py``, undone."""
    stack = contextlib.ExitStack()
    for undone in (
        patch.object(model, "doubled_beside", written_join),
        patch.object(model, "of_few_places", written_conv),
        patch.object(losses, "ssim_map", ssim_by_convolution),
        optimiser_apart(run),
    ):
        stack.enter_context(undone)
    if isinstance(run.model, model.ClassicModel):
        stack.enter_context(laid_out(run, torch.contiguous_format))
    return stack


@contextlib.contextmanager
def layers_shared(run: Any) -> Iterator[None]:
    """Each layer by all threads, instead of a share of the faces by each."""
    with patch.object(run, "_shares", Shares(run.model, run.counts, 1)):
        yield


@contextlib.contextmanager
def layers_shared_before(run: Any) -> Iterator[None]:
    """That, and all the rest undone as well."""
    with layers_shared(run), _before(run):
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """In which a run is made that steps in one thread, since neither counters nor clocks see into others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


Variant = Callable[[Run], contextlib.AbstractContextManager[object]]
AS_IT_IS = "as it is"
VARIANTS: dict[str, dict[str, Variant]] = {
    "swift": {
        AS_IT_IS: lambda _run: contextlib.nullcontext(),
        "before": _before,
        "doubled pictures made": lambda _run: patch.object(model, "doubled_beside", written_join),
        "SSIM by convolution": lambda _run: patch.object(losses, "ssim_map", ssim_by_convolution),
        "optimiser in passes": optimiser_apart,
        "channels first": lambda run: laid_out(run, torch.contiguous_format),
        "bfloat16": lower_precision,
    },
    "classic": {
        AS_IT_IS: lambda _run: contextlib.nullcontext(),
        "before": _before,
        "convolutions by oneDNN": lambda _run: patch.object(model, "of_few_places", written_conv),
        "bfloat16": lower_precision,
    },
}
SHARED: dict[str, Variant] = {
    AS_IT_IS: VARIANTS["swift"][AS_IT_IS],
    "each layer by all threads": layers_shared,
    "before": layers_shared_before,
}
"""What is compared where swift's faces are shared out; what each idea gives is measured on one thread."""
