"""Trains the occlusion network on the synthetic performers' training clips and drawn occluders; writes its ONNX file.

    OMP_NUM_THREADS=1 python tools/train_occlusion.py --out src/countenance/data/occlusion.onnx

Nobody real is in it: two rendered people, everything else drawn (tools/occluders.py). The seed is fixed, and the budget
is counted in steps. The test clips and ``occl_C`` are never opened. What it prints at the end (SHA-256) belongs into
``perception/cards.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from drawing import CROP, Layer, Scene, linear, noise
from occluders import TRAINED
from occlusion_unet import OcclusionUNet, export, loss_of

from countenance import geometry
from countenance.conversion.swap import align
from countenance.media.read import read_frames
from countenance.perception.occlusion import SIDE, feature_planes
from countenance.perception.perceive import Perception

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Rng = np.random.Generator

CLIPS = Path(str(files("countenance") / "data" / "performers"))
CHANCE = {"hand": 6, "microphone": 3, "glasses": 4, "hair": 3, "cup": 2, "sheet": 2, "cloth": 3, "blob": 3, "bar": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """An aligned face: ``visible`` is 1 on the face, 0 on hair, and counts where ``certain`` is 1; all CROP × CROP."""

    rgb: NDArray[np.uint8]
    points_xy: Array
    visible: Array
    certain: Array


def faces(clip: str, every: int, see: Perception) -> list[Base]:
    """Aligned faces of a clip with their ground truth."""
    found = []
    for frame, mask in zip(*(read_frames(CLIPS / f"{name}.mp4") for name in (clip, f"{clip}_mask")), strict=True):
        if frame.index % every:
            continue
        landmarks = see.mesh(frame.rgb, see.detector(frame.rgb)[0])
        matrix = geometry.aligned_from_frame(landmarks.points_xy, CROP)
        crop = align(frame.rgb, landmarks, matrix, CROP)
        closed = cv2.morphologyEx(mask.rgb[..., 0], cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        region = geometry.warp(closed, matrix, (CROP, CROP)).astype(np.float32) / 255.0
        found.append(Base(crop.rgb, crop.landmarks.points_xy, *_truth(crop.rgb, region)))
    return found


def _truth(rgb: NDArray[np.uint8], region: Array) -> tuple[Array, Array]:
    """What is certain about a clean picture.

    The clips' masks fade out over temples and turned cheeks, where nothing is in front: there, skin by its colour is
    visible, what is much darker is hair, and the rest counts for nothing.
    """
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    face = np.median(lab[region > 0.95], axis=0)
    near = cv2.GaussianBlur(lab, (0, 0), 2)
    skin = (np.hypot(near[..., 1] - face[1], near[..., 2] - face[2]) < 12) & (near[..., 0] > 0.55 * face[0])
    hair = (region < 0.3) & (near[..., 0] < 0.42 * face[0])
    visible = (region > 0.9) | (skin & ~hair)
    return visible.astype(np.float32), (visible | hair).astype(np.float32)


def _warped(rng: Rng, base: Base) -> Base:
    """Another shape of the face: stretched, bent and a little beside its place."""
    grid = rng.normal(0, 5.0 * rng.random(), (5, 5, 2)).astype(np.float32)
    bend = cv2.resize(grid, (CROP, CROP), interpolation=cv2.INTER_CUBIC)
    turn, scale = np.radians(rng.normal(0, 3)), 1 + rng.normal(0, 0.04, 2)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    middle, shift = (CROP - 1) / 2, rng.normal(0, 2.5, 2)
    y, x = np.mgrid[:CROP, :CROP].astype(np.float32)
    at = (
        np.stack([x - middle, y - middle], -1) @ matrix.T.astype(np.float32)
        + (middle + shift).astype(np.float32)
        + bend
    )
    at = at.astype(np.float32)

    def moved(picture: Array) -> Array:
        return np.asarray(cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))

    # Where a point goes: the map's inverse, by two steps of fixed-point iteration.
    inverse = np.linalg.inv(matrix)
    points = (base.points_xy - middle - shift) @ inverse.T + middle
    for _ in range(2):
        near = np.clip(np.rint(points).astype(int), 0, CROP - 1)
        points = (base.points_xy - bend[near[:, 1], near[:, 0]] - middle - shift) @ inverse.T + middle
    return Base(moved(base.rgb), points.astype(np.float32), moved(base.visible), np.floor(moved(base.certain) + 1e-3))


def _tone(rng: Rng, base: Base) -> NDArray[np.uint8]:
    """Another complexion, apart from what is around it, and another hair colour."""
    steps = np.linspace(0, 1, 256)[:, None]

    def table(gamma: float, spread: float, gain: float) -> NDArray[np.uint8]:
        curve = gain * steps ** (gamma * np.exp(rng.normal(0, spread, 3)))
        return np.clip(curve * 255, 0, 255).astype(np.uint8)[None]

    skin = cv2.LUT(base.rgb, table(float(np.exp(rng.uniform(-0.6, 1.0))), 0.12, rng.uniform(0.75, 1.15)))
    rest = cv2.LUT(base.rgb, table(float(np.exp(rng.normal(0, 0.5))), 0.25, rng.uniform(0.6, 1.3)))
    where = cv2.GaussianBlur(base.visible, (0, 0), 1.5)[..., None]
    return np.asarray(rest + where * (skin.astype(np.float32) - rest), np.float32).astype(np.uint8)


def _loop(points: Array, numbers: tuple[int, ...], blur: float) -> Array:
    drawn = np.zeros((CROP, CROP), np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(points[list(numbers)]).astype(np.int32)), 255)
    return cv2.GaussianBlur(drawn.astype(np.float32) / 255.0, (0, 0), blur)


_JAW = (234, 93, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 323, 454, 280, 326, 2, 97, 50)
_UPPER_LIP = (92, 165, 167, 164, 393, 391, 322, 270, 0, 40)
_LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 405, 17, 181, 91)
_BROWS = ((70, 105, 107, 55, 52, 46), (300, 334, 336, 285, 282, 276))
_EYES = ((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373))


def _decorated(rng: Rng, rgb: Array, points: Array) -> Array:
    """Beard, brows, make-up, freckles, moles and wrinkles: they belong to the face."""

    def over(colour: Array, alpha: Array) -> None:
        nonlocal rgb
        rgb = rgb + alpha[..., None] * (colour - rgb)

    hair = np.array((0.12, 0.08, 0.06)) * rng.uniform(0.3, 4.0) * (1 + rng.normal(0, 0.15, 3))
    if rng.random() < 0.45:
        area = _loop(points, _JAW if rng.random() < 0.75 else _UPPER_LIP, rng.uniform(2, 8))
        area = area * (1 - (rng.random() < 0.7) * _loop(points, _LIPS, 1.5))
        dense = rng.uniform(0.2, 0.75)
        strands = np.clip((noise(rng, int(rng.integers(7, 15))) + 0.4 * noise(rng, 3) - 0.2 - dense) * -6, 0, 1)
        over(hair.astype(np.float32), area * strands * rng.uniform(0.3, 1.0))
    if rng.random() < 0.4:
        for brow in _BROWS:
            over(hair.astype(np.float32), _loop(points, brow, 2) * noise(rng, int(rng.integers(7, 15))) * rng.random())
    if rng.random() < 0.3:
        over(
            rng.uniform(0.1, 0.9, 3).astype(np.float32) * [1, 0.4, 0.5],
            _loop(points, _LIPS, 1.0) * rng.uniform(0.2, 0.8),
        )
    if rng.random() < 0.25:
        shade = rng.uniform(0.0, 0.7, 3).astype(np.float32)
        for eye in _EYES:
            over(shade, np.clip(_loop(points, eye, rng.uniform(3, 7)) * 1.5, 0, 1) * rng.uniform(0.1, 0.7))
    if rng.random() < 0.3:
        over(np.float32([0.3, 0.16, 0.1]), (noise(rng, 2) > rng.uniform(0.85, 0.97)) * rng.uniform(0.1, 0.5))
    if rng.random() < 0.4:
        lines = np.zeros((CROP, CROP), np.uint8)
        for _ in range(int(rng.integers(1, 9))):
            start = points[int(rng.integers(468))]
            middle = start + rng.normal(0, 14, 2)
            bend = np.stack([start, middle, middle + (middle - start) + rng.normal(0, 4, 2)])
            cv2.polylines(lines, [np.rint(bend).astype(np.int32)], False, 255, int(rng.choice([1, 1, 2])), cv2.LINE_AA)
        depth = cv2.GaussianBlur(lines.astype(np.float32) / 255.0, (0, 0), rng.uniform(0.7, 2))
        rgb = rgb * (1 - rng.uniform(0.1, 0.5) * depth)[..., None]
    return rgb


def _lit(rng: Rng, light: Array) -> Array:
    """Light from a side, shadows soft and hard, shine: in linear light."""
    y, x = np.mgrid[-1 : 1 : CROP * 1j, -1 : 1 : CROP * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    factor = 1 + rng.uniform(0, 0.7) * (x * np.cos(angle) + y * np.sin(angle))
    factor = factor * (1 + rng.uniform(0, 0.8) * (noise(rng, 5) - 0.5))
    if rng.random() < 0.4:  # a shadow with an edge
        field = noise(rng, int(rng.choice([4, 5])))
        if rng.random() < 0.5:
            field = 0.5 + x * np.cos(angle) - y * np.sin(angle) + rng.normal(0, 0.3)
        edge = np.clip((field - rng.uniform(0.3, 0.7)) * rng.uniform(2, 40) + 0.5, 0, 1)
        factor = factor * (1 - rng.uniform(0.2, 0.8) * edge)
    light = light * np.maximum(factor, 0.05)[..., None]
    if rng.random() < 0.3:
        shine = np.clip((noise(rng, 4) - rng.uniform(0.6, 0.85)) * 5, 0, 1)
        light = light + (rng.uniform(0.1, 1.2) * float(light.mean()) * shine)[..., None]
    return np.asarray(light, np.float32)


def _kernel(rng: Rng) -> Array | None:
    """Defocus or motion, or none."""
    kind = rng.random()
    if kind < 0.4:
        return None
    size = int(rng.choice([3, 5, 7, 11, 17], p=[0.3, 0.3, 0.2, 0.12, 0.08]))
    kernel = np.zeros((size, size), np.float32)
    if kind < 0.7:
        cv2.circle(kernel, (size // 2, size // 2), size // 2, 1.0, -1)
    else:
        angle = rng.uniform(0, np.pi)
        ray = np.array([np.cos(angle), np.sin(angle)]) * size / 2
        cv2.line(kernel, *(tuple(int(v) for v in np.rint(size // 2 + s * ray)) for s in (-1, 1)), 1.0, 1, cv2.LINE_AA)
    return kernel / kernel.sum()


def composed(rng: Rng, light: Array, layer: Layer) -> tuple[Array, Array]:
    """An occluder laid over a face, both in linear light, with its shadow: the light, and the occluder's coverage."""
    over, alpha = linear(layer.rgb) * layer.alpha[..., None], layer.alpha
    kernel = _kernel(rng)
    if kernel is not None:
        over, alpha = cv2.filter2D(over, -1, kernel), cv2.filter2D(alpha, -1, kernel)
    if layer.shadow > 0 and rng.random() < 0.8:
        soft, shift = rng.uniform(2, 14), rng.normal(0, 6, 2)
        moved = np.roll(
            cv2.resize(alpha, (64, 64), interpolation=cv2.INTER_AREA), tuple(np.rint(shift / 4).astype(int)), (0, 1)
        )
        cast = cv2.resize(cv2.GaussianBlur(moved, (0, 0), soft / 4 + 0.3), (CROP, CROP))
        light = light * (1 - layer.shadow * cast)[..., None]
    over = over * rng.uniform(0.6, 1.3)
    return np.asarray(over + light * (1 - alpha)[..., None], np.float32), np.clip(alpha, 0, 1)


def _as_filmed(rng: Rng, light: Array) -> NDArray[np.uint8]:
    """Exposure, white balance, softness, noise, a small scale and compression: uint8 (SIDE, SIDE, 3)."""
    gain = np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
    rgb = np.sqrt(np.clip(light * gain, 0, 1)) ** np.float32(np.exp(rng.normal(0, 0.12)))
    side = int(rng.choice([CROP, 176, 128, 96, 64, 44], p=[0.25, 0.25, 0.2, 0.12, 0.1, 0.08]))
    if side != CROP:
        rgb = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.5:
        rgb = (
            rgb + noise(rng, 0, side)[..., None] * rng.uniform(0, 0.12) + rng.normal(0, rng.uniform(0, 0.03), rgb.shape)
        )
    codes = np.clip(rgb * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        _, packed = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 92))])
        codes = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(codes if side == SIDE else cv2.resize(codes, (SIDE, SIDE), interpolation=how), np.uint8)


def sample(rng: Rng, base: Base, kind: str | None = None) -> NDArray[np.uint8]:
    """One example, uint8 (9, SIDE, SIDE): picture, four planes, what is visible, and how much that counts."""
    face = _warped(rng, base)
    rgb = _tone(rng, face).astype(np.float32) / 255.0
    light = _lit(rng, linear(_decorated(rng, rgb, face.points_xy)))
    visible, certain = face.visible, face.certain
    names, odds = list(CHANCE), np.array(list(CHANCE.values())) / sum(CHANCE.values())
    count = int(rng.choice([0, 1, 2], p=[0.3, 0.55, 0.15])) if kind is None else 1
    for name in rng.choice(names, count, p=odds) if kind is None else [kind]:
        codes = (np.sqrt(np.clip(light, 0, 1)) * 255).astype(np.uint8)
        light, covered = composed(rng, light, TRAINED[name](rng, Scene(face.points_xy, codes)))
        visible, certain = visible * (1 - covered), np.maximum(certain, (covered > 0.3).astype(np.float32))
    marks = face.points_xy + rng.normal(0, 2.0, 2) + rng.normal(0, 0.7, face.points_xy.shape)
    planes = feature_planes(marks.astype(np.float32), CROP)
    small = [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in (visible, certain)]
    inside = cv2.dilate(planes[0], np.ones((7, 7), np.uint8)) > 127
    truth = np.stack([small[0] * 255, np.floor(small[1] + 1e-3) * inside * 255]).astype(np.uint8)
    made = np.concatenate([_as_filmed(rng, light).transpose(2, 0, 1), planes, truth])
    return made[..., ::-1] if rng.random() < 0.5 else made


class Examples:
    """A ring of examples: a quarter of each batch is new, the rest is seen again in other colours."""

    def __init__(self, bases: list[Base], seed: int, held: int) -> None:
        self._bases, self._rng = bases, np.random.default_rng(seed)
        self._ring = np.empty((held, 9, SIDE, SIDE), np.uint8)
        self._made = 0

    def add(self, count: int) -> None:
        for _ in range(count):
            base = self._bases[int(self._rng.integers(len(self._bases)))]
            self._ring[self._made % len(self._ring)] = sample(self._rng, base)
            self._made += 1

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        picked = self._rng.integers(0, min(self._made, len(self._ring)), size)
        both = torch.from_numpy(self._ring[picked]).float() / 255.0
        gain = torch.from_numpy(
            np.exp(self._rng.normal(0, 0.15, (size, 1, 1, 1)) + self._rng.normal(0, 0.05, (size, 3, 1, 1)))
        )
        both[:, :3] = (both[:, :3] * gain.float()).clamp(max=1.0)
        if self._rng.random() < 0.5:
            both = both.flip(3)
        return both[:, :7] - 0.5, both[:, 7:8], both[:, 8:9]


def train(bases: list[Base], steps: int, *, planes: int = 4, seed: int = 7, batch: int = 16) -> OcclusionUNet:
    """The trained network; everything in it follows from the arguments."""
    torch.manual_seed(seed)
    net = OcclusionUNet(planes)
    examples = Examples(bases, seed, held=8000)
    examples.add(50 * batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    mean, began = 0.0, time.process_time()
    for step in range(steps):
        examples.add(batch // 4)
        pictures, visible, counts = examples.batch(batch)
        loss = loss_of(net(pictures), visible, counts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = float(loss.detach()) if step == 0 else 0.98 * mean + 0.02 * float(loss.detach())
        if step % 100 == 99:
            print(f"step {step + 1}: loss {mean:.4f}, {time.process_time() - began:.0f} s of CPU", flush=True)
    return net.eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--planes", type=int, default=4, choices=(0, 1, 4), help="how many planes of landmarks it sees")
    parser.add_argument("--every", type=int, default=3, help="take one frame in so many")
    arguments = parser.parse_args()
    see = Perception()
    bases = [face for clip in ("train_A", "train_B") for face in faces(clip, arguments.every, see)]
    began = time.process_time()
    net = train(bases, arguments.steps, planes=arguments.planes)
    export(net, arguments.out)
    facts = {
        "bases": len(bases),
        "steps": arguments.steps,
        "cpu_seconds": round(time.process_time() - began),
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "bytes": arguments.out.stat().st_size,
        "sha256": hashlib.sha256(arguments.out.read_bytes()).hexdigest(),
    }
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
