"""Signatures under other words than the page of the terms, or under a page in another language than the record says."""

from __future__ import annotations

from typing import Any

import pytest
from consent_world import World, b64, header_of, payload_of, signature_over, signed_raw
from refusals import refused
from two_signatures import both_sign

from countenance.consent.check import accept_record, check_record
from countenance.consent.record import parse_record, parse_unwitnessed, sign_request
from countenance.consent.request import parse_request
from countenance.consent.statement import LANGUAGES, statement_text
from countenance.consent.strict_json import canonical, sha256_hex
from countenance.errors import ConsentError


def signed_with(world: World, statement: dict[str, Any]) -> bytes:
    """A record that both people really signed, with a program that let them."""
    payload = payload_of(world.half())
    payload["statement"] |= statement
    return signed_raw(world.key, canonical(payload), header_of(world.key))


def allows_nothing(world: World, data: bytes) -> None:
    """Its signatures hold, and it is refused wherever a consent is wanted."""
    parse_record(data)
    check = check_record(data, project=world.project, clock=world.clock)
    assert not check.good
    assert "is no page that this program knows for these terms" in check.problems[0]
    with pytest.raises(ConsentError, match="no page that this program knows"):
        accept_record(world.project, "vera", data, clock=world.clock)
    world.place(data)
    for act in ("train", "swap"):
        with pytest.raises(ConsentError, match="no page that this program knows"):
            world.gate(act=act)
        assert world.last().kind == "refusal"


def test_the_hash_of_no_page(world: World) -> None:
    """Any 64 digits: nobody can say what was read."""
    allows_nothing(world, signed_with(world, {"sha256": "0" * 64}))


def test_the_page_of_narrower_terms(world: World) -> None:
    """The page named one performer, the record allows anybody."""
    narrow = world.request(performers=["ivan"])["statement"]["text"]
    allows_nothing(world, signed_with(world, {"sha256": sha256_hex(narrow.encode())}))


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_read_in_one_language_and_recorded_as_another(world: World, language: str) -> None:
    """Who read the German page did not read the English one."""
    terms = parse_request(request := world.request())
    read = sha256_hex(statement_text(terms, language).encode())
    payload = payload_of(sign_request(request, world.key, clock=world.clock))
    payload["statement"] = {"language": "en", "sha256": read}
    allows_nothing(world, signed_raw(world.key, canonical(payload), header_of(world.key)))


@pytest.mark.parametrize("language", ["it", "de-AT", "english", "EN", "tlh", "zh-Hant", "en-x-summary"])
def test_a_language_without_a_page(world: World, language: str) -> None:
    """Well-formed tags, and nobody knows what was shown."""
    allows_nothing(world, signed_with(world, {"language": language}))


@pytest.mark.parametrize("language", ["any language at all", "de_AT", "x-en", "en-", "i-klingon", "..", "é"])
def test_a_language_that_is_no_tag(world: World, language: str) -> None:
    refused(world, signed_with(world, {"language": language}), "no language that a tag names")


@pytest.mark.parametrize("language", [None, 1, ["en"], {"tag": "en"}, "", "en\n", "e" * 300])
def test_a_language_of_another_type(world: World, language: object) -> None:
    with pytest.raises(ConsentError):
        parse_record(signed_with(world, {"language": language}))


def test_the_witness_is_not_shown_another_language(world: World) -> None:
    """The lender read French; the half record is edited to say German before the witness sees it."""
    payload = payload_of(sign_request(world.request(language="fr"), world.key, clock=world.clock))
    payload["statement"]["language"] = "de"
    data = canonical(payload)
    half = canonical({"payload": b64(data), "signatures": [signature_over(world.key, data, header_of(world.key))]})
    with pytest.raises(ConsentError, match="read another page than the one that belongs to these terms"):
        parse_unwitnessed(half)


@pytest.mark.parametrize(("stated", "shown"), [("de", "en"), ("en", "de"), ("it", "en"), ("../../x", "en")])
def test_a_request_whose_page_is_in_another_language(world: World, stated: str, shown: str) -> None:
    request = world.request()
    text = statement_text(parse_request(request), shown)
    request["statement"] = {"language": stated, "text": text}
    with pytest.raises(ConsentError, match="a page that does not say what its terms say"):
        both_sign(request, world.key, clock=world.clock)
