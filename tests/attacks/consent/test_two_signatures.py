"""Half a record, and records whose second signature is missing, exchanged, doubled or somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from consent_world import World, header_of, payload_of, witnessed_raw
from refusals import refused
from two_signatures import WITNESS, WITNESS_KEY, both_sign, memory_key

from countenance.consent.check import accept_record, check_record
from countenance.consent.jws import sign_document
from countenance.consent.keys import SigningKey
from countenance.consent.parties import Witness
from countenance.consent.record import (
    RECORD_TYPE,
    parse_record,
    parse_unwitnessed,
    sign_request,
    witness_record,
)
from countenance.consent.request import parse_request
from countenance.consent.revoke import revoke
from countenance.consent.statement import statement_text
from countenance.consent.strict_json import canonical
from countenance.errors import ConsentError

NOT_YET = "The witness has not signed yet."


def with_signatures(data: bytes, change: Callable[[list[Any]], list[Any]]) -> bytes:
    value = json.loads(data)
    return canonical({**value, "signatures": change(value["signatures"])})


# One signature is none.


def test_half_a_record_is_refused_by_every_reader(world: World) -> None:
    half = world.half()
    refused(world, half, NOT_YET)
    for act in ("train", "swap"):
        with pytest.raises(ConsentError, match=NOT_YET):
            world.gate(act=act)
    with pytest.raises(ConsentError, match=NOT_YET):
        accept_record(world.project, "vera", half, clock=world.clock)
    found = check_record(half, project=world.project, clock=world.clock)
    assert (found.good, found.record) == (False, None)
    assert NOT_YET in found.problems[0]
    assert "record" not in world.kinds()


def test_the_witness_stripped_from_a_record_in_force(world: World) -> None:
    record = world.accept()
    refused(world, with_signatures(record.data, lambda both: both[:1]), NOT_YET)


def test_the_lender_stripped(world: World) -> None:
    refused(world, with_signatures(world.record(), lambda both: both[1:]), "exactly the people who must sign")


def test_no_signature(world: World) -> None:
    value = json.loads(world.record())
    refused(world, canonical({**value, "signatures": []}), "list of signatures")
    refused(world, canonical({"payload": value["payload"]}), "exactly a payload and signatures")


def test_a_library_alone_would_accept_the_stripped_record(world: World) -> None:
    """Why the key ids are required here and not left to the library: it verifies what is there."""
    from joserfc import jws
    from joserfc.jws import JWSRegistry

    class Plain(JWSRegistry):
        def get_alg(self, name: str) -> Any:
            return self.algorithms[name]

    stripped = with_signatures(world.record(), lambda both: both[1:])
    assert jws.deserialize_json(json.loads(stripped), WITNESS_KEY.secret, registry=Plain()).payload  # type: ignore[arg-type]
    refused(world, stripped, "exactly the people")


# Two signatures that are not the two.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda both: both[::-1], "changed places"),
        (lambda both: [both[0], both[0]], "exactly the people"),
        (lambda both: [both[1], both[1]], "exactly the people"),
        (lambda both: [*both, both[0]], "exactly the people"),
        (lambda both: [*both, both[1]], "exactly the people"),
        (lambda both: both * 2, "exactly the people"),
        (lambda both: both * 20, "list of signatures"),
        (
            lambda both: [{**one, "signature": two["signature"]} for one, two in zip(both, both[::-1], strict=True)],
            "changed after it was signed",
        ),
        (
            lambda both: [both[0], {**both[1], "protected": both[0]["protected"]}],
            "exactly the people",
        ),
    ],
    ids=["reversed", "lender twice", "witness twice", "lender again", "witness again", "doubled", "twenty times",
         "values exchanged", "witness under the lender's id"],
)  # fmt: skip
def test_the_wrong_two(world: World, change: Callable[[list[Any]], list[Any]], says: str) -> None:
    refused(world, with_signatures(world.record(), change), says)


def test_signatures_of_another_record(world: World) -> None:
    first, second = json.loads(world.record()), json.loads(world.record())
    for other in (second["signatures"], [first["signatures"][0], second["signatures"][1]]):
        refused(world, canonical({**first, "signatures": other}), "changed after it was signed")


def test_a_third_signature_by_a_stranger(world: World, other_key: SigningKey) -> None:
    """Somebody who was not asked must not appear as if they had vouched."""
    data = sign_document(payload_of(world.record()), [*world.keys, other_key], RECORD_TYPE)
    refused(world, data, "exactly the people who must sign")


def test_a_stranger_in_place_of_the_witness(world: World, other_key: SigningKey) -> None:
    """A valid signature, under the stranger's own id or under the witness's."""
    payload = payload_of(world.record())
    refused(world, sign_document(payload, [world.key, other_key], RECORD_TYPE), "exactly the people")
    raw = canonical(payload)
    refused(world, witnessed_raw(world, raw, other_key, header_of(WITNESS_KEY)), "changed after it was signed")


def test_the_witness_exchanged_in_the_payload_as_well(world: World, other_key: SigningKey) -> None:
    """The stranger can sign for a new payload, but not in the lender's place."""
    data = world.record()
    payload = payload_of(data)
    payload["witness"]["key"] = other_key.public_jwk
    forged = json.loads(sign_document(payload, [world.key, other_key], RECORD_TYPE))
    forged["signatures"][0] = json.loads(data)["signatures"][0]
    refused(world, canonical(forged), "changed after it was signed")


def test_the_same_key_for_both(world: World) -> None:
    own = Witness("lawyer", world.key.public_jwk)
    with pytest.raises(ConsentError, match="two people"):
        sign_request(world.request(witness=own), world.key, clock=world.clock)
    payload = payload_of(world.record())
    payload["witness"]["key"] = world.key.public_jwk
    refused(world, sign_document(payload, [world.key], RECORD_TYPE), "twice")
    refused(world, with_signatures(sign_document(payload, [world.key], RECORD_TYPE), lambda one: one * 2), "twice")
    with pytest.raises(ConsentError, match="same key"):
        parse_unwitnessed(sign_document(payload, [world.key], RECORD_TYPE))


# The witness's header is as strict as the lender's.


@pytest.mark.parametrize(
    "change",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
        {"jwk": WITNESS_KEY.public_jwk},
        {"alg": "ES256"},
        {"alg": "none"},
        {"typ": "countenance-revocation+jws"},
        {"typ": "countenance-witness+jws"},
        {"typ": None},
    ],
    ids=lambda change: "-".join(change) + str(change.get("alg", change.get("typ", ""))),
)
def test_the_witness_under_another_header(world: World, change: dict[str, Any]) -> None:
    payload = canonical(payload_of(world.record()))
    refused(world, witnessed_raw(world, payload, WITNESS_KEY, {**header_of(WITNESS_KEY), **change}), "exactly alg")


# Between the lender's signature and the witness's.


def test_what_the_witness_is_given_was_changed_on_the_way(world: World) -> None:
    value = json.loads(world.half(performers=["ivan"]))
    wider = json.loads(world.half())
    with pytest.raises(ConsentError, match="changed after it was signed"):
        witness_record(canonical({**value, "payload": wider["payload"]}), WITNESS_KEY, clock=world.clock)


def test_the_request_is_exchanged_for_one_with_other_terms(world: World) -> None:
    """The lender signed another page than the terms give: the witness would have read other words."""
    payload = payload_of(world.half(performers=["ivan"]))
    payload["scope"]["performers"] = []
    data = sign_document(payload, [world.key], RECORD_TYPE)
    with pytest.raises(ConsentError, match="read another page"):
        witness_record(data, WITNESS_KEY, clock=world.clock)


def test_the_wrong_witness_cannot_sign(world: World, other_key: SigningKey) -> None:
    with pytest.raises(ConsentError, match="with the key"):
        witness_record(world.half(), other_key, clock=world.clock)


def test_a_record_is_not_witnessed_twice(world: World) -> None:
    with pytest.raises(ConsentError, match="signed this already"):
        witness_record(world.record(), WITNESS_KEY, clock=world.clock)
    with pytest.raises(ConsentError, match="changed places"):
        witness_record(with_signatures(world.record(), lambda both: both[::-1]), WITNESS_KEY, clock=world.clock)


def test_the_witness_cannot_revoke_in_the_lenders_name(world: World) -> None:
    from dataclasses import replace

    from countenance.consent.revoke import sign_revocation

    record = world.accept()
    with pytest.raises(ConsentError, match="did not sign the record"):
        sign_revocation(record, WITNESS_KEY, clock=world.clock)
    forged = sign_revocation(replace(record, key_id=WITNESS_KEY.key_id), WITNESS_KEY, clock=world.clock)
    with pytest.raises(ConsentError, match="another key than the record"):
        revoke(world.project, record, statement=forged, clock=world.clock)


# Which witness.


def test_another_witness_than_the_one_the_project_knows(world: World) -> None:
    """A friend's key with a lawyer's name on it: a valid record, and not the one that was agreed upon."""
    world.accept()
    friend = memory_key()
    data = both_sign(world.request(witness=Witness("lawyer", friend.public_jwk, WITNESS.name)), world.key, friend,
                     clock=world.clock)  # fmt: skip
    with pytest.raises(ConsentError, match="vera's witness is"):
        accept_record(world.project, "vera", data, clock=world.clock)
    refused_at_gate = "the key of vera's witness is"
    world.place(data)
    with pytest.raises(ConsentError, match=refused_at_gate):
        world.gate()
    with pytest.raises(ConsentError, match="not with"):
        accept_record(world.project, "vera", data, expected_witness=WITNESS_KEY.key_id, clock=world.clock)
    record = accept_record(world.project, "vera", data, expected_witness=friend.key_id, clock=world.clock)
    assert world.gate().record_id == record.id
    assert world.last().facts["witness_key_id"] == friend.key_id


# The first version had one signature.


def test_a_record_of_the_first_version(world: World) -> None:
    payload = {key: value for key, value in payload_of(world.record()).items() if key not in ("witness", "capture")}
    old = {**payload, "version": 1, "adult": {"method": "apparent-age-median", "years": 35.0}}
    refused(world, sign_document(old, [world.key], RECORD_TYPE), "version is 1")


def test_a_request_of_the_first_version(world: World) -> None:
    request = world.request()
    request["terms"]["version"] = 1
    with pytest.raises(ConsentError, match="version is 1"):
        parse_request(request)


def test_what_both_read_is_what_is_hashed(world: World) -> None:
    half = parse_unwitnessed(world.half())
    assert parse_record(world.record()).statement_sha256 != half.statement_sha256  # each request has its number
    assert WITNESS_KEY.key_id in " ".join(statement_text(half, "en").split())
