"""Sharpness and grain of the footage, given to a painted face."""

import cv2
import numpy as np
import pytest

from countenance import geometry
from countenance.conversion import state
from countenance.conversion.texture import (
    RINGS,
    SIDE,
    FaceInFrame,
    TextureMatcher,
    blur_covariance,
    blurred,
    grain_tile,
    power,
)

HEIGHT, WIDTH = 200, 180
NONE = np.zeros(RINGS)


def weights() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (70, 85), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 5.0)


def face(seed: int) -> np.ndarray:
    """A picture whose power falls with the square of fineness, as faces' does: uint8 (HEIGHT, WIDTH, 3)."""
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    fall = 1.0 / np.maximum(np.hypot(y, x), 1.0 / SIDE)
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((SIDE, SIDE)))
    luma = np.fft.irfft2(noise * fall, (SIDE, SIDE))[:HEIGHT, :WIDTH]
    luma = 130.0 + 22.0 * luma / luma.std()
    return np.clip(np.rint(np.stack([luma + 15, luma, luma - 20], -1)), 0, 255).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)


def place(index: int, track: int = 1, shot: int = 0) -> FaceInFrame:
    points = geometry.template(160).astype(np.float32)
    points = np.concatenate([points, points[:10]]) + np.array([10.0, 20.0])
    return FaceInFrame(track, shot, index, index / 25.0, points.astype(np.float32), np.eye(3)[:2])


def noisy(picture: np.ndarray, seed: int, strength: float) -> np.ndarray:
    noise = np.random.default_rng(1000 + seed).normal(0.0, strength, (HEIGHT, WIDTH, 1))
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def test_power_of_white_noise_is_its_variance_at_every_fineness():
    noise = np.random.default_rng(0).normal(0.0, 6.0, (HEIGHT, WIDTH)).astype(np.float32)
    found = power(noise, weights()).mean(1)
    assert found[2:] == pytest.approx(36.0, rel=0.25)
    assert found[2:].mean() == pytest.approx(36.0, rel=0.05)


@pytest.mark.parametrize(
    "true", [(1.0, 1.0, 0.0), (4.0, 4.0, 0.0), (9.0, 9.0, 0.0), (4.0, 1.0, 0.0), (1.0, 4.0, 0.0), (3.0, 3.0, 1.5)]
)
def test_blur_of_other_pictures_is_found(true: tuple[float, float, float]):
    sharp = [face(seed) for seed in range(4)]
    soft = [blurred(face(10 + seed), np.array(true)) for seed in range(4)]
    found = [
        blur_covariance(power(luma(plate), weights()), power(luma(painted), weights()), NONE)
        for plate, painted in zip(soft, sharp, strict=True)
    ]
    assert np.mean(found, axis=0) == pytest.approx(true, rel=0.2, abs=0.35)


def test_no_blur_is_found_where_none_is():
    found = [
        blur_covariance(power(luma(face(seed)), weights()), power(luma(face(50 + seed)), weights()), NONE)
        for seed in range(6)
    ]
    assert np.abs(np.mean(found, axis=0)).max() < 0.1
    picture = face(0)
    assert blurred(picture, np.array([0.05, 0.05, 0.0])) is picture
    assert blurred(picture, np.array([-3.0, -1.0, 0.0])) is picture


def test_a_smear_is_as_long_as_a_shutter_makes_it():
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    smeared = blurred(spot, np.array([9.0**2 / 12.0, 0.0, 0.0]))[20, :, 0]
    assert smeared[17:24] == pytest.approx(255 / 9, abs=4)
    assert smeared[:13].max() < 6 and smeared[28:].max() < 6


def test_grain_has_the_power_that_it_is_asked_for():
    asked = np.linspace(40.0, 2.0, RINGS)
    window = np.ones((SIDE, SIDE), np.float32)
    tiles = [grain_tile(asked, np.random.default_rng(seed)) for seed in range(8)]
    found = np.mean([power(tile, window).mean(1) for tile in tiles], axis=0)
    assert found[2:] == pytest.approx(asked[2:], rel=0.15)
    assert not np.array_equal(tiles[0], tiles[1])
    assert np.array_equal(tiles[0], grain_tile(asked, np.random.default_rng(0)))


def grown(strength: float, frames: int, *, plate_seed: int = 3) -> tuple[TextureMatcher, list[np.ndarray]]:
    matcher, plate, painted = TextureMatcher(), face(plate_seed), cv2.GaussianBlur(face(4), (0, 0), 2.0)
    soft = cv2.GaussianBlur(plate, (0, 0), 2.0)
    return matcher, [matcher(noisy(soft, index, strength), painted, weights(), place(index)) for index in range(frames)]


def change(pictures: list[np.ndarray]) -> float:
    """How strong the grain is, by two frames' difference where the face is."""
    inside = weights() > 0.95
    return float((luma(pictures[-1]) - luma(pictures[-2]))[inside].std() / np.sqrt(2.0))


def test_a_painted_face_gets_the_grain_of_the_footage():
    for strength in (3.0, 8.0):
        _, pictures = grown(strength, 12)
        assert change(pictures) == pytest.approx(strength, rel=0.2)


def test_clean_footage_gives_no_grain():
    _, pictures = grown(0.0, 6)
    assert change(pictures) < 0.3


def test_a_frame_that_is_there_twice_does_not_end_the_grain():
    matcher, _ = grown(6.0, 10)
    plate, painted = noisy(cv2.GaussianBlur(face(3), (0, 0), 2.0), 9, 6.0), cv2.GaussianBlur(face(4), (0, 0), 2.0)
    pictures = [matcher(plate, painted, weights(), place(index)) for index in range(10, 16)]
    assert change(pictures) == pytest.approx(6.0, rel=0.25)


def test_the_grain_is_there_from_the_first_frame_of_another_shot():
    matcher, _ = grown(6.0, 10)
    painted = cv2.GaussianBlur(face(4), (0, 0), 2.0)
    plate = noisy(cv2.GaussianBlur(face(7), (0, 0), 2.0), 77, 6.0)
    first = matcher(plate, painted, weights(), place(10, track=2, shot=1))
    assert float((luma(first) - luma(painted))[weights() > 0.95].std()) == pytest.approx(6.0, rel=0.35)


def test_nothing_of_the_footages_own_detail_comes_along():
    """Pores tell who somebody is: what is added must have nothing to do with the pattern in the footage."""
    matcher, plate, painted = TextureMatcher(), face(3), cv2.GaussianBlur(face(4), (0, 0), 2.0)
    inside, added = weights() > 0.95, []
    for index in range(8):
        picture = matcher(noisy(plate, index, 4.0), painted, weights(), place(index))
        added.append(luma(picture) - luma(painted))
    detail = luma(plate) - cv2.GaussianBlur(luma(plate), (0, 0), 2.0)
    kept = np.mean(added[1:], axis=0)
    assert np.std(added[-1][inside]) > 2.0
    assert abs(np.corrcoef(kept[inside], detail[inside])[0, 1]) < 0.06


def test_a_face_larger_than_the_window_is_finished_to_its_edges():
    large = np.ascontiguousarray(np.tile(face(1), (3, 3, 1)))
    alpha = np.ones(large.shape[:2], np.float32)
    matcher = TextureMatcher()
    rng = np.random.default_rng(5)
    for index in range(4):
        plate = np.clip(np.rint(large + rng.normal(0.0, 6.0, large.shape)), 0, 255).astype(np.uint8)
        flat = np.full_like(large, 128)
        picture = matcher(plate, flat, alpha, place(index))
    for corner in (picture[:40, :40], picture[-40:, -40:], picture[-40:, :40]):
        assert 1.5 < corner[..., 1].std() < 12.0


def test_what_is_remembered_survives_a_restart_to_the_bit():
    matcher, _ = grown(6.0, 5)
    other = TextureMatcher()
    state.fill(other, state.dump(matcher))
    plate, painted = noisy(face(3), 5, 6.0), face(4)
    ours, theirs = (one(plate, painted, weights(), place(5)) for one in (matcher, other))
    assert np.array_equal(ours, theirs)
