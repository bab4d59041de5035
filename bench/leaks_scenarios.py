"""The scenarios of bench/leaks.py: everything that is known to make face trackers lose a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from leaks_scenes import Put, Scene, Shot

COUNT = 40


def _at(index: int, who: str = "A", **where: float | bool) -> Put:
    place: dict[str, float | bool] = {"x": 320.0, "y": 180.0} | where
    return Put(who, index, **place)  # type: ignore[arg-type]


def _scene(name: str, what: str, plan: Callable[[int], Shot], count: int = COUNT, **more: object) -> Scene:
    return Scene(name, what, [plan(index) for index in range(count)], **more)  # type: ignore[arg-type]


def _alone(name: str, what: str, treat: Callable[[np.ndarray], np.ndarray] | None = None, **where: float) -> Scene:
    return _scene(name, what, lambda i: Shot([_at(i, **where)], treat=treat), 15)


def _noise(amount: float) -> Callable[[np.ndarray], np.ndarray]:
    random = np.random.default_rng(5)
    return lambda rgb: np.clip(rgb + random.normal(0, amount, rgb.shape), 0, 255).astype(np.uint8)


def _light(gain: float, offset: float = 0.0, noise: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    random = np.random.default_rng(6)
    return lambda rgb: np.clip(rgb * gain + offset + random.normal(0, noise, rgb.shape), 0, 255).astype(np.uint8)


def _gray(rgb: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _cross(index: int) -> Shot:
    """B walks from right to left before the performer, who walks the other way."""
    return Shot([_at(index, x=120 + 10.0 * index, height=100), _at(index, "B", x=520 - 10.0 * index, height=120)])


def _leave(index: int) -> Shot:
    away = 12 <= index < 28
    return Shot([] if away else [_at(index, x=200 if index < 12 else 430)])


def _shake(index: int) -> Shot:
    random = np.random.default_rng(index)
    x, y = random.uniform(-60, 60), random.uniform(-40, 40)
    return Shot([_at(index, x=320 + x, y=180 + y)])


def _whip(index: int) -> Shot:
    length = 41 if index % 12 in (4, 5, 6, 7) else 1
    x = 320 + 180 * np.sin(index / 3.0)
    return Shot([_at(index, x=x)], treat=lambda rgb: cv2.blur(rgb, (length, 1)))


def _bar(index: int) -> Shot:
    return Shot([_at(index, height=120)], bar=(180 + 7 * index, 240 + 7 * index))


def _flash(index: int) -> Shot:
    bright = index % 8 == 4
    return Shot([_at(index), _at(index, "B", x=520)], treat=_light(3.0, 40) if bright else None)


def _turning(index: int) -> Shot:
    """To a profile's width and back: a stand-in, no clip shows a profile."""
    return Shot([_at(index, height=120, squeeze=float(0.65 + 0.4 * np.cos(2 * np.pi * index / COUNT)))])


def _mirrors(index: int) -> Shot:
    copies = [_at(index, x=110, y=110, height=46, mirrored=True), _at(index, x=540, y=120, height=60)]
    return Shot([*copies, _at(0, x=470, y=280, height=30), _at(index, height=120)])


def _edge(index: int) -> Shot:
    return Shot([_at(index, x=-60 + 5.0 * index)])


def _cut_every(period: int) -> Callable[[int], Shot]:
    """The performer and B take turns at the same place; the background is another one, too."""
    return lambda i: Shot([_at(i, "AB"[i // period % 2])], background=i // period % 2)


def _morph(index: int) -> Shot:
    """B gives way to the performer, at the same place before the same wall, twice."""
    return Shot([_at(index, "BA"[index // 13 % 2])])


def _spin(speed: float) -> Callable[[int], Shot]:
    return lambda i: Shot([_at(i, turn=speed * i)])


def _one_frame(index: int) -> Shot:
    people = [_at(index, "B", x=480)]
    return Shot([*people, _at(index, x=180)] if index % 9 == 5 else people)


def _pass_by(index: int) -> Shot:
    """The performer stands; B, larger, passes right before them and covers them for a while."""
    return Shot([_at(index), _at(index, "B", x=-80 + 20.0 * index, y=190, height=150)])


def scenarios() -> list[Scene]:
    """All of them; about two seconds each."""
    steps_vfr = (1, 1, 3, 1, 2, 8, 1)
    several = [
        _alone("plain", "alone, 100 px high"),
        _scene("side_by_side", "the performer and B", lambda i: Shot([_at(i, x=190), _at(i, "B", x=450)]), 25),
        _scene("beside_look_alike", "the performer and C", lambda i: Shot([_at(i, x=190), _at(i, "C", x=450)]), 25),
        _scene("crossing", "B passes before the performer, both walk", _cross),
        _scene("passed_by", "B passes close before the performer", _pass_by),
        _scene("leaves_and_returns", "gone for 16 frames, back elsewhere", _leave),
        _scene("enters_from_edge", "from outside, partly visible", _edge),
        _scene("copies", "two mirror pictures and a photograph behind", _mirrors, 25),
        _scene("one_frame", "there for one frame in nine, beside B", _one_frame),
    ]
    cuts = [
        _scene("cuts_every_10", "performer and B by turns at one place, new wall", _cut_every(10)),
        _scene("cuts_every_3", "the same, every 3 frames", _cut_every(3), 30),
        _scene("takes_the_place", "performer and B by turns at one place, same wall", _morph, 52),
        _scene("flashes", "one bright frame in eight, B beside", _flash),
    ]
    motion = [
        _scene("shake", "jumps by up to 60 px from frame to frame", _shake, 25),
        _scene("whip", "sways by 60 px a frame, with 41 px of motion blur", _whip),
        _scene("zoom_bursts", "40 to 240 px and back", lambda i: Shot([_at(i, height=140 + 100 * np.sin(i / 3.0))])),
        _scene("bar", "a bar sweeps across", _bar),
        _scene("turning", "squeezed to a quarter and back: a stand-in for a turn to profile", _turning),
        _scene("spin", "turns by 8 degrees a frame", _spin(8.0)),
        _scene("spin_fast", "turns by 37 degrees a frame", _spin(37.0), 25),
        *(_alone(f"turned_{d}", f"turned by {d} degrees all the time", turn=d) for d in (45, 90, 135, 180)),
    ]
    size = [_alone(f"height_{h}", f"{h} px high", height=h) for h in (48, 32, 24, 16, 12)]
    size.append(
        _scene("small_in_hd", "40 px high in 1920×1080, B large beside",
               lambda i: Shot([_at(i, x=400, y=300, height=40), _at(i, "B", x=1400, y=500, height=420)]), 16,
               size_hw=(1080, 1920))
    )  # fmt: skip
    quality = [
        _alone("dark", "7 % of the light, noise", _light(0.07, 0, 2)),
        _alone("over_exposed", "twice the light", _light(2.0)),
        _alone("burnt_out", "three times the light", _light(3.0)),
        _alone("low_contrast", "15 % contrast", _light(0.15, 109)),
        _alone("noise", "noise of 50 codes", _noise(50)),
        _alone("blur", "blurred by 3 % of the face", lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 3)),
        _alone("blur_strong", "blurred by 5 % of the face", lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 5)),
        _alone("grayscale", "without colour", _gray),
        _alone("negative_contrast", "a photographic negative", lambda rgb: 255 - rgb),
        replace(_alone("crf_40", "H.264 at CRF 40", height=60), crf=40),
        replace(_alone("crf_51", "H.264 at CRF 51", height=100), crf=51),
        _scene("mirrored", "mirrored", lambda i: Shot([_at(i, mirrored=True)]), 25),
        replace(_scene("fps_12", "12 frames a second", lambda i: Shot([_at(2 * i, x=120 + 16.0 * i)]), 25), rate=12),
        replace(_scene("vfr", "variable frame rate", lambda i: Shot([_at(i, x=120 + 8.0 * i)])), steps=steps_vfr),
    ]
    others = [
        _scene("only_b", "B alone, plain", lambda i: Shot([_at(i, "B")]), 25),
        _scene("only_c", "C alone, plain", lambda i: Shot([_at(i, "C")]), 25),
    ]
    return [*several, *cuts, *motion, *size, *quality, *others]
