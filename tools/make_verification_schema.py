"""Writes docs/reference/verification.schema.json: the states are those of the sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from countenance.provenance.report import EXIT_CODES, SCHEMA
from countenance.provenance.sentences import SENTENCES

PATH = Path(__file__).parents[1] / "docs" / "reference" / "verification.schema.json"
OPTIONAL = ("account", "register")
"""Layers that are told only of an attested recording, or where a register was asked."""

_HEX = r"^[0-9a-f]{64}$"


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    } | more


def _layer(states: list[str]) -> dict[str, Any]:
    return _object({"state": {"enum": states}, "sentence": {"type": "string"}})


def _account() -> dict[str, Any]:
    number = {"type": "integer"}
    span = {"type": "array", "items": number}
    track = _object(
        {
            "kind": {"enum": ["picture", "sound"]},
            "signed": number,
            "found": number,
            "same": number,
            "changed": {"type": "array", "items": span},
            "piece_at": {"type": ["integer", "null"]},
        }
    )
    account = _object(
        {
            "state": {"enum": list(SENTENCES["account"])},
            "text": {"type": ["string", "null"], "description": "A stranger's; null where it is of another recording."},
            "text_sha256": {"type": "string", "pattern": _HEX},
            "made_at": {"type": "string", "description": "ISO 8601, UTC"},
            "recording_sha256": {"type": "string"},
            "tracks": {"type": "array", "items": track},
        },
        description="The account that was signed with a recording; null where there is none.",
    )
    return account | {"type": ["object", "null"]}


def _trace(claim: dict[str, Any]) -> dict[str, Any]:
    trace = _object(
        {
            "state": {"enum": list(SENTENCES["register"])},
            "claim": claim | {"description": "Of the render that this is most likely a copy of."},
            "sha256": {"type": ["string", "null"], "pattern": _HEX},
            "signer": {"type": ["string", "null"]},
            "trusted": {"type": "boolean"},
        },
        description="What a register answered; null where none was asked.",
    )
    return trace | {"type": ["object", "null"]}


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``countenance verify --json`` says of media."""
    order = ("integrity", "signature", "trust", "time", "parents", "label", "watermark")
    always = (*order, "consent_then", "consent_now", "screens")
    layers = {name: _layer(list(SENTENCES[name])) for name in (*always, *OPTIONAL)}
    claim = _object(
        {
            "record_id": {"type": "string"},
            "record_sha256": {"type": "string", "pattern": _HEX},
            "scope_sha256": {"type": ["string", "null"], "pattern": _HEX},
            "purpose": {"type": "string"},
            "made_at": {"type": "string", "description": "ISO 8601, UTC"},
            "synthetic_person": {"type": "boolean"},
            "preset": {"type": "string"},
            "label": {"type": ["string", "null"]},
            "watermark": {"type": ["string", "null"], "pattern": "^[0-9a-f]{10}$"},
            "screens": {"type": "array", "items": {"type": "string"}},
            "version": {"type": "string"},
        },
        description="What the signer states; null where nothing can be relied on.",
    )
    claim["type"] = ["object", "null"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What countenance verify --json says of a media file",
        **_object(
            {
                "schema": {"const": SCHEMA},
                "file": {"type": "string", "description": "The file's name, without its folder."},
                "verdict": {"enum": list(EXIT_CODES)},
                "summary": {"type": "string"},
                "exit_code": {"enum": list(EXIT_CODES.values())},
                "layers": _object(layers, required=list(always)),
                "claim": claim,
                "account": _account(),
                "trace": _trace(claim),
                "c2pa_failures": {"type": "array", "items": {"type": "string"}, "description": "C2PA's own codes."},
            }
        ),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
