"""``countenance ledger``: is it as it was written, and a copy for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, InOrder, answer, json_option, project_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.project import Project

__all__ = ["ledger"]


@click.group(cls=InOrder, short_help="Check the ledger, and export it signed.")
def ledger() -> None:
    """What was asked, agreed, revoked, allowed, refused, trained, rendered and destroyed, in order.

    \b
    Examples:
      countenance ledger verify
      countenance ledger export ledger.jsonl
      countenance verify ledger.jsonl              anybody who has the file
    """


@ledger.command(cls=Command, short_help="Check that no row was edited, dropped or reordered.")
@click.option("--anchor", "anchors", multiple=True, metavar="HASH", help="A row's hash that must be there; repeatable.")
@click.option(
    "--against", metavar="FILE", type=click.Path(path_type=Path), help="An export; each of its rows must be there."
)
@project_option
@json_option
def verify(anchors: tuple[str, ...], against: Path | None, open_project: Callable[[], Project], as_json: bool) -> None:
    """Check that no row of the ledger was edited, dropped, inserted or reordered.

    The models of the project remember the row that allowed them: these rows must be there. Rows that were cut off
    at the end and that no model knows of show against an earlier export.

    \b
    Examples:
      countenance ledger verify
      countenance ledger verify --against ledger-in-may.jsonl
    """
    from countenance import api_ledger

    found = api_ledger.ledger_verify(open_project(), anchors=anchors, against=against)
    told = f"The ledger holds: {found.rows} rows, {found.anchors} of them known from elsewhere. Last row: {found.head}."
    answer({"ledger": found}, told if found.rows else "There is no ledger yet: nothing has happened.", as_json=as_json)


@ledger.command(cls=Command, short_help="Write it as signed JSON lines.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@project_option
@json_option
def export(file: Path, overwrite: bool, open_project: Callable[[], Project], as_json: bool) -> None:
    """Write the ledger as JSON lines, one row each; the last line is signed by this installation.

    \b
    Example:
      countenance ledger export ledger.jsonl
    """
    from countenance import api_ledger

    done = api_ledger.ledger_export(open_project(), file, overwrite=overwrite)
    facts = {"path": file, "rows": done.rows, "head": done.head, "time": done.time}
    answer({"export": facts}, f"Wrote {done.rows} rows, signed, to {file}. It names people.", as_json=as_json)
