from __future__ import annotations

import numpy as np
import pytest

from countenance import color


def _all_greys() -> np.ndarray:
    return np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


def _noise(seed: int = 0, size: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_linear_light_round_trips_every_code() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(color.srgb_from_linear(color.linear_from_srgb(codes)), codes)


def test_linear_light_has_the_known_anchor_values() -> None:
    linear = color.linear_from_srgb(np.array([0, 10, 188, 255], np.uint8))
    assert linear == pytest.approx([0.0, 10 / 255 / 12.92, 0.5029, 1.0], abs=1e-4)


def test_srgb_clips_what_it_cannot_show() -> None:
    assert color.srgb_from_linear(np.array([-0.5, 1.5], np.float32)).tolist() == [0, 255]


def test_lab_has_the_known_values_of_the_primaries() -> None:
    rgb = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [119, 119, 119]]], np.uint8)
    known = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [50.03, 0, 0]]
    assert color.lab_from_rgb(rgb)[0] == pytest.approx(np.array(known), abs=0.6)


def test_lab_round_trips_within_one_code() -> None:
    for rgb in (_noise(), _all_greys()):
        back = color.rgb_from_lab(color.lab_from_rgb(rgb)).astype(int)
        assert np.abs(back - rgb).max() <= 1
        assert np.abs(back - rgb).mean() < 0.05


def test_statistics_look_only_where_the_weights_are() -> None:
    lab = np.zeros((4, 4, 3), np.float32)
    lab[:2] = [50, 10, -10]
    lab[2:] = [90, 0, 0]
    weights = np.zeros((4, 4), np.float32)
    weights[:2] = 0.5
    found = color.statistics(lab, weights)
    assert found.mean == pytest.approx([50, 10, -10])
    assert found.deviation == pytest.approx([0, 0, 0], abs=1e-6)


def test_statistics_refuse_an_empty_mask_and_other_shapes() -> None:
    lab = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="above zero"):
        color.statistics(lab, np.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match="expected weights"):
        color.statistics(lab, np.ones((4, 5), np.float32))


def test_matching_moves_the_statistics_to_the_footage() -> None:
    rng = np.random.default_rng(1)
    painted = np.clip(rng.normal((150, 110, 90), 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    footage = np.clip(rng.normal((110, 100, 100), 14, (64, 64, 3)), 0, 255).astype(np.uint8)
    weights = np.ones((64, 64), np.float32)
    wanted = color.statistics(color.lab_from_rgb(footage), weights)
    match = color.match_colors(color.statistics(color.lab_from_rgb(painted), weights), wanted)
    got = color.statistics(color.lab_from_rgb(color.apply_match(painted, match)), weights)
    assert np.abs(got.mean - wanted.mean).max() < 0.5
    assert np.abs(got.deviation - wanted.deviation).max() < 0.6


def test_strength_zero_and_equal_statistics_return_the_same_array() -> None:
    rgb = _noise()
    weights = np.ones(rgb.shape[:2], np.float32)
    stats = color.statistics(color.lab_from_rgb(rgb), weights)
    other = color.ColorStatistics(stats.mean + 20, stats.deviation * 2)
    assert color.apply_match(rgb, color.match_colors(stats, stats)) is rgb
    assert color.apply_match(rgb, color.match_colors(stats, other, strength=0.0)) is rgb
    assert color.apply_match(rgb, color.match_colors(stats, other)) is not rgb


def test_the_gain_is_bounded_even_for_a_flat_face() -> None:
    flat = color.ColorStatistics(np.full(3, 50.0), np.zeros(3))
    busy = color.ColorStatistics(np.full(3, 50.0), np.full(3, 30.0))
    assert color.match_colors(flat, busy).gain.max() == pytest.approx(1.25)
    assert color.match_colors(busy, flat).gain.min() == pytest.approx(0.8)


def test_a_match_moves_part_of_the_way_to_another() -> None:
    zero = color.ColorMatch(np.ones(3), np.zeros(3), np.zeros(3))
    full = color.ColorMatch(np.full(3, 1.2), np.full(3, 10.0), np.full(3, 50.0))
    half = zero.toward(full, 0.5)
    assert half.gain == pytest.approx(np.full(3, 1.1))
    assert half.shift == pytest.approx(np.full(3, 5.0))
    assert zero.toward(full, 1.0).pivot == pytest.approx(full.pivot)
