"""Prepared faces of one person, to take batches of: in the device's memory, or on the disk and read by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from countenance.memory import DiskRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.memory import Rows

__all__ = ["DiskCrops", "GuidedFaces", "StoredFaces", "channels_first", "crops_to_take"]


class GuidedFaces(NamedTuple):
    """Tensors of one person for the guided family, uint8.

    ``target`` ``(N, 3, S, S)``; ``reference`` ``(N, V, 3, S, S)``; ``face`` ``(N, 1, S, S)``, 255 inside the outline;
    ``mask`` ``(N, 1, S, S)``, what the mask must predict; ``weight`` ``(N, 1, S, S)``, in 64ths.
    ``colour`` float ``(N, 2, 3)``: mean and deviation of the face's RGB in [0, 1].
    """

    target: Tensor
    reference: Tensor
    face: Tensor
    mask: Tensor
    weight: Tensor
    colour: Tensor

    def to(self, device: torch.device) -> GuidedFaces:
        """Everything on ``device``."""
        return GuidedFaces(*(tensor.to(device) for tensor in self))

    def take(self, rows: slice | NDArray[np.intp] | Tensor) -> GuidedFaces:
        """Some of the faces; a slice shares their memory."""
        return GuidedFaces(*(tensor[rows] for tensor in self))

    def first(self, count: int) -> GuidedFaces:
        """The first faces; they share their memory."""
        return self.take(slice(count))


class StoredFaces:
    """Like :class:`GuidedFaces`, for more faces than the memory holds: only colours are there, the rest is read by row.

    Args:
        parts: ``target``, ``reference``, ``face``, ``mask`` and ``weight``, rows in memory or on the disk.
        colour: see :class:`GuidedFaces`.
        device: where faces that are taken go.
    """

    def __init__(self, parts: Sequence[NDArray[Any] | DiskRows], colour: Tensor, device: torch.device) -> None:
        self._parts, self._device = parts, device
        self.colour = colour.to(device)

    def take(self, rows: slice | NDArray[np.intp] | Tensor) -> GuidedFaces:
        """Some of the faces, on the device."""
        numbers = rows.cpu().numpy() if isinstance(rows, Tensor) else rows
        read = (torch.from_numpy(part[numbers]).to(self._device) for part in self._parts)
        target, reference, face, mask, weight = read
        return GuidedFaces(target, reference, face, mask, weight, self.colour[rows])

    def first(self, count: int) -> StoredFaces:
        """The first faces, not read yet."""
        some = slice(count)
        parts = [part.take(some) if isinstance(part, DiskRows) else part[some] for part in self._parts]
        return StoredFaces(parts, self.colour[some], self._device)


def channels_first(rgb: NDArray[Any]) -> Tensor:
    """uint8 ``(N, S, S, 3)`` → ``(N, 3, S, S)``, contiguous."""
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(0, 3, 1, 2)))


class DiskCrops:
    """Crops on the disk as the tensor that they would be, uint8 ``(N, 3, S, S)``: rows of it, on a device."""

    def __init__(self, rgb: DiskRows, device: torch.device) -> None:
        self._rgb, self._device = rgb, device

    def __len__(self) -> int:
        return len(self._rgb)

    def __getitem__(self, rows: Tensor) -> Tensor:
        return channels_first(self._rgb[rows.cpu().numpy()]).to(self._device)


def crops_to_take(rgb: Rows, device: torch.device) -> Tensor | DiskCrops:
    """Crops ``(N, S, S, 3)`` to take batches ``(B, 3, S, S)`` of, by row; in memory, they go to the device."""
    return DiskCrops(rgb, device) if isinstance(rgb, DiskRows) else channels_first(rgb[:]).to(device)
