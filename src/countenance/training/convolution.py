"""Two of the networks' convolutions in a form that processors do sooner; the sums are the same but for rounding.

Measured by ``bench/efficiency.py``; docs/concepts/training.md has the figures.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from torch import nn

__all__ = ["doubled_beside", "doubled_weights", "of_few_places"]

_FEW_PLACES = 8 * 8


@lru_cache(maxsize=8)
def _sums(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Which of 3 × 3 weights meet at each place of the 4 × 4 transposed ones: ``(16, 9)`` of ones and zeros."""
    side = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.kron(side, side).to(device=device, dtype=dtype)


def doubled_beside(conv: nn.Conv2d, small: Tensor, beside: Tensor) -> Tensor:
    """``conv`` of ``small``, doubled by repeating its pixels, beside another picture, neither of which is ever made.

    A 3 × 3 convolution of repeated pixels adds up weights that meet the same pixel, so it is a transposed convolution
    of stride 2 whose 4 × 4 weights are those sums: 16 products for four results instead of 36, and no passes over
    memory for doubling and joining, forwards or backwards.

    Args:
        conv: 3 × 3, stride 1, padding 1, from ``C + D`` channels.
        small: ``(B, C, H, W)``.
        beside: ``(B, D, 2H, 2W)``.

    Returns:
        ``(B, E, 2H, 2W)``, what ``conv`` makes of the two joined.
    """
    sums, own = doubled_weights(conv, small.shape[1])
    doubled = functional.conv_transpose2d(small, sums, stride=2, padding=1)
    return doubled + functional.conv2d(beside, own, conv.bias, padding=1)


def doubled_weights(conv: nn.Conv2d, channels: int) -> tuple[Tensor, Tensor]:
    """The weights of :func:`doubled_beside`: of the transposed convolution, ``(C, E, 4, 4)``, and ``(E, D, 3, 3)``.

    Args:
        conv: as there.
        channels: C, of what is doubled.
    """
    below = conv.weight[:, :channels].permute(1, 2, 3, 0).flatten(1, 2)  # (C, 9, E), as channels-last weights lie
    sums = (_sums(below.device, below.dtype) @ below).view(channels, 4, 4, -1).permute(0, 3, 1, 2)  # (C, E, 4, 4)
    return sums, conv.weight[:, channels:].contiguous(memory_format=torch.channels_last)


def of_few_places(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """``conv`` of a picture; where the result has few places, as one matrix product over all pictures of the batch.

    oneDNN takes 3.6 times as long for the classic encoder's last layer, with its 13 million weights and 4 × 4 places
    (forwards and backwards, one thread); it seems to read all weights for each picture.

    Args:
        conv: a square one without groups and dilation, its padding in pixels.
        x: ``(B, C, H, W)``.
    """
    side, step = conv.kernel_size[0], conv.stride[0]
    pad = conv.padding[0] if isinstance(conv.padding, tuple) else 0
    height, width = ((size + 2 * pad - side) // step + 1 for size in x.shape[-2:])
    if x.device.type != "cpu" or height * width > _FEW_PLACES:
        return functional.conv2d(x, conv.weight, conv.bias, conv.stride, pad)
    pixels = functional.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))  # (B, H, W, C)
    windows = pixels.unfold(1, side, step).unfold(2, side, step)  # (B, h, w, C, side, side)
    rows = windows.permute(0, 1, 2, 4, 5, 3).reshape(len(x) * height * width, -1)
    weight = conv.weight.permute(0, 2, 3, 1).reshape(conv.out_channels, -1)
    return functional.linear(rows, weight, conv.bias).view(len(x), height, width, -1).permute(0, 3, 1, 2)
