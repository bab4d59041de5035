"""Steadies landmarks in time without lag: a quadratic fitted over as many frames before as after.

And forgets what was remembered of tracks that ended.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from countenance import geometry

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from countenance.types import Float32, Float64

__all__ = ["PointHistory", "forget_old"]

# How far one fit may lie from the next wider one, of the face's height: surely noise, and surely motion that the wider
# one does not follow. Five frames follow any head; more of them are for faces that move slowly (bench/landmarks.py).
_FIRST = (0.015, 0.04)
_WIDER = (0.0015, 0.004)

_FORGET_SECONDS = 5.0  # tracks that ended so long ago; a long film has many


class _OfAMoment(Protocol):
    @property
    def seconds(self) -> float: ...


_Kept = TypeVar("_Kept", bound=_OfAMoment)


def forget_old(memory: MutableMapping[int, _Kept], seconds: float) -> None:
    """Drop what was remembered of tracks that were last seen five seconds ago, in place.

    Args:
        memory: by track; each entry has the ``seconds`` of its frame.
        seconds: of the present frame.
    """
    for number in [number for number, kept in memory.items() if seconds - kept.seconds > _FORGET_SECONDS]:
        del memory[number]


class PointHistory:
    """The last landmarks of one track with their times.

    Fitting a polynomial around each frame is Savitzky and Golay's filter ("Smoothing and differentiation of data by
    simplified least squares procedures", 1964), here with the true times, so that variable frame rates are right.

    Args:
        length: frames that are remembered.
    """

    def __init__(self, length: int) -> None:
        self._rows: deque[tuple[int, float, Float32]] = deque(maxlen=max(length, 1))

    def add(self, index: int, seconds: float, points_xy: Float32) -> None:
        """Take the landmarks of a frame; indexes increase."""
        self._rows.append((index, seconds, points_xy))

    def at(self, index: int, reach: int) -> Float32:
        """Steadied landmarks of one remembered frame, float32 ``(N, 2)``.

        As many frames are used on either side as there are on the shorter one, without gaps, so the result leads as
        little as it lags. Where the motion is too quick for a quadratic the result goes back to what was measured.

        Args:
            index: of a frame that was added.
            reach: most frames on either side.

        Raises:
            KeyError: the frame is not remembered.
        """
        rows = {row: (seconds, points) for row, seconds, points in self._rows}
        seconds, steady = rows[index]
        if index - 1 not in rows or index + 1 not in rows:
            return steady
        half = 1  # a quadratic through three points is the points
        while half < reach and index - half - 1 in rows and index + half + 1 in rows:
            half += 1
            window = [rows[row] for row in range(index - half, index + half + 1)]
            times = np.array([when - seconds for when, _ in window])
            weights = _value_at_zero(times)
            fitted = np.tensordot(weights, np.stack([points for _, points in window]).astype(np.float64), 1)
            trust = _trust(steady, fitted, *(_FIRST if half == 2 else _WIDER))
            steady = (steady + trust * (fitted - steady)).astype(np.float32)
            if trust < 1.0:
                break
        return steady


def _value_at_zero(times: Float64) -> Float64:
    """Weights of the samples in the quadratic's value at time 0."""
    powers = np.vander(times / max(np.abs(times).max(), 1e-9), 3, increasing=True)
    return np.asarray(np.linalg.pinv(powers)[0], np.float64)


def _trust(steady: Float32, wider: Float64, trusted: float, refused: float) -> float:
    """How far to believe the next wider fit: 1 where it moves the points no more than noise does, 0 where it lags."""
    height = max(float(np.ptp(steady[:468, 1])), 1.0)
    rigid = geometry.RIGID_POINTS
    correction = float(np.sqrt(((wider - steady)[rigid] ** 2).sum(axis=1).mean())) / height
    return float(np.clip((refused - correction) / (refused - trusted), 0.0, 1.0))
