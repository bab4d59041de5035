"""What the guided presets cost: parameters, what lies in memory for good, what a step keeps for its gradients, seconds.

No GPU was at hand. Bytes need none: they are counted by hooks on the tensors that autograd keeps, and autocast to
bfloat16 runs on the CPU for the count. The seconds of a step are the CPU's.

    OMP_NUM_THREADS=1 .venv/bin/python bench/cinema.py [--steps 3] [--result bench/results/cinema.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch

from countenance.demo.surroundings import commit, surroundings
from countenance.training import model as networks
from countenance.training.guided import GuidedBatch, guided_step
from countenance.training.model import GuidedModel, parameter_count
from countenance.training.presets import PRESETS, Preset

GUIDED = [name for name, recipe in PRESETS.items() if recipe.family == "guided"]


def batch_of(recipe: Preset, count: int) -> GuidedBatch:
    """Noise in the form of a batch."""
    generator = torch.Generator().manual_seed(0)
    side = recipe.base_size
    target, reference, light = (torch.rand(count, 3, side, side, generator=generator) for _ in range(3))
    driver = torch.rand(count, 3, recipe.input_size, recipe.input_size, generator=generator)
    whole = torch.ones(count, 1, side, side)
    return GuidedBatch(target, reference, driver, light, whole, whole, whole)


def kept_for_gradients(model: GuidedModel, batch: GuidedBatch) -> int:
    """Bytes of the tensors that one forward pass and its loss keep, weights and the batch left out."""
    known = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *batch]}
    sizes: dict[int, int] = {}
    alive = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no later tensor is laid to the same place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        guided_step(model, batch, "lender")
    return sum(sizes.values())


def measured(name: str, steps: int) -> dict[str, Any]:
    """The row of one preset."""
    recipe = PRESETS[name]
    torch.manual_seed(0)
    model = GuidedModel(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    count = parameter_count(model)
    row: dict[str, Any] = {"preset": name, "parameters": count, "weights_gradients_moments_average_bytes": 20 * count}
    row["batch_size"] = recipe.batch_size
    row["prepared_bytes_a_face"] = 12 * recipe.base_size**2  # target, two references, face, mask, weight
    for precision in ("float32", "bfloat16"):
        model.precision = precision
        networks._AUTOCAST_ON = ("cpu",)
        one, two = (kept_for_gradients(model, batch_of(recipe, count)) for count in (1, 2))
        row[f"kept_{precision}_bytes_a_sample"] = two - one  # weights in the lower precision are kept once
    model.precision = "float32"
    batch, seconds = batch_of(recipe, 1), []
    for _ in range(steps + 1):
        began = process_time()
        model.zero_grad()
        guided_step(model, batch, "lender")[0].backward()  # type: ignore[no-untyped-call]
        seconds.append(process_time() - began)
    row["cpu_seconds_a_sample"] = {"median": median(seconds[1:]), "least": min(seconds[1:]), "most": max(seconds[1:])}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--result", type=Path, default=Path("bench/results/cinema.json"))
    arguments = parser.parse_args()
    rows = [measured(name, arguments.steps) for name in GUIDED]
    told = {"commit": commit(), "surroundings": surroundings("cpu"), "steps": arguments.steps, "rows": rows}
    arguments.result.write_text(json.dumps(told, indent=1) + "\n")
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
