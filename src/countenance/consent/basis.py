"""On which basis a face is used: the lender's record; of the performer a record too, or as a protected witness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from countenance.consent.cover import Work, reasons_against
from countenance.consent.record import ConsentRecord, parse_record
from countenance.consent.revoke import find_revocation
from countenance.consent.status import judge_status
from countenance.consent.strict_json import read_bounded
from countenance.consent.template import load_template
from countenance.errors import ConsentError

if TYPE_CHECKING:
    from datetime import datetime

    from countenance.consent.ledger import Book
    from countenance.consent.status import Evidence
    from countenance.consent.template import FaceTemplate
    from countenance.project import Project

__all__ = ["Basis", "Standing", "covering_record", "enrolled_face", "performer_basis"]

Basis = Literal["record", "protected witness"]


@dataclass(frozen=True, slots=True)
class Standing:
    """On which basis the performer's face is replaced, and what the permit's row keeps of it.

    ``record`` is the performer's, None for a protected witness.
    """

    basis: Basis
    facts: dict[str, Any]
    record: ConsentRecord | None = None


def performer_basis(project: Project, work: Work, book: Book, evidence: Evidence, now: datetime) -> Standing:
    """On which basis the performer's face is replaced, for the ledger.

    A protected witness needs no record, which would identify them. Everybody else's must be in force, be about the
    enrolled face, and allow to replace it.

    Args:
        project: with its title, purpose and protected witnesses.
        work: what is to be done.
        book: the ledger, held alone; a revocation that the status list shows is entered.
        evidence: of the performer's record, from :func:`countenance.consent.status.gather_status`.
        now: aware.

    Raises:
        ConsentError: there is neither, or the performer's record is not valid or does not cover the work.
        MinorError: the performer's enrolled face appears under age.
    """
    performer = str(work.performer)
    if project.protects(performer):
        return Standing("protected witness", {})
    if not project.consent_path(performer).exists():
        raise ConsentError(
            f"Nothing says on what basis {performer}'s face is replaced. Ask {performer} for a consent record "
            f"(countenance consent enrol {performer}, then countenance consent request {performer} --replaced …), or "
            f"note that {performer} is a protected witness, which reads no footage again: countenance extract "
            f"--person {performer} --protected-witness."
        )
    own = Work(work.title, work.purpose, performer, act=work.act, role="replaced")
    record, status = covering_record(project, own, book, evidence, now)
    enrolled_face(project, record, performer)
    facts = {"record_id": record.id, "record_sha256": record.sha256, "key_id": record.key_id}
    facts |= {"witness_key_id": record.witness.key_id, **status}
    return Standing("record", {f"performer_{name}": value for name, value in facts.items()}, record)


def covering_record(
    project: Project, work: Work, book: Book, evidence: Evidence, now: datetime
) -> tuple[ConsentRecord, dict[str, Any]]:
    """The record that covers the work, and what the ledger keeps of its status list.

    Raises:
        ConsentError: there is none, or it is not valid or does not cover the work.
    """
    name = work.lender
    whose = name if work.role == "lend" else f"the performer {name}"
    path = project.consent_path(name)
    if not path.exists():
        raise ConsentError(
            f"There is no consent record of {name}. Ask for one with: countenance consent request {name}."
        )
    record = parse_record(read_bounded(path, f"The consent record of {name}"))
    entries = book.entries()
    reasons = reasons_against(record, work, now, entries)
    status = judge_status(project, record, evidence, now, entries)
    if status.revoked and find_revocation(entries, record) is None:  # kept: nothing takes a revocation back
        names = {"lender": record.lender, "record_id": record.id, "record_sha256": record.sha256}
        book.append("revocation", {**names, "by": "list", "reason": "", "status": status.facts})
    if reasons or status.reasons:
        raise ConsentError(
            f"The consent record of {whose} does not cover this. " + " ".join([*reasons, *status.reasons])
        )
    return record, {} if status.facts is None else {"status": status.facts}


def enrolled_face(project: Project, record: ConsentRecord, name: str) -> FaceTemplate:
    """The template of the face that a record is about.

    Raises:
        ConsentError: it is missing or damaged, or the record is about another one.
        MinorError: the person appears under age.
    """
    template = load_template(project.template_path(name), project.key())
    if template.sha256() != record.template_sha256:
        raise ConsentError(
            f"The enrolled face of {name} is not the one that the consent record is about. Restore "
            f"{project.template_path(name)}, or ask {name} for a new record."
        )
    if template.apparent_age != record.face.apparent_age:
        raise ConsentError(
            f"The consent record of {name} gives another apparent age ({record.face.apparent_age:.1f} years) than the "
            f"enrolled face ({template.apparent_age:.1f}). Ask {name} for a new record."
        )
    return template
