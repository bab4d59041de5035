"""The invisible mark: a 40-bit id of the render, added to the brightness of every frame and found without the original.

Spread spectrum (Cox, Kilian, Leighton, Shamoon 1997) on a normalised grid: every frame, whatever its size, is seen as
256 × 256; there, 127 code bits lie on mid frequencies of its cosine transform, each on some 23 of them in a scattered
order and sign, and a fixed pattern on a fifth of them tells how a picture was cut. Nothing moves, so that codecs keep
it and detection can add up frames, and it is stronger where the picture is busy and hides it.

The mark is public: anybody with this program can find it, and who studies it can remove it. It traces honest copies
whose credentials were lost on the way; it is no defence against an attacker. A second mark, drawn from a secret, can
lie beside it: who lacks the secret can neither find it nor take it off by itself.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.provenance import watermark_recognise as known
from countenance.provenance import watermark_search as search
from countenance.provenance.watermark_pattern import GRID, PAYLOAD_BYTES, layer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from countenance.provenance.watermark_pattern import Layer
    from countenance.types import Float32, UInt8

__all__ = ["PAYLOAD_BYTES", "WatermarkFinding", "Watermarker", "find_watermark", "frames_to_search"]

_SECRET_SHARE = 0.36  # of the power, where a secret mark lies beside the public one

_PEAK = 3.0  # in standard deviations: the rare higher ones would show as specks
_PLAIN_POWER, _BUSY_POWER = 1.25, 0.25  # how much stronger long waves are: codecs wipe the short ones off plain areas
_FLAT, _BUSY = 0.53, 1.95  # root mean square of the mark in luma levels: on plain areas, on busy ones
_DRAWN = 360  # pixels of the shorter side from which the mark is drawn smaller
_MAP = 180  # pixels of the shorter side of the map of strengths
_BUSY_AT = 1.3  # mean detail in luma levels from which an area counts as busy
_EDGE = 8.0  # luma levels from which detail is an edge and counts no more: one edge is no texture
_LIT_AT, _IN_THE_DARK = 48.0, 0.65  # luma from which the mark has its full strength; the part of it in black

_TILE = 256  # pixels of the noise that rounding is spread with

_FIRST_LOOK, _AT_FIRST, _KEY_FRAMES, _FRAMES_SEARCHED = 25, 50, 60, 400
_MEDIAN_OF = 100  # frames at most, 6.5 MB of them
_WAITING_SIDE = 600  # pixels of the longer side that a frame is at least left with
_ALIGN_AT = 100  # frames from which a look searches sizes and places too, before the last one, which always does
_TRACES = 8.0  # standard deviations of the score or of the fixed part
# Of the fixed part, from which a mark may be there: in the picture as it is, where chance gives 0 ± 1, and in places
# that were searched for, where it gives the highest of many, 5 and seldom 6.
_HINT, _SEARCHED_HINT = 2.5, 5.5


class WatermarkFinding(NamedTuple):
    """What was found: ``payload`` the five bytes of the public mark or None, ``sentence`` in words.

    ``score`` tells how far the mark stands out of chance, in standard deviations: see docs/concepts/watermark.md for
    what unmarked footage reaches. ``secret_payload`` is the secret mark's, where a secret was given and its mark read.
    ``shown`` says which part of the marked frame the picture shows, ``wrong_bits`` how many of 127 were corrected.
    ``evidence`` is what the public mark's bits say where it could not be read, for
    :func:`~countenance.provenance.watermark_recognise.recognise`; ``hinted`` whether its fixed part shows at all.
    """

    payload: bytes | None
    score: float
    sentence: str
    secret_payload: bytes | None = None
    shown: search.Alignment | None = None
    wrong_bits: int | None = None
    evidence: tuple[bytes, ...] = ()
    hinted: bool = False

    @property
    def traces(self) -> bool:
        """Whether a watermark is there, be its id readable or not."""
        return self.payload is not None or self.secret_payload is not None or self.score >= _TRACES


class Watermarker:
    """Puts one id into frames of one size; for one thread at a time.

    Args:
        payload_id: the five bytes that the ledger maps to the render.
        size_hw: height and width of the frames in pixels.
        secret: 32 bytes, for a second mark with the same id that only their holders can find; both together are as
            strong as the public one alone would be.

    Raises:
        ValueError: not five bytes, an empty frame, or a secret of another length.
    """

    def __init__(self, payload_id: bytes, size_hw: tuple[int, int], secret: bytes | None = None) -> None:
        if len(payload_id) != PAYLOAD_BYTES or min(size_hw) < 1:
            raise ValueError(f"Watermarker: expected {PAYLOAD_BYTES} bytes and a size, got {payload_id!r}, {size_hw}")
        # Ten pixels and more a wave are enough; they are spread over the frame's own pixels at the end.
        smaller = max(1, min(size_hw) // _DRAWN)
        drawn = (max(1, size_hw[0] // smaller), max(1, size_hw[1] // smaller))
        self._plain = _resized(_pattern(payload_id, secret, size_hw, _PLAIN_POWER), drawn)
        self._busy = _resized(_pattern(payload_id, secret, size_hw, _BUSY_POWER), drawn)
        self._dither = _dither(size_hw)
        self._dither_down: Float32 = -self._dither
        self._size_hw = size_hw
        # Kept between frames: asking the system for 13 MB a frame at 720p takes three times as long as the sums.
        self._levels: Float32 = np.empty(size_hw, np.float32)
        self._map: Float32 = np.empty(drawn, np.float32)
        self._drawn: Float32 = np.empty(drawn, np.float32)
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
        plain, busy = _strengths(rgb)
        drawn_wh = self._drawn.shape[::-1]
        cv2.resize(plain, drawn_wh, dst=self._map, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(self._map, self._plain, dst=self._drawn)
        cv2.resize(busy, drawn_wh, dst=self._map, interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(self._map, self._busy, self._drawn)
        cv2.resize(self._drawn, (width, height), dst=self._levels, interpolation=cv2.INTER_LINEAR)
        # What is added and what is taken away go apart, as bytes: four times as fast as one sum in floats.
        cv2.add(self._levels, self._dither, dst=self._step, dtype=cv2.CV_8U)
        marked = cv2.add(rgb, cv2.cvtColor(self._step, cv2.COLOR_GRAY2RGB, dst=self._step_rgb))
        cv2.subtract(self._dither_down, self._levels, dst=self._step, dtype=cv2.CV_8U)
        return np.asarray(
            cv2.subtract(marked, cv2.cvtColor(self._step, cv2.COLOR_GRAY2RGB, dst=self._step_rgb), dst=marked), np.uint8
        )


def find_watermark(frames: Iterable[UInt8], secret: bytes | None = None) -> WatermarkFinding:
    """Look for a watermark in the frames of one video, adding them up until it is certain.

    The picture may have been scaled to any size and shape, framed by even bars, or cut down to some 80 % of its width
    and height. A payload is given only when the code word decodes and its 24-bit check tag is right.

    Args:
        frames: uint8 ``(H, W, 3)`` pictures in any size, all of one; the iterable is left as soon as the answer is
            certain.
        secret: look for the mark of this secret, too; then the search ends when both are certain.

    Raises:
        ValueError: the secret has not 32 bytes.
    """
    layers = [layer_of(None)] if secret is None else [layer_of(None), layer_of(secret)]
    finder = _Finder(layers)
    next_look = _FIRST_LOOK
    for rgb in frames:
        if finder.looked == next_look:
            if finder.look(aligned=next_look >= _ALIGN_AT):
                return finder.finding()
            next_look *= 2
        finder.add(rgb)
    finder.look(aligned=True)
    return finder.finding()


class _Finder:
    """Adds up frames, whole and without bars, and looks for the layers in the sums."""

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers
        self._waiting: list[UInt8] = []  # until it is known where bars are
        self._areas: list[search.Area] = []
        self._totals: list[Float32] = []
        self._grids: list[list[UInt8]] = []
        self._read: dict[bytes, tuple[search.Reading, search.Alignment]] = {}
        self.readings: list[search.Reading] = []  # every one that was tried
        self._last: list[tuple[search.Alignment, search.Reading]] = []  # of the public layer, in the last look
        self.aligned_height = 0.0  # the highest that the fixed part reached in the search for size and place
        self.looked = 0

    def add(self, rgb: UInt8) -> None:
        luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        squares = max(luma.shape) // _WAITING_SIDE
        if squares > 1:
            size = (max(1, luma.shape[1] // squares), max(1, luma.shape[0] // squares))
            luma = np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
        self.looked += 1
        if self._areas:
            self._sum_up(luma)
            return
        self._waiting.append(luma)
        if len(self._waiting) == _FIRST_LOOK:
            self._settle()

    def _settle(self) -> None:
        height, width = self._waiting[0].shape
        whole, inside = search.Area(0, height, 0, width), search.picture_area(self._waiting)
        self._areas = [whole] if inside == whole else [whole, inside]
        self._totals = [np.zeros((GRID, GRID), np.float32) for _ in self._areas]
        self._grids = [[] for _ in self._areas]
        for luma in self._waiting:
            self._sum_up(luma)
        self._waiting = []

    def _sum_up(self, luma: UInt8) -> None:
        for area, total, grids in zip(self._areas, self._totals, self._grids, strict=True):
            grid = search.grid_of(luma[area.top : area.bottom, area.left : area.right])
            cv2.accumulate(search.evened(grid.astype(np.float32), 0.5), total)
            if len(grids) < _MEDIAN_OF:
                grids.append(grid)

    def look(self, *, aligned: bool) -> bool:
        """Read every layer that is still unread; True when none is."""
        if not self.looked:
            return False
        if not self._areas:
            self._settle()
        self._last = []
        # Once more: what stands still adds up, be it a logo, and would outweigh all that moves.
        residuals = [
            self._residual(search.evened(np.asarray(total / self.looked, np.float32), 0.07), n)
            for n, total in enumerate(self._totals)
        ]
        self._try(residuals)
        if aligned and not self._done():
            # Letters that pass over an even ground leave no trace in the median, and much in any sum.
            medians = [self._residual(search.evened(search.median_of(g), 0.05), n) for n, g in enumerate(self._grids)]
            self._try(medians)
            for residual in (*residuals[::-1], *medians[::-1]):
                for layer in self._layers:
                    if layer.key not in self._read:
                        found = search.find_alignments(residual, layer)
                        self.aligned_height = max(self.aligned_height, found[0][1])
                        self._try([residual], [alignment for alignment, _ in found])
        return self._done()

    def _residual(self, picture: Float32, number: int) -> search.Residual:
        area = self._areas[number]
        return search.Residual(picture, (area.bottom - area.top, area.right - area.left))

    def _try(
        self, residuals: list[search.Residual], alignments: Sequence[search.Alignment] = (search.AS_IT_IS,)
    ) -> None:
        for residual, alignment, layer in product(residuals, alignments, self._layers):
            if layer.key in self._read:
                continue
            reading = search.read(residual, layer, alignment)
            self.readings.append(reading)
            if layer is self._layers[0]:
                self._last.append((alignment, reading))
            if reading.payload is not None:
                self._read[layer.key] = (reading, alignment)

    def _done(self) -> bool:
        return len(self._read) == len(self._layers)

    def finding(self) -> WatermarkFinding:
        score = max([self.aligned_height, *(max(reading.score, reading.sync) for reading in self.readings)])
        secret = self._read.get(self._layers[-1].key) if len(self._layers) > 1 else None
        secret_payload = None if secret is None else secret[0].payload
        public = self._read.get(self._layers[0].key)
        if public is not None and public[0].payload is not None:
            reading, shown = public
            sentence = f"The watermark {public[0].payload.hex()} was found in {self.looked} frames."
            return WatermarkFinding(reading.payload, score, sentence, secret_payload, shown, reading.wrong_bits)
        what = "Traces of a watermark, too weak to read, were" if score >= _TRACES else "No watermark was"
        sentence = f"{what} found in {self.looked} frames."
        hinted = any(
            reading.sync >= (_HINT if place == search.AS_IT_IS else _SEARCHED_HINT) for place, reading in self._last
        )
        return WatermarkFinding(None, score, sentence, secret_payload, evidence=self._evidence(), hinted=hinted)

    def _evidence(self) -> tuple[bytes, ...]:
        """Of the last look: as the picture is, which most copies are, and of other places the likeliest."""
        best = sorted(self._last, key=lambda item: (item[0] == search.AS_IT_IS, item[1].sync), reverse=True)
        return tuple(known.packed(reading.evidence) for _, reading in best[: known.READINGS])


def frames_to_search(path: Path) -> Iterator[UInt8]:
    """The frames of a video, or the one of a photo, in which verification looks.

    Of a video the first 50 frames, then up to 60 key frames from all over it, which strong compression leaves more of
    than others, then on to frame 400. Of a picture with transparent parts only the box of what is seen is searched: a
    patch is marked by itself.

    Raises:
        MediaError: the file cannot be decoded.
    """
    from countenance.media.glance import key_frames
    from countenance.media.read import is_photo, read_frames, read_seen

    if is_photo(path):
        yield read_seen(path)
        return
    for frame in islice(read_frames(path), _FRAMES_SEARCHED):
        yield frame.rgb
        if frame.index + 1 == _AT_FIRST:
            for rgb in key_frames(path, _KEY_FRAMES):
                if rgb.shape == frame.rgb.shape:
                    yield rgb


@lru_cache(maxsize=4)
def _pattern(payload_id: bytes, secret: bytes | None, size_hw: tuple[int, int], power: float) -> Float32:
    pattern = layer_of(None).pattern(payload_id, size_hw, power)
    if secret is not None:
        hidden = layer_of(secret).pattern(payload_id, size_hw, power)
        pattern = np.asarray(np.sqrt(1.0 - _SECRET_SHARE) * pattern + np.sqrt(_SECRET_SHARE) * hidden, np.float32)
    return np.clip(pattern, -_PEAK, _PEAK)


def _resized(pattern: Float32, size_hw: tuple[int, int]) -> Float32:
    pattern = np.asarray(cv2.resize(pattern, size_hw[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(pattern / max(float(pattern.std()), 1e-6), np.float32)


@lru_cache(maxsize=1)
def _dither(size_hw: tuple[int, int]) -> Float32:
    """Fine noise, evenly spread over ±0.5 levels: rounding then leaves grain, not blotches with a rim."""
    noise = np.random.default_rng(1).standard_normal((_TILE, _TILE)).astype(np.float32)
    noise -= cv2.GaussianBlur(noise, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    even = np.empty(noise.size, np.float32)
    even[np.argsort(noise, axis=None)] = (np.arange(noise.size) + 0.5) / noise.size - 0.5
    height, width = size_hw
    tiles = np.tile(even.reshape(_TILE, _TILE), (-(-height // _TILE), -(-width // _TILE)))
    return np.ascontiguousarray(tiles[:height, :width])


def _strengths(rgb: UInt8) -> tuple[Float32, Float32]:
    """How strong the mark may be, in coarse maps: of the pattern for plain areas, and of that which texture hides; both
    less in the dark, where a bright screen shows single levels.
    """
    # Averaged over squares, so that fine grain does not count: it does not hide a coarser pattern.
    height, width = rgb.shape[:2]
    side = max(1, round(min(height, width) / _MAP))
    size = (max(1, width // side), max(1, height // side))
    grey = cv2.extractChannel(rgb[: size[1] * side, : size[0] * side], 1)  # green is most of luma, and at hand
    luma = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)
    texture = cv2.blur(np.minimum(cv2.absdiff(luma, cv2.blur(luma, (7, 7))), _EDGE), (5, 5))
    inside = cv2.blur(cv2.erode(texture, np.ones((5, 5), np.uint8)), (5, 5))  # smooth skin beside hair stays smooth
    lit = np.clip(luma * (1.0 / _LIT_AT), _IN_THE_DARK, 1.0)
    share = np.minimum(inside * (1.0 / _BUSY_AT), 1.0)
    strength = (_FLAT + (_BUSY - _FLAT) * share) * lit
    busy = np.asarray(strength * share, np.float32)
    return np.asarray(strength - busy, np.float32), busy
