"""Writes docs/reference/verification.schema.json: the states are those of the sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from countenance.provenance.report import EXIT_CODES, SCHEMA
from countenance.provenance.sentences import SENTENCES

PATH = Path(__file__).parents[1] / "docs" / "reference" / "verification.schema.json"
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


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what ``countenance verify --json`` says of media."""
    order = ("integrity", "signature", "trust", "time", "parents", "label", "watermark")
    layers = {name: _layer(list(SENTENCES[name])) for name in (*order, "consent_then", "consent_now", "screens")}
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
                "layers": _object(layers),
                "claim": claim,
                "c2pa_failures": {"type": "array", "items": {"type": "string"}, "description": "C2PA's own codes."},
            }
        ),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
