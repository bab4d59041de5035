"""``countenance forget``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, answer, json_option, project_option
from countenance.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.forgetting import Plan
    from countenance.project import Project

__all__ = ["forget"]

_SHOWN = 40


@click.command(cls=Command, short_help="Destroy everything of a person, with a certificate.")
@click.argument("person", metavar="PERSON")
@click.option("--renders", is_flag=True, help="Also the person's renders in renders/; they stay otherwise.")
@click.option("--yes", is_flag=True, help="Do not list the files and ask.")
@project_option
@json_option
def forget(person: str, renders: bool, yes: bool, open_project: Callable[[], Project], as_json: bool) -> None:
    """Destroy everything of a person in the project: faces, enrolled template, models of every pair, previews.

    Each file is overwritten, removed, and listed in a signed certificate in certificates/, which `countenance verify`
    reads. The consent record, the ledger and the renders stay. This does not take consent back: that is
    `consent revoke`. It cannot be undone. Interrupted, the same command goes on.

    \b
    Examples:
      countenance forget vera
      countenance forget vera --renders --yes
    """
    from countenance.api import forget as destroy
    from countenance.forgetting import plan_to_forget

    project = open_project()
    if not yes:
        plan = plan_to_forget(project, person, renders=renders)
        click.echo("\n".join(_told(plan)), err=True)
        if not click.confirm(f"Destroy everything of {plan.person} for good?", err=True):
            raise InputError("Nothing was destroyed. Run the same command again to be asked anew.")
    done = destroy(project, person, renders=renders)
    outside = [str(one["path"]) for one in done.files if one["how"] == "unlinked"]
    lines = [
        f"Destroyed {len(done.files)} files of {done.person}. Certificate: {done.certificate}",
        *([f"It stays: {', '.join(done.kept)}."] if done.kept else []),
        *(
            [f"Other names outside the project still lead to: {', '.join(outside)}. Remove those too."]
            if outside
            else []
        ),
        "A solid-state disk, snapshots and backups can keep older copies: see docs/guides/revocation.md.",
    ]
    answer({"forget": done}, "\n".join(lines), as_json=as_json)


def _told(plan: Plan) -> list[str]:
    size = sum(one.bytes for one in plan.files) / 1e6
    lines = [f"These {len(plan.files)} files ({size:.1f} MB) will be destroyed:"]
    lines += [f"  {one.path}" for one in plan.files[:_SHOWN]]
    lines += [f"  and {len(plan.files) - _SHOWN} more"] if len(plan.files) > _SHOWN else []
    if plan.partners:
        lines.append(f"With them go the models of {plan.person} together with: {', '.join(plan.partners)}.")
    if plan.going_on:
        lines.append("An earlier destruction was interrupted; this one goes on from there.")
    if plan.kept:
        lines.append(f"These stay: {', '.join(plan.kept)}.")
    return lines
