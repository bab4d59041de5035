"""Whose face is it: a judge network that takes no part in training, gating or alignment (dlib's 128-d descriptor).

D. King, "Dlib-ml: a machine learning toolkit", JMLR 2009, and his 2017 residual network: 99.38 % on LFW; two pictures
of one person are less than 0.6 apart. On the synthetic performers: lender and performer 0.65 apart, one person's own
pictures 0.25 from their mean, a truth frame 0.28 from the lender and 0.62 from the performer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from countenance.errors import NoFaceError, WeightsError
from countenance.media.probe import probe
from countenance.media.read import is_photo, read_frames, read_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from countenance.perception.perceive import Perception
    from countenance.types import Float32, Float64, UInt8

__all__ = ["DlibJudge", "Identity", "Judge", "Referee", "identity", "template"]

_TEMPLATE_FRAMES = 40  # of a clip, evenly: a mean over these has settled
_LEAST_PRESENCE = 0.5


class Judge(Protocol):
    """Describes faces as vectors whose Euclidean distances tell people apart."""

    def __call__(self, rgb: UInt8, points_xy: Float32) -> Float64:
        """The descriptor of one face, float64 ``(D,)``.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            points_xy: float32 ``(478, 2)``, used as a box only: the judge aligns by points of its own.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """By the judge, over the frames with a face; see :mod:`countenance.evaluation.guide`.

    ``top1``: share of frames nearer to the lender than to the performer; ``margin``: mean distance to the performer
    less that to the lender; both distances' means.
    """

    frames: int
    top1: float
    margin: float
    lender_distance: float
    performer_distance: float


class DlibJudge:
    """dlib's descriptor, on dlib's own five points.

    Raises:
        WeightsError: dlib is not installed, or its weights cannot be fetched.
    """

    def __init__(self) -> None:
        try:
            import dlib
        except ImportError as error:
            raise WeightsError(
                "The judge of identity needs dlib, which is not installed. Install it with `pip install dlib-bin`; "
                "everything else is measured without it."
            ) from error
        from countenance.perception.weights import path_of

        self._dlib: Any = dlib
        self._points: Any = dlib.shape_predictor(str(path_of("judge-landmarks")))
        self._describe: Any = dlib.face_recognition_model_v1(str(path_of("judge-descriptor")))

    def __call__(self, rgb: UInt8, points_xy: Float32) -> Float64:
        """See :class:`Judge`."""
        # dlib's detector draws a square from the brows to the chin; on the performers it lies so (mean of 188 boxes),
        # and distances from this box and from dlib's own agree to 0.005.
        low, high = points_xy[:468].min(axis=0), points_xy[:468].max(axis=0)
        half, middle = 0.49 * float(high[1] - low[1]), float(low[0] + high[0]) / 2.0
        box = self._dlib.rectangle(
            *(round(v) for v in (middle - half, float(high[1]) - 2.0 * half, middle + half, float(high[1])))
        )
        picture = np.ascontiguousarray(rgb)
        return np.array(self._describe.compute_face_descriptor(picture, self._points(picture, box)), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Referee:
    """A judge and what it knows of the two people: the mean descriptor of each, float64 ``(D,)``."""

    judge: Judge
    lender: Float64
    performer: Float64

    @classmethod
    def of(cls, judge: Judge, lender: Path, performer: Path, perception: Perception) -> Referee:
        """A referee who has seen a clip or photo of each; see :func:`template` for the errors."""
        return cls(judge, template(lender, judge, perception), template(performer, judge, perception))


def template(clip: Path, judge: Judge, perception: Perception) -> Float64:
    """The mean descriptor of the largest face of a clip or photo, over at most 40 frames, evenly: float64 ``(D,)``.

    Raises:
        MediaError: it cannot be read.
        NoFaceError: it shows no face.
    """
    found = []
    for rgb in _sampled(clip):
        faces = perception.detector(rgb)
        if faces:
            landmarks = perception.mesh(rgb, faces[0])
            if landmarks.presence >= _LEAST_PRESENCE:
                found.append(judge(rgb, landmarks.points_xy))
    if not found:
        raise NoFaceError(
            f"{clip.name} shows no face to compare with. Give a clip in which the person is seen clearly."
        )
    return np.asarray(np.mean(found, axis=0), np.float64)


def _sampled(clip: Path) -> Iterator[UInt8]:
    if is_photo(clip):
        yield read_picture(clip).rgb
        return
    step = max(1, (probe(clip).frame_count or _TEMPLATE_FRAMES) // _TEMPLATE_FRAMES)
    for frame in islice(read_frames(clip), 0, None, step):
        yield frame.rgb


def identity(descriptors: Sequence[Float64], referee: Referee) -> Identity | None:
    """Compare a swap's descriptors with both people's; None without any descriptor."""
    if not descriptors:
        return None
    table = np.stack(descriptors)
    to_lender, to_performer = (np.linalg.norm(table - person, axis=1) for person in (referee.lender, referee.performer))
    return Identity(
        frames=len(table),
        top1=float((to_lender < to_performer).mean()),
        margin=float((to_performer - to_lender).mean()),
        lender_distance=float(to_lender.mean()),
        performer_distance=float(to_performer.mean()),
    )
