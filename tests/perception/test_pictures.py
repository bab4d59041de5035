from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perception_fakes import clip

from countenance.perception.pictures import cut


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.62, 3.0),
    angle=st.floats(-3.2, 3.2),
    x=st.floats(-400.0, 400.0),
    y=st.floats(-400.0, 400.0),
)
def test_cutting_a_part_is_warping_the_whole(scale: float, angle: float, x: float, y: float) -> None:
    frame = clip("train_A", 100)[0]
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cosine, -sine, x], [sine, cosine, y]])
    whole = cv2.warpAffine(frame, matrix, (64, 64), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # OpenCV rounds positions to 1/32 px, at another place when the origin moves
    assert np.abs(cut(frame, matrix, 64).astype(int) - whole).mean() < 1.0


@pytest.mark.parametrize("scale", [0.5, 0.25, 0.1])
def test_a_fine_pattern_becomes_grey_and_not_stripes(scale: float) -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(stripes, np.array([[scale, 0.0, 0.3], [0.0, scale, 0.3]]), 64)
    assert crop.std() < 30.0
    assert abs(crop.mean() - 127.5) < 20.0
