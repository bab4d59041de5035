"""What can be done to a signed file, and what verification must answer: the one list that tests and page share."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING
from unittest.mock import patch

from boxes import jpeg_segments, jumbf_boxes, jumbf_headers, mp4_boxes, mp4_store, padding
from chains import CHAINS, EXPIRED, Chain
from cryptography.x509.oid import ExtendedKeyUsageOID
from forge import box_content, png_chunks, png_store, with_png_store
from timestamps import restamped

if TYPE_CHECKING:
    from tamper_world import World

Files = Mapping[str, bytes]
"""What lies in the folder; the first is verified."""

BROKEN, UNPROVEN, HOLDS = "broken", "unproven", "holds"


@dataclass(frozen=True)
class Case:
    """``make`` gives the files, as often as there are variants; ``states`` what the layers must say, where it matters.

    ``unseen``: the standard itself does not see this change.
    """

    name: str
    what: str
    verdict: str
    make: Callable[[World], Iterator[Files]]
    states: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unseen: str = ""


def flipped(data: bytes, at: int, bits: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= bits
    return bytes(changed)


def _places(start: int, end: int) -> set[int]:
    """In a box or chunk: its size, its type, its content's begin, middle and end."""
    return {at for at in (start + 2, start + 5, start + 8, (start + 8 + end) // 2, end - 1) if start <= at < end}


def _mp4_flips(world: World) -> Iterator[Files]:
    data = world.mp4
    for path, start, end in mp4_boxes(data):
        content = path[0] in ("ftyp", "uuid")
        places = {start + 5} if content else _places(start, end)  # their content has cases of its own
        yield from ({"f.mp4": flipped(data, at)} for at in sorted(places))


def _store_flips(world: World) -> Iterator[Files]:
    """A bit in the content of every box of the manifest store: claim, each assertion, signature."""
    data = world.mp4
    start, store = mp4_store(data)
    for label, begins, ends in jumbf_boxes(store):
        quiet = padding(store) if label == "c2pa.signature" else range(0)
        places = {begins, (3 * begins + ends) // 4, ends - 1} - set(quiet)
        yield from ({"f.mp4": flipped(data, start + at, 0x10)} for at in sorted(places))


def _store_headers(world: World) -> Iterator[Files]:
    start, store = mp4_store(world.mp4)
    yield from ({"f.mp4": flipped(world.mp4, start + at)} for at in jumbf_headers(store))
    yield {"f.mp4": flipped(world.mp4, start + padding(store)[400])}


def _chunk_flips(world: World) -> Iterator[Files]:
    for kind, start, end in png_chunks(world.png):
        places = {start + 2, start + 5, end - 4, (start + end) // 2} if kind != "caBX" else {start + 2, start + 5}
        yield from ({"f.png": flipped(world.png, at)} for at in sorted(places))


def _segment_flips(world: World) -> Iterator[Files]:
    for kind, start, end in jpeg_segments(world.jpg):
        places = {start, start + 1} if kind in ("SOI", "EOI", "APP11") else _places(start, end)
        yield from ({"f.jpg": flipped(world.jpg, at)} for at in sorted(places))


def _cut(world: World) -> Iterator[Files]:
    for name, data in (("f.mp4", world.mp4), ("f.png", world.png), ("f.jpg", world.jpg)):
        yield from ({name: data[:size]} for size in (len(data) // 20, len(data) // 2, len(data) - 20, len(data) - 1))


def _appended(world: World) -> Iterator[Files]:
    for name, data in (("f.mp4", world.mp4), ("f.png", world.png), ("f.jpg", world.jpg)):
        yield {name: data + b"more"}
    for kind in (b"free", b"skip", b"mdat"):
        yield {"f.mp4": world.mp4 + struct.pack(">I4s8s", 16, kind, b"unhashed")}


def _inserted(world: World) -> Iterator[Files]:
    body = b"tEXt" + b"Comment\0true"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    yield {"f.png": world.png[:33] + chunk + world.png[33:]}
    yield {"f.jpg": world.jpg[:2] + b"\xff\xfe" + struct.pack(">H4s", 6, b"true") + world.jpg[2:]}


def _remuxed(world: World) -> Iterator[Files]:
    yield {"f.mp4": world.remuxed}


def _remuxed_with_credentials(world: World) -> Iterator[Files]:
    box = world.credentials_box(world.mp4)
    data = world.remuxed
    after = next(end for path, _, end in mp4_boxes(data) if path == ("ftyp",))
    yield {"f.mp4": data[:after] + box + data[after:]}


def _stripped(world: World) -> Iterator[Files]:
    yield {"f.mp4": world.mp4.replace(world.credentials_box(world.mp4), b"")}
    yield {"f.png": with_png_store(world.png, None)}
    yield {"f.jpg": b"".join(world.jpg[a:b] for kind, a, b in jpeg_segments(world.jpg) if kind != "APP11")}


def _swapped(world: World) -> Iterator[Files]:
    own, others = world.credentials_box(world.mp4), world.credentials_box(world.other_mp4)
    yield {"f.mp4": world.mp4.replace(own, others)}
    yield {"f.png": with_png_store(world.png, png_store(world.other_png))}
    yield {"f.mkv": world.mkv, "f.c2pa": world.other_sidecar}


def _renamed(world: World) -> Iterator[Files]:
    for data in (world.mp4, world.png, world.jpg):
        yield from ({name: data} for name in ("f.mkv", "f.webm", "f.exr", "f.png", "f.avi", "f.txt", "f"))


def _sidecars(world: World) -> Iterator[Files]:
    for at in (0, len(world.mkv) // 2):
        yield {"f.mkv": flipped(world.mkv, at), "f.c2pa": world.sidecar}
    yield {"f.mkv": world.mkv, "f.c2pa": flipped(world.sidecar, len(world.sidecar) // 3, 0x10)}
    yield {"f.mkv": world.mkv, "f.c2pa": world.sidecar[:500]}
    yield {"f.mkv": world.mkv, "f.c2pa": b"garbage"}


def _statements(world: World) -> Iterator[Files]:
    lies = (b"urn:uuid:3f0e9bb2", b"9f" * 32, b"5c" * 32, b"double", b"in force", b"notAllowed", b"Footage", b"ECAwQFA")
    for lie in lies:
        if lie in world.mp4:
            yield {"f.mp4": world.mp4.replace(lie, lie[:-1] + b"X")}


def _png(*, signed: bytes) -> Iterator[Files]:
    yield {"f.png": signed}


def _certificate(**change: object) -> Callable[[World], Iterator[Files]]:
    return lambda world: _png(signed=world.authority.exchanged(world.png, world.identity, **change))


def _chain(chain: Chain) -> Case:
    def make(world: World) -> Iterator[Files]:
        with patch("countenance.provenance.sign._require_trusted"):  # our signer makes none that does not hold
            yield {"f.png": world.signed_png(by=chain.make(world.authority))}

    if chain.trusted:
        return Case(chain.name, chain.what, HOLDS, make, SIGNED)
    return Case(chain.name, chain.what, UNPROVEN, make, NOT_BYTES | {"trust": "unknown_signer"})


def _stamped_chain(days_ago: float) -> Callable[[World], Iterator[Files]]:
    """A timestamp of so many days ago; the intermediate authority's certificate is over now."""

    def make(world: World) -> Iterator[Files]:
        with patch("countenance.provenance.sign._require_trusted"):
            png = world.stamped(world.authority.below(EXPIRED, leaf={"begins": _ago(900)}))
        yield {"f.png": with_png_store(png, restamped(png_store(png), world.clock, _ago(days_ago)))}

    return make


def _ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def _stamped(days_ago: float, **change: object) -> Callable[[World], Iterator[Files]]:
    """A timestamp of so many days ago in a file whose certificate is changed."""

    def make(world: World) -> Iterator[Files]:
        png = world.authority.exchanged(world.stamped_png, world.identity, **change)
        store = restamped(png_store(png), world.clock, _ago(days_ago))
        yield {"f.png": with_png_store(png, store)}

    return make


def _stamp_of_another(world: World) -> Iterator[Files]:
    store = png_store(world.stamped_png)
    signature = box_content(store, b"c2pa.signature")[-64:]
    foreign = restamped(store.replace(signature, signature[::-1]), world.clock, _ago(1))
    yield {"f.png": with_png_store(world.stamped_png, foreign.replace(signature[::-1], signature))}


def _made_in(hours: float) -> Callable[[World], Iterator[Files]]:
    return lambda world: _png(signed=world.signed_png(made_at=datetime.now(UTC) + timedelta(hours=hours)))


def _parents(world: World) -> Iterator[Files]:
    yield {"f.mp4": world.child_of_changed}
    yield {"f.mp4": world.grandchild_of_changed}


def _parent_in_store(world: World) -> Iterator[Files]:
    """The parent's manifest inside the child is edited after signing."""
    start, store = mp4_store(world.child)
    first = store.index(b"9f" * 32)
    assert store.index(b"9f" * 32, first + 1)
    yield {"f.mp4": flipped(world.child, start + first)}


NOT_BYTES = {"integrity": "intact", "signature": "valid"}
SIGNED = NOT_BYTES | {"trust": "trusted"}
LOST = {"integrity": "absent", "signature": "absent", "trust": "absent"}

CASES = [
    Case("untouched", "nothing", HOLDS, lambda world: ({n: d} for n, d in world.untouched()), SIGNED),
    Case("renamed", "MP4, PNG, JPEG: called by a name of another kind of file", HOLDS, _renamed, SIGNED),
    Case("mp4 boxes", "MP4: a bit flipped in any box, in its size, type or content", BROKEN, _mp4_flips),
    Case("store", "MP4: a bit flipped in claim, signature or any assertion of the credentials", BROKEN, _store_flips),
    Case("png chunks", "PNG: a bit flipped in any chunk", BROKEN, _chunk_flips),
    Case("jpeg segments", "JPEG: a bit flipped in any segment", BROKEN, _segment_flips),
    Case(
        "sidecar", "MKV: a bit flipped in the video or in the credentials beside it; these cut off", BROKEN, _sidecars
    ),
    Case("cut off", "MP4, PNG, JPEG: cut off anywhere, be it one byte", BROKEN, _cut),
    Case("appended", "MP4, PNG, JPEG: bytes or boxes appended, `free` and `skip` too", BROKEN, _appended),
    Case("inserted", "PNG, JPEG: a comment inserted", BROKEN, _inserted),
    Case("remuxed", "MP4: copied by FFmpeg into a new MP4, not encoded again", UNPROVEN, _remuxed, LOST),
    Case("remuxed back", "the same, with the old credentials put back", BROKEN, _remuxed_with_credentials),
    Case("stripped", "MP4, PNG, JPEG: the credentials removed cleanly", UNPROVEN, _stripped, LOST),
    Case("no sidecar", "MKV: without the file beside it", UNPROVEN, lambda world: iter([{"f.mkv": world.mkv}]), LOST),
    Case("swapped", "MP4, PNG, MKV: the credentials of another file of the same signer", BROKEN, _swapped),
    Case(
        "statement",
        "the consent statement, the watermark's name or the training permission edited",
        BROKEN,
        _statements,
    ),
    Case(
        "parent changed",
        "footage changed before it was used, one and two generations back",
        UNPROVEN,
        _parents,
        SIGNED | {"parents": "broken"},
    ),
    Case("parent edited", "the parent's credentials edited inside the signed file", BROKEN, _parent_in_store),
    Case(
        "expired",
        "certificate over, no timestamp",
        UNPROVEN,
        _certificate(**EXPIRED),
        NOT_BYTES | {"trust": "outside_validity", "time": "expired"},
    ),
    Case(
        "expired, stamped",
        "certificate over, trusted timestamp from its days",
        HOLDS,
        _stamped(100, **EXPIRED),
        SIGNED | {"time": "stamped"},
    ),
    Case(
        "stamped too late",
        "certificate over, trusted timestamp from after its end",
        UNPROVEN,
        _stamped(5, **EXPIRED),
        NOT_BYTES | {"trust": "outside_validity", "time": "stamped_outside"},
    ),
    Case(
        "foreign stamp",
        "a timestamp over another signature put in",
        UNPROVEN,
        _stamp_of_another,
        {"integrity": "intact", "time": "stamp_broken"},
    ),
    Case(
        "not yet valid",
        "certificate not valid yet",
        UNPROVEN,
        _certificate(begins=_ago(-9), ends=_ago(-100)),
        NOT_BYTES | {"trust": "outside_validity", "time": "not_yet_valid"},
    ),
    Case(
        "wrong use",
        "certificate for code, or for web servers (extended key usage)",
        UNPROVEN,
        lambda world: chain(
            *(
                _certificate(use=use)(world)
                for use in (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH)
            )
        ),
        NOT_BYTES | {"trust": "unfit"},
    ),
    Case(
        "self-signed",
        "certificate signed by itself",
        UNPROVEN,
        _certificate(self_signed=True),
        NOT_BYTES | {"trust": "unknown_signer"},
    ),
    Case(
        "unknown root",
        "certificate of an authority that is not trusted here",
        UNPROVEN,
        lambda world: _png(signed=world.signed_png(by=world.stranger)),
        NOT_BYTES | {"trust": "unknown_signer"},
    ),
    Case(
        "impostor",
        "the same names in certificate and authority, other keys",
        UNPROVEN,
        lambda world: _png(signed=world.signed_png(by=world.impostor)),
        NOT_BYTES | {"trust": "unknown_signer"},
    ),
    *(_chain(chain) for chain in CHAINS),
    Case(
        "between over, stamped",
        "intermediate authority's certificate over, trusted timestamp from its days",
        HOLDS,
        _stamped_chain(100),
        SIGNED | {"time": "stamped"},
    ),
    Case(
        "between over, stamped late",
        "intermediate authority's certificate over, trusted timestamp from after its end",
        UNPROVEN,
        _stamped_chain(5),
        NOT_BYTES | {"trust": "unknown_signer"},
    ),
    Case("clock ahead", "signer's clock a day ahead", UNPROVEN, _made_in(24), SIGNED | {"time": "ahead"}),
    Case("clock near", "signer's clock five minutes ahead", HOLDS, _made_in(0.08), SIGNED | {"time": "stated"}),
    Case(
        "clock and stamp",
        "made, by the signer's word, half a year after its trusted timestamp",
        UNPROVEN,
        _stamped(400, begins=_ago(900), ends=_ago(-100)),
        SIGNED | {"time": "contradicted"},
    ),
    Case(
        "ftyp",
        "MP4: a bit flipped in the content of `ftyp`, the list of brands",
        HOLDS,
        lambda world: ({"f.mp4": flipped(world.mp4, at)} for at in (9, 20, 30)),
        SIGNED,
        unseen="C2PA leaves the box out of its hash. It says which players the file is for.",
    ),
    Case(
        "store headers",
        "a bit flipped in the names of the boxes that the credentials are packed in, or in the zeros that fill up "
        "the signature's box",
        HOLDS,
        _store_headers,
        SIGNED,
        unseen="What the boxes hold is signed, their wrapping is not. Nothing is stated there.",
    ),
    Case(
        "png checksum",
        "PNG: a bit flipped in the checksum of the credentials' chunk",
        HOLDS,
        lambda world: (
            {"f.png": flipped(world.png, end - 1)} for kind, _, end in png_chunks(world.png) if kind == "caBX"
        ),
        SIGNED,
        unseen="The chunk is left out of the hash that it holds.",
    ),
    Case(
        "jpeg numbers",
        "JPEG: a bit flipped in the numbers at the begin of the credentials' segment",
        HOLDS,
        lambda world: (
            {"f.jpg": flipped(world.jpg, start + 7)} for kind, start, _ in jpeg_segments(world.jpg) if kind == "APP11"
        ),
        SIGNED,
        unseen="The segment is left out of the hash that it holds.",
    ),
]
