"""Does a long conversion need more memory than a short one? Peak RSS of 10 seconds and of 10 minutes of 720p footage.

Each clip is converted and signed by a process of its own, in segments and with the join, with networks and a painter of
faces that cost next to nothing and need no memory of their own: what is measured is the pipeline. (The real networks'
sessions add a constant.) The long clip is the short one's packets over and over, so that its frames cost the same.

A peak is the moment at which most pictures happened to wait between the stages, and the more frames there are, the
higher it is found. So the memory is also looked at after each frame: its median over the first and the last frames of
the long clip (without the very first) tells what is kept a frame.

    .venv/bin/python bench/conversion_memory.py [--seconds 10 600] [--result bench/results/conversion_memory.json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "conversion"))
RESULT = Path(__file__).parent / "results" / "conversion_memory.json"
SCHEMA = 2
WIDTH, HEIGHT, RATE, LOOP = 1280, 720, 25, 250
WARM = 50  # frames until every queue has been full once
LIMIT_MB, LIMIT_GROWTH = 1200.0, 0.05


def write_footage(folder: Path, seconds: int) -> Path:
    """A 720p clip with sound, made of one loop of ten seconds."""
    import av

    from countenance.media.probe import AudioStream, VideoInfo
    from countenance.media.segments import examine
    from countenance.media.write import VideoWriter
    from countenance.types import Frame

    sound = folder / f"sound{seconds}.mov"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        for second in range(seconds):
            wave = (np.sin(np.arange(48000) / 25.0) * 6000).astype(np.int16)[None]
            part = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = 48000, second * 48000, Fraction(1, 48000)
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    like = VideoInfo(
        folder, WIDTH, HEIGHT, 0, Fraction(RATE), Fraction(1, RATE), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (AudioStream(0, "aac", 48000, 1),), "mov", "h264",
    )  # fmt: skip
    loop = folder / "loop.nut"
    if not loop.exists():
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        with VideoWriter(loop, like, preset="ultrafast", crf=18, private=True) as writer:
            for index in range(LOOP):
                base = 120 + 50 * np.sin((x + 3 * index) / 31.0) + 30 * np.cos(y / 23.0)
                rgb = np.stack([base, np.roll(base, 40, 1), 255 - base], -1).astype(np.uint8)
                writer.write(Frame(rgb, index, index, Fraction(1, RATE)))
    one = examine(loop, 0, LOOP)
    target = folder / f"{seconds}.mov"
    with VideoWriter(target, like, preset="ultrafast", crf=18, tracks_from=sound) as writer:
        writer.append(folder, [replace(one, first_pts=start) for start in range(0, seconds * RATE, LOOP)])
    return target


class Seer:
    """Networks that find one face in the middle of every picture."""

    def __init__(self) -> None:
        from fake_world import Face

        self._face = Face(WIDTH / 2, HEIGHT / 2, 240.0)

    def detector(self, _rgb: Any, **_: Any) -> list[Any]:
        from countenance.types import Detection

        return [Detection(self._face.box(), 0.95, np.zeros((5, 2), np.float32))]

    def mesh(self, _rgb: Any, _near: Any, **_: Any) -> Any:
        from countenance.types import FaceLandmarks

        points = self._face.points().astype(np.float32)
        return FaceLandmarks(points[:, :2].copy(), points[:, 2].copy(), np.zeros(52, np.float32), 1.0)

    def embedder(self, _rgb: Any, _landmarks: Any) -> Any:
        return np.eye(1, 128, dtype=np.float32)[0]

    @property
    def search(self) -> Any:
        return self

    def near(self, rgb: Any, *_: Any) -> Any:
        return self.detector(rgb)[0]

    def wide(self, rgb: Any, _score: float, *, turned: bool, **_: Any) -> list[Any]:
        return self.detector(rgb) if not turned else []

    def look(self, _rgb: Any, _face: Any) -> Any:
        from countenance.perception.identity import Impression

        return Impression(np.eye(1, 128, dtype=np.float32)[0], 10.0)

    def age(self, _rgb: Any, _landmarks: Any) -> float:
        return 40.0

    def screen(self, _rgb: Any) -> float:
        return 0.01

    def occlusion(self, _face: Any) -> Any:
        from countenance.types import Mask

        return Mask(np.ones((128, 128), np.float32), "occlusion")


def resident_mb() -> float:
    """What this process has in memory at the moment."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def sign(unsigned: Path, footage: Path) -> None:
    """Give a render its credentials, as a swap does at its end."""
    from countenance.provenance.identity import SigningIdentity
    from countenance.provenance.label import LABEL_TEXT
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.sign import sign_file

    claim = RenderClaim(
        "urn:uuid:0", "0" * 64, "research", datetime.now(UTC), "swift", LABEL_TEXT, b"\x01\x02\x03\x04\x05"
    )
    identity = SigningIdentity.load_or_create(footage.parent / "home")
    sign_file(unsigned, unsigned.with_stem("signed"), parent=footage, claim=claim, identity=identity)


def child(footage: Path) -> None:
    """Convert and sign once, and say how much memory that took."""
    from fake_world import PERFORMER, swap_identity

    from countenance.conversion.pipeline import convert
    from countenance.conversion.settings import ConvertSettings
    from countenance.provenance.label import draw_label
    from countenance.provenance.watermark import Watermarker

    seen = array("f")
    out = footage.with_name(f"out-{footage.name}")
    report = convert(
        footage,
        out,
        swapper=swap_identity,
        performer_template=PERFORMER,
        label=draw_label,
        watermark=Watermarker(b"\x01\x02\x03\x04\x05", (HEIGHT, WIDTH)),
        perception=Seer(),  # type: ignore[arg-type]
        settings=ConvertSettings(performer_cosine=0.65, preset="ultrafast"),
        progress=lambda *_: seen.append(resident_mb()),
    )
    converted_mb, bytes_signed = peak_mb(), out.stat().st_size
    sign(out, footage)
    part = max(1, (len(seen) - WARM) // 4)
    first, last = float(np.median(seen[WARM : WARM + part])), float(np.median(seen[-part:]))
    kept = (last - first) * 2**20 / max(len(seen) - WARM - part, 1)
    facts = {
        "frames": report.frames,
        "replaced": report.replaced,
        "peak_converted_mb": converted_mb,
        "peak_mb": peak_mb(),
        "signed_mb": round(bytes_signed / 1e6, 1),
        "median_first_mb": round(first, 1),
        "median_last_mb": round(last, 1),
        "kept_bytes_a_frame": round(kept),
    }
    print(json.dumps(facts))


def peak_mb() -> float:
    """The most that this process has had in memory so far."""
    from countenance.memory import peak_rss_bytes

    return round((peak_rss_bytes() or 0) / 2**20, 1)


def measure(footage: Path) -> dict[str, Any]:
    """The child's answer, and how long it took."""
    began = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(footage)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1]) | {"wall_seconds": round(time.monotonic() - began, 1)}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, nargs=2, default=(10, 600), help="of the two clips, multiples of ten")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.child is not None:
        child(arguments.child)
        return

    from countenance.atomic import write_bytes
    from countenance.demo.surroundings import surroundings

    with tempfile.TemporaryDirectory() as name:
        rows = [{"seconds": n} | measure(write_footage(Path(name), n)) for n in arguments.seconds]
    growth = rows[1]["peak_mb"] / rows[0]["peak_mb"] - 1.0
    facts = {
        "schema": SCHEMA,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": os.getloadavg(),
        "surroundings": surroundings("cpu"),
        "size": f"{WIDTH}x{HEIGHT}",
        "rows": rows,
        "growth": round(growth, 4),
        "flat": abs(growth) < LIMIT_GROWTH and max(row["peak_mb"] for row in rows) < LIMIT_MB,
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(json.dumps({key: facts[key] for key in ("rows", "growth", "flat")}, indent=1))
    if not facts["flat"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
