"""What a training step makes of the machine: its share of a measured matrix-product peak, and where the time goes.

Everything is measured in turns, round after round, so that other programs on the machine hit all rows alike; ratios are
taken within a round. CPU time stands beside wall time, and is what to read where cores are shared.

    .venv/bin/python bench/efficiency.py [--threads 1 2] [--rounds 7] [--classic-rounds 2] [--device cpu]

Rows: each preset as it is, and with one idea undone or added ("the rows that lost" stay in the result). The FLOPs are
the network's alone, counted in its own calls; the loss's blur, which runs as matrix products, is not among them.
``executed`` is what is really calculated, ``as_written`` what the layers would cost as the recipe writes them.
12 minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import torch
from efficiency_variants import AS_IT_IS, SHARED, VARIANTS, compiled, one_thread
from efficiency_work import (
    Spent,
    pairs_of,
    roofline,
    timed,
    told,
    written_conv,
    written_join,
)
from torch.utils.flop_counter import FlopCounterMode
from training_faces import made_faces

from countenance.atomic import write_bytes
from countenance.demo.surroundings import surroundings
from countenance.training import guided, losses, model, runs
from countenance.training.prepare import PersonFaces
from countenance.training.presets import PRESETS
from countenance.training.runs import Run, make_run

RESULT = Path(__file__).parent / "results" / "efficiency.json"
PEOPLE = (made_faces(24, 1), made_faces(24, 2))  # what the pictures show costs nothing
_MATRIX = 2048
_PAIRS, _PAIR_SIZE = 64, 128
_ALONE = 12  # steps of swift with and without freed memory kept


def flops(name: str, device: torch.device, *, as_written: bool, people: Sequence[PersonFaces] = PEOPLE) -> float:
    """FLOPs of a preset's network in one step, forwards and backwards."""
    recipe = PRESETS[name]
    part = 32 if name == "classic" else 1  # of the batch: its products grow with the batch alone, and take long
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_thread())
        run = make_run(replace(recipe, batch_size=recipe.batch_size // part), people, device=device, seed=0)
        # The same gradient without matrix products, so that only the network's are counted.
        stack.enter_context(patch.object(losses, "ssim_map", lambda a, b: a * b))
        if as_written:
            stack.enter_context(patch.object(model, "doubled_beside", written_join))
            stack.enter_context(patch.object(model, "of_few_places", written_conv))
        counter = stack.enter_context(FlopCounterMode(display=False))
        run.step(0)
    return float(counter.get_total_flops()) * part


@contextlib.contextmanager
def stopwatch(run: Any, device: torch.device) -> Iterator[dict[str, list[float]]]:
    """Processor seconds of a step's parts, summed per step by whoever reads; on a GPU seconds by the wall."""
    spent: dict[str, list[float]] = {}

    def watched(work: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*values: Any, **named: Any) -> Any:
            kept: list[Any] = []
            both = timed(lambda: kept.append(work(*values, **named)), device)
            spent.setdefault(part, []).append(both.wall if device.type == "cuda" else both.cpu)
            return kept[0]

        return call

    swift = isinstance(run.model, model.GuidedModel)
    places: list[tuple[Any, str, str]] = [
        (runs, "guided_batch" if swift else "classic_pairs", "batch"),
        (run.model, "forward", "forward"),
        (torch.Tensor, "backward", "backward"),
        *((one, "step", "optimiser") for one in ([run.optimiser] if swift else run.optimisers.values())),
    ]
    if swift:
        places += [(guided, "guided_loss", "loss"), (run, "_average", "averaging")]
        places += [(torch.nn.utils, "clip_grad_norm_", "clipping")]
    with contextlib.ExitStack() as stack:
        for owner, name, part in places:
            stack.enter_context(patch.object(owner, name, watched(getattr(owner, name), part)))
        yield spent


def parts(run: Run, device: torch.device, steps: int) -> dict[str, dict[str, float]]:
    """Each part's share of a step; the rest is the drawing of rows, their taking and Python itself."""
    found: dict[str, list[float]] = {}
    for number in range(steps):
        with stopwatch(run, device) as spent:
            both = timed(lambda: run.step(number), device)  # noqa: B023 - called at once
        whole = both.wall if device.type == "cuda" else both.cpu
        for part, seconds in spent.items():
            found.setdefault(part, []).append(sum(seconds) / whole)
        found.setdefault("rest", []).append(1.0 - sum(map(sum, spent.values())) / whole)
    return {part: told(values) for part, values in found.items()}


def peak(kind: torch.dtype, device: torch.device) -> Spent:
    """One product of two 2048 × 2048 matrices."""
    a, b = (torch.randn(_MATRIX, _MATRIX, device=device).to(kind) for _ in range(2))
    a @ b
    return timed(lambda: a @ b, device)


def measured(name: str, device: torch.device, threads: int, rounds: int, steps: int) -> dict[str, Any]:
    """One preset's rows."""
    known = {way: flops(name, device, as_written=way == "as_written") for way in ("executed", "as_written")}
    run = make_run(PRESETS[name], PEOPLE, device=device, seed=0)
    run.step(0)
    shared = name == "swift" and device.type == "cpu" and threads > 1
    warming = 0 if name == "classic" else 1  # rounds: a step of classic's is long enough to hide it
    seen: dict[str, list[Spent]] = {}
    # Without instructions for it, a product in bfloat16 takes minutes.
    kinds = [torch.float32, torch.bfloat16] if device.type == "cuda" or _bfloat16() else [torch.float32]
    variants = {key: one for key, one in VARIANTS[name].items() if key != "bfloat16" or len(kinds) > 1}
    peaks: dict[str, list[Spent]] = {str(kind).removeprefix("torch."): [] for kind in kinds}
    for number in range(rounds + warming):
        found = {str(kind).removeprefix("torch."): peak(kind, device) for kind in kinds}
        for variant, entered in (SHARED if shared else variants).items():
            with entered(run):
                both = timed(lambda: [run.step(step) for step in range(steps)], device)
            if number >= warming:
                seen.setdefault(variant, []).append(Spent(*(value / steps for value in both)))
        if number >= warming:
            for kind, spent in found.items():
                peaks[kind].append(spent)
    work = 2 * _MATRIX**3
    samples = run.step(0).samples
    rows = {}
    for variant, times in seen.items():
        rows[variant] = {
            "samples_per_second": told([samples / spent.wall for spent in times]),
            **{f"{clock}_seconds": told([getattr(spent, clock) for spent in times]) for clock in Spent._fields},
            "times_as_it_is": told([a.cpu / b.cpu for a, b in zip(times, seen[AS_IT_IS], strict=True)]),
        }
        for written, count in known.items():
            rows[variant][f"share_of_peak_{written}"] = {
                clock: told(
                    [
                        count / getattr(spent, clock) / (work / getattr(best, clock))
                        for spent, best in zip(times, peaks["float32"], strict=True)
                    ]
                )
                for clock in Spent._fields
            }
    return {
        "preset": name,
        "threads": threads,
        "gflop_per_step": {written: round(count / 1e9, 3) for written, count in known.items()},
        "peak_gflop_per_second": {
            kind: {clock: told([work / getattr(spent, clock) / 1e9 for spent in found]) for clock in Spent._fields}
            for kind, found in peaks.items()
        },
        "rows": rows,
        **({} if shared else {"parts": parts(run, device, rounds), "roofline": roofline(run, device, rounds)}),
    }


def compilation(device: torch.device) -> dict[str, Any]:
    """``torch.compile`` of swift's step: what it costs and what it gives, or why it does not work here."""
    run = make_run(PRESETS["swift"], PEOPLE, device=device, seed=0)
    try:
        with compiled(run):
            first = timed(lambda: run.step(0), device)
            run.step(1)
            quick = [timed(lambda: run.step(2), device).cpu for _ in range(7)]
    except Exception as error:  # a missing compiler comes as any of many kinds
        return {"works": False, "why": f"{type(error).__name__}: {str(error)[:300]}"}
    plain = [timed(lambda: run.step(2), device).cpu for _ in range(7)]
    return {
        "works": True,
        "first_step": first._asdict(),
        "cpu_seconds": told(quick),
        "without": told(plain),
        "steps_until_it_pays": round(first.cpu / max(median(plain) - median(quick), 1e-9)),
    }


def alone(kept: bool) -> None:
    """Swift's steps in a process of its own, since an allocator that was told once stays told; prints JSON."""
    if not kept:
        runs.keep_freed_memory = lambda: False
    torch.set_num_threads(1)
    run = make_run(PRESETS["swift"], PEOPLE, device=torch.device("cpu"), seed=0)
    for number in range(5):
        run.step(number)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for number in range(_ALONE):
        run.step(number)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = (after.ru_stime - before.ru_stime) / _ALONE
    spent = {
        "cpu_seconds": system + (after.ru_utime - before.ru_utime) / _ALONE,
        "system_seconds": system,
        "page_faults": (after.ru_minflt - before.ru_minflt) / _ALONE,
    }
    print(json.dumps(spent))


def allocation(rounds: int) -> dict[str, Any]:
    """What it gives to keep freed memory: whole processes in turns, on one thread."""
    seen: dict[str, list[dict[str, float]]] = {"kept": [], "handed back": []}
    for _ in range(rounds):
        for name, found in seen.items():
            code = f"import efficiency; efficiency.alone({name == 'kept'})"
            place = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
            done = subprocess.run([sys.executable, "-c", code], env=place, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    return {name: {key: told([one[key] for one in found]) for key in found[0]} for name, found in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7, help="of swift")
    parser.add_argument("--classic-rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="of swift in each round")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    facts: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings(arguments.device),
        "processor": {"kind": torch.backends.cpu.get_cpu_capability(), "bfloat16": _bfloat16()},
        "load_average": [],
    }

    def keep(**found: Any) -> None:
        """Written after each part, so that what was measured stays."""
        facts.update(found)
        facts["load_average"].append(os.getloadavg())
        write_bytes(arguments.out, json.dumps(facts, indent=1, allow_nan=False).encode())

    torch.set_num_threads(1)
    keep(warped_pairs=pairs_of(device, _PAIRS, _PAIR_SIZE, 4 * arguments.rounds))
    if device.type == "cpu":
        keep(freed_memory=allocation(arguments.rounds))
    keep(compile=compilation(device))
    presets = []
    for threads in arguments.threads if device.type == "cpu" else arguments.threads[:1]:
        torch.set_num_threads(threads)
        for name, rounds, steps in (
            ("swift", arguments.rounds, arguments.steps),
            ("classic", arguments.classic_rounds, 1),
        ):
            presets.append(measured(name, device, threads, rounds, steps))
            keep(presets=presets)
            rows = presets[-1]["rows"]
            print(name, threads, {key: row["share_of_peak_executed"]["cpu"]["median"] for key, row in rows.items()})


def _bfloat16() -> list[str]:
    """What the processor says it has for bfloat16."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return sorted(words & {"avx512_bf16", "amx_bf16"})


if __name__ == "__main__":
    main()
