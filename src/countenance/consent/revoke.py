"""Taking consent back: at once, for good, without a reason.

Two ways lead to the same row in the ledger. A *signed* revocation is made by the lender, with the record's own key,
on any machine. A *local* one is entered by the project's people when the lender tells them. Nothing undoes either: the
same request signed again carries the same id, and that id stays revoked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from countenance.config import clean_line
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.jws import open_document, sign_document
from countenance.consent.keys import SigningKey, public_key
from countenance.consent.ledger import Entry, Ledger
from countenance.consent.record import ConsentRecord
from countenance.consent.terms import MalformedError, Table
from countenance.errors import ConsentError
from countenance.project import Project

__all__ = ["REVOCATION_TYPE", "Revocation", "Revoked", "find_revocation", "revoke", "sign_revocation"]

REVOCATION_TYPE = "countenance-revocation+jws"
"""``typ`` of a signed revocation."""

_VERSION = 1
_MEMBERS = ("version", "record_id", "key", "revoked", "reason")
_WHAT = "The revocation"


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revocation in the ledger: of which record, when (UTC text), by whose word, and the row's hash."""

    record_id: str
    time: str
    by: Literal["lender", "project", "list"]
    ledger_entry: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """That a record was revoked: at ``time`` where that is ``exact``, otherwise by then at the latest."""

    time: datetime
    exact: bool


def sign_revocation(record: ConsentRecord, key: SigningKey, *, reason: str = "", clock: Clock = utc_now) -> bytes:
    """Make a signed revocation; it needs nothing but the record and its key, and no project.

    Args:
        record: what is taken back.
        key: the key that signed it.
        reason: a line, if the lender wants to give one.
        clock: gives the time.

    Raises:
        ConsentError: the key is another one than the record's.
        ConfigError: the reason is not one plain line.
    """
    if key.key_id != record.key_id:
        raise ConsentError("This key did not sign the record. Revoke it with the key that signed it.")
    payload = {
        "version": _VERSION,
        "record_id": record.id,
        "key": key.public_jwk,
        "revoked": format_time(clock()),
        "reason": clean_line(reason, "reason") if reason else "",
    }
    return sign_document(payload, [key], REVOCATION_TYPE)


def revoke(
    project: Project,
    record: ConsentRecord,
    *,
    statement: bytes | None = None,
    reason: str = "",
    clock: Clock = utc_now,
) -> Revocation:
    """Enter a revocation into the project's ledger. Training and rendering refuse from that row on.

    Args:
        project: the project whose ledger it goes into.
        record: what is taken back.
        statement: the lender's signed revocation; None enters the project's own word, which stops work just the same.
        reason: a line for the ledger (a signed revocation brings its own).
        clock: gives the time.

    Raises:
        ConsentError: the statement is forged, of another key or about another record.
        LedgerError, OutputError: the ledger cannot be written.
    """
    by: Literal["lender", "project"] = "project"
    facts: dict[str, Any] = {"reason": clean_line(reason, "reason") if reason else ""}
    if statement is not None:
        by, facts = "lender", {"reason": _verified_reason(record, statement), "statement": statement.decode("ascii")}
    if record.status is not None:
        facts |= record.status.to_json()
    facts |= {"lender": record.lender, "record_id": record.id, "record_sha256": record.sha256, "by": by}
    now = clock()
    entry = Ledger(project.ledger_path, clock=lambda: now).append("revocation", facts)
    return Revocation(record.id, format_time(now), by, entry)


def find_revocation(entries: Iterable[Entry], record: ConsentRecord) -> Revocation | None:
    """The first row that revokes a record, by its id or by its hash."""
    for entry in entries:
        if entry.kind == "revocation" and (
            entry.facts.get("record_id") == record.id or entry.facts.get("record_sha256") == record.sha256
        ):
            given = entry.facts.get("by")
            by: Literal["lender", "project", "list"] = given if given in ("lender", "list") else "project"
            return Revocation(record.id, entry.time, by, entry.hash)
    return None


def _verified_reason(record: ConsentRecord, statement: bytes) -> str:
    payload, canonical_bytes = open_document(
        statement, REVOCATION_TYPE, lambda payload: [public_key(payload.get("key"))], _WHAT
    )
    if canonical_bytes != statement:
        raise ConsentError(f"{_WHAT} was reformatted. Use the file as it was made.")
    try:
        table = Table(payload, "the revocation", _MEMBERS)
        table.time("revoked")
        if table.raw("version") != _VERSION:
            raise MalformedError("its version is unknown")
        reason = table.line("reason") if table.text("reason") else ""
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Make it again.") from error
    if public_key(table.raw("key")).thumbprint() != record.key_id:
        raise ConsentError(f"{_WHAT} is signed with another key than the record. Sign it with the record's key.")
    if table.text("record_id") != record.id:
        raise ConsentError(f"{_WHAT} is about another record. Make one for this record.")
    return reason
