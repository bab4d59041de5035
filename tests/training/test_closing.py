"""Lips and lids that meet in the footage meet in the swap, whatever the two people's mean faces are like."""

from __future__ import annotations

import numpy as np
import pytest

from countenance.geometry import canonical_face
from countenance.training.closing import expression
from countenance.training.mesh import FrontalFace

MOUTH, RIGHT_EYE, LEFT_EYE = (13, 14), (159, 145), (386, 374)
SLITS = {MOUTH: (78, 308), RIGHT_EYE: (33, 133), LEFT_EYE: (263, 362)}
UPPER = {MOUTH: (191, 80, 81, 82, 13, 312, 311, 310, 415), RIGHT_EYE: (246, 161, 160, 159, 158, 157, 173)}
UPPER[LEFT_EYE] = (466, 388, 387, 386, 385, 384, 398)
LOWER = {MOUTH: (95, 88, 178, 87, 14, 317, 402, 318, 324), RIGHT_EYE: (7, 163, 144, 145, 153, 154, 155)}
LOWER[LEFT_EYE] = (249, 390, 373, 374, 380, 381, 382)


def shape_with(gap_cm: float, slit: tuple[int, int]) -> np.ndarray:
    """The mean face with a mouth or an eye that is so far open: float64 ``(478, 3)``, y down."""
    shape = np.zeros((478, 3))
    shape[:468] = canonical_face().vertices_cm * [1.0, -1.0, -1.0]
    line = (shape[list(UPPER[slit]), 1] + shape[list(LOWER[slit]), 1]) / 2.0
    for numbers, sign in ((UPPER[slit], -1.0), (LOWER[slit], 1.0)):
        shape[list(numbers), 1] = line + sign * gap_cm / 2.0
    return shape


def gap_of(shape: np.ndarray, slit: tuple[int, int]) -> float:
    return float(shape[slit[1], 1] - shape[slit[0], 1])


def carried_over(gap_cm: float, performer_mean: float, lender_mean: float, slit: tuple[int, int] = MOUTH) -> np.ndarray:
    """What a performer's gap becomes on the lender's shape."""
    seen = FrontalFace(shape_with(gap_cm, slit), np.eye(3, 4))
    shape = shape_with(lender_mean, slit)
    return expression(seen, shape_with(performer_mean, slit), shape) + shape


@pytest.mark.parametrize("slit", SLITS)
@pytest.mark.parametrize("lender_mean", [0.1, 0.35, 0.9])
def test_closed_stays_closed(slit: tuple[int, int], lender_mean: float) -> None:
    """By offsets alone a gap of 0.55 cm would stay, or lips would overlap by 0.25."""
    assert gap_of(carried_over(0.0, 0.35, lender_mean, slit), slit) == pytest.approx(0.0, abs=0.02)
    assert gap_of(carried_over(-0.01, 0.35, lender_mean, slit), slit) == pytest.approx(-0.01, abs=0.02)


@pytest.mark.parametrize("slit", SLITS)
def test_open_moves_by_offsets_as_before(slit: tuple[int, int]) -> None:
    for gap in (0.3, 0.8):
        assert gap_of(carried_over(gap, 0.35, 0.6, slit), slit) == pytest.approx(gap + 0.25, abs=1e-6)


def test_more_open_is_never_less_open_and_nothing_jumps() -> None:
    for performer_mean, lender_mean in ((0.35, 0.05), (0.9, 0.1), (0.35, 0.6), (0.1, 0.9)):
        gaps = [gap_of(carried_over(gap, performer_mean, lender_mean), MOUTH) for gap in np.linspace(-0.02, 1.5, 1521)]
        assert np.diff(gaps).min() >= -1e-9
        assert np.diff(gaps).max() < 0.03  # of a centimetre, for a hundredth of a millimetre in the footage
        assert min(gaps) == pytest.approx(-0.02, abs=0.01)  # lips never overlap more than they did
        assert gaps[-1] == pytest.approx(1.5 + lender_mean - performer_mean)


def test_one_s_own_mean_changes_nothing() -> None:
    seen, mean = shape_with(0.0, MOUTH), shape_with(0.4, MOUTH)
    assert np.array_equal(expression(FrontalFace(seen, np.eye(3, 4)), mean, mean), seen - mean)


def test_only_what_is_near_moves_and_both_edges_meet_half_way() -> None:
    seen, mean, shape = shape_with(0.0, MOUTH), shape_with(0.3, MOUTH), shape_with(0.7, MOUTH)
    moved = expression(FrontalFace(seen, np.eye(3, 4)), mean, shape) - (seen - mean)
    assert moved[13, 1] == pytest.approx(0.2, abs=0.01)
    assert moved[14, 1] == pytest.approx(-0.2, abs=0.01)
    assert not moved[:, [0, 2]].any()
    for still in (78, 308, 1, 4, 152, 33, 263, 10, 468, 473):  # corners, nose, chin, eyes, irises
        assert moved[still, 1] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < moved[0, 1] < moved[13, 1]  # the lip's outer edge goes along, and less
