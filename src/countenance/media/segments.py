"""Finished pieces of a film, and their packets joined to one stream without encoding anything again.

A segment is a file of its own by a fresh encoder, so it begins with a keyframe and no picture of it needs another one
(a closed group of pictures). Presentation times are exact; decoding times are made anew over the whole film, since each
encoder begins its own a little before its first picture, where the segment before may still be decoding.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av.error

from countenance.errors import MediaError, OutputError
from countenance.media.opening import open_input, reason_of, video_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from countenance.media.probe import VideoInfo

__all__ = ["Segment", "examine", "joined_packets"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished segment.

    ``first_pts`` is its first picture's time in ticks of the film; ``delay`` the most places by which a picture is
    decoded before it is shown; ``sha256`` that of the file.
    """

    name: str
    frames: int
    first_pts: int
    delay: int
    sha256: str


def examine(path: Path, first_pts: int, frames: int) -> Segment:
    """Read a segment that was just written, back from the disk.

    Args:
        path: of the segment.
        first_pts: its first picture's time in ticks of the film.
        frames: pictures that were written to it.

    Raises:
        OutputError: it is not what was written.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        with open_input(path) as container:
            times = _times(container, video_stream(container, path))
    except (OSError, MediaError, av.error.FFmpegError) as error:
        raise OutputError(
            f"A finished segment cannot be read back ({reason_of(error)}). Check the disk and run the same command "
            "again."
        ) from error
    if len(times) != frames or len(set(times)) != frames:
        raise OutputError(f"A segment of {frames} frames came back with {len(times)}. Check the disk and try again.")
    rank = {pts: number for number, pts in enumerate(sorted(times))}
    delay = max(place - rank[pts] for place, pts in enumerate(times))
    return Segment(path.name, frames, first_pts, delay, digest)


def _times(container: InputContainer, stream: VideoStream) -> list[int]:
    return [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]


def joined_packets(
    folder: Path, segments: Sequence[Segment], like: VideoInfo, extradata: bytes | None
) -> Iterator[Packet[VideoStream]]:
    """The packets of all segments in order, with the times of one film in ticks of ``like``.

    Args:
        folder: where the segments are.
        segments: in order.
        like: the footage; its time base counts the ticks.
        extradata: what the encoder of the film's header wrote; the segments' must be the same.

    Raises:
        OutputError: a segment was changed or cannot be read.
    """
    delay = max(segment.delay for segment in segments)
    usual = max(1, round(1 / ((like.average_rate or Fraction(25)) * like.time_base)))
    first = segments[0].first_pts
    # The times of the last pictures, so many as any picture is decoded ahead; before the film they are made up.
    before = deque((first - ahead * usual for ahead in range(delay, 0, -1)), maxlen=max(delay, 1))
    for number, segment in enumerate(segments):
        follows = segments[number + 1].first_pts if number + 1 < len(segments) else None
        try:
            yield from _packets(folder, segment, like.time_base, delay, before, follows, usual, extradata)
        except (OSError, MediaError, av.error.FFmpegError) as error:
            raise _changed(segment) from error


def _packets(
    folder: Path,
    segment: Segment,
    tick: Fraction,
    delay: int,
    before: deque[int],
    follows: int | None,
    usual: int,
    extradata: bytes | None,
) -> Iterator[Packet[VideoStream]]:
    path = folder / segment.name
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != segment.sha256:
            raise _changed(segment)
    with open_input(path) as container:
        stream = video_stream(container, path)
        if (stream.codec_context.extradata or b"") != (extradata or b"") and path.suffix == ".nut":
            raise _changed(segment)
        stored = _times(container, stream)
    # A container without negative times moves everything to where decoding begins; the first picture tells how far.
    base = stream.time_base or tick
    moved = min(stored) * base - segment.first_pts * tick
    exact = {pts: _whole((pts * base - moved) / tick) for pts in stored}
    shown = sorted(exact.values())
    after = dict(pairwise([*shown, shown[-1] + usual if follows is None else follows]))
    decoded_at = [*before, *shown] if delay else shown
    with open_input(path) as container:
        place = 0
        for packet in container.demux(video_stream(container, path)):
            if not packet.size or packet.pts is None:
                continue
            pts = exact[packet.pts]
            packet.time_base = tick
            packet.pts, packet.dts, packet.duration = pts, decoded_at[place], after[pts] - pts
            place += 1
            yield packet
    before.extend(shown[-delay:] if delay else ())


def _whole(ticks: Fraction) -> int:
    if ticks.denominator != 1:
        raise MediaError("a picture lies between two ticks")
    return ticks.numerator


def _changed(segment: Segment) -> OutputError:
    return OutputError(
        f"The finished segment {segment.name} is not as it was written. Delete the private folder beside the output "
        "and run the same command again."
    )
