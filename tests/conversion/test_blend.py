from __future__ import annotations

import numpy as np
import pytest
from fake_world import Face, picture

from countenance import geometry
from countenance.conversion.blend import face_region, paste, seam_error
from countenance.conversion.mask import blend_mask, landmark_mask, skin_weights
from countenance.types import Mask

SIZE = 256


def _smooth(seed: int, height: int, width: int) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.clip((blurred - blurred.mean()) * 6 + 120, 0, 255).astype(np.uint8)


def _placed(face: Face, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, Mask]:
    points = face.points()[:, :2].astype(np.float32)
    matrix = geometry.aligned_from_frame(points, SIZE)
    crop = geometry.warp(rgb, matrix, (SIZE, SIZE))
    return crop, geometry.invert(matrix), landmark_mask(geometry.apply(matrix, points), SIZE)


@pytest.mark.parametrize("method", ["pyramid", "feather"])
def test_outside_the_mask_every_bit_stays(method: str) -> None:
    rgb = _smooth(0, 240, 320)
    face = Face(160.3, 120.7, height=120)
    crop, back, mask = _placed(face, rgb)
    result = rgb.copy()
    region = paste(result, np.zeros_like(crop), mask, back, method=method)
    outside = np.ones(rgb.shape[:2], bool)
    outside[region.y0 : region.y1, region.x0 : region.x1] = False
    assert np.array_equal(result[outside], rgb[outside])
    x0, y0, x1, y1 = face.box()  # the hull never reaches past the landmarks
    beyond = np.ones(rgb.shape[:2], bool)
    beyond[int(y0) - 1 : int(y1) + 2, int(x0) - 1 : int(x1) + 2] = False
    assert np.array_equal(result[beyond], rgb[beyond])
    assert result[int(face.y), int(face.x)].max() < 30  # and inside it is painted


@pytest.mark.parametrize("method", ["pyramid", "feather"])
def test_an_unchanged_face_comes_back(method: str) -> None:
    rgb = _smooth(1, 240, 320)
    crop, back, mask = _placed(Face(160.3, 120.7, height=170), rgb)
    result = rgb.copy()
    region = paste(result, crop, mask, back, method=method)
    error = (result.astype(float) - rgb)[region.y0 : region.y1, region.x0 : region.x1]
    assert 10 * np.log10(255**2 / (error**2).mean()) > 45.0


def test_it_lands_where_the_matrix_says_to_a_fraction_of_a_pixel() -> None:
    frame = np.full((200, 200, 3), 10, np.uint8)
    dot = np.full((64, 64, 3), 10, np.uint8)
    dot[20:25, 30:35] = 250  # its middle is (32, 22)
    back = np.array([[1.5, 0.0, 40.25], [0.0, 1.5, 50.75]])
    mask = Mask(np.ones((64, 64), np.float32), "blend")
    paste(frame, dot, mask, back, method="feather")
    weight = frame[..., 0].astype(float) - 10
    y, x = np.mgrid[:200, :200]
    middle = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
    assert middle == pytest.approx((1.5 * 32 + 40.25, 1.5 * 22 + 50.75), abs=0.05)


def test_a_swapper_of_another_size_lands_in_the_same_place() -> None:
    import cv2

    rgb = _smooth(2, 240, 320)
    crop, back, mask = _placed(Face(150, 120, height=150), rgb)
    results = []
    for size in (256, 512):
        result = rgb.copy()
        painted = cv2.resize(crop, (size, size), interpolation=cv2.INTER_CUBIC)
        paste(result, painted, mask, back)
        results.append(result.astype(int))
    assert np.abs(results[0] - results[1]).max() <= 12
    assert np.abs(results[0] - results[1]).mean() < 0.3


@pytest.mark.parametrize("at", [(-400, 100), (160, 900), (1e6, 1e6)])
def test_a_face_outside_the_frame_changes_nothing(at: tuple[float, float]) -> None:
    rgb = _smooth(3, 240, 320)
    _, back, mask = _placed(Face(*at, height=100), rgb)
    result = rgb.copy()
    assert paste(result, np.zeros((64, 64, 3), np.uint8), mask, back).is_empty
    assert np.array_equal(result, rgb)


@pytest.mark.parametrize("at", [(0, 0), (319, 239), (318, 5), (160, 239)])
def test_a_face_on_the_border_is_painted_as_far_as_it_is_seen(at: tuple[float, float]) -> None:
    rgb = np.full((240, 320, 3), 200, np.uint8)
    _, back, mask = _placed(Face(*at, height=100), rgb)
    paste(rgb, np.zeros((64, 64, 3), np.uint8), mask, back)
    assert rgb[at[1], at[0]].max() < 40


def test_an_empty_mask_has_no_region() -> None:
    mask = Mask(np.zeros((32, 32), np.float32), "blend")
    assert face_region(mask, np.array([[1.0, 0, 0], [0, 1.0, 0]]), (100, 100)).is_empty


def test_the_pyramid_has_the_fainter_seam() -> None:
    rgb = _smooth(4, 240, 320)
    crop, back, mask = _placed(Face(160, 120, height=150), rgb)
    painted = np.clip(crop + np.array([40, 5, -25]), 0, 255).astype(np.uint8)
    import cv2

    alpha = cv2.warpAffine(mask.values, back, (320, 240))
    above = cv2.warpAffine(painted, back, (320, 240), flags=cv2.INTER_CUBIC)
    seam = {}
    for method in ("pyramid", "feather"):
        result = rgb.copy()
        paste(result, painted, mask, back, method=method)
        seam[method] = seam_error(result, rgb, above, alpha)
    assert seam["pyramid"] < 0.9 * seam["feather"]


def test_seam_error_sees_a_hard_edge() -> None:
    below, above = np.full((60, 60, 3), 100, np.uint8), np.full((60, 60, 3), 160, np.uint8)
    alpha = np.clip((np.arange(60, dtype=np.float32) - 20) / 20, 0, 1)[None].repeat(60, 0)
    soft = np.rint(below + alpha[..., None] * (above.astype(float) - below)).astype(np.uint8)
    hard = np.where(alpha[..., None] > 0.5, above, below)
    assert seam_error(hard, below, above, alpha) > 1.5 * seam_error(soft, below, above, alpha)
    with pytest.raises(ValueError, match="soft rim"):
        seam_error(soft, below, above, np.ones_like(alpha))


def test_the_landmark_mask_is_soft_inside_the_hull_and_zero_outside() -> None:
    points = geometry.template(SIZE)
    points = np.concatenate([points, points[:10]])
    values = landmark_mask(points, SIZE).values
    hull = geometry.face_hull(points)
    low, high = hull.min(0), hull.max(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    out = (x < low[0] - 1) | (x > high[0] + 1) | (y < low[1] - 1) | (y > high[1] + 1)
    assert values[out].max() == 0.0
    assert values[SIZE // 2, SIZE // 2] == 1.0
    steps = np.abs(np.diff(values[SIZE // 2]))
    assert steps.max() < 0.2  # no edge anywhere


def test_the_landmark_mask_moves_by_less_than_a_pixel_when_the_landmarks_do() -> None:
    points = np.concatenate([geometry.template(SIZE), geometry.template(SIZE)[:10]])
    here, there = (landmark_mask(points + np.float32([shift, 0]), SIZE).values for shift in (0.0, 0.25))
    x = np.arange(SIZE)
    moved = (there * x).sum() / there.sum() - (here * x).sum() / here.sum()
    assert moved == pytest.approx(0.25, abs=0.08)


def test_the_blend_mask_is_the_product_at_the_crops_size() -> None:
    landmark = Mask(np.full((64, 64), 0.5, np.float32), "landmark")
    predicted = Mask(np.full((32, 32), 0.5, np.float32), "predicted")
    occlusion = Mask(np.concatenate([np.zeros((32, 64)), np.ones((32, 64))]).astype(np.float32), "occlusion")
    product = blend_mask(predicted, landmark, occlusion)
    assert product.kind == "blend"
    assert product.values[:32].max() == 0.0
    assert product.values[32:] == pytest.approx(0.25)


def test_colours_are_compared_on_skin_only() -> None:
    points = np.concatenate([geometry.template(SIZE), geometry.template(SIZE)[:10]])
    weights = skin_weights(landmark_mask(points, SIZE), points, 64)
    eye, mouth, cheek = points[[33, 133]].mean(0) / 4, points[[13, 14]].mean(0) / 4, points[50] / 4
    assert weights[int(eye[1]), int(eye[0])] == 0.0
    assert weights[int(mouth[1]), int(mouth[0])] == 0.0
    assert weights[int(cheek[1]), int(cheek[0])] > 0.5
    assert weights[0].max() == 0.0


def test_the_test_picture_carries_its_index() -> None:
    assert [round(float(picture(i)[:16, :16].mean()) / 8) for i in (0, 17, 31)] == [0, 17, 31]
