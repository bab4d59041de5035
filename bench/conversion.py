"""How fast footage is converted, and where the time goes: 360p to 2160p, with one face and with four.

    .venv/bin/python bench/conversion.py [--repeats 3] [--frames 75] [--shots 720p_1 ...] [--before OTHER_CHECKOUT/src]
    .venv/bin/python bench/conversion.py --page

Claim: docs/concepts/speed.md, whose tables ``--page`` writes from the result. Goal: 30 frames a second at 1280 × 720
with one face on two cores, decoding, marks and encoding included.

Each shot is converted by a process of its own, which has converted eight frames before: by
:func:`countenance.conversion.pipeline.convert`, with the real networks, a trained swift model, the label and the
watermark, from file to file (``wall_fps``, ``cpu_ms``); then once more stage by stage (:mod:`conversion_work`). The
crops of the lender that the model paints from are made anew each time, as in a first render. The footage is made by
:mod:`conversion_footage`; the other three faces of four are those of other people, who are recognised and left alone
(by thresholds of their own, see :data:`conversion_work.SETTINGS`).
Where other programs want the cores, the wall clock says little: read CPU time, and ``two_cores_fps``, the frames a
second for which two cores of one's own have time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "conversion.json"
PAGE = ROOT / "docs" / "concepts" / "speed.md"
WORK = ROOT / "out" / "conversion"
CORES, GOAL_FPS, GOAL_SHOT = 2, 30, "720p_1"
STAGES = ("decode", "perceive", "paint", "marks", "encode")
HEIGHTS = (360, 720, 1080, 2160)
_CLIP_SHARE = 0.5  # a placed clip's side over the frame's height: the face is 27 % of the frame high
_SAME_SIDE = 360  # of the shots whose frames grow around one and the same face
_MINUTES = 0.5  # of training where there is no model yet


def shots(frames: int) -> dict[str, Any]:
    """The shots by name."""
    from conversion_footage import Shot

    usual = {f"{height}p_{faces}": (height, faces, height * _CLIP_SHARE) for height in HEIGHTS for faces in (1, 4)}
    same = {f"{height}p_same": (height, 1, _SAME_SIDE) for height in HEIGHTS if height > 720}
    return {name: Shot(height, faces, int(side), frames) for name, (height, faces, side) in (usual | same).items()}


def project_folder() -> Path:
    """A project with a trained swift model, made at the first call and kept."""
    folder = WORK / "project"
    if not (folder / "models" / "lender--performer" / "swift" / "checkpoint.safetensors").exists():
        from quality_cases import CASES, World

        from countenance import api

        world = World(CASES["forward"], WORK)
        api.train(world.project, "lender", "performer", preset="swift", minutes=_MINUTES, early_stop=False)
    return folder


def child(name: str, frames: int) -> dict[str, Any]:
    """Convert one shot as it is done, then stage by stage; milliseconds are of one frame."""
    from conversion_footage import write_shot
    from conversion_work import Cast, convert_whole, settled, staged

    from countenance.project import Project

    project, footage = Project.open(project_folder()), write_shot(shots(frames)[name], WORK / "footage")
    few = write_shot(shots(8)["360p_1"], WORK / "footage")
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        out = Path(folder)
        convert_whole(few, out / "few.mp4", Cast.of(project, "lender", "performer"))
        actors = Cast.of(project, "lender", "performer")
        began_cpu, began = settled(), time.perf_counter()
        report = convert_whole(footage, out / "whole.mp4", actors)
        seconds = time.perf_counter() - began
        cpu = settled() - began_cpu
        parts = staged(footage, out / "staged.mp4", Cast.of(project, "lender", "performer"))
        size = (out / "whole.mp4").stat().st_size
    return {
        "frames": report.frames,
        "replaced": report.replaced,
        "wall_fps": report.frames / seconds,
        "cpu_ms": 1000.0 * cpu / report.frames,
        "two_cores_fps": CORES * report.frames / cpu,
        "megabits_a_second": size * 8 * 25 / report.frames / 1e6,
        "stage_busy_ms": report.stage_milliseconds,
        "stage_cpu_ms": parts["stages"],
        "step_cpu_ms": parts["steps"],
    }


def in_turn(source: Path, name: str, frames: int) -> dict[str, Any]:
    """What :func:`child` says in a process of its own, with the program of another source tree."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_WAIT_POLICY": "PASSIVE"}  # as the command line has it
    command = [sys.executable, str(Path(__file__).resolve()), "--child", name, "--frames", str(frames)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def summed(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians of several runs; least and most of the numbers that the page shows."""
    told: dict[str, Any] = {}
    for name, first in runs[0].items():
        if isinstance(first, Mapping):
            told[name] = {key: round(median(run[name].get(key, 0.0) for run in runs), 2) for key in first}
        elif isinstance(first, float):
            values = [run[name] for run in runs]
            told[name] = {
                key: round(how(values), 2) for key, how in (("median", median), ("least", min), ("most", max))
            }
        else:
            told[name] = first
    return told


def goal_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the goal is met, by the clock and by CPU time."""
    wall, alone = row["wall_fps"]["median"], row["two_cores_fps"]["median"]
    return {
        "shot": GOAL_SHOT,
        "frames_a_second": GOAL_FPS,
        "cpu_ms_allowed": round(1000 * CORES / GOAL_FPS, 1),
        "met_by_the_clock": wall >= GOAL_FPS,
        "met_if_both_cores_were_ours": alone >= GOAL_FPS,
    }


def bound_of(row: Mapping[str, Any]) -> str:
    """What two cores wait for: the longest stage's one thread, or all stages' work together."""
    stages = row["stage_cpu_ms"]
    longest = max(STAGES, key=lambda name: stages[name])
    share = 100.0 * stages[longest] / sum(stages.values())
    return f"{longest} ({share:.0f} % of the CPU time)"


def tables(result: Mapping[str, Any]) -> str:
    """The result as the page has it."""
    rows = result["rows"]
    lines = [
        "| footage | faces | face | wall | if both cores were ours | CPU a frame | " + " | ".join(STAGES) + " |",
        "|---|---:|---:|---:|---:|---:|" + "---:|" * len(STAGES),
    ]
    for name, row in rows.items():
        stages = " | ".join(f"{row['stage_cpu_ms'][stage]:.1f}" for stage in STAGES)
        lines.append(
            f"| {name} | {row['shot']['faces']} | {row['face_pixels']} px | {_range(row['wall_fps'])} fps | "
            f"{_range(row['two_cores_fps'])} fps | {_range(row['cpu_ms'])} ms | {stages} |"
        )
    if GOAL_SHOT not in rows:
        return "\n".join(lines) + "\n"
    after, before = rows[GOAL_SHOT], result.get("before", {}).get(GOAL_SHOT)
    ways = [before, after] if before else [after]
    head = " | ".join(("before", "now") if before else ("now",))
    lines += ["", f"| {GOAL_SHOT}: CPU time a frame, in ms | {head} |", "|---|" + "---:|" * len(ways)]
    for stage in STAGES:
        lines.append(_row(f"**{stage}**", [way["stage_cpu_ms"][stage] for way in ways]))
    lines.append(_row("together", [sum(way["stage_cpu_ms"].values()) for way in ways]))
    for step in sorted(after["step_cpu_ms"], key=lambda name: -after["step_cpu_ms"][name]):
        lines.append(_row(f"step: {step}", [way["step_cpu_ms"].get(step, 0.0) for way in ways]))
    goal = result["goal"]
    met = "met" if goal["met_by_the_clock"] else "not met"
    alone = "met" if goal["met_if_both_cores_were_ours"] else "not met"
    lines += [
        "",
        f"Goal: {goal['frames_a_second']} frames a second, {goal['cpu_ms_allowed']} ms of CPU time a frame: {met} by "
        f"the clock, {alone} if both cores were ours. What bounds it: {bound_of(after)}.",
    ]
    return "\n".join(lines) + "\n"


def _range(value: Mapping[str, float]) -> str:
    return f"{value['median']:.1f} ({value['least']:.1f}–{value['most']:.1f})"


def _row(title: str, values: Sequence[float]) -> str:
    return f"| {title} | " + " | ".join(f"{value:.1f}" for value in values) + " |"


def write_page(result: Mapping[str, Any]) -> None:
    """Put the tables between their two marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split("<!-- table -->\n")
    text = f"{before}<!-- table -->\n{tables(result)}<!-- end -->{rest.split('<!-- end -->')[1]}"
    PAGE.write_text(text, encoding="utf-8")


def measure(names: Sequence[str], frames: int, repeats: int, before: Path | None) -> dict[str, Any]:
    """All shots, one after another, and that again; the other source tree takes turns on the goal's shot."""
    from conversion_footage import FACE_SHARE, write_shot

    from countenance.demo.surroundings import surroundings

    project_folder()
    for name in names:
        write_shot(shots(frames)[name], WORK / "footage")
    load = os.getloadavg()[0]
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(repeats):
        for name in names:
            trees = {"now": ROOT / "src"} | ({"before": before} if before and name == GOAL_SHOT else {})
            for way, source in list(trees.items())[:: 1 if number % 2 else -1]:
                told = in_turn(source, name, frames)
                runs.setdefault((way, name), []).append(told)
                print(number, way, name, json.dumps(told), file=sys.stderr, flush=True)
    rows = {}
    for name in names:
        shot = shots(frames)[name]
        rows[name] = {"shot": asdict(shot), "face_pixels": round(FACE_SHARE * shot.side)} | summed(runs["now", name])
    result: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu") | {"load_average": [round(load, 1), round(os.getloadavg()[0], 1)]},
        "repeats": repeats,
        "rows": rows,
    }
    if GOAL_SHOT in rows:
        result["goal"] = goal_of(rows[GOAL_SHOT])
    if before:
        result["before"] = {GOAL_SHOT: summed(runs["before", GOAL_SHOT])}
    return result


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--shots", nargs="+", choices=list(shots(1)), default=list(shots(1)))
    parser.add_argument("--before", type=Path, help="another checkout's src, measured in turns on the goal's shot")
    parser.add_argument("--page", action="store_true", help="only write the page's tables from the stored result")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.child:
        print(json.dumps(child(options.child, options.frames)))
        return
    if options.page:
        write_page(json.loads(RESULT.read_text(encoding="utf-8")))
        return
    result = measure(options.shots, options.frames, options.repeats, options.before)
    RESULT.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(json.dumps(result.get("goal")))


if __name__ == "__main__":
    main()
