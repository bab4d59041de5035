"""Training that is killed at random moments: is every checkpoint complete, and does it go on to the very same bits?

A child process trains made-up faces and is ended by SIGKILL after a random while, again and again, each time going on
from what the one before left. Checkpoints are written far more often than in practice, so that many kills fall into a
save. Afterwards an uninterrupted run gives the digest of all tensors (weights, averages, optimiser) at each iteration;
each checkpoint must have that of its own.

    .venv/bin/python bench/kills.py [--kills 50] [--preset swift] [--save-seconds 0] [--result bench/results/kills.json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "training"))
RESULT = Path(__file__).parent / "results" / "kills.json"
SCHEMA = 1
SEED = 5
MANY = 10**9


def _run(preset: str, *, tiny: bool) -> tuple[Any, Any]:
    """A run of made-up faces, and the facts with which it starts."""
    import torch
    from training_faces import made_faces

    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.presets import PRESETS
    from countenance.training.runs import make_run

    torch.set_num_threads(1)
    recipe = PRESETS[preset]
    if tiny:
        recipe = replace(recipe, batch_size=2, widths=(8, 8, 8, 8) if recipe.widths else ())
    people = made_faces(24, 1), made_faces(24, 2)
    run = make_run(recipe, people, device=torch.device("cpu"), seed=SEED)
    facts = CheckpointFacts(recipe.to_json(), "vera", "ivan", "r", "s", "e", ("a", "b"), SEED, 0, 0, 0.0, "cpu", ())
    return run, facts


def child(folder: Path, preset: str, *, tiny: bool, save_seconds: float) -> None:
    """Train until killed."""
    from countenance.training import loop as module
    from countenance.training.checkpoint import CHECKPOINT, load

    module._SAVE_SECONDS, module._SAVE_SHARE = save_seconds, float(MANY)
    run, facts = _run(preset, tiny=tiny)
    if (folder / CHECKPOINT).exists():
        stored = load(folder / CHECKPOINT)
        run.restore(stored.tensors)
        facts = stored.facts
    print("going", facts.iteration, flush=True)
    module.loop(run, facts, module.Budget(iterations=MANY), folder, progress=lambda *_: print("step", flush=True))


def digests(preset: str, wanted: set[int], *, tiny: bool) -> dict[int, str]:
    """Of all tensors of a run that nobody interrupts, after so many iterations."""
    from countenance.training.checkpoint import digest_of

    run, _ = _run(preset, tiny=tiny)
    found = {}
    for iteration in range(max(wanted, default=0)):
        run.step(iteration)
        if iteration + 1 in wanted:
            found[iteration + 1] = digest_of({name: tensor.contiguous() for name, tensor in run.tensors().items()})
    return found


def kill_once(folder: Path, words: Sequence[str], after: float) -> dict[str, Any]:
    """Start a child, kill it ``after`` seconds of training, and say what it left."""
    from countenance.training.checkpoint import BEST, CHECKPOINT, load

    parts = set(folder.glob(".*.part.safetensors"))
    command = [sys.executable, __file__, "--child", str(folder), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        going = process.stdout.readline().split()
        if not going:
            raise SystemExit("The child did not start.")
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        reached = int(going[1]) + len(process.stdout.readlines())
    torn = set(folder.glob(".*.part.safetensors")) - parts
    row: dict[str, Any] = {"after_seconds": round(after, 3), "reached": reached, "in_a_save": bool(torn)}
    if not (folder / CHECKPOINT).exists():
        return row | {"checkpoint": None, "lost_iterations": reached}
    stored = load(folder / CHECKPOINT)  # raises unless every byte is as it was written
    if (folder / BEST).exists():
        load(folder / BEST)
    return row | {
        "checkpoint": stored.facts.iteration,
        "lost_iterations": max(reached - stored.facts.iteration, 0),  # a save comes before its print
        "digest": stored.facts.tensors_sha256,
    }


def save_cost(preset: str, *, tiny: bool) -> dict[str, float]:
    """Median seconds of a save of seven, and what it weighs."""
    from countenance.training.best import painted_from
    from countenance.training.checkpoint import BEST, save, save_best

    run, facts = _run(preset, tiny=tiny)
    run.step(0)
    took, took_best = [], []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(7):
            begun = time.perf_counter()
            path = save(Path(name), facts, run.tensors())
            took.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            save_best(Path(name), facts, painted_from(run.tensors()))
            took_best.append(time.perf_counter() - begun)
        size, size_best = path.stat().st_size, (Path(name) / BEST).stat().st_size
    return {
        "save_seconds_median": round(statistics.median(took), 4),
        "save_seconds_max": round(max(took), 4),
        "best_seconds_median": round(statistics.median(took_best), 4),
        "checkpoint_mb": round(size / 1e6, 2),
        "best_mb": round(size_best / 1e6, 2),
        "share_of_a_minute": round((statistics.median(took) + statistics.median(took_best)) / 60.0, 5),
    }


def kills(
    count: int, preset: str, *, tiny: bool, save_seconds: float, within: tuple[float, float], seed: int
) -> list[dict[str, Any]]:
    """So many kills in a row, each with whether its checkpoint is the uninterrupted run's, bit for bit."""
    chance = random.Random(seed)
    words = ["--preset", preset, "--save-seconds", str(save_seconds), *(["--tiny"] if tiny else [])]
    with tempfile.TemporaryDirectory() as name:
        rows = [kill_once(Path(name), words, chance.uniform(*within)) for _ in range(count)]
    true = digests(preset, {row["checkpoint"] for row in rows if row["checkpoint"]}, tiny=tiny)
    for row in rows:
        row["same_bits"] = row["checkpoint"] is None or row.pop("digest") == true[row["checkpoint"]]
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--preset", default="swift")
    parser.add_argument("--tiny", action="store_true", help="a small network, to try the bench itself")
    parser.add_argument("--save-seconds", type=float, default=0.0, help="between two saves; 0 saves every iteration")
    parser.add_argument("--within", type=float, nargs=2, default=(0.2, 6.0), help="seconds of training before a kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.child is not None:
        child(arguments.child, arguments.preset, tiny=arguments.tiny, save_seconds=arguments.save_seconds)
        return

    from countenance.atomic import write_bytes
    from countenance.demo.surroundings import surroundings

    began = time.monotonic()
    rows = kills(
        arguments.kills,
        arguments.preset,
        tiny=arguments.tiny,
        save_seconds=arguments.save_seconds,
        within=tuple(arguments.within),
        seed=arguments.seed,
    )
    facts = {
        "schema": SCHEMA,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_minutes": round((time.monotonic() - began) / 60.0, 1),
        "load_average": os.getloadavg(),
        "surroundings": surroundings("cpu"),
        "preset": arguments.preset,
        "tiny": arguments.tiny,
        "save_seconds": arguments.save_seconds,
        "kills": len(rows),
        "in_a_save": sum(row["in_a_save"] for row in rows),
        "without_a_checkpoint": sum(row["checkpoint"] is None for row in rows),
        "same_bits": sum(row["same_bits"] for row in rows),
        "most_lost_iterations": max((row["lost_iterations"] for row in rows), default=0),
        "saving": save_cost(arguments.preset, tiny=arguments.tiny),
        "rows": rows,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(f"{facts['same_bits']} of {len(rows)} kills left the uninterrupted run's bits; {arguments.result}")
    if facts["same_bits"] != len(rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
