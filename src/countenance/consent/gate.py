"""The one gate: training and rendering get their permit here, and nowhere else.

Every decision is a row in the ledger, the refusals too. The decision and its row happen while the ledger is held
alone, so a revocation is either before the permit, and refuses it, or after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from countenance.consent.basis import covering_record, enrolled_face, performer_basis
from countenance.consent.clock import Clock, utc_now
from countenance.consent.cover import Act, Work
from countenance.consent.ledger import Book, Ledger
from countenance.consent.match import match_faces
from countenance.consent.record import ConsentRecord, parse_record
from countenance.consent.status import Evidence, Fetch, fetch_status, gather_status
from countenance.consent.strict_json import read_bounded
from countenance.errors import ConsentError, RefusedError
from countenance.project import Project, check_person_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LookedUp", "Permit", "enter_render", "look_up_status", "require_consent", "still_in_force"]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the status lists of the lender's and of the performer's record gave."""

    lender: Evidence
    performer: Evidence


@dataclass(frozen=True, slots=True)
class Permit:
    """What the gate gives: which record allows the work, and what goes into checkpoints and manifests.

    ``adult_id_checked`` says whether the record attests that the lender's identity card was checked.
    ``ledger_entry`` is the hash of the permit's row: kept outside the ledger, it is the anchor that shows when the
    ledger is cut off or exchanged.
    """

    record_id: str
    record_sha256: str
    lender: str
    performer: str
    purpose: str
    label_required: bool
    synthetic: bool
    act: Act
    title: str
    key_id: str
    ledger_entry: str
    adult_id_checked: bool


def require_consent(
    project: Project,
    lender: str,
    performer: str,
    *,
    act: Act,
    embeddings: NDArray[np.floating],
    performer_embeddings: NDArray[np.floating] | None = None,
    clock: Clock = utc_now,
    embedder_id: str | None = None,
    fetch: Fetch = fetch_status,
) -> Permit:
    """Allow work with a lender's face, or refuse it.

    The performer needs a record too, or must be noted as a protected witness (see :mod:`countenance.consent.basis`);
    on which basis the face is replaced, and for what, is kept in the ledger.

    Args:
        project: the work that it is for, with title, purpose, the lender's record and template, and the ledger.
        lender: whose face is shown.
        performer: whose face is replaced.
        act: ``"train"`` or ``"swap"``.
        embeddings: ``(N, 128)``: of *every* face of the lender that is used, not their mean and not a sample.
        performer_embeddings: the same of the performer's faces, compared with the performer's record; not looked at
            for a protected witness, of whom there is none.
        clock: gives the present.
        embedder_id: the network that made the embeddings; the one in use when None.
        fetch: gets the status list, where a record names one.

    Raises:
        ConsentError: no record, not valid, not in force, of another scope, revoked by its status list or without a
            fresh one, or the faces are not the enrolled one's; or nothing says on what basis the performer's face is
            replaced.
        MinorError: an enrolled person appears under age.
        ProjectError: not a person's name.
        LedgerError, OutputError: the ledger was tampered with, or cannot be written.
    """
    if act not in get_args(Act):
        raise ValueError(f"require_consent: expected an act out of {', '.join(get_args(Act))}, got {act!r}")
    lender, performer = check_person_name(lender), check_person_name(performer)
    now = clock()
    work = Work(project.config.title, project.config.purpose, lender, performer, act)
    about = {"lender": lender, "performer": performer, "act": act, "purpose": work.purpose, "title": work.title}
    refused: RefusedError | None = None
    evidence = look_up_status(project, lender, performer, fetch)
    with Ledger(project.ledger_path, clock=lambda: now).exclusive() as book:
        book.verify()
        try:
            _require_no_destruction(book, lender, performer)
            record, status = covering_record(project, work, book, evidence.lender, now)
            standing = performer_basis(project, work, book, evidence.performer, now)
            faces = {"faces": _compare_faces(project, record, embeddings, embedder_id)}
            if standing.record is not None:
                own = _compare_faces(project, standing.record, performer_embeddings, embedder_id)
                faces["performer_faces"] = own
        except RefusedError as error:  # its row has to be written before it goes on
            refused = error
            book.append("refusal", {**about, "reason": str(error)[:2000]})
        else:
            names = {"record_id": record.id, "record_sha256": record.sha256, "key_id": record.key_id}
            names["witness_key_id"] = record.witness.key_id
            other = {"basis": standing.basis, **standing.facts}
            entry = book.append("permit", {**about, **names, **status, **other, **faces})
    if refused is not None:
        raise refused
    return Permit(
        record_id=record.id,
        record_sha256=record.sha256,
        lender=lender,
        performer=performer,
        purpose=work.purpose,
        label_required=record.label_required,
        synthetic=record.synthetic,
        act=act,
        title=work.title,
        key_id=record.key_id,
        ledger_entry=entry,
        adult_id_checked=record.adult_id_checked,
    )


def enter_render(
    project: Project, permit: Permit, *rows: Mapping[str, Any], clock: Clock = utc_now, fetch: Fetch = fetch_status
) -> str:
    """Enter a finished render, and what was made beside it, into the ledger, unless consent was taken back meanwhile.

    A render takes minutes or hours. The look at the record and the row happen while the ledger is held alone, so a
    revocation is either before the row, and there is no render, or after it.

    Args:
        project: where it was made.
        permit: what the gate gave when it began.
        rows: the facts of each output, at least one; all are entered or none.
        clock: gives the present.
        fetch: gets the status list, where the record names one.

    Returns:
        The last row's hash.

    Raises:
        ConsentError: the record was revoked, ended or exchanged since; the refusal is in the ledger.
        LedgerError, OutputError: the ledger was tampered with, or cannot be written.
    """
    evidence = look_up_status(project, permit.lender, permit.performer, fetch)
    with still_in_force(project, permit, evidence, clock=clock, at="the end") as (book, status):
        return [book.append("render", {**row, **status}) for row in rows][-1]


@contextmanager
def still_in_force(
    project: Project, permit: Permit, evidence: LookedUp, *, clock: Clock = utc_now, at: str, stopped: str = ""
) -> Iterator[tuple[Book, dict[str, Any]]]:
    """Hold the ledger alone for a block that is only entered while the consent behind a permit still holds.

    A revocation or a destruction is either before the block, which is then refused, or waits for its end.

    Args:
        project: where the work is done.
        permit: what the gate gave when it began.
        evidence: from :func:`look_up_status`.
        clock: gives the present.
        at: when that is, for the ledger.
        stopped: a sentence that goes before the reason.

    Yields:
        The ledger, and what its rows keep of the status list.

    Raises:
        ConsentError: the record was revoked, ended or exchanged since, or one of the two people was forgotten; the
            refusal is in the ledger.
        LedgerError, OutputError: the ledger was tampered with, or cannot be written.
    """
    now = clock()
    work = Work(permit.title, permit.purpose, permit.lender, permit.performer, permit.act)
    with Ledger(project.ledger_path, clock=lambda: now).exclusive() as book:
        book.verify([permit.ledger_entry])
        try:
            record, status = covering_record(project, work, book, evidence.lender, now)
            if record.sha256 != permit.record_sha256:
                raise ConsentError(
                    f"The consent record of {permit.lender} was exchanged while this was made. Begin again."
                )
            performer_basis(project, work, book, evidence.performer, now)
            _require_not_forgotten(book, permit)
        except RefusedError as error:  # its row has to be written before it goes on
            refused = ConsentError(f"{stopped} {error}".strip())
            about = {"lender": permit.lender, "performer": permit.performer, "act": permit.act, "at": at}
            book.append("refusal", {**about, "reason": str(error)[:2000]})
        else:
            yield book, status
            return
    raise refused


def _require_no_destruction(book: Book, *people: str) -> None:
    """A destruction that was interrupted leaves some files whole, and none of them may be used."""
    stage = {
        entry.facts.get("person"): entry.facts.get("stage") for entry in book.entries() if entry.kind == "destruction"
    }
    for person in people:
        if stage.get(person, "done") != "done":
            raise ConsentError(
                f"Everything of {person} is being destroyed, and that was interrupted. Finish it first: countenance "
                f"forget {person}."
            )


def _require_not_forgotten(book: Book, permit: Permit) -> None:
    after = False
    for entry in book.entries():
        if after and entry.kind == "destruction" and entry.facts.get("person") in (permit.lender, permit.performer):
            raise ConsentError(f"Everything of {entry.facts['person']} is being destroyed, or was, since this began.")
        after = after or entry.hash == permit.ledger_entry


def look_up_status(project: Project, lender: str, performer: str, fetch: Fetch = fetch_status) -> LookedUp:
    """The status lists of both people's records; a record that cannot be read is refused later, with its row.

    A protected witness has no record to look up, and nobody is asked about one.
    """
    other = Evidence() if project.protects(performer) else _list_of(project, performer, fetch)
    return LookedUp(_list_of(project, lender, fetch), other)


def _list_of(project: Project, person: str, fetch: Fetch) -> Evidence:
    record = None
    with suppress(ConsentError):
        record = parse_record(read_bounded(project.consent_path(person), "The consent record"))
    return gather_status(project, record, fetch)


def _compare_faces(
    project: Project, record: ConsentRecord, embeddings: NDArray[np.floating] | None, embedder_id: str | None
) -> int:
    """How many faces there are, which are all the one's that a record is about; None is none at all.

    Raises:
        ConsentError: some are somebody else's, or were measured by another network.
    """
    from countenance.perception.identity import EMBEDDER_ID, SAME_PERSON_COSINE  # here: loads network libraries

    name, role = record.lender, "lender" if record.role == "lend" else "performer"
    template = enrolled_face(project, record, name)
    used = embedder_id or EMBEDDER_ID
    if not used == template.embedder_id == record.embedder_id:
        raise ConsentError(
            f"The enrolled face of {name} was measured by another network ({record.embedder_id}) than the faces to use "
            f"({used}). Enrol the face again and ask {name} for a new record."
        )
    # A record may ask for more than the network's threshold, never for less.
    threshold = max(record.threshold, SAME_PERSON_COSINE)
    match = match_faces(np.empty((0, 128)) if embeddings is None else embeddings, template.embedding, threshold, role)
    if match.problem is not None:
        raise ConsentError(
            f"These are not {name}'s faces: {match.problem} (lowest similarity {match.lowest:.2f}, median "
            f"{match.median:.2f}). Remove the other person's material and extract the faces again."
        )
    return match.count
