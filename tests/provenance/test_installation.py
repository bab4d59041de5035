"""An organisation's certificate, keys in a module, timestamps, and whom an installation trusts."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import c2pa
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from forge import Authority, certificate
from PIL import Image
from timestamps import TimestampAuthority

from countenance import api
from countenance.cli import run
from countenance.consent.clock import format_time
from countenance.consent.strict_json import canonical
from countenance.errors import InputError, IntegrityError, MarkError
from countenance.provenance import credentials
from countenance.provenance.identity import SigningIdentity, local_authority_pem
from countenance.provenance.installation import (
    CallbackIdentity,
    forget_organisation,
    set_timestamp_url,
    timestamp_url,
    trust_authorities,
    trusted_authorities,
    use_organisation,
)
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file, sign_sheet
from countenance.provenance.signed_document import read_document, sign_document
from countenance.provenance.verify import verify_file

NEWSROOM = Authority(authority_name="Newsroom authority")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an installation that has made its own identity."""
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    data_dir = tmp_path / "home" / "data"
    SigningIdentity.load_or_create(data_dir)
    return data_dir


@pytest.fixture
def png() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 120, 40)).save(picture, "PNG")
    return picture.getvalue()


def pair(folder: Path, identity: SigningIdentity = NEWSROOM.identity(), password: bytes | None = None) -> list[Path]:  # noqa: B008 - made once
    key = serialization.load_pem_private_key(identity.key_pem.encode(), None)
    lock = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    form = serialization.PrivateFormat.PKCS8
    (folder / "newsroom.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, lock))
    (folder / "newsroom.pem").write_text(identity.chain_pem)
    return [folder / "newsroom.pem", folder / "newsroom.key"]


def verdict(data: bytes, tmp_path: Path) -> tuple[str, str]:
    path = tmp_path / "signed.png"
    path.write_bytes(data)
    result = verify_file(path, search_watermark=False)
    return result.trust.state, result.trust.sentence


class TestOrganisation:
    def test_it_signs_from_then_on_and_what_was_signed_before_goes_on_verifying(
        self, home: Path, tmp_path: Path, png: bytes
    ) -> None:
        before = sign_sheet(png, SigningIdentity.load_or_create(home))
        use_organisation(home, *pair(tmp_path))
        used = SigningIdentity.load_or_create(home)
        assert used.authority_pem == NEWSROOM.identity().authority_pem
        state, sentence = verdict(sign_sheet(png, used), tmp_path)
        assert (state, "Forged signer" in sentence) == ("trusted", True)
        assert verdict(before, tmp_path)[0] == "trusted"
        theirs = sign_sheet(png, used)
        assert forget_organisation(home)
        assert not forget_organisation(home)
        assert "Countenance local signer" in verdict(sign_sheet(png, SigningIdentity.load_or_create(home)), tmp_path)[1]
        assert verdict(theirs, tmp_path)[0] == "trusted"

    def test_it_attests_recordings_under_its_name(self, home: Path, tmp_path: Path, png: bytes) -> None:
        (tmp_path / "photo.png").write_bytes(png)
        (tmp_path / "account.md").write_text("Our photographer took this.")
        with pytest.raises(InputError, match="no identity"):
            api.attest(tmp_path / "photo.png", statement=tmp_path / "account.md", name="forged signer")
        use_organisation(home, *pair(tmp_path))
        done = api.attest(tmp_path / "photo.png", statement=tmp_path / "account.md", name="forged signer")
        result = verify_file(done.output, search_watermark=False)
        assert (result.verdict, result.layers["account"].state) == ("holds", "stands")
        assert result.signer is not None
        assert result.signer.startswith("Forged signer")

    @pytest.mark.skipif(os.name != "posix", reason="file modes")
    def test_the_key_is_private(self, home: Path, tmp_path: Path) -> None:
        use_organisation(home, *pair(tmp_path))
        held = home / "organisation" / "signer.pem"
        assert stat.S_IMODE(held.stat().st_mode) == 0o600
        assert stat.S_IMODE(held.parent.stat().st_mode) == 0o700
        held.chmod(0o640)
        with pytest.raises(MarkError, match="chmod 600"):
            SigningIdentity.load_or_create(home)

    def test_a_key_with_a_passphrase(self, home: Path, tmp_path: Path) -> None:
        files = pair(tmp_path, password=b"open sesame")
        with pytest.raises(InputError, match="passphrase is missing"):
            use_organisation(home, *files)
        with pytest.raises(InputError, match="passphrase is wrong"):
            use_organisation(home, *files, passphrase="open barley")
        use_organisation(home, *files, passphrase="open sesame")
        assert SigningIdentity.load_or_create(home).key_pem == NEWSROOM.identity().key_pem

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (ec.generate_private_key(ec.SECP384R1()), "es384"),
            (ec.generate_private_key(ec.SECP521R1()), "es512"),
            (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
            (rsa.generate_private_key(65537, 2048), "ps256"),
        ],
        ids=["P-384", "P-521", "Ed25519", "RSA"],
    )
    def test_other_keys(self, key, algorithm: str, home: Path, tmp_path: Path, png: bytes) -> None:
        leaf = certificate(key.public_key(), NEWSROOM.key, issuer=NEWSROOM.name)
        pem = leaf.public_bytes(serialization.Encoding.PEM).decode() + NEWSROOM.identity().authority_pem
        form = serialization.PrivateFormat.PKCS8
        key_pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
        made = use_organisation(home, *pair(tmp_path, SigningIdentity(pem, "", key_pem)))
        assert made.algorithm == algorithm
        assert verdict(sign_sheet(png, SigningIdentity.load_or_create(home)), tmp_path)[0] == "trusted"
        paper = sign_document({"time": format_time(datetime.now(UTC)), "rows": 3}, made, "a+jws")
        read = read_document(paper, "a+jws", "The paper", trusted_pem=made.authority_pem)
        assert (read.payload["rows"], read.trusted) == (3, True)
        value = json.loads(paper)
        [signature] = value["signatures"]
        header = json.loads(_decoded(signature["protected"]))
        changed = [value | {"payload": _encoded(canonical(read.payload | {"rows": 4}))}]
        for name in ("none", "HS256", "ES256", "PS384", "Ed25519"):
            other = signature | {"protected": _encoded(canonical(header | {"alg": name}))}
            changed.append(value | {"signatures": [other]})
        for one in changed:
            with pytest.raises(IntegrityError):
                read_document(canonical(one), "a+jws", "The paper", trusted_pem=made.authority_pem)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"use": ExtendedKeyUsageOID.CODE_SIGNING}, "could not be signed"),
            ({"ends": datetime.now(UTC) - timedelta(hours=1)}, "could not be signed"),
            ({"subject": "x", "issuer": "Somebody else"}, "not in order"),
        ],
        ids=["wrong use", "expired", "wrong issuer"],
    )
    def test_what_cannot_sign_is_not_taken(self, change: dict, words: str, home: Path, tmp_path: Path) -> None:
        with pytest.raises((MarkError, InputError), match=words):
            use_organisation(home, *pair(tmp_path, NEWSROOM.identity(**change)))
        assert not (home / "organisation").exists()
        assert SigningIdentity.load_or_create(home).authority_pem != NEWSROOM.identity().authority_pem

    def test_wrong_files_are_sentences(self, home: Path, tmp_path: Path) -> None:
        chain, key = pair(tmp_path)
        junk = tmp_path / "junk"
        junk.write_text("junk")
        other = tmp_path / "other.key"
        other.write_text(Authority().identity().key_pem)
        for files, words in [
            ((junk, key), "holds no certificates"),
            ((chain, junk), "holds no private key"),
            ((chain, other), "not that of the first certificate"),
            ((tmp_path / "gone", key), "Cannot read"),
        ]:
            with pytest.raises(InputError, match=words):
                use_organisation(home, *files)
        leaf = chain.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        chain.write_text(leaf)
        with pytest.raises(InputError, match="give the authority's file"):
            use_organisation(home, chain, key)
        top = tmp_path / "top.crt"
        top.write_text(NEWSROOM.identity().authority_pem)
        use_organisation(home, chain, key, authority=top)

    def test_one_that_has_ended_is_a_sentence(self, home: Path, tmp_path: Path) -> None:
        use_organisation(home, *pair(tmp_path))
        with pytest.raises(MarkError, match=r"valid from .* not now"):
            SigningIdentity.load_or_create(home, clock=lambda: datetime.now(UTC) + timedelta(days=400))
        (home / "organisation" / "signer.pem").write_text("x")
        with pytest.raises(MarkError, match="missing or damaged"):
            SigningIdentity.load_or_create(home)


class TestModule:
    def signs(self, **change: object) -> CallbackIdentity:
        ours, key = NEWSROOM.identity(), NEWSROOM.signer_key

        def sign(data: bytes) -> bytes:
            return key.sign(data, ec.ECDSA(hashes.SHA256()))

        return CallbackIdentity(
            **{"chain_pem": ours.chain_pem, "authority_pem": ours.authority_pem, "sign": sign} | change
        )  # type: ignore[arg-type]

    def test_the_key_stays_where_it_is(self, home: Path, tmp_path: Path, png: bytes) -> None:
        data = sign_sheet(png, self.signs())
        assert verdict(data, tmp_path)[0] == "unknown_signer"
        top = tmp_path / "newsroom.crt"
        top.write_text(NEWSROOM.identity().authority_pem)
        trust_authorities(home, top)
        assert verdict(data, tmp_path)[0] == "trusted"

    def test_one_that_fails_leaves_no_output(self, png: bytes) -> None:
        def gone(_data: bytes) -> bytes:
            raise OSError("no token in the slot")

        for change, words in [
            ({"sign": gone}, "could not be signed"),
            ({"sign": lambda _data: b"x" * 64}, "could not be signed|does not verify"),
            ({"algorithm": "md5"}, "Choose one of"),
            ({"chain_pem": "x"}, "not accepted|could not be signed"),
        ]:
            with pytest.raises(MarkError, match=words):
                sign_sheet(png, self.signs(**change))


class TestTimestamps:
    @pytest.fixture
    def stamped(self, home: Path, footage: Path, claim: RenderClaim, tmp_path: Path, png: bytes):
        """Signs a picture as this installation does, with the service at an address."""

        def make(url: str) -> Path:
            set_timestamp_url(home, url)
            draft, final = tmp_path / "draft.png", tmp_path / "final.png"
            draft.write_bytes(png)
            identity = SigningIdentity.load_or_create(home)
            sign_file(draft, final, parent=footage, claim=claim, identity=identity)
            return final

        return make

    def test_a_render_gets_one_and_what_is_made_by_the_hundred_none(
        self, home: Path, tmp_path: Path, stamped, png: bytes
    ) -> None:
        clock = TimestampAuthority()
        with clock.serving() as (url, asked):
            final = stamped(url)
            assert len(asked) == 1
            sign_sheet(png, SigningIdentity.load_or_create(home))
            assert len(asked) == 1
        assert verify_file(final, search_watermark=False).time.state == "stamped_unknown"
        top = tmp_path / "clock.crt"
        top.write_text(clock.authority_pem)
        assert trust_authorities(home, top, time=True) == 1
        result = verify_file(final, search_watermark=False)
        assert (result.time.state, result.verdict) == ("stamped", "holds")
        assert f"{datetime.now(UTC):%Y-%m-%d}" in result.time.sentence
        assert clock.authority_pem not in local_authority_pem(home)  # who tells the time vouches for no signer

    def test_without_an_answer_there_is_no_output(self, stamped, tmp_path: Path) -> None:
        with pytest.raises(MarkError, match="timestamp service gave no answer"):
            stamped("http://127.0.0.1:9/")
        assert not (tmp_path / "final.png").exists()
        assert not (tmp_path / "draft.png").exists()

    @pytest.mark.parametrize("url", ["ftp://clock.example", "clock.example", "http://", "http://a\nb", "https://[x"])
    def test_not_an_address(self, home: Path, url: str) -> None:
        with pytest.raises(InputError, match="Give it in full"):
            set_timestamp_url(home, url)
        assert timestamp_url(home) is None

    @pytest.mark.parametrize("damage", ["x", "[]", '{"timestamp_url": 5}'])
    def test_damaged_settings_are_a_sentence(self, home: Path, damage: str) -> None:
        (home / "signing.json").write_text(damage)
        with pytest.raises(MarkError, match="is damaged"):
            SigningIdentity.load_or_create(home)


def test_the_commands(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain, key = (str(path) for path in pair(tmp_path))
    top = tmp_path / "top.crt"
    top.write_text(Authority(authority_name="Elsewhere").identity().authority_pem)

    def told(*words: str) -> dict:
        assert run(["identity", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert told("show")["identity"]["signer"].startswith("CN=Countenance local signer")
    assert told("use", chain, key)["organisation"]["signer"].startswith("CN=Forged signer")
    assert told("timestamp", "https://clock.example/tsa") == {"timestamp_url": "https://clock.example/tsa"}
    assert told("trust", str(top)) == {"trusted": 1}
    assert told("trust", str(top), "--time") == {"trusted": 1}
    shown = told("show")["identity"]
    assert shown["timestamp_url"] == "https://clock.example/tsa"
    assert len(shown["trusted"]) == 3
    assert shown["trusted_for_time"] == ["CN=Elsewhere,O=Forged Films"]
    assert told("timestamp", "--none") == {"timestamp_url": None}
    assert told("use", "--own") == {"organisation": None}
    assert run(["identity", "show"]) == 0
    assert "none, so a signature counts as long as its certificate is valid" in capsys.readouterr().out
    for wrong in (["use"], ["use", chain], ["use", chain, key, "--own"], ["timestamp"], ["trust", chain + "x"]):
        assert run(["identity", *wrong]) == 2
    damaged = next((home / "trusted").glob("*.crt"))
    damaged.write_text("x")
    with pytest.raises(MarkError, match="trusted authority cannot be read"):
        trusted_authorities(home)


def test_trust_for_one_answer_only(home: Path, tmp_path: Path, png: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path, top = tmp_path / "theirs.png", tmp_path / "theirs.crt"
    theirs = Authority(authority_name="Theirs").identity()
    path.write_bytes(sign_sheet(png, theirs))
    top.write_text(theirs.authority_pem)
    states = []
    for extra in ([], ["--trust", str(top)], []):
        assert run(["verify", str(path), "--no-watermark", "--json", *extra]) == 1  # a sheet is no render
        states.append(json.loads(capsys.readouterr().out)["layers"]["trust"]["state"])
    assert states == ["unknown_signer", "trusted", "unknown_signer"]
    assert run(["verify", str(path), "--trust", str(path)]) == 2


def test_a_contact_sheet_says_that_nothing_is_painted(png: bytes, identity: SigningIdentity) -> None:
    data = sign_sheet(png, identity)
    store = credentials.read_store_of(io.BytesIO(data), "image/png", None, identity.authority_pem)
    assert store is not None
    manifest = store["manifests"][store["active_manifest"]]
    actions = next(a["data"]["actions"] for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")
    assert [one["action"] for one in actions] == ["c2pa.created"]
    assert actions[0]["digitalSourceType"].endswith("/composite")
    assert not manifest.get("ingredients")
    with pytest.raises(MarkError):
        sign_sheet(b"no picture", dataclasses.replace(identity))
    assert isinstance(identity.signer(timestamp=False), c2pa.Signer)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
