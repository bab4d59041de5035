"""Our reference of the SAEHD family, the best known face-swap training that is freely published.

Written from its published description (I. Perov et al., "DeepFaceLab: Integrated, flexible and extensible
face-swapping framework", 2020, and the widely documented names and defaults of its options); no line is theirs, so
figures made with it are of *our reference*, not of theirs. What the description leaves open was chosen here:
the weights' start (Glorot uniform, biases zero), the residual block's slope (0.2), the width of *liae*'s inters
(twice ``ae_dims``, each), the optimiser's ε. Left out: their optional extras (the -u and -d variants, GAN, style and
"true face" power, priority of eyes and mouth, learning-rate dropout, colour transfer, pretraining, mirroring).

Both architectures squeeze a face through a dense layer and paint it anew, picture and mask:

* ``df``: shared encoder, shared inter, a decoder a person. 57,538,432 parameters.
* ``liae``: shared encoder, ``inter_AB`` and ``inter_B``, whose outputs are concatenated, and one shared decoder;
  94,963,328 parameters. The lender's (src) face is painted from inter_AB twice; the performer's (dst) from inter_B,
  then inter_AB. The swap is the performer's encoding through inter_AB twice: what is the performer's alone sits in
  inter_B, and is left out.

In both, the swap is therefore the lender's own path, walked with the performer's picture.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from countenance.geometry import CROP_SIZE, face_hull
from countenance.training.batches import iteration_generator, move, random_affine, sample
from countenance.training.checkpoint import load_weights
from countenance.training.losses import ssim_map
from countenance.training.model import PEOPLE
from countenance.training.prepare import evenly, shrink, split
from countenance.training.runs import Step
from countenance.training.scores import NOBODY, HeldOut, cross_identity
from countenance.types import BLENDSHAPES, AlignedFace, FaceLandmarks, Mask, SwappedFace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.prepare import PersonFaces
    from countenance.training.scores import Identity
    from countenance.types import UInt8

__all__ = ["AdaBelief", "SaehdModel", "SaehdRecipe", "SaehdRun", "SaehdSwapper", "saehd_batch", "saehd_loss"]

_KNOTS = 5  # a side of the jittered grid, laid over the whole crop
_JITTER = 5.0 / 256.0  # standard deviation of a knot, in sides of the crop: the classic recipe's 5 px of 256
_SUBPIXEL_BITS = 4
_CROSSED_FACES = 16  # held-out faces of the performer that are swapped for a score


@dataclass(frozen=True, slots=True)
class SaehdRecipe:
    """The options, by their published names and defaults.

    ``resolution`` is the side in pixels of what goes in and comes out, a multiple of 16; ``batch_size`` counts faces
    of each person.
    """

    architecture: Literal["df", "liae"]
    resolution: int = 128
    e_dims: int = 64
    ae_dims: int = 256
    d_dims: int = 64
    d_mask_dims: int = 22
    batch_size: int = 8
    learning_rate: float = 5e-5

    @property
    def name(self) -> str:
        """What a checkpoint and a table call it."""
        return f"saehd-{self.architecture}"

    def to_json(self) -> dict[str, Any]:
        """For ``CheckpointFacts.preset``."""
        return {"name": self.name, **asdict(self)}


class _Up(nn.Module):
    """3 × 3 convolution to four times the channels, LeakyReLU, pixel shuffle: twice the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs * 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(functional.leaky_relu(self.conv(x), 0.1), 2)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x + self.second(functional.leaky_relu(self.first(x), 0.2)), 0.2)


class _Inter(nn.Module):
    """The dense bottleneck, and its first enlargement: features of ``side`` become channels of ``2 · side``."""

    def __init__(self, features: int, ae_dims: int, outputs: int, side: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(features, ae_dims)
        self.spread = nn.Linear(ae_dims, outputs * side * side)
        self.up = _Up(outputs, outputs)
        self.shape = (outputs, side, side)

    def forward(self, features: Tensor) -> Tensor:
        spread = self.spread(self.squeeze(features)).view(-1, *self.shape)
        up: Tensor = self.up(spread)
        return up


class Painted(NamedTuple):
    """A painted face: ``rgb`` float ``(B, 3, S, S)`` and ``mask`` ``(B, 1, S, S)``, both in [0, 1]."""

    rgb: Tensor
    mask: Tensor


class _Decoder(nn.Module):
    def __init__(self, inputs: int, d_dims: int, d_mask_dims: int) -> None:
        super().__init__()
        picture: list[nn.Module] = []
        mask: list[nn.Module] = []
        wide, narrow = inputs, inputs
        for times in (8, 4, 2):
            picture += [_Up(wide, times * d_dims), _Residual(times * d_dims)]
            mask.append(_Up(narrow, times * d_mask_dims))
            wide, narrow = times * d_dims, times * d_mask_dims
        self.picture = nn.Sequential(*picture, nn.Conv2d(wide, 3, 1))
        self.mask = nn.Sequential(*mask, nn.Conv2d(narrow, 1, 1))

    def forward(self, code: Tensor) -> Painted:
        return Painted(torch.sigmoid(self.picture(code)), torch.sigmoid(self.mask(code)))


class SaehdModel(nn.Module):
    """Either architecture: ``df`` has the inter ``shared`` and a decoder of each person, ``liae`` the inters ``AB`` and
    ``B`` and the decoder ``shared``.
    """

    def __init__(self, recipe: SaehdRecipe) -> None:
        super().__init__()
        if recipe.resolution % 16:
            raise ValueError(f"SaehdRecipe.resolution: expected a multiple of 16, got {recipe.resolution}")
        self.recipe = recipe
        e, ae, side = recipe.e_dims, recipe.ae_dims, recipe.resolution // 16
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, e), (e, 2 * e), (2 * e, 4 * e), (4 * e, 8 * e)):
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.1)]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        liae = recipe.architecture == "liae"
        inter_names, decoder_names = (("AB", "B"), ("shared",)) if liae else (("shared",), PEOPLE)
        width = 2 * ae if liae else ae
        self.inters = nn.ModuleDict({name: _Inter(8 * e * side * side, ae, width, side) for name in inter_names})
        self.decoders = nn.ModuleDict(
            {name: _Decoder(width * len(inter_names), recipe.d_dims, recipe.d_mask_dims) for name in decoder_names}
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, driver: Tensor, person: str) -> Painted:
        """Paint ``person`` from the picture ``driver``; the swap is the lender painted from the performer's picture.

        Args:
            driver: float ``(B, 3, S, S)``, RGB in [0, 1], S the recipe's resolution.
            person: one of :data:`PEOPLE`.
        """
        features = self.encoder(driver)
        if self.recipe.architecture == "df":
            decoder, code = self.decoders[person], self.inters["shared"](features)
        else:
            both = self.inters["AB"](features)
            first = both if person == PEOPLE[0] else self.inters["B"](features)
            decoder, code = self.decoders["shared"], torch.cat([first, both], 1)
        painted: Painted = decoder(code)
        return painted


class AdaBelief:
    """J. Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients", 2020.

    Adam whose second moment is of the gradient's *surprise*, its distance from the running mean. ε is their later
    1e-16."""

    betas = (0.9, 0.999)
    epsilon = 1e-16

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float) -> None:
        self.parameters, self.lr, self.steps = list(parameters), lr, 0
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        """One update; a parameter without a gradient stays."""
        self.steps += 1
        first, second = self.betas
        for parameter, (mean, belief) in zip(self.parameters, self.moments, strict=True):
            if parameter.grad is None:
                continue
            mean.lerp_(parameter.grad, 1.0 - first)
            surprise = parameter.grad - mean
            belief.mul_(second).addcmul_(surprise, surprise, value=1.0 - second).add_(self.epsilon)
            root = (belief / (1.0 - second**self.steps)).sqrt_().add_(self.epsilon)
            parameter.addcdiv_(mean, root, value=-self.lr / (1.0 - first**self.steps))

    def tensors(self) -> dict[str, Tensor]:
        """Its state, flat."""
        means = {f"mean.{n}": mean for n, (mean, _) in enumerate(self.moments)}
        beliefs = {f"belief.{n}": belief for n, (_, belief) in enumerate(self.moments)}
        return {"steps": torch.tensor(self.steps), **means, **beliefs}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state; the tensors are copied."""
        for name, mine in self.tensors().items():
            mine.copy_(tensors[name])
        self.steps = int(tensors["steps"])


def face_masks(faces: PersonFaces) -> UInt8:
    """What the mask must predict, uint8 ``(N, S, S)`` for crops of side S: the landmarks' hull, where it is person."""
    size = faces.rgb.shape[1]
    masks = np.zeros((len(faces.rgb), size, size), np.uint8)
    for mask, points, person in zip(masks, faces.points_xy, faces.person_mask, strict=True):
        hull = np.rint(face_hull(points) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillConvexPoly(mask, hull, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        np.minimum(mask, cv2.resize(person, (size, size), interpolation=cv2.INTER_LINEAR), out=mask)
    return masks


class SaehdBatch(NamedTuple):
    """Floats in [0, 1]: ``warped`` and ``target`` ``(B, 3, S, S)``; ``mask`` ``(B, 1, S, S)``, the target's."""

    warped: Tensor
    target: Tensor
    mask: Tensor


def saehd_batch(pictures: Tensor, masks: Tensor, generator: torch.Generator) -> SaehdBatch:
    """Rotate ±10°, zoom ±5 % and shift ±5 % input and target alike; the input is also bent by a jittered grid.

    Args:
        pictures: uint8 ``(B, 3, S, S)``.
        masks: uint8 ``(B, 1, S, S)``.
        generator: on the same device.
    """
    count, _, side, _ = pictures.shape
    affine = random_affine(count, side, generator, rotation_degrees=10.0, zoom=0.05, shift=0.05, flip=0.0)
    jitter = torch.randn(count, 2, _KNOTS, _KNOTS, generator=generator, device=pictures.device) * (_JITTER * side)
    bend = functional.interpolate(jitter, size=(side, side), mode="bicubic", align_corners=False)
    line = torch.arange(side, device=pictures.device, dtype=torch.float32)
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    both = torch.cat([pictures, masks], 1).float() / 255.0
    straight = sample(both, move(affine, pixels))
    warped = sample(both[:, :3], move(affine, pixels + bend.permute(0, 2, 3, 1)))
    return SaehdBatch(warped, straight[:, :3], straight[:, 3:])


def saehd_loss(painted: Painted, target: Tensor, mask: Tensor) -> Tensor:
    """10 · DSSIM + 10 · MSE of the pictures under the target's mask, + 10 · MSE of the masks.

    The published window of DSSIM is resolution / 11.6 pixels: at 128 the 11 taps that :func:`ssim_map` has. Floats in
    [0, 1]: ``target`` ``(B, 3, S, S)`` and ``mask`` ``(B, 1, S, S)``.
    """
    seen, wanted = painted.rgb * mask, target * mask
    dssim = (1.0 - ssim_map(seen, wanted)).mean() / 2.0
    masks = functional.mse_loss(painted.mask, mask)
    return 10.0 * (dssim + functional.mse_loss(seen, wanted) + masks)


def swapped(model: SaehdModel, faces: Sequence[AlignedFace], device: torch.device) -> list[SwappedFace]:
    """The lender's face for each 256 × 256 crop of the performer, enlarged to the crop's side, with its mask."""
    crops = torch.from_numpy(np.stack([face.rgb for face in faces])).to(device).permute(0, 3, 1, 2).float() / 255.0
    painted = model(functional.interpolate(crops, size=model.recipe.resolution, mode="area"), PEOPLE[0])
    large = functional.interpolate(painted.rgb, size=CROP_SIZE, mode="bicubic", align_corners=False)
    mask = functional.interpolate(painted.mask, size=CROP_SIZE, mode="bilinear", align_corners=False)
    pictures = large.clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    masks = mask[:, 0].clamp(0.0, 1.0).cpu().numpy()
    return [
        SwappedFace(np.ascontiguousarray(rgb), Mask(np.ascontiguousarray(values), "predicted"))
        for rgb, values in zip(pictures, masks, strict=True)
    ]


class SaehdRun:
    """Training on the lender's and the performer's faces, in this order: a ``Run`` for ``training.loop.loop``."""

    def __init__(
        self,
        recipe: SaehdRecipe,
        people: Sequence[PersonFaces],
        *,
        device: torch.device,
        seed: int,
        identity: Identity | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe, self.seed, self.device, self.identity = recipe, seed, device, identity
        self.model = SaehdModel(recipe).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = AdaBelief(self.model.parameters(), lr=recipe.learning_rate)
        small = {person: shrink(faces, recipe.resolution) for person, faces in zip(PEOPLE, people, strict=True)}
        parts = {person: split(faces.moment) for person, faces in small.items()}
        self.faces = {person: self._stacked(faces.take(parts[person].trained)) for person, faces in small.items()}
        self.watched = {person: self._stacked(faces.take(parts[person].watched)) for person, faces in small.items()}
        known = evenly(len(parts[PEOPLE[0]].trained), len(parts[PEOPLE[0]].watched))
        self.known = self.faces[PEOPLE[0]][0][known], self.faces[PEOPLE[0]][1][known]
        rows = parts[PEOPLE[1]].watched
        performer = people[1].take(rows[evenly(len(rows), _CROSSED_FACES)])
        self.crossed = [
            AlignedFace(rgb, np.eye(2, 3), FaceLandmarks(points, depth, np.zeros(BLENDSHAPES, np.float32), 1.0))
            for rgb, points, depth in zip(performer.rgb, performer.points_xy, performer.depth, strict=True)
        ]

    def _stacked(self, faces: PersonFaces) -> tuple[Tensor, Tensor]:
        """Pictures uint8 ``(N, 3, S, S)`` and masks uint8 ``(N, 1, S, S)`` on the device."""
        pictures = torch.from_numpy(np.ascontiguousarray(faces.rgb.transpose(0, 3, 1, 2)))
        return pictures.to(self.device), torch.from_numpy(face_masks(faces)[:, None]).to(self.device)

    def step(self, iteration: int) -> Step:
        """One batch of each person, uniformly drawn, and one update; the mean of the two losses."""
        generator = iteration_generator(self.seed, iteration, self.device)
        self.model.zero_grad()
        total = 0.0
        for person in PEOPLE:
            pictures, masks = self.faces[person]
            rows = torch.randint(len(pictures), (self.recipe.batch_size,), generator=generator, device=self.device)
            batch = saehd_batch(pictures[rows], masks[rows], generator)
            loss = saehd_loss(self.model(batch.warped, person), batch.target, batch.mask)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        self.optimiser.step()
        return Step(len(PEOPLE) * self.recipe.batch_size, total / len(PEOPLE))

    def _similarity(self, faces: tuple[Tensor, Tensor], person: str) -> float:
        """Mean SSIM inside the mask of undistorted faces of ``person``; NaN without any."""
        total = weight = 0.0
        for start in range(0, len(faces[0]), 8):
            picture, mask = (part[start : start + 8].float() / 255.0 for part in faces)
            total += float((ssim_map(self.model(picture, person).rgb, picture) * mask).sum() / 3.0)
            weight += float(mask.sum())
        return total / weight if weight else math.nan

    @torch.no_grad()
    def score(self) -> HeldOut:
        """See :class:`countenance.training.scores.HeldOut`."""
        lender, performer = (self._similarity(self.watched[person], person) for person in PEOPLE)
        cross = NOBODY
        if self.identity is not None and self.crossed:
            painted = swapped(self.model, self.crossed, self.device)
            rgb, landmarks = [face.rgb for face in self.crossed], [face.landmarks for face in self.crossed]
            cross = cross_identity(rgb, landmarks, painted, self.identity)
        return HeldOut(lender, performer, *cross, self._similarity(self.known, PEOPLE[0]))

    def slow(self, factor: float) -> None:
        """Learn at this share of the recipe's rate."""
        self.optimiser.lr = self.recipe.learning_rate * factor

    def tensors(self) -> dict[str, Tensor]:
        """Weights and the optimiser."""
        parts = {"model": self.model.state_dict(), "optimiser": self.optimiser.tensors()}
        return {f"{part}.{name}": tensor for part, state in parts.items() for name, tensor in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights and the optimiser."""
        load_weights("model", self.model, tensors)
        mine = {name.removeprefix("optimiser."): t for name, t in tensors.items() if name.startswith("optimiser.")}
        self.optimiser.restore(mine)


class SaehdSwapper:
    """A trained reference as conversion uses it (the ``FaceSwapper`` protocol); ``facts.preset`` is its recipe."""

    def __init__(self, facts: CheckpointFacts, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._facts, self._device = facts, device
        self._model = SaehdModel(SaehdRecipe(**{k: v for k, v in facts.preset.items() if k != "name"}))
        load_weights("model", self._model, tensors)
        self._model.to(device).eval()

    @property
    def facts(self) -> CheckpointFacts:
        """What the checkpoint says of itself."""
        return self._facts

    @torch.no_grad()
    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]:
        """See :func:`swapped`."""
        return swapped(self._model, faces, self._device) if faces else []
