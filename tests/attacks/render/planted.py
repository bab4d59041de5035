"""Footage with a word planted in every place beside picture and sound that PyAV, FFmpeg or a hex editor can write."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.subtitles.subtitle import SubtitleSet

WORD = "Kowalska"
MADE_AT, MADE_AT_1904 = "2019-05-06T07:08:09.000000Z", 1557126489 + 2082844800
TIMECODE = "13:57:24:11"
TELLING = (WORD, WORD.upper(), "43.3180", "2019-05-06", "2019:05:06", "13:57:24", "Fruitphone")
"""What must not be in an output, as UTF-8 or UTF-16."""

_PLACE = "+43.3180+045.6949/"
_KEYS = (
    *("title", "artist", "album_artist", "author", "album", "comment", "description", "synopsis", "copyright", "genre"),
    *("grouping", "lyrics", "show", "episode_id", "network", "keywords", "composer", "publisher", "performer"),
    *("encoded_by", "encoder", "make", "model", "com.apple.quicktime.make", "com.apple.quicktime.model"),
    *("com.apple.quicktime.software", "com.apple.quicktime.author", "com.android.version", "reel_name", "major_brand"),
    *("SUMMARY", "RECORDING_LOCATION", "DATE_RECORDED", "DIRECTOR", "filename", "handler_name", "vendor_id"),
)
_PLACES = ("location", "location-eng", "com.apple.quicktime.location.ISO6709", "RECORDING_LOCATION")
_TIMES = ("creation_time", "date", "com.apple.quicktime.creationdate", "DATE_RECORDED", "DATE_DIGITIZED")


def metadata(what: str) -> dict[str, str]:
    """All the keys, each with the word, a place or a time."""
    words = {key: f"{WORD} Fruitphone {what} {key}" for key in _KEYS}
    return words | dict.fromkeys(_PLACES, _PLACE) | dict.fromkeys(_TIMES, MADE_AT)


def plant(clean: Path, target: Path) -> Path:
    """Footage like ``clean``, with two sound tracks, subtitles, chapters and all the rest, full of what tells."""
    suffix = target.suffix
    options = {"movflags": "use_metadata_tags"} if suffix == ".mov" else {}  # mdta keys; MP4's are in udta
    with av.open(str(clean)) as source, av.open(str(target), "w", options=options) as out:
        out.metadata.update(metadata("file"))
        picture = source.streams.video[0]
        codec, speed = ("libvpx-vp9", "cpu-used") if suffix == ".webm" else ("libx264", "preset")
        fast = {"crf": "6", speed: "8" if suffix == ".webm" else "ultrafast"}
        video = out.add_stream(codec, rate=Fraction(30000, 1001), options=fast)
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        video.metadata.update(metadata("picture") | {"timecode": TIMECODE, "language": "rus"})
        sounds = [_sound(out, codec, language) for codec, language in _sounds(suffix)]
        texts = out.add_stream({".mp4": "mov_text", ".mov": "mov_text", ".mkv": "ass"}.get(suffix, "webvtt"))
        head = f"[Script Info]\nTitle: {WORD}\nOriginal Script: {WORD}\nScriptType: v4.00+\n\n[Events]\n"
        texts.codec_context.subtitle_header = head.encode()
        texts.time_base = texts.codec_context.time_base = Fraction(1, 1000)
        texts.metadata.update(metadata("subtitles"))
        if suffix == ".mkv":
            out.add_attachment(f"{WORD}.txt", "text/plain", WORD.encode())
        out.set_chapters([_chapter(number) for number in range(2)])
        out.start_encoding()
        for made in [*_picture(source, video), *(packet for sound in sounds for packet in _silence(sound))]:
            out.mux(made)
        line = f"0,0,Default,{WORD},0,0,0,,GPS 43.3180 45.6949 {WORD}".encode()
        text = texts.codec_context.encode_subtitle(SubtitleSet.create(line, 0, 400, 100))
        text.stream, text.time_base = texts, Fraction(1, 1000)
        text.pts = text.dts = 100
        text.duration = 400
        out.mux(text)
    _plant_bytes(target)
    return target


def _chapter(number: int) -> Any:
    return {
        "id": number + 1,
        "start": number * 400,
        "end": number * 400 + 400,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": f"{WORD} at {_PLACE}"},
    }


def _sounds(suffix: str) -> tuple[tuple[str, str], ...]:
    if suffix == ".webm":
        return (("vorbis", "ces"), ("libopus", WORD))
    if suffix == ".mkv":
        return (("vorbis", "ces"), ("flac", f"ces-{WORD}"), ("pcm_s16le", WORD))
    return (("aac", "ces"), ("pcm_s16le" if suffix == ".mov" else "aac", "ces"))


def _sound(out: Any, codec: str, language: str) -> Any:
    stream = out.add_stream(
        codec, rate=48_000, layout="stereo", options={"strict": "experimental"} if codec == "vorbis" else {}
    )
    stream.metadata.update(metadata("sound") | {"language": language})
    if codec == "vorbis":
        stream.codec_context.open()
        stream.codec_context.extradata = _with_comment(stream.codec_context.extradata)
    return stream


def _with_comment(headers: bytes) -> bytes:
    """Vorbis's three headers in Xiph's lacing, with a comment in the second, which has none."""
    first, second = headers[1], headers[2]
    assert headers[0] == 2
    assert headers[3 + first : 3 + first + 7] == b"\x03vorbis"
    comment = f"LOCATION={WORD} 43.3180".encode()
    told = b"\x03vorbis" + struct.pack("<III", 0, 1, len(comment)) + comment + b"\x01"
    return bytes([2, first, len(told)]) + headers[3 : 3 + first] + told + headers[3 + first + second :]


def _silence(stream: Any) -> list[Any]:
    context, made = stream.codec_context, []
    layout = "s16" if context.name.startswith(("pcm", "flac")) else "fltp"
    values = np.zeros((1, 96_000) if layout == "s16" else (2, 48_000), np.int16 if layout == "s16" else np.float32)
    frame = av.AudioFrame.from_ndarray(values, format=layout, layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    for piece in av.AudioResampler(context.format, "stereo", 48_000, context.frame_size or None).resample(frame):
        made += stream.encode(piece)
    return [*made, *stream.encode(None)]


def _picture(source: Any, target: Any) -> list[Any]:
    """The packets of the picture, each with the word in the H.264 data; VP9 has no room for it."""
    made = []
    for number, frame in enumerate(source.decode(video=0)):
        frame.pts, frame.time_base = number, Fraction(1001, 30000)
        made += target.encode(frame)
    made += target.encode(None)
    if target.codec_context.name != "libx264":
        return made
    sei = "h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+" + f"{WORD} 43.3180"
    planter = BitStreamFilterContext(sei, target)
    filtered = [packet for one in made for packet in planter.filter(one)]
    for packet in filtered:
        packet.stream = target
    return filtered


def _plant_bytes(path: Path) -> None:
    """Boxes and elements that are a maker's own."""
    data = path.read_bytes()
    if path.suffix in (".mp4", ".mov"):
        gps = struct.pack(">4sHH", b"\xa9xyz", len(_PLACE), 0x15C7) + _PLACE.encode()
        xmp = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + f"<xmp:CreateDate>{MADE_AT}</xmp>{WORD}".encode()
        boxes = ((b"udta", struct.pack(">I", len(gps) + 4) + gps), (b"uuid", xmp), (b"free", WORD.encode()))
        data += b"".join(struct.pack(">I4s", len(content) + 8, kind) + content for kind, content in boxes)
        assert struct.pack(">I", MADE_AT_1904) in data
    else:
        void = f"{WORD} {_PLACE}".encode()
        data += b"\xec" + bytes([0x80 | len(void)]) + void
    path.write_bytes(data)


def telling(data: bytes) -> list[str]:
    """Which of the words, the time of filming among them, are in some bytes."""
    coded: list[Callable[[str], bytes]] = [str.encode, lambda word: word.encode("utf-16-le")]
    found = [word for word in TELLING if any(code(word) in data for code in coded)]
    stamps = (struct.pack(">I", MADE_AT_1904), struct.pack("<I", MADE_AT_1904))
    return found + ["the time of filming"] * any(stamp in data for stamp in stamps)
