"""Is all of a file there? Containers say how long they are; demuxers end quietly where a copy broke off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["breaks_off"]

# Only these tell of a truncated MP4: some cameras leave bytes after the last box that look like a box of any size.
_BOXES = (b"mdat", b"moov", b"moof", b"mfra", b"sidx", b"styp", b"free", b"skip", b"wide", b"uuid", b"meta")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MOST_BOXES = 1_000_000  # a fragmented film of a day has fewer; a hostile file must not keep us for ever


def breaks_off(path: Path) -> bool:
    """Whether an MP4/MOV, Matroska/WebM or AVI file is shorter than its own outermost lengths say.

    False for other containers (a transport stream may end anywhere) and for lengths that were left open.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(12)
        stream.seek(0)
        if start[:4] == _EBML:
            return _matroska_end(stream) > size
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            return 8 + int.from_bytes(start[4:8], "little") > size
        is_mp4 = start[4:8] == b"ftyp" or start[4:8] in _BOXES
        return is_mp4 and _boxes_break_off(stream, size)


def _boxes_break_off(stream: BinaryIO, size: int) -> bool:
    """ISO/IEC 14496-12, 4.2: length (1: a 64-bit one follows; 0: to the end of the file), type, contents."""
    position = 0
    for _ in range(_MOST_BOXES):
        stream.seek(position)
        header = stream.read(16)
        if len(header) < 8:
            return False
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return False
        position += length
        if position > size:
            return header[4:8] in _BOXES
    return False


def _matroska_end(stream: BinaryIO) -> int:
    """Where the Segment ends (RFC 8794: an identifier, a length of 1 to 8 bytes, contents); 0 when it does not say."""
    stream.seek(len(_EBML))
    header_length = _ebml_length(stream)
    if header_length is None:
        return 0
    stream.seek(header_length, os.SEEK_CUR)
    if stream.read(4) != _SEGMENT:
        return 0
    length = _ebml_length(stream)
    return 0 if length is None else stream.tell() + length


def _ebml_length(stream: BinaryIO) -> int | None:
    first = stream.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    value = first[0] & ((1 << (8 - width)) - 1)
    for byte in stream.read(width - 1):
        value = value << 8 | byte
    return None if value == (1 << (7 * width)) - 1 else value  # all ones: a live recording, length unknown
