"""A film of hours is signed as a clip of seconds is: piece by piece, within the same memory, in its own folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import c2pa
import pytest

from countenance.memory import peak_rss_bytes
from countenance.provenance import credentials
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.label import LABEL_TEXT
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file

HERE = Path(__file__)
SHORT_MB, LONG_MB = 1, 128
PROOF = bytes([0xD8, 0xFE, 0xC3, 0xD6, 0x1B, 0x0E, 0x48, 0x3C, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7E, 0xC4, 0x81]) + (
    b"\0\0\0\0merkle\0"
)  # C2PA 2.x, A.5.2: the box of a leaf
MOST_GROWTH_MB = 32  # leaves, their hashes, and what the allocator keeps; the file would be four times that


def lengthened(clip: Path, target: Path, megabytes: int) -> Path:
    """The clip with so many MB of zeros, which take no disk, after the pictures in their box, its last one."""
    shutil.copy(clip, target)
    box, end = pictures(clip.read_bytes())
    assert end == clip.stat().st_size
    size = megabytes * 2**20
    with target.open("r+b") as stream:
        stream.seek(box - 8)
        stream.write((end - box + 8 + size).to_bytes(4, "big"))
        stream.truncate(end + size)
    return target


def pictures(film: bytes) -> tuple[int, int]:
    """Where in a film the contents of the box begin and end that has its pictures."""
    begin = film.rindex(b"mdat") + 4
    return begin, begin - 8 + int.from_bytes(film[begin - 8 : begin - 4], "big")


def found(film: bytes, mark: bytes) -> list[int]:
    """Where a mark is found in a film."""
    return [match.start() for match in re.finditer(re.escape(mark), film)]


def child(folder: Path, clip: Path, suffix: str) -> None:
    """Sign a short file and then a long one; print the most memory that was taken up to the end of each, in MB."""
    from datetime import UTC, datetime

    identity = SigningIdentity.load_or_create(folder / "home")
    claim = RenderClaim("urn:uuid:0", "0" * 64, "research", datetime.now(UTC), "swift", LABEL_TEXT, b"12345")
    for megabytes in (SHORT_MB, LONG_MB):
        draft = lengthened(clip, folder / f"draft{suffix}", megabytes)
        sign_file(draft, folder / f"{megabytes}{suffix}", parent=clip, claim=claim, identity=identity)
        sys.stdout.write(f"{(peak_rss_bytes() or 0) // 2**20}\n")


@pytest.mark.skipif(peak_rss_bytes() is None, reason="the system does not tell a process's memory")
def test_the_length_of_a_film_takes_no_memory(swap: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE), str(tmp_path), str(swap), ".mp4"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    short, long = (int(word) for word in done.stdout.split())
    assert long - short < MOST_GROWTH_MB, (short, long)


def test_the_copies_lie_beside_the_output(
    sign: Callable[..., Path], swap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system's own folder for them is, there may be no room, or no encryption; here there is no folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    long = lengthened(swap, tmp_path / "long.mp4", 24)
    sign(tmp_path / "signed.mp4", unsigned=long)
    assert os.environ["TMPDIR"] == str(tmp_path / "gone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mp4", "signed.mp4"]


class TestTree:
    """Many leaves: whatever is done to one of them, or to their order or number, shows."""

    LEAF = 16 * 1024

    @pytest.fixture
    def whole(self, sign: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
        monkeypatch.setattr(credentials, "PIECE_BYTES", self.LEAF)
        return sign(tmp_path / "film.mp4").read_bytes()

    def changes(self, whole: bytes, begin: int, end: int) -> Iterator[tuple[str, bytes]]:
        leaf = self.LEAF
        leaves = (end - begin) // leaf
        assert leaves > 32
        for number in range(0, leaves + 1, leaves // 8):
            for place in {begin + number * leaf, min(begin + number * leaf + leaf - 1, end - 1)}:
                if place < end:
                    yield f"byte {place}", whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        one, two, three = (begin + number * leaf for number in (3, 4, 5))
        yield "two leaves swapped", whole[:one] + whole[two:three] + whole[one:two] + whole[three:]
        yield "a leaf twice", whole[:two] + whole[one:two] + whole[three:]
        yield "last byte cut", whole[: end - 1] + whole[end:]
        proofs = [place - 4 for place in found(whole, b"uuid" + PROOF)]
        assert len(proofs) > 32
        for box in proofs[: len(proofs) // 2 : len(proofs) // 4]:  # the last ones end in padding, which says nothing
            length = int.from_bytes(whole[box : box + 4], "big")
            for place in range(box, box + length, 11):
                yield f"byte {place - box} of a proof", whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            yield "a proof cut out", whole[:box] + whole[box + length :]
            yield "a proof twice", whole[: box + length] + whole[box:]
        for size, what in ((-leaf, "a leaf fewer"), (leaf, "a leaf more")):
            head = (end - begin + 8 + size).to_bytes(4, "big")
            inner = whole[begin : end + size] if size < 0 else whole[begin:end] + whole[end - leaf : end]
            yield what, whole[: begin - 8] + head + whole[begin - 4 : begin] + inner + whole[end:]

    def test_every_change_shows(self, whole: bytes, identity: SigningIdentity, tmp_path: Path) -> None:
        path = tmp_path / "film.mp4"
        store = credentials.read_store(path, identity.authority_pem)
        assert store is not None
        assert store["validation_state"] == "Trusted"
        for what, changed in self.changes(whole, *pictures(whole)):
            path.write_bytes(changed)
            try:
                store = credentials.read_store(path, identity.authority_pem) or {}
            except c2pa.C2paError:
                continue  # it is no such film any more, which shows as well
            failures = credentials.failure_codes(store.get("validation_results"))
            assert failures & credentials.FAILURES_OF_BINDING, (what, failures)


if __name__ == "__main__":
    child(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
