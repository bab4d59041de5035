"""Flicker and the tone step on pictures that are made up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from countenance import geometry
from countenance.evaluation.flicker import FlickerMeter
from countenance.evaluation.tone import skin_around, tone_step


def _moving(count: int = 8, noise: float = 2.0) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    base = cv2.GaussianBlur(random.uniform(0, 255, (128, 160, 3)).astype(np.float32), (0, 0), 3.0)
    base = np.clip((base - base.mean()) * 6.0 + 128.0, 0, 255)
    return [
        np.clip(np.roll(base, 2 * t, axis=1) + random.normal(0, noise, base.shape), 0, 255).astype(np.uint8)
        for t in range(count)
    ]


def _face() -> np.ndarray:
    mask = np.zeros((128, 160), np.float32)
    mask[30:100, 40:120] = 1.0
    return mask


def _ratio(footage: list[np.ndarray], swap: list[np.ndarray]) -> float:
    meter = FlickerMeter()
    for plain, swapped in zip(footage, swap, strict=True):
        meter.add(plain, swapped, _face())
    ratio = meter.ratio()
    assert ratio is not None
    return ratio


def test_the_footage_itself_is_at_one() -> None:
    clip = _moving()
    assert _ratio(clip, clip) == 1.0


def test_a_face_whose_brightness_trembles_flickers() -> None:
    clip = _moving()
    ratios = [
        _ratio(clip, [cv2.add(p, (step * (t % 2),) * 3) for t, p in enumerate(clip)]) for step in (0.0, 4.0, 12.0)
    ]
    assert ratios[0] < ratios[1] < ratios[2]
    assert ratios[2] > 2.0


def test_a_frozen_face_does_not_move_with_the_footage_and_a_soft_one_flickers_less() -> None:
    clip = _moving()
    assert _ratio(clip, [clip[0]] * len(clip)) > 1.5
    assert _ratio(clip, [cv2.GaussianBlur(p, (0, 0), 2.0) for p in clip]) < 0.8  # documented: what fools it


def test_nothing_is_measured_across_a_gap() -> None:
    clip = _moving(4)
    meter = FlickerMeter()
    for t, picture in enumerate(clip):
        meter.add(picture, picture, _face() if t % 2 == 0 else None)
    assert meter.ratio() is None
    assert FlickerMeter().ratio() is None


@pytest.fixture
def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head of one skin colour before a green wall: picture, mask of the face, landmarks."""
    points = np.concatenate([geometry.template(200), np.zeros((10, 2), np.float32)]) + np.float32(60.0)
    picture = np.full((330, 330, 3), (40, 120, 60), np.uint8)
    skin = (190, 150, 130)
    cv2.ellipse(picture, (160, 155), (85, 130), 0.0, 0.0, 360.0, skin, -1)
    picture[230:, 110:210] = skin
    mask = np.zeros((330, 330), np.float32)
    cv2.fillConvexPoly(mask, np.rint(geometry.face_hull(points)).astype(np.int32), 1.0)
    return picture, mask, points


def test_one_skin_has_no_step_and_a_paler_face_has(head: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    picture, mask, points = head
    where = skin_around(picture, mask, points)
    assert where is not None
    assert not (where.face & where.around).any()
    assert tone_step(picture, where) == pytest.approx(0.0, abs=1e-4)
    steps = []
    for change in (5, 15, 30):
        swap = picture.copy()
        swap[mask > 0] += np.uint8(change)
        steps.append(tone_step(swap, where))
    assert 0.5 < steps[0] < steps[1] < steps[2]


def test_the_wall_and_a_label_are_no_skin(head: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    picture, mask, points = head
    where = skin_around(picture, mask, points)
    assert where is not None
    assert (picture[where.around] == (190, 150, 130)).all()
    covered = np.zeros(mask.shape, bool)
    covered[230:] = True
    less = skin_around(picture, mask, points, covered)
    assert less is not None
    assert not less.around[230:].any()
    covered[:] = True
    assert skin_around(picture, mask, points, covered) is None
