"""docs/reference/verification.schema.json: real answers keep to it, and it knows every state that there is."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from register_world import ID, OTHER, copy_with

from countenance.provenance.report import EXIT_CODES
from countenance.provenance.sentences import SENTENCES
from countenance.provenance.trace import register_at, traced
from countenance.provenance.verify import verify_file

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/verification.schema.json").read_text("utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def problems(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What of JSON Schema (2020-12) this schema uses; an unknown word in it is a problem as well."""
    known = {"$schema", "$id", "$ref", "title", "description", "type", "const", "enum", "required", "properties"}
    unknown = set(schema) - known - {"additionalProperties", "items", "pattern", "$defs", "uniqueItems"}
    found = [f"{at}: the schema has the unknown word {word}" for word in unknown]
    if "$ref" in schema:
        found += problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], at)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(type(value) is TYPES[kind] for kind in kinds):
        return [*found, f"{at}: {type(value).__name__} is not of {kinds}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is not in the list")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} is not of the pattern")
    if isinstance(value, dict):
        named = schema.get("properties", {})
        found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
        for key, inner in value.items():
            if key in named:
                found += problems(inner, named[key], f"{at}.{key}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{at}: unknown {key}")
    if isinstance(value, list):
        found += [
            one for number, item in enumerate(value) for one in problems(item, schema["items"], f"{at}[{number}]")
        ]
    return found


def test_real_answers_keep_to_it(signed: Path, footage: Path, identity, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(signed.read_bytes() + b"x")
    for path in (signed, footage, text, changed):
        answer = verify_file(path, trusted_pem=identity.authority_pem, time_pem="", search_watermark=False).to_dict()
        assert problems(json.loads(json.dumps(answer)), SCHEMA) == [], path


def test_answers_on_accounts_and_traces_keep_to_it(attested, filled: Path, footage: Path, identity, tmp_path) -> None:
    (tmp_path / "changed.mp4").write_bytes(attested.output.read_bytes().replace(b"SoundHandler", b"SoundHandles"))
    trust = {"trusted_pem": identity.authority_pem, "time_pem": ""}
    answers = [verify_file(path, **trust) for path in (attested.output, tmp_path / "changed.mp4")]
    answers += [
        traced(copy_with(footage, payload), register_at(str(filled)), identity.authority_pem)
        for payload in (ID, OTHER, None)
    ]
    for answer in answers:
        assert problems(json.loads(answer.to_json()), SCHEMA) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 1),
        (("verdict",), "fine"),
        (("exit_code",), 2),
        (("layers", "time", "state"), "tea time"),
        (("layers", "time"), {}),
        (("claim", "record_sha256"), "9F"),
        (("claim", "name"), "Vera"),
        (("more",), 1),
    ],
)
def test_a_wrong_answer_does_not(path: tuple[str, ...], value: object, signed: Path, identity) -> None:
    answer = verify_file(signed, trusted_pem=identity.authority_pem, time_pem="", search_watermark=False).to_dict()
    wrong = inner = copy.deepcopy(answer)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert problems(wrong, SCHEMA)


def test_it_knows_every_state() -> None:
    layers = SCHEMA["properties"]["layers"]["properties"]
    optional = {"account", "register"}  # of an attested recording, or where a register was asked
    assert [name for name in layers if name not in optional] == list(SCHEMA["properties"]["layers"]["required"])
    assert set(layers) == set(SENTENCES)
    for name, layer in layers.items():
        assert layer["properties"]["state"]["enum"] == list(SENTENCES[name]), name
    assert SCHEMA["properties"]["verdict"]["enum"] == list(EXIT_CODES)
    assert SCHEMA["properties"]["exit_code"]["enum"] == list(EXIT_CODES.values())
