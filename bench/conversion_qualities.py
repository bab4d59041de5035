"""What the three qualities of ``countenance swap`` cost: processor time a frame and bytes, at two sizes of footage.

.venv/bin/python bench/conversion_qualities.py --project FOLDER (with people lender and performer and a swift model)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median

import cv2

from countenance.conversion.pipeline import convert
from countenance.conversion.quality import QUALITIES, settings_for
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.perceive import Perception
from countenance.project import Project
from countenance.provenance.label import draw_label
from countenance.provenance.watermark import Watermarker
from countenance.render import Extras
from countenance.render.job import Job
from countenance.training.scores import template_of
from countenance.types import Frame

RESULT = Path(__file__).parent / "results" / "conversion_qualities.json"
CLIP = Path(str(files("countenance") / "data" / "performers" / "test_A.mp4"))
SIZES = {"320×320": 1, "1280×1280": 4}


def enlarged(target: Path, frames: int, by: int) -> Path:
    """The first frames of the clip, each side ``by`` times as long."""
    from dataclasses import replace

    info = probe(CLIP)
    like = replace(info, width=info.width * by, height=info.height * by)
    with VideoWriter(target, like, crf=8, preset="veryfast") as writer:
        for frame in islice(read_frames(CLIP), frames):
            rgb = cv2.resize(frame.rgb, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC)
            writer.write(Frame(rgb, frame.index, frame.pts, frame.time_base))
    return target


def measured(project: Project, frames: int, rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Rows by size and quality; the qualities take turns, so that what else the machine does falls on all alike."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    see = Perception()
    with tempfile.TemporaryDirectory() as folder:
        # The gate is asked once, and the model loaded once, for all of the renders.
        job = Job(
            project, CLIP, Path(folder) / "out.mp4", "lender", "performer", "swift", "cpu",
            settings_for(), Extras(), label_shown=True,
        )  # fmt: skip
        faces = job.lender_faces(see)
        performer = job.performer_faces(see)
        swapper = job.model(job.permit(faces, performer, see), faces, None)
        template = template_of(performer)
        for name, by in SIZES.items():
            clip = enlarged(Path(folder) / f"{by}.mp4", frames, by)
            info = probe(clip)
            seconds: dict[str, list[float]] = {quality: [] for quality in QUALITIES}
            sizes: dict[str, int] = {}
            for _ in range(rounds):
                for quality in QUALITIES:
                    first: list[float] = []

                    def progress(*_: object, first: list[float] = first) -> None:
                        first.append(time.process_time())

                    output = Path(folder) / "out.mp4"
                    convert(
                        clip,
                        output,
                        swapper=swapper,
                        performer_template=template,
                        label=draw_label,
                        watermark=Watermarker(bytes(5), (info.height, info.width)),
                        adult_id_checked=True,  # nobody in these clips exists
                        perception=see,
                        settings=settings_for(quality),
                        progress=progress,
                    )
                    # From the first finished frame to the end, when the encoder has let go of the last one.
                    seconds[quality].append((time.process_time() - first[0]) / (len(first) - 1))
                    sizes[quality] = output.stat().st_size
            rows[name] = {
                quality: {"cpu_ms": 1000.0 * median(seconds[quality]), "bytes": sizes[quality]} for quality in QUALITIES
            }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    rows = measured(Project.open(words.project), words.frames, words.rounds)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=RESULT.parent, check=False
    )
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cpu": f"{os.cpu_count()} cores, {platform.machine()}",
        "load_at_the_end": os.getloadavg(),
        "versions": {name: version(name) for name in ("av", "numpy", "opencv-python-headless", "torch")},
        "frames": words.frames,
        "rounds": words.rounds,
        "sizes": list(SIZES),
        "rows": rows,
    }
    RESULT.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
