"""The networks: one shared encoder and one decoder per person.

``ClassicModel`` is the 2017 *deepfakes* autoencoder to the letter. ``GuidedModel`` keeps its shape (shared encoder,
a decoder a person) and changes what a decoder begins with: the person's own most similar crops, warped to the wanted
geometry (``reference.py``), so that detail is there from the first minute and only the rest has to be learned.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from countenance.training.convolution import doubled_beside, of_few_places
from countenance.training.presets import LATENT_SIDE

if TYPE_CHECKING:
    from countenance.training.presets import Preset

__all__ = [
    "PEOPLE",
    "ClassicModel",
    "GuidedModel",
    "GuidedOutput",
    "build_model",
    "low_pass",
    "mask_start",
    "parameter_count",
    "start_of",
]

PEOPLE = ("lender", "performer")
"""The two decoders' names, in the order in which they are trained."""


def parameter_count(module: nn.Module) -> int:
    """Number of trainable numbers."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


class _SameConv(nn.Module):
    """5 × 5 convolution of stride 2 with TensorFlow's "same" padding: 1 before and 2 after, for even sizes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(of_few_places(self.conv, functional.pad(x, (1, 2, 1, 2))), 0.1)


class _Upscale(nn.Module):
    """3 × 3 convolution to four times the channels, LeakyReLU, pixel shuffle: twice the size (W. Shi et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(functional.leaky_relu(of_few_places(self.conv, x), 0.1), 2)


class _ClassicEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(_SameConv(3, 128), _SameConv(128, 256), _SameConv(256, 512), _SameConv(512, 1024))
        self.squeeze = nn.Linear(1024 * 4 * 4, 1024)
        self.spread = nn.Linear(1024, 1024 * 4 * 4)
        self.up = _Upscale(1024, 512)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x).flatten(1)  # (B, 16384)
        x = self.spread(self.squeeze(x)).view(-1, 1024, 4, 4)
        up: Tensor = self.up(x)  # (B, 512, 8, 8)
        return up


class _ClassicDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(_Upscale(512, 256), _Upscale(256, 128), _Upscale(128, 64))
        self.paint = nn.Conv2d(64, 3, 5, padding=2)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.paint(self.up(latent)))  # (B, 3, 64, 64)


class ClassicModel(nn.Module):
    """The 2017 network: 82,062,470 parameters, 64 × 64 in and out, no mask.

    Weights start as Keras starts them: Glorot uniform, biases zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _ClassicEncoder()
        self.decoders = nn.ModuleDict({person: _ClassicDecoder() for person in PEOPLE})
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, driver: Tensor, person: str) -> Tensor:
        """Paint ``person`` with the expression of ``driver``.

        Args:
            driver: float ``(B, 3, 64, 64)``, RGB in [0, 1].
            person: one of :data:`PEOPLE`.

        Returns:
            float ``(B, 3, 64, 64)``, RGB in [0, 1].
        """
        painted: Tensor = self.decoders[person](self.encoder(driver))
        return painted


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.LeakyReLU(0.1, inplace=True))


class _Join(nn.ModuleList):
    """:func:`_conv` of what comes from below, doubled, beside what was seen on the way down."""

    def __init__(self, below: int, seen: int, outputs: int) -> None:
        super().__init__(_conv(below + seen, outputs))

    def forward(self, below: Tensor, seen: Tensor) -> Tensor:
        conv, activation = self
        joined: Tensor = activation(doubled_beside(cast("nn.Conv2d", conv), below, seen))
        return joined


class _GuidedEncoder(nn.Module):
    """Expression, gaze and light of a face as an 8 × 8 latent behind a dense bottleneck.

    The bottleneck is what keeps the picture of one person from passing through to the other's decoder.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        widths, channels, cells = preset.encoder_widths, preset.latent_channels, LATENT_SIDE * LATENT_SIDE
        self.down = nn.Sequential(
            nn.PixelUnshuffle(2),
            _conv(12, widths[0]),
            *(_conv(inputs, outputs, 2) for inputs, outputs in pairwise(widths)),
            nn.Conv2d(widths[-1], channels, 1),
        )
        self.squeeze = nn.Linear(channels * cells, preset.bottleneck)
        self.spread = nn.Linear(preset.bottleneck, channels * cells)
        self.latent_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x).flatten(1)
        x = self.spread(functional.leaky_relu(self.squeeze(x), 0.1))
        return functional.leaky_relu(x.view(-1, self.latent_channels, LATENT_SIDE, LATENT_SIDE), 0.1)


class GuidedOutput(NamedTuple):
    """What a guided decoder paints.

    ``base`` float ``(B, 3, S, S)`` RGB, about [0, 1], not clamped so that gradients pass; ``mask_logits``
    ``(B, 1, S, S)``.
    """

    base: Tensor
    mask_logits: Tensor


_AUTOCAST_ON = ("cuda",)  # kinds of devices where lower precision is quicker
_MASK_PRIOR = 4.0  # logits: the outline is the mask until training knows better (what hides the face)


class _GuidedDecoder(nn.Module):
    """A small U-Net over the warped reference and the light, joined by the latent at its bottom.

    Its levels are named by how much smaller than the picture they are: ``down4`` makes the quarter, ``up4`` comes back
    to it.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        widths = preset.widths
        first, last = widths[0], widths[-1]
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), _conv(4 * 7, first))
        self.inner = [2**level for level in range(2, len(widths))]  # 4, 8 … between the ends
        for scale, (above, here) in zip(self.inner, pairwise(widths[:-1]), strict=True):
            self.add_module(f"down{scale}", nn.Sequential(_conv(above, here, 2), _conv(here, here)))
        self.bottom = 2 ** len(widths)
        self.add_module(f"down{self.bottom}", _conv(widths[-2], last, 2))
        self.join = nn.Sequential(_conv(last + preset.latent_channels, last), _conv(last, last))
        for scale, here, below in zip(self.inner[::-1], widths[-2:0:-1], widths[:1:-1], strict=True):
            self.add_module(f"up{scale}", _Join(below, here, here))
        self.up2 = nn.Sequential(_Join(widths[1], first, first), _conv(first, first))
        self.paint = nn.Conv2d(first, 4 * 4, 3, padding=1)
        # The first picture is the reference itself under the footage's light: the last layer starts at zero.
        nn.init.zeros_(self.paint.weight)
        if self.paint.bias is not None:
            nn.init.zeros_(self.paint.bias)

    def forward(self, latent: Tensor, start: Tensor, light: Tensor, face: Tensor) -> Tensor:
        """What is added to ``start``, and a fourth channel that is added to the mask's logits: ``(B, 4, S, S)``."""
        given = torch.cat([start - 0.5, light - 0.5, face], 1).contiguous(memory_format=torch.channels_last)
        seen = [self.enter(given)]
        for scale in self.inner:
            seen.append(self.get_submodule(f"down{scale}")(seen[-1]))
        x = self.get_submodule(f"down{self.bottom}")(seen[-1])
        latent = functional.interpolate(latent, size=x.shape[-2:], mode="nearest")
        x = self.join(torch.cat([x, latent.contiguous(memory_format=torch.channels_last)], 1))
        for scale in self.inner[::-1]:
            x = self.get_submodule(f"up{scale}")(x, seen.pop())
        join, last = self.up2
        x = last(join(x, seen.pop()))
        return functional.pixel_shuffle(self.paint(x), 2)


LIGHT_CELLS = 8
"""Cells a side of the light map: too coarse for anybody's features, fine enough for light, shadow and skin tone."""


def low_pass(picture: Tensor, face: Tensor) -> Tensor:
    """A picture's light: averaged over the face's part of each of 8 × 8 cells and interpolated back.

    Args:
        picture: float ``(B, 3, S, S)``.
        face: float ``(B, 1, S, S)`` in [0, 1]; what is outside it does not bleed in (normalised convolution).

    Returns:
        float ``(B, 3, S, S)``.
    """
    share = functional.adaptive_avg_pool2d(face, LIGHT_CELLS)
    cells = functional.adaptive_avg_pool2d(picture * face, LIGHT_CELLS)
    # A little of the whole face everywhere, so that cells beyond it continue the face instead of turning black.
    cells = cells + 1e-3 * (cells.sum((2, 3), keepdim=True) / share.sum((2, 3), keepdim=True).clamp_min(1e-6))
    light = functional.interpolate(torch.cat([cells, share + 1e-3], 1), size=picture.shape[-2:], mode="bilinear")
    return light[:, :3] / light[:, 3:]


def start_of(reference: Tensor, light: Tensor, face: Tensor) -> Tensor:
    """What a decoder begins with: a low-pass of the reference is exchanged for the light of the wanted picture."""
    return reference + light - low_pass(reference, face)


def mask_start(face: Tensor) -> Tensor:
    """The mask's logits before anything is learned."""
    return _MASK_PRIOR * (2.0 * face - 1.0)


class GuidedModel(nn.Module):
    """Shared encoder, a decoder a person, guided by warped references of that person and by the footage's light."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.encoder = _GuidedEncoder(preset)
        self.decoders = nn.ModuleDict({person: _GuidedDecoder(preset) for person in PEOPLE})
        self.input_size = preset.input_size
        self.precision = preset.precision

    def forward(self, driver: Tensor, reference: Tensor, light: Tensor, face: Tensor, person: str) -> GuidedOutput:
        """Paint ``person`` with the expression of ``driver`` in the given light.

        Args:
            driver: float ``(B, 3, S, S)`` RGB in [0, 1], the face whose expression is wanted.
            reference: float ``(B, 3, S, S)`` RGB, crops of ``person`` warped to the wanted geometry.
            light: float ``(B, 3, S, S)`` RGB, :func:`low_pass` of the footage's face moved to the wanted geometry.
            face: float ``(B, 1, S, S)``, 1 inside the outline of the wanted geometry.
            person: one of :data:`PEOPLE`.

        Returns:
            float32, also where the layers work in the preset's lower precision: they paint a small difference to the
            reference, and the sum is not rounded.
        """
        if driver.shape[-1] != self.input_size:
            driver = functional.interpolate(driver, size=self.input_size, mode="area")
        driver = driver.contiguous(memory_format=torch.channels_last) - 0.5
        start = start_of(reference, light, face)
        kind = driver.device.type
        lower = self.precision == "bfloat16" and kind in _AUTOCAST_ON
        with torch.autocast(kind, torch.bfloat16, enabled=lower):
            painted = self.decoders[person](self.encoder(driver), start, light, face).float()
        return GuidedOutput(start + painted[:, :3], painted[:, 3:] + mask_start(face))


def build_model(preset: Preset) -> ClassicModel | GuidedModel:
    """A fresh model of a preset."""
    return ClassicModel() if preset.family == "classic" else GuidedModel(preset)
