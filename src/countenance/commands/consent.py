"""``countenance consent``: ask, enrol, sign, take in, explain, take back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.capture import capture, challenge
from countenance.commands.status import status, status_pointer
from countenance.commands.terminal import (
    Command,
    InOrder,
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

    from countenance.consent.record import ConsentRecord
    from countenance.project import Project

__all__ = ["consent"]

_key_option = click.option(
    "--key", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The lender's key file."
)


@click.group(cls=InOrder, short_help="Ask, enrol, sign, check, revoke: the lender's consent.")
def consent() -> None:
    """The lender's consent: without a signed record in force nothing is trained and nothing rendered.

    \b
    The way of a record:
      countenance consent challenge --lender vera what to do before a camera, within 30 minutes
      countenance consent capture --lender vera --clip FILE     measure the face in that clip
      countenance consent enrol vera              or measure it from footage, after extract
      countenance consent request vera            what the lender is asked: a file and a page
      countenance consent keygen vera.key         the lender makes a key, once
      countenance consent sign REQUEST --key vera.key
      countenance consent check vera              what was agreed, and whether it holds
      countenance consent revoke vera             at any time, without a reason
    """


@consent.command(cls=Command, short_help="Measure the lender's face.")
@click.argument("lender", metavar="NAME")
@click.option("--again", is_flag=True, help="Replace the template; a record about the old one does not hold any more.")
@project_option
@json_option
def enrol(lender: str, again: bool, open_project: Callable[[], Project], as_json: bool) -> None:
    """Measure the lender's face from the lender's face set: what the consent record will be about.

    \b
    Example:
      countenance consent enrol vera
    """
    from countenance import api

    project = open_project()
    template = api.consent_enrol(project, lender, again=again)
    facts = {"lender": lender, "faces": template.count, "apparent_age": template.apparent_age}
    path = project.template_path(lender)
    answer(
        {"enrol": {**facts, "path": path, "sha256": template.sha256()}},
        f"Enrolled {lender} from {template.count} faces (apparent age {template.apparent_age:.0f} years): {path}",
        as_json=as_json,
    )


consent.add_command(challenge)
consent.add_command(capture)


@consent.command(cls=Command, short_help="Write what the lender is asked.")
@click.argument("lender", metavar="NAME")
@click.option("--performer", "performers", multiple=True, metavar="NAME", help="Only in this one's place; repeatable.")
@click.option("--days", type=int, metavar="N", help="How long it lasts [365].")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Its last day, such as 2027-12-31.")
@click.option("--requester", metavar="TEXT", help="Who asks, as the lender knows them.")
@click.option("--territory", default="worldwide", show_default=True, metavar="TEXT", help="Where it may be shown.")
@click.option("--allow-no-label", is_flag=True, help="Ask to allow renders without the visible label.")
@click.option("--synthetic", is_flag=True, help="The lender is a synthetic person, who does not exist.")
@click.option("--status-uri", metavar="URI", help="The status list in which a revocation shows: https://… or urn:…")
@click.option("--status-key", metavar="ID", help="The key id of that list's issuer.")
@click.option("--status-index", type=int, metavar="N", help="The record's place in it; a random free one if not given.")
@project_option
@json_option
def request(
    lender: str,
    performers: tuple[str, ...],
    days: int | None,
    until: datetime | None,
    requester: str | None,
    territory: str,
    allow_no_label: bool,
    synthetic: bool,
    status_uri: str | None,
    status_key: str | None,
    status_index: int | None,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Write what the lender is asked: a file to sign and a page to read. Purpose and title are the project's.

    \b
    Examples:
      countenance consent request vera --performer ivan
      countenance consent request vera --until 2027-12-31 --requester "Northlight Films"
    """
    from countenance import api

    project = open_project()
    files = api.consent_request(
        project,
        lender,
        performers=performers,
        expires=None if until is None else until.date(),
        term_days=days,
        requester=requester,
        territory=territory,
        label_required=not allow_no_label,
        synthetic=synthetic,
        status=status_pointer(project, status_uri, status_key, status_index),
    )
    told = f"Give the lender {files.page} to read. To sign: countenance consent sign {files.path} --key KEY"
    answer({"request": files}, told, as_json=as_json)


@consent.command(cls=Command, short_help="Make the lender's key.")
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_option
@json_option
def keygen(file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Make the lender's key: Ed25519, in a file that a passphrase protects. It belongs to the lender alone.

    \b
    Example:
      countenance consent keygen vera.key
    """
    from countenance import api

    key = api.consent_keygen(file, key_passphrase(passphrase_file, confirm=True))
    told = f"Made {file}. Key id, for the lender to read out to the makers: {key.key_id}"
    answer({"key": {"path": file, "key_id": key.key_id}}, told, as_json=as_json)


@consent.command(cls=Command, short_help="Sign a request, after reading it.")
@click.argument("request", metavar="REQUEST", type=click.Path(path_type=Path))
@_key_option
@passphrase_option
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the record here.")
@click.option("--yes", is_flag=True, help="The page was read and agreed to; do not show it and ask.")
@json_option
def sign(request: Path, key: Path, passphrase_file: Path | None, output: Path | None, yes: bool, as_json: bool) -> None:
    """Sign a request as the lender, after reading it. In the project's own folder the record is taken in at once.

    \b
    Examples:
      countenance consent sign people/vera/consent-request.json --key vera.key
      countenance consent sign consent-request.json --key vera.key -o for-the-makers.json
    """
    from countenance import api
    from countenance.consent.request import read_request

    asked = read_request(request)
    if not yes:
        click.echo(asked["statement"]["text"], err=True)
        if not click.confirm("Do you agree, and sign?", err=True):
            raise ConsentError("Not signed. Nothing was written.")
    project = None if output is not None else _project_around(request)
    signed = api.consent_sign(request, key, key_passphrase(passphrase_file), project=project, output=output)
    where = "and taken in" if signed.accepted else "; the makers take it in with: countenance consent accept"
    facts = {"path": signed.path, "accepted": signed.accepted, **_identity(signed.record)}
    answer({"sign": facts}, f"Signed {where}: {signed.path} (record {signed.record.id}).", as_json=as_json)


@consent.command(cls=Command, short_help="Take in a record signed elsewhere.")
@click.argument("lender", metavar="NAME")
@click.argument("record", metavar="RECORD", type=click.Path(path_type=Path))
@click.option("--key-id", metavar="ID", help="The key id as the lender gave it in person.")
@project_option
@json_option
def accept(lender: str, record: Path, key_id: str | None, open_project: Callable[[], Project], as_json: bool) -> None:
    """Take in a record that the lender signed elsewhere.

    \b
    Example:
      countenance consent accept vera from-vera.json
    """
    from countenance import api

    taken = api.consent_accept(open_project(), lender, record, expected_key=key_id)
    told = f"Taken in: record {taken.id}, signed with the key {taken.key_id}. Compare that key id with {lender}."
    answer({"accept": _identity(taken)}, told, as_json=as_json)


@consent.command(cls=Command, short_help="Explain a record and whether it holds.")
@click.argument("what", metavar="NAME|FILE")
@project_option
@json_option
def check(what: str, open_project: Callable[[], Project], as_json: bool) -> int:
    """Explain a record: what was agreed, whether it holds, whether it covers this project. Exit code 2 if it does not.

    \b
    Examples:
      countenance consent check vera
      countenance consent check from-vera.json
    """
    from countenance import api
    from countenance.consent.check import check_record
    from countenance.consent.strict_json import read_bounded

    if Path(what).is_file():
        result = check_record(read_bounded(Path(what), "The consent record"))
    else:
        result = api.consent_check(open_project(), what)
    verdict = "It holds." if result.good else "It does not hold here:"
    answer(result.to_json(), "\n".join([*result.terms, verdict, *result.problems]), as_json=as_json)
    return 0 if result.good else 2


@consent.command(cls=Command, short_help="Take consent back.")
@click.argument("what", metavar="NAME|RECORD")
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), help="Sign the revocation with this key.")
@passphrase_option
@click.option("--statement", metavar="FILE", type=click.Path(path_type=Path), help="A revocation the lender signed.")
@click.option("--reason", default="", metavar="TEXT", help="A line, if there is one to give.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the signed revocation here only."
)
@project_option
@json_option
def revoke(
    what: str,
    key: Path | None,
    passphrase_file: Path | None,
    statement: Path | None,
    reason: str,
    output: Path | None,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Take consent back, at once and for good. The makers enter it by name; a lender signs it with the record's key.

    \b
    Examples:
      countenance consent revoke vera
      countenance consent revoke consent.json --key vera.key -o revocation.json
      countenance consent revoke vera --statement revocation.json
    """
    from countenance.atomic import write_bytes
    from countenance.consent.record import parse_record
    from countenance.consent.revoke import revoke as enter
    from countenance.consent.revoke import sign_revocation
    from countenance.consent.strict_json import read_bounded

    if output is not None and key is None:
        raise InputError("To write a signed revocation the lender's key is needed. Give it with --key.")
    path = Path(what) if Path(what).is_file() else open_project().consent_path(what)
    record = parse_record(read_bounded(path, "The consent record"))
    signed = None if statement is None else read_bounded(statement, "The revocation")
    if key is not None:
        from countenance.consent.keys import load_key

        signed = sign_revocation(record, load_key(key, key_passphrase(passphrase_file)), reason=reason)
    facts = {"record_id": record.id, "by": "project" if signed is None else "lender"}
    if output is not None and signed is not None:
        write_bytes(output, signed)
        answer({"revoke": {**facts, "path": output}}, f"Signed: {output}. Send it to the makers.", as_json=as_json)
        return
    done = enter(open_project(), record, statement=signed, reason=reason)
    told = f"Revoked on {done.time}: record {record.id}. Training and rendering refuse from now on."
    answer({"revoke": {**facts, "time": done.time}}, told, as_json=as_json)


def _identity(record: ConsentRecord) -> dict[str, str]:
    return {"record_id": record.id, "record_sha256": record.sha256, "key_id": record.key_id}


def _project_around(request: Path) -> Project | None:
    """The project whose folder a request lies in, or None."""
    from countenance.errors import ProjectError
    from countenance.project import Project

    try:
        return Project.find(request.resolve().parent)
    except ProjectError:
        return None


consent.add_command(status)
