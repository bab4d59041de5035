"""``countenance consent status``: publish the list of revocations, and look a record up in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import (
    Command,
    InOrder,
    answer,
    json_option,
    key_passphrase,
    passphrase_option,
    project_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.consent.terms import StatusPointer
    from countenance.project import Project

__all__ = ["status", "status_pointer"]


@click.group(cls=InOrder, short_help="A signed list in which revocations show.")
def status() -> None:
    """A signed list in which revocations show, without a name: one bit a record.

    A request that names the list (--status-uri, --status-key) binds the record to it: training and rendering then
    need a fresh list, and refuse without one.

    \b
    Examples:
      countenance consent status publish status.jws --uri urn:agency:list --key agency.key
      countenance consent status check vera
    """


@status.command(cls=Command, short_help="Sign a list of the revocations in the ledger.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--uri", required=True, metavar="URI", help="The list's name in the records: https://… or urn:…")
@click.option("--key", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The issuer's key file.")
@passphrase_option
@click.option("--days", type=int, default=7, show_default=True, metavar="N", help="How long it is good for.")
@project_option
@json_option
def publish(
    file: Path,
    uri: str,
    key: Path,
    passphrase_file: Path | None,
    days: int,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Sign a list of the revocations in the ledger. A list already in FILE is gone on from: revoked stays revoked.

    \b
    Example:
      countenance consent status publish status.jws --uri urn:agency:list --key agency.key
    """
    from countenance.atomic import write_bytes
    from countenance.consent.keys import load_key
    from countenance.consent.ledger import Ledger
    from countenance.consent.status import make_status_list, read_status_list, revoked_indices
    from countenance.consent.strict_json import read_bounded

    signer = load_key(key, key_passphrase(passphrase_file))
    pointer = _pointer(uri, 0, signer.key_id)
    ledger = Ledger(open_project().ledger_path)
    ledger.verify()
    places = revoked_indices(ledger.entries(), signer.key_id, uri)
    previous = read_status_list(read_bounded(file, "The status list"), pointer) if file.exists() else None
    data = make_status_list(places, signer, uri, lifetime=timedelta(days=days), previous=previous)
    write_bytes(file, data)
    made = read_status_list(data, pointer)
    revoked = sum(byte.bit_count() for byte in made.bits)
    facts = {"path": file, "uri": uri, "issuer": made.issuer, "expires": made.expires, "revoked": revoked}
    told = f"Signed {file}: {revoked} revoked, good until {made.expires:%Y-%m-%d %H:%M} UTC. Put it at {uri}."
    answer({"status": facts}, told, as_json=as_json)


@status.command(cls=Command, short_help="Look a record up in its list.")
@click.argument("lender", metavar="NAME")
@project_option
@json_option
def check(lender: str, open_project: Callable[[], Project], as_json: bool) -> int:
    """Look a lender's record up in the list that it names. Exit code 2 if it is revoked or no good list can be had.

    \b
    Example:
      countenance consent status check vera
    """
    from countenance.consent.clock import utc_now
    from countenance.consent.ledger import Ledger
    from countenance.consent.record import parse_record
    from countenance.consent.status import fetch_status, gather_status, judge_status
    from countenance.consent.strict_json import read_bounded

    project = open_project()
    record = parse_record(read_bounded(project.consent_path(lender), f"The consent record of {lender}"))
    if record.status is None:
        answer({"status": None}, f"The record of {lender} names no status list.", as_json=as_json)
        return 0
    ledger = Ledger(project.ledger_path)
    ledger.verify()
    found = judge_status(project, record, gather_status(project, record, fetch_status), utc_now(), ledger.entries())
    facts = {"list": found.facts, "revoked": found.revoked, "problems": list(found.reasons)}
    fine = f"Not revoked, by the list of {(found.facts or {}).get('issued')} ({record.status.uri})."
    answer({"status": facts}, " ".join(found.reasons) or fine, as_json=as_json)
    return 2 if found.reasons else 0


def status_pointer(project: Project, uri: str | None, issuer: str | None, place: int | None) -> StatusPointer | None:
    """What the options of ``consent request`` say; a random free place where none is given.

    Raises:
        InputError: one of two was given, or one that cannot be.
    """
    from countenance.consent.ledger import Ledger
    from countenance.consent.status import free_index
    from countenance.errors import InputError

    if uri is None and issuer is None and place is None:
        return None
    if uri is None or issuer is None:
        raise InputError(
            "A status list is named by its address and its issuer's key id. Give --status-uri and --status-key."
        )
    return _pointer(uri, free_index(Ledger(project.ledger_path).entries(), uri) if place is None else place, issuer)


def _pointer(uri: str, place: int, issuer: str) -> StatusPointer:
    from countenance.consent.terms import StatusPointer
    from countenance.errors import InputError

    try:
        return StatusPointer(uri, place, issuer)
    except ValueError as error:
        raise InputError(
            f"This names no status list: {error}. Give https://… or urn:…, a place and a key id."
        ) from error
