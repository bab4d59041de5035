"""A ledger as JSON lines that anybody can read, and nobody can change unseen.

One row a line, in order, and a last line that this installation signed (a
:mod:`countenance.provenance.signed_document`): the number of rows, the hash of the last one, and the SHA-256 of every
byte before it. So an edited, dropped, inserted or reordered line breaks the chain or the hash, and a cut-off file has
no signature.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from countenance.atomic import replacing
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.ledger import BEFORE_FIRST, FACTS_LIMIT, KINDS, Entry, Ledger, entry_hash_of
from countenance.consent.strict_json import canonical, loads
from countenance.errors import CountenanceError, LedgerError
from countenance.provenance.signed_document import read_document, sign_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from countenance.provenance.identity import SigningIdentity

__all__ = ["EXPORT_TYPE", "ExportFacts", "export_ledger", "verify_export"]

EXPORT_TYPE = "countenance-ledger-export+jws"
"""``typ`` of the last line."""

_LINE_LIMIT = 8 * FACTS_LIMIT  # facts can grow by their UTF-8 and the escapes, never that much
_MEMBERS = {"seq", "time", "kind", "facts", "previous", "hash"}
_WHAT = "The ledger's export"


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What an export that holds says of itself.

    ``rows`` is their number, ``head`` the hash of the last one, ``time`` when it was exported (UTC text), ``signer``
    and ``trusted`` as in a :class:`countenance.provenance.signed_document.SignedDocument`; ``hashes`` those of all
    rows, in order.
    """

    rows: int
    head: str
    time: str
    signer: str
    trusted: bool
    hashes: tuple[str, ...] = ()


def export_ledger(ledger: Ledger, path: Path, identity: SigningIdentity, *, clock: Clock = utc_now) -> ExportFacts:
    """Write a ledger as signed JSON lines: complete or not at all.

    Args:
        ledger: verified first.
        path: the file to write.
        identity: who signs.
        clock: gives the time of the export.

    Raises:
        LedgerError: there is no ledger, or it was tampered with; nothing is written.
        OutputError, MarkError: the file cannot be written, or not be signed.
    """
    ledger.verify()
    entries = ledger.entries()
    if not entries:
        raise LedgerError(f"There is no ledger {ledger.path} yet, so there is nothing to export.")
    whole = hashlib.sha256()
    previous = BEFORE_FIRST
    with replacing(path) as temporary, os.fdopen(_private(temporary), "wb") as stream:
        for entry in entries:
            # Rows can come between the two reads above, never change: so the rows that are written are checked again.
            _require_row(entry, entry.seq - 1, previous)
            previous = entry.hash
            line = canonical(asdict(entry)) + b"\n"
            whole.update(line)
            stream.write(line)
        facts = ExportFacts(len(entries), previous, format_time(clock()), "", trusted=True)
        stated = {"rows": facts.rows, "head": facts.head, "time": facts.time, "sha256": whole.hexdigest()}
        stream.write(sign_document(stated, identity, EXPORT_TYPE) + b"\n")
    return facts


def verify_export(path: Path, *, trusted_pem: str | None = None) -> ExportFacts:
    """Check an export: every row, their order, and the signature over all of it.

    Args:
        path: the file, which may be hostile.
        trusted_pem: certificates of the authorities to trust; None takes this installation's own.

    Raises:
        LedgerError: it names the first line that does not fit, or says that the file is cut off.
        IntegrityError: the last line is not a signature that holds.
    """
    whole, previous, hashes = hashlib.sha256(), BEFORE_FIRST, list[str]()
    signature: bytes | None = None
    for number, line in enumerate(_lines(path), 1):
        if signature is not None:
            raise LedgerError(f"{_WHAT} {path} goes on after its signature, at line {number}. Use the original file.")
        row = _row(line, number)
        if row is None:
            signature = line
            continue
        _require_row(row, number - 1, previous)
        previous = row.hash
        hashes.append(row.hash)
        whole.update(line + b"\n")
    if signature is None:
        raise LedgerError(f"{_WHAT} {path} is cut off: it does not end with a signature. Use the original file.")
    signed = read_document(signature, EXPORT_TYPE, _WHAT, trusted_pem=trusted_pem)
    stated = signed.payload
    if stated.get("rows") != len(hashes) or stated.get("head") != previous or stated.get("sha256") != whole.hexdigest():
        raise LedgerError(f"{_WHAT} {path} is not what was signed: rows are missing or changed. Use the original file.")
    return ExportFacts(len(hashes), previous, str(stated["time"]), signed.signer, signed.trusted, tuple(hashes))


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines without their breaks; a last line without one is not whole."""
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(_LINE_LIMIT + 1):
                number += 1
                if not line.endswith(b"\n"):
                    raise LedgerError(f"{_WHAT} {path} is cut off in line {number}. Use the original file.")
                yield line[:-1]
    except OSError as error:
        raise LedgerError(f"{_WHAT} {path} cannot be read ({error.strerror}). Check the name.") from error


def _row(line: bytes, number: int) -> Entry | None:
    """A line's row, or None for the signature's line."""
    try:
        value = loads(line, f"Line {number} of the export", limit=_LINE_LIMIT)
    except CountenanceError as error:
        raise LedgerError(f"{_WHAT} was changed: line {number} cannot be read. Use the original file.") from error
    if "signatures" in value:
        return None
    if set(value) != _MEMBERS or canonical(value) != line or not _typed(value):
        raise LedgerError(f"{_WHAT} was changed: line {number} is not a row. Use the original file.")
    return Entry(**value)


def _typed(value: dict[str, Any]) -> bool:
    texts = all(isinstance(value[name], str) for name in ("time", "kind", "previous", "hash"))
    return texts and isinstance(value["facts"], dict) and type(value["seq"]) is int and value["kind"] in KINDS


def _require_row(row: Entry, before: int, previous: str) -> None:
    place = f"line {before + 1}"
    if row.seq != before + 1 or row.previous != previous:
        raise LedgerError(f"{_WHAT} was changed: at {place} a row was dropped, inserted or moved. Use the original.")
    if entry_hash_of(row) != row.hash:
        raise LedgerError(f"{_WHAT} was changed: {place} was edited. Use the original file.")


def _private(path: Path) -> int:
    """A new file, readable by its owner only: it names people."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
