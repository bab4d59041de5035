"""Where a watermark's bits lie: mid frequencies of a 256 × 256 cosine transform, drawn from a public or secret key.

A *layer* is one pattern with its own key. A fifth of its frequencies carry signs that are the same in every render:
by them the finder learns how a picture was cut and scaled. The others carry the code word.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.provenance import bch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.types import Float32

__all__ = ["GRID", "PAYLOAD_BYTES", "SECRET_BYTES", "Layer", "layer_of"]

PAYLOAD_BYTES = 5
"""Bytes of the id that a watermark carries."""
SECRET_BYTES = 32
"""Bytes of the secret that a second layer may be drawn from."""
GRID = 256
"""Side of the normalised grid."""

_BAND = (20.0, 72.0)  # radius in the transform: below it shows as blotches, above it codecs throw it away
_STRETCHED = 2.5  # width over height up to which a frame's shape decides which waves are long
_SYNC_SHARE = 5  # one frequency in five is for synchronisation
_KEY = b"countenance watermark 2"
_TAG_BYTES = bch.DATA_BITS // 8 - PAYLOAD_BYTES


class Layer(NamedTuple):
    """The frequencies of one key: first those of the code bits, then those of the synchronisation.

    ``rows``, ``columns`` are places in the transform; ``sign`` ±1; ``bit`` the code bit that lies there, for the first
    ``len(bit)`` places.
    """

    key: bytes
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    sign: Float32
    bit: NDArray[np.intp]

    def pattern(self, payload: bytes, size_hw: tuple[int, int] = (1, 1), power: float = 1.0) -> Float32:
        """What this layer adds for a payload to frames of this size or shape, float32 ``(GRID, GRID)`` of mean square
        1; each frequency is as strong as that power of its coarseness.
        """
        values = self.sign.copy()
        values[: len(self.bit)] *= self.signs([payload])[0, self.bit]
        return self._picture(values * self.coarseness(size_hw) ** power)

    def signs(self, payloads: Sequence[bytes]) -> Float32:
        """The code words of payloads, float32 ``(N, 127)`` of 1 for a bit 0 and -1 for a bit 1, bit 0 first.

        Raises:
            ValueError: a payload has not five bytes.
        """
        if any(len(payload) != PAYLOAD_BYTES for payload in payloads):
            raise ValueError(f"Layer: expected payloads of {PAYLOAD_BYTES} bytes")
        data = np.frombuffer(b"".join(payload + self.tag(payload) for payload in payloads), np.uint8)
        return (1.0 - 2.0 * bch.encode_many(data.reshape(len(payloads), -1))).astype(np.float32)

    def sync(self) -> Float32:
        """The part that is the same for every payload, all waves alike, float32 ``(GRID, GRID)``."""
        values = self.sign.copy()
        values[: len(self.bit)] = 0.0
        return self._picture(values)

    def coarseness(self, size_hw: tuple[int, int]) -> Float32:
        """How long the waves of each frequency are, against the longest of a square: float32, one each.

        Long by the frame's own pixels: horizontal waves of a wide frame are. Codecs keep long ones, and the eye misses
        them.
        """
        stretch = min(max(size_hw[1] / size_hw[0], 1.0 / _STRETCHED), _STRETCHED) ** 0.5
        waves = np.hypot(self.rows * stretch, self.columns / stretch)
        return np.asarray(_BAND[0] / waves, np.float32)

    def _picture(self, values: Float32) -> Float32:
        spectrum = np.zeros((GRID, GRID), np.float32)
        spectrum[self.rows, self.columns] = values
        picture = cv2.idct(spectrum)
        return np.asarray(picture / picture.std(), np.float32)

    def tag(self, payload: bytes) -> bytes:
        """The 24 bits by which a payload is told from chance."""
        return hmac.digest(self.key, payload, "sha256")[:_TAG_BYTES]

    def checked(self, data: int) -> bytes | None:
        """The payload in 64 decoded bits, or None when its tag is wrong."""
        whole = data.to_bytes(bch.DATA_BITS // 8, "big")
        payload = whole[:PAYLOAD_BYTES]
        return payload if hmac.compare_digest(whole[PAYLOAD_BYTES:], self.tag(payload)) else None


def layer_of(secret: bytes | None) -> Layer:
    """The public layer for None, else the one that only holders of the secret can find.

    Raises:
        ValueError: the secret has not 32 bytes.
    """
    if secret is None:
        return _layer(_KEY)
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"layer_of: expected a secret of {SECRET_BYTES} bytes, got {len(secret)}")
    return _layer(hmac.digest(secret, _KEY, "sha256"))


@lru_cache(maxsize=4)
def _layer(key: bytes) -> Layer:
    """Drawn from SHAKE-256: NumPy does not promise its random streams for ever."""
    row, column = np.mgrid[0:GRID, 0:GRID]
    radius = np.hypot(row, column)
    rows, columns = np.nonzero((radius >= _BAND[0]) & (radius < _BAND[1]) & (row > 0) & (column > 0))
    drawn = np.frombuffer(hashlib.shake_256(key).digest(8 * len(rows)), np.dtype("<u8"))
    order = np.argsort(drawn, kind="stable")
    rows, columns = rows[order], columns[order]
    sign = np.where(drawn[order] & np.uint64(1), 1.0, -1.0).astype(np.float32)
    bit = np.arange(len(rows) - len(rows) // _SYNC_SHARE) % bch.WORD_BITS
    return Layer(key, rows, columns, sign, bit)
