"""The metrics on cases whose answer is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from countenance.evaluation.metrics import (
    MS_SSIM_WEIGHTS,
    close_holes,
    erode,
    ms_ssim,
    psnr_db,
    psnr_db_of,
    squared_error,
    ssim,
    ssim_map,
)


def _texture(seed: int = 0, size: int = 96) -> np.ndarray:
    """Noise at several scales, so that every metric has structure to look at."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.uniform(0, 255, (size // step, size // step, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
        for step in (1, 4, 16)
    ]
    return np.clip(np.mean(layers, axis=0), 0, 255).astype(np.uint8)


def _disc(size: int = 96, radius: float = 30.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return (np.hypot(x - size / 2, y - size / 2) < radius).astype(np.float32)


def test_equal_pictures_are_perfect() -> None:
    picture = _texture()
    assert psnr_db(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)
    assert ssim(picture, picture, _disc()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("step", [1, 10, 100])
def test_a_constant_difference_has_the_psnr_of_the_formula(step: int) -> None:
    truth = np.full((40, 50, 3), 90, np.uint8)
    assert psnr_db(truth + np.uint8(step), truth) == pytest.approx(20 * math.log10(255 / step))
    assert squared_error(truth + np.uint8(step), truth) == pytest.approx(step**2)


def test_ssim_of_flat_pictures_is_its_luminance_term() -> None:
    dark, bright = np.full((32, 32, 3), 50, np.uint8), np.full((32, 32, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(dark, bright) == pytest.approx((2 * 50 * 150 + c1) / (50**2 + 150**2 + c1), abs=1e-9)


def test_ssim_of_a_negative_is_negative() -> None:
    picture = np.where(np.indices((64, 64)).sum(axis=0)[..., None] % 2 == 0, 28, 228).astype(np.uint8).repeat(3, 2)
    assert ssim(255 - picture, picture) < -0.9


def test_ssim_agrees_with_a_direct_evaluation_of_the_paper() -> None:
    x, y = _texture(1), _texture(2)
    offsets = np.arange(11) - 5.0
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    row, column = 40, 50
    a, b = (p[row - 5 : row + 6, column - 5 : column + 6, 1].astype(np.float64) for p in (x, y))
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
    covariance = (window * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    wanted = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    grey_x, grey_y = (p[..., 1:2].repeat(3, axis=2) for p in (x, y))
    assert ssim_map(grey_x, grey_y)[row, column] == pytest.approx(wanted, abs=1e-9)


def test_more_shift_and_more_blur_score_lower() -> None:
    truth = _texture()
    shifts = [np.roll(truth, pixels, axis=1) for pixels in (0, 1, 2)]
    blurs = [truth, *(cv2.GaussianBlur(truth, (0, 0), sigma) for sigma in (0.8, 2.0))]
    for series in (shifts, blurs):
        for metric in (ssim, psnr_db):
            scores = [metric(picture, truth) for picture in series]
            assert scores == sorted(scores, reverse=True)
            assert len(set(scores)) == len(scores)


def test_a_hue_counts() -> None:
    truth = _texture()
    assert ssim(truth[:, :, ::-1].copy(), truth) < 0.9


def test_a_shift_costs_more_than_a_blur_that_looks_worse() -> None:
    """What fools both: documented, so it must stay true."""
    truth = _texture()
    assert ssim(np.roll(truth, 2, axis=1), truth) < ssim(cv2.GaussianBlur(truth, (0, 0), 1.0), truth)


def test_only_the_mask_counts() -> None:
    truth = _texture()
    broken = truth.copy()
    outside = cv2.dilate(_disc(), np.ones((13, 13))) == 0
    broken[outside] = 0
    assert psnr_db(broken, truth, _disc()) == math.inf
    assert ssim(broken, truth, _disc()) == pytest.approx(1.0, abs=1e-9)
    assert ssim(broken, truth) < 0.9


def test_a_mask_that_reaches_too_far_flatters() -> None:
    truth = _texture()
    swap = truth.copy()
    swap[_disc() > 0] = 128
    tight, wide = _disc(radius=30), _disc(radius=45)
    assert ssim(swap, truth, wide) > ssim(swap, truth, tight) + 0.1
    assert psnr_db(swap, truth, wide) > psnr_db(swap, truth, tight) + 2.0


def test_a_soft_mask_weighs() -> None:
    truth = np.zeros((10, 10, 3), np.uint8)
    picture = truth.copy()
    picture[:, :5] = 10
    mask = np.ones((10, 10), np.float32)
    mask[:, :5] = 0.25
    assert squared_error(picture, truth, mask) == pytest.approx(100 * 0.25 / 1.25)


def test_an_empty_mask_and_other_shapes_are_refused() -> None:
    picture = _texture()
    with pytest.raises(ValueError, match="empty mask"):
        ssim(picture, picture, np.zeros((96, 96), np.float32))
    with pytest.raises(ValueError, match=r"mask: expected \(96, 96\)"):
        psnr_db(picture, picture, np.ones((95, 96), np.float32))
    with pytest.raises(ValueError, match="picture: expected the truth's"):
        psnr_db(picture[:50], picture)
    with pytest.raises(ValueError, match="uint8"):
        ssim(picture.astype(np.float32), picture)  # type: ignore[arg-type]


def test_psnr_of_no_error_is_infinite() -> None:
    assert psnr_db_of(0.0) == math.inf
    assert psnr_db_of(255.0**2) == 0.0


def test_pin_holes_close_and_the_outline_stays() -> None:
    mask = _disc()
    holed = mask.copy()
    holed[46:49, 46:49] = 0.0
    closed = close_holes(holed)
    assert closed[47, 47] == 1.0
    assert abs(float(closed.sum() - mask.sum())) < 0.02 * mask.sum()
    edge = np.zeros((20, 20), np.float32)
    edge[:, :3] = 1.0  # a face that the frame cuts stays where it is
    assert np.array_equal(close_holes(edge), edge)


def test_eroding_moves_the_edge_inwards() -> None:
    mask = np.zeros((40, 40), np.float32)
    mask[10:30, 10:30] = 1.0
    assert erode(mask, 0).sum() == mask.sum()
    assert erode(mask, 3).sum() == 14 * 14


def test_ms_ssim_of_equal_pictures_is_one_and_of_flat_ones_the_luminance_term() -> None:
    picture = _texture()
    assert ms_ssim(picture, picture, _disc()) == pytest.approx(1.0, abs=1e-12)
    dark, bright = np.full((64, 64, 3), 50, np.uint8), np.full((64, 64, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 50 * 150 + c1) / (50**2 + 150**2 + c1)
    assert ms_ssim(dark, bright) == pytest.approx(luminance ** MS_SSIM_WEIGHTS[-1], abs=1e-6)


def test_ms_ssim_falls_with_blur_and_shift_and_forgives_fine_detail() -> None:
    truth = _texture(size=192)
    for series in (
        [cv2.GaussianBlur(truth, (0, 0), sigma) for sigma in (0.8, 2.0, 6.0)],
        [np.roll(truth, pixels, axis=0) for pixels in (1, 3, 8)],
    ):
        scores = [ms_ssim(picture, truth) for picture in series]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[-1] + 0.05
    soft = cv2.GaussianBlur(truth, (0, 0), 0.8)
    assert 1.0 - ms_ssim(soft, truth) < 0.5 * (1.0 - ssim(soft, truth))  # documented: what fools it


def test_ms_ssim_counts_only_the_mask_and_refuses_what_it_cannot_measure() -> None:
    truth = _texture(size=192)
    broken = truth.copy()
    broken[:16] = 0
    mask = np.zeros((192, 192), np.float32)
    mask[120:180, 60:140] = 1.0
    assert ms_ssim(broken, truth, mask) > 0.999
    assert ms_ssim(broken, truth) < 0.95
    with pytest.raises(ValueError, match="empty mask"):
        ms_ssim(truth, truth, np.zeros((192, 192), np.float32))
    with pytest.raises(ValueError, match="at least 16"):
        ms_ssim(truth[:12], truth[:12])
    with pytest.raises(ValueError, match="mask: expected"):
        ms_ssim(truth, truth, np.ones((10, 10), np.float32))
