"""What encryption costs: a face set of 2,000 faces written and loaded, in SQLCipher and in plain SQLite, in one run.

The plain one is the same code without a key, which makes SQLCipher plain SQLite. Beside it stands what training does
with each face after loading it: the gate's embedding, made anew from its pixels. CPU seconds of one process; the two
kinds take turns. Claim: docs/concepts/encryption.md. About five minutes on one core.

    python bench/encryption.py [--faces 2000] [--runs 3] > bench/results/encryption.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
from faceset import CLIPS

from countenance.faceset import layout
from countenance.faceset.extract import extract
from countenance.faceset.records import Moment, NewFace
from countenance.faceset.store import FaceSet
from countenance.faceset.use import reembed
from countenance.perception.perceive import Perception
from countenance.project import Project
from countenance.vault import ProjectKey

EMBEDDED = 100
ENCRYPTED = layout.connect


def plain(path: Path, _key: ProjectKey, **_: bool) -> layout.sqlite3.Connection:
    """As face sets were opened before they were encrypted."""
    database = layout.sqlite3.connect(str(path), isolation_level=None)
    for name in ("trusted_schema = OFF", "cell_size_check = ON", "secure_delete = ON", "synchronous = NORMAL"):
        database.execute(f"PRAGMA {name}")
    return database


def measured(source: Path, folder: Path, count: int, key: ProjectKey, kind: str) -> dict[str, float]:
    """CPU milliseconds a face of writing; of loading, digests included; of the thorough check that goes before."""
    layout.connect = ENCRYPTED  # the source is encrypted in any case
    with FaceSet.open(source, key) as real:
        faces = real.load()
        records = real.records("kept")
    layout.connect = ENCRYPTED if kind == "encrypted" else plain
    path = folder / f"{kind}.sqlite"
    path.unlink(missing_ok=True)
    pngs = [layout.png_of(picture) for picture in faces.rgb]
    with FaceSet.open(path, key, create=True) as made:
        began = process_time()
        with made.transaction():
            clip = made.begin_source("made-up.mp4", "0" * 64, "video")
        for start in range(0, count, 25):  # as extraction writes
            with made.transaction():
                ids = []
                for number in range(start, min(start + 25, count)):
                    row = number % len(records)
                    record = records[row]
                    new = NewFace(
                        Moment(number, number, record.time_base), faces.aligned(row), faces.embeddings[row],
                        faces.person_mask[row], record.sharpness, record.pose_degrees, record.detection_score,
                        record.face_pixels, pngs[row],
                    )  # fmt: skip
                    ids.append(made.add(clip, new))
                made.keep(ids, {})
    written = process_time() - began
    with FaceSet.open(path, key) as made:
        began = process_time()
        made.verify()
        checked = process_time() - began
        began = process_time()
        made.load()
        loaded = process_time() - began
    times = {"write": written, "check": checked, "load": loaded}
    return {name: 1000 * seconds / count for name, seconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    wanted = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["COUNTENANCE_KEYS"] = str(folder / "keys")
        project = Project.create(folder / "film")
        source = extract(project, "somebody", [CLIPS / "test_A.mp4"]).path
        runs: dict[str, list[dict[str, float]]] = {"plain": [], "encrypted": []}
        for _ in range(wanted.runs):
            for kind, made in runs.items():
                made.append(measured(source, folder, wanted.faces, project.key(), kind))
        sizes = {kind: (folder / f"{kind}.sqlite").stat().st_size for kind in runs}
        layout.connect = ENCRYPTED
        with FaceSet.open(source, project.key()) as faceset:
            some = faceset.load_some([record.id for record in faceset.records("kept")[:EMBEDDED]])
        see = Perception()
        reembed(some, see.embedder)
        began = process_time()
        reembed(some, see.embedder)
        embed = 1000 * (process_time() - began) / len(some)
    table: dict[str, Any] = {
        kind: {step: round(median(run[step] for run in made), 3) for step in made[0]} for kind, made in runs.items()
    }
    more = sum(table["encrypted"][step] - table["plain"][step] for step in ("check", "load"))
    before = table["plain"]["check"] + table["plain"]["load"] + embed
    json.dump(
        {
            "cpu milliseconds a face": table,
            "all runs": runs,
            "embedding, cpu milliseconds a face": round(embed, 2),
            "reading a face set before training, per cent more": round(100 * more / before, 2),
            "bytes a face": {kind: round(size / wanted.faces) for kind, size in sizes.items()},
            "faces": wanted.faces,
            "commit": subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
            ).stdout.strip(),
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main()
