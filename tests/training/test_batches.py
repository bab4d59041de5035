import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance import geometry
from countenance.training import batches
from countenance.training.batches import classic_pairs, driver_of, iteration_generator, random_affine, umeyama_2d

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_umeyama_in_the_plane_is_the_general_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, destination = rng.normal(size=(25, 2)) * 50, rng.normal(size=(25, 2)) * 50
    # a similarity plus noise, as the warp grid gives (for unrelated points both fits degenerate)
    destination = source * 0.4 + 7 + rng.normal(size=(25, 2))
    ours = umeyama_2d(torch.tensor(source)[None], torch.tensor(destination)[None])[0].numpy()
    np.testing.assert_allclose(ours, geometry.umeyama(source, destination), atol=1e-9)


def _picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    return cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [64, 128])
def test_classic_pairs_follow_the_published_steps(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Against a plain OpenCV rendering of the recipe, with the same knots and no rotation, zoom, shift or mirror."""
    picture = _picture()
    monkeypatch.setattr(
        batches, "random_affine", lambda count, *_, **__: torch.eye(2, 3).expand(count, 2, 3).contiguous()
    )
    generator = iteration_generator(3, 5, CPU)
    pair = classic_pairs(torch.from_numpy(picture.transpose(2, 0, 1).copy())[None], generator, size)
    knots = batches._warp_knots(1, iteration_generator(3, 5, CPU))[0].numpy()

    maps = [cv2.resize(np.ascontiguousarray(knots[..., axis]), (size * 5 // 4,) * 2) for axis in (0, 1)]
    maps = [plane[size // 8 : -(size // 8), size // 8 : -(size // 8)] for plane in maps]
    warped = cv2.remap(picture, maps[0].astype(np.float32), maps[1].astype(np.float32), cv2.INTER_LINEAR)
    line = np.arange(0, size + 1, size // 4)
    regular = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    matrix = geometry.umeyama(knots.reshape(-1, 2), regular)
    target = cv2.warpAffine(picture, matrix, (size, size))
    assert warped.shape == target.shape == (size, size, 3)

    for ours, theirs in ((pair.warped, warped), (pair.target, target)):
        difference = np.abs(ours[0].permute(1, 2, 0).numpy() * 255.0 - theirs)
        assert difference.mean() < 0.6  # OpenCV interpolates in 1/32 pixel steps
        assert np.percentile(difference, 99) < 4.0


def test_a_pair_shows_the_same_at_any_size() -> None:
    faces = torch.from_numpy(_picture(1).transpose(2, 0, 1).copy()).expand(4, 3, 256, 256)
    small, large = (classic_pairs(faces, iteration_generator(0, 1, CPU), size) for size in (64, 128))
    # Pixel i of the recipe's target lies at i steps, not at i + ½, so every other pixel of the larger one is the same.
    torch.testing.assert_close(large.target[..., ::2, ::2], small.target, atol=1e-4, rtol=0)
    halved = torch.nn.functional.avg_pool2d(large.warped, 2)
    assert float((halved - small.warped).abs().mean()) < 0.01
    with pytest.raises(ValueError, match="a multiple of 8, got 60"):
        classic_pairs(faces, iteration_generator(0, 1, CPU), 60)


def test_points_move_by_the_matrix() -> None:
    torch.manual_seed(0)
    matrices, points = torch.randn(3, 2, 3), torch.randn(3, 5, 4, 2)
    expected = torch.einsum("bij,bhwj->bhwi", matrices, torch.cat([points, torch.ones(3, 5, 4, 1)], -1))
    torch.testing.assert_close(batches.move(matrices, points), expected)


def test_the_input_is_distorted_and_the_target_is_not() -> None:
    yy, xx = np.mgrid[0:256, 0:256]
    ramp = np.stack([xx, yy, xx], -1).astype(np.uint8)  # position written into the colours
    generator = iteration_generator(0, 1, CPU)
    pair = classic_pairs(torch.from_numpy(ramp.transpose(2, 0, 1).copy()).expand(8, 3, 256, 256), generator)

    def curvature(pictures: torch.Tensor) -> float:
        inner = pictures[:, :2, 8:-8, 8:-8]
        return float(inner.diff(n=2, dim=-1).abs().mean() + inner.diff(n=2, dim=-2).abs().mean())

    assert curvature(pair.target) < 0.2 * curvature(pair.warped)


def test_mirroring_happens_about_four_times_in_ten_and_turns_the_picture_round() -> None:
    matrices = random_affine(
        4000, 256, iteration_generator(0, 0, CPU), rotation_degrees=10, zoom=0.05, shift=0.05, flip=0.4
    )
    mirrored = torch.linalg.det(matrices[:, :, :2]) < 0
    assert 0.36 < float(mirrored.float().mean()) < 0.44
    plain = random_affine(1, 256, iteration_generator(0, 0, CPU), rotation_degrees=0, zoom=0, shift=0, flip=1.1)[0]
    torch.testing.assert_close(plain, torch.tensor([[-1.0, 0.0, 255.0], [0.0, 1.0, 0.0]]))


def test_rotation_zoom_and_shift_stay_in_their_ranges() -> None:
    matrices = random_affine(
        4000, 256, iteration_generator(1, 0, CPU), rotation_degrees=10, zoom=0.05, shift=0.05, flip=0.0
    )
    linear = matrices[:, :, :2]
    scale = 1.0 / torch.linalg.det(linear).sqrt()
    angle = torch.rad2deg(torch.atan2(linear[:, 0, 1], linear[:, 0, 0]))
    assert 0.949 < float(scale.min()) < 0.955
    assert 1.045 < float(scale.max()) < 1.051
    assert 9.5 < float(angle.abs().max()) <= 10.01
    centre = torch.tensor([127.5, 127.5])
    moved = (torch.linalg.inv(linear) @ (centre - matrices[:, :, 2])[..., None])[..., 0] - centre
    assert 12.0 < float(moved.abs().max()) < 12.81


def test_an_iterations_chance_is_its_own() -> None:
    faces = torch.from_numpy(_picture().transpose(2, 0, 1).copy())[None]
    again = [classic_pairs(faces, iteration_generator(7, 9, CPU)).warped for _ in range(2)]
    other = classic_pairs(faces, iteration_generator(7, 10, CPU)).warped
    assert torch.equal(*again)
    assert not torch.equal(again[0], other)


def test_the_driver_is_moved_by_a_few_pixels_and_not_by_many() -> None:
    yy, xx = np.mgrid[0:256, 0:256] / 255.0
    ramp = torch.from_numpy(np.stack([xx, yy, xx])).float()[None].expand(16, 3, 256, 256)
    driver = driver_of(ramp, 64, iteration_generator(0, 0, CPU))
    plain = torch.nn.functional.interpolate(ramp, size=64, mode="bilinear", align_corners=False)
    pixels = (driver - plain)[:, :2, 8:-8, 8:-8].abs() * 255.0
    assert driver.shape == (16, 3, 64, 64)
    assert 1.0 < float(pixels.mean()) < 15.0
    assert float(pixels.max()) < 60.0
