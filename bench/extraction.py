"""How fast `countenance extract` reads 720p footage with one face, and where its CPU time goes.

    .venv/bin/python bench/extraction.py [--frames 500] [--rounds 3] [--before ANOTHER_CHECKOUT/src] [--page]

Claim: docs/concepts/extraction-speed.md, whose table ``--page`` writes from the result. The footage is a synthetic
performer, enlarged by half and laid into a frame of 1280 × 720 with grain, where it wanders; H.264 of about 3 Mbit/s.
With ``--before`` an older source tree takes turns with this one, round by round, so that other programs hit both alike.
Read CPU time where cores are shared: wall time is then mostly others'. Four minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import Any

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "extraction.json"
PAGE = ROOT / "docs" / "concepts" / "extraction-speed.md"
WIDTH, HEIGHT, ENLARGED = 1280, 720, 480
CORES = 2
KEPT_STEPS = ("embedding of kept faces", "person mask of kept faces", "PNG")
"""Made for kept faces only, but for small PNGs of the others."""


def footage(path: Path, frames: int) -> Path:
    """The performer who lends no face, in a larger frame."""
    from countenance.media.read import read_frames

    performer = Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))
    grain = np.random.default_rng(0).normal(0.0, 6.0, (HEIGHT, WIDTH, 1)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "18", "preset": "medium"}
        for index, frame in enumerate(islice(read_frames(performer), frames)):
            blurred = cv2.GaussianBlur(frame.rgb[::4, ::4], (0, 0), 3.0)
            rgb = cv2.resize(blurred, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) + grain
            rgb = np.clip(rgb, 0, 255).astype(np.uint8)
            left, top = int(400 + 60 * np.sin(index / 40)), int(120 + 20 * np.cos(index / 30))
            rgb[top : top + ENLARGED, left : left + ENLARGED] = cv2.resize(
                frame.rgb, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC
            )
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


class Steps:
    """CPU seconds of each step by itself, without the steps inside it, over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside = threading.local()
        self._lock = threading.Lock()

    def watch(self, owner: Any, name: str, step: str) -> None:
        """Count the calls of a function or method as ``step``."""
        real: Callable[..., Any] = getattr(owner, name)

        def counted(*values: Any, **named: Any) -> Any:
            outer, self._inside.spent = getattr(self._inside, "spent", 0.0), 0.0
            began = thread_time()
            try:
                return real(*values, **named)
            finally:
                spent = thread_time() - began
                with self._lock:
                    self.seconds[step] = self.seconds.get(step, 0.0) + spent - self._inside.spent
                self._inside.spent = outer + spent

        setattr(owner, name, counted)


def watched() -> Steps:
    """All steps of an extraction."""
    from countenance.faceset import curate, follow, gather, layout
    from countenance.media import yuv
    from countenance.perception import detect, identity, landmarks, screen, segment

    steps = Steps()
    for owner, name, step in (
        (yuv.RgbFromVideo, "__call__", "to RGB"),
        (follow.FaceFollower, "__call__", "following"),
        (detect.FaceDetector, "__call__", "detector, every fifth frame"),
        (landmarks.FaceMesh, "__call__", "landmarks, every frame"),
        (gather._Reader, "_judge", "crop and judgement"),
        (curate.Seen, "holds_one_like", "near-duplicates"),
        (gather, "embed", "embedding of kept faces"),
        (identity.FaceEmbedder, "__call__", "embedding of kept faces"),
        (gather._Reader, "_rest", "person mask of kept faces"),
        (segment.PersonSegmenter, "__call__", "person mask of kept faces"),
        (gather, "_region", "person mask of kept faces"),
        (layout, "png_of", "PNG"),
        (screen.SexualContentScreen, "__call__", "screen, twice a second"),
        (screen.ApparentAge, "__call__", "apparent age, 32 faces"),
        (gather._Reader, "write", "writing"),
    ):
        steps.watch(owner, name, step)
    return steps


def work(clip: Path, warming: Path) -> dict[str, Any]:
    """One extraction in this process, after a short one that loads the networks."""
    from countenance.faceset.extract import extract
    from countenance.perception import perceive, session
    from countenance.project import Project

    ours = "NetworkSessions" in sys.modules["countenance.faceset.extract"].__dict__
    networks = perceive.Perception(session.NetworkSessions(threads=1)) if ours else perceive.Perception()
    with tempfile.TemporaryDirectory() as folder:
        extract(Project.create(Path(folder) / "first"), "somebody", [warming], perception=networks)
        steps = watched()
        wall, cpu = perf_counter(), process_time()
        report = extract(Project.create(Path(folder) / "second"), "somebody", [clip], perception=networks)
        cpu, wall = process_time() - cpu, perf_counter() - wall
        kilobytes = report.path.stat().st_size / 1000 / report.kept
    frames = report.frames_read
    counted = {step: 1000 * seconds / frames for step, seconds in steps.seconds.items()}
    counted["decoding and the rest"] = 1000 * cpu / frames - sum(counted.values())
    return {
        "frames": frames,
        "kept": report.kept,
        "rejected": dict(report.rejected),
        "kilobytes_a_face": round(kilobytes, 1),
        "cpu_ms_per_frame": round(1000 * cpu / frames, 2),
        "wall_frames_per_second": round(frames / wall, 1),
        "steps_cpu_ms_per_frame": {step: round(ms, 2) for step, ms in counted.items()},
    }


def in_turn(source: Path, clip: Path, warming: Path) -> dict[str, Any]:
    words = [sys.executable, __file__, "--work", str(clip), str(warming)]
    surroundings = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(words, env=surroundings, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number over the rounds, and the least and most of the two that count."""
    first = runs[0]
    told = {name: first[name] for name in ("frames", "kept", "rejected", "kilobytes_a_face")}
    for name in ("cpu_ms_per_frame", "wall_frames_per_second"):
        values = [run[name] for run in runs]
        told[name] = {"median": median(values), "least": min(values), "most": max(values)}
    steps = first["steps_cpu_ms_per_frame"]
    told["steps_cpu_ms_per_frame"] = {
        step: round(median(run["steps_cpu_ms_per_frame"][step] for run in runs), 2) for step in steps
    }
    told["frames_per_second_of_two_cores"] = round(1000 * CORES / told["cpu_ms_per_frame"]["median"], 1)
    return told


def table(result: dict[str, Any]) -> str:
    """The result as the page has it."""
    ways = [name for name in ("before", "after") if name in result]
    head = " | ".join(ways)
    rows = [f"| CPU time a frame, in ms | {head} |", "|---|" + "---:|" * len(ways)]
    steps = sorted(result["after"]["steps_cpu_ms_per_frame"].items(), key=lambda item: -item[1])
    for step, _ in steps:
        cells = [f"{result[way]['steps_cpu_ms_per_frame'].get(step, 0.0):.1f}" for way in ways]
        rows.append(f"| {step} | {' | '.join(cells)} |")
    rows.append("| **together** | " + " | ".join(f"{result[w]['cpu_ms_per_frame']['median']:.1f}" for w in ways) + " |")
    two = " | ".join(f"{result[way]['frames_per_second_of_two_cores']:.0f}" for way in ways)
    wall = " | ".join(f"{result[way]['wall_frames_per_second']['median']:.0f}" for way in ways)
    rows.append(f"| frames a second that two cores have time for | {two} |")
    rows.append(f"| frames a second of the clock, beside other programs | {wall} |")
    rows.append(
        f"| of frames that may be kept for 60 frames a second | {' | '.join(_kept_for(60, result[w]) for w in ways)} |"
    )
    rows.append(f"| faces kept of {result['after']['frames']} | {' | '.join(str(result[w]['kept']) for w in ways)} |")
    return "\n".join(rows) + "\n"


def _kept_for(frames_a_second: float, told: dict[str, Any]) -> str:
    """The share of frames whose face may be kept if two cores are to read so many frames a second."""
    steps = told["steps_cpu_ms_per_frame"]
    of_kept = sum(steps[name] for name in KEPT_STEPS)
    left = 1000 * CORES / frames_a_second - (told["cpu_ms_per_frame"]["median"] - of_kept)
    return f"{100 * max(left, 0.0) / of_kept * told['kept'] / told['frames']:.0f} %"


def write_page(result: dict[str, Any]) -> None:
    """Put the table between its two marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split("<!-- table -->\n")
    PAGE.write_text(f"{before}<!-- table -->\n{table(result)}<!-- end -->{rest.split('<!-- end -->')[1]}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--page", action="store_true", help="Only write the page's table from the stored result.")
    parser.add_argument("--work", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(*options.work)))
        return
    if options.page:
        write_page(json.loads(RESULT.read_text(encoding="utf-8")))
        return
    from countenance.demo.surroundings import surroundings

    trees = ({"before": options.before} if options.before else {}) | {"after": ROOT / "src"}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        clip, warming = footage(Path(folder) / "720p.mp4", options.frames), footage(Path(folder) / "short.mp4", 10)
        megabits = clip.stat().st_size * 8 * 25 / options.frames / 1e6
        for number in range(options.rounds):
            for name in list(trees) if number % 2 == 0 else reversed(trees):
                runs[name].append(in_turn(trees[name], clip, warming))
                print(number, name, runs[name][-1], file=sys.stderr)
    result = {
        "surroundings": surroundings("cpu") | {"load_average": [round(load, 1), round(os.getloadavg()[0], 1)]},
        "footage": {
            "width": WIDTH,
            "height": HEIGHT,
            "frames": options.frames,
            "megabits_a_second": round(megabits, 2),
        },
        "rounds": options.rounds,
    } | {name: summed(of) for name, of in runs.items()}
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
