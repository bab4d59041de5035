"""How much memory training and conversion take, by preset and number of faces, and the largest set of arrays they keep.

The product's own way on face sets that are made up from the embedded performers: their crops a little shifted, lighter
or darker, their landmarks with noise. Each case is a process of its own, held to LIMIT by a memory control group of
Linux where that may be made (root): then the kernel would kill whatever needs more, file cache included.

    .venv/bin/python bench/memory.py [--presets swift classic] [--faces 200 2000 20000] [--every N] [--work out/memory]

With 20,000 faces a side most of the hour goes into embedding and painting, which take no more memory for more faces.
With ``--every 20`` only every twentieth face is embedded and painted and the others get copies of what came out for it,
as the rows say; all else is done for each face. 30 GB of disk. Other rows in bench/results/memory.json stay.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np
from quality_cases import CASES, LENDER, PERFORMER, World

from countenance.atomic import write_bytes
from countenance.demo.surroundings import surroundings
from countenance.faceset import layout
from countenance.faceset.records import Moment, NewFace
from countenance.faceset.store import FaceSet
from countenance.memory import peak_rss_bytes
from countenance.project import Project
from countenance.training.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction

    from countenance.types import UInt8
    from countenance.vault import ProjectKey

RESULT = Path(__file__).parent / "results" / "memory.json"
LIMIT = 6 * 10**9
ITERATIONS = 3
BATCH = 8  # faces of a conversion batch
_VARIANTS = 8  # pictures that are made of each real face
_GROUPS = Path("/sys/fs/cgroup")


# -- made-up face sets ------------------------------------------------------------------------------------------------


def multiply(source: Path, path: Path, count: int, side: int, key: ProjectKey) -> None:
    """A face set of ``count`` faces at ``path``, like those in ``source``."""
    rng = np.random.default_rng(0)
    with FaceSet.open(source, key) as real:
        faces, base, anchor, embedder = real.load(), real.records("kept"), real.anchor(), real.embedder_id()
    path.unlink(missing_ok=True)
    pngs: dict[tuple[int, int], tuple[bytes, UInt8]] = {}
    with FaceSet.open(path, key, create=True, crop_size=side) as made:
        with made.transaction():
            clip = made.begin_source("made-up.mp4", "0" * 64, "video")
            made.set_identity(anchor, str(embedder))
        time_base: Fraction = base[0].time_base
        for start in range(0, count, 500):
            with made.transaction():
                ids = []
                for number in range(start, min(start + 500, count)):
                    row, variant = number % len(base), number // len(base) % _VARIANTS
                    shift = np.array([variant % 3 - 1, variant // 3 - 1]) * 2
                    face, record = faces.aligned(row), base[row]
                    if (row, variant) not in pngs:
                        picture = np.roll(face.rgb, (int(shift[1]), int(shift[0])), (0, 1))
                        picture = np.clip(picture * (1.0 + 0.04 * (variant - 3)), 0, 255).astype(np.uint8)
                        picture = np.asarray(cv2.resize(picture, (side, side)), np.uint8)
                        pngs[row, variant] = layout.png_of(picture), picture
                    png, picture = pngs[row, variant]
                    noise = rng.normal(0.0, 0.3, face.landmarks.points_xy.shape)
                    scale = side / face.size
                    marks = type(face.landmarks)(
                        ((face.landmarks.points_xy + shift + noise) * scale).astype(np.float32),
                        (face.landmarks.depth * scale).astype(np.float32),
                        face.landmarks.blendshapes,
                        face.landmarks.presence,
                    )
                    new = NewFace(
                        Moment(3 * number, number, time_base),
                        type(face)(picture, face.aligned_from_frame, marks),
                        faces.embeddings[row],
                        faces.person_mask[row],
                        record.sharpness,
                        record.pose_degrees,
                        record.detection_score,
                        record.face_pixels,
                        png,
                    )
                    ids.append(made.add(clip, new))
                made.keep(ids, {ids[0]: 30.0})


def project_of(world: World, folder: Path, count: int, side: int) -> Project:
    """The world's project with ``count`` faces a person; made once."""
    root = folder / f"{count}_faces_of_{side}"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(world.project.root, root, ignore=shutil.ignore_patterns("faces.sqlite*", "models", "renders"))
        project = Project.open(root)
        for name in (LENDER, PERFORMER):
            multiply(world.project.faceset_path(name), project.faceset_path(name), count, side, project.key())
        (root / "complete").touch()
    return Project.open(root)


# -- one case, in its own process -------------------------------------------------------------------------------------


class Watch:
    """Notes the most anonymous memory, and the time of each kind of progress."""

    def __init__(self) -> None:
        self.anonymous, self.files, self._over = 0, 0, threading.Event()
        self._seen: dict[str, list[tuple[float, float]]] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            with Path("/proc/self/status").open(encoding="ascii", errors="replace") as lines:
                now = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
            self.anonymous = max(self.anonymous, int(now["RssAnon"]) * 1024)
            self.files = max(self.files, (int(now["RssFile"]) + int(now["RssShmem"])) * 1024)

    def progress(self, done: float, total: float, note: str) -> None:  # noqa: ARG002
        if note.startswith("references"):
            self._seen.setdefault(note, []).append((time.monotonic(), done))

    def done(self) -> dict[str, Any]:
        self._over.set()
        self._thread.join()
        seconds = {note: seen[-1][0] - seen[0][0] for note, seen in self._seen.items()}
        return {
            "peak_rss_bytes": peak_rss_bytes(),
            "peak_anonymous_bytes": self.anonymous,
            "peak_file_bytes": self.files,
            "preparation_seconds": {note: round(value, 1) for note, value in seconds.items()},
            "cpu_seconds": round(time.process_time(), 1),
        }


def thin(every: int) -> None:
    """Embed and paint only every so manieth face, and take copies for the others."""
    from countenance.perception.identity import FaceEmbedder
    from countenance.training import prepare

    def sometimes(function: Callable[..., Any]) -> Callable[..., Any]:
        last: list[Any] = []
        calls = itertools.count()

        def stand_in(*given: Any) -> Any:
            if next(calls) % every == 0 or not last:
                last[:] = [function(*given)]
            return copy.deepcopy(last[0])

        return stand_in

    prepare._one = sometimes(prepare._one)
    prepare.neutral_crop = sometimes(prepare.neutral_crop)
    FaceEmbedder.__call__ = sometimes(FaceEmbedder.__call__)  # type: ignore[method-assign]


def train_case(project: Project, preset: str) -> dict[str, Any]:
    """Train a few steps with a first and a last score."""
    from countenance.training.train import train

    watch = Watch()
    report = train(project, LENDER, PERFORMER, preset=preset, iterations=ITERATIONS, progress=watch.progress)
    assert report.largest is not None
    return watch.done() | {
        "step_seconds": round(report.trained_seconds / ITERATIONS, 2),
        "largest": asdict(report.largest),
    }


def convert_case(project: Project, preset: str) -> dict[str, Any]:
    """Everything that a render does with the lender's faces, and one batch."""
    from countenance.consent.gate import require_consent
    from countenance.faceset.use import reembed, screen_faces
    from countenance.perception.perceive import Perception
    from countenance.training.swapper import load_swapper
    from countenance.training.train import load_faces, scratch_of

    watch, see = Watch(), Perception()
    size, scratch = PRESETS[preset].crop_size, scratch_of(project)
    faces = load_faces(project, LENDER, size, scratch=scratch)
    screen_faces(LENDER, faces, see)
    performer = reembed(load_faces(project, PERFORMER, size, scratch=scratch_of(project)), see.embedder)
    lender = reembed(faces, see.embedder)
    require_consent(project, LENDER, PERFORMER, act="swap", embeddings=lender, performer_embeddings=performer)
    swapper = load_swapper(project, LENDER, PERFORMER, preset=preset, device="cpu", lender_faces=faces)
    with FaceSet.open(project.faceset_path(PERFORMER), project.key()) as faceset:
        some = faceset.load_some([record.id for record in faceset.records("kept")[:BATCH]], crop_size=size)
    began = time.monotonic()
    assert len(swapper([some.aligned(row) for row in range(len(some))])) == BATCH
    return watch.done() | {"batch_seconds": round(time.monotonic() - began, 2), "largest": asdict(scratch.held()[0])}


# -- all cases --------------------------------------------------------------------------------------------------------


@contextmanager
def limited(size: int) -> Iterator[tuple[Path, str] | None]:
    """A control group that holds its processes to ``size`` bytes: its folder and how; None where it cannot be made."""
    old = (_GROUPS / "memory").is_dir()
    group = (_GROUPS / "memory" if old else _GROUPS) / f"countenance-bench-{os.getpid()}"
    name = "memory.limit_in_bytes" if old else "memory.max"
    try:
        group.mkdir()
        (group / name).write_text(str(size))
    except OSError:
        yield None
        return
    try:
        yield group, f"cgroup {name}"
    finally:
        group.rmdir()


def run_case(act: str, project: Project, preset: str, every: int) -> dict[str, Any]:
    with limited(LIMIT) as group:
        words = [sys.executable, __file__, "--act", act, "--presets", preset, "--every", str(every)]
        words += ["--project", str(project.root)]
        if group is not None:
            words = ["sh", "-c", f'echo $$ > {group[0]}/cgroup.procs && exec "$@"', "sh", *words]
        began = time.monotonic()
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
        row = {"held_to_bytes": LIMIT if group else None, "held_by": group[1] if group else None}
        row |= {"exit_code": done.returncode, "seconds": round(time.monotonic() - began, 1)}
        return row | (json.loads(done.stdout) if done.returncode == 0 else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--faces", type=int, nargs="+", default=[200, 2000, 20_000])
    parser.add_argument("--work", type=Path, default=Path("out/memory"))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--act", choices=["train", "convert"], help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.act:
        if arguments.every > 1:
            thin(arguments.every)
        case = train_case if arguments.act == "train" else convert_case
        print(json.dumps(case(Project.open(arguments.project), arguments.presets[0])))
        return
    world = World(CASES["forward"], arguments.work / "world")
    rows = json.loads(arguments.result.read_bytes())["rows"] if arguments.result.exists() else []
    for count in sorted(arguments.faces):
        for preset in arguments.presets:
            project = project_of(world, arguments.work, count, PRESETS[preset].crop_size)
            shutil.rmtree(project.model_dir(LENDER, PERFORMER, preset), ignore_errors=True)
            row: dict[str, Any] = {"preset": preset, "faces": count, "painted_every": arguments.every}
            row |= {act: run_case(act, project, preset, arguments.every) for act in ("train", "convert")}
            row |= {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "surroundings": surroundings("cpu")}
            rows = [old for old in rows if (old["preset"], old["faces"]) != (preset, count)] + [row]
            rows.sort(key=lambda one: (list(PRESETS).index(one["preset"]), one["faces"]))
            write_bytes(arguments.result, json.dumps({"rows": rows}, indent=1).encode())
            peaks = {act: row[act].get("peak_rss_bytes", 0) / 1e9 for act in ("train", "convert")}
            print(f"{preset}, {count} faces a side: {peaks} GB", flush=True)


if __name__ == "__main__":
    main()
