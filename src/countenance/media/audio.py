"""A sound track carried over to a new file: packet by packet, or as AAC or Opus where the container cannot take it."""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.subtitles.stream import SubtitleStream

__all__ = ["CopiedSound", "EncodedSound", "container_takes", "encoded_stream"]

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1(wide)", "7.1")
_OPUS_LAYOUTS = ("mono", "stereo")
_BITS_PER_SECOND_PER_CHANNEL = 96_000
_FRAME_SAMPLES = {"aac": 1024, "libopus": 960}
_GAP_SECONDS = Fraction(1, 10)


class CopiedSound:
    """Hands packets on as they are.

    AAC from a transport stream has a header in each packet (ADTS) and none in front; MP4 and MKV want it the other way.
    FFmpeg's muxers do that by themselves, except when they write fragments, so it is done here.
    """

    def __init__(self, source: AudioStream, target: AudioStream, shift_seconds: Fraction) -> None:
        self._target = target
        self._shift_seconds = shift_seconds
        adts = source.codec_context.name.startswith("aac") and not source.codec_context.extradata
        self._filter = BitStreamFilterContext("aac_adtstoasc", source) if adts else None

    def take(self, packet: Packet[AudioStream]) -> Sequence[Packet[AudioStream]]:
        """The packets to write for one that was read."""
        if packet.dts is None:  # the mark of the end, or a packet without any time
            return []
        shift = round(self._shift_seconds / packet.time_base)
        packet.dts -= shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        packets = self._filter.filter(packet) if self._filter else [packet]
        for ready in packets:
            ready.stream = self._target
        return packets


class EncodedSound:
    """Decodes packets and encodes them with the target's codec.

    The first sample keeps its time; from then on samples are counted, since old containers give coarse times or none.
    Only a gap of more than a tenth of a second is kept as a gap.
    """

    def __init__(self, target: AudioStream, shift_seconds: Fraction) -> None:
        self._target = target
        self._shift_seconds = shift_seconds
        self._next_seconds: Fraction | None = None
        self._resampler = AudioResampler(
            format=target.codec_context.format.name,
            layout=target.codec_context.layout.name,
            rate=target.codec_context.sample_rate,
            frame_size=_FRAME_SAMPLES[target.codec_context.name],
        )

    def take(self, packet: Packet[AudioStream]) -> Sequence[Packet[AudioStream]]:
        """The packets to write for one that was read; an empty one is the mark of the end."""
        at_end = packet.size == 0
        frames: list[AudioFrame] = []
        for decoded in packet.decode():
            if isinstance(decoded, AudioFrame):
                self._set_time(decoded)
                frames += self._resampler.resample(decoded)
        if at_end:
            frames += self._resampler.resample(None)
        packets = [encoded for frame in frames for encoded in self._target.encode(frame)]
        return packets + list(self._target.encode(None)) if at_end else packets

    def _set_time(self, frame: AudioFrame) -> None:
        stated = None
        if frame.pts is not None and frame.time_base:
            stated = frame.pts * frame.time_base - self._shift_seconds
        starts = self._next_seconds
        if starts is None or (stated is not None and stated - starts > _GAP_SECONDS):
            starts = stated or Fraction(0)
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(starts * frame.sample_rate)
        self._next_seconds = starts + Fraction(frame.samples, frame.sample_rate)


def container_takes(container_format: str, stream: AudioStream | SubtitleStream) -> bool:
    """Whether the container takes the track's packets as they are.

    Asked by writing a header into memory: FFmpeg's own query says yes to some pairs (Opus in MOV) that its muxer
    refuses. The header in memory does not show that MP4 wants to know where the channels of PCM stand, which Matroska
    does not say.
    """
    if container_format == "mp4" and stream.codec_context.name.startswith("pcm_"):
        layout = cast("AudioStream", stream).codec_context.layout
        if layout.name.endswith(" channels"):
            return False
    trial = av.open(io.BytesIO(), "w", format=container_format)
    try:
        trial.add_stream_from_template(stream)
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    finally:
        with suppress(av.error.FFmpegError, ValueError):
            trial.close()
    return True


def encoded_stream(output: OutputContainer, like: AudioStream) -> AudioStream:
    """A new track for what cannot be copied: AAC, or Opus in WebM, with the rate and channels of ``like``."""
    rate, layout = like.codec_context.sample_rate, like.codec_context.layout
    in_webm = output.format.name == "webm"
    layouts = _OPUS_LAYOUTS if in_webm else _AAC_LAYOUTS
    target: AudioStream = output.add_stream(
        "libopus" if in_webm else "aac", rate=rate if rate in _AAC_RATES and not in_webm else 48000
    )
    target.codec_context.layout = layout.name if layout.name in layouts else "stereo"
    target.codec_context.bit_rate = _BITS_PER_SECOND_PER_CHANNEL * target.codec_context.channels
    return target
