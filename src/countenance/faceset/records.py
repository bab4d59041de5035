"""What a face set holds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from countenance.types import AlignedFace, FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from countenance.memory import Rows
    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "MASK_SIZE",
    "THUMBNAIL_SIZE",
    "Counts",
    "FaceArrays",
    "FaceRecord",
    "Moment",
    "NewFace",
    "NewRejection",
    "Reason",
    "SourceRecord",
    "Vectors",
]

MASK_SIZE = 64
"""Side of the stored person mask; it covers the whole crop."""

THUMBNAIL_SIZE = 64
"""Side of the small picture that is all a rejected face leaves behind."""


class Reason(StrEnum):
    """Why a face was rejected; the value is what people read."""

    LOW_PRESENCE = "not surely a face"
    TOO_SMALL = "too small"
    CUT = "cut by the frame"
    EXTREME_POSE = "extreme pose"
    BLURRED = "blurred"
    NEAR_DUPLICATE = "near-duplicate"
    WRONG_PERSON = "wrong person"


class Moment(NamedTuple):
    """When a face was seen: display index of its frame, and ``pts`` in units of ``time_base`` seconds."""

    frame_index: int
    pts: int
    time_base: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face that passed everything but the question who it is.

    ``aligned`` a crop of the face set's side with landmarks in its pixels; ``embedding`` float32 ``(128,)`` computed
    from the crop;
    ``person_mask`` uint8 ``(64, 64)``, 255 where the crop shows a person; ``sharpness`` see ``curate.sharpness``;
    ``pose_degrees`` yaw, pitch, roll; ``face_pixels`` longer side of the landmarks' box in the frame; ``png`` the crop
    already compressed (by another thread), else the store does it.
    """

    moment: Moment
    aligned: AlignedFace
    embedding: Float32
    person_mask: UInt8
    sharpness: float
    pose_degrees: tuple[float, float, float]
    detection_score: float
    face_pixels: float
    png: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NewRejection:
    """A face that will not be used, with a ``thumbnail`` uint8 ``(64, 64, 3)`` for the contact sheet."""

    moment: Moment
    reason: Reason
    thumbnail: UInt8
    sharpness: float
    pose_degrees: tuple[float, float, float]
    detection_score: float
    presence: float
    face_pixels: float


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """The facts about one face.

    ``source`` is the file's name; ``status`` is ``"pending"`` between the reading of a source and the decision who is
    who, which an interrupted extraction has not reached. ``apparent_age`` in years, for the faces that were sampled.
    """

    id: int
    source_id: int
    source: str
    pts: int
    time_base: Fraction
    frame_index: int
    status: Literal["kept", "rejected", "pending"]
    reason: str | None
    sharpness: float
    pose_degrees: tuple[float, float, float]
    detection_score: float
    presence: float
    face_pixels: float
    apparent_age: float | None


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One video or photo.

    ``sha256`` of the file's content; ``state`` ``"reading"`` (an interrupted extraction), ``"read"`` or ``"done"``;
    ``next_frame`` the display index to go on with, the number of frames once read; ``frames_without_face``.
    """

    id: int
    name: str
    sha256: str
    kind: Literal["video", "photo"]
    state: Literal["reading", "read", "done"]
    next_frame: int
    frames_without_face: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many faces were kept, wait for a decision, and were rejected by reason."""

    kept: int
    pending: int
    rejected: Mapping[str, int]

    @property
    def rejected_in_all(self) -> int:
        """Sum over the reasons."""
        return sum(self.rejected.values())


@dataclass(frozen=True, slots=True, eq=False)
class FaceArrays:
    """Faces, decoded, ordered by source and frame.

    ``rgb`` uint8 ``(N, S, S, 3)``, read by row; ``aligned_from_frame`` float64 ``(N, 2, 3)``; ``landmarks_xy`` float32
    ``(N, 478, 2)`` in pixels of the crop; ``depth`` float32 ``(N, 478)`` in the same pixels; ``blendshapes`` float32
    ``(N, 52)`` in [0, 1]; ``embeddings`` float32 ``(N, 128)``, unit length; ``frame_index`` and ``source_index`` int64
    ``(N,)``; ``person_mask`` uint8 ``(N, 64, 64)``, 255 = person; ``presence`` float32 and ``ids`` int64 ``(N,)``.
    """

    rgb: Rows
    aligned_from_frame: Float64
    landmarks_xy: Float32
    depth: Float32
    blendshapes: Float32
    embeddings: Float32
    frame_index: NDArray[np.int64]
    source_index: NDArray[np.int64]
    person_mask: UInt8
    presence: Float32
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rgb)

    def landmarks(self, row: int) -> FaceLandmarks:
        """The landmarks of one face, in pixels of its crop."""
        return FaceLandmarks(self.landmarks_xy[row], self.depth[row], self.blendshapes[row], float(self.presence[row]))

    def aligned(self, row: int) -> AlignedFace:
        """One face as it was aligned."""
        return AlignedFace(self.rgb[row], self.aligned_from_frame[row], self.landmarks(row))


class Vectors(NamedTuple):
    """Identity vectors of faces: ``ids`` and ``source_ids`` int64 ``(N,)``, ``embeddings`` float32 ``(N, 128)``."""

    ids: NDArray[np.int64]
    source_ids: NDArray[np.int64]
    embeddings: Float32
