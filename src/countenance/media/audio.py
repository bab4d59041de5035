"""Sound tracks carried over to a new file: copied packet by packet, or as AAC where the container cannot take them."""

from __future__ import annotations

import io
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext

from countenance.errors import MediaError
from countenance.media.completeness import breaks_off
from countenance.media.opening import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

__all__ = ["AudioTracks"]

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1(wide)", "7.1")
_AAC_BITS_PER_SECOND_PER_CHANNEL = 96_000
_GAP_SECONDS = Fraction(1, 10)
_KEPT_METADATA = ("language", "title")  # of a track; never the file's, which may say where a witness was filmed


class _Track(Protocol):
    def take(self, packet: Packet[AudioStream]) -> Sequence[Packet[AudioStream]]: ...


class _Copy:
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
        if packet.dts is None:  # the mark of the end, or a packet without any time
            return []
        shift = round(self._shift_seconds / packet.time_base)
        packet.dts -= shift
        packet.pts = packet.dts if packet.pts is None else packet.pts - shift
        packets = self._filter.filter(packet) if self._filter else [packet]
        for ready in packets:
            ready.stream = self._target
        return packets


class _Encode:
    """Decodes packets and encodes them as AAC.

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
            frame_size=1024,
        )

    def take(self, packet: Packet[AudioStream]) -> Sequence[Packet[AudioStream]]:
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


def _takes(container_format: str, stream: AudioStream) -> bool:
    """Whether the container takes the track's packets as they are.

    Asked by writing a header into memory: FFmpeg's own query says yes to some pairs (Opus in MOV) that its muxer
    refuses.
    """
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


class AudioTracks:
    """All sound tracks of one file on their way into another, interleaved with its pictures by time.

    Args:
        path: the file that ``source`` was opened from, for messages.
        source: an open file of its own (its position moves).
        output: the file to be written; must not have been started.
        shift_seconds: taken off every time.

    ``left_out`` names the tracks that neither the container takes nor FFmpeg decodes.
    """

    def __init__(self, path: Path, source: InputContainer, output: OutputContainer, shift_seconds: Fraction) -> None:
        self._path = path
        self._output = output
        self._shift_seconds = shift_seconds
        self._tracks: dict[int, _Track] = {}
        self.left_out: tuple[str, ...] = ()
        for stream in source.streams.audio:
            self._add(stream)
        chosen = [stream for stream in source.streams.audio if stream.index in self._tracks]
        for other in source.streams:
            if other.index not in self._tracks:
                other.discard = av.stream.Discard.all
        self._packets = self._demux(source, chosen) if chosen else iter(())
        self._waiting: Packet[AudioStream] | None = None

    def _add(self, stream: AudioStream) -> None:
        if not stream.codec_context:  # None, whatever PyAV's stub says, for a codec unknown to FFmpeg
            self.left_out += (f"sound track {stream.index}, whose codec FFmpeg does not know",)
            return
        track: _Track
        if _takes(self._output.format.name, stream):
            target = self._output.add_stream_from_template(stream)
            track = _Copy(stream, target, self._shift_seconds)
        else:
            target = self._add_aac(stream)
            track = _Encode(target, self._shift_seconds)
        target.metadata.update({key: stream.metadata[key] for key in _KEPT_METADATA if key in stream.metadata})
        target.disposition = stream.disposition
        self._tracks[stream.index] = track

    def _add_aac(self, stream: AudioStream) -> AudioStream:
        rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout
        target = self._output.add_stream("aac", rate=rate if rate in _AAC_RATES else 48000)
        target.codec_context.layout = layout.name if layout.name in _AAC_LAYOUTS else "stereo"
        target.codec_context.bit_rate = _AAC_BITS_PER_SECOND_PER_CHANNEL * target.codec_context.channels
        return target

    def _demux(self, source: InputContainer, streams: Sequence[AudioStream]) -> Iterator[Packet[AudioStream]]:
        try:
            for packet in source.demux(tuple(streams)):
                if packet.is_corrupt:
                    raise self._broken("a packet is incomplete")
                yield packet
            if breaks_off(self._path):
                raise self._broken("the file ends too early")
        except (av.error.FFmpegError, OSError) as error:
            raise self._broken(reason_of(error)) from error

    def write_until(self, seconds: Fraction | None) -> None:
        """Mux the packets that start before ``seconds`` of the output's clock, or all that are left.

        Raises:
            MediaError: the sound is truncated or damaged.
            av.error.FFmpegError: writing failed (the caller knows what to say of it).
        """
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if seconds is not None and (packet.dts is None or self._starts(packet) > seconds):
                self._waiting = packet
                return
            for ready in self._converted(packet):
                self._output.mux(ready)

    def _starts(self, packet: Packet[AudioStream]) -> Fraction:
        return (packet.dts or 0) * packet.time_base - self._shift_seconds

    def _converted(self, packet: Packet[AudioStream]) -> Sequence[Packet[AudioStream]]:
        try:
            return self._tracks[packet.stream.index].take(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._broken(reason_of(error)) from error

    def _broken(self, reason: str) -> MediaError:
        return MediaError(
            f"The sound of {self._path} is truncated or damaged ({reason}). Copy it again from its source, or take its "
            "sound out."
        )
