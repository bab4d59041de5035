"""How good every preset is after so many minutes, beside anchors and our reference of the SAEHD family.

One run, one machine: trains and converts the embedded pair with each system at each budget, measures every clip as
``countenance evaluate`` does, and writes a JSON, of which ``bench/quality_page.py`` makes docs/reference/quality.md.
What is there already is used again, so an interrupted run goes on.

    .venv/bin/python bench/quality.py [--budgets 1 4 10] [--reference-minutes 6] [--out out/quality]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from quality_cases import CASES, CLIPS, Case, Stage, World, occluder_change

from countenance.atomic import write_bytes
from countenance.demo.surroundings import commit, surroundings
from countenance.evaluation.evaluate import evaluate
from countenance.evaluation.judge import DlibJudge, Referee
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter

RESULT = Path(__file__).parent / "results" / "quality.json"
SCHEMA = 1


def stages(case: Case, budgets: Sequence[float], second: float, reference: float) -> list[Stage]:
    """The rows of a case, in the order in which they are made."""
    fixed = [Stage("footage", None)] + ([Stage("truth", None)] if case.truth is not None else [])
    fixed += [Stage("affine paste", None), Stage("mesh paste", None)]
    if case.name != "forward":
        return [*fixed, Stage("classic", second), Stage("swift", second)]
    trained = [Stage(system, minutes) for system in ("swift", "classic") for minutes in budgets]
    if reference > 0.0:
        trained += [Stage(system, reference) for system in ("saehd-df", "saehd-liae")]
    return fixed + trained


def shortened(folder: Path, frames: int) -> Path:
    """Copies of the shots with so many frames only; people are still extracted from whole clips."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {name for case in CASES.values() for name in (case.footage, case.truth, case.mask) if name}:
        source, target = CLIPS / f"{name}.mp4", folder / f"{name}.mp4"
        if target.exists():
            continue
        with VideoWriter(target, probe(source), crf=8) as writer:
            for frame in islice(read_frames(source), frames):
                writer.write(frame)
    return folder


def measured(world: World, stage: Stage, referee: Referee) -> dict[str, Any]:
    """Make one row and measure it."""
    case = world.case
    made = world.make(stage)
    print(f"  {case.name}: {stage.system} {stage.minutes or ''} made, measuring", file=sys.stderr, flush=True)
    truth = None if case.truth is None else world.clip(case.truth)
    result = evaluate(
        made.clip,
        world.clip(case.footage),
        truth=truth,
        mask=None if truth is None else world.clip(case.mask),
        referee=referee,
        perception=world.see,
    )
    row: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "case": case.name,
        "system": stage.system,
        "minutes": stage.minutes,
        "seconds": made.seconds,
        "wall_seconds": made.wall_seconds,
        "core_seconds": made.core_seconds,
        "iterations": made.iterations,
        "samples": made.samples,
        "render_seconds": made.render_seconds,
        "history": made.history,
        "evaluation": result.to_json(),
        "clip": str(made.clip.relative_to(world.folder.parent)),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if result.truth is not None:
        spread = np.array(result.truth.ssim_by_frame)
        row["ssim_spread"] = {"median": float(np.median(spread)), "p5": float(np.quantile(spread, 0.05))}
    if case.name == "occlusion":
        row["occluder"] = occluder_change(made.clip, world.clip(case.footage), world.clip(case.mask), world.see)
    return row


def rows_of(
    out: Path, arguments: argparse.Namespace, done: set[tuple[str, str, float | None]]
) -> Iterator[dict[str, Any]]:
    clips = shortened(out / "clips", arguments.frames) if arguments.frames else CLIPS
    judge = DlibJudge()
    for name in arguments.cases:
        case = CASES[name]
        wanted = stages(case, arguments.budgets, arguments.second_minutes, arguments.reference_minutes)
        left = [stage for stage in wanted if (name, stage.system, stage.minutes) not in done]
        if not left:
            continue
        world = World(case, out / name, clips)
        referee = Referee.of(judge, *(CLIPS / f"{who}.mp4" for who in (case.lender, case.performer)), world.see)
        for stage in left:
            print(f"  {name}: {stage.system} {stage.minutes or ''}", file=sys.stderr, flush=True)
            yield measured(world, stage, referee)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=[1.0, 4.0, 10.0], help="minutes of training")
    parser.add_argument("--second-minutes", type=float, default=4.0, help="the same for the other two cases")
    parser.add_argument("--reference-minutes", type=float, default=6.0, help="for our reference; 0 leaves it out")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--frames", type=int, default=0, help="measure only so many frames, to try the bench itself")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    part = arguments.out / "rows.json"  # beside the clips: what it holds is of these very clips
    rows: list[dict[str, Any]] = json.loads(part.read_bytes()) if part.exists() else []
    for row in rows_of(arguments.out, arguments, {(row["case"], row["system"], row["minutes"]) for row in rows}):
        rows.append(row)
        write_bytes(part, json.dumps(rows, allow_nan=False).encode())
    order = {
        (name, stage.system): number
        for name in CASES
        for number, stage in enumerate(
            stages(CASES[name], arguments.budgets, arguments.second_minutes, arguments.reference_minutes)
        )
    }
    rows.sort(
        key=lambda row: (
            list(CASES).index(row["case"]),
            order.get((row["case"], row["system"]), 99),
            row["minutes"] or 0.0,
        )
    )
    facts = {
        "schema": SCHEMA,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "frames": arguments.frames or None,
        "load_average": os.getloadavg(),
        "surroundings": surroundings("cpu"),
        "rows": rows,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(f"{len(rows)} rows in {arguments.result}")


if __name__ == "__main__":
    main()
