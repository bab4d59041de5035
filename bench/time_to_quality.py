"""How much sooner swift reaches what classic reaches in an hour: time to the same truth-scores, as a ratio.

Both are trained on the embedded pair one after the other on the same cores, rendered the product's own way and measured
as ``countenance evaluate`` does. Time is everything from the face sets to the saved model: reading, gate, scores,
references, steps. Swift's time is that of its first budget which reaches classic's best figure: an upper bound.

Other programs share this machine, so budgets are counted in CPU time over cores, and the ratio is told twice: by that
clock on both sides, and as the headline with each side's less favourable clock. That is the wall for swift (longer with
company) and CPU time for classic (shorter than the wall of an idle machine, as not all of its work is parallel).

    .venv/bin/python bench/time_to_quality.py [--classic 20 60] [--swift 0.05 0.5 3] [--out out/time_to_quality]

About an hour and a half on two idle cores. What is there already is used again, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from quality import measured
from quality_cases import CASES, CLIPS, Stage, World, core_seconds

from countenance.atomic import write_bytes
from countenance.demo.surroundings import surroundings
from countenance.evaluation.guide import METRICS, value_of
from countenance.evaluation.judge import DlibJudge, Referee
from countenance.training import train as training
from countenance.training.loop import loop

RESULT = Path(__file__).parent / "results" / "time_to_quality.json"
WANTED = (("truth", "ssim"), ("identity", "margin"), ("behaviour", "expression"))
"""The scores that count: masked SSIM, identity margin, expression error."""


@dataclass(frozen=True)
class Reached:
    """One score: classic's best and when it had it, and when swift was there.

    ``classic_seconds`` and ``swift_core_seconds`` in CPU time over cores, ``swift_seconds`` by the wall.
    """

    name: str
    classic_best: float
    classic_seconds: float
    swift_seconds: float | None
    swift_core_seconds: float | None
    swift_best: float

    @property
    def ratio(self) -> float | None:
        """How many times sooner at least; None when swift never gets there."""
        return None if self.swift_seconds is None else self.classic_seconds / self.swift_seconds

    @property
    def core_ratio(self) -> float | None:
        """The same with CPU time on both sides."""
        return None if self.swift_core_seconds is None else self.classic_seconds / self.swift_core_seconds


def reached(rows: Sequence[Mapping[str, Any]]) -> list[Reached]:
    """Compare the two systems' rows, each with ``wall_seconds`` and ``core_seconds`` of all its training so far."""
    found = []
    for metric in METRICS:
        if (metric.part, metric.key) not in WANTED:
            continue
        sign = 1.0 if metric.better == "higher" else -1.0
        of: dict[str, list[tuple[float, float, float]]] = {"classic": [], "swift": []}
        for row in rows:
            value = value_of(row["evaluation"], metric)
            if value is not None:
                of[row["system"]].append((row["core_seconds"], row["wall_seconds"], sign * value))
        best = max(score for *_, score in of["classic"])
        first = min(core for core, _, score in of["classic"] if score == best)
        there = min(((wall, core) for core, wall, score in of["swift"] if score >= best), default=(None, None))
        ours = max(score for *_, score in of["swift"])
        found.append(Reached(metric.name, sign * best, first, *there, sign * ours))
    return found


def table(facts: Mapping[str, Any]) -> str:
    """The result as Markdown, for docs/concepts/training.md."""
    rows = [
        "| score | classic's best | swift is there after | at least | by CPU time on both sides | swift's best |",
        "|---|---|---|---|---|---|",
    ]
    for score in facts["reached"]:
        if score["ratio"] is None:
            there = "never", "", ""
        else:
            there = f"{score['swift_seconds']:.0f} s", f"{score['ratio']:.0f} ×", f"{score['core_ratio']:.0f} ×"
        best = f"{score['classic_best']:.3f} (after {score['classic_seconds'] / 60:.0f} minutes)"
        rows.append(f"| {score['name']} | {best} | {' | '.join(there)} | {score['swift_best']:.3f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classic", type=float, nargs="+", default=[20.0, 60.0], help="minutes")
    parser.add_argument("--swift", type=float, nargs="+", default=[0.05, 0.5, 3.0], help="minutes")
    parser.add_argument("--out", type=Path, default=Path("out/time_to_quality"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    # The budgets are the loop's, so its clock is the one to exchange; the product itself counts wall time.
    training.loop = functools.partial(loop, clock=core_seconds)  # type: ignore[assignment]
    case = CASES["forward"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    part = arguments.out / "rows.json"
    rows: list[dict[str, Any]] = json.loads(part.read_bytes()) if part.exists() else []
    world = World(case, arguments.out / case.name)
    referee = Referee.of(DlibJudge(), *(CLIPS / f"{who}.mp4" for who in (case.lender, case.performer)), world.see)
    for system, budgets in (("swift", arguments.swift), ("classic", arguments.classic)):
        for minutes in sorted(budgets):
            if any((row["system"], row["minutes"]) == (system, minutes) for row in rows):
                continue
            # Each budget goes on from the one before, and prepares anew: the sum is an upper bound for both.
            so_far = [row for row in rows if row["system"] == system]
            row = measured(world, Stage(system, minutes), referee)
            spent = {clock: sum(part[f"own_{clock}"] for part in so_far) for clock in ("wall_seconds", "core_seconds")}
            row |= {f"own_{clock}": row[clock] for clock in spent}
            rows.append(row | {clock: before + row[clock] for clock, before in spent.items()})
            write_bytes(part, json.dumps(rows, allow_nan=False).encode())
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu"),
        "reached": [{**vars(score), "ratio": score.ratio, "core_ratio": score.core_ratio} for score in reached(rows)],
        "rows": rows,
    }
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    for score in reached(rows):
        told = "never" if score.ratio is None else f"{score.ratio:.0f} times sooner"
        print(f"{score.name}: classic's best {score.classic_best:.4f}; swift there {told}, best {score.swift_best:.4f}")


if __name__ == "__main__":
    main()
