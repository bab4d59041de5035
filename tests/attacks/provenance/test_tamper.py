"""Files that somebody changed: what verification must answer, and what the standard itself cannot see."""

from __future__ import annotations

import dataclasses
import io
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import av
import c2pa
import pytest

from countenance.provenance import credentials
from countenance.provenance import identity as identities
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim, footage_ingredient, manifest_definition
from countenance.provenance.report import Verification
from countenance.provenance.verify import verify_file


@pytest.fixture
def verify(identity: SigningIdentity, tmp_path: Path) -> Callable[..., Verification]:
    def run(data: bytes, name: str = "file.mp4", *, trusted_pem: str = identity.authority_pem) -> Verification:
        path = tmp_path / name
        path.write_bytes(data)
        return verify_file(path, trusted_pem=trusted_pem, search_watermark=False)

    return run


def boxes(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Type, start and end of the top-level boxes of an MP4."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind.decode("latin-1"), at, at + size
        at += size


def box(data: bytes, kind: str) -> tuple[int, int]:
    return next((start, end) for name, start, end in boxes(data) if name == kind)


def answers(result: Verification) -> tuple[str, str]:
    return result.integrity.state, result.verdict


def test_a_flipped_bit_in_every_box(verify: Callable[..., Verification], signed: Path) -> None:
    data = signed.read_bytes()
    seen = []
    for kind, start, end in boxes(data):
        for place in {start + 9, (start + end) // 2, end - 1} - {end + 1}:
            if place >= end:
                continue
            changed = bytearray(data)
            changed[place] ^= 1
            seen.append((kind, answers(verify(bytes(changed)))))
    # C2PA leaves `ftyp` and `free` out of its hash (BMFF exclusion list): the standard cannot see a change there.
    assert {kind for kind, answer in seen if answer == ("broken", "broken")} >= {"uuid", "moov", "mdat"}
    assert {kind for kind, answer in seen if answer != ("broken", "broken")} <= {"ftyp", "free", "uuid"}


def test_manifest_bytes(verify: Callable[..., Verification], signed: Path) -> None:
    """Wherever a byte of the manifest store is changed: broken, or (in the signature's padding) nothing changed."""
    data = signed.read_bytes()
    start, end = box(data, "uuid")
    padding = 0
    for place in range(start + 24, end, 41):
        changed = bytearray(data)
        changed[place] ^= 0x10
        result = verify(bytes(changed))
        if result.verdict == "holds":
            assert data[place] == 0  # zeros that fill up the signature's box; C2PA does not sign them
            padding += 1
        else:
            assert result.verdict == "broken", place
    assert padding < (end - start) / 41 / 2


@pytest.mark.parametrize("lie", [b"urn:uuid:3f0e9bb2", b"9f9f9f9f9f", b"double", b"notAllowed", b"Footage"])
def test_edited_statements(verify: Callable[..., Verification], signed: Path, lie: bytes) -> None:
    data = signed.read_bytes()
    assert lie in data
    result = verify(data.replace(lie, lie[:-1] + b"X"))
    assert answers(result) == ("broken", "broken")
    assert result.claim is None
    assert result.consent.then.state == "not_relied_on"
    assert result.trust.state == "not_relied_on"


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_cut_off(verify: Callable[..., Verification], signed: Path, keep: float) -> None:
    data = signed.read_bytes()
    assert answers(verify(data[: int(len(data) * keep)])) == ("broken", "broken")


def test_cut_off_within_the_manifest(verify: Callable[..., Verification], signed: Path) -> None:
    assert answers(verify(signed.read_bytes()[:2000])) == ("broken", "broken")


def test_appended(verify: Callable[..., Verification], signed: Path) -> None:
    assert answers(verify(signed.read_bytes() + b"more")) == ("broken", "broken")


def test_what_the_standard_cannot_see(verify: Callable[..., Verification], signed: Path) -> None:
    """Named in docs/reference/verification.md: boxes that C2PA leaves out of its hash."""
    data = signed.read_bytes()
    brand = bytearray(data)
    brand[box(data, "ftyp")[1] - 1] ^= 1
    for changed in (bytes(brand), data + struct.pack(">I4s8s", 16, b"free", b"unhashed")):
        assert answers(verify(changed)) == ("intact", "holds")


def test_stripped(verify: Callable[..., Verification], signed: Path) -> None:
    data = signed.read_bytes()
    start, end = box(data, "uuid")
    result = verify(data[:start] + data[end:])
    assert answers(result) == ("absent", "unproven")
    assert "does not mean that it is genuine" in result.integrity.sentence


def test_manifest_of_another_file(verify: Callable[..., Verification], signed: Path, footage: Path) -> None:
    data, other = signed.read_bytes(), footage.read_bytes()
    start, end = box(data, "uuid")
    _, after_type = box(other, "ftyp")
    result = verify(other[:after_type] + data[start:end] + other[after_type:])
    assert answers(result) == ("broken", "broken")


def test_sidecar_of_another_file(
    verify: Callable[..., Verification], sign: Callable[..., Path], swap: Path, footage: Path, tmp_path: Path
) -> None:
    clips = []
    for number, source in enumerate((swap, footage)):
        clip = tmp_path / f"u{number}.mkv"
        with av.open(str(source)) as container, av.open(str(clip), "w") as out:
            stream = out.add_stream_from_template(container.streams.video[0])
            for packet in container.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        clips.append(sign(tmp_path / f"scene{number}.mkv", unsigned=clip))
    good = [verify_file(clip, trusted_pem="", search_watermark=False) for clip in clips]
    assert [result.integrity.state for result in good] == ["intact", "intact"]
    shutil.copy(tmp_path / "scene0.c2pa", tmp_path / "scene1.c2pa")
    assert answers(verify_file(clips[1], search_watermark=False, trusted_pem="")) == ("broken", "broken")
    (tmp_path / "scene1.c2pa").write_bytes(b"garbage")
    assert answers(verify_file(clips[1], search_watermark=False, trusted_pem="")) == ("broken", "broken")
    (tmp_path / "scene1.c2pa").unlink()
    assert answers(verify_file(clips[1], search_watermark=False, trusted_pem="")) == ("absent", "unproven")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("text.mp4", b"This is not a video. " * 50),
        ("empty.mp4", b""),
        ("empty.png", b""),
        ("zeros.mov", bytes(4096)),
        ("huge_box.mp4", struct.pack(">I4s", 0xFFFFFFFF, b"ftyp") + b"isom" * 4),
    ],
)
def test_not_media(verify: Callable[..., Verification], name: str, data: bytes) -> None:
    result = verify(data, name)
    assert answers(result) == ("unreadable", "unproven")
    assert "says nothing on what it shows" in result.integrity.sentence


@pytest.mark.parametrize("name", ["notes.txt", "noext", "data.bin", "film.mkv", "archive.tar", "text.jpg"])
def test_kinds_without_credentials(verify: Callable[..., Verification], name: str) -> None:
    assert answers(verify(b"plain words " * 20, name)) == ("absent", "unproven")


def test_text_is_searched_for_a_watermark_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("hello")
    assert verify_file(path, trusted_pem="").marks.watermark.state == "unreadable"


def test_cut_off_unmarked_footage(verify: Callable[..., Verification], footage: Path) -> None:
    data = footage.read_bytes()
    assert verify(data[: len(data) // 2]).verdict == "unproven"
    assert answers(verify(data[:2000])) == ("unreadable", "unproven")


class TestCertificates:
    def forge(
        self, swap: Path, claim: RenderClaim, identity: SigningIdentity, *, remote: str | None = None, **change: object
    ) -> bytes:
        definition = manifest_definition(claim, "video/mp4", "none") | change
        definition["ingredients"] = [footage_ingredient("video/mp4")]
        with credentials.context(identity.authority_pem) as settings, c2pa.Builder(definition, settings) as builder:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if remote is not None:
                builder.set_remote_url(remote)
                builder.set_no_embed()
            out = io.BytesIO()
            with swap.open("rb") as source, identity.signer() as signer:
                builder.sign(signer, "video/mp4", source, out)
        return out.getvalue()

    @pytest.fixture
    def authority(self) -> tuple:
        key = identities.ec.generate_private_key(identities.ec.SECP256R1())
        return key, identities._issue_authority(key, datetime.now(UTC))

    def made(self, authority: tuple, signer: tuple) -> SigningIdentity:
        pem = identities._certificate_pem
        return SigningIdentity(pem(signer[1]) + pem(authority[1]), pem(authority[1]), identities._key_pem(signer[0]))

    def test_expired_since(self, verify, swap: Path, claim: RenderClaim, authority: tuple) -> None:
        almost_over = datetime.now(UTC) - timedelta(days=3650) + timedelta(seconds=2)
        short = self.made(authority, identities._issue_signer(*authority, almost_over))
        data = self.forge(swap, claim, short)
        assert verify(data, trusted_pem=short.authority_pem).trust.state == "trusted"
        time.sleep(3.5)
        result = verify(data, trusted_pem=short.authority_pem)
        assert (result.integrity.state, result.trust.state, result.verdict) == ("intact", "expired", "unproven")
        changed = bytearray(data)
        changed[-1000] ^= 1
        assert verify(bytes(changed), trusted_pem=short.authority_pem).verdict == "broken"

    def test_impostor_with_our_names(self, verify, swap: Path, claim: RenderClaim, authority: tuple) -> None:
        """Same words in the certificate, other key: what counts is the key."""
        impostor = self.made(authority, identities._issue_signer(*authority, datetime.now(UTC)))
        result = verify(self.forge(swap, claim, impostor))
        assert (result.integrity.state, result.trust.state, result.verdict) == ("intact", "unknown_signer", "unproven")

    def test_our_authority_appended_to_a_foreign_chain(
        self, verify, swap: Path, claim: RenderClaim, authority: tuple, identity: SigningIdentity
    ) -> None:
        foreign = self.made(authority, identities._issue_signer(*authority, datetime.now(UTC)))
        data = self.forge(swap, claim, foreign)
        mixed = data.replace(b"Countenance local signer", b"Countenance local signeR")
        assert verify(mixed).verdict == "broken"
        padded = dataclasses.replace(foreign, chain_pem=foreign.chain_pem + identity.authority_pem)
        try:
            data = self.forge(swap, claim, padded)
        except c2pa.C2paError:
            return  # the library does not even sign with such a chain
        assert verify(data).trust.state == "unknown_signer"

    def test_trusted_signer_without_our_statement(self, verify, swap: Path, claim: RenderClaim, identity) -> None:
        definition = manifest_definition(claim, "video/mp4", "none")
        only = [a for a in definition["assertions"] if a["label"] != "org.countenance.consent"]
        result = verify(self.forge(swap, claim, identity, assertions=only))
        assert (result.integrity.state, result.trust.state) == ("intact", "trusted")
        assert (result.consent.then.state, result.verdict) == ("absent", "unproven")

    def test_strange_names_do_not_reach_the_terminal(self, verify, swap, claim, monkeypatch) -> None:
        monkeypatch.setattr(identities, "_name", self.evil_name)
        key = identities.ec.generate_private_key(identities.ec.SECP256R1())
        authority = key, identities._issue_authority(key, datetime.now(UTC))
        evil = self.made(authority, identities._issue_signer(*authority, datetime.now(UTC)))
        sentence = verify(self.forge(swap, claim, evil)).trust.sentence
        assert sentence.isprintable()
        assert len(sentence) < 400

    @staticmethod
    def evil_name(common_name: str) -> identities.x509.Name:
        text = "\x1b[2J\u202egro.elpmaxe " + "{record_id} %s " + "x" * 20
        oid = identities.NameOID
        return identities.x509.Name(
            [
                identities.x509.NameAttribute(oid.ORGANIZATION_NAME, text),
                identities.x509.NameAttribute(oid.COMMON_NAME, common_name[:20] + text[:30]),
            ]
        )

    def test_nothing_is_fetched_from_the_network(self, verify, swap, claim, identity: SigningIdentity) -> None:
        asked: list[str] = []

        class Server(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                return

        with HTTPServer(("127.0.0.1", 0), Server) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                url = f"http://127.0.0.1:{server.server_port}/manifest.c2pa"
                data = self.forge(swap, claim, identity, remote=url)
                assert b"manifest.c2pa" in data
                result = verify(data)
            finally:
                server.shutdown()
                thread.join()
        assert asked == []
        assert (result.integrity.state, result.verdict) == ("elsewhere", "unproven")
