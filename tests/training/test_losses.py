import pytest
import torch

from countenance.training import losses
from countenance.training.losses import LossTerms, contrast_l1, detail_band, guided_loss, masked_l1, ssim_map
from countenance.training.model import GuidedOutput


def test_ssim_of_a_picture_with_itself_is_one() -> None:
    picture = torch.rand(1, 3, 48, 48)
    torch.testing.assert_close(ssim_map(picture, picture), torch.ones(1, 3, 48, 48), atol=1e-4, rtol=0)


def test_ssim_has_the_published_value_for_a_constant_shift() -> None:
    # Flat pictures: only the luminance term is left, (2ab + C1) / (a² + b² + C1).
    a, b = torch.full((1, 1, 48, 48), 0.4), torch.full((1, 1, 48, 48), 0.6)
    expected = (2 * 0.24 + 1e-4) / (0.16 + 0.36 + 1e-4)
    assert float(ssim_map(a, b)[0, 0, 24, 24]) == pytest.approx(expected, abs=1e-4)


def test_ssim_falls_with_noise_and_turns_negative_for_the_negative() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 1, 64, 64)
    noisy = (picture + 0.1 * torch.randn_like(picture)).clamp(0, 1)
    assert 0.5 < float(ssim_map(picture, noisy).mean()) < 0.98
    assert float(ssim_map(picture, 1.0 - picture).mean()) < -0.5


def test_masked_l1_counts_only_what_the_weight_counts() -> None:
    a, b = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    b[..., :4] = 0.5
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., 4:] = 1.0
    assert float(masked_l1(a, b, weight)) == 0.0
    assert float(masked_l1(a, b, 1.0 - weight)) == pytest.approx(0.5)
    assert float(masked_l1(a, b, torch.zeros(1, 1, 8, 8))) == 0.0


def test_the_detail_band_has_no_mean_and_rebuilds_the_picture() -> None:
    picture = torch.rand(1, 3, 32, 32)
    band = detail_band(picture)
    half = torch.nn.functional.avg_pool2d(picture, 2)
    enlarged = torch.nn.functional.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarged + band, picture)
    assert abs(float(band.mean())) < 0.01
    assert float(detail_band(torch.full((1, 3, 32, 32), 0.7)).abs().max()) < 1e-6


def test_filters_are_those_of_pooling_and_resizing() -> None:
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 40, 56, dtype=torch.float64)
    pooled = torch.nn.functional.avg_pool2d(picture, 7, 1, 3)
    torch.testing.assert_close(losses._filtered(picture, losses._BOX), pooled, rtol=1e-12, atol=1e-12)
    small = torch.rand(1, 1, 4, 4, dtype=torch.float64)  # shorter than the filter's reach
    blurred = losses._filtered(small, losses._GAUSSIAN)
    taps = torch.tensor(losses._GAUSSIAN, dtype=torch.float64)
    window = torch.outer(taps, taps)[None, None] / taps.sum() ** 2
    torch.testing.assert_close(blurred, torch.nn.functional.conv2d(small, window, padding=5), rtol=1e-12, atol=1e-12)


def test_a_perfect_picture_and_mask_cost_next_to_nothing_and_the_eyes_count_more() -> None:
    torch.manual_seed(0)
    target, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    weight = torch.ones(1, 1, 64, 64)
    weight[..., 20:30, 20:30] = 4.0
    sure = torch.full((1, 1, 64, 64), 12.0)
    loss, terms = guided_loss(GuidedOutput(target, sure), target, weight, mask)
    assert float(loss) < 1e-3
    assert set(terms) == {"structure", "colour", "mask", "detail"}
    eye, cheek = target.clone(), target.clone()
    eye[..., 20:30, 20:30] = 0.5
    cheek[..., 40:50, 40:50] = 0.5
    costs = [float(guided_loss(GuidedOutput(p, sure), target, weight, mask)[0]) for p in (eye, cheek)]
    assert costs[0] > 2.0 * costs[1]


def test_detail_is_asked_for_near_its_place_and_only_where_something_counts() -> None:
    torch.manual_seed(0)
    target, everywhere = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    moved, blurred = torch.roll(target, 1, 3), torch.nn.functional.avg_pool2d(target, 3, 1, 1)
    assert float(contrast_l1(target, target, everywhere)) == 0.0
    assert float(contrast_l1(target + 0.1, target, everywhere)) < 1e-5  # light is no detail
    assert float(contrast_l1(blurred, target, everywhere)) > 0.05
    assert float(contrast_l1(moved, target, everywhere)) < 0.3 * float(contrast_l1(blurred, target, everywhere))
    left = everywhere.clone()
    left[..., 24:] = 0.0
    half = torch.cat([target[..., :40], blurred[..., 40:]], 3)
    assert float(contrast_l1(half, target, left)) < 1e-6


def test_a_flat_picture_has_a_gradient_and_a_term_of_no_weight_is_left_out() -> None:
    flat, mask = torch.full((1, 3, 32, 32), 0.5, requires_grad=True), torch.ones(1, 1, 32, 32)
    contrast_l1(flat, torch.rand(1, 3, 32, 32), mask).backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    output = GuidedOutput(torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32))
    loss, values = guided_loss(output, torch.rand(1, 3, 32, 32), mask, mask, terms=LossTerms(0.0, 0.0, 2.0, 0.0))
    assert float(loss) == pytest.approx(2.0 * values["mask"])
    assert values["detail"] == 0.0
