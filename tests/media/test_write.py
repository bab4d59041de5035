from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from countenance.errors import OutputError
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.types import Frame

SoundPackets = Callable[[Path], list[list[tuple[Fraction, bytes]]]]
EVERY_CLIP = [
    "ntsc_2997.mp4", "vfr.mp4", "turned_90.mp4", "turned_270.mov", "mirrored.mp4", "ten_bit.mp4", "bt709.mp4",
    "bt601_full.mp4", "two_sounds.mp4", "camera.avi", "odd_size.webm", "anamorphic.mp4", "transport.ts",
    "fragmented.mp4", "ntsc_2997.mkv",
]  # fmt: skip


def copy(source: Path, target: Path, **settings: object) -> VideoInfo:
    info = probe(source)
    with VideoWriter(target, info, tracks_from=source, preset="veryfast", **settings) as writer:  # type: ignore[arg-type]
        for frame in read_frames(source):
            writer.write(frame)
    return info


@pytest.mark.parametrize("name", EVERY_CLIP)
def test_times_colours_shape_and_picture_are_kept(clips: Path, tmp_path: Path, name: str) -> None:
    before = copy(clips / name, tmp_path / "out.mp4")
    after = probe(tmp_path / "out.mp4")
    assert (after.width, after.height, after.rotation_degrees, after.mirrored) == (
        before.width,
        before.height,
        0,
        False,
    )
    assert after.time_base == before.time_base
    assert after.sample_aspect_ratio == before.sample_aspect_ratio
    for tag in ("color_primaries", "color_transfer", "color_space"):
        assert getattr(after, tag) == getattr(before, tag)
    assert (after.color_range == 2) == (before.color_range == 2)
    assert after.variable_frame_rate == before.variable_frame_rate
    shift = before.clock_start_seconds / before.time_base
    pairs = list(zip(read_frames(clips / name), read_frames(tmp_path / "out.mp4"), strict=True))
    for ours, theirs in pairs:
        assert theirs.pts == ours.pts - shift
        error = theirs.rgb.astype(float) - ours.rgb
        assert np.abs(error).mean() < 2.5
        assert np.abs(error.mean((0, 1))).max() < 0.8
    assert len(pairs) == after.frame_count
    assert list(tmp_path.iterdir()) == [tmp_path / "out.mp4"]


def test_ntsc_rate_survives(clips: Path, tmp_path: Path) -> None:
    copy(clips / "ntsc_2997.mp4", tmp_path / "out.mov")
    assert probe(tmp_path / "out.mov").average_rate == Fraction(30000, 1001)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("name", ["ntsc_2997.mp4", "two_sounds.mp4", "vfr.mp4", "fragmented.mp4"])
def test_sound_is_copied_packet_by_packet(
    clips: Path, tmp_path: Path, sound_packets: SoundPackets, name: str, suffix: str
) -> None:
    target = tmp_path / f"out{suffix}"
    copy(clips / name, target)
    before, after = sound_packets(clips / name), sound_packets(target)
    assert len(after) == len(before) > 0
    # MKV knows no times before zero, so it moves picture and sound together: compare with the first picture.
    zero_before, zero_after = (next(read_frames(path)).pts_seconds for path in (clips / name, target))
    tolerance = Fraction(2, 1000) if suffix == ".mkv" else Fraction(1, 10_000)
    for ours, theirs in zip(before, after, strict=True):
        assert [data for _, data in theirs] == [data for _, data in ours]
        for (time, _), (new_time, _) in zip(ours, theirs, strict=True):
            assert abs((new_time - zero_after) - (time - zero_before)) <= tolerance


def test_transport_stream_sound_keeps_its_offset(clips: Path, tmp_path: Path, sound_packets: SoundPackets) -> None:
    for fragment in (False, True):
        info = copy(clips / "transport.ts", tmp_path / "out.mp4", fragment=fragment)
        [before], [after] = sound_packets(clips / "transport.ts"), sound_packets(tmp_path / "out.mp4")
        assert len(before) == len(after)
        for (time, data), (new_time, new_data) in zip(before, after, strict=True):
            assert abs(new_time - (time - info.clock_start_seconds)) < Fraction(1, 10_000)
            assert data.endswith(new_data)  # without its ADTS header


def test_sound_that_the_container_does_not_take_becomes_aac(
    clips: Path, tmp_path: Path, sound_packets: SoundPackets
) -> None:
    source, target = clips / "camera.avi", tmp_path / "out.mp4"
    copy(source, target)
    [track] = probe(target).audio
    assert (track.codec, track.sample_rate, track.channels) == ("aac", 44100, 2)

    def wave(path: Path) -> np.ndarray:
        resampler = av.AudioResampler(format="fltp", layout="mono")
        with av.open(str(path)) as container:
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames])

    ours, theirs = wave(source), wave(target)
    length = min(len(ours), len(theirs))
    assert length > 0.9 * len(ours)
    assert np.corrcoef(ours[:length], theirs[:length])[0, 1] > 0.98  # same sound at the same time


def test_opus_goes_as_it_is_to_mp4_and_as_aac_to_mov(clips: Path, tmp_path: Path) -> None:
    for suffix, codec in ((".mp4", "opus"), (".mov", "aac"), (".mkv", "opus")):
        copy(clips / "ntsc_2997.mkv", tmp_path / f"out{suffix}")
        assert [track.codec for track in probe(tmp_path / f"out{suffix}").audio] == [codec]


def test_pcm_without_places_of_its_channels_becomes_aac_in_mp4(clips: Path, tmp_path: Path) -> None:
    """Matroska does not say where they stand; MP4's muxer asked for it when the film was finished."""
    recorded = tmp_path / "recorder.mkv"
    with av.open(str(recorded), "w") as out:
        video, sound = out.add_stream("libx264", rate=25), out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for packet in (*video.encode(av.VideoFrame(64, 48, "yuv420p")), *video.encode(None)):
            out.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
        silence.sample_rate, silence.pts = 48_000, 0
        for packet in (*sound.encode(silence), *sound.encode(None)):
            out.mux(packet)
    for suffix, codec in ((".mp4", "aac"), (".mov", "pcm_s16le"), (".mkv", "pcm_s16le")):
        copy(recorded, tmp_path / f"out{suffix}")
        [track] = probe(tmp_path / f"out{suffix}").audio
        assert (track.codec, track.channels) == (codec, 2)


def test_languages_come_along_and_places_do_not(clips: Path, tmp_path: Path) -> None:
    source = tmp_path / "located.mp4"
    with av.open(str(clips / "two_sounds.mp4")) as container, av.open(str(source), "w") as output:
        output.metadata["location"] = "+52.5200+013.4050/"
        output.metadata["title"] = "The witness's kitchen"
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for stream in container.streams.audio:
            streams[stream.index].metadata["language"] = stream.metadata["language"]
        for packet in container.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    assert b"loci" in source.read_bytes()
    assert b"kitchen" in source.read_bytes()
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert [stream.language for stream in result.streams.audio] == ["eng", "deu"]
    assert b"loci" not in (tmp_path / "out.mp4").read_bytes()
    assert b"kitchen" not in (tmp_path / "out.mp4").read_bytes()


def test_fewer_frames_still_get_all_the_sound(clips: Path, tmp_path: Path, sound_packets: SoundPackets) -> None:
    source, target = clips / "ntsc_2997.mp4", tmp_path / "out.mp4"
    with VideoWriter(target, probe(source), tracks_from=source) as writer:
        for frame in islice(read_frames(source), 3):
            writer.write(frame)
    assert len(list(read_frames(target))) == 3
    assert [len(track) for track in sound_packets(target)] == [len(track) for track in sound_packets(source)]


def test_the_index_comes_first_and_keyframes_are_near(performer: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with VideoWriter(target, probe(performer), preset="ultrafast") as writer:
        for frame in islice(read_frames(performer), 120):
            writer.write(frame)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        keys = [packet.pts for packet in container.demux(video=0) if packet.size and packet.is_keyframe]
    assert max(np.diff(keys)) * Fraction(1, 12800) <= 2
    assert len(keys) >= 3


def test_fragments_can_be_read_while_the_file_grows(performer: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with VideoWriter(target, probe(performer), preset="ultrafast", fragment=True) as writer:
        for frame in islice(read_frames(performer), 200):
            writer.write(frame)
        [growing] = tmp_path.iterdir()
        assert growing != target
        assert probe(growing).width == 320
    assert len(list(read_frames(target))) == 200
    assert target.read_bytes().count(b"moof") >= 4


def test_untagged_small_and_tagged_hd_both_come_out_right(tmp_path: Path, performer: Path) -> None:
    rgb = np.full((720, 1280, 3), (180, 120, 90), np.uint8)  # skin
    info = replace(probe(performer), width=1280, height=720)
    for space in (2, 1, 6):
        target = tmp_path / f"{space}.mp4"
        with VideoWriter(target, replace(info, color_space=space), preset="ultrafast") as writer:
            for index in range(3):
                writer.write(Frame(rgb, index, index * 512, info.time_base))
        for frame in read_frames(target):
            assert np.abs(frame.rgb.astype(int) - (180, 120, 90)).max() <= 2


def test_frames_on_another_clock_keep_their_time(performer: Path, tmp_path: Path) -> None:
    rgb = np.zeros((320, 320, 3), np.uint8)
    with VideoWriter(tmp_path / "out.mp4", probe(performer)) as writer:
        for index in range(3):
            writer.write(Frame(rgb, index, index * 40, Fraction(1, 1000)))
    assert [frame.pts for frame in read_frames(tmp_path / "out.mp4")] == [0, 512, 1024]


def test_read_only_and_strided_pictures_are_accepted(performer: Path, tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (640, 640, 3), dtype=np.uint8)[::2, ::-2]
    rgb.flags.writeable = False
    with VideoWriter(tmp_path / "out.mp4", probe(performer)) as writer:
        writer.write(Frame(rgb, 0, 0, Fraction(1, 12800)))
    assert probe(tmp_path / "out.mp4").frame_count == 1


def test_other_encoders(performer: Path, tmp_path: Path) -> None:
    info = probe(performer)
    # Not libsvtav1: run by root it puts the whole process, and all threads begun later, under real-time scheduling.
    with VideoWriter(tmp_path / "out.mp4", info, codec="libx265", preset="ultrafast", crf=40) as writer:
        for frame in islice(read_frames(performer), 4):
            writer.write(frame)
    assert [frame.pts for frame in read_frames(tmp_path / "out.mp4")] == [0, 512, 1024, 1536]


@pytest.mark.parametrize("codec", ["aac", "no_such_codec"])
def test_what_is_no_video_encoder(performer: Path, tmp_path: Path, codec: str) -> None:
    with pytest.raises(OutputError, match=codec), VideoWriter(tmp_path / "a.mp4", probe(performer), codec=codec):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_are_programming_errors(performer: Path, tmp_path: Path) -> None:
    info = probe(performer)
    frame = next(read_frames(performer))
    with pytest.raises(ValueError, match="crf"):
        VideoWriter(tmp_path / "a.mp4", info, crf=52)
    with pytest.raises(ValueError, match="expected 320×320"), VideoWriter(tmp_path / "a.mp4", info) as writer:
        writer.write(replace(frame, rgb=np.zeros((10, 10, 3), np.uint8)))
    with pytest.raises(ValueError, match=r"expected more than 0"), VideoWriter(tmp_path / "a.mp4", info) as writer:
        writer.write(frame)
        writer.write(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_is_not_ours(performer: Path, tmp_path: Path) -> None:
    for name in ("a.avi", "a", "a.mp3", "a.nut"):
        with pytest.raises(OutputError, match="must end in"):
            VideoWriter(tmp_path / name, probe(performer))
