"""Files that are no render of ours, and certificates that are not what they seem."""

from __future__ import annotations

import dataclasses
import io
import struct
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import c2pa
import pytest
from forge import with_png_store
from tamper_world import World

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
        return verify_file(path, trusted_pem=trusted_pem, time_pem="", search_watermark=False)

    return run


def answers(result: Verification) -> tuple[str, str]:
    return result.integrity.state, result.verdict


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


def test_remains_of_credentials_in_a_file_that_is_no_picture_any_more(world: World, verify) -> None:
    assert answers(verify(b"\x00" + world.jpg[1:], "f.jpg")) == ("broken", "broken")
    assert answers(verify(b"packed: " + world.jpg, "f.tar")) == ("absent", "unproven")  # what is inside, is inside


def test_remains_are_found_wherever_they_lie_and_without_reading_the_file_whole(tmp_path: Path) -> None:
    store = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
    for at in (0, 2**20 - 5, 2**20, 3 * 2**20 + 7):
        path = tmp_path / "f.mp4"
        path.write_bytes(bytes(at) + store + bytes(9))
        assert credentials.has_remains(path)
        path.write_bytes(bytes(at) + store[:-1] + bytes(9))
        assert not credentials.has_remains(path)


def test_cut_off_unmarked_footage(verify: Callable[..., Verification], footage: Path) -> None:
    data = footage.read_bytes()
    assert verify(data[: len(data) // 2]).verdict == "unproven"
    assert answers(verify(data[:2000])) == ("unreadable", "unproven")


@pytest.mark.parametrize(
    ("payload", "sidecar", "state"), [(b"other", True, "differs"), (b"other", False, "found"), (None, True, "missing")]
)
def test_a_transplanted_watermark(
    payload: bytes | None, sidecar: bool, state: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of another render beside credentials that state this one's, and alone in a genuine picture."""
    from countenance.provenance import watermark

    path = tmp_path / "f.png"
    path.write_bytes(world.png if sidecar else with_png_store(world.png, None))
    found = watermark.WatermarkFinding(payload, 9.0 if payload else 0.0, "")
    monkeypatch.setattr(watermark, "find_watermark", lambda _frames, _secret: found)
    monkeypatch.setattr(watermark, "frames_to_search", lambda _path: iter(()))
    result = verify_file(path, trusted_pem=world.identity.authority_pem, time_pem="")
    assert (result.marks.watermark.state, result.verdict) == (state, "holds" if state == "missing" else "unproven")


@pytest.mark.parametrize(
    ("public", "state", "says"),
    [(b"\1\2\3\4\5", "differs", "says 0102030405"), (None, "differs", "not found"), (b"other", "differs", "the same")],
)
def test_the_secret_watermark_has_the_last_word(
    public: bytes | None, state: str, says: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public mark was taken off, or this file's was put on the picture of another render."""
    from countenance.provenance import watermark

    path = tmp_path / "f.png"
    path.write_bytes(world.png)
    found = watermark.WatermarkFinding(public, 9.0, "", secret_payload=b"other")
    monkeypatch.setattr(watermark, "find_watermark", lambda _frames, secret: found if secret == b"s" * 32 else None)
    monkeypatch.setattr(watermark, "frames_to_search", lambda _path: iter(()))
    result = verify_file(path, trusted_pem=world.identity.authority_pem, time_pem="", secret=b"s" * 32)
    assert (result.marks.watermark.state, result.verdict) == (state, "unproven")
    assert says in result.marks.watermark.sentence


class TestCertificates:
    def forge(
        self, swap: Path, claim: RenderClaim, identity: SigningIdentity, *, remote: str | None = None, **change: object
    ) -> bytes:
        definition = manifest_definition(claim, "video/mp4", "none") | change
        definition["ingredients"] = [footage_ingredient("video/mp4"), *definition["ingredients"]]
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
        assert "no render of Countenance" in result.consent.then.sentence

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
