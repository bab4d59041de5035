"""A watermark that is too weak to be read is still told from those that are known, and never by chance."""

from __future__ import annotations

import random
from importlib.resources import files
from math import erfc, sqrt
from pathlib import Path
from statistics import NormalDist

import av
import numpy as np
import pytest
from register_world import evidence_of, weak_copy

from countenance.provenance import bch
from countenance.provenance.watermark import Watermarker, WatermarkFinding, find_watermark
from countenance.provenance.watermark_pattern import layer_of
from countenance.provenance.watermark_recognise import (
    CHANCE,
    EVIDENCE_BYTES,
    READINGS,
    height_needed,
    packed,
    recognise,
    unpacked,
)

CLIPS = Path(str(files("countenance") / "data" / "performers"))
PAYLOAD = bytes.fromhex("c0ffee0042")
DRAWN = random.Random(3)
OTHERS = [DRAWN.randbytes(5) for _ in range(20_000)]


def clip(name: str, count: int) -> list[np.ndarray]:
    with av.open(str(CLIPS / name)) as container:
        return [f.to_ndarray(format="rgb24") for _, f in zip(range(count), container.decode(video=0), strict=False)]


@pytest.fixture(scope="module")
def weak() -> WatermarkFinding:
    """Of a copy from which most of the mark is gone."""
    return find_watermark(weak_copy(clip("train_A.mp4", 30), PAYLOAD, (320, 320)))


def test_what_is_not_read_is_recognised(weak: WatermarkFinding) -> None:
    assert weak.payload is None
    assert 1 <= len(weak.evidence) <= READINGS
    found = recognise(weak.evidence, [*OTHERS[:10_000], PAYLOAD, *OTHERS[10_000:]])
    assert found is not None
    assert found.payload == PAYLOAD
    assert found.height > height_needed(len(weak.evidence), 20_001)


def test_of_others_none_is_recognised_in_it(weak: WatermarkFinding) -> None:
    assert recognise(weak.evidence, OTHERS) is None
    assert recognise(weak.evidence, []) is None
    flipped = bytes([PAYLOAD[0] ^ 1]) + PAYLOAD[1:]
    assert recognise(weak.evidence, [flipped]) is None  # one bit of the id is a third of the word's bits


def test_one_that_was_read_leaves_no_evidence() -> None:
    marker = Watermarker(PAYLOAD, (320, 320))
    found = find_watermark(marker(frame) for frame in clip("train_A.mp4", 25))
    assert (found.payload, found.evidence) == (PAYLOAD, ())


@pytest.mark.parametrize("name", ["test_A.mp4", "train_B_mask.mp4"])
def test_in_unmarked_footage_none_is_recognised(name: str) -> None:
    found = find_watermark(clip(name, 25))
    assert found.evidence
    assert recognise(found.evidence, OTHERS) is None
    said = np.array([np.frombuffer(one, np.int8) for one in found.evidence], np.float32)
    heights = layer_of(None).signs(OTHERS) @ (said / np.linalg.norm(said, axis=1, keepdims=True)).T
    assert abs(float(heights.mean())) < 0.02
    assert float(heights.std()) == pytest.approx(1.0, abs=0.02)  # whatever the picture shows
    assert float(heights.max()) < NormalDist().inv_cdf(1 - 1e-3 / heights.size)


def test_evidence_that_somebody_made_up_gains_nothing() -> None:
    """All of it on a few bits, or lifted from code words: heights stay those of random signs."""
    few = np.zeros(EVIDENCE_BYTES)
    few[:40] = 4.0
    made_up = [
        packed(few),
        packed(4.0 * layer_of(None).signs([PAYLOAD])[0]),
        bytes(EVIDENCE_BYTES),
        b"\x7f" * EVIDENCE_BYTES,
    ]
    assert recognise(made_up, OTHERS) is None


def test_the_strength_that_is_needed() -> None:
    """Deviations a bit: reading needs 1.1; being told from 20,000 others takes 0.95 in nearly all cases."""
    known = [*OTHERS, PAYLOAD]
    told = [recognise([evidence_of(PAYLOAD, 0.95, seed)], known) for seed in range(40)]
    assert {found.payload for found in told if found is not None} == {PAYLOAD}
    assert sum(found is not None for found in told) >= 36
    assert sum(recognise([evidence_of(PAYLOAD, 0.3, seed)], known) is not None for seed in range(40)) == 0


def test_the_height_follows_from_the_chance() -> None:
    for readings, known in ((1, 1), (8, 100), (8, 10_000), (8, 10**6)):
        tail = 0.5 * erfc(height_needed(readings, known) / sqrt(2.0))
        assert 3.18 * tail * readings * known == pytest.approx(CHANCE, rel=1e-3)
    assert height_needed(0, 0) == height_needed(1, 1)


def test_said_to_be_chosen_from_more_it_must_stand_higher(weak: WatermarkFinding) -> None:
    alone = recognise(weak.evidence, [PAYLOAD])
    assert alone is not None
    assert recognise(weak.evidence, [PAYLOAD], 10**40) is None


def test_many_words_are_the_same_as_one_by_one() -> None:
    layer = layer_of(None)
    payloads = [bytes(5), b"\xff" * 5, PAYLOAD, *OTHERS[:50]]
    for payload, signs in zip(payloads, layer.signs(payloads), strict=True):
        word = bch.encode(int.from_bytes(payload + layer.tag(payload), "big"))
        assert [word >> i & 1 for i in range(bch.WORD_BITS)] == [int(sign < 0) for sign in signs]


def test_of_another_form() -> None:
    good = bytes(EVIDENCE_BYTES)
    with pytest.raises(ValueError, match="evidence"):
        recognise([good[:-1]], [PAYLOAD])
    with pytest.raises(ValueError, match="evidence"):
        recognise([good] * (READINGS + 1), [PAYLOAD])
    with pytest.raises(ValueError, match="5 bytes"):
        recognise([good], [b"1234"])
    assert recognise([], [PAYLOAD]) is None
    assert unpacked(good * 3) == [good] * 3
    with pytest.raises(ValueError, match="127 bytes"):
        unpacked(good[:-1])
