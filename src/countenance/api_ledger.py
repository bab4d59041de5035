"""The part of the Python API that is about the ledger and the status lists made from it; see :mod:`countenance.api`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.api_consent import opened_project
from countenance.errors import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from countenance.api_consent import AnyPath, AnyProject
    from countenance.consent.status import Status
    from countenance.consent.terms import StatusPointer
    from countenance.project import Project
    from countenance.provenance.ledger_export import ExportFacts

__all__ = [
    "LedgerReport",
    "StatusReport",
    "consent_status_check",
    "consent_status_publish",
    "ledger_export",
    "ledger_verify",
    "named_list",
]


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """A ledger that holds: its ``rows``, the hash of the last one (None where there is none), and how many ``anchors``
    that are known from elsewhere were found in it.
    """

    rows: int
    head: str | None
    anchors: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A status list that was signed: its file, its name, its issuer's key id, until when it is good, and how many
    records it says are revoked.
    """

    path: Path
    uri: str
    issuer: str
    expires: datetime
    revoked: int


def ledger_verify(project: AnyProject, *, anchors: Iterable[str] = (), against: AnyPath | None = None) -> LedgerReport:
    """Check that no row of a project's ledger was edited, dropped, inserted or reordered.

    The models of the project remember the row that allowed them: these rows must be there.

    Args:
        project: the project.
        anchors: hashes of rows that must be there, too.
        against: an export; each of its rows must be there.

    Raises:
        LedgerError: it does not hold. IntegrityError: the export does not.
    """
    from countenance.consent.ledger import Ledger
    from countenance.provenance.ledger_export import verify_export

    opened = opened_project(project)
    book = Ledger(opened.ledger_path)
    wanted = {*anchors, *_of_models(opened)}
    if against is not None:
        wanted |= set(verify_export(Path(against)).hashes)
    book.verify(wanted)
    entries = book.entries()
    return LedgerReport(len(entries), entries[-1].hash if entries else None, len(wanted))


def _of_models(project: Project) -> set[str]:
    """The rows that allowed the models of this project; a damaged checkpoint tells nothing, and `train` says so."""
    from countenance.errors import CheckpointError
    from countenance.training.checkpoint import CHECKPOINT, read_facts

    found = set()
    for path in (project.root / "models").glob(f"*/*/{CHECKPOINT}"):
        try:
            found.add(read_facts(path).ledger_entry)
        except CheckpointError:
            continue
    return found


def ledger_export(project: AnyProject, path: AnyPath, *, overwrite: bool = False) -> ExportFacts:
    """Write the ledger as JSON lines, one row each; the last line is signed by this installation. It names people.

    Raises:
        LedgerError: it was tampered with, or is empty.
        OutputError: the file is there, or cannot be written.
        MarkError: it cannot be signed.
    """
    from countenance.consent.ledger import Ledger
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity
    from countenance.provenance.ledger_export import export_ledger

    target = Path(path)
    if target.exists() and not overwrite:
        raise OutputError(f"{target} is there already. Choose another name, or replace it with --overwrite.")
    ledger = Ledger(opened_project(project).ledger_path)
    return export_ledger(ledger, target, SigningIdentity.load_or_create(user_data_dir()))


def consent_status_publish(
    project: AnyProject, path: AnyPath, *, uri: str, key: AnyPath, passphrase: str, days: int = 7
) -> StatusReport:
    """Sign a list of the revocations in the ledger. A list already at ``path`` is gone on from: revoked stays revoked.

    Args:
        project: whose ledger is read.
        path: the list's file.
        uri: the list's name in the records: https://… or urn:…
        key: the issuer's key file.
        passphrase: of the key.
        days: how long the list is good for.

    Raises:
        InputError: the key does not open, or this names no list.
        ConsentError: the list that is there is not this one. LedgerError: the ledger was tampered with.
        OutputError: the list cannot be written.
    """
    from datetime import timedelta

    from countenance.atomic import write_bytes
    from countenance.consent.keys import load_key
    from countenance.consent.ledger import Ledger
    from countenance.consent.status import make_status_list, read_status_list, revoked_indices
    from countenance.consent.strict_json import read_bounded

    target = Path(path)
    signer = load_key(Path(key), passphrase)
    pointer = named_list(uri, 0, signer.key_id)
    ledger = Ledger(opened_project(project).ledger_path)
    ledger.verify()
    places = revoked_indices(ledger.entries(), signer.key_id, uri)
    previous = read_status_list(read_bounded(target, "The status list"), pointer) if target.exists() else None
    data = make_status_list(places, signer, uri, lifetime=timedelta(days=days), previous=previous)
    write_bytes(target, data)
    made = read_status_list(data, pointer)
    return StatusReport(target, uri, made.issuer, made.expires, sum(byte.bit_count() for byte in made.bits))


def consent_status_check(project: AnyProject, lender: str) -> Status | None:
    """Look a lender's record up in the list that it names; None where it names none.

    Raises:
        ConsentError: there is no record. LedgerError: the ledger was tampered with.
    """
    from countenance.consent.clock import utc_now
    from countenance.consent.ledger import Ledger
    from countenance.consent.record import parse_record
    from countenance.consent.status import fetch_status, gather_status, judge_status
    from countenance.consent.strict_json import read_bounded

    opened = opened_project(project)
    record = parse_record(read_bounded(opened.consent_path(lender), f"The consent record of {lender}"))
    if record.status is None:
        return None
    ledger = Ledger(opened.ledger_path)
    ledger.verify()
    return judge_status(opened, record, gather_status(opened, record, fetch_status), utc_now(), ledger.entries())


def named_list(uri: str, place: int, issuer: str) -> StatusPointer:
    """A place in a status list, by its address and its issuer's key id (raises InputError)."""
    from countenance.consent.terms import StatusPointer

    try:
        return StatusPointer(uri, place, issuer)
    except ValueError as error:
        raise InputError(
            f"This names no status list: {error}. Give https://… or urn:…, a place and a key id."
        ) from error
