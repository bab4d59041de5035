"""Does a painted face become as soft and as grainy as its footage? Footage spoilt in known ways, where truth is known.

The painted face is the truth itself (the lender's face in the very shot, rendered), still sharp and clean; the footage
and what the result is compared with are spoilt alike: out of focus, motion blur, a camera's noise, film grain, strong
compression. So nothing is measured but the match of sharpness and grain.

- SSIM of luma inside the face against the spoilt truth. Grain cannot be foretold, so where there is grain a clean face
  scores higher than one with the right grain; that is the metric's fault, and the next figure shows it.
- dB off: how far the power at each fineness is off the spoilt truth's, mean of the absolute values over the finer
  three quarters of the spectrum, where it is above rounding (0 is right).

    .venv/bin/python bench/texture.py [--frames 40] [--result bench/results/texture.json]

About three minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np

from countenance import geometry
from countenance.atomic import write_bytes
from countenance.conversion.blend import face_region
from countenance.conversion.mask import landmark_mask
from countenance.conversion.swap import align
from countenance.conversion.texture import FaceInFrame, TextureMatcher, power
from countenance.demo.surroundings import surroundings
from countenance.media.read import read_frames
from countenance.perception.perceive import Perception

RESULT = Path(__file__).parent / "results" / "texture.json"
CLIPS = Path(str(files("countenance") / "data" / "performers"))
FIRST = 4  # frames after which blur and grain are known
ROUNDING = 0.2  # codes²: power below it is rounding to whole codes


def blur(pictures: Sequence[np.ndarray], sigma: float) -> list[np.ndarray]:
    return [cv2.GaussianBlur(picture, (0, 0), sigma) for picture in pictures]


def smear(pictures: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0 / length
    return [cv2.filter2D(picture, -1, kernel) for picture in pictures]


def noise(pictures: Sequence[np.ndarray], strength: float, softness: float = 0.0) -> list[np.ndarray]:
    """Of each colour apart, as sensors have it; with softness, of luma alone, as film has it."""
    rng, spoilt = np.random.default_rng(5), []
    for picture in pictures:
        if softness:
            grain = cv2.GaussianBlur(rng.standard_normal(picture.shape[:2]), (0, 0), softness)[..., None]
            grain /= grain.std()
        else:
            grain = rng.standard_normal(picture.shape)
        spoilt.append(np.clip(np.rint(picture + strength * grain), 0, 255).astype(np.uint8))
    return spoilt


def compressed(pictures: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/spoilt.mp4"
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        with av.open(path) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


Spoils = Callable[[Sequence[np.ndarray]], list[np.ndarray]]
CASES: dict[str, Spoils] = {
    "as it is": list,
    "a little out of focus (σ 1 px)": lambda clip: blur(clip, 1.0),
    "out of focus (σ 2 px)": lambda clip: blur(clip, 2.0),
    "far out of focus (σ 3 px)": lambda clip: blur(clip, 3.0),
    "motion blur (9 px)": lambda clip: smear(clip, 9),
    "sensor noise (σ 4)": lambda clip: noise(clip, 4.0),
    "sensor noise (σ 10)": lambda clip: noise(clip, 10.0),
    "film grain (σ 6, soft)": lambda clip: noise(clip, 6.0, 1.0),
    "out of focus, with noise": lambda clip: noise(blur(clip, 2.0), 6.0),
    "noise, compressed (CRF 28)": lambda clip: compressed(noise(clip, 6.0), 28),
    "compressed (CRF 36)": lambda clip: compressed(clip, 36),
}


def luma(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def ssim(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Mean SSIM (Z. Wang et al. 2004, Gaussian window of 1.5 pixels)."""

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture, (0, 0), 1.5)

    x, y = luma(a), luma(b)
    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float((value * weights).sum() / weights.sum())


def measure(name: str, spoil: Spoils, frames: int, see: Perception) -> dict[str, Any]:
    footage, truth = (
        [frame.rgb for frame, _ in zip(read_frames(CLIPS / f"{clip}.mp4"), range(frames), strict=False)]
        for clip in ("test_A", "test_gt_matched")
    )
    plates, goals = spoil(footage), spoil(truth)
    matcher, last, scores, powers, seconds = TextureMatcher(), None, [], [], 0.0
    for index, (clean, sharp, plate, goal) in enumerate(zip(footage, truth, plates, goals, strict=True)):
        last = see.mesh(clean, see.detector(clean)[0] if last is None else last)
        matrix = geometry.aligned_from_frame(last.points_xy, geometry.CROP_SIZE)
        crop = align(sharp, last, matrix, geometry.CROP_SIZE)
        mask, place = landmark_mask(crop.landmarks.points_xy, crop.size), geometry.invert(matrix)
        region = face_region(mask, place, clean.shape[:2])
        size_wh = (region.x1 - region.x0, region.y1 - region.y0)
        local = place - [[0.0, 0.0, region.x0], [0.0, 0.0, region.y0]]
        alpha = np.asarray(cv2.warpAffine(mask.values, local, size_wh), np.float32)
        face = FaceInFrame(1, 0, index, index / 25, geometry.apply(local, crop.landmarks.points_xy), local)
        began = time.thread_time()
        matched = matcher(region.of(plate), region.of(sharp), alpha, face)
        seconds += time.thread_time() - began
        if index < FIRST:
            continue
        inside = cv2.erode((alpha > 0.9).astype(np.float32), np.ones((9, 9)))
        soft = cv2.GaussianBlur(inside, (0, 0), 3.0)
        pictures = (region.of(goal), region.of(sharp), matched)
        scores.append([ssim(picture, pictures[0], inside) for picture in pictures[1:]])
        powers.append([power(luma(picture), soft).mean(1) for picture in pictures])
    goal_power, *ours = np.mean(powers, axis=0)
    fine = slice(goal_power.size // 4, None)
    off = [float(np.abs(10 * np.log10((part + ROUNDING) / (goal_power + ROUNDING)))[fine].mean()) for part in ours]
    without, with_match = (median(column) for column in zip(*scores, strict=True))
    return {
        "case": name,
        "frames": len(scores),
        "ssim": [without, with_match],
        "db_off": off,
        "ms_a_face": 1000.0 * seconds / frames,
        "region": list(size_wh),
    }


def table(facts: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = ["| footage | SSIM, as painted | matched | dB off, as painted | matched |", "|---|---|---|---|---|"]
    for row in facts["rows"]:
        (before, after), (was, now) = row["ssim"], row["db_off"]
        lines.append(f"| {row['case']} | {before:.3f} | {after:.3f} | {was:.1f} | {now:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    see = Perception()
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu"),
        "frames": arguments.frames,
        "rows": [measure(name, spoil, arguments.frames, see) for name, spoil in CASES.items()],
    }
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(table(facts))


if __name__ == "__main__":
    main()
