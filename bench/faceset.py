"""What a face set keeps, how fast it is made and read, and what blur does to sharpness. Writes JSON to standard output.

Claims: faceset/curate.py (BLURRED_BELOW and the near-duplicate limits), faces kept of the training clips, frames a
second of `countenance extract`, faces a second of FaceSet.load. About two minutes on two idle cores.

    python bench/faceset.py [--runs 3] > faceset.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from statistics import median, pstdev
from time import perf_counter

import cv2
import numpy as np

from countenance.faceset.curate import BLURRED_BELOW, sharpness
from countenance.faceset.extract import extract
from countenance.faceset.records import FaceArrays
from countenance.faceset.store import FaceSet
from countenance.project import Project

CLIPS = Path(str(files("countenance") / "data" / "performers"))


def motion(length: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda crop: cv2.filter2D(crop, -1, np.full((1, length), 1.0 / length, np.float32))


def blur(sigma: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda crop: cv2.GaussianBlur(crop, (0, 0), sigma)


def small(crop: np.ndarray) -> np.ndarray:
    return cv2.resize(
        cv2.resize(crop, (96, 96), interpolation=cv2.INTER_AREA), (256, 256), interpolation=cv2.INTER_CUBIC
    )


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as filmed": lambda crop: crop,
    "light times 0.4": lambda crop: (crop * 0.4).astype(np.uint8),
    "face of 65 pixels": small,
    "blur of 2 pixels": blur(2.0),
    "blur of 3 pixels": blur(3.0),
    "blur of 4 pixels": blur(4.0),
    "blur of 6 pixels": blur(6.0),
    "motion of 9 pixels": motion(9),
    "motion of 15 pixels": motion(15),
}


def sharpness_table(faces: FaceArrays) -> dict[str, dict[str, float]]:
    table = {}
    for name, change in CHANGES.items():
        scores = [sharpness(np.asarray(change(crop), np.uint8)) for crop in faces.rgb[::6]]
        low, middle, high = (round(float(value), 3) for value in np.quantile(scores, [0.05, 0.5, 0.95]))
        rejected = round(float(np.mean(np.array(scores) < BLURRED_BELOW)), 3)
        table[name] = {"5 %": low, "median": middle, "95 %": high, "rejected": rejected}
    return table


def one_clip(name: str, runs: int) -> dict[str, object]:
    rates, loads = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            project = Project.create(Path(folder) / "film")
            report = extract(project, "somebody", [CLIPS / f"{name}.mp4"])
            rates.append(report.frames_read / report.seconds)
            size = report.path.stat().st_size
            with FaceSet.open(report.path, project.key()) as faceset:
                started = perf_counter()
                faces = faceset.load()
                loads.append(len(faces) / (perf_counter() - started))
    return {
        "frames": report.frames_read,
        "kept": report.kept,
        "rejected": dict(report.rejected),
        "frames a second": {"median": round(median(rates), 1), "spread": round(pstdev(rates), 2)},
        "faces a second on loading, digests included": {"median": round(median(loads)), "spread": round(pstdev(loads))},
        "kilobytes a face": round(size / 1000 / report.kept),
        "sharpness": sharpness_table(faces),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    facts = {
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load at start": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), "opencv": cv2.__version__, "numpy": np.__version__},
        "runs": runs,
    }
    print(json.dumps(facts | {name: one_clip(name, runs) for name in ("train_A", "train_B")}, indent=1))


if __name__ == "__main__":
    main()
