"""``countenance consent request``, ``keygen``, ``sign``, ``witness`` and ``accept``: from the question to the "
"record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.status import status_pointer
from countenance.commands.terminal import (
    Command,
    answer,
    json_option,
    key_passphrase,
    passphrase_option,
    project_option,
)
from countenance.errors import ConsentError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from countenance.consent.parties import Authority
    from countenance.consent.record import ConsentRecord
    from countenance.project import Project

__all__ = ["accept", "keygen", "request", "sign", "witness"]

_DAY = click.DateTime(["%Y-%m-%d"])
_output_option = click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write what was signed here."
)
_yes_option = click.option("--yes", is_flag=True, help="The page was read and agreed to; do not show it and ask.")


def _key_option(whose: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--key", required=True, metavar="FILE", type=click.Path(path_type=Path), help=f"The {whose}'s key file."
    )


@click.command(cls=Command, short_help="Write what the lender is asked.")
@click.argument("lender", metavar="NAME")
@click.option(
    "--witness",
    required=True,
    metavar="FILE.pub",
    type=click.Path(path_type=Path),
    help="The public half of the witness's key: who signs beside the lender.",
)
@click.option(
    "--witness-role",
    required=True,
    metavar="ROLE",
    help="agent, caseworker, ethics-board, lawyer, notary, producer or union.",
)
@click.option("--witness-name", default="", metavar="TEXT", help="How people know the witness.")
@click.option("--performer", "performers", multiple=True, metavar="NAME", help="Only in this one's place; repeatable.")
@click.option("--days", type=int, metavar="N", help="How long it lasts [365].")
@click.option("--until", type=_DAY, metavar="DATE", help="Its last day, such as 2027-12-31.")
@click.option("--requester", metavar="TEXT", help="Who asks, as the lender knows them.")
@click.option("--territory", metavar="TEXT", help="Where it may be shown [worldwide].")
@click.option("--language", default="en", show_default=True, metavar="TAG", help="Of the page: en, de, fr or es.")
@click.option("--replaced", is_flag=True, help="NAME is a performer: ask to replace the face, and for nothing else.")
@click.option("--allow-no-label", is_flag=True, help="Ask to allow renders without the visible label.")
@click.option("--synthetic", is_flag=True, help="The lender is a synthetic person, who does not exist.")
@click.option(
    "--id-document",
    metavar="KIND",
    help="What the witness sees of the lender's age: passport, identity-card, driving-licence, residence-permit or "
    "civil-register. Needed below an apparent age of 25.",
)
@click.option("--id-checked", type=_DAY, metavar="DATE", help="The day on which the witness sees it [today].")
@click.option(
    "--estate",
    metavar="KIND",
    help="The lender has died, and an estate signs by this: inheritance-certificate, will, contract or court-order.",
)
@click.option("--estate-document", metavar="FILE", type=click.Path(path_type=Path), help="That document, to be hashed.")
@click.option("--estate-description", metavar="TEXT", help="A line by which people find that document again.")
@click.option("--status-uri", metavar="URI", help="The status list in which a revocation shows: https://… or urn:…")
@click.option("--status-key", metavar="ID", help="The key id of that list's issuer.")
@click.option("--status-index", type=int, metavar="N", help="The record's place in it; a random free one if not given.")
@project_option
@json_option
def request(
    lender: str,
    witness: Path,
    witness_role: str,
    witness_name: str,
    performers: tuple[str, ...],
    days: int | None,
    until: datetime | None,
    requester: str | None,
    territory: str | None,
    language: str,
    allow_no_label: bool,
    synthetic: bool,
    replaced: bool,
    id_document: str | None,
    id_checked: datetime | None,
    estate: str | None,
    estate_document: Path | None,
    estate_description: str | None,
    status_uri: str | None,
    status_key: str | None,
    status_index: int | None,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Write what the lender is asked, or with --replaced the performer: a file to sign and a page to read.

    Purpose and title are the project's. The page is in the language that the lender knows best.

    \b
    Examples:
      countenance consent request vera --witness maria.key.pub --witness-role lawyer --performer ivan
      countenance consent request vera --witness m.pub --witness-role union --id-document passport
      countenance consent request ivan --witness m.pub --witness-role lawyer --replaced --language de
    """
    from countenance import api

    project = open_project()
    files = api.consent_request(
        project,
        lender,
        witness=witness,
        witness_role=witness_role,
        witness_name=witness_name,
        performers=performers,
        expires=None if until is None else until.date(),
        term_days=days,
        requester=requester,
        territory=territory,
        language=language,
        label_required=not allow_no_label,
        synthetic=synthetic,
        replaced=replaced,
        id_document=id_document,
        id_checked=None if id_checked is None else id_checked.date(),
        authority=_authority(estate, estate_document, estate_description),
        status=status_pointer(project, status_uri, status_key, status_index),
    )
    told = (
        f"Give lender and witness {files.page} to read. The lender signs first: countenance consent sign {files.path} "
        "--key KEY"
    )
    answer({"request": files}, told, as_json=as_json)


def _authority(kind: str | None, document: Path | None, description: str | None) -> Authority | None:
    """What lets somebody speak for an estate (raises InputError)."""
    from countenance.consent.parties import Authority
    from countenance.digest import file_sha256

    if kind is None and document is None and description is None:
        return None
    if kind is None or document is None or description is None:
        raise InputError(
            "An estate signs by a document. Give all of --estate, --estate-document and --estate-description."
        )
    try:
        return Authority(kind, file_sha256(document), description)
    except ValueError as error:
        raise InputError(f"This lets nobody speak for an estate: {error}. Change the kind or the line.") from error


@click.command(cls=Command, short_help="Make a lender's or a witness's key.")
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@json_option
def keygen(file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Make a key: Ed25519, in a file that a passphrase protects, and its public half beside it in FILE.pub.

    Lender and witness make one each, on their own computers. Only FILE.pub may be given to others.

    \b
    Example:
      countenance consent keygen vera.key
    """
    from countenance import api
    from countenance.consent.keys import public_path

    key = api.consent_keygen(file, key_passphrase(passphrase_file, confirm=True))
    public = public_path(file)
    told = f"Made {file}, and {public} to give to others. Key id, to read out to the makers: {key.key_id}"
    answer({"key": {"path": file, "public": public, "key_id": key.key_id}}, told, as_json=as_json)


@click.command(cls=Command, short_help="Sign a request as the lender, after reading it.")
@click.argument("request", metavar="REQUEST", type=click.Path(path_type=Path))
@_key_option("lender")
@passphrase_option
@_output_option
@_yes_option
@json_option
def sign(request: Path, key: Path, passphrase_file: Path | None, output: Path | None, yes: bool, as_json: bool) -> None:
    """Sign a request as the lender, after reading it. The witness signs what comes out; before that it is no record.

    \b
    Examples:
      countenance consent sign people/vera/consent-request.json --key vera.key
      countenance consent sign consent-request.json --key vera.key -o for-the-witness.json
    """
    from countenance import api
    from countenance.consent.request import read_request
    from countenance.consent.statement import question

    asked = read_request(request)
    if not yes:
        click.echo(asked["statement"]["text"], err=True)
        if not click.confirm(question("lender", asked["statement"]["language"]), err=True):
            raise ConsentError("Not signed. Nothing was written.")
    signed = api.consent_sign(
        request, key, key_passphrase(passphrase_file), project=_project_around(request), output=output
    )
    told = (
        f"Signed: {signed.path}. It is no record yet. The witness signs it with: countenance consent witness "
        f"{signed.path} --key KEY"
    )
    answer({"sign": signed}, told, as_json=as_json)


@click.command(cls=Command, short_help="Sign as the witness, after reading it.")
@click.argument("signed", metavar="FILE", type=click.Path(path_type=Path))
@_key_option("witness")
@passphrase_option
@_output_option
@_yes_option
@json_option
def witness(
    signed: Path, key: Path, passphrase_file: Path | None, output: Path | None, yes: bool, as_json: bool
) -> None:
    """Sign as the witness what the lender signed, after reading the same page: what you confirm stands at its end.

    In the project's own folder the record is taken in at once.

    \b
    Examples:
      countenance consent witness people/vera/consent-unwitnessed.json --key maria.key
      countenance consent witness for-the-witness.json --key maria.key -o for-the-makers.json
    """
    from countenance import api
    from countenance.consent.record import parse_unwitnessed
    from countenance.consent.statement import question, statement_text
    from countenance.consent.strict_json import read_bounded

    half = parse_unwitnessed(read_bounded(signed, "The file that the lender signed"))
    if not yes:
        click.echo(statement_text(half, half.language), err=True)
        click.echo(f"Signed by the lender on {half.issued:%Y-%m-%d %H:%M} UTC with the key {half.key_id}.", err=True)
        if not click.confirm(question("witness", half.language), err=True):
            raise ConsentError("Not signed. Nothing was written.")
    project = None if output is not None else _project_around(signed)
    made = api.consent_witness(signed, key, key_passphrase(passphrase_file), project=project, output=output)
    where = "and taken in" if made.accepted else "; the makers take it in with: countenance consent accept"
    facts = {"path": made.path, "accepted": made.accepted, **_identity(made.record)}
    answer({"witness": facts}, f"Witnessed {where}: {made.path} (record {made.record.id}).", as_json=as_json)


@click.command(cls=Command, short_help="Take in a record signed elsewhere.")
@click.argument("lender", metavar="NAME")
@click.argument("record", metavar="RECORD", type=click.Path(path_type=Path))
@click.option("--key-id", metavar="ID", help="The lender's key id, as the lender gave it in person.")
@click.option("--witness-key-id", metavar="ID", help="The witness's key id, as the witness gave it in person.")
@project_option
@json_option
def accept(
    lender: str,
    record: Path,
    key_id: str | None,
    witness_key_id: str | None,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Take in a record that lender and witness signed elsewhere.

    \b
    Example:
      countenance consent accept vera from-vera.json
    """
    from countenance import api

    taken = api.consent_accept(open_project(), lender, record, expected_key=key_id, expected_witness=witness_key_id)
    told = (
        f"Taken in: record {taken.id}, signed with the keys {taken.key_id} (lender) and {taken.witness.key_id} "
        "(witness). "
        f"Compare those key ids with {lender} and the witness."
    )
    answer({"accept": _identity(taken)}, told, as_json=as_json)


def _identity(record: ConsentRecord) -> dict[str, str]:
    return {
        "record_id": record.id,
        "record_sha256": record.sha256,
        "key_id": record.key_id,
        "witness_key_id": record.witness.key_id,
    }


def _project_around(file: Path) -> Project | None:
    """The project whose folder a file lies in, or None."""
    from countenance.errors import ProjectError
    from countenance.project import Project

    try:
        return Project.find(file.resolve().parent)
    except ProjectError:
        return None
