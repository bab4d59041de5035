from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from countenance.media.probe import probe
from countenance.media.read import read_frames

if TYPE_CHECKING:
    from countenance.types import UInt8

Reference = Callable[[int, int, int], "list[UInt8]"]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_frame_in_order(performer: Path) -> None:
    count = 0
    for index, frame in enumerate(read_frames(performer)):
        assert (frame.index, frame.pts, frame.time_base) == (index, index * 512, Fraction(1, 12800))
        assert frame.rgb.shape == (320, 320, 3)
        count += 1
    assert count == 500
    assert frame.rgb.flags.c_contiguous


@pytest.mark.parametrize(
    "name",
    [
        "ntsc_2997.mp4", "vfr.mp4", "turned_90.mp4", "turned_180.mp4", "turned_270.mov", "mirrored.mp4", "ten_bit.mp4",
        "bt709.mp4", "bt601_full.mp4", "two_sounds.mp4", "camera.avi", "odd_size.webm", "anamorphic.mp4",
        "transport.ts", "fragmented.mp4", "ntsc_2997.mkv",
    ],
)  # fmt: skip
def test_the_picture_is_upright_and_in_its_true_colours(clips: Path, reference: Reference, name: str) -> None:
    info = probe(clips / name)
    frames = list(read_frames(clips / name))
    truth = reference(len(frames), info.width, info.height)
    for frame, expected in zip(frames, truth, strict=True):
        assert frame.rgb.shape == expected.shape
        error = frame.rgb.astype(np.float64) - expected
        assert np.abs(error).mean() < 5.0  # a turned or mirrored picture is off by more than 30
        assert np.abs(error.mean((0, 1))).max() < 1.5  # a wrong matrix or range shifts a channel by 3 and more
    assert info.frame_count is None or not info.frame_count_exact or info.frame_count == len(frames)


def test_ntsc_times_are_exact(clips: Path) -> None:
    seconds = [frame.pts_seconds for frame in read_frames(clips / "ntsc_2997.mp4")]
    assert seconds == [Fraction(1001, 30000) * index for index in range(24)]


def test_variable_times_are_the_files_own(clips: Path) -> None:
    steps = [after.pts - before.pts for before, after in pairwise(read_frames(clips / "vfr.mp4"))]
    phone = [3000, 3003, 2997, 6006, 3000, 1500, 4500, 9000, 3000, 2999, 3001, 3000]
    assert steps == (phone * 2)[:23]


def test_start_index_gives_the_same_frames(clips: Path) -> None:
    everything = list(read_frames(clips / "vfr.mp4"))
    for start in (0, 1, 13, 23):
        later = list(read_frames(clips / "vfr.mp4", start_index=start))
        assert [frame.index for frame in later] == list(range(start, 24))
        np.testing.assert_array_equal(later[0].rgb, everything[start].rgb)
        assert later[0].pts == everything[start].pts
    assert list(read_frames(clips / "vfr.mp4", start_index=24)) == []


def test_negative_start_is_a_programming_error(performer: Path) -> None:
    with pytest.raises(ValueError, match="start_index"):
        next(read_frames(performer, start_index=-1))


def test_closing_the_generator_closes_the_file(performer: Path) -> None:
    gc.collect()
    before = open_files()
    frames = read_frames(performer)
    next(frames)
    assert open_files() == before + 1
    frames.close()
    assert open_files() == before


def test_frames_are_the_callers_own(performer: Path) -> None:
    first, second = islice(read_frames(performer), 2)
    kept = second.rgb.copy()
    first.rgb[:] = 0
    np.testing.assert_array_equal(second.rgb, kept)


def test_memory_does_not_grow_with_the_length(performer: Path) -> None:
    for _ in islice(read_frames(performer), 60):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = 0
    for _ in range(2):
        for frame in read_frames(performer):
            total += frame.rgb.nbytes
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert total > 300e6
    assert grown < 0.1 * total


def test_two_people_side_by_side(clips: Path) -> None:
    frame = next(read_frames(clips / "two_faces.mp4"))
    assert frame.rgb.shape == (320, 640, 3)
    assert np.abs(frame.rgb[:, :320].astype(int) - frame.rgb[:, 320:]).mean() > 10


def test_frames_without_a_time_follow_the_rate(clips: Path) -> None:
    from countenance.media.read import _Times

    class Stream:
        time_base = Fraction(1, 12800)
        average_rate = Fraction(25)
        guessed_rate = None

    times = _Times(Stream())  # type: ignore[arg-type]
    assert [times.next_pts(stated) for stated in (100, None, 1000, 1000, 900, 3000)] == [
        100,
        612,
        1000,
        1512,
        2024,
        3000,
    ]
