"""The request: what the lender is asked, as a file for the program and a page for people.

A request needs nothing but itself to be signed: it can go to another machine, where the lender has the key.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from countenance.atomic import write_bytes
from countenance.config import clean_line
from countenance.consent.clock import Clock, parse_time, utc_now
from countenance.consent.evidence import DOCUMENT_AGE, DOCUMENT_KINDS, AdultCheck, CaptureEvidence, FaceClaim
from countenance.consent.ledger import Ledger
from countenance.consent.parties import Authority, Witness
from countenance.consent.statement import (
    LANGUAGES,
    default_requester,
    default_territory,
    statement_page,
    statement_text,
)
from countenance.consent.strict_json import canonical, loads, read_bounded, sha256_hex
from countenance.consent.template import FaceTemplate, load_template
from countenance.consent.terms import StatusPointer, Table, Terms
from countenance.errors import ConsentError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.project import Project

__all__ = [
    "DEFAULT_TERM_DAYS",
    "REQUEST_FORMAT",
    "create_request",
    "face_claim",
    "parse_request",
    "read_request",
    "write_request",
]

REQUEST_FORMAT = "countenance-consent-request"

DEFAULT_TERM_DAYS = 365
"""How long a consent lasts unless told otherwise."""

_WHAT = "The consent request"


def create_request(
    project: Project,
    lender: str,
    *,
    witness: Witness,
    purpose: str | None = None,
    title: str | None = None,
    requester: str | None = None,
    expires: date | None = None,
    term_days: int | None = None,
    not_before: date | None = None,
    performers: Sequence[str] = (),
    territory: str | None = None,
    label_required: bool = True,
    synthetic: bool = False,
    replaced: bool = False,
    authority: Authority | None = None,
    id_document: str | None = None,
    id_checked: date | None = None,
    status: StatusPointer | None = None,
    language: str = "en",
    clock: Clock = utc_now,
) -> dict[str, Any]:
    """Make a request to a lender, about the face that is enrolled in the project.

    Args:
        project: the work that the face is for.
        lender: the person's name in the project.
        witness: who signs beside the lender.
        purpose, title: the project's own when None; others are refused, since they would not cover the project.
        requester: who asks, as the lender knows them; "The makers of …" when None.
        expires: last day that is covered (UTC); or ``term_days`` from the beginning, a year when both are None.
        not_before: first day that is covered; from now on when None.
        performers: in whose place the face may be shown; anybody in this title when empty.
        territory: where the work may be shown; worldwide when None.
        label_required: False asks the lender to allow renders without the visible label.
        synthetic: the lender is a synthetic person.
        replaced: the person is a performer: nothing is asked but to replace the face.
        authority: an estate signs for a dead person, and this is the document that lets it.
        id_document: the kind of document (:data:`countenance.consent.evidence.DOCUMENT_KINDS`) with a date of birth
            that the witness looks at; needed when the person appears to be younger than 25.
        id_checked: the day on which the witness does; today when None.
        status: where a revocation shows, if there is a status list.
        language: of the page, one of :data:`countenance.consent.statement.LANGUAGES`: one that the lender knows well.
        clock: gives the present.

    Returns:
        The request, a JSON object with ``terms`` and ``statement.text``, the page for the lender and the witness.

    Raises:
        InputError: something asked for is not possible; ProjectError for a name, ConsentError for a damaged template.
        MinorError: the enrolled person appears under age.
    """
    config = project.config
    for what, given, own in (("title", title, config.title), ("purpose", purpose, config.purpose)):
        if given is not None and given != own:
            raise InputError(f"The project's {what} is {own!r}, not {given!r}. Use a project of its own for that work.")
    if language not in LANGUAGES:
        raise InputError(f"There is no page in the language {language!r}. Choose one of: {', '.join(LANGUAGES)}.")
    now = clock().astimezone(UTC).replace(microsecond=0)
    start = _day(not_before) if not_before else now
    if expires is not None and term_days is not None:
        raise InputError("Both a last day and a number of days were given. Give one of them.")
    end = _day(expires) + timedelta(days=1) if expires else _after(start, term_days)
    if end <= now:
        raise InputError("The consent would have ended already. Give a later last day.")
    if synthetic and (authority is not None or id_document is not None):
        raise InputError("A synthetic person has no estate and no identity document. Leave those out.")
    face = _enrolled_face(project, lender)
    try:
        terms = Terms(
            id=uuid.uuid4().urn,
            lender=project.person_dir(lender).name,
            kind="synthetic" if synthetic else "person" if authority is None else "estate",
            authority=authority,
            witness=witness,
            face=face,
            adult=_adult_check(lender, face, synthetic, id_document, id_checked or now.date()),
            requester=clean_line(requester or default_requester(config.title, language)[:200], "requester"),
            purposes=(config.purpose,),
            title=config.title,
            media=("video",),
            territory=clean_line(default_territory(language) if territory is None else territory, "territory"),
            performers=tuple(dict.fromkeys(project.person_dir(name).name for name in performers)),
            train=True,
            derive=False,
            label_required=label_required,
            not_before=start,
            expires=end,
            status=status,
            role="replaced" if replaced else "lend",
        )
    except ValueError as error:
        raise InputError(f"This cannot be asked: {error}. Change the request.") from error
    return {
        "format": REQUEST_FORMAT,
        "terms": terms.to_json(),
        "statement": {"language": language, "text": statement_text(terms, language)},
    }


def face_claim(template: FaceTemplate, threshold: float | None = None) -> FaceClaim:
    """What a record says about an enrolled face; the threshold is the network's own when None."""
    from countenance.perception.identity import SAME_PERSON_COSINE  # here: a request loads no network library

    cosine = SAME_PERSON_COSINE if threshold is None else threshold
    return FaceClaim(template.embedder_id, template.sha256(), cosine, template.apparent_age)


def parse_request(request: Mapping[str, Any]) -> Terms:
    """Read a request and check that its page says what its terms say.

    Raises:
        ConsentError: it is damaged, breaks a rule, or its words are not those of its terms.
    """
    try:
        table = Table(dict(request), "the request", ("format", "terms", "statement"))
        if table.raw("format") != REQUEST_FORMAT:
            raise ValueError("it is not a request of this kind")  # noqa: TRY301 - one place turns them into sentences
        terms = Terms.from_json(Table(table.raw("terms"), "terms", Terms.members_of(table.raw("terms"))).members())
        statement = Table(table.raw("statement"), "statement", ("language", "text"))
        language = statement.text("language")
        same = language in LANGUAGES and statement.text("text") == statement_text(terms, language)
    except ValueError as error:
        raise ConsentError(f"{_WHAT} is not valid: {error}. Ask for a new one.") from error
    if not same:
        raise ConsentError(
            f"{_WHAT} has a page that does not say what its terms say, or comes from another version of this program. "
            "Do not sign it; ask for a new one."
        )
    return terms


def read_request(path: Path) -> dict[str, Any]:
    """Read a request's file and check it.

    Raises:
        ConsentError: it is missing, damaged or not what it says.
    """
    request = loads(read_bounded(path, _WHAT), _WHAT)
    parse_request(request)
    return request


def write_request(project: Project, request: Mapping[str, Any], *, clock: Clock = utc_now) -> tuple[Path, Path]:
    """Write a request to the lender's folder, and its row into the ledger.

    ``consent-request.json`` is the file to sign, ``consent-request.html`` the page to read or print, and
    ``consent-request.txt`` the same words as they are hashed and signed.

    Returns:
        Two paths: the file to sign, and the page to read.

    Raises:
        ConsentError: it is not a request.
        OutputError: a file cannot be written.
    """
    terms = parse_request(request)
    folder = project.person_dir(terms.lender)
    _make_folder(folder)
    signable, page = folder / "consent-request.json", folder / "consent-request.html"
    write_bytes(page, statement_page(terms, request["statement"]["language"]).encode("utf-8"))
    write_bytes(page.with_suffix(".txt"), str(request["statement"]["text"]).encode("utf-8"))
    write_bytes(signable, canonical(request))
    facts: dict[str, Any] = {"id": terms.id, "lender": terms.lender, "witness_key_id": terms.witness.key_id}
    if terms.status is not None:
        facts |= terms.status.to_json()
    Ledger(project.ledger_path, clock=clock).append("request", facts)
    return signable, page


def _enrolled_face(project: Project, lender: str) -> FaceClaim:
    path = project.template_path(lender)
    if not path.exists():
        raise InputError(
            f"The face of {lender} is not enrolled yet, and a request is about one face. Enrol it first: countenance "
            f"consent enrol {lender}, or countenance consent capture."
        )
    claim = face_claim(load_template(path, project.key()))
    return replace(claim, capture=_capture_evidence(project.person_dir(lender) / "capture.json", claim))


def _capture_evidence(path: Path, face: FaceClaim) -> CaptureEvidence | None:
    """The evidence beside the template; None where there is none, or where it is about an older template."""
    if not path.exists():
        return None
    data = read_bounded(path, "The capture's evidence")
    facts = loads(data, "The capture's evidence")
    if facts.get("template_sha256") != face.template_sha256:
        return None
    try:
        return CaptureEvidence(
            str(facts.get("challenge_id")),
            str(facts.get("challenge_sha256")),
            sha256_hex(data),
            parse_time(str(facts.get("time"))),
        )
    except ValueError as error:
        raise ConsentError(f"{path} is damaged ({error}). Capture the face again.") from error


def _adult_check(lender: str, face: FaceClaim, synthetic: bool, document: str | None, checked: date) -> AdultCheck:
    if synthetic:
        return AdultCheck("synthetic")
    if document is not None:
        return AdultCheck("id-document", document, checked)
    if face.apparent_age < DOCUMENT_AGE:
        raise InputError(
            f"{lender} appears to be {face.apparent_age:.1f} years old. Below {DOCUMENT_AGE:.0f} an estimate is not "
            f"enough: the witness has to see an identity document. Give its kind with --id-document: "
            f"{', '.join(DOCUMENT_KINDS)}."
        )
    return AdultCheck("apparent-age-median")


def _make_folder(folder: Path) -> None:
    from countenance.atomic import output_error

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def _day(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _after(start: datetime, term_days: int | None) -> datetime:
    days = DEFAULT_TERM_DAYS if term_days is None else term_days
    if not 1 <= days <= 3653:
        raise InputError("A consent lasts from one day to ten years. Give a term between 1 and 3653 days.")
    return start + timedelta(days=days)
