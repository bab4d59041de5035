"""What is measured on held-out faces while a model learns: reconstruction, and whose face a swap shows.

The identity network here is the one of the consent gate. Its scores steer and warn; whoever judges a finished swap
(``countenance evaluate``) uses another network, which takes no part in training.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.types import FaceLandmarks, Float32, SwappedFace, UInt8

__all__ = ["NOBODY", "CrossIdentity", "Embed", "HeldOut", "Identity", "cross_identity", "lay_in", "template_of"]


class Embed(Protocol):
    """An identity network, for example :class:`countenance.perception.identity.FaceEmbedder`."""

    def __call__(self, rgb: UInt8, landmarks: FaceLandmarks, /) -> Float32:
        """float32 ``(128,)`` of unit length for a face in uint8 ``(H, W, 3)``; ValueError when there is none."""
        ...


class Identity(NamedTuple):
    """The network and both people's templates, float32 ``(128,)`` of unit length."""

    embed: Embed
    lender: Float32
    performer: Float32


class CrossIdentity(NamedTuple):
    """Mean cosine of swaps to the lender's template in [−1, 1], and by how much it exceeds the performer's."""

    lender_cosine: float
    margin: float


NOBODY = CrossIdentity(math.nan, math.nan)
"""Nothing was measured."""


class HeldOut(NamedTuple):
    """The scores of a model as it stands; NaN where there is nothing to measure.

    Attributes:
        reconstruction: SSIM in [−1, 1] of the lender's held-out faces, painted by the lender's decoder.
        performer_reconstruction: the same of the performer's by the performer's.
        lender_cosine: held-out faces of the performer, swapped as conversion does it: cosine to the lender's template.
        identity_margin: that, minus the cosine to the performer's template; above 0 the swap is nearer to the lender.
        train_reconstruction: SSIM of as many of the lender's trained faces; what it is ahead of ``reconstruction``
            and gains on it is memorised.
        performer_train_reconstruction: the same of the performer's.
    """

    reconstruction: float
    performer_reconstruction: float
    lender_cosine: float
    identity_margin: float
    train_reconstruction: float
    performer_train_reconstruction: float = math.nan

    def row(self) -> dict[str, float]:
        """Its part of a history row, rounded; what is not a number is left out, since JSON has none."""
        named = {
            "held_out_ssim": self.reconstruction,
            "held_out_performer_ssim": self.performer_reconstruction,
            "held_out_lender_cosine": self.lender_cosine,
            "held_out_identity_margin": self.identity_margin,
            "trained_ssim": self.train_reconstruction,
            "trained_performer_ssim": self.performer_train_reconstruction,
        }
        return {name: round(value, 5) for name, value in named.items() if math.isfinite(value)}


def template_of(embeddings: Float32) -> Float32:
    """The normalised mean of ``(N, 128)`` embeddings: float32 ``(128,)``."""
    mean = embeddings.astype(np.float64).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def lay_in(crop: UInt8, swap: SwappedFace) -> UInt8 | None:
    """A crop with the painted face in it under the predicted mask; None when the mask is not finite."""
    share = swap.mask.values[..., None]
    if not np.isfinite(share).all():
        return None
    return np.asarray(np.round(share * swap.rgb + (1.0 - share) * crop), np.uint8)


def cross_identity(
    crops: Sequence[UInt8],
    landmarks: Sequence[FaceLandmarks],
    painted: Sequence[SwappedFace],
    identity: Identity,
) -> CrossIdentity:
    """Lay painted faces into their crops under the predicted masks and ask whose they are.

    Args:
        crops: the performer's, uint8 ``(S, S, 3)``.
        landmarks: of the painted faces, in pixels of the crops.
        painted: for the crops, in order and of their size.
        identity: the network and the templates.

    Returns:
        Means over the faces in which the network sees one; NaN for none, or when a mask is not finite.
    """
    vectors = []
    for crop, place, swap in zip(crops, landmarks, painted, strict=True):
        laid = lay_in(crop, swap)
        if laid is None:  # a diverged model, and the loop will say so
            return NOBODY
        try:
            vectors.append(identity.embed(laid, place))
        except ValueError:  # no direction in this crop; the others still count
            continue
    if not vectors:
        return NOBODY
    mean = np.mean(np.asarray(vectors, np.float64), axis=0)  # the mean of cosines is the cosine of the mean, unscaled
    lender = float(mean @ identity.lender)
    return CrossIdentity(lender, lender - float(mean @ identity.performer))
