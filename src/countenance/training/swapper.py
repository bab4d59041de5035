"""A trained model as conversion uses it: aligned faces of the performer in, the lender's face out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from countenance.errors import CheckpointError, ProjectError
from countenance.geometry import CROP_SIZE
from countenance.training.best import load_for_conversion
from countenance.training.checkpoint import CHECKPOINT, load_weights
from countenance.training.exported import ExportedModel
from countenance.training.model import PEOPLE, ClassicModel, GuidedModel
from countenance.training.painting import ClassicPainter, GuidedPainter, Look
from countenance.training.presets import preset as preset_named
from countenance.training.shading import GRID
from countenance.training.train import choose_device, load_faces, person_faces, scratch_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from countenance.faceset.records import FaceArrays
    from countenance.project import Project
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.prepare import PersonFaces
    from countenance.types import AlignedFace, SwappedFace

__all__ = ["ClassicSwapper", "FaceSwapper", "GuidedSwapper", "load_swapper"]


class FaceSwapper(Protocol):
    """What conversion needs of a model."""

    @property
    def facts(self) -> CheckpointFacts:
        """What the checkpoint says of itself; conversion compares its consent record with the one in force."""
        ...

    @property
    def crop_size(self) -> int:
        """Side in pixels of the aligned faces that it takes and gives."""
        ...

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """Paint the lender's face for each aligned face of the performer, in order."""
        ...


class ClassicSwapper:
    """The 2017 network behind :class:`countenance.training.painting.ClassicPainter`."""

    def __init__(self, facts: CheckpointFacts, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._facts = facts
        self._model = ClassicModel()
        load_weights("model", self._model, tensors)
        self._model.to(device).eval()
        self._painter = ClassicPainter(device)

    @property
    def facts(self) -> CheckpointFacts:
        """See :class:`FaceSwapper`."""
        return self._facts

    @property
    def crop_size(self) -> int:
        """See :class:`FaceSwapper`."""
        return CROP_SIZE

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """See :class:`FaceSwapper`."""
        return self._painter.paint(self._model, self._painter.prepare(faces)) if faces else []


class GuidedSwapper:
    """The guided network's averaged weights behind :class:`countenance.training.painting.GuidedPainter`."""

    def __init__(
        self, facts: CheckpointFacts, tensors: Mapping[str, Tensor], lender: PersonFaces, device: torch.device
    ) -> None:
        self._facts = facts
        recipe = preset_named(str(facts.preset["name"]))
        model, self._crop_size = GuidedModel(recipe), recipe.crop_size
        load_weights("averaged", model, tensors)
        self._model: GuidedModel | ExportedModel
        if device.type == "cpu":
            self._model = ExportedModel(model, PEOPLE[0])
        else:
            self._model = model.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        looks = [_look(tensors, person) for person in PEOPLE]
        self._painter = GuidedPainter(lender, looks, preset=recipe, device=device)

    @property
    def facts(self) -> CheckpointFacts:
        """See :class:`FaceSwapper`."""
        return self._facts

    @property
    def crop_size(self) -> int:
        """See :class:`FaceSwapper`."""
        return self._crop_size

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """See :class:`FaceSwapper`."""
        return self._painter.paint(self._model, self._painter.prepare(faces)) if faces else []


def _look(tensors: Mapping[str, Tensor], person: str) -> Look:
    """A person's mean shape and texture.

    Raises:
        CheckpointError: the checkpoint has none, or of another form.
    """
    shape, texture = tensors.get(f"shape.{person}"), tensors.get(f"texture.{person}")
    if shape is None or texture is None or shape.shape != (478, 3) or texture.shape != (GRID, GRID, 3):
        raise CheckpointError(
            f"The checkpoint has no usable shape and texture of the {person}. Delete its folder and train again."
        )
    return Look(np.asarray(shape.numpy(), np.float64), np.asarray(texture.numpy(), np.float32))


def load_swapper(
    project: Project,
    lender: str,
    performer: str,
    *,
    preset: str = "swift",
    device: str = "auto",
    lender_faces: FaceArrays | None = None,
) -> ClassicSwapper | GuidedSwapper:
    """The trained model that gives ``lender``'s face to ``performer``: its best weights, or else its last.

    The caller asks the consent gate first and compares ``facts.record_sha256`` with the permit's.

    Args:
        project: the project folder.
        lender: whose face is shown.
        performer: whose face is replaced.
        preset: of the model.
        device: see :func:`countenance.training.train.choose_device`.
        lender_faces: the very faces that the gate has seen, which the guided family paints from, in crops of the
            preset's ``crop_size``; loaded when None.

    Raises:
        ProjectError: nothing was trained for these two with this preset.
        CheckpointError: the checkpoint or the best weights are damaged, of another preset or of another run.
    """
    recipe = preset_named(preset)
    path = project.model_dir(lender, performer, preset) / CHECKPOINT
    if not path.exists():
        raise ProjectError(
            f"There is no {preset} model of {lender!r} for {performer!r}. "
            f"Run: countenance train --lender {lender} --performer {performer} --preset {preset}"
        )
    checkpoint = load_for_conversion(path.parent)
    facts = checkpoint.facts
    if facts.preset.get("name") != preset or (facts.lender, facts.performer) != (lender, performer):
        raise CheckpointError(
            f"The checkpoint {path} is a {facts.preset.get('name')!r} model of {facts.lender!r} for "
            f"{facts.performer!r}, not what its folder says. Delete the folder and train again."
        )
    target = choose_device(device)
    if recipe.family == "classic":
        return ClassicSwapper(facts, checkpoint.tensors, target)
    if lender_faces is None:
        lender_faces = load_faces(project, lender, recipe.crop_size, scratch=scratch_of(project))
    return GuidedSwapper(facts, checkpoint.tensors, person_faces(lender_faces), target)
