import pytest
import torch
from torch import nn
from torch.nn import functional

from countenance.training.convolution import doubled_beside, of_few_places


def gradients(result: torch.Tensor, of: list[torch.Tensor]) -> list[torch.Tensor]:
    torch.manual_seed(9)
    return list(torch.autograd.grad(result, of, torch.rand(result.shape, dtype=result.dtype)))


@pytest.mark.parametrize(("height", "width", "below", "seen"), [(1, 1, 1, 2), (4, 7, 5, 3), (8, 8, 16, 8)])
def test_a_doubled_picture_need_not_be_made_to_be_convolved(height, width, below, seen) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(below + seen, 6, 3, padding=1).double()
    small = torch.randn(2, below, height, width, dtype=torch.float64, requires_grad=True)
    beside = torch.randn(2, seen, 2 * height, 2 * width, dtype=torch.float64, requires_grad=True)
    written = conv(torch.cat([functional.interpolate(small, scale_factor=2.0, mode="nearest"), beside], 1))
    quick = doubled_beside(conv, small, beside)
    torch.testing.assert_close(quick, written, rtol=1e-12, atol=1e-12)
    of = [small, beside, conv.weight, conv.bias]
    for ours, theirs in zip(gradients(quick, of), gradients(written, of), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"), [(11, 5, 2, 0), (4, 3, 1, 1), (8, 3, 1, 1), (9, 3, 1, 1)]
)
def test_a_convolution_as_one_product_is_the_same(side, kernel, stride, padding) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 7, kernel, stride=stride, padding=padding).double().to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    quick, written = of_few_places(conv, x), conv(x)
    torch.testing.assert_close(quick, written, rtol=1e-12, atol=1e-12)
    of = [x, conv.weight, conv.bias]
    for ours, theirs in zip(gradients(quick, of), gradients(written, of), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_only_few_places_make_a_product() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    names = [type(of_few_places(conv, torch.rand(1, 1, side, side)).grad_fn).__name__ for side in (8, 9)]
    assert names == ["PermuteBackward0", "ConvolutionBackward0"]
