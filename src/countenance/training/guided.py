"""One step of the guided family: make a batch, paint it, score it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countenance.training.batches import driver_of
from countenance.training.losses import TERMS, WHOLE, LossTerms, Part, guided_loss, ssim_map
from countenance.training.model import low_pass

if TYPE_CHECKING:
    from countenance.training.model import GuidedModel
    from countenance.training.stored import GuidedFaces
    from countenance.types import Float32, UInt8

__all__ = ["GuidedBatch", "finish", "guided_batch", "guided_step", "held_out_score"]

_LIGHT_NOISE = 0.02


class GuidedBatch(NamedTuple):
    """A batch of one person, floats; pictures in [0, 1]. S is the base's side.

    ``target``, ``reference`` and ``light`` ``(B, 3, S, S)``; ``driver`` ``(B, 3, s, s)``; ``face``, ``mask`` and
    ``weight`` ``(B, 1, S, S)``.
    """

    target: Tensor
    reference: Tensor
    driver: Tensor
    light: Tensor
    face: Tensor
    mask: Tensor
    weight: Tensor


def _recolour(picture: Tensor, own: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Give each picture another light and skin tone, so that the decoder learns to follow the light map.

    Half of the pictures take the colour statistics of a face of the other person, all get a small random gain.

    Args:
        picture: float ``(B, 3, S, S)``.
        own: ``(B, 2, 3)`` mean and deviation of each face.
        wanted: the same of another person's faces.
        generator: on the same device.
    """
    count, device = len(picture), picture.device
    use = (torch.rand(count, 1, generator=generator, device=device) < 0.5).float()
    ratio = (wanted[:, 1] / own[:, 1]).clamp(0.6, 1.6)
    gain = 1.0 + use * (ratio - 1.0)
    mean = own[:, 0] + use * (wanted[:, 0] - own[:, 0])
    gain = gain * (1.0 + 0.1 * torch.randn(count, 1, generator=generator, device=device)).clamp(0.7, 1.3)
    mean = mean + 0.06 * torch.randn(count, 1, generator=generator, device=device)
    mean = mean + 0.03 * torch.randn(count, 3, generator=generator, device=device)
    changed = (picture - own[:, 0, :, None, None]) * gain[..., None, None] + mean[..., None, None]
    return changed.clamp(0.0, 1.0)


def guided_batch(faces: GuidedFaces, other_colour: Tensor, driver_size: int, generator: torch.Generator) -> GuidedBatch:
    """Decode, recolour and distort a batch on the device where the faces lie.

    Args:
        faces: the batch's faces, of one person.
        other_colour: ``(M, 2, 3)``, colour statistics of the other person's faces.
        driver_size: side of the encoder's input.
        generator: on the same device.
    """
    count, device = len(faces.target), faces.target.device
    variant = torch.randint(faces.reference.shape[1], (count,), generator=generator, device=device)
    wanted = other_colour[torch.randint(len(other_colour), (count,), generator=generator, device=device)]
    target = _recolour(faces.target / 255.0, faces.colour, wanted, generator)
    reference = faces.reference[torch.arange(count, device=device), variant] / 255.0
    face, mask, weight = faces.face / 255.0, faces.mask / 255.0, faces.weight / 64.0
    light = low_pass(target, face)
    noise = torch.randn(count, 3, 8, 8, generator=generator, device=device) * _LIGHT_NOISE
    light = light + functional.interpolate(noise, size=light.shape[-2:], mode="bilinear", align_corners=False)
    driver = driver_of(target, driver_size, generator)
    return GuidedBatch(target, reference, driver, light, face, mask, weight)


def guided_step(
    model: GuidedModel, batch: GuidedBatch, person: str, *, terms: LossTerms = TERMS, part: Part = WHOLE
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of ``person``, or of part of one, and each term unweighed, see :func:`guided_loss`."""
    output = model(batch.driver, batch.reference, batch.light, batch.face, person)
    return guided_loss(output, batch.target, batch.weight, batch.mask, terms=terms, part=part)


def finish(change: Float32, reference: UInt8) -> UInt8:
    """The finished face: the base enlarged, with the reference's finest detail carried over.

    The detail band is too fine for the base to hold. A learned gate on it was tried: L1 closes it (0.28 after one
    minute, since detail is never in exact register), and the picture turns soft; so it passes whole. A base of the
    reference's own side is the finished face.

    Args:
        change: float32 ``(S, S, 3)`` in codes: the decoder's base less the reference averaged to its side.
        reference: uint8 ``(2S, 2S, 3)`` or ``(S, S, 3)``.

    Returns:
        uint8, of the reference's shape.
    """
    # The base enlarged and the detail band added is this, with one enlargement instead of two.
    larger = cv2.resize(change, reference.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(reference, larger, dtype=cv2.CV_8U), np.uint8)


@torch.no_grad()
def held_out_score(model: GuidedModel, faces: GuidedFaces, person: str, batch_size: int = 8) -> float:
    """Mean SSIM inside the face of the base for undistorted faces of ``person``, in [−1, 1]; NaN without any."""
    total = weight = 0.0
    for start in range(0, len(faces.target), batch_size):
        rows = slice(start, start + batch_size)
        target = faces.target[rows].float() / 255.0
        reference = faces.reference[rows, 0].float() / 255.0
        face = faces.face[rows].float() / 255.0
        driver = functional.interpolate(target, size=model.input_size, mode="area")
        base = model(driver, reference, low_pass(target, face), face, person).base.clamp(0.0, 1.0)
        total += float((ssim_map(base, target) * face).sum() / 3.0)
        weight += float(face.sum())
    return total / weight if weight else math.nan
