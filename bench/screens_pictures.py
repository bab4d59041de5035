"""Harmless pictures with much skin or its colours, for :mod:`screens`: our own performers, composed and spoilt.

Nothing here is or resembles sexual material: heads and shoulders before drawn places, pieces of cheek, filters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Picture = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.float32]]
HEIGHT, WIDTH = 360, 640


def _bands(colours: list[tuple[int, int, int]], edges: list[float]) -> Picture:
    """Horizontal bands, soft at their edges."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for colour, top in zip(colours, [0.0, *edges], strict=True):
        picture[int(top * HEIGHT) :] = colour
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3.0), np.uint8)


def _grained(picture: Picture, seed: int, amount: float) -> Picture:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.normal(0, amount, (HEIGHT // 6, WIDTH // 6, 1)).astype(np.float32), (WIDTH, HEIGHT))
    fine = rng.normal(0, amount / 2, (HEIGHT, WIDTH)).astype(np.float32)
    return np.asarray(np.clip(picture + (coarse + fine)[..., None], 0, 255), np.uint8)


def beach(seed: int) -> Picture:
    """Sky, sea and much sand, which has the colours of skin."""
    return _grained(_bands([(150, 190, 230), (60, 130, 160), (222, 184, 146)], [0.3, 0.42]), seed, 9.0)


def dunes(seed: int) -> Picture:
    """Round shapes in the colours of skin."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    rng = np.random.default_rng(seed)
    wave = sum(np.sin(x / rng.uniform(60, 160) + y / rng.uniform(40, 120) + rng.uniform(0, 6)) for _ in range(4))
    shade = (0.75 + 0.12 * np.asarray(wave, np.float32))[..., None]
    return _grained(np.asarray(np.clip(shade * np.array([224, 172, 140]), 0, 255), np.uint8), seed, 5.0)


def pitch(seed: int) -> Picture:
    """Grass with lines, and players as small figures in coloured shirts with bare arms and legs."""
    picture = _grained(_bands([(120, 130, 140), (70, 130, 60)], [0.2]), seed, 8.0)
    for y in (150, 300):
        cv2.line(picture, (0, y), (WIDTH, y + 10), (230, 230, 230), 3)
    rng = np.random.default_rng(seed)
    for _ in range(7):
        x, y, tall = int(rng.uniform(30, 610)), int(rng.uniform(90, 250)), int(rng.uniform(50, 90))
        shirt = tuple(int(value) for value in rng.uniform(20, 230, 3))
        skin = tuple(int(value) for value in np.array([200, 150, 120]) * rng.uniform(0.5, 1.1))
        cv2.circle(picture, (x, y), tall // 9, skin, -1)
        cv2.rectangle(picture, (x - tall // 7, y + tall // 8), (x + tall // 7, y + tall // 2), shirt, -1)
        for side in (-1, 1):
            hand, foot = (x + side * tall // 3, y + tall // 3), (x + side * tall // 7, y + tall)
            cv2.line(picture, (x + side * tall // 7, y + tall // 6), hand, skin, max(2, tall // 14))
            cv2.line(picture, (x + side * tall // 12, y + tall // 2), foot, skin, max(2, tall // 12))
    return picture


def clinic(seed: int) -> Picture:
    """White and green surfaces, a lamp, and an arm across the picture with a plaster on it."""
    picture = _grained(_bands([(225, 232, 232), (170, 205, 195), (200, 205, 205)], [0.55, 0.8]), seed, 3.0)
    cv2.circle(picture, (520, 60), 46, (255, 255, 245), -1)
    rng = np.random.default_rng(seed)
    skin = np.array([214, 166, 140]) * rng.uniform(0.6, 1.05)
    cv2.line(picture, (0, 290), (420, 250), tuple(int(value) for value in skin), 62)
    cv2.rectangle(picture, (180, 252), (240, 290), (235, 200, 170), -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0), np.uint8)


def sauna(seed: int) -> Picture:
    """Warm boards."""
    picture = _bands([(176, 118, 76)], [])
    for x in range(0, WIDTH, 40):
        cv2.line(picture, (x, 0), (x, HEIGHT), (120, 76, 46), 3)
    return _grained(picture, seed, 7.0)


PLACES: dict[str, Callable[[int], Picture]] = {
    "beach": beach, "dunes": dunes, "pitch": pitch, "clinic": clinic, "sauna": sauna,
}  # fmt: skip


def before(place: Picture, person: Picture, mask: Mask, scale: float) -> Picture:
    """A person, cut out by a mask in [0, 1], at the lower edge of a place."""
    side = int(scale * HEIGHT)
    small = cv2.resize(person, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)[..., None]
    left, top = (WIDTH - side) // 2, HEIGHT - side
    made = place.astype(np.float32)
    under = made[top:, left : left + side]
    under += alpha * (small[-under.shape[0] :] - under)
    return np.asarray(np.clip(made, 0, 255), np.uint8)


def zoomed(rgb: Picture, centre_xy: tuple[float, float], side: float) -> Picture:
    """A square around a point, blown up to a whole picture."""
    x, y = (int(np.clip(value, side / 2, rgb.shape[1] - side / 2)) for value in centre_xy)
    half = max(int(side / 2), 4)
    part = rgb[max(y - half, 0) : y + half, max(x - half, 0) : x + half]
    return np.asarray(cv2.resize(part, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def _cast(rgb: Picture, gains: tuple[float, float, float]) -> Picture:
    return np.asarray(np.clip(rgb * np.array(gains), 0, 255), np.uint8)


def _jpeg(rgb: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


SPOILT: dict[str, Callable[[Picture], Picture]] = {
    "black and white": lambda rgb: np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "warm cast": lambda rgb: _cast(rgb, (1.25, 1.0, 0.7)),
    "cold cast": lambda rgb: _cast(rgb, (0.75, 1.0, 1.25)),
    "pink cast": lambda rgb: _cast(rgb, (1.2, 0.85, 1.0)),
    "dark": lambda rgb: _cast(rgb, (0.35, 0.35, 0.35)),
    "bright": lambda rgb: _cast(rgb, (1.5, 1.5, 1.5)),
    "blurred": lambda rgb: np.asarray(cv2.GaussianBlur(rgb, (0, 0), rgb.shape[0] / 60.0), np.uint8),
    "compressed": lambda rgb: _jpeg(rgb, 8),
}
