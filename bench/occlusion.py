"""How well the shipped occlusion network tells a face from what is in front of it, on faces that it never saw.

Measured: ``occl_C`` (a third synthetic person: glasses, a beard, a microphone) against its ground truth; occluders
drawn over ``test_A`` with other seeds, and kinds that were never drawn in training; false alarms on clean footage, raw
and as conversion believes them; steadiness; the time of a face on one thread. Nothing here was trained on.

    .venv/bin/python bench/occlusion.py [--every 2] [--repeats 24]  # some minutes; writes bench/results/occlusion.json
    .venv/bin/python bench/occlusion.py --pictures out/occlusion    # contact sheets, too
    .venv/bin/python bench/occlusion.py --tables                    # of the published run: docs/concepts/occlusion.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import mean, median
from time import thread_time
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from drawing import Scene
from occluders import HELD_OUT, TRAINED
from train_occlusion import composed

from countenance import geometry
from countenance.conversion.mask import landmark_mask
from countenance.conversion.occlusion import Steadied, judged, steadied
from countenance.conversion.swap import align
from countenance.demo.surroundings import commit, surroundings
from countenance.media.read import read_frames
from countenance.perception.cards import SHIPPED
from countenance.perception.occlusion import SIDE, OcclusionNet, feature_planes
from countenance.perception.perceive import Perception
from countenance.perception.session import NetworkSessions
from countenance.perception.weights import read_shipped
from countenance.types import AlignedFace, FaceLandmarks

RESULT = Path(__file__).parent / "results" / "occlusion.json"
CLIPS = Path(str(files("countenance") / "data" / "performers"))
CLEAN = ("test_A", "test_gt_matched", "test_gt_own")
SEED = 20_001  # no seed of the training
_RIM = 3  # pixels of SIDE from the hull's edge that are not judged: the landmarks are no better


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A frame's aligned face, its number and time, and its ground truth, uint8 ``(256, 256)``, white = visible face."""

    face: AlignedFace
    index: int
    seconds: float
    truth: np.ndarray


def looked(clip: str, every: int, see: Perception) -> Iterator[Looked]:
    for frame, mask in zip(*(read_frames(CLIPS / f"{name}.mp4") for name in (clip, f"{clip}_mask")), strict=True):
        if frame.index % every:
            continue
        landmarks = see.mesh(frame.rgb, see.detector(frame.rgb)[0])
        matrix = geometry.aligned_from_frame(landmarks.points_xy, geometry.CROP_SIZE)
        face = align(frame.rgb, landmarks, matrix, geometry.CROP_SIZE)
        truth = geometry.warp(mask.rgb[..., 0], matrix, (face.size, face.size))
        yield Looked(face, frame.index, float(frame.pts_seconds), truth)


def small(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def parts_of_c(look: Looked) -> tuple[np.ndarray, np.ndarray]:
    """(glasses' frame, microphone) of ``occl_C`` in the crop, bool ``(256, 256)``.

    Its mask is black there, but also over temples and beside the beard, where it fades out and nothing is in front. The
    frame is what a wide closing fills above the nose's tip; the microphone is what is below it and bluish, as nothing
    else in the clip.
    """
    pins = cv2.morphologyEx(look.truth, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    wide = cv2.morphologyEx(pins, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25)))
    upper = np.arange(look.face.size)[:, None] < look.face.landmarks.points_xy[4, 1]
    lab = cv2.cvtColor(look.face.rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    bluish = cv2.GaussianBlur(lab, (0, 0), 1.5)[..., 2] < 4
    microphone = cv2.morphologyEx(((pins < 128) & ~upper & bluish).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5)))
    return (wide > 128) & (pins < 128) & upper, microphone > 0


class Overlap:
    """Intersections and unions, summed over pictures, so that empty ones weigh nothing."""

    def __init__(self) -> None:
        self.common = self.either = self.visible_common = self.visible_either = 0

    def add(self, said: np.ndarray, front: np.ndarray, counts: np.ndarray) -> None:
        """``said``, ``front``: bool, something is in front; ``counts``: where the truth is certain."""
        self.common += int((said & front & counts).sum())
        self.either += int(((said | front) & counts).sum())
        self.visible_common += int((~said & ~front & counts).sum())
        self.visible_either += int((~(said & front) & counts).sum())

    def row(self) -> dict[str, float]:
        return {
            "iou_occluder": round(self.common / max(self.either, 1), 4),
            "iou_visible": round(self.visible_common / max(self.visible_either, 1), 4),
        }


def inner_hull(planes: np.ndarray) -> np.ndarray:
    size = 2 * _RIM + 1
    return cv2.erode((planes[0] > 127).astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def on_occl_c(net: OcclusionNet, see: Perception, every: int, sheet: list[np.ndarray]) -> dict[str, Any]:
    raw, believed, recall = Overlap(), Overlap(), {"frame": [0, 0], "microphone": [0, 0]}
    painted: dict[str, list[float]] = {"without": [], "with": []}
    flicker: dict[str, list[float]] = {"raw": [], "believed": []}
    memory: Steadied | None = None
    before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    frames = hidden = 0
    alarms: dict[str, list[float]] = {"raw": [], "shown": []}
    for look in looked("occl_C", every, see):
        planes = feature_planes(look.face.landmarks.points_xy, look.face.size)
        parts = [small(part.astype(np.float32)) for part in parts_of_c(look)]
        shares, hull = np.clip(sum(parts), 0, 1), inner_hull(planes)
        counts = hull & ((small(look.truth) > 230) | (shares > 0.5))
        mask = net(look.face)
        memory = steadied(memory, mask, 0, look.seconds)
        judgement = judged(memory.values, planes)
        frames, hidden = frames + 1, hidden + judgement.hidden
        raw.add(mask.values < 0.5, shares > 0.5, counts)
        believed.add(judgement.mask.values < 0.5, shares > 0.5, counts)
        face = counts & (shares < 0.02)
        alarms["raw"].append(float((mask.values < 0.5)[face].mean()))
        alarms["shown"].append(float(1.0 - judgement.mask.values[face].mean()))
        for name, part in zip(recall, parts, strict=True):
            recall[name][0] += int(((part > 0.5) & hull & (judgement.mask.values < 0.5)).sum())
            recall[name][1] += int(((part > 0.5) & hull).sum())
        soft = small(landmark_mask(look.face.landmarks.points_xy, look.face.size).values)
        for name, values in (("without", soft), ("with", soft * judgement.mask.values)):
            painted[name].append(float((values * shares).sum() / values.sum()))
        if before is not None:
            still = hull & (np.abs(before[2] - shares) < 0.02)
            flicker["raw"].append(float(np.abs(before[0] - mask.values)[still].mean()))
            flicker["believed"].append(float(np.abs(before[1] - judgement.mask.values)[still].mean()))
        before = (mask.values, judgement.mask.values, shares)
        if len(sheet) < 24 and look.index % 6 == 0:
            sheet.append(shown(look.face.rgb, mask.values, judgement.mask.values, shares))
    return {
        "frames": frames,
        "hidden": hidden,
        "raw": raw.row(),
        "believed": believed.row(),
        "false_alarms": {
            f"{name}_{how}": round(of(values), 5)
            for name, values in alarms.items()
            for how, of in (("mean", mean), ("worst", max))
        },
        "found_share": {name: round(found / max(whole, 1), 4) for name, (found, whole) in recall.items()},
        "painted_on_occluder": {name: round(mean(values), 5) for name, values in painted.items()},
        "change_between_frames": {name: round(mean(values), 5) for name, values in flicker.items()},
    }


def over(look: Looked, kind: str, rng: np.random.Generator) -> tuple[AlignedFace, np.ndarray]:
    """A face of ``test_A`` with something drawn in front: the face, and how much of each pixel is covered."""
    face = look.face
    drawing = {**TRAINED, **HELD_OUT}[kind](rng, Scene(face.landmarks.points_xy, face.rgb))
    light, covered = composed(rng, np.square(face.rgb.astype(np.float32) / 255.0), drawing)
    codes = np.clip(np.sqrt(np.clip(light, 0, 1)) * 255, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, 80])
    marks = face.landmarks
    drifted = (marks.points_xy + rng.normal(0, 1.5, 2)).astype(np.float32)  # landmarks are worse behind a hand
    return AlignedFace(
        cv2.imdecode(packed, cv2.IMREAD_COLOR),
        face.aligned_from_frame,
        FaceLandmarks(drifted, marks.depth, marks.blendshapes, marks.presence),
    ), covered


def on_drawn(
    net: OcclusionNet, looks: list[Looked], repeats: int, sheets: dict[str, list[np.ndarray]]
) -> dict[str, dict[str, Any]]:
    rows = {}
    for number, kind in enumerate([*TRAINED, *HELD_OUT]):
        rng = np.random.default_rng([SEED, number])
        raw, believed, hidden, painted = Overlap(), Overlap(), 0, []
        for repeat in range(repeats):
            look = looks[repeat * len(looks) // repeats]
            face, covered = over(look, kind, rng)
            planes = feature_planes(face.landmarks.points_xy, face.size)
            shares, mask = small(covered), net(face)
            judgement = judged(mask.values, planes)
            counts = inner_hull(planes) & ((small(look.truth) > 230) | (shares > 0.5))
            hidden += judgement.hidden
            raw.add(mask.values < 0.5, shares > 0.5, counts)
            believed.add(judgement.mask.values < 0.5, shares > 0.5, counts)
            if (hull := shares[planes[0] > 127]).mean() > 0.02 and not judgement.hidden:
                painted.append(float((hull * judgement.mask.values[planes[0] > 127]).sum() / hull.sum()))
            if repeat < 8:
                sheets.setdefault(kind, []).append(shown(face.rgb, mask.values, judgement.mask.values, shares))
        rows[kind] = {
            "trained": kind in TRAINED,
            "raw": raw.row(),
            "believed": believed.row(),
            "painted_share_of_occluder": round(mean(painted), 4) if painted else None,
            "hidden": hidden,
            "pictures": repeats,
        }
    return rows


def on_clean(net: OcclusionNet, see: Perception, clip: str, every: int) -> dict[str, float]:
    """Shares of the certain face's pixels that are called covered: the footage shows nothing in front."""
    raw, believed, hidden, change = [], [], 0, []
    memory: Steadied | None = None
    before: np.ndarray | None = None
    for look in looked(clip, every, see):
        planes = feature_planes(look.face.landmarks.points_xy, look.face.size)
        face = inner_hull(planes) & (small(look.truth) > 230)
        mask = net(look.face)
        memory = steadied(memory, mask, 0, look.seconds)
        judgement = judged(memory.values, planes)
        raw.append(float((mask.values < 0.5)[face].mean()))
        believed.append(float(1.0 - judgement.mask.values[face].mean()))
        hidden += judgement.hidden
        if before is not None:
            change.append(float(np.abs(judgement.mask.values - before)[face].mean()))
        before = judgement.mask.values
    return {
        "frames": len(raw),
        "raw_mean": round(mean(raw), 6),
        "raw_worst": round(max(raw), 6),
        "shown_mean": round(mean(believed), 6),
        "shown_worst": round(max(believed), 6),
        "change_between_frames": round(mean(change), 6),
        "hidden": hidden,
    }


def milliseconds(net: OcclusionNet, face: AlignedFace, rounds: int = 200) -> dict[str, float]:
    """CPU time of a face on one thread: drawing the landmarks and the network; and the rule."""
    spent: dict[str, list[float]] = {"network": [], "rule": []}
    for _ in range(rounds):
        began = thread_time()
        mask = net(face)
        between = thread_time()
        judged(steadied(None, mask, 0, 0.0).values, feature_planes(face.landmarks.points_xy, face.size))
        spent["network"].append(1e3 * (between - began))
        spent["rule"].append(1e3 * (thread_time() - between))
    return {name: round(median(values), 2) for name, values in spent.items()}


def network_facts() -> dict[str, Any]:
    import onnx

    data = read_shipped("face-occlusion")
    weights = onnx.load_model_from_string(data).graph.initializer
    count = sum(int(np.prod(tensor.dims)) for tensor in weights if tensor.data_type == onnx.TensorProto.FLOAT)
    return {"parameters": count, "bytes": len(data), "sha256": SHIPPED["face-occlusion"].sha256}


def shown(rgb: np.ndarray, *masks: np.ndarray) -> np.ndarray:
    """The picture, and under it each mask of what is seen (the last one is the truth's covered share)."""
    grey = [masks[0], masks[1], 1.0 - masks[2]]
    below = [np.repeat((one * 255).astype(np.uint8)[..., None], 3, 2) for one in grey]
    return np.concatenate([cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), *below])


def tables(facts: Mapping[str, Any]) -> str:
    """The tables of docs/concepts/occlusion.md."""
    drawn = [
        "| in front of `test_A` | drawn in training | IoU occluder ↑ | IoU face ↑ | painted over, of the occluder ↓ |",
        "|---|---|---|---|---|",
    ]
    for kind, row in facts["drawn"].items():
        score, painted = row["believed"], row["painted_share_of_occluder"]
        share = "-" if painted is None else f"{100 * painted:.1f} %"
        yes = "yes, other seeds" if row["trained"] else "**never**"
        drawn.append(f"| {kind} | {yes} | {score['iou_occluder']:.3f} | {score['iou_visible']:.3f} | {share} |")
    third = facts["occl_C"]
    painted, found, change = third["painted_on_occluder"], third["found_share"], third["change_between_frames"]
    c = [
        "| `occl_C`, never trained on | raw | as conversion believes it |",
        "|---|---|---|",
        *(
            f"| {title} | {third['raw'][key]:.3f} | {third['believed'][key]:.3f} |"
            for key, title in (("iou_occluder", "IoU of what is in front ↑"), ("iou_visible", "IoU of the face ↑"))
        ),
        f"| found of the microphone, of the glasses' frame ↑ | | {found['microphone']:.3f}, {found['frame']:.3f} |",
        f"| share of the painted area that lies on them ↓ (without the network {100 * painted['without']:.2f} %) | | "
        f"{100 * painted['with']:.2f} % |",
        f"| mean change between frames where nothing moves ↓ | {change['raw']:.4f} | {change['believed']:.4f} |",
    ]
    clean = [
        "| clean footage | raw false alarms, mean | worst frame | left unpainted, mean | worst frame | frames veiled |",
        "|---|---|---|---|---|---|",
    ]
    for clip, row in facts["clean"].items():
        shares = (f"{100 * row[key]:.3f} %" for key in ("raw_mean", "raw_worst", "shown_mean", "shown_worst"))
        clean.append(f"| `{clip}` | {' | '.join(shares)} | {row['hidden']} of {row['frames']} |")
    alarms = third["false_alarms"]
    shares = (f"{100 * alarms[key]:.2f} %" for key in ("raw_mean", "raw_worst", "shown_mean", "shown_worst"))
    clean.append(f"| `occl_C`, its face | {' | '.join(shares)} | {third['hidden']} of {third['frames']} |")
    return "\n\n".join("\n".join(part) for part in (c, drawn, clean))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=2, help="take one clean frame in so many (occl_C: all)")
    parser.add_argument("--repeats", type=int, default=24, help="pictures of each kind that is drawn")
    parser.add_argument("--tables", action="store_true", help="print the published run's tables")
    parser.add_argument("--pictures", type=Path, help="a folder for contact sheets")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.tables:
        print(tables(json.loads(RESULT.read_bytes())))
        return
    cv2.setNumThreads(1)
    sessions = NetworkSessions(threads=1)
    see, net = Perception(sessions), OcclusionNet(sessions)
    looks, sheets = list(looked("test_A", 10, see)), {"occl_C": []}
    facts = {
        "commit": commit(),
        "surroundings": surroundings("cpu"),
        "network": network_facts(),
        "milliseconds_one_thread": milliseconds(net, looks[0].face),
        "occl_C": on_occl_c(net, see, 1, sheets["occl_C"]),
        "drawn": on_drawn(net, looks, arguments.repeats, sheets),
        "clean": {clip: on_clean(net, see, clip, arguments.every) for clip in CLEAN},
    }
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for name, pictures in sheets.items():
            cv2.imwrite(str(arguments.pictures / f"{name}.png"), np.concatenate(pictures[:12], 1)[..., ::-1])
    arguments.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(tables(facts))


if __name__ == "__main__":
    main()
