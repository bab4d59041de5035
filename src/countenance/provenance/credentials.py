"""Content Credentials by c2pa, kept off the network; the one place that knows the library's settings and file types."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import c2pa

__all__ = [
    "FAILURES_OF_BINDING",
    "FAILURES_OF_TIME",
    "FAILURES_OF_TRUST",
    "PIECE_BYTES",
    "STORE_TYPE",
    "VALIDITY",
    "codes",
    "context",
    "embeds",
    "failure_codes",
    "has_remains",
    "is_elsewhere",
    "is_hashed_piecewise",
    "media_type",
    "parent_beside",
    "parent_type",
    "read_store",
    "read_store_of",
    "sidecar_path",
    "stored_manifest",
]

_EMBEDDED = {
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
}
_BESIDE = {".mkv": "video/x-matroska", ".webm": "video/webm", ".exr": "image/x-exr"}
_BESIDE_MAGIC = (b"\x1a\x45\xdf\xa3", b"\x76\x2f\x31\x01")  # their first four bytes: EBML, OpenEXR

# What a manifest store consists of: the description box of the store, and two labels inside.
_STORE_MARKS = (
    b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71",
    b"c2pa.assertions\x00",
    b"c2pa.signature\x00",
)
_IN_ALL_MARKS = b"c2pa"
_BLOCK = 1024 * 1024  # bytes read at a time
_HELD_BYTES = 16 * 2**20  # a larger copy lies in a nameless file; pictures are smaller
_SIDECAR_LIMIT = 64 * 2**20  # bytes; it is read whole

FAILURES_OF_TRUST = frozenset({"signingCredential.untrusted"})
"""Failure codes that say nothing against the file: the signer is only not on our list."""

FAILURES_OF_TIME = frozenset({"signingCredential.expired", "claimSignature.outsideValidity"})
"""Failure codes that say: the certificate was not valid at the time that counts."""

FAILURES_OF_BINDING = frozenset(
    {
        "assertion.dataHash.mismatch",
        "assertion.dataHash.malformed",
        "assertion.bmffHash.mismatch",
        "assertion.bmffHash.malformed",
        "assertion.boxesHash.mismatch",
        "assertion.boxesHash.unknownBox",
    }
)
"""Failure codes that say: the signed statements are whole, and the bytes around them are other ones."""

PIECE_BYTES = 4 * 2**20
"""Bytes of a film's pictures and sound under each leaf of its tree of hashes."""

STORE_TYPE = "application/c2pa"
"""MIME type of a manifest store by itself."""

VALIDITY = "countenance.validity"
"""Where :func:`read_store` puts the certificate's validity, two ISO times; no key of the standard looks like it."""


def media_type(path: Path) -> str | None:
    """MIME type by the suffix, or None for a kind of file that we neither mark nor read credentials from."""
    suffix = path.suffix.lower()
    return _EMBEDDED.get(suffix) or _BESIDE.get(suffix)


def parent_type(path: Path) -> str:
    """MIME type of a parent by its suffix; footage may be of a kind that we do not mark ourselves."""
    return media_type(path) or "application/octet-stream"


def _true_type(path: Path) -> str | None:
    """As :func:`media_type`, but None for what is only called Matroska, WebM or EXR: an MP4 can have any name."""
    kind = media_type(path)
    if kind not in _BESIDE.values():
        return kind
    with path.open("rb") as stream:
        return kind if stream.read(4) in _BESIDE_MAGIC else None


def embeds(path: Path) -> bool:
    """Whether the credentials of this kind of file go into it; otherwise they go beside it."""
    return path.suffix.lower() in _EMBEDDED


def sidecar_path(path: Path) -> Path:
    """Where the credentials of a file lie that cannot hold them: the same name with the suffix ``.c2pa``."""
    return path.with_suffix(".c2pa")


def context(trusted_pem: str = "", time_pem: str = "", *, piecewise: bool = False) -> c2pa.Context:
    """The library's settings: offline, no thumbnails, check what was written, trust these authorities only.

    Args:
        trusted_pem: certificates of trusted authorities, PEM, one after the other; may be empty.
        time_pem: those of timestamp services, who cannot vouch for signers.
        piecewise: hash what is signed in pieces of :data:`PIECE_BYTES` (see :func:`is_hashed_piecewise`).
    """
    settings: dict[str, Any] = {
        "version": 1,
        "core": {"allowed_network_hosts": [], "backing_store_memory_threshold_in_mb": _HELD_BYTES // 2**20},
        "verify": {
            "verify_after_reading": True,
            "verify_after_sign": True,
            "verify_trust": True,
            "verify_timestamp_trust": True,
            "ocsp_fetch": False,
            "remote_manifest_fetch": False,
        },
        "builder": {
            "thumbnail": {"enabled": False},  # a thumbnail of the footage would show the hidden face
            "bmff_hash_exclude_free_and_skip_boxes": False,  # the standard lets them out; so nothing can hide in them
        },
    }
    trust: dict[str, Any] = {}
    if trusted_pem:
        trust["trust_anchors"] = trusted_pem
    if time_pem:
        trust["anchors"] = [{"trust_anchors": time_pem, "trust_kind": "tsa", "trust_uri": "time"}]
    if trust:
        settings["trust"] = trust
    if piecewise:
        settings["core"]["merkle_tree_chunk_size_in_kb"] = PIECE_BYTES // 1024
    return c2pa.Context.from_dict(settings)


def is_hashed_piecewise(path: Path) -> bool:
    """Whether a film's credentials are to have a tree of hashes (C2PA's Merkle tree) and not one hash of all its bytes.

    For the one hash the library reads up to 512 MB into the memory. Of MP4 and MOV alone there are trees, and it makes
    them right (0.38.1) where all pictures and sound lie in one box, as in whatever we write.

    Raises:
        OSError: the file cannot be read.
    """
    if path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        return False
    lengths = [length for name, length in _outer_boxes(path) if name in (b"mdat", b"moof")]
    return len(lengths) == 1 and lengths[0] > PIECE_BYTES


def _outer_boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Type and length of each outermost box (ISO/IEC 14496-12, 4.2)."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        position = 0
        while position + 8 <= size:
            stream.seek(position)
            header = stream.read(16)
            length = int.from_bytes(header[:4], "big")
            if length == 1:  # a longer one follows
                length = int.from_bytes(header[8:16], "big")
            length = max(length, 8) if length else size - position  # 0: to the end
            yield header[4:8], length
            position += length


def read_store(
    path: Path, trusted_pem: str = "", *, time_pem: str = "", kind: str | None = None
) -> dict[str, Any] | None:
    """The manifest store of a file with the library's checks, as ``c2pa.Reader.json`` words it.

    A kind of file that cannot hold them has them beside itself (see :func:`sidecar_path`).

    Args:
        path: a media file.
        trusted_pem: see :func:`context`.
        time_pem: likewise.
        kind: MIME type, where the suffix does not tell.

    Returns:
        The store; under :data:`VALIDITY` also from when to when the certificate is valid. None when there are no
        credentials, neither in the file nor beside it.

    Raises:
        c2pa.C2paError: the file or its credentials cannot be parsed, or the credentials lie on the network.
        OSError: the file cannot be read.
    """
    kind = kind or _true_type(path)
    manifest = None if kind in _EMBEDDED.values() else _read_sidecar(path)
    if manifest is None and kind in _BESIDE.values():
        return None
    with path.open("rb") as stream:
        return read_store_of(stream, kind, manifest, trusted_pem, time_pem)


def read_store_of(
    stream: BinaryIO, kind: str | None, manifest: bytes | None, trusted_pem: str, time_pem: str = ""
) -> dict[str, Any] | None:
    """Like :func:`read_store` for an open file; ``manifest`` is what lies beside it, None where it is inside."""
    with ExitStack() as stack:
        settings = stack.enter_context(context(trusted_pem, time_pem))
        try:
            reader = stack.enter_context(c2pa.Reader(kind, stream, manifest, context=settings))
        except c2pa.C2paError.ManifestNotFound:
            return None
        store = json.loads(reader.json())
        if not isinstance(store, dict):
            raise c2pa.C2paError("the manifest store is not an object")
        store[VALIDITY] = _validity(json.loads(reader.crjson()), store.get("active_manifest"))
    return store


def parent_beside(path: Path, trusted_pem: str) -> tuple[dict[str, Any], str, bytes]:
    """The credentials that lie beside a parent, for its child's; c2pa by itself takes along embedded ones only.

    Args:
        path: a media file of a kind that has its credentials beside it.
        trusted_pem: see :func:`context`; the child keeps what its signer found, which verification compares.

    Returns:
        Members of the ingredient, the name of the resource that they refer to, and that: the manifest store.

    Raises:
        c2pa.C2paError: there are none, or they cannot be parsed.
        OSError: the file or its sidecar cannot be read.
    """
    manifest, store = _read_sidecar(path), read_store(path, trusted_pem)
    if manifest is None or store is None:
        raise c2pa.C2paError(f"there are no credentials beside {path.name}")
    name = "parent.c2pa"
    told = {
        "active_manifest": store["active_manifest"],
        "validation_results": store["validation_results"],
        "manifest_data": {"format": STORE_TYPE, "identifier": name},
    }
    return told, name, manifest


def _validity(told: Any, label: object) -> list[str] | None:
    """From when to when the active manifest's certificate is valid, or None where that is not told."""
    try:
        [manifest] = [one for one in told["manifests"] if one["label"] == label]
        validity = manifest["signature"]["certificateInfo"]["validity"]
        return [str(validity[key]) for key in ("notBefore", "notAfter")]
    except (KeyError, TypeError, ValueError):
        return None


def is_elsewhere(error: c2pa.C2paError | None) -> bool:
    """Whether an error of :func:`read_store` says that the credentials lie on the network (they are never fetched)."""
    # 0.38.1 has a class for it and raises the base class.
    return isinstance(error, c2pa.C2paError.RemoteManifest) or str(error).startswith("Remote: must fetch")


def _read_sidecar(path: Path) -> bytes | None:
    beside = sidecar_path(path)
    if beside == path or not beside.is_file():
        return None
    if beside.stat().st_size > _SIDECAR_LIMIT:
        raise c2pa.C2paError(f"{beside.name} is too large to be a manifest store")
    return beside.read_bytes()


def has_remains(path: Path) -> bool:
    """Whether pieces of a manifest store are in a file, or beside it, that c2pa does not recognise.

    Raises:
        OSError: the file cannot be read.
    """
    if media_type(path) in _BESIDE.values() and sidecar_path(path).is_file():
        return True
    longest = max(map(len, _STORE_MARKS))
    with path.open("rb") as stream:
        tail = b""
        while block := stream.read(_BLOCK):  # piece by piece: the file may be larger than the memory
            data = tail + block
            if _IN_ALL_MARKS in data and any(mark in data for mark in _STORE_MARKS):  # one search, not three
                return True
            tail = data[1 - longest :]
    return False


def codes(results: Any, group: str) -> frozenset[str]:
    """The codes of one group (``success``, ``informational``, ``failure``) in one manifest's results."""
    entries = results.get(group) if isinstance(results, dict) else None
    return frozenset(str(entry.get("code")) for entry in entries or () if isinstance(entry, dict))


def stored_manifest(path: Path, limit: int) -> bytes | None:
    """The bytes of the manifest store in a file, or beside it.

    Args:
        path: a media file, whose credentials hold.
        limit: most bytes.

    Returns:
        None where there is none in one piece (the pieces in a JPEG are put together), or a larger one.

    Raises:
        c2pa.C2paError, OSError: the file or its sidecar cannot be read.
    """
    if media_type(path) in _BESIDE.values():
        manifest = _read_sidecar(path)
        return manifest if manifest is not None and len(manifest) <= limit else None
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as file:
        data = _jumbf_of_jpeg(file) if media_type(path) == "image/jpeg" else file
        # ISO/IEC 19566-5: length and type of the box, then length and type of the description inside.
        begin = data.find(_STORE_MARKS[0]) - 12
        if begin < 0 or data[begin + 4 : begin + 8] != b"jumb":
            return None
        length = int.from_bytes(data[begin : begin + 4], "big")
        whole = data[begin : begin + length] if length <= limit else b""
    return whole if len(whole) == length else None


def _jumbf_of_jpeg(data: mmap.mmap) -> bytes:
    """The boxes in a JPEG's APP11 segments, one after the other, each put together of its segments.

    JPEG XT (ISO/IEC 18477-3): after marker and length come ``JP``, the box's number (2 bytes), the piece's number
    (4 bytes), then length and type of the box, repeated in each piece, and a part of its content.
    """
    pieces: dict[bytes, dict[int, bytes]] = {}
    place = 2
    while (marker := data[place : place + 2])[:1] == b"\xff" and marker[1:] not in (b"\xda", b"\xd9", b""):
        if marker == b"\xff\xff":  # a fill byte
            place += 1
            continue
        ends = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place + 4 : ends]
        if marker == b"\xff\xeb" and segment[:2] == b"JP":
            pieces.setdefault(segment[2:4], {})[int.from_bytes(segment[4:8], "big")] = segment[8:]
        place = ends
    boxes = []
    for numbered in pieces.values():
        first, *others = (numbered[number] for number in sorted(numbered))
        header = 16 if first[:4] == b"\x00\x00\x00\x01" else 8  # a length of eight bytes follows the type
        boxes.append(first + b"".join(other[header:] for other in others))
    return b"".join(boxes)


def failure_codes(results: Any) -> set[str]:
    """The failure codes in a ``validation_results`` object: of the active manifest and of its ingredients' changes."""
    if not isinstance(results, dict):
        return set()
    groups = [results.get("activeManifest")]
    for delta in results.get("ingredientDeltas") or ():
        groups.append(delta.get("validationDeltas") if isinstance(delta, dict) else None)
    return {code for group in groups for code in codes(group, "failure")}
