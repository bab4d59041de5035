"""Weights and optimisers as flat, named tensors, which is how a checkpoint keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["named", "optimiser_tensors", "restore_optimiser", "set_rate"]


def optimiser_tensors(prefix: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """The moments and step counts of an Adam, flat."""
    state = optimiser.state_dict()["state"]
    return {f"{prefix}.{index}.{name}": value for index, slot in state.items() for name, value in slot.items()}


def restore_optimiser(prefix: str, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take over what :func:`optimiser_tensors` gave."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            index, field = name[len(prefix) + 1 :].split(".")
            slots.setdefault(int(index), {})[field] = tensor
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    for parameter, slot in optimiser.state.items():
        for field, value in slot.items():
            # A fused step takes it for granted that moments lie as weights do; a file knows no channels-last.
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                slot[field] = torch.empty_like(parameter).copy_(value)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Learn at this rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's weights under a prefix."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
