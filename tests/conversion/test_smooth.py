"""Steadied landmarks: no lag, less trembling, and nothing spoilt where a head moves quickly."""

import numpy as np
import pytest

from countenance import geometry
from countenance.conversion.smooth import PointHistory

RATE, FRAMES, HEIGHT = 25.0, 100, 200.0
NOISE = 0.0005 * HEIGHT  # of a landmark, as bench/landmarks.py finds it


def face() -> np.ndarray:
    points = geometry.template(256).astype(np.float64)
    points *= HEIGHT / np.ptp(points[:, 1])
    return np.concatenate([points, points[:10]])


def moved(amplitude: float, hertz: float) -> np.ndarray:
    """The face going up and down; amplitude in its heights: float64 (FRAMES, 478, 2)."""
    way = amplitude * HEIGHT * np.sin(2 * np.pi * hertz * np.arange(FRAMES) / RATE)
    return face()[None] + np.stack([0.3 * way, way], -1)[:, None]


def steadied(measured: np.ndarray, reach: int = 3) -> np.ndarray:
    history = PointHistory(len(measured))
    for index, points in enumerate(measured):
        history.add(index, index / RATE, points.astype(np.float32))
    return np.stack([history.at(index, reach) for index in range(len(measured))]).astype(np.float64)


def trembling(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.diff((found - truth)[8:-8], n=2, axis=0).std())


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found - truth)[8:-8].std())


@pytest.mark.parametrize(("amplitude", "hertz"), [(0.0, 1.0), (0.03, 1.0), (0.12, 1.8)])
def test_trembling_goes_where_a_head_moves_as_heads_do(amplitude: float, hertz: float):
    truth = moved(amplitude, hertz)
    measured = truth + np.random.default_rng(1).normal(0.0, NOISE, (FRAMES, 1, 2))
    found = steadied(measured)
    assert trembling(found, truth) < 0.5 * trembling(measured, truth)
    assert error(found, truth) < 1.5 * max(error(measured, truth), 0.003 * HEIGHT)


def test_a_shaken_head_is_followed_as_well_as_without_steadying():
    truth = moved(0.15, 3.0)
    measured = truth + np.random.default_rng(2).normal(0.0, NOISE, (FRAMES, 1, 2))
    assert error(steadied(measured), truth) < 0.008 * HEIGHT
    assert error(steadied(measured, reach=6), truth) < 0.008 * HEIGHT


def test_a_jump_is_not_smeared():
    truth = np.repeat(face()[None], FRAMES, 0)
    truth[50:] += [60.0, 0.0]
    found = steadied(truth)
    assert np.abs(found - truth).max() < 0.02 * HEIGHT


def test_time_backwards_gives_the_same_so_nothing_lags():
    rng = np.random.default_rng(3)
    measured = (moved(0.05, 1.3) + rng.normal(0.0, NOISE, (FRAMES, 478, 2))).astype(np.float32)
    assert steadied(measured) == pytest.approx(steadied(measured[::-1])[::-1], abs=2e-3)


def test_at_the_ends_and_in_gaps_the_measurement_stays():
    measured = moved(0.05, 1.3).astype(np.float32)
    found = steadied(measured)
    assert np.array_equal(found[:2], measured[:2]) and np.array_equal(found[-2:], measured[-2:])
    history = PointHistory(20)
    for index in (0, 1, 2, 4, 5, 6):
        history.add(index, index / RATE, measured[index])
    assert np.array_equal(history.at(4, 3), measured[4])
    with pytest.raises(KeyError):
        history.at(3, 3)
