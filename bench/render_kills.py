"""Renders that are killed at random moments: does the same command go on, and end with the uninterrupted render?

A child process renders (real gate, ledger, label, watermark and signature; painted people and a slow painter of faces
in place of networks) and is ended by SIGKILL after a random while: while it converts, joins, signs or logs. The same
command follows, and goes on. Whenever a render is finished it is compared with one that was never interrupted: decoded
frames, all timestamps, sound packet by packet, and how long after a flash in the picture a click is heard, which is
measured before (in the footage) and after. Then it begins again, until all kills are done.

    .venv/bin/python bench/render_kills.py [--kills 30] [--frames 180] [--result bench/results/render_kills.json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av

sys.path.insert(0, str(Path(__file__).resolve().parent))

import render_world as world

RESULT = Path(__file__).parent / "results" / "render_kills.json"
SCHEMA = 1
LATE_SHARE = 0.3  # of the kills come after the last frame: in the join, the signature, the ledger
LATE_SECONDS = 0.6


@dataclass(frozen=True)
class Work:
    """What every child is told."""

    folder: Path
    frames: int
    segment_seconds: float
    seconds_per_face: float

    @property
    def output(self) -> Path:
        return self.folder / "out" / "render.mov"

    def words(self) -> list[str]:
        return [
            "--folder", str(self.folder), "--frames", str(self.frames),
            "--segment-seconds", str(self.segment_seconds), "--face-seconds", str(self.seconds_per_face),
        ]  # fmt: skip


def child(work: Work) -> None:
    """Render until done or killed, and say on stdout how far it is."""
    from countenance.project import Project

    def progress(done: float, _total: float | None, _note: str = "") -> None:
        print("frame", int(done), flush=True)

    report = world.render(
        Project.open(work.folder / "film"),
        work.folder / "footage.mov",
        work.output,
        count=work.frames,
        seconds_per_face=work.seconds_per_face,
        segment_seconds=work.segment_seconds,
        progress=progress,
        note=lambda sentence: print("note", sentence, flush=True),
    )
    print("resumed", report.convert.resumed_at_frame, flush=True)


def run_once(work: Work, kill_after: float | None, *, late: bool) -> dict[str, Any]:
    """One child, killed ``kill_after`` seconds after its first frame (``late``: after its last), or left alone."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", *work.words()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COUNTENANCE_HOME": str(work.folder / "home")}
    row: dict[str, Any] = {"kill_after_seconds": kill_after, "late": late, "reached": 0, "note": None, "done": False}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        deadline: float | None = None
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "frame":
                row["reached"] = int(rest)
            elif word == "note":
                row["note"] = rest
            elif word == "resumed":
                row["done"] = True
            begun = (word == "frame" and (not late or int(rest) == work.frames)) or (late and "finished;" in rest)
            if kill_after is not None and deadline is None and begun:
                deadline = time.monotonic() + kill_after
                _kill_at(process, deadline)
        process.wait()
    if not row["done"] and process.returncode != -signal.SIGKILL:
        raise SystemExit(f"The child ended by itself with {process.returncode}.")
    left = [path for path in work.output.parent.glob(".countenance-render-*/*") if path.suffix in (".nut", ".mov")]
    row["segments_left"] = sum(path.suffix == ".nut" and not path.name.startswith(".") for path in left)
    row["half_written"] = sorted({path.name.split(".")[-1] for path in left if path.name.startswith((".", "render"))})
    row["output_there"] = work.output.exists()
    return row


def _kill_at(process: subprocess.Popen[str], deadline: float) -> None:
    import threading

    def wait() -> None:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def contents(path: Path) -> dict[str, Any]:
    """Hashes of everything that a render shows and sounds like, with all times."""
    from countenance.media.read import read_frames

    frames, times = hashlib.sha256(), []
    for frame in read_frames(path):
        frames.update(frame.rgb.tobytes())
        times.append((frame.pts, str(frame.time_base)))
    sound = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(*container.streams.audio):
            if packet.size:
                sound.update(f"{packet.stream_index} {packet.pts} {packet.dts} {packet.time_base}".encode())
                sound.update(bytes(packet))
    offset = world.measure_offset(path)
    return {
        "frames": len(times),
        "frames_sha256": frames.hexdigest(),
        "times_sha256": hashlib.sha256(json.dumps(times).encode()).hexdigest(),
        "sound_sha256": sound.hexdigest(),
        "click_after_flash_seconds": [str(value) for value in offset.offsets],
    }


def kills(work: Work, count: int, seed: int, within: tuple[float, float]) -> dict[str, Any]:
    """So many kills; each finished render compared with the uninterrupted one."""
    project = world.make_project(work.folder)
    world.write_footage(work.folder / "footage.mov", work.frames)
    work.output.parent.mkdir()
    run_once(work, None, late=False)
    whole = contents(work.output)
    work.output.unlink()
    chance, rows, finished = random.Random(seed), [], []
    killed = 0
    while killed < count or not rows[-1]["done"]:
        late = chance.random() < LATE_SHARE
        after = chance.uniform(0.0, LATE_SECONDS) if late else chance.uniform(*within)
        row = run_once(work, after if killed < count else None, late=late)
        killed += not row["done"]
        rows.append(row)
        if row["output_there"]:  # finished, or killed when it had its name already
            finished.append(contents(work.output) | {"logged": _logged(project, work.output)})
            work.output.unlink()
    return {
        "rows": rows,
        "uninterrupted": whole,
        "footage_click_after_flash_seconds": [
            str(value) for value in world.measure_offset(work.folder / "footage.mov").offsets
        ],
        "finished_renders": finished,
        "left_behind": sorted(path.name for path in work.output.parent.iterdir()),
    }


def _logged(project: Any, output: Path) -> bool:
    from countenance.consent.ledger import Ledger

    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    return any(entry.facts.get("render_sha256") == digest for entry in Ledger(project.ledger_path).entries())


def summary(facts: dict[str, Any]) -> dict[str, Any]:
    """The figures that the claim rests on."""
    whole, rows = facts["uninterrupted"], facts["rows"]
    compared = ("frames", "frames_sha256", "times_sha256", "sound_sha256", "click_after_flash_seconds")
    killed = [row for row in rows if not row["done"]]
    return {
        "kills": len(killed),
        "kills_after_the_last_frame": sum(row["late"] for row in killed),
        "resumed": sum((row["note"] or "").startswith(("Goes on", "All ")) for row in rows),
        "begun_anew": sum("begins anew" in (row["note"] or "") for row in rows),
        "finished_renders": len(facts["finished_renders"]),
        "equal": sum(all(one[key] == whole[key] for key in compared) for one in facts["finished_renders"]),
        "logged": sum(one["logged"] for one in facts["finished_renders"]),
        "offset_before": facts["footage_click_after_flash_seconds"],
        "offsets_after": sorted({str(one["click_after_flash_seconds"]) for one in facts["finished_renders"]}),
        "offset_kept": all(
            one["click_after_flash_seconds"] == facts["footage_click_after_flash_seconds"]
            for one in facts["finished_renders"]
        ),
        "left_behind": facts["left_behind"],
    }


def good(figures: dict[str, Any]) -> bool:
    """Whether every finished render was the uninterrupted one, in the ledger, with its sound in its place."""
    renders = figures["finished_renders"]
    whole = figures["equal"] == figures["logged"] == renders > 0
    return bool(whole and figures["offset_kept"] and not figures["begun_anew"] and not figures["left_behind"])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--segment-seconds", type=float, default=1.0)
    parser.add_argument("--face-seconds", type=float, default=0.01, help="that the painter sleeps for each face")
    parser.add_argument("--within", type=float, nargs=2, default=(0.0, 12.0), help="seconds from the first frame on")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    settings = (arguments.frames, arguments.segment_seconds, arguments.face_seconds)
    if arguments.child:
        child(Work(arguments.folder, *settings))
        return

    from countenance.atomic import write_bytes
    from countenance.demo.surroundings import surroundings

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        facts = kills(Work(Path(name), *settings), arguments.kills, arguments.seed, tuple(arguments.within))
    figures = summary(facts)
    whole = {
        "schema": SCHEMA,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_minutes": round((time.monotonic() - began) / 60.0, 1),
        "load_average": os.getloadavg(),
        "surroundings": surroundings("cpu"),
        "frames": arguments.frames,
        "segment_seconds": arguments.segment_seconds,
        "summary": figures,
        **facts,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.result, json.dumps(whole, indent=1, allow_nan=False).encode())
    print(json.dumps(figures, indent=1))
    if not good(figures):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
