"""Who stands behind a record and what they say: the witness, an estate, a synthetic person; age and capture."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from consent_world import PASSPHRASE, World, b64, direction, faces_of, header_of, payload_of, signature_over
from two_signatures import WITNESS, WITNESS_KEY, both_sign

from countenance.consent.check import accept_record, check_record
from countenance.consent.evidence import AdultCheck, CaptureEvidence, FaceClaim
from countenance.consent.jws import sign_document
from countenance.consent.keys import generate_key, load_public_key, public_path
from countenance.consent.parties import Authority, Witness
from countenance.consent.record import RECORD_TYPE, parse_record, parse_unwitnessed, sign_request, witness_record
from countenance.consent.request import parse_request
from countenance.consent.statement import statement_page, statement_text
from countenance.consent.strict_json import canonical, sha256_hex
from countenance.consent.template import enrol, save_template
from countenance.consent.terms import Terms
from countenance.errors import ConsentError, InputError

WILL = Authority("will", "ab" * 32, "Will of 3 May 2019, opened in Lyon")


def aged(world: World, years: float) -> None:
    """The enrolled face appears to be of this age."""
    world.template = enrol(faces_of(direction(1), 200, seed=5), [years])
    save_template(world.project.template_path("vera"), world.template, world.project.key())


def words(text: str) -> list[str]:
    return re.findall(r"[^\s•]+", text)


# Keys and witnesses.


def test_the_public_half_lies_beside_the_key(tmp_path: Path) -> None:
    path = tmp_path / "maria.key"
    key = generate_key(path, PASSPHRASE)
    public = public_path(path)
    assert public.name == "maria.key.pub"
    assert load_public_key(public) == key.public_jwk
    assert set(json.loads(public.read_bytes())) == {"kty", "crv", "x", "kid"}
    path.unlink()
    with pytest.raises(InputError, match=r"maria\.key\.pub exists"):
        generate_key(path, PASSPHRASE)
    assert not path.exists()


@pytest.mark.parametrize(
    "change", [{"x": WITNESS_KEY.public_jwk["x"]}, {"kid": "x" * 43}, {"kid": None}, {"d": "x" * 43}, {"crv": "Ed448"}]
)
def test_a_public_half_that_was_changed(tmp_path: Path, change: dict[str, Any]) -> None:
    generate_key(tmp_path / "key", PASSPHRASE)
    public = tmp_path / "key.pub"
    public.write_bytes(canonical({**json.loads(public.read_bytes()), **change}))
    with pytest.raises(InputError, match="owner"):
        load_public_key(public)


def test_files_that_are_no_public_half(tmp_path: Path) -> None:
    generate_key(tmp_path / "key", PASSPHRASE)
    (tmp_path / "empty").touch()
    for name in ("key", "empty", "none", "."):
        with pytest.raises(InputError, match="not the public half"):
            load_public_key(tmp_path / name)


def test_a_witness_is_who_the_lender_signed_for() -> None:
    assert WITNESS.words == "Maria Long, a lawyer"
    assert Witness("union", WITNESS_KEY.public_jwk).words == "a representative of a union"
    for options in ({"role": "friend"}, {"name": "two\nlines"}, {"public_jwk": {}}):
        with pytest.raises(ValueError):
            replace(WITNESS, **options)


# The page.


@pytest.mark.parametrize("options", [{}, {"synthetic": True}, {"authority": WILL}, {"performers": ["ivan"]}], ids=str)
def test_the_web_page_has_the_same_words(world: World, options: dict[str, Any]) -> None:
    terms = parse_request(world.request(**options, requester="Films <b>& Söhne"))
    page = statement_page(terms, "en")
    assert "<script" not in page
    assert "http" not in page
    assert "<b>" not in page
    body = html.unescape(re.sub(r"<[^>]*>", " ", page[page.index("<main>") :]))
    plain = re.sub(r"^  - ", "  ", statement_text(terms, "en"), flags=re.MULTILINE)
    assert [word.upper() for word in words(body)] == [word.upper() for word in words(plain)]


def test_a_nervous_reader_finds_what_there_is_to_know(world: World) -> None:
    text = " ".join(statement_text(parse_request(world.request(id_document="passport")), "en").split())
    for said in (
        "You may say no",
        "people who know you may recognise your face",
        "HOW TO TAKE IT BACK At any time, for any reason or none.",
        "WHAT CANNOT BE TAKEN BACK Films that were published before.",
        "“countenance forget vera”",
        "certificate of destruction",
        "data protection authority",
        "A new title or a new purpose needs a new record",
        f"Maria Long, a lawyer. Key of the witness: {WITNESS_KEY.key_id}",
        "that on 01 March 2026 the witness saw a passport",
        "was not pressed",
    ):
        assert said in text


def test_the_page_of_an_estate_speaks_to_the_estate(world: World) -> None:
    text = " ".join(statement_text(parse_request(world.request(authority=WILL)), "en").split())
    assert "THE ESTATE OF VERA" in text
    assert "your face" not in text.lower()
    assert f"by a will: {WILL.description} (fingerprint of that document: {WILL.document_sha256})" in text
    assert "speak for the estate" in text


def test_the_page_of_a_synthetic_person(world: World) -> None:
    text = " ".join(statement_text(parse_request(world.request(synthetic=True)), "en").split())
    assert "nobody of flesh and blood is known to have it" in text
    assert "your face" not in text.lower().replace("is your own face", "")


# Age.


@pytest.mark.parametrize(("years", "enough"), [(18.0, False), (24.9, False), (25.0, True), (60.0, True)])
def test_below_25_a_document_is_needed(world: World, years: float, enough: bool) -> None:
    aged(world, years)
    if enough:
        assert not parse_record(world.record()).adult_id_checked
    else:
        with pytest.raises(InputError, match="has to see an identity document"):
            world.request()
    record = parse_record(world.record(id_document="identity-card", id_checked=date(2026, 2, 20)))
    assert record.adult_id_checked
    assert record.adult == AdultCheck("id-document", "identity-card", date(2026, 2, 20))
    assert accept_record(world.project, "vera", record.data, clock=world.clock) == record
    assert world.gate().record_id == record.id
    assert "the witness saw an identity card on 2026-02-20" in " ".join(check_record(record.data).terms)


def test_a_synthetic_person_needs_none(world: World) -> None:
    aged(world, 19.0)
    record = world.accept(synthetic=True)
    assert (record.kind, record.adult.method, record.adult_id_checked) == ("synthetic", "synthetic", True)
    for options in ({"id_document": "passport"}, {"authority": WILL}):
        with pytest.raises(InputError, match="synthetic person has no"):
            world.request(synthetic=True, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"id_document": "library card"}, "identity document is none of"),
        ({"witness": replace(WITNESS, role="notary"), "id_document": ""}, "identity document is named"),
    ],
)
def test_documents_that_cannot_be_asked_for(world: World, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        world.request(**options)


def test_a_document_seen_in_the_future(world: World) -> None:
    request = world.request(id_document="passport", id_checked=date(2026, 3, 9))
    with pytest.raises(ConsentError, match="after the signature"):
        sign_request(request, world.key, clock=world.clock)


def test_a_record_that_makes_the_enrolled_face_older(world: World) -> None:
    """The template says 22, the request 30: both signatures are good, and neither the project nor the gate takes it."""
    aged(world, 22.0)
    request = world.request(id_document="passport")
    request["terms"]["face"]["apparent_age"] = 30.0
    request["terms"]["adult"] = {"method": "apparent-age-median"}
    request["statement"]["text"] = statement_text(Terms.from_json(request["terms"]), "en")
    data = both_sign(request, world.key, clock=world.clock)
    with pytest.raises(ConsentError, match=r"appears to be 30\.0 years old, and the enrolled face 22\.0"):
        accept_record(world.project, "vera", data, clock=world.clock)
    world.place(data)
    with pytest.raises(ConsentError, match="another apparent age"):
        world.gate()


# Estates.


def test_an_estate_signs_by_a_document(world: World) -> None:
    record = world.accept(authority=WILL, id_document="civil-register")
    assert (record.kind, record.authority, record.synthetic) == ("estate", WILL, False)
    assert payload_of(record.data)["subject"]["authority"] == WILL.to_json()
    text = " ".join(check_record(record.data, clock=world.clock).terms)
    assert "the consent of the estate of vera" in text
    assert WILL.description in text
    assert world.gate().lender == "vera"
    for options in ({"kind": "hearsay"}, {"document_sha256": "AB" * 32}, {"description": ""}):
        with pytest.raises(ValueError, match="authority"):
            replace(WILL, **options)


# Capture.


def captured(world: World, *, in_ledger: bool = True) -> CaptureEvidence:
    """Evidence of a challenge beside the template, as ``consent capture`` leaves it."""
    facts = {
        "challenge_id": "0a" * 16,
        "challenge_sha256": "1b" * 32,
        "template_sha256": world.template.sha256(),
        "time": "2026-03-01T11:00:00Z",
    }
    data = canonical({**facts, "lender": "vera", "frames": 300})
    (world.project.person_dir("vera") / "capture.json").write_bytes(data)
    if in_ledger:
        world.ledger.append("capture", {**facts, "lender": "vera", "evidence_sha256": sha256_hex(data)})
    return CaptureEvidence("0a" * 16, "1b" * 32, sha256_hex(data), world.now.replace(hour=11))


def test_a_record_names_the_capture_that_its_face_comes_from(world: World) -> None:
    evidence = captured(world)
    record = world.accept()
    assert record.face.capture == evidence
    assert "said the digits" in " ".join(statement_text(record, "en").split())
    assert "a film of a challenge" in " ".join(check_record(record.data).terms)
    assert check_record(record.data, project=world.project, clock=world.clock).good


def test_a_capture_of_an_older_template_does_not_count(world: World) -> None:
    captured(world)
    aged(world, 40.0)
    assert world.accept().face.capture is None


def test_a_capture_that_the_project_never_saw(world: World) -> None:
    captured(world, in_ledger=False)
    data = world.record()
    with pytest.raises(ConsentError, match="not in this project's ledger"):
        accept_record(world.project, "vera", data, clock=world.clock)
    assert not check_record(data, project=world.project, clock=world.clock).good


def test_damaged_evidence_is_told(world: World) -> None:
    path = world.project.person_dir("vera") / "capture.json"
    path.write_bytes(canonical({"template_sha256": world.template.sha256(), "time": "yesterday"}))
    with pytest.raises(ConsentError, match="Capture the face again"):
        world.request()
    with pytest.raises(ValueError, match="SHA-256"):
        CaptureEvidence("0" * 32, "x", "y", world.now)
    with pytest.raises(ValueError, match="network"):
        FaceClaim("", "0" * 64, 0.6, 30.0)


# Signing in two places.


def test_the_witness_signs_with_nothing_but_the_file(world: World, tmp_path: Path) -> None:
    half = world.half(performers=["ivan"])
    signed = parse_unwitnessed(half)
    assert signed.data == half
    assert (signed.key_id, signed.witness) == (world.key.key_id, WITNESS)
    record = parse_record(
        witness_record(json.dumps(json.loads(half), indent=1).encode(), WITNESS_KEY, clock=world.clock)
    )
    assert record.statement_sha256 == sha256_hex(statement_text(signed, "en").encode())


def test_a_payload_in_another_spelling_is_signed_as_it_is(world: World) -> None:
    """The witness's signature covers the lender's very bytes, not a rewritten payload."""
    payload = json.dumps(payload_of(world.half()), indent=2).encode()
    signature = signature_over(world.key, payload, header_of(world.key))
    half = canonical({"payload": b64(payload), "signatures": [signature]})
    data = witness_record(half, WITNESS_KEY, clock=world.clock)
    assert json.loads(data)["payload"] == b64(payload)
    assert parse_record(data).lender == "vera"


def test_a_signature_is_the_same_each_time(world: World) -> None:
    """So a record has one hash, whoever puts the two signatures together."""
    payload = payload_of(world.half())
    together = sign_document(payload, world.keys, RECORD_TYPE)
    alone = witness_record(sign_document(payload, [world.key], RECORD_TYPE), WITNESS_KEY, clock=world.clock)
    assert together == alone
