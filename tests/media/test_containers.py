"""What a film carries besides its picture, through each container and codec and back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.subtitles.subtitle import SubtitleSet

from countenance.errors import OutputError
from countenance.media.codecs import CODECS, encoder_for, encoding_of
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.segments import examine
from countenance.media.write import VideoWriter
from countenance.types import Frame

HOLDS = [
    (".mp4", "h264"), (".mp4", "h265"), (".m4v", "h265"), (".mov", "h264"), (".mov", "h265"), (".mov", "prores"),
    (".mkv", "h264"), (".mkv", "h265"), (".mkv", "prores"), (".mkv", "ffv1"), (".mkv", "vp9"), (".webm", "vp9"),
]  # fmt: skip
STYLES = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, "
    b"SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
    b"BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,"
    b"&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, "
    b"MarginL, MarginR, MarginV, Effect, Text\r\n"
)
SAID = [(200, 300, "Guten Tag"), (700, 250, "Grüße")]  # milliseconds: start, length
CHAPTERS = [(0, 500, "Küche"), (500, 1001, "Garten")]
TIMECODE = "01:02:03;04"
KINDS = {".mp4": "mov_text", ".m4v": "mov_text", ".mov": "mov_text", ".mkv": "subrip", ".webm": "webvtt"}


def _rgb(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([(x * 3 + index) % 256, (y * 4) % 256, (x + y + 5 * index) % 256], -1).astype(np.uint8)


def rich_film(path: Path, *, frames: int = 30) -> Path:
    """A film at 29.97 with a timecode that drops numbers, wide pixels, BT.709 tags, two sounds, subtitles, chapters."""
    suffix = path.suffix
    with av.open(str(path), "w") as container:
        picture = container.add_stream(
            "libvpx-vp9" if suffix == ".webm" else "libx264", rate=Fraction(30000, 1001), time_base=Fraction(1, 30000)
        )
        context = picture.codec_context
        context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
        context.sample_aspect_ratio = Fraction(4, 3)
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        picture.metadata["timecode"] = TIMECODE
        sounds = [container.add_stream("libopus" if suffix == ".webm" else "aac", rate=48000) for _ in range(2)]
        german = "ger" if suffix == ".mov" else "deu"  # what QuickTime's table has
        for sound, language, title in zip(sounds, ("eng", german), ("Mix", "Kommentar"), strict=True):
            sound.metadata.update(language=language, title=title)
        texts = container.add_stream(KINDS[suffix])
        texts.codec_context.subtitle_header = STYLES
        texts.time_base = texts.codec_context.time_base = Fraction(1, 1000)
        texts.metadata.update(language=german, title="Untertitel")
        container.set_chapters(
            [
                {"id": number, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for number, (a, b, title) in enumerate(CHAPTERS, 1)
            ]
        )
        container.metadata["location"] = "+52.5200+013.4050/"
        container.start_encoding()
        for start, length, words in SAID:
            made = SubtitleSet.create(f"0,0,Default,,0,0,0,,{words}".encode(), 0, length, start)
            packet = texts.codec_context.encode_subtitle(made)
            packet.stream, packet.time_base = texts, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = length
            container.mux(packet)
        for sound in sounds:
            wave = (np.sin(np.arange(48000) / 30) * 8000).astype(np.int16)[None]
            resampler = av.AudioResampler("fltp" if suffix != ".webm" else "s16", "stereo", 48000)
            whole = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = 48000, 0, Fraction(1, 48000)
            for frame in [*resampler.resample(whole), *resampler.resample(None)]:
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(_rgb(index), format="rgb24").reformat(
                format="yuv420p", dst_colorspace=1, dst_color_range=1
            )
            frame.pts, frame.time_base = index * 1001, Fraction(1, 30000)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    return path


def _through(source: Path, target: Path, codec: str | None = None) -> VideoWriter:
    """Read a film and write it again, in two segments."""
    info = probe(source)
    encoder = encoder_for(target, codec)
    encoding = encoding_of(encoder, info.width, info.height, info.average_rate)
    frames = list(read_frames(source))
    segments = []
    for number, part in enumerate((frames[:17], frames[17:])):
        path = target.with_name(f"{target.stem}{number}.{encoding.container}")
        with VideoWriter(path, info, codec=encoder, crf=12, preset="ultrafast", private=True) as writer:
            for frame in part:
                writer.write(frame)
        segments.append(examine(path, part[0].pts, len(part)))
    with VideoWriter(target, info, codec=encoder, crf=12, preset="ultrafast", tracks_from=source) as writer:
        writer.append(target.parent, segments)
    return writer


def _facts(path: Path) -> dict[str, object]:
    """Everything that should come through, in one comparable piece."""
    with av.open(str(path)) as container:
        texts = {stream.index: [] for stream in container.streams.subtitles}
        kinds = [stream.codec_context.name for stream in container.streams.subtitles]
        languages = [
            (s.type, {"ger": "deu"}.get(s.language, s.language))
            for s in container.streams
            if s.type in ("audio", "subtitle")
        ]
        titles = [s.metadata.get("title") or s.metadata.get("name") for s in container.streams.audio]
        timecode = next(
            (value for s in container.streams for key, value in s.metadata.items() if key.lower() == "timecode"), None
        )
        chapters = [
            (round(c["start"] * c["time_base"] * 1000), round(c["end"] * c["time_base"] * 1000), c["metadata"]["title"])
            for c in container.chapters()
        ]
        for packet in container.demux(*container.streams.subtitles) if texts else ():
            for text in packet.decode() if packet.size > 2 else ():
                begins = round(packet.pts * packet.time_base * 1000)
                texts[packet.stream_index].append((begins, text.dialogue.decode()))
        return {
            "languages": languages, "titles": titles, "timecode": timecode, "chapters": chapters,
            "texts": list(texts.values()), "kinds": kinds, "located": "location" in container.metadata,
        }  # fmt: skip


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {suffix: rich_film(folder / f"film{suffix}") for suffix in (".mp4", ".mov", ".mkv", ".webm")}


@pytest.mark.parametrize(("suffix", "codec"), HOLDS)
@pytest.mark.parametrize("source", [".mov", ".mkv"])
def test_all_that_comes_with_the_picture_is_kept(
    films: dict[str, Path], tmp_path: Path, source: str, suffix: str, codec: str
) -> None:
    target = tmp_path / f"out{suffix}"
    writer = _through(films[source], target, codec)
    flat = suffix in (".mkv", ".webm") and codec in ("prores", "ffv1", "vp9")  # the pixels' shape is lost, and said
    assert [words.startswith("the pixels' shape (4:3)") for words in writer.left_out] == [True] * flat
    facts, info = _facts(target), probe(target)
    assert facts["languages"] == [("audio", "eng"), ("audio", "deu"), ("subtitle", "deu")]
    assert facts["titles"] == ["Mix", "Kommentar"]
    assert facts["timecode"] == TIMECODE
    assert facts["chapters"] == CHAPTERS
    # MKV and WebM begin at the sound's first, inaudible samples (see docs): everything moves by the same amount.
    moved = round(float(next(read_frames(target)).pts_seconds - next(read_frames(films[source])).pts_seconds) * 1000)
    assert facts["texts"] == [[(start + moved, words) for start, _, words in SAID]]
    assert facts["located"] is False
    assert (info.color_primaries, info.color_transfer, info.color_space) == (1, 1, 1)
    assert info.sample_aspect_ratio == (1 if flat else Fraction(4, 3))
    assert info.average_rate == Fraction(30000, 1001)
    assert info.codec == {"h265": "hevc"}.get(codec, codec)


@pytest.mark.parametrize("source", [".mp4", ".webm"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_mp4_and_webm_in_and_out(films: dict[str, Path], tmp_path: Path, source: str, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    _through(films[source], target)
    facts = _facts(target)
    assert facts["languages"] == [("audio", "eng"), ("audio", "deu"), ("subtitle", "deu")]
    assert facts["timecode"] == TIMECODE
    assert facts["chapters"] == CHAPTERS
    assert [words for _, words in facts["texts"][0]] == [words for _, _, words in SAID]


@pytest.mark.parametrize(("suffix", "codec"), HOLDS)
def test_times_are_exact_to_the_containers_tick(
    films: dict[str, Path], tmp_path: Path, suffix: str, codec: str
) -> None:
    target = tmp_path / f"out{suffix}"
    _through(films[".mov"], target, codec)
    before, after = list(read_frames(films[".mov"])), list(read_frames(target))
    zero = after[0].pts_seconds - before[0].pts_seconds
    worst = max(abs(b.pts_seconds - zero - a.pts_seconds) for a, b in zip(before, after, strict=True))
    assert worst <= (Fraction(1, 1000) if suffix in (".mkv", ".webm") else 0)
    if suffix not in (".mkv", ".webm"):
        assert zero == 0


def test_ffv1_holds_each_8_bit_value(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for color_range in (1, 2):
        info = _info(tmp_path, color_range)
        path = tmp_path / f"{color_range}.mkv"
        with VideoWriter(path, info, codec="ffv1") as writer:
            writer.write(Frame(rgb, 0, 0, info.time_base))
        assert np.array_equal(next(read_frames(path)).rgb, rgb)


@pytest.mark.parametrize(("suffix", "codec"), [(".mov", "prores"), (".mov", "h265"), (".webm", "vp9")])
@pytest.mark.parametrize("color_range", [1, 2])
def test_the_picture_looks_the_same(tmp_path: Path, suffix: str, codec: str, color_range: int) -> None:
    rgb = np.full((48, 64, 3), (180, 120, 90), np.uint8)
    info = _info(tmp_path, color_range)
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, info, codec=encoder_for(path, codec), preset="ultrafast") as writer:
        for index in range(2):
            writer.write(Frame(rgb, index, index, info.time_base))
    for frame in read_frames(path):
        assert np.abs(frame.rgb.astype(int) - rgb).max() <= 3


def _info(folder: Path, color_range: int) -> VideoInfo:
    return VideoInfo(
        folder, 64, 48, 0, Fraction(25), Fraction(1, 25), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, color_range, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip


def test_h265_plays_where_only_hvc1_does(films: dict[str, Path], tmp_path: Path) -> None:
    for suffix in (".mp4", ".mov"):
        _through(films[".mp4"], tmp_path / f"out{suffix}", "h265")
        data = (tmp_path / f"out{suffix}").read_bytes()
        assert b"hvc1" in data
        assert b"hev1" not in data


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_films(tmp_path: Path, count: int) -> None:
    for suffix, codec in HOLDS:
        path = tmp_path / f"{codec}{suffix}"
        with VideoWriter(path, _info(tmp_path, 1), codec=encoder_for(path, codec), preset="ultrafast") as writer:
            for index in range(count):
                writer.write(Frame(_rgb(0), index, index, Fraction(1, 25)))
        assert [frame.pts_seconds for frame in read_frames(path)] == [Fraction(index, 25) for index in range(count)]


def test_odd_sizes(tmp_path: Path) -> None:
    for suffix, codec in ((".mov", "prores"), (".mkv", "ffv1"), (".mp4", "h265"), (".webm", "vp9")):
        info = replace(_info(tmp_path, 1), width=51, height=33)
        path = tmp_path / f"{codec}{suffix}"
        with VideoWriter(path, info, codec=encoder_for(path, codec), preset="ultrafast") as writer:
            writer.write(Frame(_rgb(0, 33, 51), 0, 0, info.time_base))
        assert next(read_frames(path)).size_hw == (33, 51)


def test_what_a_container_does_not_hold_is_said() -> None:
    for name, codec, encoder, words in (
        ("a.mp4", "prores", None, r"\.mp4 file does not hold prores.*h264 or h265.*\.mov or \.mkv"),
        ("a.webm", "h264", None, r"\.webm file does not hold h264.*Choose vp9"),
        ("a.mov", "ffv1", None, r"does not hold ffv1.*\.mkv"),
        ("a.avi", None, None, r"must end in \.mp4, \.m4v, \.mov, \.mkv or \.webm"),
        ("a.mp4", "divx", None, "no codec 'divx'.*h264, h265, prores, ffv1 or vp9"),
        ("a.mp4", None, "libsvtav1", "does not hold av1"),
        ("a.mp4", "h264", "libx265", "makes h265, not h264"),
        ("a.mp4", None, "no_such", "no encoder 'no_such'"),
        ("a.mp4", None, "aac", "no video encoder"),
    ):
        with pytest.raises(OutputError, match=words):
            encoder_for(Path(name), codec, encoder)


def test_defaults_and_encoders_by_name() -> None:
    names = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}
    assert {suffix: encoder_for(Path(f"a{suffix}")) for suffix in names} == names
    assert encoder_for(Path("a.mp4"), encoder="libx265") == "libx265"
    assert {codec for _, codec in HOLDS} == set(CODECS)
    for suffix, codec in HOLDS:
        assert encoder_for(Path(f"A{suffix.upper()}"), codec)


def test_a_hardware_encoder_is_tried_before_it_is_used() -> None:
    """Listed by FFmpeg or not, with the hardware or not: it opens, or a sentence says that it does not."""
    for name in ("h264_nvenc", "hevc_qsv", "h264_amf", "h264_videotoolbox", "h264_v4l2m2m"):
        try:
            assert encoder_for(Path("a.mp4"), encoder=name) == name
        except OutputError as error:
            assert name in str(error)
            assert "Leave --encoder out" in str(error)


def test_a_timecode_that_cannot_be_is_left_out(films: dict[str, Path], tmp_path: Path) -> None:
    info = replace(probe(films[".mov"]), average_rate=Fraction(25))  # numbers are dropped at 29.97 only
    with VideoWriter(tmp_path / "out.mov", info, preset="ultrafast", tracks_from=films[".mov"]) as writer:
        writer.write(next(read_frames(films[".mov"])))
    assert _facts(tmp_path / "out.mov")["timecode"] is None
