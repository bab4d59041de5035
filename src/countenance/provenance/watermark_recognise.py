"""Which of the known watermarks a picture carries, when its own is too weak to be read.

Reading must find one of 2^64 code words; telling which of a register's is there is an easier question, and needs about
half of the mark's power. A known word is laid against what each code bit says. By chance, whatever the picture shows,
that sum is one of random signs, whose tail is at most 3.18 times the normal one if they are independent (Bentkus,
Dzindzalieta 2015; parities of 64 such bits are taken for that), so the height that is asked for follows from how many
words are compared.
"""

from __future__ import annotations

from itertools import islice
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance.provenance import bch
from countenance.provenance.watermark_pattern import layer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from countenance.types import Float32, Float64

__all__ = [
    "CHANCE",
    "EVIDENCE_BYTES",
    "READINGS",
    "Recognised",
    "height_needed",
    "heights",
    "packed",
    "recognise",
    "unpacked",
]

CHANCE = 1e-7
"""That one of the known watermarks is recognised in a video that carries none of them."""

READINGS = 8
"""Of one video that are compared at most: other places and ways of adding up."""

EVIDENCE_BYTES = bch.WORD_BITS
"""Bytes of one reading's evidence, a signed one for each code bit."""

_STEPS = 26.0  # a standard deviation: 4.8 of them are the most that the 23 frequencies of a bit can say
_RANDOM_SIGNS = 3.18
_AT_ONCE = 8192  # words, 4 MB


class Recognised(NamedTuple):
    """The known watermark that a picture carries: its ``payload``, and how far it stands out in standard deviations."""

    payload: bytes
    height: float


def packed(evidence: Float64) -> bytes:
    """A reading's evidence as :data:`EVIDENCE_BYTES` signed bytes, bit 0 first; nothing of a picture is left in it.

    Args:
        evidence: float64 ``(127,)`` in standard deviations, above zero for a bit that is rather 0.
    """
    return np.clip(np.rint(evidence * _STEPS), -127, 127).astype(np.int8).tobytes()


def unpacked(together: bytes) -> list[bytes]:
    """Evidence of several readings, one after the other, apart again.

    Raises:
        ValueError: not whole readings.
    """
    if len(together) % EVIDENCE_BYTES:
        raise ValueError(f"unpacked: expected readings of {EVIDENCE_BYTES} bytes each, got {len(together)}")
    return [together[at : at + EVIDENCE_BYTES] for at in range(0, len(together), EVIDENCE_BYTES)]


def height_needed(readings: int, known: int) -> float:
    """Standard deviations from which one of ``known`` words in one of ``readings`` counts as recognised."""
    return -NormalDist().inv_cdf(CHANCE / (_RANDOM_SIGNS * max(readings, 1) * max(known, 1)))


def heights(evidence: Sequence[bytes], payloads: Sequence[bytes]) -> Float32:
    """How far each word stands out in each reading, in standard deviations: float32 ``(len(payloads), len(evidence))``.

    Args:
        evidence: see :func:`packed`.
        payloads: of five bytes each.
    """
    said = np.array([np.frombuffer(one, np.int8) for one in evidence], np.float32).reshape(-1, EVIDENCE_BYTES)
    said /= np.maximum(np.linalg.norm(said, axis=1, keepdims=True), 1e-6)
    return np.asarray(layer_of(None).signs(payloads) @ said.T, np.float32)


def recognise(evidence: Sequence[bytes], known: Iterable[bytes], count: int | None = None) -> Recognised | None:
    """The known watermark that the picture carries, or None.

    Args:
        evidence: of up to :data:`READINGS` readings of one picture, see :func:`packed`.
        known: payloads of five bytes.
        count: of how many known ones they were chosen; their own number if None.

    Raises:
        ValueError: evidence or a payload of another length, or too much evidence.
    """
    if len(evidence) > READINGS or any(len(one) != EVIDENCE_BYTES for one in evidence):
        raise ValueError(f"recognise: expected up to {READINGS} times {EVIDENCE_BYTES} bytes of evidence")
    best, compared, rest = Recognised(b"", -np.inf), 0, iter(known)
    while payloads := list(islice(rest, _AT_ONCE)):
        compared += len(payloads)
        of_each = np.max(heights(evidence, payloads), axis=1, initial=-np.inf)
        highest = int(np.argmax(of_each))
        if of_each[highest] > best.height:
            best = Recognised(payloads[highest], float(of_each[highest]))
    return best if best.height >= height_needed(len(evidence), compared if count is None else count) else None
