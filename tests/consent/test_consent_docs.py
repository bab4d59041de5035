"""The reference page says what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from consent_world import World, payload_of

from countenance.config import PURPOSES
from countenance.consent.terms import MEDIA, MINIMUM_AGE, PERFORMER_LIMIT, StatusPointer

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "consent-record.md"
TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def follows(schema: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """As much of JSON Schema as the page uses; an unknown word fails."""
    schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float)}
    checks = {
        "type": lambda word: isinstance(value, types[word]),
        "const": lambda word: value == word and type(value) is type(word),
        "enum": lambda word: value in word,
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
        "properties": lambda word: all(follows(word[key], value[key], whole) for key in value),
    }
    return all(checks[word](wanted) for word, wanted in schema.items() if word not in ("$schema", "title", "$defs"))


@pytest.fixture
def schema() -> dict[str, Any]:
    (text,) = blocks("json")
    return json.loads(text)


@pytest.mark.parametrize("options", [{}, {"synthetic": True, "performers": ["ivan"], "label_required": False}])
def test_records_follow_the_schema(world: World, schema: dict[str, Any], options: dict[str, Any]) -> None:
    payload = payload_of(world.record(**options))
    assert follows(schema, payload, schema)
    assert {*schema["required"], "status"} == set(schema["properties"]) == {*payload, "status"}
    named = payload_of(world.record(status=StatusPointer("https://example.org/s", 7, world.key.key_id), **options))
    assert follows(schema, named, schema)
    assert set(named) == set(schema["properties"])
    assert set(schema["properties"]["scope"]["required"]) == set(payload["scope"])
    for change in ({"version": 2}, {"extra": 1}, {"expires": "soon"}):
        assert not follows(schema, {**payload, **change}, schema)


def test_the_schemas_lists_are_the_programs(schema: dict[str, Any]) -> None:
    scope = schema["properties"]["scope"]["properties"]
    assert tuple(scope["purposes"]["items"]["enum"]) == PURPOSES
    assert tuple(scope["media"]["items"]["enum"]) == MEDIA
    assert scope["performers"]["maxItems"] == PERFORMER_LIMIT
    assert schema["properties"]["adult"]["properties"]["years"]["minimum"] == MINIMUM_AGE


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = blocks("python")
    exec(compile(source, str(PAGE), "exec"), {"__name__": "__docs__"})
    out = capsys.readouterr().out
    assert "A REQUEST TO VERA" in out
    assert "It was revoked on" in out
