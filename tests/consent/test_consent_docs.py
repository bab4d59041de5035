"""The reference page says what the program does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from consent_world import World, payload_of
from joserfc.jwk import OKPKey
from two_signatures import WITNESS_KEY

from countenance.config import PURPOSES, TITLE_LIMIT
from countenance.consent.evidence import ADULT_METHODS, CAPTURE_CHECKS, DOCUMENT_KINDS, CaptureEvidence
from countenance.consent.jws import sign_document
from countenance.consent.keys import SigningKey
from countenance.consent.parties import AUTHORITY_KINDS, WITNESS_ROLES, Authority, Witness
from countenance.consent.record import RECORD_TYPE, parse_record, parse_unwitnessed
from countenance.consent.terms import (
    MEDIA,
    MINIMUM_AGE,
    PERFORMER_LIMIT,
    STATUS_SIZE,
    SUBJECT_KINDS,
    VERSION,
    StatusPointer,
    Terms,
)
from countenance.project import NAME_LIMIT

# The private halves of two published test keys, good for nothing else.
_RFC_8037 = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
_RFC_8032 = "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs"

PUBLIC = WITNESS_KEY.public_jwk

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "consent-record.md"
SCHEMA = PAGE.with_name("consent-record.schema.json")
TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def follows(schema: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """As much of JSON Schema as the file uses; an unknown word fails."""
    schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int}
    checks = {
        "type": lambda word: isinstance(value, types[word]) and (word == "boolean" or not isinstance(value, bool)),
        "const": lambda word: value == word and type(value) is type(word),
        "enum": lambda word: value in word,
        "oneOf": lambda word: sum(follows(one, value, whole) for one in word) == 1,
        "pattern": lambda word: re.search(word, value) is not None,
        "minLength": lambda word: len(value) >= word,
        "maxLength": lambda word: len(value) <= word,
        "minItems": lambda word: len(value) >= word,
        "maxItems": lambda word: len(value) <= word,
        "uniqueItems": lambda _: len(set(value)) == len(value),
        "items": lambda word: all(follows(word, item, whole) for item in value),
        "minimum": lambda word: value >= word,
        "maximum": lambda word: value <= word,
        "exclusiveMinimum": lambda word: value > word,
        "exclusiveMaximum": lambda word: value < word,
        "required": lambda word: set(word) <= set(value),
        "additionalProperties": lambda _: set(value) <= set(schema["properties"]),
        "properties": lambda word: all(follows(word[key], value[key], whole) for key in value if key in word),
    }
    wanted = {word: given for word, given in schema.items() if word not in ("$schema", "title", "description", "$defs")}
    order = sorted(wanted, key=lambda word: word != "type")  # the others rely on the type
    return all(checks[word](wanted[word]) for word in order)


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(SCHEMA.read_text("utf-8"))


SEEN = {"id_document": "passport", "id_checked": date(2026, 2, 27)}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "replaced": {"replaced": True},
    "synthetic": {"synthetic": True, "performers": ["ivan"], "label_required": False},
    "estate": {"authority": Authority("will", "0" * 64, "The will of 2019"), **SEEN},
    "listed": {"status": StatusPointer("https://example.org/s", 7, "x" * 43), "witness": Witness("union", PUBLIC)},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_records_and_requests_follow_the_schema(world: World, schema: dict[str, Any], options: dict[str, Any]) -> None:
    request = world.request(**options)
    payload = payload_of(world.half(**options))
    for value, name in ((payload, "record"), (request, "request")):
        assert follows(schema["$defs"][name], value, schema)
        assert follows(schema, value, schema)
    for change in ({"version": 1}, {"version": True}, {"extra": 1}, {"expires": "soon"}, {"adult": {}}, {"face": []}):
        assert not follows(schema, {**payload, **change}, schema)
        assert not follows(schema, {**request, "terms": {**request["terms"], **change}}, schema)
    for name in payload:
        less = {key: value for key, value in payload.items() if key != name}
        assert follows(schema, less, schema) == (name == "status")


def test_a_captured_face_follows_the_schema(world: World, schema: dict[str, Any]) -> None:
    film = CaptureEvidence("0" * 32, "1" * 64, "2" * 64, world.now).to_json()
    payload = {**payload_of(world.half()), "capture": film}
    assert follows(schema, payload, schema)
    for change in ({"verified": ["depth"]}, {"kind": "footage"}, {"challenge_id": "7"}):
        assert not follows(schema, {**payload, "capture": {**film, **change}}, schema)


def test_the_schema_knows_what_the_reader_knows(schema: dict[str, Any]) -> None:
    defs = schema["$defs"]
    assert all(each["additionalProperties"] is False and set(each["required"]) for each in objects(schema))
    record, terms = defs["record"], defs["request"]["properties"]["terms"]
    assert set(terms["required"]) == set(Terms.MEMBERS)
    assert set(record["required"]) == {*Terms.MEMBERS, "issuer", "key", "issued", "statement"}
    for each in (record, terms):
        assert set(each["properties"]) - set(each["required"]) == {"status"}
        assert each["properties"]["version"] == {"const": VERSION}
    assert (
        record["properties"]["subject"]["properties"].keys() - {"id"}
        == terms["properties"]["subject"]["properties"].keys()
    )
    scope = defs["scope"]["properties"]
    assert tuple(scope["purposes"]["items"]["enum"]) == PURPOSES
    assert tuple(scope["media"]["items"]["enum"]) == MEDIA
    assert scope["performers"]["maxItems"] == PERFORMER_LIMIT
    assert defs["person"]["maxLength"] == NAME_LIMIT
    assert defs["line"]["maxLength"] == TITLE_LIMIT
    assert tuple(defs["kind"]["enum"]) == SUBJECT_KINDS
    assert defs["witness"]["properties"]["role"]["enum"] == list(WITNESS_ROLES)
    assert defs["authority"]["properties"]["kind"]["enum"] == list(AUTHORITY_KINDS)
    assert defs["face"]["properties"]["apparent_age"]["minimum"] == MINIMUM_AGE
    assert defs["capture"]["oneOf"][1]["properties"]["verified"]["const"] == list(CAPTURE_CHECKS)
    without, seen = defs["adult"]["oneOf"]
    assert {*without["properties"]["method"]["enum"], seen["properties"]["method"]["const"]} == set(ADULT_METHODS)
    assert seen["properties"]["document"]["enum"] == list(DOCUMENT_KINDS)
    assert defs["status"]["properties"]["status_list"]["properties"]["idx"]["maximum"] == STATUS_SIZE - 1


def test_the_page_names_every_member_and_every_word_of_the_lists() -> None:
    names = {*Terms.MEMBERS, "issuer", "key", "issued", "statement", "status"}
    words = [
        *WITNESS_ROLES,
        *AUTHORITY_KINDS,
        *DOCUMENT_KINDS,
        *ADULT_METHODS,
        *SUBJECT_KINDS,
        *PURPOSES,
        *CAPTURE_CHECKS,
    ]
    for word in [*names, *words]:
        assert f"`{word}`" in TEXT, word


def test_the_worked_example_is_a_record(schema: dict[str, Any]) -> None:
    """Made again with the published keys, it has the hash that the page says."""
    (text,) = blocks("json")
    example = json.loads(text)
    assert follows(schema, example, schema)
    keys = []
    for public, secret in ((example["key"], _RFC_8037), (example["witness"]["key"], _RFC_8032)):
        key = OKPKey.import_key({**public, "d": secret})
        keys.append(SigningKey(key.thumbprint(), public, key))
    half = parse_unwitnessed(sign_document(example, keys[:1], RECORD_TYPE))  # its statement's hash is the page's
    record = parse_record(sign_document(example, keys, RECORD_TYPE))
    assert record.statement_sha256 == half.statement_sha256
    assert f"SHA-256 of this record: `{record.sha256}`" in TEXT


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = blocks("python")
    exec(compile(source, str(PAGE), "exec"), {"__name__": "__docs__"})
    out = capsys.readouterr().out
    assert "A REQUEST TO VERA" in out
    assert "The witness has not signed yet" in out
    assert "It was revoked on" in out
