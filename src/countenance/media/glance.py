"""Single frames from all over a video, without decoding what lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av.error

from countenance.errors import MediaError
from countenance.media.opening import open_input, video_stream
from countenance.media.orientation import orientation_of
from countenance.media.yuv import RgbFromVideo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from countenance.types import UInt8

__all__ = ["key_frames"]

_APART = 2_000_000  # microseconds: most encoders set key frames further apart, and a search for each costs time


def key_frames(path: Path, count: int) -> Iterator[UInt8]:
    """Up to ``count`` different key frames, one in two seconds at most, from all over a video.

    uint8 ``(H, W, 3)``, upright.

    Files that cannot be searched give fewer, or none: it is a glance, not a test of the file.

    Raises:
        MediaError: not a video.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.skip_frame = "NONKEY"
        to_rgb, seen = RgbFromVideo(), set[int]()
        # Matroska states a length of the file only, in microseconds.
        duration = container.duration or 0
        start = container.start_time or 0
        count = min(count, duration // _APART)
        for number in range(count):
            frame = _key_frame(container, stream, start + duration * number // count)
            if frame is None or frame.pts is None or frame.pts in seen:
                continue
            seen.add(frame.pts)
            yield orientation_of(frame).apply(to_rgb(frame))


def _key_frame(container: InputContainer, stream: VideoStream, microseconds: int) -> VideoFrame | None:
    """The key frame at a time or before it."""
    try:
        container.seek(microseconds)
        return next(iter(container.decode(stream)), None)
    except (av.error.FFmpegError, MediaError, OSError, ValueError):
        return None
