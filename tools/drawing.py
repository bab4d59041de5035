"""Shapes, surfaces and light for tools/occluders.py: nothing photographed, all from a seeded generator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance import geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Rng = np.random.Generator

__all__ = [
    "CROP",
    "SUBPIXEL_BITS",
    "Layer",
    "Scene",
    "capsule",
    "circle",
    "colour_of",
    "curve",
    "hair_colour",
    "light_of",
    "line_of",
    "linear",
    "lit",
    "noise",
    "polygon",
    "rounded",
    "skin_colour",
    "stroke",
    "texture",
    "turned",
]

CROP = geometry.CROP_SIZE
SUBPIXEL_BITS = 4
_HAIR = ((22, 18, 16), (45, 30, 22), (80, 52, 34), (150, 110, 66), (205, 170, 120), (150, 145, 140), (120, 50, 28))
_SKIN = ((241, 205, 182), (224, 172, 140), (198, 140, 104), (150, 98, 68), (105, 66, 46), (64, 42, 32))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The face to draw before: ``points_xy`` float32 (478, 2) and ``rgb`` uint8 (CROP, CROP, 3)."""

    points_xy: Array
    rgb: NDArray[np.uint8]

    def skin(self) -> Array:
        """The colour of a cheek, sRGB 0..1."""
        x, y = np.clip(np.rint(self.points_xy[(50, 280)[int(self.rgb[0, 0, 0]) % 2]]).astype(int), 4, CROP - 5)
        return np.asarray(self.rgb[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3).mean(0) / 255.0, np.float32)

    def somewhere(self, rng: Rng) -> Array:
        """A point of the face."""
        return np.asarray(self.points_xy[int(rng.integers(468))] + rng.normal(0, 6, 2), np.float32)


@dataclass(slots=True, eq=False)
class Layer:
    """``rgb`` sRGB 0..1 (CROP, CROP, 3), ``alpha`` (CROP, CROP) in 0..1; ``shadow`` is how dark a shadow it casts."""

    rgb: Array
    alpha: Array
    shadow: float = 0.5

    def over(self, below: Layer) -> Layer:
        """This one on top of another one."""
        keep = self.alpha[..., None]
        both = self.alpha + below.alpha * (1.0 - self.alpha)
        rgb = (self.rgb * keep + below.rgb * below.alpha[..., None] * (1.0 - keep)) / np.maximum(both, 1e-4)[..., None]
        return Layer(rgb, both, max(self.shadow, below.shadow))


def linear(rgb: Array) -> Array:
    """Light of sRGB 0..1, by the square: near enough for pictures to learn from."""
    return np.square(rgb)


@lru_cache(maxsize=1)
def _bank() -> list[NDArray[np.uint8]]:
    """Noise fields of 1024 × 1024: smooth, fine, streaky in eight directions."""
    rng = np.random.default_rng(5)
    fields = []
    for sigma in (0.7, 1.2, 2.5, 6.0, 14.0, 40.0):
        fields.append(cv2.GaussianBlur(rng.normal(0, 1, (1024, 1024)).astype(np.float32), (0, 0), sigma))
    fields.append(
        sum(field / field.std() * weight for field, weight in zip(fields, (1, 1, 1.5, 2, 2.5, 3), strict=True))
    )
    for angle in np.arange(8) * np.pi / 8:
        kernel = np.zeros((31, 31), np.float32)
        ray = np.array([np.cos(angle), np.sin(angle)]) * 14
        cv2.line(kernel, *(tuple(int(v) for v in np.rint(15 + s * ray)) for s in (-1, 1)), 1.0, 1, cv2.LINE_AA)
        fields.append(cv2.filter2D(rng.normal(0, 1, (1024, 1024)).astype(np.float32), -1, kernel / kernel.sum()))
    scaled = []
    for field in fields:
        low, high = np.percentile(field, (1, 99))
        scaled.append((np.clip((field - low) / (high - low), 0, 1) * 255).astype(np.uint8))
    return scaled


def noise(rng: Rng, kind: int | None = None, size: int = CROP) -> Array:
    """A window of a noise field, 0..1: kinds 0 to 5 from fine to coarse, 6 all of them, 7 to 14 streaks."""
    field = _bank()[int(rng.integers(15)) if kind is None else kind]
    y, x = rng.integers(0, 1024 - size, 2)
    window = field[y : y + size, x : x + size]
    if rng.random() < 0.5:
        window = window[:, ::-1]
    return window.astype(np.float32) / 255.0


def colour_of(rng: Rng) -> Array:
    """Any colour; dark, pale and dull ones oftener than gaudy ones."""
    value, saturation = rng.choice([rng.uniform(0.02, 0.3), rng.uniform(0.2, 1.0)]), rng.beta(1.2, 2.0)
    hue = rng.random(3)
    hue = (hue - hue.min()) / max(float(np.ptp(hue)), 1e-3)
    return np.asarray(value * (1.0 - saturation * (1.0 - hue)), np.float32)


def skin_colour(rng: Rng, scene: Scene) -> Array:
    """Half of the hands have the skin of the face that they cover."""
    if rng.random() < 0.5:
        return np.clip(scene.skin() * rng.uniform(0.8, 1.2), 0.02, 1.0).astype(np.float32)
    a, b = rng.choice(len(_SKIN), 2)
    mix = rng.random()
    return np.asarray((np.array(_SKIN[a]) * mix + np.array(_SKIN[b]) * (1 - mix)) / 255.0, np.float32)


def hair_colour(rng: Rng) -> Array:
    if rng.random() < 0.1:
        return colour_of(rng)
    colour = np.array(_HAIR[int(rng.integers(len(_HAIR)))]) / 255.0
    return np.asarray(np.clip(colour * rng.uniform(0.7, 1.3), 0.02, 1.0), np.float32)


def texture(rng: Rng, scene: Scene) -> Array:
    """A surface: plain, mottled, striped, checked, dotted, woven, printed, or the face's own skin turned about."""
    kind = rng.choice(
        ["plain", "mottled", "stripes", "checks", "dots", "skin", "picture"],
        p=[0.25, 0.3, 0.12, 0.08, 0.08, 0.09, 0.08],
    )
    a, b = colour_of(rng), colour_of(rng)
    if kind in ("skin", "picture"):
        turned = np.rot90(scene.rgb, int(rng.integers(1, 4))) if kind == "picture" else scene.rgb[::-1]
        shift = rng.integers(-60, 60, 2)
        return np.roll(turned, tuple(shift), (0, 1)).astype(np.float32) / 255.0
    y, x = np.mgrid[:CROP, :CROP].astype(np.float32)
    angle, step = rng.uniform(0, np.pi), rng.uniform(4, 50)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    mix = np.zeros((CROP, CROP), np.float32)
    if kind == "mottled":
        mix = noise(rng)
    elif kind == "stripes":
        mix = np.clip(np.sin(along * (2 * np.pi / step)) * 4 + 0.5, 0, 1)
    elif kind == "checks":
        mix = np.clip(np.sin(along * (2 * np.pi / step)) * np.sin(across * (2 * np.pi / step)) * 6 + 0.5, 0, 1)
    elif kind == "dots":
        mix = np.clip((np.hypot(along % step - step / 2, across % step - step / 2) - step * 0.3) * -1, 0, 1)
    rgb = a + (b - a) * mix[..., None]
    grain = noise(rng, int(rng.choice([0, 1, 2, 7, 9, 11])))[..., None] - 0.5
    return np.asarray(np.clip(rgb * (1 + rng.uniform(0, 0.4) * grain), 0, 1), np.float32)


def polygon(points: Array) -> Array:
    mask = np.zeros((CROP, CROP), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask.astype(np.float32) / 255.0


def stroke(mask: NDArray[np.uint8], points: Array, width: float, closed: bool = False) -> None:
    cv2.polylines(
        mask,
        [np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32)],
        closed,
        255,
        max(1, round(width)),
        cv2.LINE_AA,
        SUBPIXEL_BITS,
    )


def line_of(points: Array, width: float, closed: bool = False) -> Array:
    mask = np.zeros((CROP, CROP), np.uint8)
    stroke(mask, points, width, closed)
    return mask.astype(np.float32) / 255.0


def rounded(mask: Array, radius: float) -> Array:
    """Height in pixels of a body with rounded edges that fills a mask."""
    inside = np.minimum(cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3), radius)
    return np.sqrt(np.maximum(2 * radius * inside - inside * inside, 0.0))


def lit(rgb: Array, height: Array, light: Array, ambient: float) -> Array:
    """A surface under one light (Lambert) and what comes from all around."""
    height = cv2.GaussianBlur(height, (0, 0), 1.2)
    x, y = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
    facing = (light[2] - x * light[0] - y * light[1]) / np.sqrt(1.0 + x * x + y * y)
    shade = np.sqrt(np.maximum(ambient + (1.0 - ambient) * np.maximum(facing, 0.0), 0.0))
    return np.asarray(np.clip(rgb * shade[..., None], 0, 1), np.float32)


def light_of(rng: Rng) -> tuple[Array, float]:
    light = np.array([rng.normal(0, 0.7), rng.normal(-0.4, 0.6), 1.0])
    return (light / np.linalg.norm(light) * rng.uniform(0.9, 1.4)).astype(np.float32), float(rng.uniform(0.2, 0.7))


def circle(middle: Array, radius: float, count: int = 40) -> Array:
    turn = np.arange(count) * (2 * np.pi / count)
    return np.asarray(middle + radius * np.stack([np.cos(turn), np.sin(turn)], 1), np.float32)


def capsule(chain: Array, widths: Array) -> Array:
    """A limb: the hulls of neighbouring joints, drawn as one."""
    mask = np.zeros((CROP, CROP), np.uint8)
    for (a, b), (u, v) in zip(pairwise(chain), pairwise(widths), strict=True):
        both = np.concatenate([circle(a, u / 2, 16), circle(b, v / 2, 16)])
        hull = cv2.convexHull(both)[:, 0]
        cv2.fillConvexPoly(mask, np.rint(hull * (1 << SUBPIXEL_BITS)).astype(np.int32), 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask.astype(np.float32) / 255.0


def curve(a: Array, b: Array, c: Array, count: int = 12) -> Array:
    t = np.linspace(0, 1, count)[:, None]
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c, np.float32)


def turned(points: Array, middle: Array, angle: float) -> Array:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ rotation.T + middle, np.float32)
