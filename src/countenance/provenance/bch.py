"""A binary BCH code (127, 64) that corrects 10 wrong bits: Bose, Ray-Chaudhuri 1960; Berlekamp 1968, Massey 1969.

Words are Python integers, bit ``i`` being the coefficient of x^i. Of all random words 1 in 40,000 lies within reach of
some code word, so a decoded word is not proof of anything: the payload must carry a check of its own.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["CORRECTS", "DATA_BITS", "WORD_BITS", "decode", "encode"]

WORD_BITS = 127
DATA_BITS = 64
CORRECTS = 10

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
    for first in range(1, 2 * CORRECTS, 2):
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


def decode(word: int) -> int | None:
    """The 64 data bits of the code word within 10 bits of ``word``, or None when there is none.

    Raises:
        ValueError: ``word`` is not a 127-bit number.
    """
    if not 0 <= word < 1 << WORD_BITS:
        raise ValueError(f"decode: expected {WORD_BITS} bits, got {word:#x}")
    syndromes = _syndromes(word)
    if any(syndromes):
        locator = _berlekamp_massey(syndromes)
        wrong = [i for i in range(WORD_BITS) if _evaluate(locator, _EXP[-i % WORD_BITS]) == 0]
        if len(locator) - 1 > CORRECTS or len(wrong) != len(locator) - 1:
            return None
        for position in wrong:
            word ^= 1 << position
        if any(_syndromes(word)):
            return None
    return word >> _CHECK_BITS


def _syndromes(word: int) -> list[int]:
    ones = [i for i in range(WORD_BITS) if word >> i & 1]
    syndromes = []
    for power in range(1, 2 * CORRECTS + 1):
        value = 0
        for i in ones:
            value ^= _EXP[i * power % WORD_BITS]
        syndromes.append(value)
    return syndromes


def _berlekamp_massey(syndromes: list[int]) -> list[int]:
    """The shortest polynomial, lowest coefficient first, whose roots' inverses are the places of the wrong bits."""
    locator, previous = [1], [1]
    length, gap, previous_discrepancy = 0, 1, 1
    for n, syndrome in enumerate(syndromes):
        discrepancy = syndrome
        for i in range(1, min(length, len(locator) - 1) + 1):
            discrepancy ^= _times(locator[i], syndromes[n - i])
        if discrepancy == 0:
            gap += 1
            continue
        factor = _times(discrepancy, _EXP[-_LOG[previous_discrepancy] % WORD_BITS])
        correction = [0] * gap + [_times(factor, c) for c in previous]
        size = max(len(locator), len(correction))
        updated = [
            (locator[i] if i < len(locator) else 0) ^ (correction[i] if i < len(correction) else 0) for i in range(size)
        ]
        if 2 * length <= n:
            previous, previous_discrepancy, length, gap = locator, discrepancy, n + 1 - length, 1
        else:
            gap += 1
        locator = updated
    while len(locator) > 1 and locator[-1] == 0:
        locator.pop()
    return locator


def _evaluate(polynomial: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = _times(value, x) ^ coefficient
    return value
