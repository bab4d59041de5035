from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from countenance.errors import MediaError
from countenance.media.orientation import Orientation
from countenance.media.probe import probe


def test_describes_a_real_clip(performer: Path) -> None:
    info = probe(performer)
    assert (info.width, info.height, info.rotation_degrees, info.mirrored) == (320, 320, 0, False)
    assert info.average_rate == 25
    assert info.time_base == Fraction(1, 12800)
    assert (info.frame_count, info.frame_count_exact) == (500, True)
    assert info.duration_seconds == 20
    assert info.start_pts == 0
    assert (info.codec, info.pixel_format, info.bit_depth) == ("h264", "yuv420p", 8)
    assert info.sample_aspect_ratio == 1
    assert info.audio == ()
    assert not info.variable_frame_rate
    assert "mp4" in info.container


@pytest.mark.parametrize("name", ["ntsc_2997.mp4", "ntsc_2997.mkv", "transport.ts"])
def test_ntsc_rate_stays_a_fraction(clips: Path, name: str) -> None:
    assert probe(clips / name).average_rate == Fraction(30000, 1001)


def test_tells_variable_from_constant_rate(clips: Path) -> None:
    assert probe(clips / "vfr.mp4").variable_frame_rate
    assert probe(clips / "vfr.mp4").start_pts == 4500
    for name in ("ntsc_2997.mp4", "ntsc_2997.mkv", "transport.ts", "camera.avi", "fragmented.mp4"):
        assert not probe(clips / name).variable_frame_rate, name


@pytest.mark.parametrize(
    ("name", "size", "degrees", "mirrored"),
    [
        ("turned_90.mp4", (120, 160), 90, False),
        ("turned_180.mp4", (160, 120), 180, False),
        ("turned_270.mov", (120, 160), 270, False),
        ("mirrored.mp4", (160, 120), 0, True),
    ],
)
def test_size_is_of_the_upright_picture(
    clips: Path, name: str, size: tuple[int, int], degrees: int, mirrored: bool
) -> None:
    info = probe(clips / name)
    assert ((info.width, info.height), info.rotation_degrees, info.mirrored) == (size, degrees, mirrored)


def test_pixel_shape_turns_with_the_picture(clips: Path) -> None:
    assert probe(clips / "anamorphic.mp4").sample_aspect_ratio == Fraction(16, 11)
    assert probe(clips / "turned_90.mp4").sample_aspect_ratio == Fraction(3, 4)  # stored 4:3


def test_depth_and_colour_tags(clips: Path) -> None:
    ten_bit = probe(clips / "ten_bit.mp4")
    assert ten_bit.bit_depth == 10
    tags = ("color_primaries", "color_transfer", "color_space", "color_range")
    assert [getattr(ten_bit, tag) for tag in tags] == [1, 1, 1, 1]
    assert [getattr(probe(clips / "bt601_full.mp4"), tag) for tag in tags] == [5, 6, 5, 2]
    assert [getattr(probe(clips / "vfr.mp4"), tag) for tag in tags] == [2, 2, 2, 0]


def test_lists_sound_tracks(clips: Path) -> None:
    first, second = probe(clips / "two_sounds.mp4").audio
    assert (first.codec, first.sample_rate, first.channels) == ("aac", 48000, 2)
    assert second.codec.startswith("mp3")
    assert (second.sample_rate, second.channels) == (44100, 1)
    assert first.index != second.index


def test_transport_clock_is_reported(clips: Path) -> None:
    info = probe(clips / "transport.ts")
    assert 0 < info.clock_start_seconds <= info.start_pts * info.time_base
    assert probe(clips / "ntsc_2997.mp4").clock_start_seconds == 0


def test_count_is_called_an_estimate_where_it_is_one(clips: Path) -> None:
    info = probe(clips / "fragmented.mp4")
    assert not info.frame_count_exact
    assert info.frame_count == 24


def test_sound_without_a_picture_is_refused(tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(MediaError, match="no picture track"):
        probe(path)


@pytest.mark.parametrize("swaps", [False, True])
@pytest.mark.parametrize("x", [False, True])
@pytest.mark.parametrize("y", [False, True])
def test_all_eight_orientations_are_a_mirroring_and_a_turn(swaps: bool, x: bool, y: bool) -> None:
    import numpy as np

    orientation = Orientation(swaps, x, y)
    picture = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
    mirrored = picture[:, ::-1] if orientation.mirrored else picture
    expected = np.rot90(mirrored, -orientation.degrees_clockwise // 90)
    np.testing.assert_array_equal(orientation.apply(picture), expected)


def test_info_is_a_value(performer: Path) -> None:
    assert replace(probe(performer)) == probe(performer)
