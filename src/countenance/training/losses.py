"""What the networks are scored by while they learn."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from countenance.training.model import GuidedOutput

__all__ = ["detail_band", "guided_loss", "masked_l1", "ssim_map"]

_C1, _C2 = 0.01**2, 0.03**2


@lru_cache(maxsize=8)
def _window(channels: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The 11-tap Gaussian of SSIM (σ = 1.5) as a row and a column filter per channel."""
    offsets = torch.arange(11, dtype=torch.float64) - 5.0
    taps = torch.exp(-(offsets**2) / (2.0 * 1.5**2))
    taps = (taps / taps.sum()).to(device=device, dtype=dtype)
    row = taps.view(1, 1, 1, 11).expand(channels, 1, 1, 11).contiguous()
    return row, row.transpose(2, 3).contiguous()


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity per pixel, ``(B, C, H, W)`` in [−1, 1], of two pictures in [0, 1].

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004: Gaussian
    window of 11 taps, σ = 1.5; the border is padded by zeros on both sides of the comparison alike.
    """
    channels = a.shape[1]
    row, column = _window(5 * channels, a.device, a.dtype)
    stacked = torch.cat([a, b, a * a, b * b, a * b], 1)
    blurred = functional.conv2d(stacked, row, padding=(0, 5), groups=5 * channels)
    blurred = functional.conv2d(blurred, column, padding=(5, 0), groups=5 * channels)
    mean_a, mean_b, aa, bb, ab = blurred.chunk(5, 1)
    var_a, var_b, cov = aa - mean_a * mean_a, bb - mean_b * mean_b, ab - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a * mean_a + mean_b * mean_b + _C1)
    return luminance * (2 * cov + _C2) / (var_a + var_b + _C2)


def masked_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of ``(B, C, H, W)`` pictures under a ``(B, 1, H, W)`` weight; 0 where nothing counts."""
    total = weight.sum() * a.shape[1]
    return ((a - b).abs() * weight).sum() / total.clamp_min(1e-6)


def detail_band(picture: Tensor) -> Tensor:
    """What is lost when a picture is halved and doubled again: ``(B, C, 2S, 2S)``, zero-mean detail."""
    half = functional.avg_pool2d(picture, 2)
    return picture - functional.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=False)


def guided_loss(output: GuidedOutput, target: Tensor, weight: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The loss of the guided family and its terms.

    Structure (1 − SSIM) and colour (L1) of the base inside the face, with the eyes and the mouth counted more, and the
    mask's cross-entropy.

    Args:
        output: what the decoder painted, side S.
        target: ``(B, 3, S, S)`` in [0, 1].
        weight: ``(B, 1, S, S)``, how much each pixel counts.
        mask: ``(B, 1, S, S)`` in [0, 1], the face region that the mask must predict.
    """
    structure = ((1.0 - ssim_map(output.base, target)) * weight).sum() / (3.0 * weight.sum()).clamp_min(1e-6)
    colour = masked_l1(output.base, target, weight)
    predicted = functional.binary_cross_entropy_with_logits(output.mask_logits, mask)
    loss = structure + 3.0 * colour + 0.1 * predicted
    terms = {"structure": structure, "colour": colour, "mask": predicted}
    return loss, {name: float(value.detach()) for name, value in terms.items()}
