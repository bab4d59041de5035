"""How a watermark is found in a picture that was cut, framed or scaled: accumulate, align, read.

What frames have in common besides their content is added up on the normalised grid. The part of the pattern that every
render shares is then looked for in every place at some 500 sizes by cross-correlation (one Fourier transform a size),
the best places are refined to fractions of a pixel, and there the code word is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.provenance import bch
from countenance.provenance.watermark_pattern import GRID, Layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "AS_IT_IS",
    "READABLE",
    "WORDS_TRIED",
    "Alignment",
    "Area",
    "Reading",
    "Residual",
    "evened",
    "find_alignments",
    "grid_of",
    "median_of",
    "picture_area",
    "read",
]

WORDS_TRIED = 4  # code words whose tag is checked
READABLE = 10.0  # standard deviations of the evidence along a code word from which its tag is checked


class Alignment(NamedTuple):
    """Which part of the pattern a picture shows: edges as fractions of the marked frame.

    Where ``left`` > ``right`` the picture is mirrored.
    """

    left: float
    right: float
    top: float
    bottom: float


AS_IT_IS = Alignment(0.0, 1.0, 0.0, 1.0)


class Area(NamedTuple):
    """Rows and columns of a frame that are picture, not bars."""

    top: int
    bottom: int
    left: int
    right: int


class Residual(NamedTuple):
    """What frames have in common besides their content: ``picture`` on the grid, float32 ``(GRID, GRID)``, and the
    ``size_hw`` that it had in the frames.
    """

    picture: Float32
    size_hw: tuple[int, int] = (1, 1)


class Reading(NamedTuple):
    """``payload`` where the tag is right; ``wrong_bits`` of the 127 as received.

    In standard deviations: ``score``, how far the code bits stand out of chance; ``sync``, the fixed part; ``height``,
    the word that was read, or else the likeliest. ``evidence``, float64 ``(127,)``, is what each code bit says: above
    zero for a bit that is rather 0.
    """

    payload: bytes | None
    score: float
    sync: float
    height: float
    evidence: Float64
    wrong_bits: int | None = None


# --- from frames to one residual -------------------------------------------------------------------------------------

_BAR_RANGE, _BAR_DRIFT = 12, 3  # luma levels that a bar may vary by after compression, along and across its lines
_NARROW = 0.03  # of a side: bars together are at least as wide
_LEAST_LEFT = 0.25  # of a side that bars must leave


def picture_area(lumas: Sequence[UInt8]) -> Area:
    """The part of the frames inside letterbox and pillarbox bars: edge rows and columns that stay even in all frames.

    Args:
        lumas: some frames' luma, uint8 ``(H, W)``, all of one size.
    """
    lowest, highest = np.min(lumas, axis=0), np.max(lumas, axis=0)
    height, width = lowest.shape
    # Over the whole frame once: what is even only between the bars is a sky, or a page's margin.
    rows, columns = (np.flatnonzero(_is_picture(lowest, highest, axis)) for axis in (1, 0))
    if not rows.size or not columns.size:
        return Area(0, height, 0, width)
    area = Area(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
    high, wide = (area.bottom - area.top) / height, (area.right - area.left) / width
    # The search for size and place makes up for narrow ones, and a dark edge of a picture is none.
    if min(high, wide) < _LEAST_LEFT or min(high, wide) > 1.0 - _NARROW:
        return Area(0, height, 0, width)
    return area


def _is_picture(low: UInt8, high: UInt8, axis: int) -> NDArray[np.bool_]:
    """Which lines are not as even as a bar, or not as bright as the line at their end of the picture: a sky is no bar.

    A line's outermost hundredths do not count: a speck does not make a bar a picture.
    """
    highest, lowest = np.percentile(high, 98, axis=axis), np.percentile(low, 2, axis=axis)
    level = (highest + lowest) / 2.0
    beside = np.minimum(np.abs(level - level[0]), np.abs(level - level[-1]))
    return np.asarray((highest - lowest > _BAR_RANGE) | (beside > _BAR_DRIFT), np.bool_)


def grid_of(luma: UInt8) -> UInt8:
    """A frame on the normalised grid, uint8 ``(GRID, GRID)``."""
    how = cv2.INTER_AREA if min(luma.shape) >= GRID else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, (GRID, GRID), interpolation=how), np.uint8)


def median_of(grids: Sequence[UInt8]) -> Float32:
    """What most of the pictures show in each place, float32 ``(GRID, GRID)``."""
    columns = np.ascontiguousarray(np.reshape(grids, (len(grids), -1)).T)
    middle = np.partition(columns, len(grids) // 2, axis=1)[:, len(grids) // 2]
    return middle.reshape(GRID, GRID).astype(np.float32)


def evened(picture: Float32, floor: float) -> Float32:
    """Detail divided by its local deviation plus ``floor``, within ±2.5: an edge does not outweigh a whole wall."""
    detail = picture - cv2.GaussianBlur(picture, (0, 0), 3.0)
    # A box is summed up as it moves along, so that rounding leaves a little below zero.
    deviation = np.sqrt(np.maximum(cv2.blur(detail * detail, (15, 15)), 0.0))
    return np.asarray(np.clip(detail / (deviation + floor), -2.5, 2.5), np.float32)


# --- alignment -------------------------------------------------------------------------------------------------------

_COARSE = GRID // 2  # pixels; the band's highest frequency is three of them long
_SIDE = 144  # of the Fourier transform: the coarse grid, and room beside it
_SIZES = range(98, 136, 2)  # of the picture in pixels of the coarse grid: 77 % to 105 %
_BEYOND = 5  # pixels by which the picture may stick out of the pattern
_PROMISING, _KEPT = 4.8, 3  # standard deviations from which a place is refined, and how many at most
_STEPS = (1.0, 0.5, 0.25)  # of the grid's pixels, in refining


def find_alignments(residual: Residual, layer: Layer) -> list[tuple[Alignment, float]]:
    """The likeliest alignments, each with its height above chance in standard deviations; best first.

    The first three, where they are promising at all, are refined.
    """
    flat = cv2.resize(_flattened(residual.picture), (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    references = _references(layer)
    found: list[tuple[Alignment, float]] = []
    for height in _SIZES:
        how = cv2.INTER_AREA if height < _COARSE else cv2.INTER_LINEAR
        squeezed = cv2.resize(flat, (_COARSE, height), interpolation=how)
        for width in _SIZES:
            how = cv2.INTER_AREA if width < _COARSE else cv2.INTER_LINEAR
            spectrum = _spectrum(np.asarray(cv2.resize(squeezed, (width, height), interpolation=how), np.float32))
            for flipped, reference in enumerate(references):
                left, top, peak = _peak(spectrum, reference, height, width)
                right = left + width / _COARSE
                across = (1.0 - left, 1.0 - right) if flipped else (left, right)
                found.append((Alignment(*across, top, top + height / _COARSE), peak))
    found.sort(key=lambda item: item[1], reverse=True)
    best: list[tuple[Alignment, float]] = []
    for alignment, peak in found:
        if len(best) == _KEPT or (best and peak < _PROMISING):
            break
        if all(_apart(alignment, other) for other, _ in best):
            best.append(_refined(residual, layer, alignment) if peak >= _PROMISING else (alignment, peak))
    return sorted(best, key=lambda item: item[1], reverse=True)


def _spectrum(picture: Float32, margin: int = 0) -> Float32:
    padded = np.zeros((_SIDE, _SIDE), np.float32)
    padded[margin : margin + picture.shape[0], margin : margin + picture.shape[1]] = picture
    return np.asarray(cv2.dft(padded, nonzeroRows=margin + picture.shape[0]), np.float32)


def _references(layer: Layer) -> tuple[Float32, Float32]:
    """Transforms of the fixed part and of its mirror image, with room before them for a picture that sticks out."""
    sync = np.asarray(cv2.resize(layer.sync(), (_COARSE, _COARSE), interpolation=cv2.INTER_AREA), np.float32)
    return _spectrum(sync, _BEYOND), _spectrum(sync[:, ::-1], _BEYOND)


def _peak(spectrum: Float32, reference: Float32, height: int, width: int) -> tuple[float, float, float]:
    """Where the picture's left upper corner fits best, as fractions of the pattern, and how well."""
    product = cv2.mulSpectrums(reference, spectrum, 0, conjB=True)
    surface = cv2.idft(product, flags=cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)
    deviation = float(cv2.norm(surface)) / _SIDE + 1e-12
    down, right = (max(_COARSE - side, 0) + 2 * _BEYOND + 1 for side in (height, width))
    _, highest, _, (x, y) = cv2.minMaxLoc(surface[:down, :right])
    return (x - _BEYOND) / _COARSE, (y - _BEYOND) / _COARSE, highest / deviation


def _flattened(picture: Float32) -> Float32:
    """All frequencies equally strong, so that no coarse structure outweighs the pattern."""
    spectrum = np.asarray(cv2.dft(picture, flags=cv2.DFT_COMPLEX_OUTPUT), np.float32)
    power = cv2.blur(np.sum(spectrum * spectrum, axis=2), (9, 9), borderType=cv2.BORDER_REFLECT)
    spectrum /= np.sqrt(power + 1e-12)[..., None]
    return np.asarray(cv2.idft(spectrum, flags=cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE), np.float32)


def _apart(a: Alignment, b: Alignment) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) > 3.0 / GRID


def _refined(residual: Residual, layer: Layer, start: Alignment) -> tuple[Alignment, float]:
    """Climb, one edge at a time, to where the fixed part stands out most."""
    best, height = start, _sync_height(residual, layer, start)
    for step in _STEPS:
        climbing, rounds = True, 0
        while climbing and rounds < 4:
            climbing, rounds = False, rounds + 1
            for edge in range(4):
                for change in (-step / GRID, step / GRID):
                    moved = list(best)
                    moved[edge] += change
                    other = Alignment(*moved)
                    higher = _sync_height(residual, layer, other)
                    if higher > height:
                        best, height, climbing = other, higher, True
    return best, height


def _sync_height(residual: Residual, layer: Layer, alignment: Alignment) -> float:
    return _weighted(residual, layer, alignment)[1]


# --- reading ---------------------------------------------------------------------------------------------------------


def _levels(residual: Residual, layer: Layer, alignment: Alignment) -> Float64:
    """The transform at the layer's places with the picture put where it belongs, over its neighbours', times sign.

    Over the neighbours' power, not a ring's: lines of text and fences are strong in one direction only, which then
    counts little.
    """
    if alignment == AS_IT_IS:
        placed = residual.picture
    else:
        wide, high = alignment.right - alignment.left, alignment.bottom - alignment.top
        # From a pixel of the pattern to one of the picture, centre to centre.
        matrix = np.array(
            [
                [1.0 / wide, 0.0, (0.5 - alignment.left * GRID) / wide - 0.5],
                [0.0, 1.0 / high, (0.5 - alignment.top * GRID) / high - 0.5],
            ]
        )
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        placed = np.asarray(cv2.warpAffine(residual.picture, matrix, (GRID, GRID), flags=how), np.float32)
    spectrum = cv2.dct(placed)
    power = cv2.blur(spectrum * spectrum, (9, 9), borderType=cv2.BORDER_REFLECT)
    levels = np.clip(spectrum / np.sqrt(np.maximum(power, 1e-12)), -3.0, 3.0)[layer.rows, layer.columns]
    return np.asarray(levels * layer.sign, np.float64)


def _weighted(residual: Residual, layer: Layer, alignment: Alignment) -> tuple[Float64, float]:
    """The levels with the weights that suit them better, and how high the fixed part then stands.

    Plain pictures keep the long waves, and were given more of them; busy ones keep all alike. The fixed part decides,
    which tells nothing of the code bits.
    """
    level = _levels(residual, layer, alignment)
    both = (level, level * layer.coarseness(residual.size_hw))
    heights = [float(part.sum() / np.sqrt(np.sum(part * part) + 1e-12)) for part in (x[len(layer.bit) :] for x in both)]
    better = int(heights[1] > heights[0])
    return both[better], heights[better]


def read(residual: Residual, layer: Layer, alignment: Alignment) -> Reading:
    """The code word at one alignment."""
    level, sync = _weighted(residual, layer, alignment)
    level = level[: len(layer.bit)]
    spread = np.sqrt(np.bincount(layer.bit, level**2, bch.WORD_BITS) + 1e-12)
    evidence: Float64 = np.bincount(layer.bit, level, bch.WORD_BITS) / spread  # each about N(0, 1) by chance
    chance_mean, chance_deviation = np.sqrt(2.0 / np.pi), np.sqrt((1.0 - 2.0 / np.pi) / bch.WORD_BITS)
    score = float((np.abs(evidence).mean() - chance_mean) / chance_deviation)
    received = sum(1 << int(bit) for bit in np.flatnonzero(evidence < 0))
    words = bch.likeliest(evidence, WORDS_TRIED)
    for word in words:
        payload = layer.checked(word.data) if word.height >= READABLE else None
        if payload is not None:
            return Reading(payload, score, sync, word.height, evidence, (received ^ bch.encode(word.data)).bit_count())
    return Reading(None, score, sync, words[0].height, evidence)
