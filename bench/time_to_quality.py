"""How much sooner swift reaches what classic reaches in an hour: wall time to the same truth-scores, as a ratio.

Both are trained on the embedded pair one after the other on the same cores, rendered the product's own way and measured
as ``countenance evaluate`` does. Wall time is everything from the face sets to the saved model: reading, gate, scores,
references, steps. Swift's time is that of its first budget which reaches classic's best figure: an upper bound.

    .venv/bin/python bench/time_to_quality.py [--classic 5 15 30 60] [--swift 0.05 0.5 2 8] [--out out/time_to_quality]

About two hours. What is there already is used again, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
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
from quality_cases import CASES, CLIPS, Stage, World

from countenance.atomic import write_bytes
from countenance.demo.surroundings import surroundings
from countenance.evaluation.guide import METRICS, value_of
from countenance.evaluation.judge import DlibJudge, Referee

RESULT = Path(__file__).parent / "results" / "time_to_quality.json"
WANTED = (("truth", "ssim"), ("identity", "margin"), ("behaviour", "expression"))
"""The scores that count: masked SSIM, identity margin, expression error."""


@dataclass(frozen=True)
class Reached:
    """One score: classic's best and when it had it, and when swift was there; seconds of wall time."""

    name: str
    classic_best: float
    classic_seconds: float
    swift_seconds: float | None
    swift_best: float

    @property
    def ratio(self) -> float | None:
        """How many times sooner; None when swift never gets there."""
        return None if self.swift_seconds is None else self.classic_seconds / self.swift_seconds


def reached(rows: Sequence[Mapping[str, Any]]) -> list[Reached]:
    """Compare the two systems' rows, each with ``wall_seconds`` of all its training so far."""
    found = []
    for metric in METRICS:
        if (metric.part, metric.key) not in WANTED:
            continue
        sign = 1.0 if metric.better == "higher" else -1.0
        of: dict[str, list[tuple[float, float]]] = {"classic": [], "swift": []}
        for row in rows:
            value = value_of(row["evaluation"], metric)
            if value is not None:
                of[row["system"]].append((row["wall_seconds"], sign * value))
        best = max(score for _, score in of["classic"])
        first = min(seconds for seconds, score in of["classic"] if score == best)
        there = [seconds for seconds, score in of["swift"] if score >= best]
        ours = max(score for _, score in of["swift"])
        found.append(Reached(metric.name, sign * best, first, min(there, default=None), sign * ours))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classic", type=float, nargs="+", default=[5.0, 15.0, 30.0, 60.0], help="minutes")
    parser.add_argument("--swift", type=float, nargs="+", default=[0.05, 0.5, 2.0, 8.0], help="minutes")
    parser.add_argument("--out", type=Path, default=Path("out/time_to_quality"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
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
            before = max((row["wall_seconds"] for row in rows if row["system"] == system), default=0.0)
            row = measured(world, Stage(system, minutes), referee)
            rows.append({**row, "wall_seconds": before + row["wall_seconds"]})
            write_bytes(part, json.dumps(rows, allow_nan=False).encode())
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu"),
        "reached": [{**vars(score), "ratio": score.ratio} for score in reached(rows)],
        "rows": rows,
    }
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    for score in reached(rows):
        told = "never" if score.ratio is None else f"{score.ratio:.0f} times sooner"
        print(
            f"{score.name}: classic's best {score.classic_best:.4f}; swift there {told}, at best {score.swift_best:.4f}"
        )


if __name__ == "__main__":
    main()
