"""On which basis a performer's face is replaced: a consent record of their own, or as a protected witness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from countenance.consent.cover import Work, reasons_against
from countenance.consent.record import parse_record
from countenance.consent.strict_json import read_bounded
from countenance.errors import ConsentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from countenance.consent.ledger import Entry
    from countenance.project import Project

__all__ = ["Basis", "performer_basis"]

Basis = Literal["record", "protected witness", "not stated"]


def performer_basis(project: Project, performer: str, now: datetime, entries: Sequence[Entry]) -> Basis:
    """On which basis the performer's face is replaced, for the ledger.

    A performer who has a record in ``people/NAME/consent.json`` must have it in force: taken back, it ends the work.

    Args:
        project: with its title, purpose and protected witnesses.
        performer: name.
        now: aware.
        entries: the project's ledger.

    Raises:
        ConsentError: the performer's record is not valid or does not cover the work.
    """
    if project.protects(performer):
        return "protected witness"
    path = project.consent_path(performer)
    if not path.exists():
        return "not stated"
    record = parse_record(read_bounded(path, f"The consent record of {performer}"))
    reasons = reasons_against(record, Work(project.config.title, project.config.purpose, performer), now, entries)
    if reasons:
        raise ConsentError(f"The consent record of the performer {performer} does not cover this. " + " ".join(reasons))
    return "record"
