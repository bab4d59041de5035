"""What comes along with the picture: sound, subtitles, chapters and timecode of the footage."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import av.error

from countenance.errors import MediaError
from countenance.media.audio import CopiedSound, EncodedSound, container_takes, encoded_stream
from countenance.media.completeness import breaks_off
from countenance.media.opening import reason_of
from countenance.media.subtitles import CopiedSubtitles, RewrittenSubtitles, rewritten_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream
    from av.subtitles.stream import SubtitleStream

__all__ = ["Tracks", "chapters_of", "timecode_of"]

# Of a track; never the file's, which may say where a witness was filmed. MP4 calls a track's title its name.
_KEPT_METADATA = {"language": "language", "title": "title", "name": "title"}
# QuickTime's table has one of the two codes that ISO 639-2 has for some languages.
_IN_QUICKTIME = {
    "bod": "tib", "cze": "ces", "cym": "wel", "deu": "ger", "ell": "gre", "eus": "baq", "fas": "per", "fre": "fra",
    "hye": "arm", "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may", "mya": "bur", "nld": "dut", "rum": "ron",
    "slo": "slk", "sqi": "alb", "zho": "chi",
}  # fmt: skip
_LANGUAGE = re.compile(r"[a-z]{2,3}(?=$|-)")
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d")
_DROP_FRAME_RATE = 30  # timecode that drops numbers exists at 29.97 and its multiples only


class _Track(Protocol):
    def take(self, packet: Packet[Any]) -> Sequence[Packet[Any]]: ...


class Tracks:
    """All sound and subtitle tracks of one file on their way into another, interleaved with its pictures by time.

    Args:
        path: the file that ``source`` was opened from, for messages.
        source: an open file of its own (its position moves).
        output: the file to be written; must not have been started.
        shift_seconds: taken off every time.
        samples_only: what is heard and in which language, and nothing else. Sound is encoded anew (PCM, which is
            nothing but samples, is copied), since packets and their codec's header can hold text; subtitles stay
            behind, since cameras write place and time into them; and a track has no title.

    ``left_out`` names what could not be carried over.
    """

    def __init__(
        self,
        path: Path,
        source: InputContainer,
        output: OutputContainer,
        shift_seconds: Fraction,
        *,
        samples_only: bool = False,
    ) -> None:
        self._path, self._samples_only = path, samples_only
        self._output = output
        self._shift_seconds = shift_seconds
        self._tracks: dict[int, _Track] = {}
        self.left_out: tuple[str, ...] = ()
        for sound in source.streams.audio:
            self._add_sound(sound)
        for subtitles in source.streams.subtitles:
            if samples_only:
                self.left_out += (f"subtitle track {subtitles.index}, which may tell place and time",)
            else:
                self._add_subtitles(subtitles)
        chosen = [stream for stream in source.streams if stream.index in self._tracks]
        for other in source.streams:
            if other.index not in self._tracks:
                other.discard = av.stream.Discard.all
        self._packets = self._demux(source, chosen) if chosen else iter(())
        self._waiting: Packet[Any] | None = None

    def _add_sound(self, stream: AudioStream) -> None:
        if not stream.codec_context:  # None, whatever PyAV's stub says, for a codec unknown to FFmpeg
            self.left_out += (f"sound track {stream.index}, whose codec FFmpeg does not know",)
            return
        track: _Track
        copied = not self._samples_only or stream.codec_context.name.startswith("pcm_")
        if copied and container_takes(self._output.format.name, stream):
            target = self._output.add_stream_from_template(stream)
            track = CopiedSound(stream, target, self._shift_seconds)
        else:
            target = encoded_stream(self._output, stream)
            track = EncodedSound(target, self._shift_seconds)
        self._describe(stream, target, track)

    def _add_subtitles(self, stream: SubtitleStream) -> None:
        if not stream.codec_context:
            self.left_out += (f"subtitle track {stream.index}, whose codec FFmpeg does not know",)
            return
        track: _Track
        target: SubtitleStream | None
        if container_takes(self._output.format.name, stream):
            target = self._output.add_stream_from_template(stream)
            track = CopiedSubtitles(target, self._shift_seconds)
        else:
            target = rewritten_stream(self._output, stream)
            if target is None:
                kind, container = stream.codec_context.name, self._output.format.name
                self.left_out += (f"subtitle track {stream.index} ({kind}), which {container} files cannot hold",)
                return
            track = RewrittenSubtitles(target, self._shift_seconds)
        self._describe(stream, target, track)

    def _describe(self, stream: Stream, target: Stream, track: _Track) -> None:
        kept = {new: stream.metadata[old] for old, new in _KEPT_METADATA.items() if stream.metadata.get(old)}
        language = kept.get("language")
        if self._samples_only:
            spoken = _LANGUAGE.match(language or "")  # the field takes any words, and a region is a place
            language = spoken.group() if spoken else None
            kept = {} if language is None else {"language": language}
        if language is not None and self._output.format.name == "mov":
            kept["language"] = _IN_QUICKTIME.get(language, language)
        target.metadata.update(kept)
        target.disposition = stream.disposition
        self._tracks[stream.index] = track

    def _demux(self, source: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
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

    def _starts(self, packet: Packet[Any]) -> Fraction:
        return (packet.dts or 0) * packet.time_base - self._shift_seconds

    def _converted(self, packet: Packet[Any]) -> Sequence[Packet[Any]]:
        try:
            return self._tracks[packet.stream.index].take(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise self._broken(reason_of(error)) from error

    def _broken(self, reason: str) -> MediaError:
        return MediaError(
            f"The sound of {self._path} is truncated or damaged ({reason}). Copy it again from its source, or take its "
            "sound out."
        )


def chapters_of(source: InputContainer, shift_seconds: Fraction) -> list[Chapter]:
    """The chapters with their titles (and nothing else that stands with them), on the output's clock."""
    chapters: list[Chapter] = []
    for number, chapter in enumerate(source.chapters(), 1):
        base = chapter["time_base"] or Fraction(1, 1000)
        shift = round(shift_seconds / base)
        title = chapter["metadata"].get("title")
        chapters.append(
            {
                "id": number,
                "start": chapter["start"] - shift,
                "end": chapter["end"] - shift,
                "time_base": base,
                "metadata": {"title": title} if title else {},
            }
        )
    return chapters


def timecode_of(source: InputContainer, rate: Fraction) -> str | None:
    """The timecode of the first frame, as ``HH:MM:SS:FF`` (``;`` before FF where numbers are dropped).

    Returns:
        None where the file has none, or one that does not exist at ``rate``.
    """
    places = [*(stream.metadata for stream in source.streams), source.metadata]
    for metadata in places:
        stated = next((value for key, value in metadata.items() if key.lower() == "timecode"), "")
        if _TIMECODE.fullmatch(stated):
            drops = stated[8] != ":"
            return stated if not drops or round(rate) % _DROP_FRAME_RATE == 0 else None
    return None
