from __future__ import annotations

import numpy as np
import pytest

from countenance.conversion.veil import head_ellipse, veil

BOX = np.array([120, 80, 180, 160], np.float32)


def _noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def _distance(ellipse: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:240, :320]
    return np.hypot((x - ellipse[0]) / ellipse[2], (y - ellipse[1]) / ellipse[3])


def test_the_ellipse_is_larger_than_the_face() -> None:
    ellipse = head_ellipse(BOX)
    corners = np.array([[x, y] for x in (125, 175) for y in (85, 155)])
    inside = np.hypot((corners[:, 0] - ellipse[0]) / ellipse[2], (corners[:, 1] - ellipse[1]) / ellipse[3])
    assert inside.max() < 1.0
    assert ellipse[1] < 120  # the hair is above


def test_outside_nothing_changes_and_inside_no_pixel_survives() -> None:
    before = _noise()
    after = before.copy()
    ellipse = head_ellipse(BOX)
    veil(after, ellipse)
    distance = _distance(ellipse)
    assert np.array_equal(after[distance > 1.31], before[distance > 1.31])
    full = distance < 0.95
    # Noise averaged over cells is flat: what is left varies less than one twentieth of the noise.
    assert after[full].std() < before[full].std() / 5
    correlation = np.corrcoef(after[full].ravel(), before[full].ravel())[0, 1]
    assert abs(correlation) < 0.15


def test_the_veil_does_not_depend_on_detail() -> None:
    """Two heads with the same coarse colours give the same veil, bit by bit: nothing finer can be recovered."""
    ellipse = head_ellipse(BOX)
    flat = np.full((240, 320, 3), 104, np.uint8)
    checked = flat.copy()
    checked[::2, ::2] += 8
    checked[1::2, 1::2] += 8
    checked[::2, 1::2] -= 8
    checked[1::2, ::2] -= 8
    for picture in (flat, checked):
        veil(picture, ellipse)
    full = _distance(ellipse) < 0.95
    assert np.array_equal(flat[full], checked[full])


def test_there_is_no_visible_edge() -> None:
    rgb = np.full((240, 320, 3), 40, np.uint8)
    rgb[80:160, 120:180] = 200
    veil(rgb, head_ellipse(BOX))
    assert np.abs(np.diff(rgb[120, :, 0].astype(int))).max() <= 12


@pytest.mark.parametrize("middle", [(-500, 0), (0, 0), (319, 239), (5000, 5000)])
def test_a_head_on_or_past_the_border(middle: tuple[int, int]) -> None:
    rgb = _noise()
    before = rgb.copy()
    veil(rgb, np.array([*middle, 40, 50], np.float32))
    inside = 0 <= middle[0] < 320 and 0 <= middle[1] < 240
    assert np.array_equal(rgb, before) != inside
