"""What a recording holds, to the bit and apart from its container: decoded pictures, and sound part by part.

Two files that differ only in how they are packed give the same parts. Pictures are what the decoder gives, before any
turning or conversion of colour; FFmpeg's decoders of the usual codecs (H.264, H.265, VP8, VP9, AV1, ProRes, MJPEG,
FFV1) give the same bits on every processor. Decoders of lossy sound do not (they reckon in floating point), so lossy
sound is taken as it is stored, packet by packet, and only lossless sound as samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av.error
import numpy as np

from countenance.errors import MediaError
from countenance.media.opening import open_input, reason_of
from countenance.media.read import read_decoded, read_stored_picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.frame import VideoFrame

__all__ = ["Part", "photo_part", "picture_parts", "sound_parts"]

_LOSSLESS = ("pcm_", "flac", "alac", "wavpack", "tta")
_PACKETS_A_PART = 32  # of AAC at 48 kHz: two thirds of a second


@dataclass(frozen=True, slots=True)
class Part:
    """A frame, or about a second of one sound track.

    ``form`` says what the bytes of ``content`` are; ``seconds`` is when it begins, by the file's clock.
    """

    form: str
    content: tuple[bytes | memoryview, ...]
    seconds: Fraction


def picture_parts(path: Path) -> Iterator[Part]:
    """The frames of a video, each with its planes without padding (raises MediaError)."""
    for index, frame in enumerate(read_decoded(path)):
        seconds = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else Fraction(index, 25)
        yield Part(*_planes(frame), seconds)


def _planes(frame: VideoFrame) -> tuple[str, tuple[bytes, ...]]:
    # The old "yuvj" names say "full range", which a container can say as well: the numbers are the same.
    name = frame.format.name.replace("yuvj", "yuv")
    form = f"{name} {frame.width}x{frame.height}"
    parts = frame.format.components
    if name.startswith("pal") or any(part.bits < 8 for part in parts):
        rgb = frame.to_ndarray(format="rgb24")  # palettes and single bits: exact, and simple to lay out
        return f"rgb24 {frame.width}x{frame.height}", (rgb.tobytes(),)
    planes = []
    for index, plane in enumerate(frame.planes):
        if len(frame.planes) == 1:
            width = frame.width * frame.format.padded_bits_per_pixel // 8
        else:
            width = plane.width * sum((part.bits + 7) // 8 for part in parts if part.plane == index)
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size].reshape(
            plane.height, plane.line_size
        )
        planes.append(rows[:, :width].tobytes())
    return form, tuple(planes)


def photo_part(path: Path) -> Part:
    """The pixels of a photo as they are stored (raises MediaError)."""
    mode, (width, height), data = read_stored_picture(path)
    return Part(f"{mode} {width}x{height}", (data,), Fraction(0))


def sound_parts(path: Path) -> Iterator[tuple[int, Part]]:
    """The sound tracks of a file in parts of about a second, each with the number of its track, from 0.

    Raises:
        MediaError: it cannot be opened, or is damaged.
    """
    with open_input(path, sound=True) as container:
        streams = tuple(stream for stream in container.streams.audio if stream.codec_context)
        tracks = {stream.index: (number, _track(stream)) for number, stream in enumerate(streams)}
        try:
            for packet in container.demux(streams) if streams else ():
                if packet.is_corrupt:
                    raise MediaError(f"The sound of {path} is damaged. Copy it again from its source.")
                number, track = tracks[packet.stream.index]
                for part in track.take(packet):
                    yield number, part
            for number, track in tracks.values():
                for part in track.rest():
                    yield number, part
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"The sound of {path} cannot be read ({reason_of(error)}). Copy it again from its source."
            ) from error


def _track(stream: AudioStream) -> _Samples | _Packets:
    lossless = stream.codec_context.name.startswith(_LOSSLESS)
    return _Samples(stream) if lossless else _Packets(stream)


class _Packets:
    """Lossy sound, as it is stored."""

    def __init__(self, stream: AudioStream) -> None:
        self._form = f"{stream.codec_context.codec.canonical_name} packets"
        self._kept: list[bytes] = []
        self._begins = Fraction(0)

    def take(self, packet: Packet[AudioStream]) -> Iterator[Part]:
        if packet.size:
            if not self._kept and packet.pts is not None:
                self._begins = packet.pts * packet.time_base
            self._kept.append(bytes(packet))
        if len(self._kept) == _PACKETS_A_PART:
            yield from self.rest()

    def rest(self) -> Iterator[Part]:
        if self._kept:
            yield Part(self._form, tuple(self._kept), self._begins)
            self._kept = []


class _Samples:
    """Lossless sound, as it sounds."""

    def __init__(self, stream: AudioStream) -> None:
        self._rate = stream.codec_context.sample_rate
        self._form = ""
        self._kept = bytearray()
        self._second = 0  # bytes
        self._given = 0

    def take(self, packet: Packet[AudioStream]) -> Iterator[Part]:
        for frame in packet.decode():
            samples = frame.to_ndarray()
            name, channels = frame.format.packed.name, frame.layout.nb_channels
            self._form = f"{name} {channels} channels {frame.sample_rate} Hz"
            self._second = frame.sample_rate * channels * frame.format.bytes
            self._kept += (samples.T if frame.format.is_planar else samples).tobytes()
        while self._second and len(self._kept) >= self._second:
            yield self._part(self._second)

    def rest(self) -> Iterator[Part]:
        if self._kept:
            yield self._part(len(self._kept))

    def _part(self, size: int) -> Part:
        data = bytes(self._kept[:size])
        del self._kept[:size]
        self._given += 1
        return Part(self._form, (data,), Fraction(self._given - 1))
