"""The invisible mark: a 40-bit id of the render, added to the brightness of every frame and found without the original.

Spread spectrum (Cox, Kilian, Leighton, Shamoon 1997) on a normalised grid: every frame, whatever its size, is seen as
256 × 256; there, 127 code bits lie on some 4500 mid frequencies of its cosine transform, each on about 35 of them in a
scattered order and sign. The pattern does not move, so that codecs keep it and detection can add up frames, and it is
stronger where the picture is busy and hides it.

The mark is public: anybody with this program can find it, and who studies it can remove it. It traces honest copies
whose credentials were lost on the way; it is no defence against an attacker.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.provenance import bch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = ["PAYLOAD_BYTES", "WatermarkFinding", "Watermarker", "find_watermark", "frames_to_search"]

PAYLOAD_BYTES = 5
"""Bytes of the id that a watermark carries."""

_GRID = 256
_BAND = (24.0, 80.0)  # radius in the transform: below it shows as blotches, above it codecs throw it away
_KEY = b"countenance watermark 1"
_TAG_BYTES = bch.DATA_BITS // 8 - PAYLOAD_BYTES

_FLAT, _BUSY = 0.75, 1.95  # root mean square of the mark in luma levels: on plain areas, on busy ones
_BUSY_AT = 3.0  # mean detail in luma levels from which an area counts as busy
_EDGE = 8.0  # luma levels from which detail is an edge and counts no more: one edge is no texture
_LIT_AT, _IN_THE_DARK = 48.0, 0.65  # luma from which the mark has its full strength; the part of it in black

_FIRST_LOOK, _FRAMES_SEARCHED = 25, 400
_TURNED = 7  # the weakest code bits, which are tried both ways
_WORTH_DECODING, _TRACES = 2.0, 8.0  # standard deviations of the score; unmarked footage stays below 4


class WatermarkFinding(NamedTuple):
    """What was found: ``payload`` the five bytes or None, ``sentence`` in words.

    ``score`` tells how far the code bits stand out of chance, in standard deviations: about 0 ± 1 without a watermark,
    above 8 with one, be its id readable or not.
    """

    payload: bytes | None
    score: float
    sentence: str

    @property
    def traces(self) -> bool:
        """Whether a watermark is there, be its id readable or not."""
        return self.payload is not None or self.score >= _TRACES


class Watermarker:
    """Puts one id into frames of one size; for one thread at a time.

    Args:
        payload_id: the five bytes that the ledger maps to the render.
        size_hw: height and width of the frames in pixels.

    Raises:
        ValueError: not five bytes, or an empty frame.
    """

    def __init__(self, payload_id: bytes, size_hw: tuple[int, int]) -> None:
        if len(payload_id) != PAYLOAD_BYTES or min(size_hw) < 1:
            raise ValueError(f"Watermarker: expected {PAYLOAD_BYTES} bytes and a size, got {payload_id!r}, {size_hw}")
        height, width = size_hw
        pattern = cv2.resize(_pattern(payload_id), (width, height), interpolation=cv2.INTER_CUBIC)
        self._brighter: Float32 = np.asarray(pattern / max(float(pattern.std()), 1e-6), np.float32)
        self._darker: Float32 = -self._brighter
        self._size_hw = size_hw
        # Kept between frames: asking the system for 13 MB a frame at 720p takes three times as long as the sums.
        self._strength: Float32 = np.empty(size_hw, np.float32)
        self._step: UInt8 = np.empty(size_hw, np.uint8)
        self._step_rgb: UInt8 = np.empty((*size_hw, 3), np.uint8)

    def __call__(self, rgb: UInt8) -> UInt8:
        """A copy of the frame with the mark; colour differences stay as they are.

        Args:
            rgb: uint8 ``(H, W, 3)`` of the given size.

        Raises:
            ValueError: a frame of another size.
        """
        if rgb.shape != (*self._size_hw, 3) or rgb.dtype != np.uint8:
            raise ValueError(f"Watermarker: expected uint8 {(*self._size_hw, 3)}, got {rgb.dtype} {rgb.shape}")
        height, width = self._size_hw
        cv2.resize(_strength(rgb), (width, height), dst=self._strength, interpolation=cv2.INTER_LINEAR)
        # What is added and what is taken away go apart, as bytes: four times as fast as one sum in floats.
        marked = cv2.add(rgb, self._step_of(self._brighter))
        return np.asarray(cv2.subtract(marked, self._step_of(self._darker), dst=marked), np.uint8)

    def _step_of(self, pattern: Float32) -> UInt8:
        cv2.multiply(self._strength, pattern, dst=self._step, dtype=cv2.CV_8U)
        return np.asarray(cv2.cvtColor(self._step, cv2.COLOR_GRAY2RGB, dst=self._step_rgb), np.uint8)


def find_watermark(frames: Iterable[UInt8]) -> WatermarkFinding:
    """Look for a watermark in the frames of one video, adding them up until it is certain.

    A payload is given only when the code word decodes and its 24-bit check tag is right; by chance that would happen
    less than once in 10^9 videos.

    Args:
        frames: uint8 ``(H, W, 3)`` pictures in any size; the iterable is left as soon as the answer is certain.
    """
    total = np.zeros((_GRID, _GRID), np.float32)
    looked, score, payload = 0, 0.0, None
    next_look = _FIRST_LOOK
    for rgb in frames:
        total += _whitened(_luma_grid(rgb))
        looked += 1
        if looked == next_look:
            payload, score = _read(total)
            if payload is not None:
                break
            next_look *= 2
    if payload is None and looked:
        payload, score = _read(total)
    if payload is not None:
        return WatermarkFinding(payload, score, f"The watermark {payload.hex()} was found in {looked} frames.")
    what = "Traces of a watermark, too weak to read, were" if score >= _TRACES else "No watermark was"
    return WatermarkFinding(None, score, f"{what} found in {looked} frames.")


def frames_to_search(path: Path) -> Iterator[UInt8]:
    """The frames of a video, or the one of a photo, in which verification looks: the first 400.

    Of a picture with transparent parts only the box of what is seen is searched: a patch is marked by itself.

    Raises:
        MediaError: the file cannot be decoded.
    """
    from countenance.media.read import is_photo, read_frames, read_seen

    if is_photo(path):
        yield read_seen(path)
        return
    for frame in islice(read_frames(path), _FRAMES_SEARCHED):
        yield frame.rgb


class _Places(NamedTuple):
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    bit: NDArray[np.intp]  # which code bit lies there
    sign: Float32
    ring: NDArray[np.intp]  # frequencies of about the same height


@lru_cache(maxsize=1)
def _places() -> _Places:
    """Where the bits lie, drawn from SHAKE-256: NumPy does not promise its random streams for ever."""
    row, column = np.mgrid[0:_GRID, 0:_GRID]
    radius = np.hypot(row, column)
    rows, columns = np.nonzero((radius >= _BAND[0]) & (radius < _BAND[1]) & (row > 0) & (column > 0))
    drawn = np.frombuffer(hashlib.shake_256(_KEY).digest(8 * len(rows)), np.dtype("<u8"))
    bit = np.empty(len(rows), np.intp)
    bit[np.argsort(drawn, kind="stable")] = np.arange(len(rows)) % bch.WORD_BITS
    sign = np.where(drawn & np.uint64(1), 1.0, -1.0).astype(np.float32)
    return _Places(rows, columns, bit, sign, (radius[rows, columns] / 4.0).astype(np.intp))


def _tag(payload_id: bytes) -> bytes:
    return hashlib.sha256(_KEY + payload_id).digest()[:_TAG_BYTES]


def _signs(word: int) -> Float32:
    """A code word as ±1, bit 0 first."""
    bits = np.array([word >> i & 1 for i in range(bch.WORD_BITS)], np.float32)
    return 1.0 - 2.0 * bits


@lru_cache(maxsize=4)
def _pattern(payload_id: bytes) -> Float32:
    places = _places()
    word = bch.encode(int.from_bytes(payload_id + _tag(payload_id), "big"))
    spectrum = np.zeros((_GRID, _GRID), np.float32)
    spectrum[places.rows, places.columns] = places.sign * _signs(word)[places.bit]
    return np.asarray(cv2.idct(spectrum), np.float32)


def _luma_grid(rgb: UInt8) -> Float32:
    """Luma (BT.601 weights) on the normalised grid."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if min(luma.shape) >= _GRID else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, (_GRID, _GRID), interpolation=how), np.float32)


def _deviation(detail: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma)), np.float32)


def _detail(luma: Float32) -> Float32:
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), 3.0), np.float32)


def _strength(rgb: UInt8) -> Float32:
    """How strong the mark may be, on the grid: more where texture hides it, less in the dark, where a bright screen
    shows single levels.
    """
    # For an estimate a few pixels will do: ten times as fast as averaging all of them.
    small = cv2.resize(rgb, (_GRID, _GRID), interpolation=cv2.INTER_LINEAR)
    luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    texture = cv2.blur(np.minimum(np.abs(_detail(luma)), _EDGE), (7, 7))
    inside = cv2.blur(cv2.erode(texture, np.ones((7, 7), np.uint8)), (5, 5))  # smooth skin beside hair stays smooth
    lit = np.clip(luma / _LIT_AT, _IN_THE_DARK, 1.0)
    return np.asarray((_FLAT + (_BUSY - _FLAT) * np.minimum(inside / _BUSY_AT, 1.0)) * lit, np.float32)


def _whitened(luma: Float32) -> Float32:
    """Detail, evened out so that one hard edge does not outweigh a whole wall."""
    detail = _detail(luma)
    evened = detail / (_deviation(detail, 5.0) + 0.5)
    return np.asarray(np.clip(evened, -2.5, 2.5), np.float32)


def _read(total: Float32) -> tuple[bytes | None, float]:
    """The payload in the sum of whitened frames, and how far its bits stand out, in standard deviations."""
    places = _places()
    values = np.asarray(cv2.dct(total), np.float64)[places.rows, places.columns]
    power = np.bincount(places.ring, values**2) / np.maximum(np.bincount(places.ring), 1)
    level = np.clip(values / np.sqrt(power[places.ring] + 1e-12), -3.0, 3.0) * places.sign
    spread = np.sqrt(np.bincount(places.bit, level**2, bch.WORD_BITS) + 1e-12)
    evidence: Float64 = np.bincount(places.bit, level, bch.WORD_BITS) / spread  # each about N(0, 1) by chance
    chance_mean, chance_deviation = np.sqrt(2.0 / np.pi), np.sqrt((1.0 - 2.0 / np.pi) / bch.WORD_BITS)
    score = float((np.abs(evidence).mean() - chance_mean) / chance_deviation)
    for word in _candidates(evidence) if score >= _WORTH_DECODING else ():
        data = bch.decode(word)
        if data is None:
            continue
        whole = data.to_bytes(bch.DATA_BITS // 8, "big")
        if whole[PAYLOAD_BYTES:] == _tag(whole[:PAYLOAD_BYTES]):
            return whole[:PAYLOAD_BYTES], score
    return None, score


def _candidates(evidence: Float64) -> Iterator[int]:
    """The most likely words: all bits by their sign, then with the weakest ones turned (Chase 1972)."""
    word = sum(1 << int(i) for i in np.flatnonzero(evidence < 0))
    weakest = [1 << int(i) for i in np.argsort(np.abs(evidence))[:_TURNED]]
    for turned in range(1 << len(weakest)):
        yield word ^ sum(bit for i, bit in enumerate(weakest) if turned >> i & 1)
