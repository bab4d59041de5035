"""A run: model, optimiser and data of one family behind one small interface, so that the loop knows no family."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from countenance.training.batches import CLASSIC_WINDOW, classic_pairs, iteration_generator
from countenance.training.checkpoint import load_weights
from countenance.training.guided import guided_batch, guided_step, held_out_score
from countenance.training.losses import ssim_map
from countenance.training.model import PEOPLE, ClassicModel, GuidedModel
from countenance.training.prepare import held_out, prepare_guided
from countenance.training.reference import mean_shape_cm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from countenance.progress import Progress
    from countenance.training.prepare import PersonFaces
    from countenance.training.presets import Preset

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

    def score(self) -> float:
        """Held-out quality of the lender's reconstruction, SSIM in [−1, 1]; higher is better."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold to go on exactly."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a checkpoint's tensors."""
        ...


def _optimiser_tensors(prefix: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """The moments and step counts of an Adam, flat."""
    state = optimiser.state_dict()["state"]
    return {f"{prefix}.{index}.{name}": value for index, slot in state.items() for name, value in slot.items()}


def _restore_optimiser(prefix: str, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix + "."):
            index, field = name[len(prefix) + 1 :].split(".")
            slots.setdefault(int(index), {})[field] = tensor
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})


def _named(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def _channels_first(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(0, 3, 1, 2)))


class ClassicRun:
    """The 2017 recipe: lender and performer in turn, each autoencoder with its own Adam."""

    def __init__(self, preset: Preset, people: Sequence[PersonFaces], *, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.preset, self.seed, self.device = preset, seed, device
        self.model = ClassicModel().to(device)
        self.optimisers = {
            person: torch.optim.Adam(
                [*self.model.encoder.parameters(), *self.model.decoders[person].parameters()],
                lr=preset.learning_rate,
                betas=preset.betas,
                eps=1e-7,  # Keras's
            )
            for person in PEOPLE
        }
        aside = [held_out(faces.moment) for faces in people]
        self.faces = {
            person: _channels_first(faces.rgb[~out]).to(device)
            for person, faces, out in zip(PEOPLE, people, aside, strict=True)
        }
        watched = people[0].rgb[aside[0]] if aside[0].any() else people[0].rgb
        self.watched = _channels_first(watched[:, CLASSIC_WINDOW, CLASSIC_WINDOW])

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
    def score(self) -> float:
        """Mean SSIM of the lender's held-out faces, undistorted, over the 64 × 64 picture."""
        scores = []
        for start in range(0, len(self.watched), 16):
            pictures = self.watched[start : start + 16].to(self.device).float() / 255.0
            small = functional.interpolate(pictures, size=self.preset.input_size, mode="area")
            scores.append(ssim_map(self.model(small, PEOPLE[0]), small).mean((1, 2, 3)))
        return float(torch.cat(scores).mean())

    def tensors(self) -> dict[str, Tensor]:
        """Weights and both optimisers."""
        result = _named("model", self.model)
        for person, optimiser in self.optimisers.items():
            result |= _optimiser_tensors(f"optimiser-{person}", optimiser)
        return result

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights and both optimisers."""
        load_weights("model", self.model, tensors)
        for person, optimiser in self.optimisers.items():
            _restore_optimiser(f"optimiser-{person}", optimiser, tensors)


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
    ) -> None:
        torch.manual_seed(seed)
        self.preset, self.seed, self.device = preset, seed, device
        self.model = GuidedModel(preset).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=preset.learning_rate, betas=preset.betas, weight_decay=preset.weight_decay
        )
        self.shapes = {
            f"shape.{person}": torch.from_numpy(mean_shape_cm(faces.points_xy, faces.depth))
            for person, faces in zip(PEOPLE, people, strict=True)
        }
        aside = [held_out(faces.moment) for faces in people]
        self.faces = {
            person: prepare_guided(
                faces,
                np.flatnonzero(~out),
                size=preset.base_size,
                progress=progress,
                note=f"references of the {person}",
            ).to(device)
            for person, faces, out in zip(PEOPLE, people, aside, strict=True)
        }
        watched = np.flatnonzero(aside[0]) if aside[0].any() else np.arange(len(people[0].rgb))
        self.watched = prepare_guided(people[0], watched, size=preset.base_size).to(device)

    def step(self, iteration: int) -> Step:
        """One batch of the lender and half a batch of the performer, whose decoder only serves the encoder."""
        generator = iteration_generator(self.seed, iteration, self.device)
        self.optimiser.zero_grad()
        total, samples = 0.0, 0
        for person, other, count in (
            (PEOPLE[0], PEOPLE[1], self.preset.batch_size),
            (PEOPLE[1], PEOPLE[0], max(self.preset.batch_size // 2, 1)),
        ):
            faces = self.faces[person]
            rows = torch.randint(len(faces.target), (count,), generator=generator, device=self.device)
            batch = guided_batch(faces, rows, self.faces[other].colour, self.preset.input_size, generator)
            loss, _ = guided_step(self.model, batch, person)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) * count
            samples += count
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self._average(iteration)
        return Step(samples, total / samples)

    @torch.no_grad()
    def _average(self, iteration: int) -> None:
        """Exponential moving average that starts short: the first weights must not haunt the first minutes."""
        decay = min(self.preset.ema_decay, (1.0 + iteration) / (10.0 + iteration))
        torch._foreach_lerp_(_parameters(self.averaged), _parameters(self.model), 1.0 - decay)

    def score(self) -> float:
        """See :func:`countenance.training.guided.held_out_score`."""
        return held_out_score(self.averaged, self.watched, PEOPLE[0])

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights, the optimiser and both mean shapes."""
        result = _named("model", self.model) | _named("averaged", self.averaged) | dict(self.shapes)
        return result | _optimiser_tensors("optimiser", self.optimiser)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over everything but the shapes, which follow from the faces."""
        load_weights("model", self.model, tensors)
        load_weights("averaged", self.averaged, tensors)
        _restore_optimiser("optimiser", self.optimiser, tensors)


def _parameters(module: nn.Module) -> list[Tensor]:
    return [parameter.data for parameter in module.parameters()]


def make_run(
    preset: Preset,
    people: Sequence[PersonFaces],
    *,
    device: torch.device,
    seed: int,
    progress: Progress | None = None,
) -> Run:
    """The run of a preset's family over the lender's and the performer's faces, in this order."""
    if preset.family == "classic":
        return ClassicRun(preset, people, device=device, seed=seed)
    return GuidedRun(preset, people, device=device, seed=seed, progress=progress)
