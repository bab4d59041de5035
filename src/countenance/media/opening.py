"""Opening untrusted media files: local regular files in known containers only, and every failure a ``MediaError``.

FFmpeg chooses a demuxer by content, and some demuxers (HLS playlists, ffconcat, SDP) open further files or network
addresses. A text file that is called ``clip.mp4`` must not make us read ``/etc/passwd``, so both the containers and the
protocols are on a short list.
"""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import av
import av.error
from av.container import InputContainer

from countenance.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.video.stream import VideoStream

__all__ = ["MAX_PIXELS", "check_regular_file", "open_input", "reason_of", "video_stream"]

MAX_PIXELS = 90_000_000
"""Pictures with more pixels are refused (8K video has 33 million): a small hostile file must not fill the memory."""

_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mxf,flv,ogg,asf,gif,dv,nut,ivf,yuv4mpegpipe"
_SOUND_CONTAINERS = "wav,mp3,flac,aac,aiff,w64"


def reason_of(error: BaseException) -> str:
    """The tool's own words, without its error number and path."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def check_regular_file(path: Path, what: str = "video") -> None:
    """Raise ``MediaError`` unless ``path`` is a regular file with something in it.

    A folder, or a named pipe that would block for ever, may carry the name of a video.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"There is no file {path}. Check the name and the folder.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise MediaError(f"Cannot read {path} ({reason_of(error)}). Check the name and the permissions.") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path} is a folder, not a {what}. Name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path} is not a regular file. Name a {what} file.")
    if status.st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes). Copy or download it again.")


@contextmanager
def open_input(path: Path, *, sound: bool = False) -> Iterator[InputContainer]:
    """Open a media file for reading and close it again.

    Args:
        path: the file.
        sound: files of sound alone (WAV, MP3, FLAC) will do, too.

    Raises:
        MediaError: missing, a folder, empty, unreadable, or not in a container that we read.
    """
    check_regular_file(path)
    containers = f"{_CONTAINERS},{_SOUND_CONTAINERS}" if sound else _CONTAINERS
    options = {"format_whitelist": containers, "protocol_whitelist": "file"}
    try:
        # An absolute path: a relative one such as "concat:a" would be taken for a protocol and its address.
        container = av.open(str(path.absolute()), mode="r", options=options, metadata_errors="replace")
    except PermissionError as error:
        raise MediaError(f"No permission to read {path}. Change the file's permissions.") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{path} is not a readable video ({reason_of(error)}). "
            "It may be damaged, incomplete or of another kind; export it again as MP4, MOV, MKV or AVI."
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The file's main picture track (a cover picture in an audio file does not count).

    Raises:
        MediaError: there is none, or its codec is unknown.
    """
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise MediaError(f"{path} has no picture track. Choose a video with a picture.")
    chosen = next((s for s in streams if s.disposition & av.stream.Disposition.default), streams[0])
    if not chosen.codec_context:  # None, whatever PyAV's stub says, for a codec unknown to FFmpeg
        raise MediaError(f"{path} uses a video codec that FFmpeg cannot decode. Export it again as H.264.")
    chosen.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return chosen
