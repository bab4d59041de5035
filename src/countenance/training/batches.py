"""Random distortion of aligned faces as batched tensor operations, on the device that trains.

The algorithm's heart (2017): the encoder sees a distorted face, the ground truth is not distorted, so what is learned
is to put the face right again, and that carries over to another person's face.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "CLASSIC_WINDOW",
    "WarpedPair",
    "classic_pairs",
    "driver_of",
    "iteration_generator",
    "move",
    "random_affine",
    "sample",
    "umeyama_2d",
]

_CROP = 256
_GRID = 5  # knots a side of the warp
CLASSIC_WINDOW = slice(48, 208)
"""The part of the 256-pixel crop, each way, that the classic recipe looks at."""

_SIGMA_PIXELS = 5.0


def iteration_generator(seed: int, iteration: int, device: torch.device) -> torch.Generator:
    """The source of chance of one iteration: resuming needs no stored state, and any iteration can be repeated."""
    return torch.Generator(device=device).manual_seed((seed * 1_000_003 + iteration) & 0x7FFF_FFFF_FFFF_FFFF)


class WarpedPair(NamedTuple):
    """``warped`` and ``target``, float ``(B, 3, S, S)`` in [0, 1]; S is 64 in the classic recipe."""

    warped: Tensor
    target: Tensor


def umeyama_2d(source: Tensor, destination: Tensor) -> Tensor:
    """Batched similarity ``(B, 2, 3)`` from ``source`` to ``destination``, both ``(B, N, 2)``.

    The closed form of Umeyama's fit in the plane, where a similarity is one complex factor.
    """
    src_mean = source.mean(1, keepdim=True)
    dst_mean = destination.mean(1, keepdim=True)
    a, b = source - src_mean, destination - dst_mean
    power = (a * a).sum((1, 2))
    real = (a * b).sum((1, 2)) / power
    imaginary = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(1) / power
    linear = torch.stack([torch.stack([real, -imaginary], 1), torch.stack([imaginary, real], 1)], 1)  # (B, 2, 2)
    shift = dst_mean[:, 0] - (linear @ src_mean[:, 0, :, None])[..., 0]
    return torch.cat([linear, shift[..., None]], 2)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)


def random_affine(
    count: int,
    size: int,
    generator: torch.Generator,
    *,
    rotation_degrees: float,
    zoom: float,
    shift: float,
    flip: float,
) -> Tensor:
    """Source-from-result matrices ``(B, 2, 3)`` of a random rotation, zoom, shift and mirroring, in pixels.

    Args:
        count: B.
        size: side of the picture in pixels; the rotation is about its centre.
        generator: where chance comes from.
        rotation_degrees: uniform in ± this.
        zoom: scale uniform in 1 ± this.
        shift: uniform in ± this share of the side, each way.
        flip: probability of mirroring left and right.
    """
    angle = _uniform(count, -rotation_degrees, rotation_degrees, generator) * (math.pi / 180.0)
    scale = 1.0 + _uniform(count, -zoom, zoom, generator)
    dx, dy = (_uniform(count, -shift, shift, generator) * size for _ in range(2))
    mirror = 1.0 - 2.0 * (_uniform(count, 0.0, 1.0, generator) < flip).float()
    centre = (size - 1) / 2.0
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # result = mirror(centre + s·R (source − centre) + shift), solved for source
    x_offset = -centre - dx
    y_offset = -centre - dy
    # a mirrored result column x stands for (size − 1) − x
    base = torch.where(mirror < 0, torch.full_like(mirror, size - 1.0), torch.zeros_like(mirror))
    x_row = torch.stack([cos * mirror, sin, cos * (base + x_offset) + sin * y_offset + centre], 1)
    y_row = torch.stack([-sin * mirror, cos, -sin * (base + x_offset) + cos * y_offset + centre], 1)
    return torch.stack([x_row, y_row], 1)


def sample(pictures: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples of ``(B, C, S, S)`` at ``(B, H, W, 2)`` pixel positions; the border's colour goes on outside."""
    size = pictures.shape[-1]
    grid = (points + 0.5) * (2.0 / size) - 1.0  # pixel centres at whole numbers → align_corners=False
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def move(matrices: Tensor, points: Tensor) -> Tensor:
    """``(B, 2, 3)`` applied to ``(B, H, W, 2)``."""
    x, y = points.unbind(-1)
    (a, b, dx), (c, d, dy) = (row.unbind(-1) for row in matrices[:, :, None, None].unbind(1))  # (B, 1, 1) each
    return torch.stack([a * x + b * y + dx, c * x + d * y + dy], -1)  # a product of 2 × 2 a point is 3 times slower


def _warp_knots(count: int, generator: torch.Generator) -> Tensor:
    """The jittered 5 × 5 grid of the classic recipe, ``(B, 5, 5, 2)`` in pixels of the 256 crop."""
    line = torch.linspace(CLASSIC_WINDOW.start, CLASSIC_WINDOW.stop, _GRID, device=generator.device)
    knots = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    noise = torch.randn(count, _GRID, _GRID, 2, generator=generator, device=generator.device)
    return knots + _SIGMA_PIXELS * noise


def _dense(knots: Tensor, size: int) -> Tensor:
    """Positions for a result of ``size`` S: the grid enlarged to S · 5/4, its outer S/8 cut off, ``(B, S, S, 2)``."""
    edge = size // 8
    whole = (size + 2 * edge, size + 2 * edge)
    planes = knots.permute(0, 3, 1, 2).contiguous()  # two channels side by side would take four times as long
    enlarged = functional.interpolate(planes, size=whole, mode="bilinear", align_corners=False)
    return enlarged[:, :, edge:-edge, edge:-edge].permute(0, 2, 3, 1)


def classic_pairs(faces: Tensor, generator: torch.Generator, size: int = 64) -> WarpedPair:
    """The 2017 recipe: rotate ±10°, zoom ±5 %, shift ±5 %, mirror 40 %; warp a 5 × 5 grid by σ = 5 px; fit the target.

    The target is the crop under the similarity that best fits the warped grid to the regular one. Both pictures are
    sampled once from the original crop, where the original program resampled twice.

    Args:
        faces: uint8 or float (0..255) ``(B, 3, 256, 256)``.
        generator: on the same device.
        size: side of both pictures, which show the same part of the crop whatever it is; the recipe's is 64.

    Raises:
        ValueError: ``size`` is no multiple of 8.
    """
    if size < 8 or size % 8:
        raise ValueError(f"classic_pairs: expected a size that is a multiple of 8, got {size}")
    count = faces.shape[0]
    pictures = faces / 255.0
    affine = random_affine(count, _CROP, generator, rotation_degrees=10.0, zoom=0.05, shift=0.05, flip=0.4)
    knots = _warp_knots(count, generator)
    warped = sample(pictures, move(affine, _dense(knots, size)))
    regular_line = torch.arange(0, size + 1, size // 4, device=faces.device, dtype=torch.float32)
    regular = torch.stack(torch.meshgrid(regular_line, regular_line, indexing="xy"), -1).expand_as(knots)
    # A least-squares fit is not symmetric: the recipe fits target-from-crop, and sampling needs its inverse.
    crop_from_target = _invert(umeyama_2d(knots.flatten(1, 2), regular.flatten(1, 2)))
    line = torch.arange(size, device=faces.device, dtype=torch.float32)
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).expand(count, size, size, 2)
    target = sample(pictures, move(affine, move(crop_from_target, pixels)))
    return WarpedPair(warped, target)


def _invert(matrices: Tensor) -> Tensor:
    linear = torch.linalg.inv(matrices[:, :, :2])
    return torch.cat([linear, -linear @ matrices[:, :, 2:]], 2)


def driver_of(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """The encoder's input of the guided family: each face turned, scaled, shifted and warped a little.

    The warp is the classic one, scaled to the whole crop.

    Args:
        pictures: float ``(B, 3, S, S)`` in [0, 1].
        size: side of the result.
        generator: on the same device.
    """
    count, _, side, _ = pictures.shape
    affine = random_affine(count, side, generator, rotation_degrees=6.0, zoom=0.05, shift=0.03, flip=0.0)
    jitter = torch.randn(count, 2, _GRID, _GRID, generator=generator, device=generator.device)
    jitter = jitter * (_SIGMA_PIXELS / _CROP * side)
    dense = functional.interpolate(jitter, size=(size, size), mode="bicubic", align_corners=False)
    line = (torch.arange(size, device=pictures.device, dtype=torch.float32) + 0.5) * (side / size) - 0.5
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    points = move(affine, pixels + dense.permute(0, 2, 3, 1))
    return sample(pictures, points)
