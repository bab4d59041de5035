"""Clips of one shot read side by side, and the face mask that a mask clip shows."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from countenance.errors import MediaError
from countenance.evaluation.metrics import close_holes
from countenance.media.read import read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from countenance.types import Float32, Frame

__all__ = ["mask_of", "together"]


def together(paths: Sequence[Path], copies: Sequence[Path] = ()) -> Iterator[tuple[Frame, ...]]:
    """The frames of several clips, matched by their order, then those of copies that we made of some of them.

    Errors name the clips, not the copies, which nobody else knows.

    Raises:
        MediaError: a clip cannot be read, or the clips differ in size or length.
    """
    for index, frames in enumerate(zip_longest(*(read_frames(path) for path in (*paths, *copies)))):
        missing = [path.name for path, frame in zip(paths, frames, strict=False) if frame is None]
        if missing:
            raise MediaError(
                f"{', '.join(missing)} ends at frame {index}, before the clips that it is compared with. Give clips of "
                "the same shot."
            )
        if len({frame.size_hw for frame in frames}) != 1:
            names = ", ".join(path.name for path in paths)
            raise MediaError(f"{names} differ in size. Give clips of the same shot.")
        yield frames


def mask_of(frame: Frame) -> Float32:
    """The mask that a frame of a mask clip shows, pin-holes closed: float32 ``(H, W)`` in [0, 1]."""
    return close_holes((frame.rgb.astype(np.float32).mean(axis=2) / 255.0).astype(np.float32))
