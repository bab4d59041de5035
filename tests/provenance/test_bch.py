from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.provenance import bch

DATA = st.integers(0, (1 << bch.DATA_BITS) - 1)


@settings(max_examples=60, deadline=None)
@given(DATA, st.sets(st.integers(0, bch.WORD_BITS - 1), max_size=bch.CORRECTS))
def test_up_to_ten_wrong_bits_are_corrected(data: int, wrong: set[int]) -> None:
    word = bch.encode(data)
    assert bch.decode(word ^ sum(1 << bit for bit in wrong)) == data


def test_code_words_differ_in_21_places_or_more() -> None:
    rng = random.Random(1)
    words = [bch.encode(rng.getrandbits(64)) for _ in range(60)] + [bch.encode(1 << i) for i in range(64)]
    assert min((a ^ b).bit_count() for i, a in enumerate(words) for b in words[:i]) >= 2 * bch.CORRECTS + 1


def test_too_many_wrong_bits_are_never_taken_for_the_same_data() -> None:
    rng = random.Random(2)
    for _ in range(100):
        data = rng.getrandbits(64)
        wrong = sum(1 << bit for bit in rng.sample(range(bch.WORD_BITS), 11))
        assert bch.decode(bch.encode(data) ^ wrong) != data


def test_random_words_rarely_decode() -> None:
    rng = random.Random(3)
    assert sum(bch.decode(rng.getrandbits(127)) is not None for _ in range(500)) <= 1  # 1 in 40,000 by theory


@pytest.mark.parametrize("data", [-1, 1 << 64])
def test_data_out_of_range(data: int) -> None:
    with pytest.raises(ValueError, match="expected 64 bits"):
        bch.encode(data)


@pytest.mark.parametrize("word", [-1, 1 << 127])
def test_word_out_of_range(word: int) -> None:
    with pytest.raises(ValueError, match="expected 127 bits"):
        bch.decode(word)
