"""Which codecs go into which containers, and how each encoder is set.

A *codec* is a form of picture data (``h264``), an *encoder* is a program that makes it (``libx264``, ``h264_nvenc``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error
import cv2
import numpy as np
from av.codec import Codec

from countenance.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.codeccontext import VideoCodecContext

__all__ = ["CODECS", "SUFFIXES", "Encoding", "encoder_for", "encoding_of"]

_SOFTWARE = {
    "h264": "libx264",
    "h265": "libx265",
    "prores": "prores_ks",
    "ffv1": "ffv1",
    "vp9": "libvpx-vp9",
}
CODECS = tuple(_SOFTWARE)
"""What a render's picture can be encoded as."""

# The first of each container is its default.
_OF_CONTAINER = {
    ".mp4": ("h264", "h265"),
    ".m4v": ("h264", "h265"),
    ".mov": ("h264", "h265", "prores"),
    ".mkv": ("h264", "h265", "prores", "ffv1", "vp9"),
    ".webm": ("vp9",),
}
SUFFIXES = tuple(_OF_CONTAINER)
"""Suffixes of the containers that are written, in lower case."""

_FFMPEG_NAMES = {"hevc": "h265"}  # where FFmpeg's word for a codec is another than ours
_AVX_512F = 13  # OpenCV's CV_CPU_AVX_512F, which its Python names leave out
_KEYFRAME_SECONDS = 2
_VP9_SPEEDS = {"placebo": 0, "veryslow": 0, "slower": 1, "slow": 2, "medium": 3, "fast": 4, "faster": 5}
_PRORES_HQ, _PRORES_4444 = "3", "4"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an encoder is set up.

    ``options`` are FFmpeg's; ``tag`` is the sample entry that the container should name, where FFmpeg's own choice does
    not play everywhere; ``gop_size`` the most frames from one keyframe to the next; ``limited_range`` whether samples
    are stored in video range whatever the footage's; ``container`` FFmpeg's name of one that holds the codec with exact
    times and unchanged packets, for segments.
    """

    encoder: str
    pixel_format: str
    gop_size: int
    options: dict[str, str] = field(default_factory=dict)
    tag: str | None = None
    limited_range: bool = False
    container: str = "nut"


def encoder_for(path: Path, codec: str | None = None, encoder: str | None = None) -> str:
    """The encoder of an output: FFmpeg's name.

    Args:
        path: the output; its suffix is the container.
        codec: one of :data:`CODECS`; the container's default when None. With ``encoder`` it must be that encoder's.
        encoder: FFmpeg's name of an encoder, for hardware ones; it must open on this machine.

    Raises:
        OutputError: the container is not written, it cannot hold the codec, or the encoder is not there.
    """
    suffix = path.suffix.lower()
    if suffix not in _OF_CONTAINER:
        raise OutputError(f"Cannot write {path}: the name must end in {_listed(SUFFIXES)}. Choose such a name.")
    held = _OF_CONTAINER[suffix]
    made = None if encoder is None else _codec_of(encoder)
    if codec is not None and codec not in CODECS:
        raise OutputError(f"There is no codec {codec!r}. Choose {_listed(CODECS)}.")
    if codec is not None and made not in (None, codec):
        raise OutputError(f"The encoder {encoder} makes {made}, not {codec}. Leave one of the two out.")
    wanted = codec or made or held[0]
    if wanted not in held:
        others = _listed([name for name, codecs in _OF_CONTAINER.items() if wanted in codecs])
        to_do = f"Choose {_listed(held)}" + (f", or a name that ends in {others}." if others else ".")
        raise OutputError(f"A {suffix} file does not hold {wanted}. {to_do}")
    if encoder is None:
        return _SOFTWARE[wanted]
    _require_opens(encoder)
    return encoder


def _codec_of(encoder: str) -> str:
    """Our word for what an encoder makes, or FFmpeg's where we have none."""
    try:
        found = Codec(encoder, "w")
    except ValueError as error:  # PyAV's UnknownCodecError
        raise OutputError(f"There is no encoder {encoder!r} here. Leave --encoder out, or choose another.") from error
    if found.type != "video":
        raise OutputError(f"{encoder} is no video encoder. Leave --encoder out, or choose another.")
    return _FFMPEG_NAMES.get(found.canonical_name, found.canonical_name)


def _require_opens(encoder: str) -> None:
    """Encode one small grey picture: FFmpeg lists hardware encoders whether or not there is the hardware."""
    encoding = encoding_of(encoder, 640, 480, Fraction(25))
    context = cast("VideoCodecContext", av.CodecContext.create(encoder, "w"))
    context.width, context.height, context.pix_fmt = 640, 480, encoding.pixel_format
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = dict(encoding.options)
    grey = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 128, np.uint8), format="rgb24")
    picture = grey.reformat(format=encoding.pixel_format)
    picture.pts = 0
    try:
        made = [*context.encode(picture), *context.encode(None)]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"The encoder {encoder} does not work on this computer ({reason}). Leave --encoder out, or choose another."
        ) from error
    if not made:
        raise OutputError(f"The encoder {encoder} makes nothing on this computer. Leave --encoder out.")


def encoding_of(
    encoder: str, width: int, height: int, rate: Fraction, *, crf: int = 16, preset: str = "medium"
) -> Encoding:
    """How an encoder is set for pictures of a size.

    The pixel format holds 8-bit RGB as well as the codec can: 4:2:0 of 8 bits for H.264, H.265 and VP9 (4:4:4 where a
    side is odd, since 4:2:0 has even sizes only), 4:2:2 of 10 bits for ProRes (4:4:4 where the width is odd), 4:4:4 of
    10 bits for FFV1, from which each 8-bit value comes back as it was.

    Args:
        encoder: FFmpeg's name.
        width: of the picture.
        height: of the picture.
        rate: frames a second, for the distance of keyframes.
        crf: constant rate factor, for encoders that know one.
        preset: the encoder's speed in x264's words.
    """
    even = width % 2 == 0 and height % 2 == 0
    pixel_format = "yuv420p" if even else "yuv444p"
    gop = min(300, max(12, round(_KEYFRAME_SECONDS * float(rate))))  # seeking stays quick at any rate
    match encoder:
        case "libx264":
            return Encoding(encoder, pixel_format, gop, {"crf": str(crf), "preset": preset} | _repeatable())
        case "libx265":
            options = {"crf": str(crf), "preset": preset, "x265-params": "log-level=error:open-gop=0"}
            return Encoding(encoder, pixel_format, gop, options, tag="hvc1")
        case "libvpx-vp9":
            speed = str(_VP9_SPEEDS.get(preset, 6))
            options = {"crf": str(crf), "b": "0", "deadline": "good", "cpu-used": speed, "row-mt": "1"}
            return Encoding(encoder, pixel_format, gop, options)
        case "prores_ks":
            half = width % 2 == 0
            profile, pixel_format = (_PRORES_HQ, "yuv422p10le") if half else (_PRORES_4444, "yuv444p10le")
            options = {"profile": profile, "vendor": "apl0"}
            return Encoding(encoder, pixel_format, 1, options, limited_range=True, container="mov")
        case "ffv1":
            options = {"level": "3", "slices": "4", "slicecrc": "1"}  # a checksum a slice, as archives ask for
            return Encoding(encoder, "yuv444p10le", 1, options, limited_range=True)
    return _other(encoder, pixel_format, gop, crf, preset)


def _other(encoder: str, pixel_format: str, gop: int, crf: int, preset: str) -> Encoding:
    """Encoders that are asked for by name, hardware mostly; each has a word of its own for constant quality."""
    tag = "hvc1" if encoder.startswith("hevc") else None
    options = {"crf": str(crf), "preset": preset}
    if encoder.endswith("_nvenc"):
        options = {"rc": "vbr", "cq": str(crf), "b": "0", "preset": "p5", "forced-idr": "1"}
    elif encoder.endswith("_qsv"):
        options = {"global_quality": str(max(crf, 1))}
        pixel_format = "nv12"
    elif encoder.endswith("_videotoolbox"):
        options = {"q": str(max(1, 100 - 2 * crf)), "allow_sw": "0"}
    elif encoder.endswith("_amf"):
        options = {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)}
    elif encoder.endswith(("_mf", "_v4l2m2m")):
        options = {}
        pixel_format = "nv12" if encoder.endswith("_mf") else pixel_format
    return Encoding(encoder, pixel_format, gop, options, tag)


def _repeatable() -> dict[str, str]:
    """Options that make x264 give the same bits each time.

    Its macroblock tree does not on processors with AVX-512: six encodes of one clip gave six files, and one with the
    AVX2 code. Asking for AVX2 is safe only there, since x264 believes it unseen.
    """
    return {"x264-params": "asm=avx2"} if cv2.checkHardwareSupport(_AVX_512F) else {}


def _listed(words: list[str] | tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else ""
