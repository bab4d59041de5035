"""Are these the enrolled person's faces? Decided face by face, never by their mean.

A mean forgives: a tenth of foreign faces hardly moves it. So each face has to match the enrolled template by itself,
with three rules on the cosines (measured by ``bench/consent_faces.py``):

1. *No face below the floor*, 0.02 under the record's threshold. Different people stay under it: with a threshold of
   0.62, synthetic lender and performer reach 0.586, photographs of different people 0.26.
2. *At most one face in 200 between floor and threshold*: a motion-blurred or turned face of the right person may fall
   there. One per cent of foreign faces is always more than that.
3. *The median at least 0.08 above the threshold*: a look-alike whose faces all scrape past the threshold is not the
   person, whose median lies at 0.88 and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32

__all__ = ["EMBEDDING_SIZE", "FLOOR_MARGIN", "OUTLIER_SHARE", "TYPICAL_MARGIN", "FaceMatch", "match_faces", "unit_rows"]

EMBEDDING_SIZE = 128

FLOOR_MARGIN = 0.02
"""How far below the threshold the floor lies, in cosine."""

OUTLIER_SHARE = 1 / 200
"""Largest share of faces between the floor and the threshold."""

TYPICAL_MARGIN = 0.08
"""How far above the threshold the median has to lie, in cosine."""


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """How a set of faces compares with a template.

    ``count`` faces; ``below_floor`` and ``below_threshold`` (which includes the former) of them; ``lowest`` and
    ``median`` cosine. ``problem`` says in a sentence why these are not that person's faces, or is None.
    """

    count: int
    below_floor: int
    below_threshold: int
    lowest: float
    median: float
    problem: str | None


def match_faces(
    embeddings: NDArray[np.floating], template: Float32, threshold: float, who: str = "lender"
) -> FaceMatch:
    """Compare every face with a template.

    Args:
        embeddings: ``(N, 128)`` float; scaled to unit length here. Anything else is a problem, not a pass.
        template: float32 ``(128,)`` of unit length.
        threshold: the record's cosine.
        who: whose faces they should be, for the sentence.
    """
    rows = unit_rows(embeddings)
    if rows is None or len(rows) == 0:
        return FaceMatch(0, 0, 0, 0.0, 0.0, "there is no usable face to compare with the enrolled one")
    cosines = rows @ template.astype(np.float64)
    below_floor = int((cosines < threshold - FLOOR_MARGIN).sum())
    below = int((cosines < threshold).sum())
    middle = float(np.median(cosines))
    problem = None
    if below_floor:
        problem = f"{below_floor} of {len(rows)} faces are of somebody else than the enrolled {who}"
    elif below > int(OUTLIER_SHARE * len(rows)):
        problem = f"{below} of {len(rows)} faces are too unlike the enrolled {who}"
    elif middle < threshold + TYPICAL_MARGIN:
        problem = f"the faces look like somebody similar to the enrolled {who}, not like the {who}"
    return FaceMatch(len(rows), below_floor, below, float(cosines.min()), middle, problem)


def unit_rows(embeddings: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """Embeddings at unit length, float64 ``(N, 128)``; None when they are not that many finite directions."""
    try:
        rows = np.asarray(embeddings, np.float64)
    except (TypeError, ValueError):
        return None
    if rows.ndim != 2 or rows.shape[1] != EMBEDDING_SIZE or not np.isfinite(rows).all():
        return None
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not ((lengths > 1e-6) & np.isfinite(lengths)).all():
        return None
    return np.asarray(rows / lengths, np.float64)
