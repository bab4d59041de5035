"""What ``efficiency.py`` measures: slower forms of the product's arithmetic, random warps, a step op by op."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from countenance.training.batches import classic_pairs, iteration_generator
from countenance.training.runs import Run


class Spent(NamedTuple):
    """Seconds of some work by the wall and of the processor, all threads together."""

    wall: float
    cpu: float


def timed(work: Callable[[], object], device: torch.device) -> Spent:
    """Do it once; a GPU is waited for."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wait()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def told(values: Sequence[float]) -> dict[str, float]:
    """Median and spread, to four figures."""
    return {
        name: float(f"{value:.4g}")
        for name, value in (("median", median(values)), ("least", min(values)), ("most", max(values)))
    }


_C1, _C2 = 0.01**2, 0.03**2


def ssim_by_convolution(a: Tensor, b: Tensor) -> Tensor:
    """``countenance.training.losses.ssim_map`` as it was: five maps, each blurred by two depthwise convolutions."""
    offsets = torch.arange(11, dtype=torch.float64) - 5.0
    taps = torch.exp(-(offsets**2) / (2.0 * 1.5**2))
    taps = (taps / taps.sum()).to(device=a.device, dtype=a.dtype)
    maps = 5 * a.shape[1]
    row = taps.view(1, 1, 1, 11).expand(maps, 1, 1, 11).contiguous()
    stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
    blurred = functional.conv2d(stacked, row, padding=(0, 5), groups=maps)
    blurred = functional.conv2d(blurred, row.transpose(2, 3).contiguous(), padding=(5, 0), groups=maps)
    mean_a, mean_b, aa, bb, ab = blurred.chunk(5, 1)
    var_a, var_b, cov = aa - mean_a * mean_a, bb - mean_b * mean_b, ab - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    return luminance * (2 * cov + _C2) / (var_a + var_b + _C2)


def written_join(conv: nn.Conv2d, small: Tensor, beside: Tensor) -> Tensor:
    """``countenance.training.convolution.doubled_beside`` as the network's drawing has it."""
    doubled = functional.interpolate(small, scale_factor=2.0, mode="nearest")
    joined: Tensor = conv(torch.cat([doubled, beside], 1))
    return joined


def written_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``countenance.training.convolution.of_few_places`` left to the library."""
    result: Tensor = conv(x)
    return result


class _Ops(TorchDispatchMode):
    """Processor seconds, FLOPs and bytes of each operation: what it reads and writes once, as its arguments say."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        begun = time.process_time()
        result = func(*args, **(kwargs or {}))
        spent = time.process_time() - begun
        if func.is_view:
            return result
        packet = func.overloadpacket
        count = flop_registry[packet](*args, **(kwargs or {}), out_val=result) if packet in flop_registry else 0
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        size = sum(tensor.numel() * tensor.element_size() for tensor in [*given, *made])
        shapes = " ".join("×".join(map(str, tensor.shape)) for tensor in given[:3])
        self.seen[packet.__name__, shapes].append((spent, int(count), size))
        return result


def roofline(run: Run, device: torch.device, steps: int) -> dict[str, Any]:
    """Where a step's processor time goes, a mean of several: products against passes over memory, and what costs most.

    ``gflop_per_second`` stands beside the matrix-product peak, ``gigabytes_per_second`` beside ``copy``, which is what
    a plain copy moves.
    """
    if device.type != "cpu":
        return {}
    source = torch.rand(2**25)
    target, copies = torch.empty_like(source), []
    for _ in range(7):
        begun = time.process_time()
        target.copy_(source)
        copies.append(2 * 4 * source.numel() / (time.process_time() - begun) / 1e9)
    with _Ops() as ops:
        for number in range(steps):
            run.step(number)
    groups: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    rows = []
    for (name, shapes), calls in ops.seen.items():
        seconds, count, size = (sum(column) / steps for column in zip(*calls, strict=True))
        group = "products" if count else "passes"
        for place, value in enumerate((seconds, count, size)):
            groups[group][place] += value
        rows.append((seconds, {"op": name, "of": shapes, "calls": len(calls) // steps, **_rates(seconds, count, size)}))
    rows.sort(key=lambda row: -row[0])
    return {
        "copy_gigabytes_per_second": round(median(copies), 2),
        **{name: _rates(*values) for name, values in groups.items()},
        "costliest": [row for _, row in rows[:16]],
    }


def _rates(seconds: float, count: float, size: float) -> dict[str, float]:
    return {
        "milliseconds": round(1e3 * seconds, 2),
        "gflop": round(count / 1e9, 4),
        "gflop_per_second": round(count / seconds / 1e9, 1),
        "megabytes": round(size / 1e6, 2),
        "gigabytes_per_second": round(size / seconds / 1e9, 2),
        "flop_per_byte": round(count / max(size, 1), 2),
    }


def pairs_of(device: torch.device, count: int, size: int, rounds: int) -> dict[str, Any]:
    """Random warped pairs: the recipe's own function, at ``size``; bytes as its operations state them."""
    faces = torch.randint(0, 256, (count, 3, 256, 256), dtype=torch.uint8).to(device)

    def work() -> None:
        classic_pairs(faces, iteration_generator(0, 0, device), size)

    with _Ops() as ops:
        work()
    moved = sum(size for calls in ops.seen.values() for _, _, size in calls)
    source = torch.rand(2**26, device=device)
    target = torch.empty_like(source)
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        copied, spent = timed(lambda: target.copy_(source), device), timed(work, device)
        for clock in ("wall", "cpu") if device.type == "cpu" else ("wall",):
            seconds, bandwidth = getattr(spent, clock), 8 * source.numel() / getattr(copied, clock)
            rates[f"pairs_per_second_{clock}"].append(count / seconds)
            rates[f"share_of_memory_bandwidth_{clock}"].append(moved / seconds / bandwidth)
    result: dict[str, Any] = {"size": size, "batch": count, "threads": torch.get_num_threads(), "bytes": moved}
    for name, values in rates.items():
        result[name] = told(values)
        if name.startswith("pairs"):
            result[name.replace("second", "hour")] = round(3600.0 * median(values))
    return result
