"""Whose mouth or eyes are closed keeps them closed on another face.

An expression is carried over as an offset from the person's own mean (performer − performer's mean + lender's mean).
Where the lender's mean mouth is more open than the performer's, that leaves every closed mouth a little open, and where
it is less open it drives the lips into each other. So the difference of the two means fades out towards closure: lips
and lids that meet in the footage meet in the swap, and open ones move as before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance.geometry import canonical_face, smoothstep

if TYPE_CHECKING:
    from countenance.training.mesh import FrontalFace
    from countenance.types import Float64

__all__ = ["expression"]


class _Slit(NamedTuple):
    """Two lips or lids: landmark numbers of their ``upper`` and ``lower`` edges and of the ``corners``.

    ``opposite`` are pairs of the two edges that say how far it is open; from ``open_cm`` on it counts as open; what
    lies within ``reach_cm`` of the edges moves along.
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    corners: tuple[int, int]
    opposite: tuple[tuple[int, int], ...]
    open_cm: float
    reach_cm: float


# The wanted gap's error against the truth of the embedded pair in every second frame (root mean square), in cm: lips
# 0.143 without any of this, 0.095, 0.096, 0.105 and 0.124 where they count as open from 0.04, 0.06, 0.08 and 0.12 cm
# on; lids 0.082, and 0.078, 0.076, 0.079 and 0.085 from 0.1, 0.2, 0.3 and 0.5 cm on.
_SLITS = (
    _Slit(
        (191, 80, 81, 82, 13, 312, 311, 310, 415),
        (95, 88, 178, 87, 14, 317, 402, 318, 324),
        (78, 308),
        ((13, 14), (82, 87), (312, 317)),
        0.06,
        1.5,
    ),
    _Slit(
        (246, 161, 160, 159, 158, 157, 173),
        (7, 163, 144, 145, 153, 154, 155),
        (33, 133),
        ((159, 145), (158, 153), (160, 144)),
        0.1,
        0.6,
    ),
    _Slit(
        (466, 388, 387, 386, 385, 384, 398),
        (249, 390, 373, 374, 380, 381, 382),
        (263, 362),
        ((386, 374), (385, 380), (387, 373)),
        0.1,
        0.6,
    ),
)


def expression(face: FrontalFace, mean_cm: Float64, shape_cm: Float64) -> Float64:
    """What a face does, as an offset from a mean shape, float64 ``(478, 3)``, to be laid on another shape.

    Args:
        face: as it was seen.
        mean_cm: mean shape of the same person, float64 ``(478, 3)``.
        shape_cm: the other shape, float64 ``(478, 3)``; with the person's own mean the offset is the plain difference.
    """
    offset = np.asarray(face.shape_cm - mean_cm)
    for number, slit in enumerate(_SLITS):
        wider = _gap_cm(shape_cm, slit) - _gap_cm(mean_cm, slit)
        # Where the other shape is less open, the fade is so long that a wider gap never becomes a narrower one.
        open_cm = max(slit.open_cm, -1.5 * wider)
        share = smoothstep(np.array(_gap_cm(face.shape_cm, slit) / open_cm))
        offset[:468, 1] += wider * (1.0 - share) * _towards_each_other()[number]
    return offset


def _gap_cm(shape_cm: Float64, slit: _Slit) -> float:
    """How far a slit is open; a little below zero where it is pressed together."""
    upper, lower = np.transpose(slit.opposite)
    return float(np.mean(shape_cm[lower, 1] - shape_cm[upper, 1]))


@lru_cache(maxsize=1)
def _towards_each_other() -> Float64:
    """How far each landmark moves down when a slit closes by a centimetre, float64 ``(len(_SLITS), 468)``.

    Both edges meet half-way; nothing moves at the corners, nor farther away than the slit reaches.
    """
    x_cm, y_cm = canonical_face().vertices_cm[:, :2].astype(np.float64).T  # y upwards
    moves = np.zeros((len(_SLITS), len(x_cm)))
    for slit, move in zip(_SLITS, moves, strict=True):
        edges = []
        for edge in (slit.upper, slit.lower):
            order = np.argsort(x_cm[list(edge)])
            edges.append(np.interp(x_cm, x_cm[list(edge)][order], y_cm[list(edge)][order]))
        above = y_cm > (edges[0] + edges[1]) / 2.0
        above[list(slit.upper)], above[list(slit.lower)] = True, False  # in the mean face the lips touch
        distance = np.maximum(np.where(above, y_cm - edges[0], edges[1] - y_cm), 0.0)
        middle, half = np.mean(x_cm[list(slit.corners)]), np.ptp(x_cm[list(slit.corners)]) / 2.0
        across = np.maximum(1.0 - ((x_cm - middle) / half) ** 2, 0.0)
        move[:] = np.where(above, 0.5, -0.5) * across * smoothstep(1.0 - distance / slit.reach_cm)
    return moves
