"""Edges on cases whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from countenance.evaluation.gradients import gradient_similarity, seam_error, seam_ring


def _texture(seed: int = 0, size: int = 96) -> np.ndarray:
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.uniform(0, 255, (size // step, size // step, 3)), (size, size), interpolation=cv2.INTER_CUBIC)
        for step in (2, 8, 16)
    ]
    return np.clip(np.mean(layers, axis=0), 0, 255).astype(np.uint8)


def _square(size: int = 96) -> np.ndarray:
    mask = np.zeros((size, size), np.float32)
    mask[24:72, 24:72] = 1.0
    return mask


def test_equal_pictures_are_perfect() -> None:
    picture = _texture()
    assert gradient_similarity(picture, picture) == pytest.approx(1.0, abs=1e-12)
    assert gradient_similarity(picture, picture, _square()) == pytest.approx(1.0, abs=1e-12)
    assert seam_error(picture, picture, _square()) == 0.0


def test_the_similarity_of_a_ramp_and_a_flat_is_that_of_the_formula() -> None:
    step = 10.0  # grey levels a pixel, so 20 a pixel of the halved picture; Prewitt over two pixels: 40
    ramp = np.clip(np.arange(26) * step, 0, 255).astype(np.uint8)[None, :, None].repeat(32, 0).repeat(3, 2)
    flat = np.full_like(ramp, 100)
    middle = np.zeros(ramp.shape[:2], np.float32)
    middle[8:24, 6:18] = 1.0
    assert gradient_similarity(ramp, flat, middle) == pytest.approx(170.0 / (40.0**2 + 170.0), abs=1e-6)


def test_blur_and_shift_lower_the_similarity_and_brightness_does_not() -> None:
    truth = _texture()
    scores = [gradient_similarity(cv2.GaussianBlur(truth, (0, 0), sigma), truth) for sigma in (0.6, 1.5, 4.0)]
    assert scores == sorted(scores, reverse=True)
    assert gradient_similarity(np.roll(truth, 4, axis=1), truth) < 0.95
    brighter = np.clip(truth.astype(int) // 2 + 60, 0, 255).astype(np.uint8)
    same = np.clip(truth.astype(int) // 2 + 20, 0, 255).astype(np.uint8)
    assert gradient_similarity(brighter, same) == pytest.approx(1.0, abs=1e-6)  # documented: blind to brightness


def test_a_step_at_the_mask_edge_is_the_seam() -> None:
    truth = np.full((96, 96, 3), 120, np.uint8)
    mask = _square()
    errors = []
    for step in (5, 10, 20):
        swap = truth.copy()
        swap[mask > 0] += np.uint8(step)
        errors.append(seam_error(swap, truth, mask))
    assert errors[1] == pytest.approx(2 * errors[0])
    assert errors[2] == pytest.approx(4 * errors[0])
    soft = truth.astype(np.float32) + 20.0 * cv2.GaussianBlur(mask, (0, 0), 6.0)[..., None]
    assert seam_error(np.rint(soft).astype(np.uint8), truth, mask) < 0.6 * errors[2]


def test_what_is_far_from_the_edge_does_not_count() -> None:
    truth, mask = _texture(), _square()
    swap = truth.copy()
    swap[40:56, 40:56] = 0
    swap[:12] = 0
    assert seam_error(swap, truth, mask) == 0.0


def test_the_ring_follows_the_size_of_the_face() -> None:
    small, large = np.zeros((60, 60), np.float32), np.zeros((600, 600), np.float32)
    small[20:40, 20:40] = 1.0
    large[200:400, 200:400] = 1.0
    rows = [np.flatnonzero(seam_ring(mask)[:, mask.shape[1] // 2]) for mask in (small, large)]
    assert len(rows[0]) == 2 * 2 * 2
    assert len(rows[1]) == 2 * 2 * 6
    assert not seam_ring(np.zeros((20, 20), np.float32)).any()


def test_an_empty_mask_and_other_shapes_are_refused() -> None:
    picture = _texture()
    with pytest.raises(ValueError, match="empty mask"):
        seam_error(picture, picture, np.zeros((96, 96), np.float32))
    with pytest.raises(ValueError, match="expected the truth"):
        gradient_similarity(picture[:40], picture)
