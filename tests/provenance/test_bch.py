from __future__ import annotations

import random

import numpy as np
import pytest

from countenance.provenance import bch


def soft(word: int) -> np.ndarray:
    return 1.0 - 2.0 * np.array([word >> i & 1 for i in range(bch.WORD_BITS)], np.float64)


def test_code_words_differ_in_21_places_or_more() -> None:
    rng = random.Random(1)
    words = [bch.encode(rng.getrandbits(64)) for _ in range(60)] + [bch.encode(1 << i) for i in range(64)]
    assert min((a ^ b).bit_count() for i, a in enumerate(words) for b in words[:i]) >= 21


def test_up_to_ten_wrong_bits_are_corrected_where_they_are_the_weaker_ones() -> None:
    rng = random.Random(2)
    for _ in range(40):
        data = rng.getrandbits(64)
        evidence = soft(bch.encode(data))
        wrong = rng.sample(range(bch.WORD_BITS), 10)
        evidence[wrong] *= -0.5
        (best,) = bch.likeliest(evidence)
        assert best.data == data
        assert best.height == pytest.approx((117 - 5) / np.sqrt(127))


@pytest.mark.parametrize(("strength", "least"), [(1.0, 0.25), (1.2, 0.75), (1.4, 0.95)])
def test_most_words_are_read_in_noise(strength: float, least: float) -> None:
    rng, numbers = np.random.default_rng(3), random.Random(3)
    right = 0
    for _ in range(60):
        data = numbers.getrandbits(64)
        evidence = strength * soft(bch.encode(data)) + rng.standard_normal(bch.WORD_BITS)
        right += bch.likeliest(evidence)[0].data == data
    assert right >= least * 60


def test_several_words_are_different_and_in_order() -> None:
    evidence = np.random.default_rng(4).standard_normal(bch.WORD_BITS)
    words = bch.likeliest(evidence, 8)
    assert len({word.data for word in words}) == 8
    heights = [word.height for word in words]
    assert heights == sorted(heights, reverse=True)
    for word in words:
        assert soft(bch.encode(word.data)) @ evidence / np.sqrt(127) == pytest.approx(word.height)


def test_nothing_at_all_still_gives_a_word() -> None:
    assert bch.likeliest(np.zeros(bch.WORD_BITS))[0].height == 0.0


@pytest.mark.parametrize("data", [-1, 1 << 64])
def test_data_out_of_range(data: int) -> None:
    with pytest.raises(ValueError, match="expected 64 bits"):
        bch.encode(data)


def test_evidence_of_another_shape() -> None:
    with pytest.raises(ValueError, match="expected evidence"):
        bch.likeliest(np.zeros(126))
