"""``countenance consent status``: publish the list of revocations, and look a record up in it."""

from __future__ import annotations

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
    from countenance import api_ledger

    made = api_ledger.consent_status_publish(
        open_project(), file, uri=uri, key=key, passphrase=key_passphrase(passphrase_file), days=days
    )
    told = f"Signed {file}: {made.revoked} revoked, good until {made.expires:%Y-%m-%d %H:%M} UTC. Put it at {uri}."
    answer({"status": made}, told, as_json=as_json)


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
    from countenance import api_ledger

    found = api_ledger.consent_status_check(open_project(), lender)
    if found is None:
        answer({"status": None}, f"The record of {lender} names no status list.", as_json=as_json)
        return 0
    facts = {"list": found.facts, "revoked": found.revoked, "problems": list(found.reasons)}
    listed = found.facts or {}
    fine = f"Not revoked, by the list of {listed.get('issued')} ({listed.get('uri')})."
    answer({"status": facts}, " ".join(found.reasons) or fine, as_json=as_json)
    return 2 if found.reasons else 0


def status_pointer(project: Project, uri: str | None, issuer: str | None, place: int | None) -> StatusPointer | None:
    """What the options of ``consent request`` say; a random free place where none is given.

    Raises:
        InputError: one of two was given, or one that cannot be.
    """
    from countenance.api_ledger import named_list
    from countenance.consent.ledger import Ledger
    from countenance.consent.status import free_index
    from countenance.errors import InputError

    if uri is None and issuer is None and place is None:
        return None
    if uri is None or issuer is None:
        raise InputError(
            "A status list is named by its address and its issuer's key id. Give --status-uri and --status-key."
        )
    return named_list(uri, free_index(Ledger(project.ledger_path).entries(), uri) if place is None else place, issuer)
