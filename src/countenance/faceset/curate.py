"""What is worth keeping: size, sharpness, pose, near-duplicates, and who is who.

Thresholds were set on the embedded performers (320×320, 25 fps) and on blurred, darkened and shrunken copies of them
(bench/faceset.py prints the table).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.faceset.records import Reason
from countenance.geometry import CROP_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32, UInt8

__all__ = [
    "BLURRED_BELOW",
    "FURTHEST_PITCH_DEGREES",
    "FURTHEST_YAW_DEGREES",
    "SMALLEST_FACE_PIXELS",
    "SURE_PRESENCE",
    "Identity",
    "Seen",
    "face_pixels",
    "identities",
    "reason_before_alignment",
    "sharpness",
]

SURE_PRESENCE = 0.5
"""The landmark network's word that there is a face, below which there is none."""

SMALLEST_FACE_PIXELS = 64.0
"""Longer side of the landmarks' box: a smaller face has less detail than the smallest model paints."""

FURTHEST_YAW_DEGREES = 70.0
"""Beyond it half of the landmarks are guesses."""

FURTHEST_PITCH_DEGREES = 50.0
"""Beyond it nose or chin hides the rest."""

BLURRED_BELOW = 0.7
"""Of :func:`sharpness`. Untouched clips score above 1.0, 65-pixel faces above 0.75, most faces under 0.7 after 3 pixels
of blur. A hard shadow or noise can hide blur; light does not matter."""

_MOST_OUTSIDE = 0.03  # share of landmarks past the frame's edge: a cheek may touch it, a chin may not be missing

_CALM_LANDMARKS = 1.5  # pixels of the crop: below it, two expressions are the same within the landmarks' own noise
_CALM_PIXELS = 3.0  # grey levels, mean over the face
_PLENTY = 4000.0  # so many kept faces of one source double both: an hour of interview needs no more detail

# Each group is compared by itself: a blink moves 16 points, and would vanish in a mean over 478.
_EYES = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 468]
_EYES += [362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398, 473]
_LIPS = [61, 291, 13, 14, 0, 17, 37, 267, 84, 314, 78, 308, 82, 312, 87, 317]
_OUTLINE = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
_OUTLINE += [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
_GROUPS = tuple(np.array(group, np.intp) for group in (_EYES, _LIPS, _OUTLINE))
_COMPARED = np.concatenate(_GROUPS)
_BOUNDS = np.cumsum([0, *map(len, _GROUPS)])


def face_pixels(points_xy: Float32) -> float:
    """Longer side of the landmarks' box, in pixels."""
    return float(np.ptp(points_xy[:468], axis=0).max())


def reason_before_alignment(
    points_xy: Float32, presence: float, pose_degrees: tuple[float, float, float], size_hw: tuple[int, int]
) -> Reason | None:
    """Why a face cannot be used, as far as its landmarks tell; None when they say nothing against it.

    Args:
        points_xy: float32 ``(478, 2)`` landmarks in frame pixels.
        presence: the landmark network's, in [0, 1].
        pose_degrees: yaw, pitch, roll.
        size_hw: of the frame.
    """
    if not presence >= SURE_PRESENCE:
        return Reason.LOW_PRESENCE
    if face_pixels(points_xy) < SMALLEST_FACE_PIXELS:
        return Reason.TOO_SMALL
    limit = np.array([size_hw[1] - 0.5, size_hw[0] - 0.5])
    outside = ((points_xy[:468] < -0.5) | (points_xy[:468] > limit)).any(axis=1)
    if outside.mean() > _MOST_OUTSIDE:
        return Reason.CUT
    yaw, pitch, _ = pose_degrees
    if abs(yaw) > FURTHEST_YAW_DEGREES or abs(pitch) > FURTHEST_PITCH_DEGREES:
        return Reason.EXTREME_POSE
    return None


def sharpness(crop: UInt8) -> float:
    """How much fine detail a face has against its coarse shading, in the direction that has less of it.

    The ratio of second to first derivatives is the spectrum's slope: unlike the variance of the Laplacian it does not
    fall with the light's contrast. Taking the lesser of both directions catches motion blur, which leaves one direction
    sharp. Measured at half size, where a face of about 90 pixels in the frame still has its full detail. Noise looks
    like detail: a noisy blurred face passes.

    Args:
        crop: uint8 ``(256, 256, 3)`` aligned face.

    Returns:
        About 1.0 to 1.4 for a sharp face, 0.55 after 3 pixels of blur, 0 for a flat picture.
    """
    grey = cv2.cvtColor(crop.astype(np.float32), cv2.COLOR_RGB2GRAY)  # float: rounding again looks like detail
    half = cv2.resize(grey, (CROP_SIZE // 2, CROP_SIZE // 2), interpolation=cv2.INTER_AREA)
    face = np.ascontiguousarray(half[24:112, 28:100])
    ratios = []
    for dx, dy in ((1, 0), (0, 1)):
        slope = cv2.Sobel(face, cv2.CV_32F, dx, dy, scale=1 / 8)
        bend = cv2.Sobel(face, cv2.CV_32F, 2 * dx, 2 * dy, scale=1 / 4)
        # Half a grey level squared below, so that sensor noise on a flat picture counts for nothing.
        ratios.append(float((bend**2).mean()) / (float((slope**2).mean()) + 0.5))
    return float(np.sqrt(min(ratios)))


class Seen:
    """The faces of one source that are worth keeping so far, to tell near-duplicates by.

    A near-duplicate has landmarks AND pixels nearly the same as a face already kept. Landmarks are compared in the
    crop, for eyes, lips and outline separately; the largest of the three root mean squares counts, so a blink or an
    opened mouth is never a duplicate of the face before it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._points = np.zeros((256, len(_COMPARED), 2), np.float32)
        self._grey = np.zeros((256, 24 * 21), np.uint8)

    def add(self, crop: UInt8, points_xy: Float32) -> None:
        """Remember a face: its crop uint8 ``(256, 256, 3)`` and landmarks float32 ``(478, 2)`` in the crop's pixels."""
        if self.count == len(self._points):
            self._points = np.concatenate([self._points, np.zeros_like(self._points)])
            self._grey = np.concatenate([self._grey, np.zeros_like(self._grey)])
        self._points[self.count], self._grey[self.count] = _signature(crop, points_xy)
        self.count += 1

    def holds_one_like(self, crop: UInt8, points_xy: Float32) -> bool:
        """Whether a face is a near-duplicate of a remembered one (arguments as of :meth:`add`)."""
        if not self.count:
            return False
        points, grey = _signature(crop, points_xy)
        patience = 1.0 + self.count / _PLENTY
        # In bytes and vector code: an hour of interview has thousands of faces to compare with.
        apart = cv2.absdiff(self._grey[: self.count], np.tile(grey, (self.count, 1)))
        calm = cv2.reduce(apart, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] / grey.size < _CALM_PIXELS * patience
        if not calm.any():
            return False
        squares = ((self._points[: self.count][calm] - points) ** 2).sum(axis=2)
        spread = np.max([squares[:, a:b].mean(axis=1) for a, b in pairwise(_BOUNDS)], axis=0)
        return bool((np.sqrt(spread) < _CALM_LANDMARKS * patience).any())


def _signature(crop: UInt8, points_xy: Float32) -> tuple[Float32, UInt8]:
    face = np.ascontiguousarray(crop[40:232, 44:212])  # with little background
    small = cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (21, 24), interpolation=cv2.INTER_AREA)
    return points_xy[_COMPARED], np.asarray(small, np.uint8).reshape(-1)


# -- who is who -------------------------------------------------------------------------------------------------------


class Identity(NamedTuple):
    """One person among many faces: ``centre`` float32 ``(128,)`` of unit length, ``members`` intp indices."""

    centre: Float32
    members: NDArray[np.intp]


_MOST_SEEDS = 2000  # pairs grow with the square
_MOST_PEOPLE = 12
_ROUNDS = 8


def identities(embeddings: Float32, same_person_cosine: float) -> list[Identity]:
    """Tell people apart, the one with the most faces first.

    The face with the most others within the threshold starts a person; the person's centre then moves to the mean of
    its members until they stay the same (mean shift on the sphere). What is left starts the next person.

    Args:
        embeddings: float32 ``(N, 128)`` of unit length.
        same_person_cosine: a face belongs to a person when its cosine to the centre reaches this.

    Returns:
        At most twelve people; faces that belong to nobody are in none of them.
    """
    left = np.arange(len(embeddings))
    people: list[Identity] = []
    while len(left) and len(people) < _MOST_PEOPLE:
        vectors = embeddings[left]
        seeds = vectors[:: -(-len(vectors) // _MOST_SEEDS)]
        neighbours = (seeds @ seeds.T >= same_person_cosine).sum(axis=1)
        centre = seeds[int(np.argmax(neighbours))]
        inside = vectors @ centre >= same_person_cosine
        for _ in range(_ROUNDS):
            if not inside.any():
                break
            centre = vectors[inside].mean(axis=0)
            centre /= max(float(np.linalg.norm(centre)), 1e-9)
            again = vectors @ centre >= same_person_cosine
            if (again == inside).all():
                break
            inside = again
        if not inside.any():  # vectors without a direction: nobody
            break
        people.append(Identity(np.asarray(centre, np.float32), left[inside]))
        left = left[~inside]
    return sorted(people, key=lambda person: -len(person.members))
