"""The part of the Python API that is about consent; see :mod:`countenance.api`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import InputError
from countenance.project import Project

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from datetime import date

    from countenance.consent.capture import Capture
    from countenance.consent.challenge import Challenge
    from countenance.consent.check import ConsentCheck
    from countenance.consent.keys import SigningKey
    from countenance.consent.parties import Authority
    from countenance.consent.record import ConsentRecord
    from countenance.consent.revoke import Revocation
    from countenance.consent.template import FaceTemplate
    from countenance.consent.terms import StatusPointer
    from countenance.progress import Progress

    AnyPath = str | os.PathLike[str]
    AnyProject = Project | AnyPath

__all__ = [
    "ChallengeFiles",
    "LenderSigned",
    "RequestFiles",
    "SignedConsent",
    "consent_accept",
    "consent_capture",
    "consent_challenge",
    "consent_check",
    "consent_enrol",
    "consent_keygen",
    "consent_request",
    "consent_revoke",
    "consent_sign",
    "consent_witness",
    "opened_project",
]

_UNWITNESSED = "consent-unwitnessed.json"


@dataclass(frozen=True, slots=True)
class RequestFiles:
    """A consent request: ``path`` of the file to sign, ``page`` to read (a web page), and its ``text``."""

    path: Path
    page: Path
    text: str


@dataclass(frozen=True, slots=True)
class LenderSigned:
    """What the lender signed, at ``path``, for the witness to sign as well; no record before that."""

    path: Path
    record_id: str
    key_id: str
    witness_key_id: str


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """A record with both signatures and where it was written; ``accepted`` says that this is its place in the "
    "project."""

    record: ConsentRecord
    path: Path
    accepted: bool


def opened_project(project: AnyProject) -> Project:
    """A project, or the one in the folder of that path (raises ProjectError, ConfigError)."""
    return project if isinstance(project, Project) else Project.open(Path(project))


def consent_enrol(project: AnyProject, lender: str, *, again: bool = False) -> FaceTemplate:
    """Measure the lender's face: the template that a consent record is about, from the lender's face set.

    Args:
        project: the project.
        lender: whose faces were extracted.
        again: replace a template; a record that is about the old one does not hold any more.

    Raises:
        InputError: there is a template already.
        ProjectError, FaceSetError, NoFaceError: no such person, a damaged face set, too few faces or several people.
        MinorError: the person appears under age.
    """
    from countenance.consent.template import enrol, save_template
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import reembed
    from countenance.perception.perceive import Perception

    opened = opened_project(project)
    path = opened.template_path(opened.require_person(lender))
    if path.exists() and not again:
        raise InputError(
            f"{lender}'s face is enrolled already. Enrolling it again makes a consent record about the old template "
            "useless; to do that, say so (--again)."
        )
    with FaceSet.open(opened.faceset_path(lender), opened.key()) as faceset:
        faceset.verify()
        ages = [record.apparent_age for record in faceset.records("kept") if record.apparent_age is not None]
        template = enrol(reembed(faceset, Perception().embedder), ages)
    save_template(path, template, opened.key())
    return template


def consent_request(
    project: AnyProject,
    lender: str,
    *,
    witness: AnyPath,
    witness_role: str,
    witness_name: str = "",
    performers: Sequence[str] = (),
    expires: date | None = None,
    term_days: int | None = None,
    requester: str | None = None,
    territory: str | None = None,
    language: str = "en",
    label_required: bool = True,
    synthetic: bool = False,
    replaced: bool = False,
    authority: Authority | None = None,
    id_document: str | None = None,
    id_checked: date | None = None,
    status: StatusPointer | None = None,
) -> RequestFiles:
    """Write what the lender is asked to agree to, into the lender's folder: a file to sign and a page to read.

    Args:
        project: the project.
        lender: whose face was enrolled.
        witness: the public half of the witness's key, ``FILE.pub`` as :func:`consent_keygen` made it.
        witness_role: one of :data:`countenance.consent.parties.WITNESS_ROLES`, such as ``"lawyer"``.
        witness_name: how people know the witness, if that is to be written down.

    The others are those of :func:`countenance.consent.request.create_request`, which also says what it raises.
    """
    from countenance.consent.keys import load_public_key
    from countenance.consent.parties import Witness
    from countenance.consent.request import create_request, write_request

    opened = opened_project(project)
    try:
        who = Witness(witness_role, load_public_key(Path(witness)), witness_name)
    except ValueError as error:
        raise InputError(f"This witness cannot be named: {error}. Change the role or the name.") from error
    request = create_request(
        opened,
        lender,
        witness=who,
        performers=performers,
        expires=expires,
        term_days=term_days,
        requester=requester,
        territory=territory,
        language=language,
        label_required=label_required,
        synthetic=synthetic,
        replaced=replaced,
        authority=authority,
        id_document=id_document,
        id_checked=id_checked,
        status=status,
    )
    path, page = write_request(opened, request)
    return RequestFiles(path, page, request["statement"]["text"])


def consent_keygen(path: AnyPath, passphrase: str) -> SigningKey:
    """Make a lender's or witness's key, encrypted by the passphrase, and its public half in ``FILE.pub``.

    Raises:
        InputError: the passphrase is too short, or a file is there already. OutputError: it cannot be written.
    """
    from countenance.consent.keys import generate_key

    return generate_key(Path(path), passphrase)


def consent_sign(
    request: AnyPath,
    key: AnyPath,
    passphrase: str,
    *,
    project: AnyProject | None = None,
    output: AnyPath | None = None,
) -> LenderSigned:
    """Sign a request as the lender, who has read its page: the first of two signatures.

    Args:
        request: the request's file.
        key: the lender's key file.
        passphrase: of the key.
        project: if given, the request must be about the face that is enrolled there.
        output: where the file for the witness is written; ``consent-unwitnessed.json`` beside the request when None.

    Raises:
        ConsentError: the request is not what it says, has ended, is about another face, or the key is the witness's.
        InputError: the key does not open.
        OutputError: the file cannot be written.
    """
    from countenance.atomic import write_bytes
    from countenance.consent.keys import load_key
    from countenance.consent.record import parse_unwitnessed, sign_request
    from countenance.consent.request import parse_request, read_request
    from countenance.consent.template import load_template

    asked = read_request(Path(request))
    template = None
    if project is not None:
        opened = opened_project(project)
        path = opened.template_path(parse_request(asked).lender)
        template = load_template(path, opened.key()) if path.exists() else None
    data = sign_request(asked, load_key(Path(key), passphrase), template)
    target = Path(request).with_name(_UNWITNESSED) if output is None else Path(output)
    write_bytes(target, data)
    signed = parse_unwitnessed(data)
    return LenderSigned(target, signed.id, signed.key_id, signed.witness.key_id)


def consent_witness(
    signed: AnyPath,
    key: AnyPath,
    passphrase: str,
    *,
    project: AnyProject | None = None,
    output: AnyPath | None = None,
) -> SignedConsent:
    """Sign as the witness what the lender signed, after reading the same page: the second signature makes the record.

    Args:
        signed: the file that :func:`consent_sign` made.
        key: the witness's key file.
        passphrase: of the key.
        project: takes the record in, as :func:`consent_accept` does.
        output: writes the record here instead; ``consent.json`` beside the file when both are None.

    Raises:
        ConsentError: the file is not what the lender signed, has ended, or names another witness.
        InputError: the key does not open.
        OutputError: the record cannot be written.
    """
    from countenance.atomic import write_bytes
    from countenance.consent.check import accept_record
    from countenance.consent.keys import load_key
    from countenance.consent.record import parse_record, witness_record
    from countenance.consent.strict_json import read_bounded

    half = read_bounded(Path(signed), "The file that the lender signed")
    data = witness_record(half, load_key(Path(key), passphrase))
    record = parse_record(data)
    if project is not None and output is None:
        opened = opened_project(project)
        taken = accept_record(opened, record.lender, data)
        (opened.person_dir(record.lender) / _UNWITNESSED).unlink(missing_ok=True)  # it is in the record now
        return SignedConsent(taken, opened.consent_path(record.lender), accepted=True)
    target = Path(signed).with_name("consent.json") if output is None else Path(output)
    write_bytes(target, data)
    return SignedConsent(record, target, accepted=False)


def consent_accept(
    project: AnyProject,
    lender: str,
    record: AnyPath,
    *,
    expected_key: str | None = None,
    expected_witness: str | None = None,
) -> ConsentRecord:
    """Take a record that lender and witness signed elsewhere into the project.

    See :func:`countenance.consent.check.accept_record`, also for what it raises.
    """
    from countenance.consent.check import accept_record
    from countenance.consent.strict_json import read_bounded

    data = read_bounded(Path(record), "The consent record")
    opened = opened_project(project)
    return accept_record(opened, lender, data, expected_key=expected_key, expected_witness=expected_witness)


def consent_check(project: AnyProject, lender: str) -> ConsentCheck:
    """Explain the lender's record: what was agreed, and every reason why it does not cover this project.

    Raises:
        ConsentError: there is no record.
        LedgerError: the ledger was tampered with.
    """
    from countenance.consent.check import check_record
    from countenance.consent.strict_json import read_bounded

    opened = opened_project(project)
    data = read_bounded(opened.consent_path(lender), f"The consent record of {lender}")
    return check_record(data, project=opened, lender=lender)


def consent_revoke(
    project: AnyProject, lender: str, *, statement: AnyPath | None = None, reason: str = ""
) -> Revocation:
    """Take the lender's consent back: training and rendering refuse from now on.

    Args:
        project: the project.
        lender: who takes it back.
        statement: the lender's signed revocation; None enters the project's own word.
        reason: a line for the ledger, if there is one to give.

    Raises:
        ConsentError: there is no record, or the statement is not its signer's.
        LedgerError, OutputError: the ledger cannot be written.
    """
    from countenance.consent.record import parse_record
    from countenance.consent.revoke import revoke
    from countenance.consent.strict_json import read_bounded

    opened = opened_project(project)
    record = parse_record(read_bounded(opened.consent_path(lender), f"The consent record of {lender}"))
    signed = None if statement is None else read_bounded(Path(statement), "The revocation")
    return revoke(opened, record, statement=signed, reason=reason)


@dataclass(frozen=True, slots=True)
class ChallengeFiles:
    """A challenge for the lender: the file at ``path``, the cards to read at ``page``, and what is asked."""

    path: Path
    page: Path
    challenge: Challenge


def consent_challenge(project: AnyProject, lender: str) -> ChallengeFiles:
    """Draw what the lender is to do before the camera within the next 30 minutes, and write it down.

    Raises:
        ProjectError: not a name. LedgerError, OutputError: the ledger is damaged, or something cannot be written.
    """
    from countenance.consent.challenge import create_challenge, write_challenge

    opened = opened_project(project)
    challenge = create_challenge(opened, lender)
    path, page = write_challenge(opened, challenge)
    return ChallengeFiles(path, page, challenge)


def consent_capture(
    project: AnyProject,
    lender: str,
    clip: AnyPath,
    *,
    challenge: AnyPath | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> Capture:
    """Verify the lender's clip against its challenge, and enrol the face in it.

    See :func:`countenance.consent.capture.capture`, also for what it raises.
    """
    from countenance.consent.capture import capture

    path = None if challenge is None else Path(challenge)
    return capture(opened_project(project), lender, Path(clip), challenge=path, again=again, progress=progress)
