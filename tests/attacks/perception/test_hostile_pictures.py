"""Pictures and landmarks of forms that nobody should pass, and of forms that are odd but legal."""

from __future__ import annotations

import numpy as np
import pytest
from perception_fakes import clip

from countenance.perception.perceive import Perception
from countenance.types import FaceLandmarks

WRONG = [
    np.zeros((0, 0, 3), np.uint8),
    np.zeros((0, 9, 3), np.uint8),
    np.zeros((9, 9), np.uint8),
    np.zeros((9, 9, 4), np.uint8),
    np.zeros((1, 9, 9, 3), np.uint8),
    np.zeros((9, 9, 3), np.float32),
    np.zeros((9, 9, 3), np.uint16),
]
ODD = [(1, 1), (1, 300), (300, 1), (2, 3000), (33, 31)]


def face_at(value: float, spread: float) -> FaceLandmarks:
    points = value + spread * np.random.default_rng(0).uniform(-1, 1, (478, 2))
    return FaceLandmarks(points.astype(np.float32), np.zeros(478, np.float32), np.zeros(52, np.float32), 1.0)


@pytest.mark.parametrize("picture", WRONG, ids=lambda picture: f"{picture.dtype.name}{picture.shape}")
def test_wrong_forms_are_value_errors(picture: np.ndarray) -> None:
    see, face = Perception(), face_at(4.0, 2.0)
    for look in (
        lambda: see.detector(picture),
        lambda: see.mesh(picture, face),
        lambda: see.embedder(picture, face),
        lambda: see.segmenter(picture),
        lambda: see.screen(picture),
        lambda: see.age(picture, face),
    ):
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
            look()


@pytest.mark.parametrize("size_hw", ODD)
def test_odd_sizes_are_fine(size_hw: tuple[int, int]) -> None:
    see, face = Perception(), face_at(10.0, 8.0)
    picture = np.random.default_rng(0).integers(0, 255, (*size_hw, 3)).astype(np.uint8)
    assert see.detector(picture) == []
    assert see.segmenter(picture).values.shape == size_hw
    assert 0.0 <= see.screen(picture) <= 1.0
    assert np.isfinite(see.mesh(picture, face).points_xy).all()
    assert np.isfinite(see.embedder(picture, face)).all()
    assert 0.0 < see.age(picture, face) <= 80.0


def test_any_memory_layout_gives_the_same_answer() -> None:
    see, frame = Perception(), clip("train_A", 100)[0]
    mirrored_view = np.ascontiguousarray(frame[:, ::-1])[:, ::-1]
    bgr_view = np.ascontiguousarray(frame[:, :, ::-1])[:, :, ::-1]
    expected = see.detector(frame)[0]
    for view in (mirrored_view, bgr_view, np.asfortranarray(frame)):
        found = see.detector(view)[0]
        np.testing.assert_array_equal(found.box_xyxy, expected.box_xyxy)
        face = see.mesh(view, found)
        np.testing.assert_array_equal(face.points_xy, see.mesh(frame, expected).points_xy)
        np.testing.assert_array_equal(see.embedder(view, face), see.embedder(frame, face))
        np.testing.assert_array_equal(see.segmenter(view).values, see.segmenter(frame).values)
        assert see.screen(view) == see.screen(frame)
        assert see.age(view, face) == see.age(frame, face)


@pytest.mark.parametrize("value", [5.0, float("nan"), float("inf"), -float("inf")])
def test_landmarks_without_extent_are_value_errors(value: float) -> None:
    see, picture, face = Perception(), np.zeros((64, 64, 3), np.uint8), face_at(value, 0.0)
    for look in (see.mesh, see.embedder, see.age):
        with pytest.raises(ValueError, match="expected"):
            look(picture, face)


@pytest.mark.parametrize("size_hw", [(1, 1), (2, 300), (320, 320)])
@pytest.mark.parametrize("face", [face_at(1e6, 50.0), face_at(-1e4, 1e9), face_at(0.0, 2e-2)])
@pytest.mark.timeout(20)  # mirroring at the border once took for ever on pictures one pixel wide
def test_landmarks_far_outside_the_picture_find_no_face(face: FaceLandmarks, size_hw: tuple[int, int]) -> None:
    see, picture = Perception(), np.random.default_rng(0).integers(0, 255, (*size_hw, 3)).astype(np.uint8)
    assert see.mesh(picture, face).presence < 0.5
    assert np.linalg.norm(see.embedder(picture, face)) == pytest.approx(1.0, abs=1e-5)
    assert 0.0 < see.age(picture, face) <= 80.0
