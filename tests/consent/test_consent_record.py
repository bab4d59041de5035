"""From the request to a record that anybody can check."""

from __future__ import annotations

import errno
import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from consent_world import NOON, PASSPHRASE, World, payload_of
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from two_signatures import WITNESS, WITNESS_KEY

from countenance.consent.keys import generate_key, load_key, public_key
from countenance.consent.record import create_request, parse_record, sign_request, witness_record
from countenance.consent.request import parse_request, read_request, write_request
from countenance.consent.statement import statement_text
from countenance.consent.template import enrol
from countenance.consent.terms import Terms
from countenance.errors import ConsentError, InputError, OutputError, ProjectError


def test_a_request_is_two_files_and_a_row(world: World) -> None:
    request = world.request(synthetic=True, performers=["ivan"], territory="Europe", term_days=30)
    signable, page = write_request(world.project, request, clock=world.clock)
    assert read_request(signable) == request
    assert page.suffix == ".html"
    text = page.with_suffix(".txt").read_text("utf-8")
    assert text == request["statement"]["text"]
    assert max(map(len, text.splitlines())) <= 100
    joined = " ".join(text.split())
    for words in (
        "A REQUEST TO THE MAKERS OF THE SYNTHETIC PERSON VERA",
        "SYNTHETIC PERSON",
        "to protect somebody who must not be recognised",
        "“Welcome”",
        "in place of: ivan. Of nobody else.",
        "Europe",
        "From 01 March 2026, 12:00 UTC until 31 March 2026, 12:00 UTC",
        "HOW TO TAKE IT BACK",
        "always",
        request["terms"]["id"],
    ):
        assert words in joined
    assert world.kinds() == ["ledger", "request"]


def test_the_page_follows_the_terms(world: World) -> None:
    text = " ".join(world.request(label_required=False)["statement"]["text"].split())
    assert "A label in the picture may be left out: you allow that by signing." in text
    assert "any performer" in text
    assert "SYNTHETIC" not in text


def test_terms_of_a_request(world: World) -> None:
    terms = parse_request(world.request(expires=date(2026, 3, 31), not_before=date(2026, 3, 10)))
    assert (terms.not_before.day, terms.expires.month, terms.expires.day) == (10, 4, 1)  # the last day is covered
    assert (terms.purposes, terms.title, terms.lender) == (("double",), "Welcome", "vera")
    assert terms.face.template_sha256 == world.template.sha256()
    assert (terms.train, terms.derive, terms.label_required, terms.synthetic) == (True, False, True, False)
    default = parse_request(world.request())
    assert default.expires - default.not_before == timedelta(days=365)
    assert default.id in statement_text(default, "en")
    assert default.id != terms.id


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"title": "Other"}, "project's title is 'Welcome'"),
        ({"purpose": "film"}, "project's purpose is 'double'"),
        ({"term_days": 0}, "between 1 and 3653"),
        ({"term_days": 4000}, "between 1 and 3653"),
        ({"term_days": 3, "expires": date(2026, 5, 1)}, "one of them"),
        ({"expires": date(2026, 2, 27)}, "ended already"),
        ({"expires": date(2036, 5, 1)}, "ten years"),
        ({"expires": date(2026, 5, 1), "not_before": date(2026, 6, 1)}, "end after it begins"),
        ({"requester": "a\u202eb"}, "U+202E"),
        ({"performers": ["../ivan"]}, "cannot be a person's name"),
        ({"performers": [f"p{n}" for n in range(65)]}, "at most 64"),
    ],
)
def test_what_cannot_be_asked(world: World, options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as caught:
        world.request(**options)
    assert says in str(caught.value)


def test_a_request_without_a_project_folder_fails_well(world: World, tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        create_request(world.project, "no such/name", witness=WITNESS, clock=world.clock)
    with pytest.raises(ConsentError, match="missing"):
        read_request(tmp_path / "none.json")


def test_sign_and_read_back(world: World) -> None:
    data = world.record(synthetic=True, label_required=False, performers=["ivan", "ivan", "olga"])
    record = parse_record(data)
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert record.data == data
    assert record.key_id == world.key.key_id
    assert record.issued == NOON
    assert record.performers == ("ivan", "olga")
    assert record.synthetic
    assert not record.label_required
    assert record.template_sha256 == world.template.sha256()
    assert record.embedder_id == world.template.embedder_id
    assert 0.5 < record.threshold < 0.8
    assert record.face.apparent_age == 35.0
    assert record.statement_sha256 == hashlib.sha256(statement_text(record, "en").encode()).hexdigest()
    payload = payload_of(data)
    assert payload["subject"] == {"kind": "synthetic", "name": "vera", "id": payload["issuer"]}
    assert payload["issuer"].endswith(world.key.key_id)
    assert record.witness == WITNESS
    assert record.witness.key_id == WITNESS_KEY.key_id != record.key_id


def test_reformatting_a_record_does_not_change_its_hash(world: World) -> None:
    data = world.record()
    pretty = json.dumps(json.loads(data), indent=2).encode()
    assert parse_record(pretty).sha256 == parse_record(data).sha256
    assert parse_record(pretty).data == data


def test_any_jose_library_can_verify_a_record(world: World) -> None:
    data = world.record()

    class Plain(JWSRegistry):
        def get_alg(self, name: str) -> object:
            return self.algorithms[name]

    payload = payload_of(data)
    keys = {(key := OKPKey.import_key(jwk)).thumbprint(): key for jwk in (payload["key"], payload["witness"]["key"])}
    read = jws.deserialize_json(json.loads(data), lambda signer: keys[signer.headers()["kid"]], registry=Plain())
    assert json.loads(read.payload) == payload


def test_signing_on_another_machine_needs_the_request_only(world: World, tmp_path: Path) -> None:
    signable, _ = write_request(world.project, world.request(), clock=world.clock)
    elsewhere = tmp_path / "usb stick.json"
    elsewhere.write_bytes(signable.read_bytes())
    key = load_key(tmp_path / "key.pem", PASSPHRASE)
    half = sign_request(read_request(elsewhere), key, clock=world.clock)
    record = parse_record(witness_record(half, WITNESS_KEY, clock=world.clock))
    assert record.template_sha256 == world.template.sha256()


def test_signing_needs_a_face_and_the_right_one(world: World) -> None:
    other = enrol(world.faces(seed=77), [30.0])
    with pytest.raises(ConsentError, match="another face"):
        sign_request(world.request(), world.key, other, clock=world.clock)
    world.project.template_path("vera").unlink()
    with pytest.raises(InputError, match="not enrolled yet"):
        world.request()


def test_signing_too_late(world: World) -> None:
    request = world.request(term_days=1)
    half = sign_request(request, world.key, clock=world.clock)
    world.later(days=2)
    with pytest.raises(ConsentError, match="has ended"):
        sign_request(request, world.key, world.template, clock=world.clock)
    with pytest.raises(ConsentError, match="has ended"):
        witness_record(half, WITNESS_KEY, clock=world.clock)


def test_writing_a_request_where_one_cannot(world: World) -> None:
    folder = world.project.person_dir("boris")
    folder.write_text("a file in the way")
    request = world.request()
    request["terms"]["subject"]["name"] = "boris"
    request["statement"]["text"] = statement_text(Terms.from_json(request["terms"]), "en")
    with pytest.raises(OutputError):
        write_request(world.project, request, clock=world.clock)


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "schlüssel der lenderin.pem"
    key = generate_key(path, PASSPHRASE)
    assert path.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    opened = load_key(path, PASSPHRASE)
    assert opened == key
    assert len(key.key_id) == 43
    assert set(key.public_jwk) == {"kty", "crv", "x"}
    assert "secret" not in repr(key)
    with pytest.raises(InputError, match="never overwritten"):
        generate_key(path, PASSPHRASE)
    with pytest.raises(InputError, match="does not open"):
        load_key(path, "wrong passphrase")
    with pytest.raises(InputError, match="too short"):
        generate_key(tmp_path / "b.pem", "short")
    with pytest.raises(InputError, match="cannot be stored"):
        generate_key(tmp_path / "b.pem", "\ud800" * 9)
    with pytest.raises(OutputError):
        generate_key(tmp_path / "none" / "b.pem", PASSPHRASE)
    with pytest.raises(InputError, match="There is no key"):
        load_key(tmp_path / "none.pem", PASSPHRASE)
    assert not (tmp_path / "b.pem").exists()


def test_keys_of_other_kinds(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    path = tmp_path / "key.pem"
    secret = BestAvailableEncryption(PASSPHRASE.encode())
    path.write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(InputError, match="another kind than Ed25519"):
        load_key(path, PASSPHRASE)
    plain = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (plain, b"", b"text", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END"):
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_key(path, PASSPHRASE)


def test_a_key_has_one_spelling(tmp_path: Path) -> None:
    """43 characters hold 258 bits: the last one's two low bits must be zero."""
    jwk = generate_key(tmp_path / "key.pem", PASSPHRASE).public_jwk
    assert public_key(jwk).thumbprint()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = jwk["x"][:-1] + alphabet[alphabet.index(jwk["x"][-1]) + 1]
    for bad in ({**jwk, "x": other}, {**jwk, "x": "A" * 42}, {**jwk, "crv": "Ed448"}, {**jwk, "use": "sig"}, None, []):
        with pytest.raises(ValueError, match="key"):
            public_key(bad)


def test_no_half_key_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        generate_key(tmp_path / "key.pem", PASSPHRASE)
    assert list(tmp_path.iterdir()) == []
