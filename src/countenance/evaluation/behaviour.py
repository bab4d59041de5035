"""Does the swapped face do what the performer's face does: pose, expression, mouth, blinks, gaze, steadiness (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.evaluation.observe import Observation
    from countenance.types import Float32, Float64

__all__ = ["Behaviour", "angle_degrees", "behaviour", "correlation", "expression_error", "jitter"]

_OPEN = 0.15  # of an eye's width: with less between the lids the iris is not seen, and the gaze a guess
_STILL = 1e-4  # a standard deviation below it is no movement that could agree or not


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How well the swap follows the footage; each metric stands in :mod:`countenance.evaluation.guide`.

    ``frames`` in which the face was seen in both; ``lost`` frames in which only the footage showed one.
    ``pose_degrees``, ``expression`` (of blendshapes, in [0, 1]) and ``gaze_degrees`` are errors.
    ``mouth_correlation`` and ``blink_correlation`` in [−1, 1]; None where the footage hardly moves them.
    ``jitter_ratio``: the landmarks' acceleration, by the footage's own; None in clips of less than three frames.
    """

    frames: int
    lost: int
    pose_degrees: float
    expression: float
    mouth_correlation: float | None
    blink_correlation: float | None
    gaze_degrees: float | None
    jitter_ratio: float | None


def behaviour(pairs: Sequence[tuple[Observation, Observation] | None], lost: int) -> Behaviour | None:
    """Compare what the face does in footage and swap.

    Args:
        pairs: for each frame in order (footage, swap), or None where either is missing or a shot begins.
        lost: frames in which the swap alone showed no face.

    Returns:
        None when no frame showed both.
    """
    seen = [pair for pair in pairs if pair is not None]
    if not seen:
        return None
    footage, swap = zip(*seen, strict=True)
    gaze = [
        float(np.linalg.norm(mine.gaze_degrees - theirs.gaze_degrees, axis=1).mean())
        for mine, theirs in seen
        if min(mine.eyes, theirs.eyes) >= _OPEN
    ]
    own, theirs = (jitter([None if pair is None else pair[side] for pair in pairs]) for side in (0, 1))
    return Behaviour(
        frames=len(seen),
        lost=lost,
        pose_degrees=float(np.mean([angle_degrees(mine.rotation, other.rotation) for mine, other in seen])),
        expression=expression_error(*(np.stack([face.blendshapes for face in side]) for side in (footage, swap))),
        mouth_correlation=correlation([face.mouth for face in footage], [face.mouth for face in swap]),
        blink_correlation=correlation([face.eyes for face in footage], [face.eyes for face in swap]),
        gaze_degrees=float(np.mean(gaze)) if gaze else None,
        jitter_ratio=theirs / own if own and theirs is not None else None,
    )


def angle_degrees(a_rotation: Float64, b_rotation: Float64) -> float:
    """The angle in degrees of the one turn that takes a rotation ``(3, 3)`` to another, in [0, 180]."""
    cosine = (float(np.trace(a_rotation @ b_rotation.T)) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def expression_error(footage: Float32, swap: Float32) -> float:
    """Mean absolute difference of blendshapes, each clip's own mean taken out, in [0, 1].

    Resting faces differ from person to person: without taking the mean out, the truth itself would be wrong by 0.064
    on the embedded pair, and a good swap by 0.065.

    Args:
        footage: float32 ``(N, 52)``.
        swap: the same frames.
    """
    mine, theirs = (side - side.mean(axis=0, keepdims=True) for side in (footage, swap))
    return float(np.abs(mine - theirs).mean())


def correlation(footage: Sequence[float], swap: Sequence[float]) -> float | None:
    """Pearson's correlation in [−1, 1]; 0 when only the footage moves, None when the footage itself stands still."""
    mine, theirs = np.asarray(footage, np.float64), np.asarray(swap, np.float64)
    if mine.std() < _STILL:
        return None
    if theirs.std() < _STILL:
        return 0.0
    return float(np.corrcoef(mine, theirs)[0, 1])


def jitter(faces: Sequence[Observation | None]) -> float | None:
    """Mean acceleration of the landmarks, in face widths a frame²; None without three faces in a row.

    The second difference is blind to a steady movement, so what is left is trembling (and real accelerations, which
    the footage has too: hence the ratio).
    """
    values = []
    for before, now, after in zip(faces, faces[1:], faces[2:], strict=False):
        if before is not None and now is not None and after is not None:
            width = max(float(np.linalg.norm(now.points_xy[454] - now.points_xy[234])), 1e-6)
            bend = after.points_xy.astype(np.float64) - 2.0 * now.points_xy + before.points_xy
            values.append(float(np.linalg.norm(bend, axis=1).mean()) / width)
    return float(np.mean(values)) if values else None
