"""Compare a clip with the truth, frame by frame, inside the face's mask."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from countenance.color import lab_from_rgb
from countenance.errors import MediaError
from countenance.evaluation.clips import mask_of, together
from countenance.evaluation.delta_e import delta_e_2000
from countenance.evaluation.gradients import gradient_similarity, seam_error
from countenance.evaluation.metrics import (
    MS_SSIM_WEIGHTS,
    SSIM_TAPS,
    erode,
    error_map,
    masked_mean,
    ms_ssim,
    psnr_db_of,
    ssim_map,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = ["INNER_PIXELS", "ClipScore", "TruthScorer", "compare"]

INNER_PIXELS = 8
"""How far the inner mask stays away from the face's outline, in pixels."""

_MARGIN = SSIM_TAPS << (len(MS_SSIM_WEIGHTS) - 1)  # the reach of MS-SSIM's window at its coarsest scale


@dataclass(frozen=True, slots=True)
class ClipScore:
    """How close a clip is to the truth inside the face; each metric stands in :mod:`countenance.evaluation.guide`.

    ``ssim`` in [−1, 1], ``ms_ssim``, ``gradient_similarity`` in [0, 1], ``delta_e`` (CIEDE2000) and ``seam`` (grey
    levels a pixel) are means over the frames; ``psnr_db`` is that of the mean squared error. ``inner_ssim`` and
    ``inner_psnr_db`` are inside the mask eroded by :data:`INNER_PIXELS`. ``ssim_by_frame`` has one value for each frame
    that shows a face; ``worst_frame`` and ``best_frame`` are the indexes with the lowest and the highest.
    """

    frames: int
    ssim: float
    psnr_db: float
    inner_ssim: float
    inner_psnr_db: float
    ms_ssim: float
    delta_e: float
    gradient_similarity: float
    seam: float
    worst_frame: int
    best_frame: int
    ssim_by_frame: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values; an infinite PSNR (equal pictures) is null, which JSON can say."""
        facts = asdict(self)
        return {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in facts.items()}


class _FrameScore(NamedTuple):
    ssim: float
    error: float
    inner_ssim: float
    inner_error: float
    ms_ssim: float
    delta_e: float
    gradient_similarity: float
    seam: float


class TruthScorer:
    """Collects frames' scores against the truth; for one clip."""

    def __init__(self) -> None:
        self._indexes: list[int] = []
        self._rows: list[_FrameScore] = []

    def add(self, index: int, picture: UInt8, truth: UInt8, face: Float32) -> None:
        """Score one frame; one in which the eroded mask is empty is left out.

        Args:
            index: of the frame.
            picture: uint8 ``(H, W, 3)``.
            truth: the same.
            face: float32 ``(H, W)`` in [0, 1].
        """
        inner = erode(face, INNER_PIXELS)
        if not inner.any():
            return
        # Only the face's surroundings are computed; the margin is the windows' reach, so nothing changes. Even edges
        # keep the halving of MS-SSIM in step with that of the whole frame.
        part = tuple(_span(np.flatnonzero(face.any(axis=axis))) for axis in (1, 0))
        picture, truth, face, inner = picture[part], truth[part], face[part], inner[part]
        likeness, error = ssim_map(picture, truth), error_map(picture, truth)
        counts = face > 0.0  # the formula is costly, and elsewhere its result would not count
        difference = np.zeros(face.shape)
        difference[counts] = delta_e_2000(lab_from_rgb(picture)[counts], lab_from_rgb(truth)[counts])
        self._indexes.append(index)
        self._rows.append(
            _FrameScore(
                ssim=masked_mean(likeness, face),
                error=masked_mean(error, face),
                inner_ssim=masked_mean(likeness, inner),
                inner_error=masked_mean(error, inner),
                ms_ssim=ms_ssim(picture, truth, face),
                delta_e=masked_mean(difference, face),
                gradient_similarity=gradient_similarity(picture, truth, face),
                seam=seam_error(picture, truth, face),
            )
        )

    def result(self, mask_name: str) -> ClipScore:
        """The clip's score.

        Raises:
            MediaError: no frame showed a face.
        """
        if not self._rows:
            raise MediaError(
                f"The mask {mask_name} shows no face in any frame. Give the mask that belongs to the truth."
            )
        mean = _FrameScore(*(float(value) for value in np.array(self._rows, np.float64).mean(axis=0)))
        by_frame = [row.ssim for row in self._rows]
        return ClipScore(
            frames=len(self._rows),
            ssim=mean.ssim,
            psnr_db=psnr_db_of(mean.error),
            inner_ssim=mean.inner_ssim,
            inner_psnr_db=psnr_db_of(mean.inner_error),
            ms_ssim=mean.ms_ssim,
            delta_e=mean.delta_e,
            gradient_similarity=mean.gradient_similarity,
            seam=mean.seam,
            worst_frame=self._indexes[int(np.argmin(by_frame))],
            best_frame=self._indexes[int(np.argmax(by_frame))],
            ssim_by_frame=tuple(by_frame),
        )


def _span(occupied: NDArray[np.intp]) -> slice:
    """The occupied rows or columns with the margin, its edges on multiples of MS-SSIM's coarsest pixel."""
    coarse = 1 << (len(MS_SSIM_WEIGHTS) - 1)
    low, high = max(int(occupied[0]) - _MARGIN, 0), int(occupied[-1]) + 1 + _MARGIN
    return slice(low // coarse * coarse, -(-high // coarse) * coarse)


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
    scorer = TruthScorer()
    for index, (seen, wanted, region) in enumerate(together((clip, truth, mask))):
        scorer.add(index, seen.rgb, wanted.rgb, mask_of(region))
        if progress is not None:
            progress(index + 1, None, f"comparing {clip.name}")
    return scorer.result(mask.name)
