"""``countenance consent``: ask, enrol, sign, take in, explain, take back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.capture import capture, challenge
from countenance.commands.signing import accept, keygen, request, sign, witness
from countenance.commands.status import status
from countenance.commands.terminal import (
    Command,
    InOrder,
    answer,
    json_option,
    key_passphrase,
    passphrase_option,
    project_option,
)
from countenance.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.project import Project

__all__ = ["consent"]


@click.group(cls=InOrder, short_help="Ask, enrol, sign, check, revoke: the lender's consent.")
def consent() -> None:
    """The lender's consent: without a record that lender and witness signed nothing is trained and nothing rendered.

    \b
    The way of a record:
      countenance consent challenge --lender vera what to do before a camera, within 30 minutes
      countenance consent capture --lender vera --clip FILE     measure the face in that clip
      countenance consent enrol vera              or measure it from footage, after extract
      countenance consent keygen vera.key         the lender makes a key, once; the witness, too
      countenance consent request vera --witness maria.key.pub --witness-role lawyer
      countenance consent sign REQUEST --key vera.key        the lender, after reading the page
      countenance consent witness FILE --key maria.key       the witness, after reading the same page
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


for _command in (request, keygen, sign, witness, accept):
    consent.add_command(_command)


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


consent.add_command(status)
