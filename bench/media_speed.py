"""How fast frames are read and written, and what the careful colour conversion costs and saves.

    python bench/media_speed.py [OUT.json]

Claims: media/yuv.py (cost and error of the conversion), docs on reading and writing speed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.media.yuv import RgbFromVideo, VideoFromRgb, rule_of
from countenance.types import Frame

PERFORMER = Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))
REPEATS = 3


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Frames a second: median of the repeats, slowest and fastest."""
    rates = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - start))
    return {
        "frames_per_second": round(median(rates), 1),
        "slowest": round(min(rates), 1),
        "fastest": round(max(rates), 1),
    }


def write(path: Path, frames: list[Frame], info: object, **settings: object) -> int:
    with VideoWriter(path, info, **settings) as writer:  # type: ignore[arg-type]
        for frame in frames:
            writer.write(frame)
    return len(frames)


def conversion() -> dict[str, dict[str, float]]:
    """One 1080p frame to 4:2:0 and back: milliseconds of each way, error in grey levels."""
    rng = np.random.default_rng(0)
    rgb = cv2.resize(rng.integers(0, 256, (68, 120, 3), dtype=np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    to_video, to_rgb = VideoFromRgb(rule_of(1, 1, "yuv420p", 1920, 1080), "yuv420p"), RgbFromVideo()
    plain_to, plain_from = VideoReformatter(), VideoReformatter()
    colours = {"src_colorspace": 1, "dst_colorspace": 1, "interpolation": Interpolation.BILINEAR}

    def plain_encode(picture: np.ndarray) -> av.VideoFrame:
        source = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return plain_to.reformat(source, format="yuv420p", src_color_range=2, dst_color_range=1, **colours)

    def plain_decode(frame: av.VideoFrame) -> np.ndarray:
        converted = plain_from.reformat(frame, format="rgb24", src_color_range=1, dst_color_range=2, **colours)
        return converted.to_ndarray()

    results = {}
    for name, encode, decode in (("ours", to_video, to_rgb), ("ffmpeg's default", plain_encode, plain_decode)):
        frame = encode(rgb)
        frame.colorspace, frame.color_range = 1, 1
        error = decode(frame).astype(np.float64) - rgb
        there = [elapsed(lambda encode=encode: encode(rgb)) for _ in range(15)]
        back = [elapsed(lambda decode=decode, frame=frame: decode(frame)) for _ in range(15)]
        results[name] = {
            "rgb_to_yuv_ms": round(median(there) * 1e3, 2),
            "yuv_to_rgb_ms": round(median(back) * 1e3, 2),
            "error_rms": round(float(np.sqrt((error**2).mean())), 2),
            "bias": round(float(error.mean()), 2),
        }
    return results


def elapsed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    small = list(islice(read_frames(PERFORMER), 150))
    large = [
        replace(frame, rgb=cv2.resize(frame.rgb, (1920, 1080), interpolation=cv2.INTER_CUBIC)) for frame in small[:50]
    ]
    info = probe(PERFORMER)
    large_info = replace(info, width=1920, height=1080, average_rate=Fraction(25))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        results = {
            "read 320x320": timed(lambda: sum(1 for _ in read_frames(PERFORMER))),
            "write 320x320, medium, crf 16": timed(lambda: write(target, small, info)),
            "write 1920x1080, medium, crf 16": timed(lambda: write(target, large, large_info)),
            "read 1920x1080": timed(lambda: sum(1 for _ in read_frames(target))),
            "skip 1920x1080 (start_index)": timed(lambda: sum(1 for _ in read_frames(target, start_index=49)) + 49),
        }
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    report = {
        "commit": git.stdout.strip(),
        "device": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "versions": {"av": av.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "repeats": REPEATS,
        "speed": results,
        "colour conversion, 1920x1080": conversion(),
    }
    text = json.dumps(report, indent=2)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
