"""From a video's YCbCr to RGB and back, by the file's own matrix and range.

Both ways use bicubic chroma, full-width chroma filters and accurate rounding. FFmpeg's default is several times as
fast, but leaves 4.7 grey levels of error (RMS) and darkens the picture by 1 level a pass; this leaves 0.7 and no bias
(``bench/media_speed.py``). Transfer curve and primaries are left alone: RGB
here is the file's own R'G'B'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from countenance.errors import MediaError

if TYPE_CHECKING:
    from countenance.types import UInt8

__all__ = ["RgbFromVideo", "VideoFromRgb", "YuvRule", "rule_of"]

# AVColorSpace → swscale's name of the same matrix.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_BT709, _BT601, _UNSPECIFIED_SPACE, _FULL = 1, 5, 2, 2
_NO_MATRIX = (0, _UNSPECIFIED_SPACE, 3)  # RGB, unspecified, reserved

_QUALITY = (
    Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
)


@dataclass(frozen=True, slots=True)
class YuvRule:
    """How YCbCr values are meant.

    ``matrix`` is swscale's number (1 BT.709, 5 BT.601, 9 BT.2020); ``full_range`` tells 0..255 from 16..235;
    ``space_tag`` and ``range_tag`` are what a file written by this rule carries (AVColorSpace, AVColorRange).
    """

    matrix: int
    full_range: bool
    space_tag: int
    range_tag: int


def rule_of(color_space: int, color_range: int, pixel_format: str, width: int, height: int) -> YuvRule:
    """The rule of a video by its tags; what is untagged is guessed as players do.

    The guess: BT.709 for HD and larger, BT.601 below, whichever way up. An untagged file stays untagged, so that a
    player makes the same guess for the result as for the original.

    Raises:
        MediaError: the colour matrix is one that swscale cannot convert (YCgCo, ICtCp and the like).
    """
    is_rgb = VideoFormat(pixel_format, width, height).is_rgb
    is_hd = max(width, height) >= 1280 or min(width, height) > 576
    if color_space in _MATRICES:
        matrix, space_tag = _MATRICES[color_space], color_space
    elif color_space in _NO_MATRIX:
        matrix = _BT709 if is_hd else _BT601
        space_tag = color_space
    else:
        raise MediaError(
            f"The video uses colour matrix {color_space}, which cannot be converted. "
            "Export it again with BT.709 colours."
        )
    full = color_range == _FULL or (color_range == 0 and pixel_format.startswith(("yuvj", "gray")))
    if is_rgb or color_space == 0:  # written as YCbCr, which then has to say by which matrix
        return YuvRule(matrix, full_range=False, space_tag=1 if matrix == _BT709 else 6, range_tag=1)
    return YuvRule(matrix, full_range=full, space_tag=space_tag, range_tag=_FULL if full else color_range)


class RgbFromVideo:
    """Converts decoded frames to RGB; keeps swscale's tables between frames of one kind."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> UInt8:
        """RGB uint8 ``(H, W, 3)``, contiguous and the caller's own, as stored (not yet turned upright)."""
        name = frame.format.name
        rule = rule_of(frame.colorspace, frame.color_range, name, frame.width, frame.height)
        is_rgb = frame.format.is_rgb
        full = rule.full_range or is_rgb
        # Into three planes swscale has vector code, into rgb24 at this quality it has none. The bytes are the same.
        converted = self._reformatter.reformat(
            frame,
            format="rgb24" if is_rgb else "gbrp",
            src_colorspace=rule.matrix,
            dst_colorspace=rule.matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=_QUALITY,
        )
        if not is_rgb:
            green, blue, red = (_plane(converted, number) for number in range(3))
            return np.asarray(cv2.merge([red, green, blue]), np.uint8)
        rgb = np.ascontiguousarray(converted.to_ndarray(), np.uint8)
        # A frame that was rgb24 already is still the decoder's: it may serve as reference for the next one.
        return rgb.copy() if converted is frame else rgb


def _plane(frame: VideoFrame, number: int) -> UInt8:
    plane = frame.planes[number]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


class VideoFromRgb:
    """Converts RGB pictures to a codec's pixel format by a :class:`YuvRule`."""

    def __init__(self, rule: YuvRule, pixel_format: str) -> None:
        self._rule = rule
        # swscale truncates chroma by half a level on its way to full range, which tints the picture a little more with
        # each pass. By way of 12 bits that becomes a thirty-second of a level.
        twelve_bit = {"yuv420p": "yuv420p12le", "yuv444p": "yuv444p12le"}.get(pixel_format)
        formats = [twelve_bit, pixel_format] if rule.full_range and twelve_bit else [pixel_format]
        self._steps = [(VideoReformatter(), name) for name in formats]

    def __call__(self, rgb: UInt8) -> VideoFrame:
        """A frame without a time; ``rgb`` uint8 ``(H, W, 3)`` is only read."""
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        for reformatter, name in self._steps:
            frame = reformatter.reformat(
                frame,
                format=name,
                src_colorspace=self._rule.matrix,
                dst_colorspace=self._rule.matrix,
                src_color_range=ColorRange.JPEG,  # of RGB, and of the step between
                dst_color_range=ColorRange.JPEG if self._rule.full_range else ColorRange.MPEG,
                interpolation=_QUALITY,
            )
        return frame
