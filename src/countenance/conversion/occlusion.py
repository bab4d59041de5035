"""What of an occlusion mask is believed: steadied in time, and never so much that the performer's face shows through.

Where something is in front, the footage's own pixels stay. A network's false alarm would leave the *performer* there,
so doubt counts as face and is painted over; docs/concepts/occlusion.md has the rule and what it lets through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.geometry import smoothstep
from countenance.types import Mask

if TYPE_CHECKING:
    from countenance.types import Float32, UInt8

__all__ = ["Judgement", "Steadied", "judged", "steadied"]

_STILL, _MOVING = 0.25, 0.6  # of a pixel's visible share between two looks: below it is noise, above it moved
_STILL_RATE = 0.2  # how much of a still pixel's change is taken over with each look
_GAP_SECONDS = 0.2  # a memory older than that is of another moment

_DOUBT, _SURE = 0.2, 0.6  # covered shares that count as nothing, and as all, in a spot that holds a sure pixel
_PEAK = 0.75  # covered share of a sure pixel
_FEATURE_MARGIN = 0.2  # by how much surer the network must be within lids and lips
_RIM = 7  # pixels of the mask from the hull's edge: what is in front comes in from outside
_LEAST, _LEAST_ISLAND = 0.003, 0.015  # of the hull: what is smaller is noise; an island must be larger
_MOST = 0.7  # of the hull: with more of it covered, too little of the face is seen to replace it
_VAGUE_FROM, _VAGUE = 0.2, 0.5  # from so much of the hull covered, at most this share of it may be unsure


@dataclass(frozen=True, slots=True, eq=False)
class Steadied:
    """A track's occlusion mask, steadied up to a moment: ``values`` float32 ``(S, S)``, 1 where the face is seen."""

    values: Float32
    shot: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """``mask``: an occlusion mask to paint under. ``hidden``: the face is to be veiled; nothing can be relied on."""

    mask: Mask
    hidden: bool


def steadied(last: Steadied | None, mask: Mask, shot: int, seconds: float) -> Steadied:
    """The mask with its small changes smoothed in time; what really moves is followed at once.

    Args:
        last: of the same track, one look before; None at its start.
        mask: what the network says now, in the aligned crop, so that a head's motion is not the mask's.
        shot: number of the shot.
        seconds: of the frame.
    """
    if last is None or last.shot != shot or not 0.0 <= seconds - last.seconds <= _GAP_SECONDS:
        return Steadied(mask.values, shot, seconds)
    change = mask.values - last.values
    rate = _STILL_RATE + (1.0 - _STILL_RATE) * smoothstep((np.abs(change) - _STILL) / (_MOVING - _STILL))
    return Steadied(np.clip(last.values + rate * change, 0.0, 1.0).astype(np.float32), shot, seconds)


def judged(values: Float32, planes: UInt8) -> Judgement:
    """What is painted over, and whether it may be painted at all.

    1. A spot of covered pixels needs a sure one somewhere, then it is taken whole, with its faint rim (thin things are
       faint); within lids and lips the network must be surer.
    2. What is in front comes in over the face's edge, or is large and reaches beyond eyes and mouth; other spots count
       as face.
    3. With more than 70 % of the hull covered, or more than 20 % of which half lacks a sure word, the face is hidden.

    Args:
        values: float32 ``(S, S)``, 1 where the face is seen.
        planes: uint8 ``(4, S, S)``, see :func:`countenance.perception.occlusion.feature_planes`.
    """
    hull = planes[0] > 127
    features = cv2.dilate(np.maximum(planes[1], planes[2]), np.ones((5, 5), np.uint8)) > 127
    covered = np.where(hull, 1.0 - values, 0.0)
    opening = np.maximum(planes[1], planes[2]) > 200
    front = smoothstep((covered - _DOUBT - _FEATURE_MARGIN * opening) / (_SURE - _DOUBT)).astype(np.float32)
    area = max(int(hull.sum()), 1)
    front *= _standing(front, covered > _PEAK, hull, features, area)
    share = float(front.sum()) / area
    unsure = float((covered[front > 0.5] < _PEAK).mean()) if share > _VAGUE_FROM else 0.0
    hidden = share > _MOST or unsure > _VAGUE
    return Judgement(Mask(1.0 - front, "occlusion"), hidden)


def _standing(front: Float32, sure: np.ndarray, hull: np.ndarray, features: np.ndarray, area: int) -> Float32:
    """1 around the spots that may be something in front, 0 on those that are taken for the face."""
    spots = (front > 0.05).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(spots, connectivity=8)
    rim = hull & (cv2.erode(np.pad(hull, 1).astype(np.uint8), np.ones((_RIM, _RIM), np.uint8))[1:-1, 1:-1] == 0)
    at_rim = np.bincount(labels[rim], minlength=count) > 0
    on_features = np.bincount(labels[features], minlength=count)
    sizes = stats[:, cv2.CC_STAT_AREA]
    strong = np.bincount(labels[sure], minlength=count) > 0  # a faint haze alone is none
    island = (sizes > _LEAST_ISLAND * area) & (on_features < 0.7 * sizes)
    stands = strong & (sizes > _LEAST * area) & (at_rim | island)
    stands[0] = False
    return np.asarray(stands[labels], np.float32)
