"""The page in more than one language: the same clauses in each, and the hash is of the words that were read."""

from __future__ import annotations

import hashlib
import json
import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from consent_world import World
from two_signatures import WITNESS, WITNESS_KEY, both_sign

from countenance.cli import run
from countenance.config import PURPOSES
from countenance.consent.check import accept_record, check_record
from countenance.consent.evidence import DOCUMENT_KINDS
from countenance.consent.keys import generate_key
from countenance.consent.parties import AUTHORITY_KINDS, WITNESS_ROLES, Authority, Witness
from countenance.consent.record import parse_record, parse_unwitnessed, sign_request, witness_record
from countenance.consent.request import parse_request
from countenance.consent.statement import LANGUAGE_TAG, LANGUAGES, statement_page, statement_text
from countenance.consent.terms import MEDIA, StatusPointer
from countenance.errors import InputError

FOLDER = files("countenance") / "data" / "statements"
WILL = Authority("will", "0" * 64, "The will of 2019")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "performers": {"performers": ["ivan", "olga"], "label_required": False, "id_document": "passport"},
    "replaced": {"replaced": True, "id_document": "identity-card"},
    "synthetic": {"synthetic": True},
    "estate": {"authority": WILL, "id_document": "civil-register"},
    "estate replaced": {"authority": WILL, "replaced": True},
    "listed": {
        "status": StatusPointer("urn:agency:list", 7, "x" * 43),
        "witness": Witness("union", WITNESS.public_jwk),
    },
}


def words(language: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))


def shape(value: Any) -> Any:
    """Keys, and of each text what the terms fill in, each as often as it stands there."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return len(value)
    return {name.split(":")[0] for _, name, _, _ in string.Formatter().parse(value) if name}


def test_there_is_a_file_for_each_language_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{language}.toml" for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_has_the_same_clauses_with_the_same_values(language: str) -> None:
    def compare(one: Any, other: Any, where: str) -> None:
        if isinstance(one, dict):
            assert one.keys() == other.keys(), where
            for key in one:
                compare(one[key], other[key], f"{where}.{key}")
        elif isinstance(one, set):  # a name may be said as a pronoun, but nothing that the terms say may be lost
            assert one == other, where

    first, second = (shape(words(each)) for each in ("en", language))
    for each in (first, second):
        each["date_first"].discard("day")  # "1er mars" has it in words
    compare(first, second, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_closed_list_has_its_words(language: str) -> None:
    known = words(language)
    assert set(known["media"]) == set(MEDIA)
    assert known["purposes"].keys() == {"lend", "replaced"}
    assert all(set(each) == set(PURPOSES) for each in known["purposes"].values())
    lists = (("documents", DOCUMENT_KINDS), ("authorities", AUTHORITY_KINDS), ("roles", WITNESS_ROLES))
    for name, closed in lists:
        assert set(known[name]) == set(closed)
        assert language != "en" or known[name] == closed
    assert len(set(known["months"])) == 12


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_pages_say_the_same_facts_in_every_language(world: World, options: dict[str, Any]) -> None:
    terms = parse_request(world.request(**options))
    lines = set[int]()
    for language in LANGUAGES:
        text = statement_text(terms, language)
        page = statement_page(terms, language)
        assert f'<html lang="{language}">' in page
        joined = " ".join(text.split())
        facts = [terms.requester, terms.title, terms.id, terms.witness.key_id, *terms.performers]
        facts += [] if terms.authority is None else [terms.authority.description, terms.authority.document_sha256]
        facts += [] if terms.status is None else [terms.status.uri, terms.status.issuer]
        assert all(fact in joined for fact in facts)
        assert terms.lender in joined.lower()
        assert not re.search(r"[{}]", text.replace(terms.title, ""))
        assert all(len(line) <= 100 for line in text.splitlines())
        lines.add(page.count("<p>") * 1000 + page.count("<li>") * 10 + page.count("<h2>"))
    assert len(lines) == 1  # as many paragraphs and points in each
    assert len({statement_text(terms, language) for language in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_from_the_request_to_the_gate(world: World, language: str) -> None:
    request = world.request(language=language)
    half = parse_unwitnessed(witness_input := _half(world, request))
    read = statement_text(half, half.language)
    assert (half.language, request["statement"]["text"]) == (language, read)
    data = witness_record(witness_input, WITNESS_KEY, clock=world.clock)
    record = accept_record(world.project, "vera", data, clock=world.clock)
    assert (record.language, record.statement_sha256) == (language, hashlib.sha256(read.encode()).hexdigest())
    assert check_record(data, project=world.project, clock=world.clock).good
    world.gate()


def _half(world: World, request: dict[str, Any]) -> bytes:
    return sign_request(request, world.key, world.template, clock=world.clock)


def test_what_nobody_chose_is_said_in_the_pages_language(world: World) -> None:
    terms = parse_request(world.request(language="de"))
    assert (terms.requester, terms.territory) == ("Das Team von „Welcome“", "weltweit")
    assert parse_request(world.request(language="de", territory="Europe")).territory == "Europe"


@pytest.mark.parametrize("language", ["it", "EN", "de-AT", "", "../en", "en.toml"])
def test_a_language_without_a_page_cannot_be_asked_in(world: World, language: str) -> None:
    with pytest.raises(InputError, match=r"no page in the language .* Choose one of: en, de, fr, es\."):
        world.request(language=language)


GOOD = ["en", "de-AT", "zh-cmn-Hans-CN", "sr-Latn-RS", "sl-rozaj-biske", "de-CH-1901", "es-419", "en-a-bbb-x-a", "gsw"]
BAD = ["", "e", "english language", "de_AT", "x-private", "i-klingon", "de-", "-de", "a1", "en-x", "en-a", "de\n"]


@pytest.mark.parametrize("tag", [*GOOD, *BAD])
def test_tags(tag: str) -> None:
    """Those that RFC 5646 gives as examples, and what is none."""
    assert (LANGUAGE_TAG.fullmatch(tag) is not None) == (tag in GOOD)


def test_the_schema_has_the_same_tags_and_languages() -> None:
    path = Path(__file__).parents[2] / "docs" / "reference" / "consent-record.schema.json"
    defs = json.loads(path.read_text("utf-8"))["$defs"]
    assert defs["language"]["pattern"] == f"^{LANGUAGE_TAG.pattern}$"
    assert defs["request"]["properties"]["statement"]["properties"]["language"]["enum"] == list(LANGUAGES)


def test_the_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate_key(tmp_path / "witness.key", "a passphrase of the witness")
    words = ["consent", "request", "vera", "--witness", str(tmp_path / "witness.key.pub"), "--witness-role", "lawyer"]
    where = ["--project", str(world.project.root)]
    assert run([*words, "--language", "fr", *where]) == 0
    page = (world.project.person_dir("vera") / "consent-request.html").read_text("utf-8")
    assert '<html lang="fr">' in page
    assert "pouvons-nous montrer votre visage" in page
    capsys.readouterr()
    assert run([*words, "--language", "xx", *where]) == 2
    assert "Choose one of: en, de, fr, es." in capsys.readouterr().err


def test_a_record_in_another_language_is_another_record(world: World) -> None:
    request = world.request()
    first = parse_record(both_sign(request, world.key, clock=world.clock))
    german = {**request, "statement": {"language": "de", "text": statement_text(parse_request(request), "de")}}
    second = parse_record(both_sign(german, world.key, clock=world.clock))
    assert first.id == second.id
    assert (first.language, second.language) == ("en", "de")
    assert first.statement_sha256 != second.statement_sha256
