"""The consent record: the terms, the face and the words that were read, signed by the lender.

Format: ``docs/reference/consent-record.md``. A record is checkable by anyone, offline, from its bytes alone; whether it
covers a certain work is another question (:mod:`countenance.consent.cover`), and whether the key is the lender's is
for people to compare (the key id, 43 characters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from countenance.config import PURPOSES
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.jws import open_document, sign_document
from countenance.consent.keys import SigningKey, generate_key, load_key, public_key
from countenance.consent.request import create_request, face_claim, parse_request
from countenance.consent.statement import LANGUAGE
from countenance.consent.strict_json import sha256_hex
from countenance.consent.template import FaceTemplate
from countenance.consent.terms import FaceClaim, MalformedError, Table, Terms
from countenance.errors import ConsentError

__all__ = [
    "PURPOSES",
    "RECORD_TYPE",
    "ConsentRecord",
    "create_request",
    "generate_key",
    "load_key",
    "parse_record",
    "sign_request",
]

RECORD_TYPE = "countenance-consent+jws"
"""``typ`` of a record: no other signed document of ours can pass for one."""

_ISSUER = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"  # RFC 9278
_MEMBERS = ("issuer", "key", "issued", "face", "adult", "statement")
_WHAT = "The consent record"


@dataclass(frozen=True, slots=True)
class ConsentRecord(Terms):
    """A record whose signature holds; beside the :class:`Terms`, who signed what and when.

    ``key_id`` is the thumbprint of the signer's key, ``issued`` the time of signing by the signer's clock, ``face`` the
    enrolled face, ``statement_sha256`` the hash of the words that were read, ``sha256`` the hash of the record's
    canonical bytes, ``data`` those bytes.
    """

    key_id: str
    public_jwk: dict[str, str] = field(compare=False)
    issued: datetime
    face: FaceClaim
    statement_sha256: str
    sha256: str
    data: bytes = field(repr=False)

    @property
    def adult_id_checked(self) -> bool:
        """Whether the lender's age rests on an identity card; a synthetic person has neither card nor birthday."""
        return self.synthetic

    @property
    def embedder_id(self) -> str:
        """The network that the template was made with."""
        return self.face.embedder_id

    @property
    def template_sha256(self) -> str:
        """Hash of the enrolled template."""
        return self.face.template_sha256

    @property
    def threshold(self) -> float:
        """Cosine that each face must reach."""
        return self.face.threshold


def sign_request(
    request: Mapping[str, Any], key: SigningKey, template: FaceTemplate | None = None, *, clock: Clock = utc_now
) -> bytes:
    """Sign a request: make the record.

    The caller has shown ``request["statement"]["text"]`` to the person who signs.

    Args:
        request: from :func:`create_request` or a file; it is checked again here.
        key: the lender's.
        template: the enrolled face; needed when the request names none, and must be that one when it does.
        clock: gives the time of signing.

    Returns:
        The record's file.

    Raises:
        ConsentError: the request is not what it says, has ended, or is about another face.
        MinorError: the template's person appears under age (raised when it was made or read).
    """
    terms, face = parse_request(request)
    if template is not None:
        given = face_claim(template, face.threshold if face else None)
        if face is not None and given != face:
            raise ConsentError("The request is about another face than the enrolled one. Make a new request.")
        face = given
    if face is None:
        raise ConsentError("No face is enrolled for this request. Enrol the lender's face first, then sign.")
    now = clock()
    if now >= terms.expires:
        raise ConsentError("The term that this request asks for has ended. Make a new request.")
    payload = {
        **terms.to_json(),
        **face.to_json(),
        "issuer": _ISSUER + key.key_id,
        "key": key.public_jwk,
        "issued": format_time(now),
        "statement": {"language": LANGUAGE, "sha256": sha256_hex(request["statement"]["text"].encode("utf-8"))},
    }
    return sign_document(payload, [key], RECORD_TYPE)


def parse_record(data: bytes) -> ConsentRecord:
    """Read and verify a record: its form, its signature by exactly the key it names, and the rules no record can break.

    Whether it is in force, and for which work, is not looked at: an expired record is still a valid document.

    Args:
        data: the file's bytes, which may be hostile.

    Raises:
        ConsentError: it says what is wrong.
    """
    payload, canonical_bytes = open_document(data, RECORD_TYPE, _signers, _WHAT)
    try:
        return _from_payload(payload, canonical_bytes)
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Ask the lender for a new one.") from error


def _signers(payload: dict[str, Any]) -> list[OKPKey]:
    """The keys that must have signed. A witness's key will join here, and both be required."""
    return [public_key(payload.get("key"))]


def _from_payload(payload: dict[str, Any], data: bytes) -> ConsentRecord:
    table = Table(payload, "the record", (*Terms.members_of(payload), *_MEMBERS))
    terms = Terms.from_json(payload)
    key_id = public_key(table.raw("key")).thumbprint()
    if table.text("issuer") != _ISSUER + key_id:
        raise MalformedError("its issuer is not the key that signed it")
    statement = Table(table.raw("statement"), "statement", ("language", "sha256"))
    statement.line("language")
    issued = table.time("issued")
    if issued >= terms.expires:
        raise MalformedError("it was signed after its term had ended")
    return ConsentRecord(
        **{name: getattr(terms, name) for name in Terms.__dataclass_fields__},
        key_id=key_id,
        public_jwk=dict(table.raw("key")),
        issued=issued,
        face=FaceClaim.from_json(table.raw("face"), table.raw("adult")),
        statement_sha256=statement.sha256("sha256"),
        sha256=sha256_hex(data),
        data=data,
    )
