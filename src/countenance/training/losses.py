"""What the networks are scored by while they learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from countenance.training.model import GuidedOutput

__all__ = ["TERMS", "WHOLE", "LossTerms", "Part", "contrast_l1", "detail_band", "guided_loss", "masked_l1", "ssim_map"]

_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True)
class LossTerms:
    """How much each term of the guided loss weighs; 0 leaves it out of the sum.

    Attributes:
        structure: 1 − SSIM inside the face.
        colour: L1 inside the face.
        mask: the predicted mask's cross-entropy.
        detail: :func:`contrast_l1`.
    """

    structure: float = 1.0
    colour: float = 3.0
    mask: float = 0.1
    detail: float = 8.0


_GAUSSIAN = tuple(math.exp(-(tap**2) / (2.0 * 1.5**2)) for tap in range(-5, 6))  # of SSIM: 11 taps, σ = 1.5
_BOX = (1.0,) * 7  # of a band's strength


@lru_cache(maxsize=16)
def _band(taps: tuple[float, ...], size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A symmetric filter of sum 1 along a side, with zeros beyond the border, as a ``(size, size)`` band matrix."""
    reach = len(taps) // 2
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for apart, tap in enumerate(taps, -reach):
        if abs(apart) < size:
            matrix.diagonal(apart).fill_(tap / sum(taps))
    return matrix.to(device=device, dtype=dtype)


def _filtered(picture: Tensor, taps: tuple[float, ...]) -> Tensor:
    """A picture filtered along both sides, zeros beyond the border.

    Two matrix products: convolutions of a single channel, and average pooling, leave a processor's units idle and take
    longer although they multiply less (bench/efficiency.py).
    """
    down, along = (_band(taps, size, picture.device, picture.dtype) for size in picture.shape[-2:])
    return down @ (picture @ along)


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity per pixel, ``(B, C, H, W)`` in [−1, 1], of two pictures in [0, 1].

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004: Gaussian
    window of 11 taps, σ = 1.5; the border is padded by zeros on both sides of the comparison alike.
    """
    stacked = torch.cat([a, b, a * a + b * b, a * b], 1)  # only the sum of the squares is asked for
    mean_a, mean_b, squares, product = _filtered(stacked, _GAUSSIAN).chunk(4, 1)
    means, squared_means = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    alike = (2 * means + _C1) * (2 * (product - means) + _C2)
    return alike / ((squared_means + _C1) * (squares - squared_means + _C2))


def masked_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference of ``(B, C, H, W)`` pictures under a ``(B, 1, H, W)`` weight; 0 where nothing counts."""
    total = weight.sum() * a.shape[1]
    return ((a - b).abs() * weight).sum() / total.clamp_min(1e-6)


@lru_cache(maxsize=8)
def _coarse(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Averaging pairs along a side and doubling that again by linear interpolation, as a ``(size, size)`` matrix."""
    pairs = torch.eye(size, dtype=torch.float64).view(size // 2, 2, size).mean(1)
    doubled = functional.interpolate(pairs.T[None], scale_factor=2.0, mode="linear", align_corners=False)[0]
    return doubled.T.contiguous().to(device=device, dtype=dtype)


def detail_band(picture: Tensor) -> Tensor:
    """What is lost when a picture is halved and doubled again: ``(B, C, 2S, 2S)``, zero-mean detail."""
    down, along = (_coarse(size, picture.device, picture.dtype) for size in picture.shape[-2:])
    return picture - down @ (picture @ along.T)


def contrast_l1(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """How much the strength of the two finest detail bands differs, under a weight; 0 for equal pictures.

    Strength is the root mean square over 7 × 7 pixels and the channels, so as much detail is asked for wherever it lies
    near by. An L1 of the bands themselves asks for it in its place, and what is never in exact register is then best
    left out: that blurs (bench/ablation.py has both).

    Args:
        a: ``(B, C, S, S)`` in [0, 1].
        b: the same.
        weight: ``(B, 1, S, S)``, how much each pixel counts.
    """
    total = a.new_zeros(())
    for _ in range(2):
        total = total + masked_l1(_strength(a), _strength(b), weight)
        a, b, weight = (functional.avg_pool2d(x, 2) for x in (a, b, weight))
    return total


def _strength(picture: Tensor) -> Tensor:
    power = detail_band(picture).square().mean(1, keepdim=True)
    return _filtered(power, _BOX).add(1e-5).sqrt()  # the sum keeps the root's slope finite


TERMS = LossTerms()
"""The product's own."""


class Part(NamedTuple):
    """How much of a batch some of its faces are: their share of the weight that is counted, and of the pictures.

    The losses of all parts of a batch, each with its own part, add up to the loss of the whole.
    """

    counted: float = 1.0
    pictures: float = 1.0


WHOLE = Part()
"""All of a batch."""


def guided_loss(
    output: GuidedOutput, target: Tensor, weight: Tensor, mask: Tensor, *, terms: LossTerms = TERMS, part: Part = WHOLE
) -> tuple[Tensor, dict[str, float]]:
    """The loss of the guided family and its terms.

    Structure (1 − SSIM), colour (L1) and detail (:func:`contrast_l1`) of the base inside the face, with the eyes and
    the mouth counted more, and the mask's cross-entropy.

    Args:
        output: what the decoder painted, side S.
        target: ``(B, 3, S, S)`` in [0, 1].
        weight: ``(B, 1, S, S)``, how much each pixel counts.
        mask: ``(B, 1, S, S)`` in [0, 1], the face region that the mask must predict.
        terms: how much each term weighs in the loss.
        part: what of a batch these faces are, where the loss is to be added to that of the others.

    Returns:
        the loss, and each term before it was weighed.
    """
    structure = ((1.0 - ssim_map(output.base, target)) * weight).sum() / (3.0 * weight.sum()).clamp_min(1e-6)
    colour = masked_l1(output.base, target, weight)
    predicted = functional.binary_cross_entropy_with_logits(output.mask_logits, mask)
    detail = contrast_l1(output.base, target, weight) if terms.detail else colour.new_zeros(())  # a tenth of the step
    inside = terms.structure * structure + terms.colour * colour + terms.detail * detail
    loss = part.counted * inside + part.pictures * (terms.mask * predicted)
    values = {"structure": structure, "colour": colour, "mask": predicted, "detail": detail}
    return loss, {name: float(value.detach()) for name, value in values.items()}
