"""A trained model as conversion uses it: aligned faces of the performer in, the lender's face out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countenance.errors import CheckpointError, ProjectError
from countenance.geometry import CROP_SIZE, smoothstep
from countenance.training.batches import CLASSIC_WINDOW
from countenance.training.checkpoint import CHECKPOINT, load, load_weights
from countenance.training.guided import finish
from countenance.training.mesh import frontalise
from countenance.training.model import PEOPLE, ClassicModel, GuidedModel, low_pass
from countenance.training.presets import preset as preset_named
from countenance.training.reference import Gallery, describe, fitted_shape_cm, transfer, want
from countenance.training.train import choose_device, load_faces, person_faces
from countenance.types import Mask, SwappedFace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from countenance.faceset.records import FaceArrays
    from countenance.project import Project
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.prepare import PersonFaces
    from countenance.types import AlignedFace, Float32, Float64, UInt8

__all__ = ["ClassicSwapper", "FaceSwapper", "GuidedSwapper", "load_swapper"]

_CLASSIC_SIDE = CLASSIC_WINDOW.stop - CLASSIC_WINDOW.start


class FaceSwapper(Protocol):
    """What conversion needs of a model."""

    @property
    def facts(self) -> CheckpointFacts:
        """What the checkpoint says of itself; conversion compares its consent record with the one in force."""
        ...

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """Paint the lender's face for each aligned face of the performer, in order."""
        ...


def _tensor(pictures: Sequence[UInt8], device: torch.device) -> Tensor:
    """uint8 ``(B, S, S, 3)`` → float ``(B, 3, S, S)`` in [0, 1]."""
    stacked = torch.from_numpy(np.stack(pictures)).to(device)
    return stacked.permute(0, 3, 1, 2).float() / 255.0


def _pictures(batch: Tensor) -> UInt8:
    """float ``(B, 3, S, S)`` in [0, 1] → uint8 ``(B, S, S, 3)``."""
    scaled = batch.clamp(0.0, 1.0).mul(255.0).add(0.5).to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())


def _soft_box(size: int, feather: float) -> Float32:
    """1 in the middle of a square, falling smoothly to 0 at its border: float32 ``(size, size)``."""
    edge = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size))
    ramp = smoothstep(edge / (feather * size))
    return np.asarray(np.outer(ramp, ramp), np.float32)


class ClassicSwapper:
    """The 2017 conversion: the middle of the crop through the encoder and the lender's decoder.

    That network predicts no mask; a soft box stands in, so that the picture's edge is never seen.
    """

    def __init__(self, facts: CheckpointFacts, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._facts = facts
        self._device = device
        self._model = ClassicModel()
        load_weights("model", self._model, tensors)
        self._model.to(device).eval()
        box = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
        box[CLASSIC_WINDOW, CLASSIC_WINDOW] = _soft_box(_CLASSIC_SIDE, 0.15)
        self._mask = Mask(box, "predicted")

    @property
    def facts(self) -> CheckpointFacts:
        """See :class:`FaceSwapper`."""
        return self._facts

    @torch.no_grad()
    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """See :class:`FaceSwapper`; the faces are 256 × 256 crops, and so are the results."""
        if not faces:
            return []
        crops = _tensor([face.rgb[CLASSIC_WINDOW, CLASSIC_WINDOW] for face in faces], self._device)
        painted = self._model(functional.interpolate(crops, size=64, mode="area"), PEOPLE[0])
        side = functional.interpolate(painted, size=_CLASSIC_SIDE, mode="bicubic", align_corners=False)
        results = []
        for face, picture in zip(faces, _pictures(side), strict=True):
            rgb = face.rgb.copy()
            rgb[CLASSIC_WINDOW, CLASSIC_WINDOW] = picture
            results.append(SwappedFace(rgb, self._mask))
        return results


class GuidedSwapper:
    """Retrieve the lender's most similar crops, warp them to the performer's expression, paint the rest."""

    def __init__(
        self, facts: CheckpointFacts, tensors: Mapping[str, Tensor], lender: PersonFaces, device: torch.device
    ) -> None:
        self._facts = facts
        self._device = device
        self._model = GuidedModel(preset_named(str(facts.preset["name"])))
        load_weights("averaged", self._model, tensors)
        self._model.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        lender_mean, self._performer_mean = (_shape(tensors, f"shape.{person}") for person in PEOPLE)
        self._shape = fitted_shape_cm(lender_mean, self._performer_mean)
        self._gallery = Gallery.build(lender.rgb, lender.points_xy, lender.depth, lender.moment)

    @property
    def facts(self) -> CheckpointFacts:
        """See :class:`FaceSwapper`."""
        return self._facts

    def _prepare(self, face: AlignedFace) -> tuple[UInt8, UInt8, UInt8]:
        """Reference, the performer's picture moved to the wanted geometry (for its light), and the face's inside."""
        landmarks = face.landmarks
        seen = frontalise(landmarks.points_xy, landmarks.depth)
        wanted = want(transfer(seen, self._performer_mean, self._shape), CROP_SIZE, CROP_SIZE // 2)
        distances = self._gallery.distances(*describe(seen, self._performer_mean))
        reference = self._gallery.paint(wanted, *distances)
        moved = wanted.raster.warp(face.rgb, landmarks.points_xy)
        return reference, moved, (wanted.raster.inside * 255.0).astype(np.uint8)

    @torch.no_grad()
    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """See :class:`FaceSwapper`; the faces are 256 × 256 crops, and so are the results."""
        if not faces:
            return []
        references, moved, inside = zip(*(self._prepare(face) for face in faces), strict=True)
        reference, light_source = _tensor(references, self._device), _tensor(moved, self._device)
        driver = _tensor([face.rgb for face in faces], self._device)
        driver = functional.interpolate(driver, size=self._model.input_size, mode="area")
        face = torch.from_numpy(np.stack(inside)).to(self._device)[:, None].float() / 255.0  # (B, 1, S, S)
        light = low_pass(functional.avg_pool2d(light_source, 2), face)
        output = self._model(driver, functional.avg_pool2d(reference, 2), light, face, PEOPLE[0])
        finished = _pictures(finish(output, reference))
        masks = torch.sigmoid(output.mask_logits[:, 0]).cpu().numpy()
        results = []
        for rgb, mask in zip(finished, masks, strict=True):
            large = cv2.resize(mask, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
            results.append(SwappedFace(rgb, Mask(np.clip(large, 0.0, 1.0).astype(np.float32), "predicted")))
        return results


def _shape(tensors: Mapping[str, Tensor], name: str) -> Float64:
    if name not in tensors or tensors[name].shape != (478, 3):
        raise CheckpointError(f"The checkpoint has no usable {name!r}. Delete the model's folder and train again.")
    return np.asarray(tensors[name].numpy(), np.float64)


def load_swapper(
    project: Project,
    lender: str,
    performer: str,
    *,
    preset: str = "swift",
    device: str = "auto",
    lender_faces: FaceArrays | None = None,
) -> ClassicSwapper | GuidedSwapper:
    """The trained model that gives ``lender``'s face to ``performer``.

    The caller asks the consent gate first and compares ``facts.record_sha256`` with the permit's.

    Args:
        project: the project folder.
        lender: whose face is shown.
        performer: whose face is replaced.
        preset: of the model.
        device: see :func:`countenance.training.train.choose_device`.
        lender_faces: the very faces that the gate has seen, which the guided family paints from; loaded when None.

    Raises:
        ProjectError: nothing was trained for these two with this preset.
        CheckpointError: the checkpoint is damaged or of another preset.
    """
    recipe = preset_named(preset)
    path = project.model_dir(lender, performer, preset) / CHECKPOINT
    if not path.exists():
        raise ProjectError(
            f"There is no {preset} model of {lender!r} for {performer!r}. "
            f"Run: countenance train --lender {lender} --performer {performer} --preset {preset}"
        )
    checkpoint = load(path)
    facts = checkpoint.facts
    if facts.preset.get("name") != preset or (facts.lender, facts.performer) != (lender, performer):
        raise CheckpointError(
            f"The checkpoint {path} is a {facts.preset.get('name')!r} model of {facts.lender!r} for "
            f"{facts.performer!r}, not what its folder says. Delete the folder and train again."
        )
    target = choose_device(device)
    if recipe.family == "classic":
        return ClassicSwapper(facts, checkpoint.tensors, target)
    faces = load_faces(project, lender) if lender_faces is None else lender_faces
    return GuidedSwapper(facts, checkpoint.tensors, person_faces(faces), target)
