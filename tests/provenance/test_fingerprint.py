from __future__ import annotations

import time
from fractions import Fraction

import pytest

from countenance.provenance import fingerprint
from countenance.provenance.fingerprint import Comparison, Track, compare, read_tracks, write_tracks


def track(parts: str, *, kind: str = "picture") -> Track:
    """A track whose parts are letters."""
    return Track(kind, len(parts), 1, b"".join(letter.encode() * 16 for letter in parts), Fraction(25))  # type: ignore[arg-type]


def compared(signed: str, found: str) -> Comparison:
    (one,) = compare((track(signed),), (track(found),))
    return one


@pytest.mark.parametrize(
    ("found", "same", "changed", "piece_at"),
    [
        ("abcdefgh", 8, (), None),
        ("abcXefgh", 7, ((3, 3),), None),
        ("XbcdeYZh", 5, ((0, 0), (5, 6)), None),
        ("cdef", 4, ((0, 1), (6, 7)), 2),
        ("abcd", 4, ((4, 7),), 0),
        ("abcXXdefgh", 8, (), None),
        ("abgh", 4, ((2, 5),), None),
        ("stuvwxyz", 0, ((0, 7),), None),
        ("xyz", 0, ((0, 7),), None),
    ],
)
def test_which_parts_are_the_same(
    found: str, same: int, changed: tuple[tuple[int, int], ...], piece_at: int | None
) -> None:
    one = compared("abcdefgh", found)
    assert (one.same, one.changed, one.piece_at) == (same, changed, piece_at)
    assert one.unchanged == (found == "abcdefgh")


def test_added_frames_are_not_unchanged() -> None:
    assert not compared("abcd", "abcdX").unchanged
    assert not compared("abcd", "Xabcd").unchanged


def test_a_piece_is_looked_for_at_whole_hashes_only() -> None:
    signed = Track("picture", 2, 1, bytes(8) + b"x" * 16 + bytes(8), Fraction(25))
    (one,) = compare((signed,), (track("x"),))
    assert (one.same, one.piece_at) == (0, None)


def test_lists_made_to_be_slow_are_not() -> None:
    """A film of one picture beside a list in which it lies half a hash off, everywhere."""
    count = 100_000
    signed = Track("picture", count, 1, (b"A" * 8 + b"B" * 8) * count, Fraction(25))
    found = Track("picture", count // 2, 1, (b"B" * 8 + b"A" * 8) * (count // 2), Fraction(25))
    began = time.process_time()
    (one,) = compare((signed,), (found,))
    assert (one.same, one.piece_at) == (0, None)
    assert time.process_time() - began < 2.0


def test_tracks_that_are_missing_or_came_later() -> None:
    one, two, three = compare(
        (track("ab"), track("cd", kind="sound")), (track("ab"), track("cX", kind="sound"), track("ee", kind="sound"))
    )
    assert (one.unchanged, two.same, three.signed) == (True, 1, 0)
    assert compare((track("ab"), track("cd", kind="sound")), (track("ab"),))[1].found == 0


def test_long_tracks_have_several_frames_to_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_MOST_HASHES", 4)
    (signed,) = read_tracks(write_tracks([track("abcdefghijk")]))
    assert (signed.parts, signed.together, len(signed.groups)) == (11, 4, 3)
    (one,) = compare((signed,), (track("abcdefghijk"),))
    assert one.unchanged
    (one,) = compare((signed,), (track("abcdefghijX"),))
    assert (one.same, one.changed) == (8, ((8, 10),))


def test_tracks_survive_writing() -> None:
    tracks = (track("abcdefgh"), track("xy", kind="sound"))
    assert read_tracks(write_tracks(tracks)) == tracks


@pytest.mark.parametrize(
    "lie",
    [
        {"parts": 9},
        {"parts": 0},
        {"parts": True},
        {"parts": 1 << 60, "together": 1 << 57},
        {"together": 0},
        {"together": 2},
        {"rate": "25/0"},
        {"rate": "0/1"},
        {"rate": "25"},
        {"rate": "9" * 30 + "/1"},
        {"kind": "smell"},
        {"hashes": "é"},
        {"hashes": ""},
    ],
)
def test_hostile_tracks(lie: dict[str, object]) -> None:
    (good,) = write_tracks([track("abcdefgh")])
    with pytest.raises(ValueError):
        read_tracks([good | lie])


@pytest.mark.parametrize("value", [None, {}, [], "x", [1] * 40])
def test_no_tracks(value: object) -> None:
    with pytest.raises(ValueError, match="no list"):
        read_tracks(value)
