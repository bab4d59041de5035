"""The answer of a verification, as values, as text and as JSON (schema in docs/reference/verification.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from countenance.provenance.attestation import Attestation
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.trace import Trace

__all__ = ["EXIT_CODES", "VERDICTS", "Consent", "Finding", "Marks", "Verdict", "Verification", "claim_facts"]

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


ACCOUNT_HOLDS = (
    "The proof holds: a signer known to this computer stands behind this recording with a written account, and neither "
    "has changed since. That the account is true is the signer's word; no program can prove it."
)
"""What *holds* means of an attested recording."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One layer's answer: a word for programs and a sentence for people, made with ``facts``."""

    state: str
    sentence: str
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)


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
    """What a file proves, each layer apart. ``codes`` are C2PA's own failure codes.

    ``attestation`` is the account that somebody signed together with the recording, where there is one; ``trace`` what
    a register answered, where one was asked; ``signer`` the name in the certificate, made fit for a terminal;
    ``unread`` what the bits of a watermark say that could not be read and that the file's credentials do not state, for
    a register that may know it; ``hinted`` whether any part of one shows.
    """

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
    attestation: Attestation | None = None
    trace: Trace | None = None
    signer: str | None = None
    unread: tuple[bytes, ...] = ()
    hinted: bool = False

    @property
    def verdict(self) -> Verdict:
        """The whole in one word.

        ``holds`` needs everything: bytes intact, signature valid, signer known, our consent statement or an account in
        it, parents whose credentials held, no time that contradicts another, no other watermark than the stated one (a
        recording with an account has none), and no consent record at hand that contradicts.
        """
        if "broken" in (self.integrity.state, self.signature.state):
            return "broken"
        contradicted = (
            self.parents.state in ("broken", "withheld_broken")
            or self.time.state in ("ahead", "contradicted", "stamp_broken")
            or self.marks.watermark.state == "differs"
            or (self.claim is None and self.marks.watermark.state in ("found", "traces"))
            or self.consent.then.state in ("other_record", "other_scope", "not_in_force", "revoked")
        )
        proven = (self.integrity.state, self.signature.state, self.trust.state) == ("intact", "valid", "trusted")
        stated = self.claim is not None or self.attestation is not None
        return "holds" if proven and stated and not contradicted else "unproven"

    @property
    def summary(self) -> str:
        """The verdict in words."""
        account = self.verdict == "holds" and self.claim is None
        return ACCOUNT_HOLDS if account else VERDICTS[self.verdict]

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
            **({} if self.attestation is None else {"account": self.attestation.finding}),
            "parents": self.parents,
            "label": self.marks.label,
            "watermark": self.marks.watermark,
            "consent_then": self.consent.then,
            "consent_now": self.consent.now,
            "screens": self.screens,
            **({} if self.trace is None else {"register": self.trace.finding}),
        }

    def to_text(self) -> str:
        """The verification in plain words, a paragraph a layer."""
        layers = [f"{name.replace('_', ' ').capitalize()}: {finding.sentence}" for name, finding in self.layers.items()]
        account = [] if self.attestation is None else ["", self.attestation.to_text()]
        return "\n".join([self.summary, "", *layers, *account]).rstrip()

    def to_dict(self) -> dict[str, Any]:
        """The verification as JSON's types; see docs/reference/verification.schema.json."""
        return {
            "schema": SCHEMA,
            "file": self.path.name,
            "verdict": self.verdict,
            "summary": self.summary,
            "exit_code": self.exit_code,
            "layers": {name: {"state": f.state, "sentence": f.sentence} for name, f in self.layers.items()},
            "claim": claim_facts(self.claim),
            "account": None if self.attestation is None else self.attestation.to_dict(),
            "trace": None if self.trace is None else self.trace.to_dict(),
            "c2pa_failures": list(self.codes),
        }

    def to_json(self) -> str:
        """:meth:`to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def claim_facts(claim: RenderClaim | None) -> dict[str, Any] | None:
    """A claim as JSON's types."""
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
