"""The clip that an editor looks through: every veiled span with a little of what is before and after, and captions.

It is cut from the signed render and encoded anew. The captions stand on a bar above the picture, so nothing of it is
covered; the picture's own watermark is thereby moved off its grid and does not disturb the clip's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from countenance.conversion.report import timecode
from countenance.fonts import dejavu
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.provenance.watermark import Watermarker
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from countenance.conversion.report import VeiledSpan
    from countenance.types import UInt8

__all__ = ["Window", "windows_of", "write_review"]

_CONTEXT_SECONDS = 0.5
_LETTERS, _SMALLEST_PX = 0.036, 11  # of the shorter side, as the label
_BAR_RGB, _SOFT_RGB, _VEILED_RGB = (24, 24, 24), (176, 176, 176), (255, 190, 92)


@dataclass(frozen=True, slots=True)
class Window:
    """Frames to show, both ends inside, and the spans that lie in them."""

    first: int
    last: int
    spans: tuple[VeiledSpan, ...]


def windows_of(spans: Sequence[VeiledSpan], context_frames: int) -> list[Window]:
    """The spans with so many frames before and after each; those that touch become one.

    Args:
        spans: in the order in which they begin.
        context_frames: on either side.
    """
    windows: list[Window] = []
    for span in sorted(spans, key=lambda span: span.first_frame):
        first, last = max(0, span.first_frame - context_frames), span.last_frame + context_frames
        if windows and first <= windows[-1].last + 1:
            before = windows[-1]
            windows[-1] = Window(before.first, max(before.last, last), (*before.spans, span))
        else:
            windows.append(Window(first, last, (span,)))
    return windows


def write_review(
    render: Path, out_unsigned: Path, spans: Sequence[VeiledSpan], *, watermark: bytes, label: Callable[[UInt8], UInt8]
) -> None:
    """Write the clip: H.264, without sound, marked and not yet signed.

    Args:
        render: the finished render.
        out_unsigned: an ``.mp4`` in a private folder.
        spans: at least one.
        watermark: the clip's own id.
        label: draws the visible label where the render has none, or nothing.

    Raises:
        MediaError, OutputError: the render cannot be read, or the clip not written.
    """
    info = probe(render)
    windows = windows_of(spans, round(_CONTEXT_SECONDS * float(info.average_rate)))
    letters = max(_SMALLEST_PX, round(_LETTERS * min(info.width, info.height)))
    bar = _bar_height(letters, info.height)
    like = replace(info, height=info.height + bar, audio=(), start_pts=0, clock_start_seconds=Fraction(0))
    mark = Watermarker(watermark, (like.height, like.width))
    usual = max(1, round(1 / (info.average_rate * info.time_base)))
    pts, before = 0, None  # times go on without the gaps, each frame as long as it was
    start = info.start_pts * info.time_base
    with VideoWriter(out_unsigned, like, crf=18, preset="fast", private=True) as writer:
        for frame in read_frames(render, start_index=windows[0].first):
            number = next((at for at, window in enumerate(windows) if frame.index <= window.last), None)
            if number is None:
                break
            window = windows[number]
            if frame.index < window.first:
                continue
            if before is not None:
                pts += frame.pts - before.pts if frame.index == before.index + 1 else usual
            before = frame
            where = f"{timecode(frame.pts_seconds - start, info.average_rate)}   frame {frame.index}"
            head = f"{where}   {number + 1} of {len(windows)}"
            picture = _captioned(frame.rgb, bar, letters, head, *_reason(frame.index, window, info.average_rate))
            picture = mark(label(picture))
            writer.write(Frame(picture, frame.index, pts, info.time_base))


def _bar_height(letters: int, height: int) -> int:
    bar = round(3.4 * letters)
    return bar + (height + bar) % 2


def _reason(index: int, window: Window, rate: Fraction) -> tuple[str, bool]:
    """What is said of a frame, and whether something is veiled in it."""
    now = {span.reason: None for span in window.spans if span.first_frame <= index <= span.last_frame}
    if now:
        return "veiled: " + " + ".join(now), True
    later = min((s for s in window.spans if s.first_frame > index), key=lambda s: s.first_frame, default=None)
    if later is not None:
        return f"{float((later.first_frame - index) / rate):.2f} s before: {later.reason}", False
    earlier = max(window.spans, key=lambda s: s.last_frame)
    return f"{float((index - earlier.last_frame) / rate):.2f} s after: {earlier.reason}", False


def _captioned(rgb: UInt8, bar: int, letters: int, head: str, reason: str, veiled: bool) -> UInt8:
    """The picture under a bar with two lines."""
    picture = Image.new("RGB", (rgb.shape[1], rgb.shape[0] + bar), _BAR_RGB)
    pen, margin = ImageDraw.Draw(picture), max(2, letters // 2)
    for line, (text, colour) in enumerate(((head, _SOFT_RGB), (reason, _VEILED_RGB if veiled else _SOFT_RGB))):
        size = letters
        while size > 6 and pen.textlength(text, font=dejavu("DejaVuSans-Bold.ttf", size)) > rgb.shape[1] - 2 * margin:
            size -= 1  # a long reason on a narrow picture
        middle = bar * (0.28 if line == 0 else 0.72)
        pen.text((margin, middle), text, font=dejavu("DejaVuSans-Bold.ttf", size), fill=colour, anchor="lm")
    whole = np.array(picture, np.uint8)
    whole[bar:] = rgb
    return whole
