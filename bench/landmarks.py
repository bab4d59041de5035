"""Do the landmarks lag behind the face, and how much do they tremble? Pictures moved by known paths tell both exactly.

Stills of a synthetic performer are moved along known paths (translation, turn, size), get a camera's noise, and are
encoded with x264. The real networks find the landmarks frame by frame, as conversion does; the truth is the path.
Three ways of steadying are compared on the very same measurements: none, ours (quadratics over as many frames before
as after), and the One Euro filter, which looks back only (G. Casiez, N. Roussel and D. Vogel, "1 € filter", CHI 2012).

- lag: the delay, in milliseconds, at which the path fits the landmarks best; 0 is right, more is late
- jitter: what of the error changes from frame to frame (RMS of its second difference over √6), in 1/1000 of the face
- error: RMS distance from the truth, lag included, in 1/1000 of the face

    .venv/bin/python bench/landmarks.py [--seconds 6] [--result bench/results/landmarks.json]

About four minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from countenance import geometry
from countenance.atomic import write_bytes
from countenance.conversion.smooth import PointHistory
from countenance.demo.surroundings import surroundings
from countenance.media.probe import VideoInfo
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.perceive import Perception
from countenance.types import Frame

RESULT = Path(__file__).parent / "results" / "landmarks.json"
CLIP = Path(str(files("countenance") / "data" / "performers" / "test_A.mp4"))
RATE, STILLS, NOISE, CRF = 25, (0, 60, 120), 2.0, 20
WAYS = ("as measured", "steadied", "1 € filter")

# Amplitudes of translation x, y (of the face's height), turn (degrees), size; frequencies in Hz.
PATHS: dict[str, tuple[tuple[float, float, float, float], tuple[float, float, float, float]]] = {
    "still": ((0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0)),
    "talking": ((0.02, 0.03, 2.0, 0.01), (0.7, 1.1, 0.5, 0.3)),
    "nodding": ((0.02, 0.12, 3.0, 0.02), (0.9, 1.8, 0.9, 0.5)),
    "shaking": ((0.15, 0.03, 4.0, 0.02), (3.0, 2.3, 3.0, 0.7)),
}


def path_at(name: str, seconds: float, centre: np.ndarray, height: float) -> np.ndarray:
    """Where the still lies at a time: float64 ``(2, 3)``, frame from still."""
    amplitudes, rates = PATHS[name]
    x, y, turn, size = (
        amount * np.sin(2 * np.pi * rate * seconds + phase)
        for amount, rate, phase in zip(amplitudes, rates, (0.0, 1.0, 2.0, 3.0), strict=True)
    )
    matrix = np.asarray(cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), turn, 1.0 + size), np.float64)
    matrix[:, 2] += [x * height, y * height]
    return matrix


def filmed(still: np.ndarray, name: str, frames: int, centre: np.ndarray, height: float, folder: Path) -> list[Frame]:
    """The moved still as a camera and an encoder give it."""
    rng = np.random.default_rng(7)
    size = (still.shape[1], still.shape[0])
    info = VideoInfo(
        folder, *size, frames, Fraction(RATE), Fraction(1, RATE), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip
    out = folder / f"{name}.mp4"
    with VideoWriter(out, info, crf=CRF, private=True) as writer:
        for index in range(frames):
            matrix = path_at(name, index / RATE, centre, height)
            moved = cv2.warpAffine(still, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
            noisy = np.clip(np.rint(moved + rng.normal(0.0, NOISE, moved.shape)), 0, 255).astype(np.uint8)
            writer.write(Frame(noisy, index, index, Fraction(1, RATE)))
    return list(read_frames(out))


def one_euro(points: np.ndarray, least: float = 1.0, beta: float = 0.3) -> np.ndarray:
    """The filter over ``(T, N, 2)`` points in thousandths of the face; speeds in the face's height a second."""

    def factor(cutoff: np.ndarray | float) -> np.ndarray | float:
        return 1.0 / (1.0 + RATE / (2 * np.pi * cutoff))

    out, speed = [points[0]], np.zeros_like(points[0])
    for before, now in pairwise(points):
        speed = speed + factor(1.0) * ((now - before) * RATE - speed)
        out.append(out[-1] + factor(least + beta * np.abs(speed) / 10.0) * (now - out[-1]))
    return np.stack(out)


def lag_seconds(found: np.ndarray, truth_at: Callable[[float], np.ndarray]) -> float:
    """The delay at which the true path fits best, by a parabola through the squared errors of a fine grid."""
    grid = np.arange(-0.12, 0.1201, 0.004)
    errors = [float(((found - truth_at(float(delay))) ** 2).sum(-1).mean()) for delay in grid]
    best = int(np.clip(np.argmin(errors), 1, len(grid) - 2))
    low, middle, high = errors[best - 1 : best + 2]
    curve = low - 2 * middle + high
    return float(grid[best] + (0.5 * (low - high) / curve if curve > 0 else 0.0) * (grid[1] - grid[0]))


def measure(still_index: int, name: str, seconds: float, see: Perception) -> list[dict[str, Any]]:
    still = next(frame.rgb for frame in read_frames(CLIP, start_index=still_index))
    start = see.mesh(still, see.detector(still)[0])
    rigid = geometry.RIGID_POINTS
    height = float(np.ptp(start.points_xy[:468, 1]))
    centre = start.points_xy[rigid].mean(0)
    frames_count = round(seconds * RATE)
    with tempfile.TemporaryDirectory() as folder:
        frames = filmed(still, name, frames_count, centre, height, Path(folder))
    history, last, raw, steady = PointHistory(frames_count), start, [], []
    for frame in frames:
        last = see.mesh(frame.rgb, last)
        raw.append(last.points_xy[rigid].astype(np.float64))
        history.add(frame.index, frame.index / RATE, last.points_xy)
    steady = [history.at(index, 3)[rigid].astype(np.float64) for index in range(frames_count)]
    # The network's own opinion of this face, mean over the clip: a constant offset is no lag and no trembling.
    back = [
        geometry.apply(geometry.invert(path_at(name, index / RATE, centre, height)), points)
        for index, points in enumerate(raw)
    ]
    own = np.mean(back, axis=0)
    inner = slice(8, frames_count - 8)

    def truth_at(delay: float) -> np.ndarray:
        return np.stack(
            [geometry.apply(path_at(name, index / RATE - delay, centre, height), own) for index in range(frames_count)]
        )[inner]

    unit = 1000.0 / height
    measured = np.stack(raw)
    found = {
        "as measured": measured,
        "steadied": np.stack(steady),
        "1 € filter": one_euro(measured * unit) / unit,
    }
    truth, rows = truth_at(0.0), []
    for way in WAYS:
        error = (found[way][inner] - truth) * unit
        trembling = np.diff(error, n=2, axis=0)
        rows.append(
            {
                "still": still_index,
                "path": name,
                "way": way,
                "lag_ms": None if name == "still" else 1000.0 * lag_seconds(found[way][inner], truth_at),
                "jitter": float(np.sqrt((trembling**2).sum(-1).mean() / 6.0)),
                "error": float(np.sqrt((error**2).sum(-1).mean())),
            }
        )
    return rows


def table(facts: dict[str, Any]) -> str:
    """The result as Markdown, medians over the stills."""
    lines = [
        "| motion | " + " | ".join(f"{way}: lag, jitter, error" for way in WAYS) + " |",
        "|---|" + "---|" * len(WAYS),
    ]
    for name in PATHS:
        cells = []
        for way in WAYS:
            rows = [row for row in facts["rows"] if (row["path"], row["way"]) == (name, way)]
            jitter, error = (median(row[key] for row in rows) for key in ("jitter", "error"))
            lag = "–" if rows[0]["lag_ms"] is None else f"{median(row['lag_ms'] for row in rows) + 0.0:.1f} ms"
            cells.append(f"{lag}, {jitter:.2f} ‰, {error:.2f} ‰")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    see = Perception()
    rows = [row for still in STILLS for name in PATHS for row in measure(still, name, arguments.seconds, see)]
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu"),
        "settings": {"seconds": arguments.seconds, "rate": RATE, "noise": NOISE, "crf": CRF, "stills": STILLS},
        "rows": rows,
    }
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(table(facts))


if __name__ == "__main__":
    main()
