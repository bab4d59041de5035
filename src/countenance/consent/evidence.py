"""What a record says about the face: which one it is, where its measurement comes from, and how the age was checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from countenance.consent.clock import format_time
from countenance.consent.table import MalformedError, Table, with_optional

__all__ = [
    "ADULT_METHODS",
    "CAPTURE_CHECKS",
    "DOCUMENT_AGE",
    "DOCUMENT_KINDS",
    "MINIMUM_AGE",
    "AdultCheck",
    "CaptureEvidence",
    "FaceClaim",
]

MINIMUM_AGE = 18.0
"""Apparent age in years below which nobody can lend a face (the screen's own rule, enforced here once more)."""

DOCUMENT_AGE = 25.0
"""Median apparent age in years from which on the estimate alone is enough; below, a witness sees a document."""

DOCUMENT_KINDS = {
    "civil-register": "an extract from a civil register",
    "driving-licence": "a driving licence",
    "identity-card": "an identity card",
    "passport": "a passport",
    "residence-permit": "a residence permit",
}
"""Documents with a date of birth that a witness can look at, and in words. A closed list."""

ADULT_METHODS = ("apparent-age-median", "id-document", "synthetic")
"""How a person can be known to be adult. A closed list."""

CAPTURE_CHECKS = ("sequence", "one-person", "depth")
"""What a capture verified: all that was asked for, in order; one face throughout; a head and no photograph."""

_EMBEDDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHALLENGE = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AdultCheck:
    """How the person is known to be adult.

    ``method`` is one of :data:`ADULT_METHODS`: the estimate from the pictures alone; a document that the witness saw
    (its kind, out of :data:`DOCUMENT_KINDS`, and the day; never its number or a birth date); or that there is no such
    person of flesh and blood.

    Raises:
        ValueError: the members do not fit together.
    """

    method: str
    document: str = ""
    checked: date | None = None

    def __post_init__(self) -> None:
        if self.method not in ADULT_METHODS:
            raise ValueError("the method by which the person was found to be adult is unknown")
        by_document = self.method == "id-document"
        if by_document != bool(self.document) or by_document != (self.checked is not None):
            raise ValueError("an identity document is named by its kind and the day it was seen, and only there")
        if by_document and self.document not in DOCUMENT_KINDS:
            raise ValueError(f"the identity document is none of: {', '.join(DOCUMENT_KINDS)}")

    def to_json(self) -> dict[str, Any]:
        """The member ``adult`` of a request or record."""
        if self.checked is None:
            return {"method": self.method}
        return {"method": self.method, "document": self.document, "checked": self.checked.isoformat()}

    @classmethod
    def from_json(cls, value: object) -> AdultCheck:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        table = Table(value, "adult", with_optional(value, ("method",), ("document", "checked")))
        given = table.members()
        return cls(
            table.text("method"),
            table.text("document") if "document" in given else "",
            table.day("checked") if "checked" in given else None,
        )


@dataclass(frozen=True, slots=True)
class CaptureEvidence:
    """That the measurement comes from a clip which answered a challenge (``countenance consent capture``).

    ``challenge_id`` and ``challenge_sha256`` name the challenge, ``evidence_sha256`` the file ``capture.json``;
    ``time`` is when the clip was verified.

    Raises:
        ValueError: a member is out of range.
    """

    challenge_id: str
    challenge_sha256: str
    evidence_sha256: str
    time: datetime

    def __post_init__(self) -> None:
        if not _CHALLENGE.fullmatch(self.challenge_id):
            raise ValueError("the challenge's id is not one")
        if not _SHA256.fullmatch(self.challenge_sha256) or not _SHA256.fullmatch(self.evidence_sha256):
            raise ValueError("the capture is not named by SHA-256")

    def to_json(self) -> dict[str, Any]:
        """The member ``capture`` of a request or record."""
        return {
            "kind": "challenge",
            "challenge_id": self.challenge_id,
            "challenge_sha256": self.challenge_sha256,
            "evidence_sha256": self.evidence_sha256,
            "time": format_time(self.time),
            "verified": list(CAPTURE_CHECKS),
        }

    @classmethod
    def from_json(cls, value: object) -> CaptureEvidence | None:
        """Read the member ``capture``; None where the measurement comes from footage (raises ValueError)."""
        if value == {"kind": "footage"}:
            return None
        members = ("kind", "challenge_id", "challenge_sha256", "evidence_sha256", "time", "verified")
        table = Table(value, "capture", members)
        if table.raw("kind") != "challenge" or table.raw("verified") != list(CAPTURE_CHECKS):
            raise MalformedError("the capture is of an unknown kind, or did not verify everything")
        return cls(
            table.text("challenge_id"),
            table.sha256("challenge_sha256"),
            table.sha256("evidence_sha256"),
            table.time("time"),
        )


@dataclass(frozen=True, slots=True)
class FaceClaim:
    """Which face the terms are about.

    ``embedder_id`` names the network, ``template_sha256`` the enrolled template (hashed with the salt that lies in it),
    ``threshold`` is the cosine that each face must reach, ``apparent_age`` the median apparent age in years at
    enrolment, ``capture`` the evidence of the clip that was measured, None where that was footage.

    Raises:
        ValueError: a member is out of range, or the person appears under age.
    """

    embedder_id: str
    template_sha256: str
    threshold: float
    apparent_age: float
    capture: CaptureEvidence | None = None

    def __post_init__(self) -> None:
        if not _EMBEDDER.fullmatch(self.embedder_id) or not _SHA256.fullmatch(self.template_sha256):
            raise ValueError("the face is not named by a network and a SHA-256")
        if not 0.0 < self.threshold < 1.0:
            raise ValueError("the face's threshold is not between 0 and 1")
        if not MINIMUM_AGE <= self.apparent_age <= 150.0:
            raise ValueError("the person appears to be under age, and nobody can consent to lend a minor's face")

    def to_json(self) -> dict[str, Any]:
        """The members ``face`` and ``capture`` of a request or record."""
        return {
            "face": {
                "embedder": self.embedder_id,
                "template_sha256": self.template_sha256,
                "threshold": self.threshold,
                "apparent_age": self.apparent_age,
            },
            "capture": {"kind": "footage"} if self.capture is None else self.capture.to_json(),
        }

    @classmethod
    def from_json(cls, face: object, capture: object) -> FaceClaim:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        table = Table(face, "face", ("embedder", "template_sha256", "threshold", "apparent_age"))
        return cls(
            table.text("embedder"),
            table.text("template_sha256"),
            table.number("threshold"),
            table.number("apparent_age"),
            CaptureEvidence.from_json(capture),
        )
