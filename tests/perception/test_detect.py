from __future__ import annotations

import cv2
import numpy as np
import pytest
from perception_fakes import FakeSessions, clip

from countenance.perception import weights
from countenance.perception.detect import FaceDetector


def nothing(height: int, width: int) -> list[np.ndarray]:
    """The network's outputs when it sees nothing."""
    cells = [(height // stride) * (width // stride) for stride in (8, 16, 32)]
    return [np.zeros((1, count, size), np.float32) for size in (1, 1, 4, 10) for count in cells]


def empty_answer(inputs):
    return nothing(*inputs["input"].shape[2:])


def test_decodes_a_cell_by_hand() -> None:
    def answer(inputs):
        outputs = nothing(*inputs["input"].shape[2:])
        cell = 3 * (96 // 16) + 2  # row 3, column 2 at stride 16
        outputs[1][0, cell], outputs[4][0, cell] = 0.81, 1.0
        outputs[7][0, cell] = [0.5, 0.25, np.log(2.0), np.log(3.0)]
        outputs[10][0, cell] = np.arange(10) / 10
        return outputs

    (found,) = FaceDetector(FakeSessions(face_detector=answer))(np.zeros((90, 90, 3), np.uint8))
    assert found.score == pytest.approx(0.9)
    np.testing.assert_allclose(found.box_xyxy, [40 - 16, 52 - 24, 40 + 16, 52 + 24], atol=1e-4)
    np.testing.assert_allclose(found.points_xy[1], [(2 + 0.2) * 16, (3 + 0.3) * 16], atol=1e-4)


def test_tensor_is_bgr_padded_to_32_with_zeros() -> None:
    sessions = FakeSessions(face_detector=empty_answer)
    picture = np.full((50, 70, 3), (250, 20, 3), np.uint8)
    assert FaceDetector(sessions)(picture) == []
    tensor = sessions.by_name["face-detector"].asked[0]["input"]
    assert tensor.shape == (1, 3, 64, 96)
    assert tensor[0, :, 49, 69].tolist() == [3, 20, 250]
    assert not tensor[0, :, 50:].any()
    assert not tensor[0, :, :, 70:].any()


@pytest.mark.parametrize(
    ("size_hw", "passes"),
    [
        ((240, 320), [(256, 320)]),
        ((480, 640), [(480, 640), (256, 320)]),
        ((1080, 1920), [(384, 640), (192, 320), (1088, 1920)]),
        ((3840, 2160), [(640, 384), (320, 192), (1920, 1088)]),
        ((1, 1), [(32, 32)]),
    ],
)
def test_looks_again_only_when_nothing_is_found(size_hw: tuple[int, int], passes: list[tuple[int, int]]) -> None:
    sessions = FakeSessions(face_detector=empty_answer)
    assert FaceDetector(sessions)(np.zeros((*size_hw, 3), np.uint8)) == []
    assert [asked["input"].shape[2:] for asked in sessions.by_name["face-detector"].asked] == passes


@pytest.mark.parametrize("size_hw", [(64, 96), (720, 1280)])
def test_at_its_own_size_a_picture_is_searched_once(size_hw: tuple[int, int]) -> None:
    sessions = FakeSessions(face_detector=empty_answer)
    assert FaceDetector(sessions)(np.zeros((*size_hw, 3), np.uint8), own_size=True) == []
    padded = tuple(-(-side // 32) * 32 for side in size_hw)
    assert [asked["input"].shape[2:] for asked in sessions.by_name["face-detector"].asked] == [padded]


def test_same_face_once_and_largest_first() -> None:
    def answer(inputs):
        outputs = nothing(*inputs["input"].shape[2:])
        for cell, score, half in ((0, 0.7, 2.0), (1, 0.9, 2.0), (60, 0.8, 4.0)):
            outputs[0][0, cell], outputs[3][0, cell] = score**2, 1.0
            outputs[6][0, cell] = [0.0, 0.0, np.log(half * 2), np.log(half * 2)]
        return outputs

    found = FaceDetector(FakeSessions(face_detector=answer))(np.zeros((128, 128, 3), np.uint8))
    assert [round(face.score, 3) for face in found] == [0.8, 0.9]


def test_numbers_that_are_none_are_dropped() -> None:
    def answer(inputs):
        outputs = nothing(*inputs["input"].shape[2:])
        for level in range(3):
            outputs[level][:] = outputs[3 + level][:] = 1.0
            outputs[6 + level][:] = np.nan
        outputs[6][0, 5] = [0.0, 0.0, 1e30, 1e30]
        return outputs

    found = FaceDetector(FakeSessions(face_detector=answer))(np.zeros((64, 64, 3), np.uint8))
    assert all(np.isfinite(face.box_xyxy).all() for face in found)
    assert len(found) == 1


def test_agrees_with_opencv_own_decoder() -> None:
    """The reference is cv2.FaceDetectorYN on the published file."""
    frame = np.ascontiguousarray(np.tile(clip("train_A", 100)[1], (2, 2, 1)))
    frame[:320, :320] = clip("train_B", 100)[2]
    reference = cv2.FaceDetectorYN.create(str(weights.path_of("face-detector")), "", (640, 640), 0.6, 0.3, 1000)
    _, rows = reference.detect(frame[:, :, ::-1].copy())
    found = FaceDetector()(frame)
    assert len(found) == len(rows) == 4
    for row in rows:
        box = np.concatenate([row[:2], row[:2] + row[2:4]])
        nearest = min(found, key=lambda face: np.abs(face.box_xyxy - box).max())
        np.testing.assert_allclose(nearest.box_xyxy, box, atol=0.05)
        np.testing.assert_allclose(nearest.points_xy.ravel(), row[4:14], atol=0.05)
        assert nearest.score == pytest.approx(row[14], abs=1e-3)


@pytest.mark.parametrize("name", ["train_A", "train_B", "test_A", "occl_C"])
def test_finds_each_performer_where_the_mask_is(name: str) -> None:
    detector = FaceDetector()
    for frame, truth in zip(clip(name, 25), clip(f"{name}_mask", 25), strict=True):
        box = detector(frame)[0].box_xyxy
        rows, columns = np.nonzero(truth[:, :, 0] > 128)
        inside = (columns >= box[0]) & (columns <= box[2]) & (rows >= box[1]) & (rows <= box[3])
        assert inside.mean() > 0.85


def test_finds_a_face_that_fills_a_large_picture_and_a_small_one_in_4k() -> None:
    frame = clip("train_A", 100)[0]
    detector = FaceDetector()
    x0, y0, x1, y1 = detector(frame)[0].box_xyxy.astype(int)
    close = cv2.resize(frame[y0:y1, x0:x1], None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    assert detector(np.asarray(close, np.uint8))
    wide = np.full((2160, 3840, 3), 90, np.uint8)
    wide[1000:1080, 3000:3080] = cv2.resize(frame, (80, 80), interpolation=cv2.INTER_AREA)
    (small,) = detector(wide)
    assert 3000 < small.points_xy[:, 0].min() < small.points_xy[:, 0].max() < 3080
    assert 1000 < small.points_xy[:, 1].min() < small.points_xy[:, 1].max() < 1080


def test_finds_nothing_in_noise() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    assert FaceDetector()(noise) == []


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_refuses_a_score_out_of_range(score: float) -> None:
    with pytest.raises(ValueError, match="min_score"):
        FaceDetector(FakeSessions())(np.zeros((8, 8, 3), np.uint8), min_score=score)
