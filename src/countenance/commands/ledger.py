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
    from countenance.consent.ledger import Ledger
    from countenance.provenance.ledger_export import verify_export

    project = open_project()
    book = Ledger(project.ledger_path)
    wanted = {*anchors, *_of_models(project)}
    if against is not None:
        wanted |= set(verify_export(against).hashes)
    book.verify(wanted)
    entries = book.entries()
    head = entries[-1].hash if entries else None
    facts = {"rows": len(entries), "head": head, "anchors": len(wanted)}
    told = f"The ledger holds: {len(entries)} rows, {len(wanted)} of them known from elsewhere. Last row: {head}."
    answer({"ledger": facts}, told if entries else "There is no ledger yet: nothing has happened.", as_json=as_json)


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
    from countenance.consent.ledger import Ledger
    from countenance.errors import OutputError
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity
    from countenance.provenance.ledger_export import export_ledger

    if file.exists() and not overwrite:
        raise OutputError(f"{file} is there already. Choose another name, or replace it with --overwrite.")
    project = open_project()
    done = export_ledger(Ledger(project.ledger_path), file, SigningIdentity.load_or_create(user_data_dir()))
    facts = {"path": file, "rows": done.rows, "head": done.head, "time": done.time}
    answer({"export": facts}, f"Wrote {done.rows} rows, signed, to {file}. It names people.", as_json=as_json)


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
