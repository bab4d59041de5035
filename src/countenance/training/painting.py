"""Painting the lender's face for aligned faces of the performer; conversion and training's scores share this one path.

Preparing (geometry, references, light) needs no weights, so training prepares its watched faces once and paints them
again and again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countenance.geometry import CROP_SIZE, smoothstep
from countenance.training.batches import CLASSIC_WINDOW
from countenance.training.closing import expression
from countenance.training.guided import finish
from countenance.training.mesh import frontalise
from countenance.training.model import PEOPLE, low_pass
from countenance.training.reference import Gallery, Geometry, describe, fitted_shape_cm, transfer, want
from countenance.training.shading import light_gain, neutral_crops, shading_of
from countenance.types import FaceLandmarks, Mask, SwappedFace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.training.exported import ExportedModel
    from countenance.training.model import ClassicModel, GuidedModel
    from countenance.training.prepare import PersonFaces
    from countenance.training.presets import Preset
    from countenance.types import AlignedFace, Float32, Float64, UInt8

__all__ = ["ClassicDrawn", "ClassicPainter", "GuidedDrawn", "GuidedPainter", "Look"]

_CLASSIC_SIDE = CLASSIC_WINDOW.stop - CLASSIC_WINDOW.start


def _tensor(pictures: Sequence[UInt8], device: torch.device) -> Tensor:
    """uint8 ``(B, S, S, 3)`` → float ``(B, 3, S, S)`` in [0, 1]."""
    stacked = torch.from_numpy(np.stack(pictures)).to(device)
    return stacked.permute(0, 3, 1, 2).float() / 255.0


def _pictures(batch: Tensor) -> UInt8:
    """float ``(B, 3, S, S)`` in [0, 1] → uint8 ``(B, S, S, 3)``."""
    scaled = batch.clamp(0.0, 1.0).mul(255.0).add(0.5).to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())


def _total(picture: cv2.typing.MatLike, weights: cv2.typing.MatLike) -> Float64:
    """The sum of a picture ``(S, S, 3)`` under weights of the same shape: float64 ``(3,)``."""
    return np.array(cv2.sumElems(cv2.multiply(picture, weights, dtype=cv2.CV_32F))[:3])


def _soft_box(size: int, feather: float) -> Float32:
    """1 in the middle of a square, falling smoothly to 0 at its border: float32 ``(size, size)``."""
    edge = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size))
    ramp = smoothstep(edge / (feather * size))
    return np.asarray(np.outer(ramp, ramp), np.float32)


def _averaged(pictures: Sequence[UInt8], size: int, device: torch.device) -> Tensor:
    """uint8 ``(B, S, S, 3)``, averaged over each ``size``-th of their side → float ``(B, 3, size, size)`` in [0, 1]."""
    small = [cv2.resize(one.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for one in pictures]
    return torch.from_numpy(np.stack(small)).to(device).permute(0, 3, 1, 2).div(255.0).contiguous()


class ClassicDrawn(NamedTuple):
    """Faces ready for the classic network.

    ``rgb`` their 256 × 256 crops; ``landmarks`` where the painted faces will be, in pixels of the crops; ``driver``
    float ``(B, 3, 64, 64)`` in [0, 1].
    """

    rgb: tuple[UInt8, ...]
    landmarks: tuple[FaceLandmarks, ...]
    driver: Tensor


class ClassicPainter:
    """The 2017 conversion: the middle of the crop through the encoder and the lender's decoder.

    That network predicts no mask; a soft box stands in, so that the picture's edge is never seen.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        box = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
        box[CLASSIC_WINDOW, CLASSIC_WINDOW] = _soft_box(_CLASSIC_SIDE, 0.15)
        self._mask = Mask(box, "predicted")

    def prepare(self, faces: Sequence[AlignedFace]) -> ClassicDrawn:
        """Cut and shrink at least one face, a 256 × 256 crop each."""
        crops = _tensor([face.rgb[CLASSIC_WINDOW, CLASSIC_WINDOW] for face in faces], self._device)
        driver = functional.interpolate(crops, size=64, mode="area")
        return ClassicDrawn(tuple(face.rgb for face in faces), tuple(face.landmarks for face in faces), driver)

    @torch.no_grad()
    def paint(self, model: ClassicModel, drawn: ClassicDrawn) -> list[SwappedFace]:
        """The lender's face for each of them, in order, 256 × 256."""
        painted = model(drawn.driver, PEOPLE[0])
        side = functional.interpolate(painted, size=_CLASSIC_SIDE, mode="bicubic", align_corners=False)
        results = []
        for crop, picture in zip(drawn.rgb, _pictures(side), strict=True):
            rgb = crop.copy()
            rgb[CLASSIC_WINDOW, CLASSIC_WINDOW] = picture
            results.append(SwappedFace(rgb, self._mask))
        return results


class GuidedDrawn(NamedTuple):
    """Faces ready for the guided network; floats, pictures in [0, 1]. S is the base's side, C the crops'.

    ``rgb`` their crops; ``landmarks`` where the painted faces will be (the wanted geometry), in pixels of the crops;
    ``references`` uint8 ``(C, C, 3)`` each; ``driver`` ``(B, 3, s, s)``; ``reference`` ``(B, 3, S, S)``, those
    averaged; ``light`` ``(B, 3, S, S)``; ``face`` ``(B, 1, S, S)``.
    """

    rgb: tuple[UInt8, ...]
    landmarks: tuple[FaceLandmarks, ...]
    references: tuple[UInt8, ...]
    driver: Tensor
    reference: Tensor
    light: Tensor
    face: Tensor


class Look(NamedTuple):
    """What a person's mean face is like, without expression, pose and light of the moment.

    ``shape_cm`` float64 ``(478, 3)``, see :func:`countenance.training.reference.mean_shape_cm`; ``texture`` float32
    ``(GRID, GRID, 3)``, see :func:`countenance.training.shading.mean_texture`.
    """

    shape_cm: Float64
    texture: Float32


class GuidedPainter:
    """Retrieve the lender's most similar crops, warp them to the performer's expression, paint the rest.

    Args:
        lender: the lender's faces, in crops of ``preset.crop_size``; all of them are the gallery.
        looks: what a mean face of each is like, see :class:`Look`.
        preset: the model's recipe, which has the sizes.
        device: where the model is.

    Raises:
        ValueError: the lender's crops have another side.
    """

    def __init__(
        self,
        lender: PersonFaces,
        looks: Sequence[Look],
        *,
        preset: Preset,
        device: torch.device,
    ) -> None:
        self._device, self._preset = device, preset
        if lender.rgb.shape[1] != preset.crop_size:
            raise ValueError(f"GuidedPainter: expected crops of side {preset.crop_size}, got {lender.rgb.shape[1]}")
        lender_look, self._performer = looks
        self._shape = fitted_shape_cm(lender_look.shape_cm, self._performer.shape_cm)
        neutral = neutral_crops(lender, lender_look.texture)
        self._gallery = Gallery.build(neutral, lender.points_xy, lender.depth, lender.moment)

    def _draw(self, face: AlignedFace) -> tuple[UInt8, UInt8, UInt8, Geometry]:
        """Reference, the performer's picture moved to the wanted geometry (for its light), inside, and geometry."""
        landmarks, side, base = face.landmarks, self._preset.crop_size, self._preset.base_size
        seen = frontalise(landmarks.points_xy, landmarks.depth)
        offset = expression(seen, self._performer.shape_cm, self._shape)
        geometry = transfer(seen, offset, self._shape)
        wanted = want(geometry, side, side // 2)
        neutral = self._gallery.paint(wanted, *self._gallery.distances(*describe(seen, offset)))
        moved = wanted.raster.warp(face.rgb, landmarks.points_xy)
        shading = shading_of(face.rgb, landmarks.points_xy, self._performer.texture)
        lit = neutral * light_gain(shading, wanted.canonical)
        # The two means are of other lights and skins: one factor a channel brings the whole face to the footage's tone.
        inside = cv2.resize(wanted.raster.inside, (side, side), interpolation=cv2.INTER_LINEAR)
        inside = cv2.merge([inside] * 3)
        lit *= (_total(moved, inside) / np.maximum(_total(lit, inside), 1.0)).astype(np.float32)
        reference = np.asarray(cv2.convertScaleAbs(lit), np.uint8)
        outlined = cv2.resize(wanted.raster.inside, (base, base), interpolation=cv2.INTER_LINEAR)
        return reference, moved, (outlined * 255.0).astype(np.uint8), geometry

    @torch.no_grad()
    def prepare(self, faces: Sequence[AlignedFace]) -> GuidedDrawn:
        """Everything of at least one face, a crop of ``preset.crop_size`` each, that does not depend on weights."""
        references, moved, inside, geometries = zip(*(self._draw(face) for face in faces), strict=True)
        base, device = self._preset.base_size, self._device
        reference = _averaged(references, base, device)
        driver = _averaged([face.rgb for face in faces], self._preset.input_size, device)
        face = torch.from_numpy(np.stack(inside)).to(self._device)[:, None].float() / 255.0  # (B, 1, S, S)
        light = low_pass(_averaged(moved, base, device), face)
        places = tuple(
            FaceLandmarks(where.points_xy, where.depth, face.landmarks.blendshapes, face.landmarks.presence)
            for where, face in zip(geometries, faces, strict=True)
        )
        return GuidedDrawn(tuple(face.rgb for face in faces), places, tuple(references), driver, reference, light, face)

    @staticmethod
    @torch.no_grad()
    def paint(model: GuidedModel | ExportedModel, drawn: GuidedDrawn) -> list[SwappedFace]:
        """The lender's face for each of them, in order, of the crops' side."""
        output = model(drawn.driver, drawn.reference, drawn.light, drawn.face, PEOPLE[0])
        changes = (output.base - drawn.reference).permute(0, 2, 3, 1).mul(255.0).contiguous().cpu().numpy()
        finished = [finish(change, one) for change, one in zip(changes, drawn.references, strict=True)]
        masks = torch.sigmoid(output.mask_logits[:, 0]).cpu().numpy()
        results = []
        for rgb, mask in zip(finished, masks, strict=True):
            large = cv2.resize(mask, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            results.append(SwappedFace(rgb, Mask(np.clip(large, 0.0, 1.0).astype(np.float32), "predicted")))
        return results
