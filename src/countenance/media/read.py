"""Frames of a video and pictures of a photo: upright RGB, streamed, with exact times."""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import av.error
import numpy as np

from countenance.errors import MediaError
from countenance.media.completeness import breaks_off
from countenance.media.opening import MAX_PIXELS, check_regular_file, open_input, reason_of, video_stream
from countenance.media.orientation import Orientation, orientation_of
from countenance.media.yuv import RgbFromVideo
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

    from countenance.types import UInt8

__all__ = [
    "PHOTO_SUFFIXES",
    "VIDEO_SUFFIXES",
    "is_photo",
    "list_sources",
    "read_decoded",
    "read_frames",
    "read_picture",
    "read_seen",
    "read_stored_picture",
]

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".ts", ".mpg", ".mpeg", ".vob", ".mxf",
    ".flv", ".ogv", ".wmv", ".asf", ".3gp", ".3g2", ".gif", ".dv", ".nut", ".y4m", ".ivf",
})
# fmt: on
"""Suffixes that are taken for videos, in lower case."""

# fmt: off
PHOTO_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif",
})
# fmt: on
"""Suffixes that are taken for photos, in lower case."""

_T = TypeVar("_T")

# No format that runs a helper program (EPS starts Ghostscript).
_PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF")


def read_frames(path: Path, *, start_index: int = 0) -> Iterator[Frame]:
    """Decode a video frame by frame, in display order, from its picture track.

    Memory does not grow with the length. Rotation side data is applied, YCbCr becomes RGB by the file's own matrix and
    range, 10-bit and 12-bit depths are rounded to 8. Times are the file's; a frame without one, or with one that does
    not come after its predecessor's, gets the next tick at the average rate. Interlaced fields are not separated. The
    file is closed when the generator ends, raises or is closed.

    Args:
        path: a video file.
        start_index: display index of the first frame that is yielded. Earlier frames are decoded (exact in any
            file) but not converted to RGB.

    Raises:
        MediaError: not a video; or the file breaks off or is damaged, with the number of the last good frame (a
            transport stream may end anywhere, so that cutting it short shows only in its last packet); or the picture
            changes its size on the way.
        ValueError: ``start_index`` is negative.
    """
    if start_index < 0:
        raise ValueError(f"start_index: expected 0 or more, got {start_index}")
    with open_input(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        yield from _frames(path, container, stream, start_index)


def read_decoded(path: Path) -> Iterator[VideoFrame]:
    """The pictures of a video's main track as the decoder gives them, in display order: no turning, no conversion.

    The decoder keeps to its standard to the bit where FFmpeg has faster ways that do not.

    Raises:
        MediaError: see :func:`read_frames`.
    """
    with open_input(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        stream.codec_context.options = stream.codec_context.options | {"flags": "+bitexact", "idct": "simple"}
        yield from _decoded(path, container, stream)


def _frames(path: Path, container: InputContainer, stream: VideoStream, start_index: int) -> Iterator[Frame]:
    to_rgb = RgbFromVideo()
    times = _Times(stream)
    orientation: Orientation | None = None
    stored_size = (0, 0)
    for index, decoded in enumerate(_decoded(path, container, stream)):
        if orientation is None:
            orientation, stored_size = orientation_of(decoded), (decoded.width, decoded.height)
        elif (decoded.width, decoded.height) != stored_size:
            raise MediaError(
                f"The picture of {path} changes from {stored_size[0]}×{stored_size[1]} to "
                f"{decoded.width}×{decoded.height} at frame {index}. Export it again at one size."
            )
        pts = times.next_pts(decoded.pts)
        if index >= start_index:
            yield Frame(rgb=orientation.apply(to_rgb(decoded)), index=index, pts=pts, time_base=times.time_base)


class _Times:
    """Strictly increasing ticks: what the file says where that makes sense."""

    def __init__(self, stream: VideoStream) -> None:
        self.time_base = stream.time_base or Fraction(1, 1000)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._usual_step = max(1, round(1 / (rate * self.time_base)))
        self._last: int | None = None

    def next_pts(self, stated: int | None) -> int:
        follows = 0 if self._last is None else self._last + self._usual_step
        good = stated is not None and (self._last is None or stated > self._last)
        self._last = stated if good and stated is not None else follows
        return self._last


def _decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decoded frames; a damaged or missing part of the file raises instead of passing for its end."""
    good = 0
    end = Fraction(0)
    try:
        for packet in _whole_packets(container, stream):
            for frame in packet.decode() if packet else stream.decode(None):
                if frame.is_corrupt:
                    raise _broken(path, good, "a frame is damaged")
                yield frame
                good += 1
                end = max(end, _end_seconds(frame, stream))
            if packet is None:
                raise _broken(path, good, "a packet is incomplete")
        if breaks_off(path) or _ends_early(container, stream, end):
            raise _broken(path, good, "the file ends too early")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _broken(path, good, reason_of(error)) from error
    if good == 0:
        raise MediaError(f"No frame of {path} can be decoded. Copy it again or export it as H.264 MP4.")


def _whole_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream] | None]:
    """Packets of the track; None, and then nothing, in the place of the first incomplete one."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            yield None
            return
        yield packet


def _end_seconds(frame: VideoFrame, stream: VideoStream) -> Fraction:
    if frame.pts is None or stream.time_base is None:
        return Fraction(0)
    return (frame.pts + (frame.duration or 0)) * stream.time_base


def _ends_early(container: InputContainer, stream: VideoStream, end: Fraction) -> bool:
    """Whether a Matroska file has fewer pictures than its header says: its demuxer skips what it cannot read."""
    if not container.format.name.startswith("matroska"):
        return False
    try:
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")  # "00:01:02.033000000"
        stated = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return False  # no such tag, or an odd one
    return end + 3 / (stream.average_rate or Fraction(25)) < stated


def _broken(path: Path, good: int, reason: str) -> MediaError:
    where = f"after frame {good - 1}, its last good one" if good else "before its first frame"
    return MediaError(
        f"{path} is truncated or damaged {where} ({reason}). "
        "Copy it again from its source, or cut it before that frame."
    )


def is_photo(path: Path) -> bool:
    """Whether the name is that of a photo (see :data:`PHOTO_SUFFIXES`); the file is not opened."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def read_picture(path: Path) -> Frame:
    """Read a photo, upright by its EXIF orientation, in sRGB where it carries another colour profile.

    16-bit and grey pictures become 8-bit RGB; transparency is laid on black; of an animation the first picture.

    Returns:
        A frame with ``index`` 0, ``pts`` 0 and ``time_base`` 1.

    Raises:
        MediaError: missing, a folder, empty, damaged, too large, or of a kind that we do not read (HEIC).
    """
    rgb = _photo(path, _upright_rgb)
    return Frame(rgb=rgb, index=0, pts=0, time_base=Fraction(1))


def read_seen(path: Path) -> UInt8:
    """The part of a photo that is not transparent, by its box, on black: uint8 ``(h, w, 3)``; the whole of most photos.

    Raises:
        MediaError: see :func:`read_picture`.
    """
    from PIL import Image

    rgb = read_picture(path).rgb
    with Image.open(path) as image:
        if image.mode != "RGBA" or image.size != (rgb.shape[1], rgb.shape[0]):
            return rgb
        box = image.getchannel("A").getbbox()
    return rgb if box is None else np.ascontiguousarray(rgb[box[1] : box[3], box[0] : box[2]])


def read_stored_picture(path: Path) -> tuple[str, tuple[int, int], bytes]:
    """A photo's pixels as they are stored, not turned and in no other colours: Pillow's mode, width and height, bytes.

    Raises:
        MediaError: see :func:`read_picture`.
    """
    return _photo(path, lambda image: (image.mode, image.size, image.tobytes()))


def _photo(path: Path, take: Callable[[Image], _T]) -> _T:
    check_regular_file(path, "photo")
    try:
        return _opened_photo(path, take)
    except MediaError:
        raise
    except PermissionError as error:
        raise MediaError(f"No permission to read {path}. Change the file's permissions.") from error
    except Exception as error:  # a hostile file reaches any of Pillow's parsers, which raise whatever they like
        raise MediaError(
            f"{path} is not a readable photo ({reason_of(error)}). Export it again as JPEG or PNG."
        ) from error


def _opened_photo(path: Path, take: Callable[[Image], _T]) -> _T:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF or palette data; the limit on size is ours
        Image.init()
        known = [name for name in _PHOTO_FORMATS if name in Image.OPEN]  # AVIF is new in Pillow 11.3
        with Image.open(path, formats=known) as image:
            if image.width * image.height > MAX_PIXELS:
                raise MediaError(f"{path} has {image.width}×{image.height} pixels. Scale it below 90 megapixels.")
            return take(image)


def _upright_rgb(image: Image) -> UInt8:
    from PIL import ImageOps

    return _rgb_of(ImageOps.exif_transpose(image))


def _rgb_of(image: Image) -> UInt8:
    from PIL import Image as ImageModule

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max(initial=1.0)))
        grey = np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
    image = _in_srgb(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = ImageModule.alpha_composite(ImageModule.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return np.array(image.convert("RGB"), np.uint8)


def _in_srgb(image: Image) -> Image:
    """Convert an RGB photo with an embedded profile (phones write Display P3) to sRGB."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode != "RGB":
        return image
    import io

    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken profile: show the numbers as they are, as browsers do
    return image if converted is None else converted


def list_sources(paths: Sequence[Path]) -> list[Path]:
    """Videos and photos among files and folders, each once, folders searched to the bottom and sorted by name.

    Hidden files and folders are passed over. Files are judged by their suffix and not opened.

    Raises:
        MediaError: a path is missing or its folder unreadable, a named file is neither video nor photo, or nothing is
            found at all.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            if path.is_dir():
                candidates = _walk(path)
            else:
                check_regular_file(path)
                candidates = [path]
                if not _usable(path):
                    raise MediaError(
                        f"{path} is neither a video nor a photo by its name. "
                        "Give MP4, MOV, MKV, AVI, JPEG or PNG files."
                    )
            for candidate in candidates:
                found.setdefault(candidate.resolve(), candidate)
        except (OSError, ValueError) as error:
            raise MediaError(f"Cannot read {path} ({reason_of(error)}). Check the permissions.") from error
    if not found:
        names = ", ".join(str(path) for path in paths) or "an empty list"
        raise MediaError(f"There is no video and no photo in {names}. Give MP4, MOV, MKV, AVI, JPEG or PNG files.")
    return list(found.values())


def _usable(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or is_photo(path)


def _walk(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error  # os.walk would pass over an unreadable folder in silence

    files: list[Path] = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = [Path(where) / name for name in sorted(names) if not name.startswith(".")]
        files += [path for path in here if _usable(path) and path.is_file()]
    return sorted(files)
