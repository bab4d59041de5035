"""Compare a clip with the truth, frame by frame, inside the face's mask."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.errors import MediaError
from countenance.evaluation.metrics import (
    SSIM_TAPS,
    close_holes,
    erode,
    error_map,
    masked_mean,
    psnr_db_of,
    ssim_map,
)
from countenance.media.read import read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from countenance.progress import Progress
    from countenance.types import Float32, Frame

__all__ = ["INNER_PIXELS", "ClipScore", "compare", "mask_of"]

INNER_PIXELS = 8
"""How far the inner mask stays away from the face's outline, in pixels."""


@dataclass(frozen=True, slots=True)
class ClipScore:
    """How close a clip is to the truth inside the face.

    ``ssim`` in [−1, 1] (mean over the frames) and ``psnr_db`` in decibels (of the mean squared error) inside
    the mask; ``inner_ssim`` and ``inner_psnr_db`` inside the mask eroded by :data:`INNER_PIXELS`; ``ssim_by_frame`` one
    value a frame; ``worst_frame`` the index with the lowest SSIM.
    """

    frames: int
    ssim: float
    psnr_db: float
    inner_ssim: float
    inner_psnr_db: float
    worst_frame: int
    ssim_by_frame: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values; an infinite PSNR (equal pictures) is null, which JSON can say."""
        facts = asdict(self)
        return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in facts.items()}


def mask_of(frame: Frame) -> Float32:
    """The mask that a frame of a mask clip shows, pin-holes closed: float32 ``(H, W)`` in [0, 1]."""
    return close_holes((frame.rgb.astype(np.float32).mean(axis=2) / 255.0).astype(np.float32))


def compare(clip: Path, truth: Path, mask: Path, *, progress: Progress | None = None) -> ClipScore:
    """Score ``clip`` against ``truth`` inside ``mask``; frames are matched by their order.

    Args:
        clip: the swap, or the untouched footage.
        truth: the same shot with the right face, same size and number of frames.
        mask: white where the face is, same size and number of frames; a frame without a face is left out.
        progress: called per frame.

    Raises:
        MediaError: a file cannot be read, the clips differ in size or length, or the mask is empty throughout.
    """
    rows: list[tuple[int, float, float, float, float]] = []
    for index, frames in enumerate(_together((clip, truth, mask))):
        scores = _scores(*frames)
        if scores is not None:
            rows.append((index, *scores))
        if progress is not None:
            progress(index + 1, None, f"comparing {clip.name}")
    if not rows:
        raise MediaError(f"The mask {mask.name} shows no face in any frame. Give the mask that belongs to the truth.")
    table = np.array(rows, np.float64)
    _, mean_ssim, mean_error, inner_ssim, inner_error = (float(value) for value in table.mean(axis=0))
    return ClipScore(
        frames=len(rows),
        ssim=mean_ssim,
        psnr_db=psnr_db_of(mean_error),
        inner_ssim=inner_ssim,
        inner_psnr_db=psnr_db_of(inner_error),
        worst_frame=int(table[np.argmin(table[:, 1]), 0]),
        ssim_by_frame=tuple(float(value) for value in table[:, 1]),
    )


def _scores(seen: Frame, wanted: Frame, region: Frame) -> tuple[float, float, float, float] | None:
    """SSIM and squared error inside the mask, and inside the inner one; None where no face is."""
    face = mask_of(region)
    inner = erode(face, INNER_PIXELS)
    if not inner.any():
        return None
    rows, columns = (np.flatnonzero(face.any(axis=axis)) for axis in (1, 0))
    # Only the face's surroundings are computed; the margin is the reach of SSIM's window, so nothing changes.
    part = np.s_[
        max(rows[0] - SSIM_TAPS, 0) : rows[-1] + SSIM_TAPS, max(columns[0] - SSIM_TAPS, 0) : columns[-1] + SSIM_TAPS
    ]
    picture, truth, face, inner = seen.rgb[part], wanted.rgb[part], face[part], inner[part]
    likeness, error = ssim_map(picture, truth), error_map(picture, truth)
    return (
        masked_mean(likeness, face),
        masked_mean(error, face),
        masked_mean(likeness, inner),
        masked_mean(error, inner),
    )


def _together(paths: Sequence[Path]) -> Iterator[tuple[Frame, ...]]:
    for index, frames in enumerate(zip_longest(*(read_frames(path) for path in paths))):
        missing = [path.name for path, frame in zip(paths, frames, strict=True) if frame is None]
        if missing:
            raise MediaError(
                f"{', '.join(missing)} ends at frame {index}, before the clips that it is compared with. Give clips of "
                "the same shot."
            )
        if len({frame.size_hw for frame in frames}) != 1:
            names = ", ".join(path.name for path in paths)
            raise MediaError(f"{names} differ in size. Give clips of the same shot.")
        yield frames
