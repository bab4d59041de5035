"""How well faces are laid into footage, with swappers whose answer is known: which way of blending is chosen, and why.

Claims: an unchanged face comes back almost unchanged (resampling loss); with the true face painted in a slightly wrong
colour, the pyramid's seam is fainter than the feather's; the colour match brings the colour back; the occlusion
network keeps the paint off occluders (more: bench/occlusion.py). Runs on the synthetic performers, about three minutes.

    python bench/blending.py [--every 5] [--result bench/results/blending.json]
    python bench/blending.py --table     the table of docs/concepts/picture.md, from that file
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from importlib.resources import files
from pathlib import Path
from statistics import median, pstdev
from time import process_time

import cv2
import numpy as np

from countenance import color, geometry
from countenance.conversion.blend import paste, seam_error
from countenance.conversion.mask import blend_mask, landmark_mask, skin_weights
from countenance.conversion.swap import align
from countenance.media.read import read_frames
from countenance.perception.perceive import Perception
from countenance.types import Mask

CLIPS = Path(str(files("countenance") / "data" / "performers"))
RESULT = Path(__file__).parent / "results" / "blending.json"
WAYS = ("pyramid", "feather", "gradient domain")
KINDS = {"true": "the true face", "tinted": "tinted", "tinted_matched": "tinted, colours matched"}
TINT = (14, -6, -10)  # codes of RGB: the wrong colour


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    error = float(((a.astype(np.float64) - b) ** 2)[where].mean())
    return 10.0 * float(np.log10(255.0**2 / max(error, 1e-6)))


def shrunk(rgb: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA) if side != rgb.shape[0] else rgb


def warped(picture: np.ndarray, frame_from_crop: np.ndarray, like: np.ndarray) -> np.ndarray:
    return cv2.warpAffine(picture, frame_from_crop, (like.shape[1], like.shape[0]), flags=cv2.INTER_LINEAR)


def pasted(result: np.ndarray, painted: np.ndarray, mask: Mask, back: np.ndarray, alpha: np.ndarray, way: str) -> None:
    """Lay a face into ``result``, in place, by one of :data:`WAYS`; gradient domain as in Perez et al. 2003."""
    if way != "gradient domain":
        paste(result, painted, mask, back, method=way)
        return
    inside = (alpha > 0.5).astype(np.uint8) * 255
    x, y, width, height = cv2.boundingRect(inside)
    centre = (x + width // 2, y + height // 2)
    result[:] = cv2.seamlessClone(warped(painted, back, result), result, inside, centre, cv2.NORMAL_CLONE)


def measure(every: int) -> dict[str, list[float]]:
    perception, rows = Perception(), {}

    def note(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    names = ("test_A", "test_gt_matched", "test_A_mask")
    for footage, truth, face in zip(*(read_frames(CLIPS / f"{name}.mp4") for name in names), strict=True):
        if footage.index % every:
            continue
        landmarks = perception.mesh(footage.rgb, perception.detector(footage.rgb)[0])
        matrix = geometry.aligned_from_frame(landmarks.points_xy, geometry.CROP_SIZE)
        back = geometry.invert(matrix)
        crop = align(footage.rgb, landmarks, matrix, geometry.CROP_SIZE)
        hull = landmark_mask(crop.landmarks.points_xy, crop.size)
        seen = cv2.morphologyEx(face.rgb[..., 0], cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        predicted = Mask(geometry.warp(seen, matrix, (crop.size, crop.size)).astype(np.float32) / 255.0, "predicted")
        mask = blend_mask(predicted, hull)
        alpha = warped(mask.values, back, footage.rgb)

        for side in (256, 128):
            result = footage.rgb.copy()
            paste(result, shrunk(crop.rgb, side), mask, back)
            note(f"identity_{side}_psnr_inside_db", psnr(result, footage.rgb, alpha > 0.5))
            assert np.array_equal(result[alpha == 0], footage.rgb[alpha == 0])
        true = geometry.warp(truth.rgb, matrix, (crop.size, crop.size))
        tinted = np.clip(true.astype(np.int32) + TINT, 0, 255).astype(np.uint8)
        weights = skin_weights(mask, crop.landmarks.points_xy, 64)
        match = color.match_colors(
            color.statistics(color.lab_from_rgb(shrunk(tinted, 64)), weights),
            color.statistics(color.lab_from_rgb(shrunk(crop.rgb, 64)), weights),
        )
        faces = {"true": true, "tinted": tinted, "tinted_matched": color.apply_match(tinted, match)}
        for kind, painted in faces.items():
            for method in WAYS:
                result = footage.rgb.copy()
                began = process_time()
                pasted(result, painted, mask, back, alpha, method)
                note(f"{method}_milliseconds", 1e3 * (process_time() - began))
                note(f"{kind}_{method}_psnr_inside_db", psnr(result, truth.rgb, seen > 128))
                note(f"{kind}_{method}_seam", seam_error(result, footage.rgb, warped(painted, back, result), alpha))
    for clip in ("occl_C", "test_A"):
        for frame, face in zip(*(read_frames(CLIPS / f"{name}.mp4") for name in (clip, f"{clip}_mask")), strict=True):
            if frame.index % every:
                continue
            landmarks = perception.mesh(frame.rgb, perception.detector(frame.rgb)[0])
            matrix = geometry.aligned_from_frame(landmarks.points_xy, geometry.CROP_SIZE)
            crop = align(frame.rgb, landmarks, matrix, geometry.CROP_SIZE)
            hull = landmark_mask(crop.landmarks.points_xy, crop.size).values
            seen = cv2.morphologyEx(face.rgb[..., 0], cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
            hidden = geometry.warp(seen, matrix, (crop.size, crop.size)) < 77
            note(f"{clip}_hull_painted_on_occluder", float(hull[hidden].sum() / hull.sum()))
            seen = cv2.resize(perception.occlusion(crop).values, hull.shape, interpolation=cv2.INTER_LINEAR) * hull
            note(f"{clip}_hull_and_occlusion_painted_on_occluder", float(seen[hidden].sum() / seen.sum()))
    return rows


def table(result: dict) -> str:
    """The table of the page."""
    figures = result["figures"]

    def cell(name: str, digits: int) -> str:
        value = figures[name]
        return f"{value['median']:.{digits}f} ± {value['spread']:.{digits}f}"

    head = "".join(f" {words}: seam | dB |" for words in KINDS.values())
    lines = [f"| blending |{head} CPU ms |", "|---|" + "---:|" * (2 * len(KINDS) + 1)]
    for way in WAYS:
        cells = [cell(f"{kind}_{way}_{what}", n) for kind in KINDS for what, n in (("seam", 2), ("psnr_inside_db", 1))]
        lines.append(f"| {way} | " + " | ".join([*cells, f"{figures[f'{way}_milliseconds']['median']:.1f}"]) + " |")
    count = figures["true_pyramid_seam"]["count"]
    made = f"*{count} frames of test_A; median ± standard deviation; commit {result['commit']}.*"
    return "\n".join([*lines, "", made])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=5, help="take one frame in so many")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the page's table from the result and stop")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(options.result.read_text(encoding="utf-8"))))
        return
    rows = measure(options.every)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    facts = {
        "commit": commit.stdout.strip(),
        "machine": platform.machine(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "opencv": cv2.__version__},
        "opencv_threads": cv2.getNumThreads(),
    }
    figures = {
        name: {"median": round(median(v), 4), "spread": round(pstdev(v), 4), "count": len(v)}
        for name, v in rows.items()
    }
    options.result.write_text(json.dumps({**facts, "figures": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
