"""A run: model, optimiser and data of one family behind one small interface, so that the loop knows no family."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countenance.allocator import keep_freed_memory
from countenance.training.batches import CLASSIC_WINDOW, classic_pairs, iteration_generator
from countenance.training.checkpoint import load_weights
from countenance.training.guided import guided_batch, held_out_score
from countenance.training.losses import ssim_map
from countenance.training.model import PEOPLE, ClassicModel, GuidedModel
from countenance.training.painting import ClassicDrawn, ClassicPainter, GuidedDrawn, GuidedPainter, Look
from countenance.training.prepare import evenly, prepare_guided, split
from countenance.training.reference import mean_shape_cm
from countenance.training.scores import NOBODY, HeldOut, cross_identity, lay_in
from countenance.training.shading import mean_texture
from countenance.training.shares import Shares
from countenance.training.state import named, optimiser_tensors, restore_optimiser, set_rate
from countenance.training.stored import channels_first, crops_to_take
from countenance.types import BLENDSHAPES, AlignedFace, FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from countenance.memory import Scratch
    from countenance.progress import Progress
    from countenance.training.prepare import PersonFaces
    from countenance.training.presets import Preset
    from countenance.training.scores import CrossIdentity, Identity
    from countenance.training.stored import GuidedFaces, StoredFaces
    from countenance.types import SwappedFace, UInt8

__all__ = ["ClassicRun", "GuidedRun", "Run", "Step", "make_run"]


class Step(NamedTuple):
    """What one iteration did: faces shown to the network, and the mean loss (NaN when it failed)."""

    samples: int
    loss: float


class Run(Protocol):
    """One family's training, stepped by the loop."""

    def step(self, iteration: int) -> Step:
        """Do one iteration; its chance comes from the seed and ``iteration`` alone."""
        ...

    def score(self) -> HeldOut:
        """How good the model is on faces that it is not trained on; the run goes on as if it had not been asked."""
        ...

    def preview(self) -> list[tuple[UInt8, UInt8]]:
        """Some held-out faces of the performer, each with its swap laid in, uint8 ``(S, S, 3)``; the run goes on
        as if it had not been asked. Unmarked: whoever writes them marks them. Empty when there is nothing to show.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold to go on exactly."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a checkpoint's tensors."""
        ...

    def slow(self, factor: float) -> None:
        """Learn at this share of the recipe's learning rate from now on."""
        ...


def _aligned(faces: PersonFaces, rows: NDArray[np.intp]) -> list[AlignedFace]:
    """Faces as conversion would be handed them."""
    here = np.hstack([np.eye(2), np.zeros((2, 1))])
    unknown = np.zeros(BLENDSHAPES, np.float32)  # neither painting nor embedding asks for them
    return [
        AlignedFace(
            faces.rgb[row].copy(),  # or it would hold all of them
            here,
            FaceLandmarks(faces.points_xy[row], faces.depth[row], unknown, 1.0),
        )
        for row in rows
    ]


_PREVIEWED = 6  # of the watched faces


def _some(drawn: tuple[Any, ...]) -> Iterator[Any]:
    """The parts of every so many prepared faces, at most six; tensors share their memory."""
    step = -(-len(drawn[0]) // _PREVIEWED)
    return (part[::step] for part in drawn)


def _laid(crops: Sequence[UInt8], painted: Sequence[SwappedFace]) -> list[tuple[UInt8, UInt8]]:
    """Crops beside themselves with the painted faces in them; none of a diverged model, whose masks are not finite."""
    laid = [(crop, lay_in(crop, swap)) for crop, swap in zip(crops, painted, strict=True)]
    whole = [(crop, picture) for crop, picture in laid if picture is not None]
    return whole if len(whole) == len(laid) else []


class ClassicRun:
    """The 2017 recipe: lender and performer in turn, each autoencoder with its own Adam."""

    def __init__(
        self,
        preset: Preset,
        people: Sequence[PersonFaces],
        *,
        device: torch.device,
        seed: int,
        identity: Identity | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.preset, self.seed, self.device = preset, seed, device
        self.model = ClassicModel().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimisers = {
            person: torch.optim.Adam(
                [*self.model.encoder.parameters(), *self.model.decoders[person].parameters()],
                lr=preset.learning_rate,
                betas=preset.betas,
                eps=1e-7,  # Keras's
                fused=True,
            )
            for person in PEOPLE
        }
        parts = [split(faces.moment) for faces in people]
        self.faces = {
            person: crops_to_take(faces.take(part.trained).rgb, device)
            for person, faces, part in zip(PEOPLE, people, parts, strict=True)
        }
        self.watched = {
            person: self._small(faces.rgb[part.watched])
            for person, faces, part in zip(PEOPLE, people, parts, strict=True)
        }
        self.known = {
            person: self._small(faces.rgb[part.trained[evenly(len(part.trained), len(part.watched))]])
            for person, faces, part in zip(PEOPLE, people, parts, strict=True)
        }
        self._cross: Callable[[], CrossIdentity] | None = None
        self._swaps: Callable[[], list[tuple[UInt8, UInt8]]] | None = None
        crossed = _aligned(people[1], parts[1].watched)
        if identity is not None and crossed:
            painter = ClassicPainter(device)
            drawn = painter.prepare(crossed)
            shown = ClassicDrawn._make(_some(drawn))
            self._swaps = lambda: _laid(shown.rgb, painter.paint(self.model, shown))
            self._cross = lambda: cross_identity(drawn.rgb, drawn.landmarks, painter.paint(self.model, drawn), identity)

    def _small(self, rgb: NDArray[Any]) -> Tensor:
        """What the network sees of undistorted faces: float ``(N, 3, 64, 64)`` in [0, 1]."""
        size = self.preset.input_size
        pictures = channels_first(rgb[:, CLASSIC_WINDOW, CLASSIC_WINDOW]).to(self.device).float() / 255.0
        return functional.interpolate(pictures, size=size, mode="area") if len(rgb) else pictures[..., :size, :size]

    def step(self, iteration: int) -> Step:
        """One batch of each person; mean absolute error."""
        generator = iteration_generator(self.seed, iteration, self.device)
        losses = []
        for person in PEOPLE:
            faces = self.faces[person]
            rows = torch.randint(len(faces), (self.preset.batch_size,), generator=generator, device=self.device)
            pair = classic_pairs(faces[rows], generator)
            loss = functional.l1_loss(self.model(pair.warped, person), pair.target)
            optimiser = self.optimisers[person]
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
        return Step(2 * self.preset.batch_size, float(np.mean(losses)))

    @torch.no_grad()
    def _similarity(self, pictures: Tensor, person: str) -> float:
        """Mean SSIM over the 64 × 64 picture; NaN without any."""
        if not len(pictures):
            return math.nan
        parts = [pictures[start : start + 16] for start in range(0, len(pictures), 16)]
        return float(torch.cat([ssim_map(self.model(some, person), some).mean((1, 2, 3)) for some in parts]).mean())

    def score(self) -> HeldOut:
        """See :class:`countenance.training.scores.HeldOut`."""
        cross = self._cross() if self._cross is not None else NOBODY
        lender, performer = (self._similarity(self.watched[person], person) for person in PEOPLE)
        known, performer_known = (self._similarity(self.known[person], person) for person in PEOPLE)
        return HeldOut(lender, performer, *cross, known, performer_known)

    def preview(self) -> list[tuple[UInt8, UInt8]]:
        """See :class:`Run`."""
        return self._swaps() if self._swaps is not None else []

    def tensors(self) -> dict[str, Tensor]:
        """Weights and both optimisers."""
        result = named("model", self.model)
        for person, optimiser in self.optimisers.items():
            result |= optimiser_tensors(f"optimiser-{person}", optimiser)
        return result

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights and both optimisers."""
        load_weights("model", self.model, tensors)
        for person, optimiser in self.optimisers.items():
            restore_optimiser(f"optimiser-{person}", optimiser, tensors)

    def slow(self, factor: float) -> None:
        """Set the learning rate of both optimisers."""
        for optimiser in self.optimisers.values():
            set_rate(optimiser, self.preset.learning_rate * factor)


class GuidedRun:
    """The guided family: one AdamW over both people, averaged weights for conversion."""

    def __init__(
        self,
        preset: Preset,
        people: Sequence[PersonFaces],
        *,
        device: torch.device,
        seed: int,
        progress: Progress | None = None,
        identity: Identity | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.preset, self.seed, self.device = preset, seed, device
        self.model = GuidedModel(preset).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        counts = (preset.batch_size, max(preset.batch_size // 2, 1))
        self.counts = dict(zip(PEOPLE, counts, strict=True))
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._shares = Shares(self.model, self.counts, threads)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=preset.learning_rate,
            betas=preset.betas,
            weight_decay=preset.weight_decay,
            fused=True,
        )
        self.shapes = {
            f"shape.{person}": torch.from_numpy(mean_shape_cm(faces.points_xy, faces.depth))
            for person, faces in zip(PEOPLE, people, strict=True)
        }
        parts = [split(faces.moment) for faces in people]
        self.textures = {
            f"texture.{person}": torch.from_numpy(mean_texture(faces.take(part.trained)))
            for person, faces, part in zip(PEOPLE, people, parts, strict=True)
        }
        self.faces: dict[str, GuidedFaces | StoredFaces] = {}
        self.watched: dict[str, GuidedFaces] = {}
        for person, faces, part in zip(PEOPLE, people, parts, strict=True):
            prepared = prepare_guided(
                faces,
                np.concatenate(part),
                gallery_rows=part.trained,
                texture=self.textures[f"texture.{person}"].numpy(),
                size=preset.base_size,
                progress=progress,
                note=f"references of the {person}",
                scratch=scratch,
                device=device,
            )
            count = len(part.trained)
            self.faces[person], self.watched[person] = prepared.first(count), prepared.take(slice(count, None))
        self.known = {
            person: self.faces[person].take(evenly(len(part.trained), len(part.watched)))
            for person, part in zip(PEOPLE, parts, strict=True)
        }
        self._cross: Callable[[], CrossIdentity] | None = None
        self._swaps: Callable[[], list[tuple[UInt8, UInt8]]] | None = None
        crossed = _aligned(people[1], parts[1].watched)
        if identity is not None and crossed:
            looks = [
                Look(self.shapes[f"shape.{person}"].numpy(), self.textures[f"texture.{person}"].numpy())
                for person in PEOPLE
            ]
            painter = GuidedPainter(people[0], looks, preset=preset, device=device)
            drawn = painter.prepare(crossed)
            shown = GuidedDrawn._make(_some(drawn))
            paint = painter.paint  # it needs no crops any more, which go with the painter
            self._swaps = lambda: _laid(shown.rgb, paint(self.averaged, shown))
            self._cross = lambda: cross_identity(drawn.rgb, drawn.landmarks, paint(self.averaged, drawn), identity)

    def step(self, iteration: int) -> Step:
        """One batch of the lender and half a batch of the performer, whose decoder only serves the encoder."""
        generator = iteration_generator(self.seed, iteration, self.device)
        self.optimiser.zero_grad()
        batches = {}
        for person, other in (PEOPLE, PEOPLE[::-1]):
            faces = self.faces[person]
            size = (self.counts[person],)
            rows = torch.randint(len(faces.colour), size, generator=generator, device=self.device)
            colour = self.faces[other].colour
            batches[person] = guided_batch(faces.take(rows), colour, self.preset.input_size, generator)
        loss = self._shares.backward(batches)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self._average(iteration)
        return Step(sum(self.counts.values()), loss)

    @torch.no_grad()
    def _average(self, iteration: int) -> None:
        """Exponential moving average that starts short: the first weights must not haunt the first minutes."""
        decay = min(self.preset.ema_decay, (1.0 + iteration) / (10.0 + iteration))
        torch._foreach_lerp_(_parameters(self.averaged), _parameters(self.model), 1.0 - decay)

    def score(self) -> HeldOut:
        """See :class:`countenance.training.scores.HeldOut`; of the averaged weights, which conversion uses."""
        cross = self._cross() if self._cross is not None else NOBODY
        lender, performer = (held_out_score(self.averaged, self.watched[person], person) for person in PEOPLE)
        known, performer_known = (held_out_score(self.averaged, self.known[person], person) for person in PEOPLE)
        return HeldOut(lender, performer, *cross, known, performer_known)

    def preview(self) -> list[tuple[UInt8, UInt8]]:
        """See :class:`Run`."""
        return self._swaps() if self._swaps is not None else []

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights, the optimiser, both mean shapes and textures."""
        result = named("model", self.model) | named("averaged", self.averaged) | self.shapes | self.textures
        return result | optimiser_tensors("optimiser", self.optimiser)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over everything but shapes and textures, which follow from the faces."""
        load_weights("model", self.model, tensors)
        load_weights("averaged", self.averaged, tensors)
        restore_optimiser("optimiser", self.optimiser, tensors)

    def slow(self, factor: float) -> None:
        """Set the optimiser's learning rate."""
        set_rate(self.optimiser, self.preset.learning_rate * factor)


def _parameters(module: nn.Module) -> list[Tensor]:
    return [parameter.data for parameter in module.parameters()]


def make_run(
    preset: Preset,
    people: Sequence[PersonFaces],
    *,
    device: torch.device,
    seed: int,
    progress: Progress | None = None,
    identity: Identity | None = None,
    scratch: Scratch | None = None,
) -> Run:
    """The run of a preset's family.

    Args:
        preset: the recipe.
        people: the lender's and the performer's faces, in this order, in crops of ``preset.crop_size``.
        device: where to train.
        seed: of weights and distortions.
        progress: called while faces are prepared.
        identity: whose face a swap shows is scored by it; without it those scores are NaN.
        scratch: where prepared faces are kept; None is memory alone.

    Raises:
        OutputError: the disk is full.
    """
    keep_freed_memory()
    if preset.family == "classic":
        return ClassicRun(preset, people, device=device, seed=seed, identity=identity)
    return GuidedRun(preset, people, device=device, seed=seed, progress=progress, identity=identity, scratch=scratch)
