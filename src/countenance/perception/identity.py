"""Who a face is: SFace embeddings (Y. Zhong et al., "SFace: sigmoid-constrained hypersphere loss", 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance import geometry
from countenance.perception.cards import CARDS
from countenance.perception.pictures import as_rgb, cut
from countenance.perception.session import SessionProvider, default_sessions
from countenance.types import Detection

if TYPE_CHECKING:
    from countenance.types import FaceLandmarks, Float32, UInt8

__all__ = ["EMBEDDER_ID", "EMBEDDING_SIZE", "SAME_PERSON_COSINE", "FaceEmbedder", "Impression", "five_points"]

EMBEDDING_SIZE = 128

EMBEDDER_ID = f"{CARDS['face-embedder'].name}-sface-2021dec-{CARDS['face-embedder'].sha256[:12]}"
"""Names the network that made an embedding; embeddings of different networks must never be compared."""

SAME_PERSON_COSINE = 0.62
"""At or above it, a single embedding and a person's template (the normalised mean of many) are one person.

Measured on the synthetic performers: same person 0.69 and more against a template of the whole clip (99 % above 0.65
against one of its first seconds only), A against B at most 0.58. A small check on seven photographs of three people:
whole faces of one person 0.73 to 0.79, faces cut in half down to 0.60, different people at most 0.26. Compare single
embeddings with a template, never two means: a mean loses what differs from picture to picture, so that all cosines
rise (A's and C's means reach 0.70). Look-alikes remain: performer C, rendered as A is, has 0.56 to 0.71 against A.
"""

_SIDE = 112
# Where ArcFace, and everything trained like it, wants the eyes, nose tip and mouth corners.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


class Impression(NamedTuple):
    """An embedding, float32 ``(128,)`` of unit length, and how clearly the network saw the face.

    ``clarity`` is the vector's length before it was normalised. It falls with everything that hides a person (blur,
    noise, smallness, glare, a turned head), see M. Kim et al., "AdaFace: quality adaptive margin for face
    recognition", 2022. On the synthetic performers: 12 to 16 for good pictures; from 11 on the performer was always
    recognised with 0.54 or more; about 10 at 16 pixels' height, 8.5 at 12 pixels, 5 when burnt out.
    """

    embedding: Float32
    clarity: float


class FaceEmbedder:
    """Turns a face into an identity vector.

    Args:
        sessions: gives the network; the real one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8, landmarks: FaceLandmarks) -> Float32:
        """The embedding of a face, float32 ``(128,)``, of unit length.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            landmarks: the face, in the picture's pixels.

        Raises:
            ValueError: the picture has another form, or the landmarks are a single point.
            WeightsError: the network cannot be fetched.
        """
        return self.look(rgb, landmarks).embedding

    def look(self, rgb: UInt8, face: FaceLandmarks | Detection) -> Impression:
        """The embedding of a face, and how clearly it was seen.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            face: its landmarks, or, where there are none, its detection: five points are enough.

        Raises:
            ValueError: the picture has another form, or the points coincide.
            WeightsError: the network cannot be fetched.
        """
        rgb = as_rgb("FaceEmbedder", rgb)
        points = face.points_xy if isinstance(face, Detection) else five_points(face.points_xy)
        crop_from_frame = geometry.umeyama(points, _TEMPLATE)
        crop = cut(rgb, crop_from_frame, _SIDE)
        tensor = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)
        vector = self._sessions("face-embedder").run({"data": tensor})[0].reshape(EMBEDDING_SIZE)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length < 1e-6:
            raise ValueError("FaceEmbedder: the network gave no direction for this crop")
        return Impression(np.asarray(vector / length, np.float32), length)


def five_points(points_xy: Float32) -> Float32:
    """Right eye, left eye, nose tip, right and left mouth corner, float32 ``(5, 2)``, from 478 landmarks.

    The eyes are the middles between their corners, which stay where they are when the gaze moves.
    """
    right_eye, left_eye = points_xy[[33, 133]].mean(axis=0), points_xy[[362, 263]].mean(axis=0)
    return np.stack([right_eye, left_eye, points_xy[4], points_xy[61], points_xy[291]]).astype(np.float32)
