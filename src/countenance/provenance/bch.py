"""A binary BCH code (127, 64) whose words differ in 21 bits or more (Bose, Ray-Chaudhuri 1960), read from soft bits.

Words are Python integers, bit ``i`` being the coefficient of x^i. There is always a likeliest word, so it is not proof
of anything: the payload must carry a check of its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float64, UInt8

__all__ = ["DATA_BITS", "WORD_BITS", "Word", "encode", "encode_many", "likeliest"]

WORD_BITS = 127
DATA_BITS = 64

_PRIMITIVE = 0b10001001  # x^7 + x^3 + 1 over GF(2)
_CHECK_BITS = WORD_BITS - DATA_BITS


def _field() -> tuple[list[int], list[int]]:
    powers, logarithms, value = [0] * (2 * WORD_BITS), [0] * (WORD_BITS + 1), 1
    for exponent in range(WORD_BITS):
        powers[exponent] = powers[exponent + WORD_BITS] = value
        logarithms[value] = exponent
        value <<= 1
        if value > WORD_BITS:
            value ^= _PRIMITIVE
    return powers, logarithms


_EXP, _LOG = _field()


def _times(a: int, b: int) -> int:
    return _EXP[_LOG[a] + _LOG[b]] if a and b else 0


@lru_cache(maxsize=1)
def _generator() -> int:
    """Product of the minimal polynomials of α, α³ … α¹⁹, degree 63."""
    generator, roots = 1, set[int]()
    for first in range(1, 20, 2):
        conjugates = {first * 2**k % WORD_BITS for k in range(7)}
        if conjugates <= roots:
            continue
        roots |= conjugates
        minimal = [1]  # coefficients, lowest first
        for root in conjugates:
            shifted = [0, *minimal]
            scaled = [_times(c, _EXP[root]) for c in minimal] + [0]
            minimal = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
        generator = _multiply(generator, sum(c << i for i, c in enumerate(minimal)))
    return generator


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
    return product


def encode(data: int) -> int:
    """The 127-bit code word whose upper 64 bits are ``data``.

    Raises:
        ValueError: ``data`` is not a 64-bit number.
    """
    if not 0 <= data < 1 << DATA_BITS:
        raise ValueError(f"encode: expected {DATA_BITS} bits, got {data:#x}")
    generator = _generator()
    word = remainder = data << _CHECK_BITS
    for bit in range(WORD_BITS - 1, _CHECK_BITS - 1, -1):
        if remainder >> bit & 1:
            remainder ^= generator << bit - _CHECK_BITS
    return word | remainder


def encode_many(data: UInt8) -> UInt8:
    """The code words of many numbers at once, uint8 ``(N, 127)`` of 0 and 1, bit 0 first.

    Args:
        data: uint8 ``(N, 8)``, each row a number of 64 bits, its highest byte first.
    """
    bits = np.unpackbits(data[:, ::-1], axis=1, bitorder="little")
    # As floats, whose products are quick; a sum of 64 bits is exact.
    sums = bits.astype(np.float32) @ _rows().astype(np.float32)
    return np.asarray(sums.astype(np.uint8) & np.uint8(1), np.uint8)


class Word(NamedTuple):
    """A code word near what was received: its ``data``, and ``height``, how far the evidence stands out along it in
    standard deviations: a word drawn blindly has 0 ± 1.
    """

    data: int
    height: float


def likeliest(evidence: Float64, count: int = 1) -> list[Word]:
    """The likeliest code words by ordered statistics of order 3 (Fossorier, Lin 1995); best first.

    The 64 surest independent bits are taken as they are, then with each one, each two and each three of them turned;
    every choice gives one word. In noise this reads 55 % of words with a mean of 1.0 standard deviations a bit, 86 %
    with 1.1 (order 2: 73 %), 99 % with 1.2. Algebraic decoding with the seven weakest bits turned (Chase 1972) needs
    1.3 dB more than order 2.

    Args:
        evidence: float64 ``(127,)``, bit 0 first, above zero for a bit that is rather 0, in standard deviations.
        count: how many words, at most 43745.

    Raises:
        ValueError: evidence of another shape.
    """
    if evidence.shape != (WORD_BITS,):
        raise ValueError(f"likeliest: expected evidence of shape ({WORD_BITS},), got {evidence.shape}")
    order = np.argsort(-np.abs(evidence), kind="stable")
    generator, sure = _reduced(_rows()[:, order])
    sorted_evidence = evidence[order]
    chosen = sorted_evidence[sure] < 0
    base = np.bitwise_xor.reduce(generator[chosen], axis=0) if chosen.any() else np.zeros(WORD_BITS, np.uint8)
    # Single precision: the triples take nearly all of the time, and a height needs no more digits.
    signs = (1.0 - 2.0 * generator).astype(np.float32)
    as_base = (sorted_evidence * (1.0 - 2.0 * base)).astype(np.float32)
    weighted = signs * as_base
    first, second = np.triu_indices(DATA_BITS, 1)
    three = (weighted[first] * signs[second]) @ signs.T
    three[np.arange(DATA_BITS) <= second[:, None]] = -np.inf  # each triple once
    two = (weighted @ signs.T)[first, second]
    heights = np.concatenate([[as_base.sum()], weighted.sum(axis=1), two, three.ravel()])
    best = np.argpartition(-heights, count - 1)[:count]
    found = []
    for index in best[np.argsort(-heights[best], kind="stable")]:
        word = base.copy()
        for row in _turned(int(index), first, second):
            word ^= generator[row]
        height = float(sorted_evidence @ (1.0 - 2.0 * word)) / float(np.sqrt(WORD_BITS))
        data = sum(1 << int(bit) for bit in order[np.flatnonzero(word)]) >> _CHECK_BITS
        found.append(Word(data, height))
    return found


def _turned(index: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> tuple[int, ...]:
    """Which rows make the ``index``-th word: none, then one, then two (those pairs), then three of them."""
    if index <= DATA_BITS:
        return () if index == 0 else (index - 1,)
    index -= 1 + DATA_BITS
    if index < len(first):
        return (int(first[index]), int(second[index]))
    pair, third = divmod(index - len(first), DATA_BITS)
    return (int(first[pair]), int(second[pair]), third)


@lru_cache(maxsize=1)
def _rows() -> UInt8:
    """The code's generator matrix, uint8 ``(64, 127)``."""
    words = [encode(1 << row) for row in range(DATA_BITS)]
    return np.array([[word >> bit & 1 for bit in range(WORD_BITS)] for word in words], np.uint8)


def _reduced(rows: UInt8) -> tuple[UInt8, list[int]]:
    """Rows added to one another until the first 64 independent columns are a unit matrix; and these columns."""
    rows, sure = rows.copy(), list[int]()
    for column in range(WORD_BITS):
        done = len(sure)
        if done == DATA_BITS:
            break
        ones = np.flatnonzero(rows[:, column])
        below = ones[ones >= done]
        if not below.size:
            continue
        pivot = int(below[0])
        rows[ones[ones != pivot]] ^= rows[pivot]
        rows[[done, pivot]] = rows[[pivot, done]]
        sure.append(column)
    return rows, sure
