"""What it costs to mark and sign one picture of a preview. Writes bench/results/preview.json.

    .venv/bin/python bench/preview.py [--rounds 15]

Claim: docs/guides/preview.md. Each step by itself, on a frame of a synthetic performer enlarged to the size. CPU time,
since cores may be shared; the networks and the painting are not in it (docs/concepts/speed.md).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from time import process_time

import cv2
import numpy as np

from countenance.demo.surroundings import surroundings
from countenance.media.read import read_frames
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.label import LABEL_TEXT, draw_label
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_picture
from countenance.provenance.watermark import Watermarker

RESULT = Path(__file__).parent / "results" / "preview.json"
SIZES = {"360p": (360, 640), "720p": (720, 1280), "1080p": (1080, 1920)}
MARK = b"bench"


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    work()
    spent = []
    for _ in range(rounds):
        began = process_time()
        work()
        spent.append(1000 * (process_time() - began))
    return round(median(spent), 2)


def costs(size_hw: tuple[int, int], identity: SigningIdentity, rounds: int) -> dict[str, float]:
    height, width = size_hw
    clip = Path(str(files("countenance") / "data" / "performers" / "test_A.mp4"))
    frame = next(islice(read_frames(clip), 20, None)).rgb
    rgb = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    claim = RenderClaim(
        record_id="urn:uuid:00000000-0000-4000-8000-000000000000",
        record_sha256="0" * 64,
        purpose="research",
        made_at=datetime.now(UTC),
        preset="swift",
        label_text=LABEL_TEXT,
        watermark_id=MARK,
        synthetic=True,
        screens=("sexual-content", "apparent-age"),
    )
    watermark = Watermarker(MARK, size_hw)
    marked = watermark(draw_label(rgb))

    def compress() -> bytes:
        return cv2.imencode(".jpg", cv2.cvtColor(marked, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[
            1
        ].tobytes()

    jpeg = compress()

    def sign() -> tuple[bytes, bytes | None]:
        return sign_picture(
            jpeg, Path("a.jpg"), parent_kind="video/mp4", footage="none", claim=claim, identity=identity
        )

    return {
        "label_ms": milliseconds(lambda: draw_label(rgb), rounds),
        "watermark_ms": milliseconds(lambda: watermark(rgb), rounds),
        "jpeg_ms": milliseconds(compress, rounds),
        "sign_and_check_ms": milliseconds(sign, rounds),
        "jpeg_kilobytes": round(len(jpeg) / 1000, 1),
        "credentials_kilobytes": round((len(sign()[0]) - len(jpeg)) / 1000, 1),
    }


def table(result: dict[str, dict[str, float]]) -> str:
    """The result as the guide has it."""
    rows = ["| picture | label | watermark | JPEG | signing and checking |", "|---|---:|---:|---:|---:|"]
    for name in SIZES:
        steps = ("label_ms", "watermark_ms", "jpeg_ms", "sign_and_check_ms")
        rows.append(f"| {name} | " + " | ".join(f"{result[name][step]:.1f}" for step in steps) + " |")
    return "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        identity = SigningIdentity.load_or_create(Path(folder))
        result = {"surroundings": surroundings("cpu"), "rounds": rounds} | {
            name: costs(size, identity, rounds) for name, size in SIZES.items()
        }
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
