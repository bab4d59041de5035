"""Records that were made up, changed, stripped or dressed up: each is refused, with a reason a person understands."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from consent_world import (
    World,
    b64,
    header_of,
    payload_of,
    signed_raw,
    unb64,
    with_header,
    with_payload,
)
from refusals import refused
from two_signatures import WITNESS_KEY

from countenance.consent.jws import sign_document
from countenance.consent.keys import SigningKey
from countenance.consent.record import RECORD_TYPE
from countenance.consent.revoke import revoke, sign_revocation
from countenance.consent.strict_json import canonical
from countenance.errors import ConsentError

# What the lender signed, changed afterwards.

EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "longer term": lambda p: p.update(expires="2035-01-01T00:00:00Z"),
    "earlier start": lambda p: p.update(not_before="2020-01-01T00:00:00Z"),
    "other title": lambda p: p["scope"].update(title="Sequel"),
    "more purposes": lambda p: p["scope"].update(purposes=["double", "film"]),
    "more performers": lambda p: p["scope"].update(performers=["ivan", "olga"]),
    "derived models": lambda p: p["scope"].update(derive=True),
    "no label": lambda p: p.update(label_required=False),
    "other lender": lambda p: p["subject"].update(name="boris"),
    "now synthetic": lambda p: p.update(subject={**p["subject"], "kind": "synthetic"}, adult={"method": "synthetic"}),
    "other face": lambda p: p["face"].update(template_sha256="0" * 64),
    "an older face": lambda p: p["face"].update(apparent_age=70.0),
    "another witness's name": lambda p: p["witness"].update(name="Somebody Else"),
    "another role": lambda p: p["witness"].update(role="union"),
    "a document that nobody saw": lambda p: p.update(
        adult={"method": "id-document", "document": "passport", "checked": "2026-03-01"}
    ),
    "laxer threshold": lambda p: p["face"].update(threshold=0.1),
    "other words": lambda p: p["statement"].update(sha256="0" * 64),
    "other id, to escape a revocation": lambda p: p.update(id="urn:uuid:00000000-0000-4000-8000-000000000000"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_payload(world: World, edit: Callable[[dict[str, Any]], None]) -> None:
    data = world.record(performers=["ivan"])
    payload = payload_of(data)
    edit(payload)
    refused(world, with_payload(data, payload), "changed after it was signed")


# The same edits, signed again with the forger's own key, which the project does not know.


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_payload_signed_by_a_stranger(
    world: World, other_key: SigningKey, edit: Callable[[dict[str, Any]], None]
) -> None:
    world.accept(performers=["ivan"])
    payload = payload_of(world.record(key=other_key, performers=["ivan"]))
    edit(payload)
    world.place(sign_document(payload, [other_key, WITNESS_KEY], RECORD_TYPE))
    with pytest.raises(ConsentError, match="vera's key is"):
        world.gate()


def test_a_strangers_key_with_the_lenders_name_on_it(world: World, other_key: SigningKey) -> None:
    payload = payload_of(world.record())
    refused(world, sign_document(payload, [other_key, WITNESS_KEY], RECORD_TYPE), "exactly the people who must sign")
    stranger = {**header_of(other_key), "kid": world.key.key_id}
    refused(world, signed_raw(other_key, canonical(payload), stranger), "changed after it was signed")


def test_a_key_put_into_the_payload_without_its_issuer(world: World, other_key: SigningKey) -> None:
    payload = payload_of(world.record())
    payload["key"] = other_key.public_jwk
    refused(world, sign_document(payload, [other_key, WITNESS_KEY], RECORD_TYPE), "issuer is not the key")
    payload["issuer"] = payload["issuer"][:-43] + other_key.key_id
    refused(world, sign_document(payload, [other_key, WITNESS_KEY], RECORD_TYPE), "subject is not the key")


# What no lender can allow, even with a correct signature.

_SEEN = {"method": "id-document", "document": "passport", "checked": "2026-03-01"}
_WILL = {"kind": "will", "document_sha256": "0" * 64, "description": "The will of 2019"}
_FILM = {
    "kind": "challenge",
    "challenge_id": "0" * 32,
    "challenge_sha256": "0" * 64,
    "evidence_sha256": "0" * 64,
    "time": "2026-03-01T11:00:00Z",
    "verified": ["sequence", "one-person", "depth"],
}

RULES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "sexual content": (lambda p: p["scope"].update(sexual=True), "sexual content"),
    "sexual content as a number": (lambda p: p["scope"].update(sexual=0), "sexual content"),
    "sexual content left out": (lambda p: p["scope"].pop("sexual"), "has no sexual"),
    "minors": (lambda p: p["scope"].update(minors="allowed"), "minors"),
    "a minor lender": (lambda p: p["face"].update(apparent_age=17.9), "under age"),
    "age left out": (lambda p: p.pop("adult"), "has no adult"),
    "age by another method": (lambda p: p["adult"].update(method="trust me"), "method"),
    "age not a number": (lambda p: p["face"].update(apparent_age="40"), "not a number"),
    "young by the estimate alone": (lambda p: p["face"].update(apparent_age=24.9), "identity document"),
    "young and called synthetic": (lambda p: p.update(adult={"method": "synthetic"}), "synthetic"),
    "synthetic with a real age": (lambda p: p["subject"].update(kind="synthetic"), "synthetic"),
    "a document of no known kind": (lambda p: p.update(adult={**_SEEN, "document": "library card"}), "is none of"),
    "a document without its day": (lambda p: p.update(adult={"method": "id-document", "document": "passport"}), "day"),
    "a document on no day": (lambda p: p.update(adult={**_SEEN, "checked": "2026-02-30"}), "not a day"),
    "a document seen after signing": (lambda p: p.update(adult={**_SEEN, "checked": "2026-03-03"}), "after the"),
    "a document's number": (lambda p: p.update(adult={**_SEEN, "number": "X123"}), "unknown member"),
    "a birth date": (lambda p: p["adult"].update(born="1990-01-01"), "unknown member"),
    "no witness": (lambda p: p.pop("witness"), "not an Ed25519 public key"),
    "witness of no known role": (lambda p: p["witness"].update(role="friend"), "role"),
    "witness with a hidden name": (lambda p: p["witness"].update(name="Maria\u202e"), "U+202E"),
    "subject without its key": (lambda p: p["subject"].pop("id"), "no id"),
    "subject of no known kind": (lambda p: p["subject"].update(kind="company"), "is none of"),
    "an estate without authority": (lambda p: p["subject"].update(kind="estate"), "authority"),
    "authority over a living person": (lambda p: p["subject"].update(authority=_WILL), "authority"),
    "an estate by hearsay": (
        lambda p: p["subject"].update(kind="estate", authority={**_WILL, "kind": "hearsay"}),
        "authority",
    ),
    "capture of no known kind": (lambda p: p.update(capture={"kind": "selfie"}), "capture"),
    "capture that verified less": (lambda p: p.update(capture={**_FILM, "verified": ["sequence"]}), "capture"),
    "capture left out": (lambda p: p.pop("capture"), "has no capture"),
    "unknown version": (lambda p: p.update(version=3), "version is 3"),
    "the first version": (lambda p: p.update(version=1), "version is 1"),
    "version true": (lambda p: p.update(version=True), "version"),
    "unknown member": (lambda p: p.update(extra=1), "unknown member"),
    "unknown scope": (lambda p: p["scope"].update(advertising=True), "unknown member"),
    "unknown purpose": (lambda p: p["scope"].update(purposes=["double", "satire"]), "purpose"),
    "no purpose": (lambda p: p["scope"].update(purposes=[]), "purpose"),
    "a purpose twice": (lambda p: p["scope"].update(purposes=["double", "double"]), "twice"),
    "for ever": (lambda p: p.update(expires="2999-01-01T00:00:00Z"), "ten years"),
    "backwards": (lambda p: p.update(expires="2026-01-01T00:00:00Z"), "after it begins"),
    "signed after its end": (lambda p: p.update(issued="2030-01-01T00:00:00Z"), "signed after"),
    "another time zone": (lambda p: p.update(expires="2027-01-01T00:00:00+01:00"), "expected a time"),
    "a time before time": (lambda p: p.update(issued="0001-01-01T00:00:00Z"), "millennium"),
    "path as a name": (lambda p: p["subject"].update(name="../../vera"), "person's name"),
    "reversed title": (lambda p: p["scope"].update(title="Welcome\u202e"), "U+202E"),
    "threshold zero": (lambda p: p["face"].update(threshold=0), "threshold"),
    "threshold above one": (lambda p: p["face"].update(threshold=1.5), "threshold"),
    "face hash in capitals": (lambda p: p["face"].update(template_sha256="A" * 64), "SHA-256"),
    "the private key in it": (lambda p: p["key"].update(d=p["key"]["x"]), "not an Ed25519 public key"),
    "no key": (lambda p: p.pop("key"), "not an Ed25519 public key"),
    "not a random id": (lambda p: p.update(id="1"), "random UUID"),
    "train as text": (lambda p: p["scope"].update(train="yes"), "neither true nor false"),
}


@pytest.mark.parametrize(("edit", "says"), RULES.values(), ids=RULES.keys())
def test_a_signed_record_that_breaks_a_rule(world: World, edit: Callable[[dict[str, Any]], None], says: str) -> None:
    payload = payload_of(world.record())
    edit(payload)
    refused(world, sign_document(payload, world.keys, RECORD_TYPE), says)


# Algorithms and headers.


def test_alg_none(world: World) -> None:
    data = with_header(world.record(), {**header_of(world.key), "alg": "none"})
    refused(world, data, "alg EdDSA")
    value = json.loads(data)
    value["signatures"][0]["signature"] = ""
    refused(world, canonical(value), "64 bytes")


@pytest.mark.parametrize("alg", ["HS256", "HS512"])
def test_the_public_key_used_as_a_shared_secret(world: World, alg: str) -> None:
    data = with_header(world.record(), {**header_of(world.key), "alg": alg})
    value = json.loads(data)
    secret = unb64(world.key.public_jwk["x"])
    signed = f"{value['signatures'][0]['protected']}.{value['payload']}".encode()
    digest = hmac.new(secret, signed, hashlib.sha512).digest()
    value["signatures"][0]["signature"] = b64(digest)
    refused(world, canonical(value), "alg EdDSA")


@pytest.mark.parametrize("alg", ["ES256", "Ed25519", "eddsa", "EdDSA ", ["EdDSA"], None, 1])
def test_other_algorithms_even_when_correctly_signed(world: World, alg: object) -> None:
    payload = canonical(payload_of(world.record()))
    refused(world, signed_raw(world.key, payload, {**header_of(world.key), "alg": alg}), "alg EdDSA")


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"jku": "https://example.invalid/keys"},
        {"x5u": "file:///etc/passwd"},
        {"cty": "JWT"},
    ],
    ids="+".join,
)
def test_headers_that_change_the_meaning(world: World, extra: dict[str, Any]) -> None:
    payload = canonical(payload_of(world.record()))
    refused(world, signed_raw(world.key, payload, {**header_of(world.key), **extra}), "exactly alg")


def test_a_key_brought_along_in_the_header(world: World, other_key: SigningKey) -> None:
    payload = canonical(payload_of(world.record()))
    header = {**header_of(other_key), "jwk": other_key.public_jwk}
    refused(world, signed_raw(other_key, payload, header), "exactly")


def test_an_unprotected_header(world: World) -> None:
    value = json.loads(world.record())
    value["signatures"][0]["header"] = {"kid": world.key.key_id}
    refused(world, canonical(value), "protected header")


@pytest.mark.parametrize("typ", ["JWT", "countenance-revocation+jws", "COUNTENANCE-CONSENT+JWS", "", None])
def test_another_kind_of_document(world: World, typ: str | None) -> None:
    payload = canonical(payload_of(world.record()))
    refused(world, signed_raw(world.key, payload, {**header_of(world.key), "typ": typ}), "typ")


def test_a_revocation_is_no_record_and_a_record_no_revocation(world: World) -> None:
    record = world.accept()
    statement = sign_revocation(record, world.key, clock=world.clock)
    refused(world, statement, "typ")
    with pytest.raises(ConsentError, match="typ"):
        revoke(world.project, record, statement=record.data, clock=world.clock)


def test_duplicate_keys_in_a_header(world: World) -> None:
    payload = canonical(payload_of(world.record()))
    kid = world.key.key_id
    header = f'{{"alg":"none","alg":"EdDSA","kid":"{kid}","typ":"{RECORD_TYPE}"}}'.encode()
    refused(world, signed_raw(world.key, payload, header), "given twice")


# Signatures: see test_two_signatures.py for those that are missing, exchanged or somebody else's.


@pytest.mark.parametrize("whose", [0, 1])
@pytest.mark.parametrize("bit", [0, 255, 256, 511])
def test_one_bit_of_a_signature(world: World, whose: int, bit: int) -> None:
    value = json.loads(world.record())
    signature = bytearray(unb64(value["signatures"][whose]["signature"]))
    signature[bit // 8] ^= 1 << bit % 8
    value["signatures"][whose]["signature"] = b64(bytes(signature))
    refused(world, canonical(value), "changed after it was signed")


@pytest.mark.parametrize("whose", [0, 1])
def test_a_malleable_signature(world: World, whose: int) -> None:
    """S + L verifies as well in a careless implementation: a second hash for one record."""
    order = 2**252 + 27742317777372353535851937790883648493
    value = json.loads(world.record())
    signature = unb64(value["signatures"][whose]["signature"])
    s = int.from_bytes(signature[32:], "little") + order
    value["signatures"][whose]["signature"] = b64(signature[:32] + s.to_bytes(32, "little"))
    refused(world, canonical(value), "changed after it was signed")


@pytest.mark.parametrize("suffix", ["=", "==", " ", "\n", "."])
def test_base64_in_another_spelling(world: World, suffix: str) -> None:
    for part in ("payload", "protected", "signature"):
        value = json.loads(world.record())
        place = value if part == "payload" else value["signatures"][0]
        place[part] += suffix
        refused(world, canonical(value), "base64url")


def test_base64_with_stray_bits(world: World) -> None:
    value = json.loads(world.record())
    signature = value["signatures"][0]["signature"]  # 64 bytes end in a character of which 4 bits count for nothing
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    value["signatures"][0]["signature"] = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    assert base64.urlsafe_b64decode(value["signatures"][0]["signature"] + "==") == unb64(signature)
    refused(world, canonical(value), "one form")


def test_the_flattened_and_compact_forms(world: World) -> None:
    value = json.loads(world.record())
    flat = {"payload": value["payload"], **value["signatures"][0]}
    refused(world, canonical(flat), "exactly a payload and signatures")
    compact = ".".join([flat["protected"], flat["payload"], flat["signature"]]).encode()
    refused(world, compact, "not a document that can be read safely")
    refused(world, canonical({**value, **flat}), "exactly a payload and signatures")
