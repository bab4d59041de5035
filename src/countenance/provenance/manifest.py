"""What a render says about itself: the C2PA manifest, written from a claim and read back from a file.

The words follow the C2PA specification 2.x. Nothing here names a person: the consent record is given by its id and
its SHA-256, so that only somebody who holds the record can tell whose face it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from countenance import __version__

__all__ = [
    "CONSENT_LABEL",
    "SOURCE_TYPE",
    "WATERMARK_ALGORITHM",
    "FootageCredentials",
    "RenderClaim",
    "footage_ingredient",
    "manifest_definition",
    "model_ingredient",
    "read_claim",
    "read_footage_credentials",
    "sheet_definition",
]

CONSENT_LABEL = "org.countenance.consent"
"""Label of our assertion: under which consent record the render was made, and which marks it carries."""

WATERMARK_ALGORITHM = "org.countenance.watermark.2"
"""Name of the watermark in the soft binding."""

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for footage with a part painted by a trained model."""

_SHEET_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
_MODEL_ID = "xmp:iid:model"  # within its manifest; it tells nothing of the model

FootageCredentials = Literal["none", "intact", "broken", "unreadable"]
"""What the footage itself carried when it was signed: no credentials, ones that held, ones that did not."""

_RECORD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{3,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_WATERMARK_BYTES = 5
_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class RenderClaim:
    """What the maker of a render states in it.

    ``record_id`` and ``record_sha256`` (64 hex digits) name the consent record, ``scope_sha256`` what was agreed
    (:mod:`countenance.provenance.scope`); ``purpose`` is its purpose for this render; ``synthetic`` says that the
    lender is a synthetic person; ``label_text`` is the burnt-in label, or None where the record allows to leave it out;
    ``watermark_id`` the watermark's five bytes; ``made_at`` is aware (UTC is kept). ``disclose_footage`` also copies
    the footage's own credentials into the render. Off by default: a camera's credentials hold a thumbnail of the very
    face that is being hidden, and where it was filmed.

    Raises:
        ValueError: a field that is not of this form, before it can reach a file.
    """

    record_id: str
    record_sha256: str
    purpose: str
    made_at: datetime
    preset: str
    label_text: str | None
    watermark_id: bytes | None
    synthetic: bool = False
    screens: tuple[str, ...] = ()
    disclose_footage: bool = False
    scope_sha256: str | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        words = (self.purpose, self.preset, *self.screens)
        checks = {
            "record_id": _RECORD_ID.fullmatch(self.record_id),
            "record_sha256": _SHA256.fullmatch(self.record_sha256),
            "scope_sha256": self.scope_sha256 is None or _SHA256.fullmatch(self.scope_sha256),
            "purpose, preset and screens": all(_WORD.fullmatch(word) for word in words),
            "made_at": self.made_at.tzinfo is not None,
            "label_text": self.label_text is None or 0 < len(self.label_text) <= _TEXT_LIMIT,
            "watermark_id": self.watermark_id is None or len(self.watermark_id) == _WATERMARK_BYTES,
            "version": 0 < len(self.version) <= 64,
        }
        wrong = [name for name, good in checks.items() if not good]
        if wrong:
            raise ValueError(f"RenderClaim: not of the expected form: {', '.join(wrong)}")

    @property
    def label_shown(self) -> bool:
        """Whether the render carries the visible label."""
        return self.label_text is not None


def manifest_definition(claim: RenderClaim, media_type: str, footage: FootageCredentials) -> dict[str, Any]:
    """The manifest of a render, as c2pa's builder takes it.

    The model that painted is in it as an ingredient, the footage not yet: see :func:`footage_ingredient`.

    Args:
        claim: what the render states.
        media_type: MIME type of the render.
        footage: what credentials the footage had.
    """
    agent = {"name": "Countenance", "version": claim.version}
    when = claim.made_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    actions: list[dict[str, Any]] = [
        {
            "action": "c2pa.edited",
            "when": when,
            "softwareAgent": agent,
            "digitalSourceType": SOURCE_TYPE,
            "parameters": {"ingredientIds": [_MODEL_ID]},
            "description": "A face was replaced by the face of a person who consented to lend it.",
        }
    ]
    assertions: list[dict[str, Any]] = [
        {"label": "c2pa.actions.v2", "data": {"actions": actions}},
        *_not_for_training(),
        {"label": CONSENT_LABEL, "data": _consent_data(claim, when, footage)},
    ]
    if claim.watermark_id is not None:
        value = base64.b64encode(claim.watermark_id).decode("ascii")
        binding = {"alg": WATERMARK_ALGORITHM, "blocks": [{"scope": {}, "value": value}]}
        actions.append({"action": "c2pa.watermarked.bound", "when": when, "softwareAgent": agent})
        assertions.append({"label": "c2pa.soft-binding", "data": binding})
    return {
        "claim_generator_info": [agent],
        "title": "Render",  # neutral: a file's name may name a person or a place
        "format": media_type,
        "assertions": assertions,
        "ingredients": [model_ingredient()],
    }


def sheet_definition() -> dict[str, Any]:
    """The manifest of a contact sheet of untouched faces: made by this program of pictures, nothing painted."""
    agent = {"name": "Countenance", "version": __version__}
    created = {"action": "c2pa.created", "softwareAgent": agent, "digitalSourceType": _SHEET_SOURCE_TYPE}
    return {
        "claim_generator_info": [agent],
        "title": "Contact sheet",
        "format": "image/png",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}, *_not_for_training()],
    }


def _not_for_training() -> list[dict[str, Any]]:
    """No training and no data mining: in C2PA's words up to 1.4, and in CAWG's, who keep that assertion since."""
    uses = ("data_mining", "ai_training", "ai_generative_training", "ai_inference")
    return [
        {
            "label": f"{house}.training-mining",
            "data": {"entries": {f"{house}.{use}": {"use": "notAllowed"} for use in uses}},
        }
        for house in ("c2pa", "cawg")
    ]


def model_ingredient() -> dict[str, Any]:
    """The trained model, which went into the render: that there was one, and nothing that tells which."""
    return {
        "title": "Model",
        "format": "application/octet-stream",
        "relationship": "inputTo",
        "instance_id": _MODEL_ID,
        "data_types": [{"type": "c2pa.types.model"}],
    }


def footage_ingredient(media_type: str) -> dict[str, Any]:
    """The footage as parent ingredient, with a neutral title and an id of its own: no name, path or XMP of it."""
    return {
        "title": "Footage",
        "format": media_type,
        "relationship": "parentOf",
        "instance_id": f"xmp:iid:{uuid.uuid4()}",
    }


def _consent_data(claim: RenderClaim, when: str, footage: FootageCredentials) -> dict[str, Any]:
    return {
        "schema": 1,
        "record_id": claim.record_id,
        "record_sha256": claim.record_sha256,
        "scope_sha256": claim.scope_sha256 or "",
        "purpose": claim.purpose,
        "made_at": when,
        "synthetic_person": claim.synthetic,
        "preset": claim.preset,
        "label": claim.label_text or "",  # empty: none shown
        "watermark": claim.watermark_id.hex() if claim.watermark_id is not None else "",
        "screens": list(claim.screens),
        "footage_credentials": footage,
        "footage_disclosed": claim.disclose_footage,
    }


def read_claim(manifest: Mapping[str, Any]) -> RenderClaim | None:
    """The claim in a manifest, or None when it makes none of ours that can be understood.

    Args:
        manifest: one manifest as ``c2pa.Reader.json`` gives it. Not to be believed before the signature is checked;
            anything in it may be hostile.
    """
    data = _assertion_data(manifest, CONSENT_LABEL)
    if data is None or data.get("schema") != 1:
        return None
    try:
        return RenderClaim(
            record_id=_text(data, "record_id"),
            record_sha256=_text(data, "record_sha256"),
            purpose=_text(data, "purpose"),
            made_at=datetime.strptime(_text(data, "made_at"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            preset=_text(data, "preset"),
            label_text=_text(data, "label") or None,
            watermark_id=binascii.unhexlify(_text(data, "watermark")) or None,
            synthetic=data.get("synthetic_person") is True,
            screens=tuple(str(word) for word in data.get("screens", ()))[:16],
            disclose_footage=data.get("footage_disclosed") is True,
            scope_sha256=str(data.get("scope_sha256", "")) or None,
            version=_generator_version(manifest),
        )
    except (TypeError, ValueError):
        return None


def read_footage_credentials(manifest: Mapping[str, Any]) -> str:
    """What the signer states on the footage's own credentials: see :data:`FootageCredentials`, or "none"."""
    data = _assertion_data(manifest, CONSENT_LABEL) or {}
    return str(data.get("footage_credentials", "none"))


def _assertion_data(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any] | None:
    for assertion in manifest.get("assertions") or ():
        if isinstance(assertion, Mapping) and assertion.get("label") == label:
            data = assertion.get("data")
            return data if isinstance(data, Mapping) else None
    return None


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise TypeError(f"{key}: expected a text")
    return value


def _generator_version(manifest: Mapping[str, Any]) -> str:
    for generator in manifest.get("claim_generator_info") or ():
        if isinstance(generator, Mapping) and generator.get("name") == "Countenance":
            return _text(generator, "version")
    return "unknown"
