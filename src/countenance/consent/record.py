"""The consent record: the terms, the face and the words that were read, signed by the lender and by a witness.

Format: ``docs/reference/consent-record.md``. A record is checkable by anyone, offline, from its bytes alone; whether it
covers a certain work is another question (:mod:`countenance.consent.cover`), and whether the keys are the lender's and
the witness's is for people to compare (the key ids, 43 characters each).

It is made in two steps, which can happen on two machines. The lender signs a request (:func:`sign_request`); what comes
out has one signature and is refused wherever a record is wanted. The witness reads the same page and adds the second
signature (:func:`witness_record`) over the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey

from countenance.config import PURPOSES
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.jws import add_signature, open_document, sign_document
from countenance.consent.keys import SigningKey, generate_key, load_key, public_key
from countenance.consent.request import create_request, face_claim, parse_request
from countenance.consent.statement import LANGUAGE_TAG, LANGUAGES, statement_text
from countenance.consent.strict_json import loads, sha256_hex
from countenance.consent.template import FaceTemplate
from countenance.consent.terms import MalformedError, Table, Terms, require_version
from countenance.errors import ConsentError

__all__ = [
    "PURPOSES",
    "RECORD_TYPE",
    "ConsentRecord",
    "Unwitnessed",
    "create_request",
    "generate_key",
    "load_key",
    "parse_record",
    "parse_unwitnessed",
    "read_words_known",
    "sign_request",
    "witness_record",
]

RECORD_TYPE = "countenance-consent+jws"
"""``typ`` of a record: no other signed document of ours can pass for one."""

_THUMBPRINT = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"  # RFC 9278
_MEMBERS = ("issuer", "key", "issued", "statement")
_WHAT = "The consent record"
_DAY = timedelta(days=1)  # the witness's calendar may be ahead of UTC
_UNFINISHED = (
    "The witness has not signed yet. This is no consent record before that: give the file to the witness, who signs it "
    "with: countenance consent witness FILE."
)


@dataclass(frozen=True, slots=True)
class _Signed(Terms):
    """What the lender signed; beside the :class:`Terms`, with which key, when, and which words."""

    key_id: str
    public_jwk: dict[str, str] = field(compare=False)
    issued: datetime
    statement_sha256: str
    language: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unwitnessed(_Signed):
    """What the lender signed, for the witness to read; it allows nothing. ``data`` are its canonical bytes."""


@dataclass(frozen=True, slots=True)
class ConsentRecord(_Signed):
    """A record whose two signatures hold; beside the :class:`Terms`, who signed what and when.

    ``key_id`` is the thumbprint of the lender's key, ``witness.key_id`` that of the witness's, ``issued`` the time of
    signing by the lender's clock, ``face`` the enrolled face, ``statement_sha256`` the hash of the words that were
    read and ``language`` the one (BCP 47) that they are in, ``sha256`` the hash of the record's canonical bytes,
    ``data`` those bytes.
    """

    sha256: str

    @property
    def embedder_id(self) -> str:
        """The network that the template was made with."""
        return self.face.embedder_id

    @property
    def template_sha256(self) -> str:
        """Salted hash of the enrolled template."""
        return self.face.template_sha256

    @property
    def threshold(self) -> float:
        """Cosine that each face must reach."""
        return self.face.threshold


def sign_request(
    request: Mapping[str, Any], key: SigningKey, template: FaceTemplate | None = None, *, clock: Clock = utc_now
) -> bytes:
    """Sign a request as the lender: the first of two signatures.

    The caller has shown ``request["statement"]["text"]`` to the person who signs.

    Args:
        request: from :func:`create_request` or a file; it is checked again here.
        key: the lender's.
        template: the enrolled face, where it is at hand: the request must be about that one.
        clock: gives the time of signing.

    Returns:
        The file for the witness. It is no record before the witness has signed: see :func:`witness_record`.

    Raises:
        ConsentError: the request is not what it says, has ended, is about another face, or names this very key as
            the witness's.
    """
    terms = parse_request(request)
    if template is not None:
        given = replace(face_claim(template, terms.face.threshold), capture=terms.face.capture)
        if given != terms.face:
            raise ConsentError("The request is about another face than the enrolled one. Make a new request.")
    if key.key_id == terms.witness.key_id:
        raise ConsentError(
            "This key is the witness's, and lender and witness must be two people. Sign with the lender's own key."
        )
    now = clock()
    _require_running(terms, now)
    issuer = _THUMBPRINT + key.key_id
    payload = terms.to_json()
    payload |= {
        "subject": {"id": issuer, **payload["subject"]},
        "issuer": issuer,
        "key": key.public_jwk,
        "issued": format_time(now),
        "statement": {
            "language": request["statement"]["language"],
            "sha256": sha256_hex(request["statement"]["text"].encode("utf-8")),
        },
    }
    data = sign_document(payload, [key], RECORD_TYPE)
    parse_unwitnessed(data)  # nobody is given to sign what no reader would take
    return data


def parse_unwitnessed(data: bytes) -> Unwitnessed:
    """Read and verify what the lender signed and the witness has not.

    Args:
        data: the file's bytes, which may be hostile.

    Raises:
        ConsentError: it says what is wrong, also when the words that were signed are not those of these terms.
    """
    signatures = loads(data, _WHAT).get("signatures")
    if isinstance(signatures, list) and len(signatures) > 1:
        parse_record(data)
        raise ConsentError(
            "The witness has signed this already. The makers take it in with: countenance consent accept."
        )
    payload, canonical_bytes = open_document(data, RECORD_TYPE, lambda payload: _signers(payload)[:1], _WHAT)
    try:
        signed = Unwitnessed(**_members(payload), data=canonical_bytes)
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Ask the makers for a new request.") from error
    if not read_words_known(signed):
        raise ConsentError(
            "The lender read another page than the one that belongs to these terms, or used another version of this "
            "program. Do not sign it; ask the makers for a new request."
        )
    return signed


def read_words_known(signed: Unwitnessed | ConsentRecord) -> bool:
    """Whether the words that were read are the page that this program knows for these terms, in that language."""
    if signed.language not in LANGUAGES:
        return False
    return sha256_hex(statement_text(signed, signed.language).encode("utf-8")) == signed.statement_sha256


def witness_record(data: bytes, key: SigningKey, *, clock: Clock = utc_now) -> bytes:
    """Sign as the witness: the second signature, over the same bytes.

    The caller has shown :func:`~countenance.consent.statement.statement_text` of it, in its language, to the witness.

    Args:
        data: what :func:`sign_request` gave.
        key: the witness's.
        clock: gives the present.

    Returns:
        The record's file.

    Raises:
        ConsentError: it is not what the lender signed, has ended, or names another witness.
    """
    signed = parse_unwitnessed(data)
    if key.key_id != signed.witness.key_id:
        raise ConsentError(
            f"The lender signed for a witness with the key {signed.witness.key_id}, and this key is {key.key_id}. "
            "Use that key, or ask the makers for a request that names this one."
        )
    _require_running(signed, clock())
    return add_signature(signed.data, key, RECORD_TYPE)


def parse_record(data: bytes) -> ConsentRecord:
    """Read and verify a record: its form, its signatures by exactly the keys it names, and the rules no record breaks.

    Whether it is in force, and for which work, is not looked at: an expired record is still a valid document.

    Args:
        data: the file's bytes, which may be hostile.

    Raises:
        ConsentError: it says what is wrong.
    """
    payload, canonical_bytes = open_document(data, RECORD_TYPE, _signers, _WHAT, unfinished=_UNFINISHED)
    try:
        return ConsentRecord(**_members(payload), data=canonical_bytes, sha256=sha256_hex(canonical_bytes))
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Ask the lender for a new one.") from error


def _require_running(terms: Terms, now: datetime) -> None:
    if now >= terms.expires:
        raise ConsentError("The term that this request asks for has ended. Make a new request.")


def _signers(payload: dict[str, Any]) -> list[OKPKey]:
    """The keys that must have signed, in this order: the lender's, the witness's."""
    require_version(payload)
    witness = payload.get("witness")
    return [public_key(payload.get("key")), public_key(witness.get("key") if isinstance(witness, dict) else None)]


def _members(payload: dict[str, Any]) -> dict[str, Any]:
    """The members of :class:`_Signed` but for the bytes; raises ValueError."""
    table = Table(payload, "the record", (*Terms.members_of(payload), *_MEMBERS))
    subject = payload["subject"]
    if not isinstance(subject, dict) or "id" not in subject:
        raise MalformedError("its subject has no id")
    terms = Terms.from_json({**payload, "subject": {name: subject[name] for name in subject if name != "id"}})
    key_id = public_key(table.raw("key")).thumbprint()
    if table.text("issuer") != _THUMBPRINT + key_id:
        raise MalformedError("its issuer is not the key that signed it")
    if terms.witness.key_id == key_id:
        raise MalformedError("lender and witness sign with the same key")
    if subject["id"] != table.text("issuer"):
        raise MalformedError("its subject is not the key that signed it")
    statement = Table(table.raw("statement"), "statement", ("language", "sha256"))
    if not LANGUAGE_TAG.fullmatch(statement.line("language")):
        raise MalformedError("its statement is in no language that a tag names (BCP 47)")
    issued = table.time("issued")
    if issued >= terms.expires:
        raise MalformedError("it was signed after its term had ended")
    if terms.adult.checked is not None and terms.adult.checked > (issued.astimezone(UTC) + _DAY).date():
        raise MalformedError("the identity document would have been seen after the signature")
    return {
        **{name: getattr(terms, name) for name in Terms.__dataclass_fields__},
        "key_id": key_id,
        "public_jwk": dict(table.raw("key")),
        "issued": issued,
        "statement_sha256": statement.sha256("sha256"),
        "language": statement.line("language"),
    }
