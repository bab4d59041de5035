"""Where the parts of a file lie: boxes of MP4, segments of JPEG, boxes of a manifest store (JUMBF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"udta", b"edts"})


def mp4_boxes(
    data: bytes, at: int = 0, end: int | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Path, start and end of every box, from outside to inside."""
    end = len(data) if end is None else end
    while at <= end - 8:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        here = (*path, kind.decode("latin-1"))
        yield here, at, at + size
        if kind in _PARENTS:
            yield from mp4_boxes(data, at + 8, at + size, here)
        at += max(size, 8)


def mp4_store(data: bytes) -> tuple[int, bytes]:
    """Where the manifest store begins in an MP4, and the store."""
    [(start, end)] = [(start, end) for path, start, end in mp4_boxes(data) if path == ("uuid",)]
    begin = data.index(b"jumb", start) - 4
    return begin, data[begin:end]


def jpeg_segments(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each segment; the picture's data belongs to SOS."""
    yield "SOI", 0, 2
    at = 2
    while data[at + 1] != 0xDA:
        size = struct.unpack(">H", data[at + 2 : at + 4])[0] + 2
        yield {0xEB: "APP11"}.get(data[at + 1], f"{data[at + 1]:02X}"), at, at + size
        at += size
    yield "SOS", at, len(data) - 2
    yield "EOI", len(data) - 2, len(data)


def _walk(store: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        size, kind = struct.unpack(">I4s", store[at : at + 8])
        yield kind, at + 8, at + size
        if kind == b"jumb":
            yield from _walk(store, at + 8, at + size)
        at += size


def jumbf_boxes(store: bytes) -> Iterator[tuple[str, int, int]]:
    """Label, start and end of the content of every box that states something."""
    label = ""
    for kind, start, end in _walk(store, 0, len(store)):
        if kind == b"jumd":
            label = store[start + 17 : end].split(b"\0")[0].decode("utf-8")
        elif kind != b"jumb":
            yield label, start, end


def jumbf_headers(store: bytes) -> list[int]:
    """A place in the names of the store, and of its boxes of assertions, claim and signature."""
    return [store.index(kind + b"\x00\x11\x00\x10") + 17 for kind in (b"c2pa", b"c2as", b"c2cl", b"c2cs")]


def padding(store: bytes) -> range:
    """The zeros that fill up the signature's box."""
    [(start, end)] = [(start, end) for label, start, end in jumbf_boxes(store) if label == "c2pa.signature"]
    begin = store.index(b"\x63pad", start, end)
    zeros = store.index(bytes(64), begin)
    return range(begin, end - 67) if zeros else range(0)
