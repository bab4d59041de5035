"""Who may work with a face: the gate, revocation, and a record explained."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from consent_world import PASSPHRASE, World, faces_at
from two_signatures import both_sign

from countenance.consent.check import accept_record, check_record
from countenance.consent.clock import format_time, parse_time, utc_now
from countenance.consent.jws import sign_document
from countenance.consent.keys import generate_key
from countenance.consent.record import parse_record
from countenance.consent.revoke import REVOCATION_TYPE, revoke, sign_revocation
from countenance.consent.statement import statement_text
from countenance.consent.terms import Terms
from countenance.errors import ConfigError, ConsentError, LedgerError, OutputError, ProjectError


def test_a_permit_says_what_it_allows(world: World) -> None:
    record = world.accept(synthetic=True, label_required=False)
    permit = world.gate(performer="ivan")
    assert (permit.record_id, permit.record_sha256, permit.key_id) == (record.id, record.sha256, record.key_id)
    assert (permit.lender, permit.performer, permit.act) == ("vera", "ivan", "train")
    assert (permit.purpose, permit.title) == ("double", "Welcome")
    assert permit.synthetic
    assert not permit.label_required
    row = world.last()
    assert (row.kind, row.hash) == ("permit", permit.ledger_entry)
    assert row.facts["performer"] == "ivan"
    assert row.facts["purpose"] == "double"
    assert row.facts["faces"] == 200
    world.ledger.verify([permit.ledger_entry])


def test_swapping_needs_the_gate_too(world: World) -> None:
    world.accept()
    assert world.gate(act="swap").act == "swap"
    with pytest.raises(ValueError, match="an act out of"):
        world.gate(act="preview")


def test_without_a_record_nothing_is_allowed_and_that_is_kept(world: World) -> None:
    with pytest.raises(ConsentError, match="There is no consent record of vera"):
        world.gate()
    row = world.last()
    assert row.kind == "refusal"
    assert row.facts["lender"] == "vera"
    assert "no consent record" in row.facts["reason"]


def test_a_named_performer_only(world: World) -> None:
    world.accept(performers=["ivan"])
    assert world.gate(performer="ivan").performer == "ivan"
    with pytest.raises(ConsentError, match="allows to replace ivan, not olga"):
        world.gate(performer="olga")


def test_a_term_has_two_ends(world: World) -> None:
    data = world.record(term_days=10)
    accept_record(world.project, "vera", data, clock=world.clock)
    world.later(days=9, hours=23, minutes=59)
    assert world.gate().lender == "vera"
    world.later(minutes=1)
    with pytest.raises(ConsentError, match="It ended on 2026-03-11 12:00"):
        world.gate()


def test_revoked_by_the_lender(world: World) -> None:
    record = world.accept()
    statement = sign_revocation(record, world.key, reason="Changed my mind", clock=world.clock)
    done = revoke(world.project, record, statement=statement, clock=world.clock)
    assert done.by == "lender"
    assert world.last().facts["reason"] == "Changed my mind"
    assert world.last().facts["statement"].encode() == statement
    for act in ("train", "swap"):
        with pytest.raises(ConsentError, match=r"revoked on 2026-03-01T12:00:00Z by the lender\."):
            world.gate(act=act)


def test_revoked_by_a_word_to_the_project(world: World) -> None:
    record = world.accept()
    assert revoke(world.project, record, reason="by telephone", clock=world.clock).by == "project"
    with pytest.raises(ConsentError, match="by the project, on the lender's word"):
        world.gate()
    with pytest.raises(ConfigError):
        revoke(world.project, record, reason="two\0lines", clock=world.clock)


def test_a_new_request_after_a_revocation(world: World) -> None:
    revoke(world.project, world.accept(), clock=world.clock)
    world.accept()
    assert world.gate().lender == "vera"


def test_check_explains(world: World) -> None:
    data = world.record(synthetic=True, performers=["ivan"])
    alone = check_record(data, clock=world.clock)
    assert alone.good
    assert alone.record == parse_record(data)
    text = " ".join(alone.terms)
    for words in (
        "synthetic person vera",
        "“Welcome”",
        "to protect somebody who must not be recognised",
        "2027-03-01",
        "in place of: ivan",
    ):
        assert words in text
    assert "compare it with what the lender tells you" in text
    assert world.key.key_id in text
    accept_record(world.project, "vera", data, clock=world.clock)
    here = check_record(data, project=world.project, lender="vera", clock=world.clock)
    assert here.good
    assert "the one this project knows" in " ".join(here.terms)
    assert here.to_json()["record_id"] == here.record.id  # type: ignore[union-attr]
    assert world.kinds() == ["ledger", "record"]  # checking writes nothing


def test_check_lists_every_problem(world: World) -> None:
    record = world.accept(term_days=1)
    revoke(world.project, record, clock=world.clock)
    world.later(days=3)
    world.project.template_path("vera").unlink()
    result = check_record(record.data, project=world.project, lender="boris", clock=world.clock)
    assert not result.good
    text = " ".join(result.problems)
    for words in ("revoked", "ended", "It is about vera's face, not boris's", "face template"):
        assert words in text
    broken = check_record(b"{}", clock=world.clock)
    assert (broken.good, broken.record, broken.terms) == (False, None, ())
    assert broken.to_json()["record_id"] is None
    with pytest.raises(ProjectError):
        check_record(record.data, lender="../x", clock=world.clock)


def test_accepting_remembers_and_confirms_keys(world: World, tmp_path: Path) -> None:
    first = world.record()
    with pytest.raises(ConsentError, match="not with"):
        accept_record(world.project, "vera", first, expected_key="x" * 43, clock=world.clock)
    accept_record(world.project, "vera", first, expected_key=world.key.key_id, clock=world.clock)
    new_key = generate_key(tmp_path / "new.pem", PASSPHRASE)
    second = world.record(key=new_key)
    with pytest.raises(ConsentError, match="vera's key is"):
        accept_record(world.project, "vera", second, clock=world.clock)
    accept_record(world.project, "vera", second, expected_key=new_key.key_id, clock=world.clock)
    assert world.kinds() == ["ledger", "key", "record", "key", "record"]
    assert world.gate().key_id == new_key.key_id
    with pytest.raises(ConsentError, match="vera's key is"):
        accept_record(world.project, "vera", first, clock=world.clock)


def test_a_record_that_cannot_be_used_is_not_accepted(world: World) -> None:
    data = world.record(term_days=1)
    world.later(days=2)
    with pytest.raises(ConsentError, match=r"cannot be used here\. It ended"):
        accept_record(world.project, "vera", data, clock=world.clock)
    assert not world.project.consent_path("vera").exists()
    assert world.ledger.entries() == []


def test_a_stricter_record_is_obeyed(world: World) -> None:
    request = world.request()
    request["terms"]["face"]["threshold"] = 0.8
    assert statement_text(Terms.from_json(request["terms"]), "en") == request["statement"]["text"]
    data = both_sign(request, world.key, clock=world.clock)
    accept_record(world.project, "vera", data, clock=world.clock)
    faces = faces_at(world.centre, np.full(50, 0.85))
    with pytest.raises(ConsentError, match="somebody similar"):
        world.gate(embeddings=faces)
    assert world.gate(embeddings=faces_at(world.centre, np.full(50, 0.9))).act == "train"


def test_a_record_may_forbid_training(world: World) -> None:
    request = world.request()
    request["terms"]["scope"]["train"] = False
    request["statement"]["text"] = statement_text(Terms.from_json(request["terms"]), "en")
    world.place(both_sign(request, world.key, clock=world.clock))
    with pytest.raises(ConsentError, match="does not allow training"):
        world.gate(act="train")
    assert world.gate(act="swap").act == "swap"
    terms = parse_record(world.project.consent_path("vera").read_bytes())
    assert "No computer program may learn" in statement_text(terms, "en")


def test_accepting_where_one_cannot_write(world: World) -> None:
    data = world.record()
    path = world.project.consent_path("vera")
    path.mkdir()
    with pytest.raises(OutputError):
        accept_record(world.project, "vera", data, clock=world.clock)
    assert "record" not in world.kinds()  # what was not written was not accepted


def test_a_signed_revocation_of_another_form(world: World) -> None:
    record = world.accept()
    good = {"version": 1, "record_id": record.id, "key": world.key.public_jwk, "revoked": "2026-03-01T12:00:00Z"}
    for change in ({}, {"reason": "", "version": 2}, {"reason": "two\nlines"}, {"reason": "", "extra": 1}):
        statement = sign_document({**good, **change}, [world.key], REVOCATION_TYPE)
        with pytest.raises(ConsentError, match="not valid"):
            revoke(world.project, record, statement=statement, clock=world.clock)
    assert "revocation" not in world.kinds()


def test_times_have_one_form() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_time(datetime(2026, 3, 1))
    moment = datetime(2026, 3, 1, 14, 30, 5, 999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-03-01T12:30:05Z"
    assert parse_time("2026-03-01T12:30:05Z") == moment.replace(microsecond=0)
    assert utc_now().tzinfo is UTC
    for text in ("2026-03-01", "2026-03-01T12:30:05", "2026-03-01T12:30:05+00:00", "2026-13-01T12:30:05Z", "٢٠٢٦"):
        with pytest.raises(ValueError):
            parse_time(text)


def test_an_unreadable_record_is_a_refusal(world: World) -> None:
    world.accept()
    path = world.project.consent_path("vera")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConsentError, match="missing"):
        world.gate()


def test_a_damaged_ledger_stops_everything(world: World) -> None:
    world.accept()
    world.project.ledger_path.write_bytes(b"not a ledger, but long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="Restore it from a backup"):
        world.gate()
    with pytest.raises(LedgerError):
        check_record(world.project.consent_path("vera").read_bytes(), project=world.project, clock=world.clock)


def test_consent_is_light_to_import() -> None:
    code = (
        "import sys, countenance.consent.gate, countenance.consent.check, countenance.consent.revoke;"
        "print([m for m in ('onnxruntime', 'torch', 'av', 'cv2') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
