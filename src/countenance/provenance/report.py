"""The answer of a verification, as values, as text and as JSON (schema in docs/reference/verification.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.provenance.manifest import RenderClaim

__all__ = ["EXIT_CODES", "VERDICTS", "Consent", "Finding", "Marks", "Verdict", "Verification"]

SCHEMA = 2
"""Version of :meth:`Verification.to_dict`."""

Verdict = Literal["holds", "unproven", "broken"]

EXIT_CODES: dict[Verdict, int] = {"holds": 0, "unproven": 1, "broken": 3}
"""Exit code of ``countenance verify``; 2 is any error of the program, such as a missing file."""

VERDICTS: dict[Verdict, str] = {
    "holds": "The proof holds: a signer known to this computer marked this file as a consented face replacement, and "
    "it has not changed since. That is the signer's word, kept safe; it does not make the scene itself true.",
    "unproven": "Nothing is proven here. That does not mean that the file is genuine, nor that it is fake: marks can "
    "be removed, and most files never had any.",
    "broken": "The file carries credentials that do not hold: it was changed after signing, or the credentials belong "
    "to another file. Do not rely on anything that they say.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One layer's answer: a word for programs and a sentence for people."""

    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks in the picture: ``label`` by the signer's word, ``watermark`` as searched."""

    label: Finding
    watermark: Finding


@dataclass(frozen=True, slots=True)
class Consent:
    """The consent record: how it stood when the file was made, ``then``, and how it stands ``now``."""

    then: Finding
    now: Finding


@dataclass(frozen=True, slots=True)
class Verification:
    """What a file proves, each layer apart. ``codes`` are C2PA's own failure codes."""

    path: Path
    integrity: Finding
    signature: Finding
    trust: Finding
    time: Finding
    parents: Finding
    marks: Marks
    consent: Consent
    screens: Finding
    claim: RenderClaim | None
    codes: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The whole in one word.

        ``holds`` needs everything: bytes intact, signature valid, signer known, our consent statement in it, parents
        whose credentials held, no time that contradicts another, no other watermark than the stated one, and no
        consent record at hand that contradicts.
        """
        if "broken" in (self.integrity.state, self.signature.state):
            return "broken"
        contradicted = (
            self.parents.state in ("broken", "withheld_broken")
            or self.time.state in ("ahead", "contradicted", "stamp_broken")
            or self.marks.watermark.state == "differs"
            or self.consent.then.state in ("other_record", "other_scope", "not_in_force", "revoked")
        )
        proven = (self.integrity.state, self.signature.state, self.trust.state) == ("intact", "valid", "trusted")
        return "holds" if proven and self.claim is not None and not contradicted else "unproven"

    @property
    def exit_code(self) -> int:
        """0 holds, 1 unproven, 3 broken."""
        return EXIT_CODES[self.verdict]

    @property
    def layers(self) -> dict[str, Finding]:
        """Every layer by name, in the order in which they are told."""
        return {
            "integrity": self.integrity,
            "signature": self.signature,
            "trust": self.trust,
            "time": self.time,
            "parents": self.parents,
            "label": self.marks.label,
            "watermark": self.marks.watermark,
            "consent_then": self.consent.then,
            "consent_now": self.consent.now,
            "screens": self.screens,
        }

    def to_text(self) -> str:
        """The verification in plain words, a paragraph a layer."""
        layers = [f"{name.replace('_', ' ').capitalize()}: {finding.sentence}" for name, finding in self.layers.items()]
        return "\n".join([VERDICTS[self.verdict], "", *layers])

    def to_dict(self) -> dict[str, Any]:
        """The verification as JSON's types; see docs/reference/verification.schema.json."""
        return {
            "schema": SCHEMA,
            "file": self.path.name,
            "verdict": self.verdict,
            "summary": VERDICTS[self.verdict],
            "exit_code": self.exit_code,
            "layers": {name: {"state": f.state, "sentence": f.sentence} for name, f in self.layers.items()},
            "claim": _claim(self.claim),
            "c2pa_failures": list(self.codes),
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def _claim(claim: RenderClaim | None) -> dict[str, Any] | None:
    if claim is None:
        return None
    return {
        "record_id": claim.record_id,
        "record_sha256": claim.record_sha256,
        "scope_sha256": claim.scope_sha256,
        "purpose": claim.purpose,
        "made_at": claim.made_at.isoformat(),
        "synthetic_person": claim.synthetic,
        "preset": claim.preset,
        "label": claim.label_text,
        "watermark": claim.watermark_id.hex() if claim.watermark_id is not None else None,
        "screens": list(claim.screens),
        "version": claim.version,
    }
