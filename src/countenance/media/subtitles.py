"""A subtitle track carried over to a new file: as it is, or as the container's own kind of text."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

from av.subtitles.subtitle import AssSubtitle, SubtitleSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import OutputContainer
    from av.packet import Packet
    from av.subtitles.stream import SubtitleStream

__all__ = ["CopiedSubtitles", "RewrittenSubtitles", "rewritten_stream"]

_MILLISECOND = Fraction(1, 1000)
_KIND_OF = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TEXT = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})  # the others are pictures
_GAP = b"\x00\x00"  # MP4 fills the time between two subtitles with empty ones; its muxer makes its own


class CopiedSubtitles:
    """Hands packets on as they are."""

    def __init__(self, target: SubtitleStream, shift_seconds: Fraction) -> None:
        self._target, self._shift_seconds = target, shift_seconds

    def take(self, packet: Packet[SubtitleStream]) -> Sequence[Packet[SubtitleStream]]:
        """The packets to write for one that was read."""
        if packet.pts is None or packet.size == 0 or bytes(packet) == _GAP:
            return []
        packet.pts -= round(self._shift_seconds / packet.time_base)
        packet.dts = packet.pts
        packet.stream = self._target
        return [packet]


class RewrittenSubtitles:
    """Reads the text of one kind of subtitles and writes it as another; times to the millisecond."""

    def __init__(self, target: SubtitleStream, shift_seconds: Fraction) -> None:
        self._target, self._shift_seconds = target, shift_seconds

    def take(self, packet: Packet[SubtitleStream]) -> Sequence[Packet[SubtitleStream]]:
        """The packets to write for one that was read."""
        if packet.pts is None or packet.size == 0:
            return []
        starts = round((packet.pts * packet.time_base - self._shift_seconds) / _MILLISECOND)
        lasts = round((packet.duration or 0) * packet.time_base / _MILLISECOND)
        written = []
        for read in packet.decode():
            if not isinstance(read, AssSubtitle) or not read.ass:
                continue
            made = self._target.codec_context.encode_subtitle(SubtitleSet.create(read.ass, 0, lasts, starts))
            made.stream, made.time_base = self._target, _MILLISECOND
            made.pts = made.dts = starts
            made.duration = lasts
            written.append(made)
        return written


def rewritten_stream(output: OutputContainer, like: SubtitleStream) -> SubtitleStream | None:
    """A new track of the container's own kind of text; None when ``like`` holds pictures, or no kind is known."""
    kind = _KIND_OF.get(output.format.name)
    if kind is None or like.codec_context.name not in _TEXT:
        return None
    like.codec_context.open(strict=False)  # reads what stands before the first text: the styles
    target = cast("SubtitleStream", output.add_stream(kind))
    target.codec_context.subtitle_header = like.codec_context.subtitle_header
    target.time_base = _MILLISECOND
    target.codec_context.time_base = _MILLISECOND
    return target
