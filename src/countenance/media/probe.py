"""What a video file is, from its header, its index and its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import av.error

from countenance.errors import MediaError
from countenance.media.opening import open_input, reason_of, video_stream
from countenance.media.orientation import Orientation, orientation_of
from countenance.media.yuv import rule_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["AudioStream", "VideoInfo", "probe"]

_PACKETS_LOOKED_AT = 300  # for the frame rate's steadiness, where a container has no full index


@dataclass(frozen=True, slots=True)
class AudioStream:
    """One sound track: ``index`` in the file, codec name, samples a second, channels."""

    index: int
    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The facts about a video that a reader or a writer needs.

    ``width`` and ``height`` are of the upright picture; ``rotation_degrees`` is the clockwise turn (0, 90, 180, 270)
    from the stored picture and ``mirrored`` whether left and right are exchanged before it. ``time_base`` is the length
    of one tick in seconds, ``start_pts`` the first frame's tick. ``frame_count`` is an estimate unless
    ``frame_count_exact``. ``variable_frame_rate`` is judged from the whole index of MP4 and MOV and from the first
    300 packets elsewhere: a frame is shown a tenth longer or shorter than the median. ``color_*`` are FFmpeg's numbers
    (AVColorPrimaries and so on; 2 is unspecified; range 0 unspecified, 1 limited, 2 full). ``sample_aspect_ratio`` is
    the width of a pixel of the upright picture by its height. ``container`` is FFmpeg's name, for example
    ``"mov,mp4,m4a,3gp,3g2,mj2"``. ``clock_start_seconds`` is what a transport stream's clock shows
    at its start, and 0 elsewhere.
    """

    path: Path
    width: int
    height: int
    rotation_degrees: int
    average_rate: Fraction
    time_base: Fraction
    start_pts: int
    duration_seconds: Fraction | None
    frame_count: int | None
    frame_count_exact: bool
    pixel_format: str
    bit_depth: int
    variable_frame_rate: bool
    color_primaries: int
    color_transfer: int
    color_space: int
    color_range: int
    sample_aspect_ratio: Fraction
    audio: tuple[AudioStream, ...]
    container: str
    codec: str
    mirrored: bool = False
    clock_start_seconds: Fraction = Fraction(0)


def probe(path: Path) -> VideoInfo:
    """Describe a video. Decodes its first frame, so that what is described can be decoded too.

    Raises:
        MediaError: missing, a folder, empty, not a video, no picture track, or its first frame cannot be decoded.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        if not stream.time_base:
            raise MediaError(f"{path} has no time base. Export it again as MP4.")
        timestamps = _timestamps(container, stream)
        first = _first_frame(container, stream, path)
        return _describe(path, container, stream, first, timestamps)


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, first: VideoFrame, timestamps: Sequence[int]
) -> VideoInfo:
    orientation = orientation_of(first)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    duration = _duration(container, stream)
    count, exact = _frame_count(container, stream, duration, rate)
    time_base = stream.time_base or Fraction(1, 1000)
    rule_of(first.colorspace, first.color_range, first.format.name, first.width, first.height)  # refuse early
    swaps = orientation.swaps_axes
    return VideoInfo(
        path=path,
        width=first.height if swaps else first.width,
        height=first.width if swaps else first.height,
        rotation_degrees=orientation.degrees_clockwise,
        average_rate=rate,
        time_base=time_base,
        start_pts=first.pts if first.pts is not None else 0,
        duration_seconds=duration,
        frame_count=count,
        frame_count_exact=exact,
        pixel_format=first.format.name,
        bit_depth=max(component.bits for component in first.format.components),
        variable_frame_rate=_varies(timestamps),
        color_primaries=first.color_primaries,
        color_transfer=first.color_trc,
        color_space=first.colorspace,
        color_range=first.color_range,
        sample_aspect_ratio=_pixel_shape(stream, orientation),
        audio=_audio(container),
        container=container.format.name,
        codec=stream.codec_context.name,
        mirrored=orientation.mirrored,
        clock_start_seconds=_clock_start(container, time_base),
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    try:
        container.seek(0, stream=stream)
        return next(container.decode(stream))
    except StopIteration:
        reason = "it holds no frame"
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = reason_of(error)
    raise MediaError(f"No frame of {path} can be decoded ({reason}). Copy it again or export it as H.264 MP4.")


def _timestamps(container: InputContainer, stream: VideoStream) -> list[int]:
    """Increasing times of the packets: MP4 and MOV have a full index, elsewhere the first packets are read."""
    if _has_full_index(container):
        return [entry.timestamp for entry in stream.index_entries]
    times: list[int] = []
    try:
        for packet in container.demux(stream):
            if packet.pts is not None:
                times.append(packet.pts)
            if len(times) >= _PACKETS_LOOKED_AT:
                break
    except (av.error.FFmpegError, OSError):
        pass  # damaged further on: the reader says where; the times so far are good
    return sorted(times)[:-4] if len(times) > 12 else sorted(times)  # the last ones may lack reordered neighbours


def _has_full_index(container: InputContainer) -> bool:
    """Whether the demuxer knows every packet of a track before it is read (MP4, MOV)."""
    return container.format.name.startswith("mov,")


def _varies(timestamps: Sequence[int]) -> bool:
    steps = [after - before for before, after in pairwise(timestamps)]
    if len(steps) < 2:
        return False
    usual = median(steps)
    return any(abs(step - usual) > max(1.0, 0.1 * usual) for step in steps)


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _frame_count(
    container: InputContainer, stream: VideoStream, duration: Fraction | None, rate: Fraction
) -> tuple[int | None, bool]:
    # A fragmented file states no count, and its index grows only while it is read.
    if _has_full_index(container) and stream.frames > 0:
        return sum(1 for entry in stream.index_entries if not entry.is_discard), True
    if stream.frames > 0:
        return stream.frames, False
    return (max(1, round(duration * rate)), False) if duration else (None, False)


def _pixel_shape(stream: VideoStream, orientation: Orientation) -> Fraction:
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not ratio or ratio <= 0:
        return Fraction(1)
    return 1 / ratio if orientation.swaps_axes else ratio


def _audio(container: InputContainer) -> tuple[AudioStream, ...]:
    return tuple(
        AudioStream(s.index, s.codec_context.name, s.codec_context.sample_rate, s.codec_context.channels)
        for s in container.streams.audio
        if s.codec_context  # None for a codec unknown to FFmpeg
    )


def _clock_start(container: InputContainer, time_base: Fraction) -> Fraction:
    """Transport streams count from an arbitrary hour; other containers mean what they say."""
    if container.format.name not in ("mpegts", "mpeg") or not container.start_time:
        return Fraction(0)
    ticks = Fraction(container.start_time, 1_000_000) / time_base
    return (ticks.numerator // ticks.denominator) * time_base
