"""A record explained: what it allows, whether it holds, and whether it covers this project; and taking it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from countenance.atomic import output_error, write_bytes
from countenance.consent.clock import Clock, utc_now
from countenance.consent.cover import Work, reasons_against, trusted_key, trusted_witness
from countenance.consent.evidence import DOCUMENT_KINDS
from countenance.consent.ledger import Entry, Ledger
from countenance.consent.parties import AUTHORITY_KINDS, Authority
from countenance.consent.record import ConsentRecord, parse_record
from countenance.consent.statement import purpose_words
from countenance.consent.status import Fetch, fetch_status, gather_status, judge_status
from countenance.consent.template import load_template
from countenance.errors import ConsentError, RefusedError
from countenance.project import check_person_name

if TYPE_CHECKING:
    from countenance.project import Project

__all__ = ["ConsentCheck", "accept_record", "check_record"]


@dataclass(frozen=True, slots=True)
class ConsentCheck:
    """What ``countenance consent check`` says.

    ``record`` is None when the document itself is not valid; ``terms`` are sentences on what was agreed; ``problems``
    sentences on why it does not hold or cover the project, empty when all is well.
    """

    record: ConsentRecord | None
    terms: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the record holds (and covers the project, where one was given)."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "good": self.good,
            "record_id": self.record.id if self.record else None,
            "record_sha256": self.record.sha256 if self.record else None,
            "key_id": self.record.key_id if self.record else None,
            "witness_key_id": self.record.witness.key_id if self.record else None,
            "terms": list(self.terms),
            "problems": list(self.problems),
        }


def check_record(
    data: bytes,
    *,
    project: Project | None = None,
    lender: str | None = None,
    clock: Clock = utc_now,
    fetch: Fetch = fetch_status,
) -> ConsentCheck:
    """Verify a record and explain it; nothing is written.

    Args:
        data: the file's bytes.
        project: if given, the record must cover this project, its lender's template and its ledger too.
        lender: whose record it should be; the record's own word when None.
        clock: gives the present.
        fetch: gets the status list, where a project is given and the record names one.

    Raises:
        ProjectError: ``lender`` is not a name. LedgerError: the project's ledger was tampered with.
    """
    try:
        record = parse_record(data)
    except RefusedError as error:
        return ConsentCheck(None, (), (str(error),))
    name = check_person_name(lender) if lender is not None else record.lender
    entries: Sequence[Entry] = ()
    work = Work(record.title, record.purposes[0], name, role=record.role)
    problems: list[str] = []
    if project is not None:
        ledger = Ledger(project.ledger_path, clock=clock)
        ledger.verify()
        entries = ledger.entries()
        work = Work(project.config.title, project.config.purpose, name, role=record.role)
        problems += [*_template_problems(project, record, name), *_capture_problems(record, entries)]
        problems += judge_status(project, record, gather_status(project, record, fetch), clock(), entries).reasons
    problems = [*reasons_against(record, work, clock(), entries), *problems]
    return ConsentCheck(record, tuple(_sentences(record, entries)), tuple(problems))


def accept_record(
    project: Project,
    lender: str,
    data: bytes,
    *,
    expected_key: str | None = None,
    expected_witness: str | None = None,
    clock: Clock = utc_now,
) -> ConsentRecord:
    """Take a record into the project: check it, remember both keys, write ``consent.json``.

    Args:
        project: the project that it must cover.
        lender: whose record it is.
        data: the file's bytes.
        expected_key: the key id as the lender gave it in person. It confirms a first key or a changed one; without it,
            the first record's key is remembered and another key is refused later.
        expected_witness: the same for the key of the lender's witness.
        clock: gives the present.

    Raises:
        ConsentError: the record does not hold, does not cover the project, or is signed with another key.
        ProjectError, LedgerError, OutputError: as everywhere.
    """
    name = check_person_name(lender)
    record = parse_record(data)
    if expected_key is not None and expected_key != record.key_id:
        raise ConsentError(
            f"The record is signed with the key {record.key_id}, not with {expected_key}. Ask {name} which is right."
        )
    if expected_witness is not None and expected_witness != record.witness.key_id:
        raise ConsentError(
            f"The record's witness signed with the key {record.witness.key_id}, not with {expected_witness}. Ask "
            f"{name} and "
            "the witness which is right."
        )
    now = clock()
    with Ledger(project.ledger_path, clock=lambda: now).exclusive() as book:
        book.verify()
        if expected_key is not None and trusted_key(book.entries(), name) != expected_key:
            book.append("key", {"lender": name, "key_id": expected_key})
        if expected_witness is not None and trusted_witness(book.entries(), name) != expected_witness:
            book.append("key", {"lender": name, "witness_key_id": expected_witness})
        work = Work(project.config.title, project.config.purpose, name, role=record.role)
        entries = book.entries()
        problems = [*reasons_against(record, work, now, entries), *_template_problems(project, record, name)]
        problems += _capture_problems(record, entries)
        if problems:  # leaving by an exception takes the keys' rows back as well
            raise ConsentError(f"The consent record of {name} cannot be used here. " + " ".join(problems))
        facts = {"lender": name, "record_id": record.id, "record_sha256": record.sha256, "key_id": record.key_id}
        book.append("record", {**facts, "witness_key_id": record.witness.key_id, "witness_role": record.witness.role})
        path = project.consent_path(name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
        write_bytes(path, record.data)
    return record


def _template_problems(project: Project, record: ConsentRecord, lender: str) -> list[str]:
    try:
        template = load_template(project.template_path(lender), project.key())
    except RefusedError as error:
        return [str(error)]
    if template.sha256() != record.template_sha256:
        return [f"It is about another face than the one enrolled as {lender}. Restore the template or ask again."]
    if template.apparent_age != record.face.apparent_age:
        return [
            f"It says that {lender} appears to be {record.face.apparent_age:.1f} years old, and the enrolled face "
            f"{template.apparent_age:.1f}. Ask for a new record."
        ]
    return []


def _capture_problems(record: ConsentRecord, entries: Sequence[Entry]) -> list[str]:
    """A capture that a record speaks of must have been one of this project's."""
    capture = record.face.capture
    wanted = None if capture is None else (capture.challenge_sha256, capture.evidence_sha256, record.template_sha256)
    members = ("challenge_sha256", "evidence_sha256", "template_sha256")
    kept = (tuple(entry.facts.get(name) for name in members) for entry in entries if entry.kind == "capture")
    if wanted is None or wanted in kept:
        return []
    return [
        "It speaks of a film of a challenge that is not in this project's ledger. Capture the face here and ask again."
    ]


def _sentences(record: ConsentRecord, entries: Sequence[Entry]) -> list[str]:
    who = {
        "person": record.lender,
        "synthetic": f"the synthetic person {record.lender}",
        "estate": f"the estate of {record.lender}",
    }[record.kind]
    anyone = ", ".join(record.performers) if record.performers else "any performer"
    lent = record.role == "lend"
    face = "the lent face" if lent else "the performer's face"
    what = f"The face may be shown in place of: {anyone}." if lent else "The face may be replaced, and not shown."
    key = _known_words(trusted_key(entries, record.lender), record.key_id, "the lender tells")
    witness = _known_words(trusted_witness(entries, record.lender), record.witness.key_id, "the witness tells")
    return [
        f"This is the consent of {who} to “{record.title}”, asked by: {record.requester}.",
        *(f"Purpose {purpose}: {purpose_words(purpose, face, record.role)}." for purpose in record.purposes),
        f"In force from {record.not_before:%Y-%m-%d %H:%M} to {record.expires:%Y-%m-%d %H:%M} UTC; {record.territory}.",
        f"{what} Training is {'allowed' if record.train else 'not allowed'}.",
        f"The visible label is {'required' if record.label_required else 'not required by the lender'}.",
        "Sexual content and minors: never.",
        f"Signed on {record.issued:%Y-%m-%d %H:%M} UTC with the key {record.key_id}: {key}.",
        f"Witness: {record.witness.words}, with the key {record.witness.key_id}: {witness}.",
        *([] if record.authority is None else [_authority_words(record.authority)]),
        *(
            [f"Its revocation shows in the status list {record.status.uri}, place {record.status.index}."]
            if record.status
            else []
        ),
        "The face was measured in "
        + ("footage." if record.face.capture is None else "a film of a challenge, which was verified."),
        f"Apparent age at enrolment: {record.face.apparent_age:.0f} years; {_age_words(record)}.",
        f"Record {record.id}, SHA-256 {record.sha256}.",
    ]


def _known_words(known: str | None, key_id: str, who: str) -> str:
    if known is None:
        return f"not seen here before; compare it with what {who} you in person"
    return "the one this project knows" if known == key_id else "not the one this project knows"


def _authority_words(authority: Authority) -> str:
    kind = AUTHORITY_KINDS[authority.kind]
    return f"Signed for the estate by {kind}: {authority.description} (SHA-256 {authority.document_sha256})."


def _age_words(record: ConsentRecord) -> str:
    if record.synthetic:
        return "a synthetic person has no other"
    if record.adult.checked is None:
        return "no document was looked at"
    return f"the witness saw {DOCUMENT_KINDS[record.adult.document]} on {record.adult.checked.isoformat()}"
