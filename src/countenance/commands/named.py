"""``countenance identity new`` and ``list``: identities that bear a person's or an organisation's name."""

from __future__ import annotations

import click

from countenance.commands.terminal import Command, answer, json_option

__all__ = ["NAMED"]


@click.command(cls=Command, short_help="Make one.")
@click.argument("name")
@json_option
def new(name: str, as_json: bool) -> None:
    """Make an identity: a key and a certificate that bears NAME.

    Nobody checks the name: it is your word. Give the certificate, authority.crt, to people who know you; with it their
    program knows what you signed. The other files beside it hold private keys: never give them away, and keep a backup.

    \b
    Example:
      countenance identity new "Ida Holm"
    """
    from countenance.project import user_data_dir
    from countenance.provenance.identities import new_identity

    made = new_identity(user_data_dir(), name)
    facts = {"name": made.name, "folder": made.folder, "authority": made.authority}
    told = (
        f"Made the identity {made.name!r}. To let others know what you sign, give them {made.authority}. Keep a backup "
        f"of {made.folder}, whose other files are private keys."
    )
    answer({"identity": facts}, told, as_json=as_json)


@click.command("list", cls=Command, short_help="Name those that are there.")
@json_option
def list_(as_json: bool) -> None:
    """Name the identities on this computer.

    \b
    Example:
      countenance identity list
    """
    from countenance.project import user_data_dir
    from countenance.provenance.identities import list_identities

    found = list_identities(user_data_dir())
    facts = [{"name": one.name, "folder": one.folder, "authority": one.authority} for one in found]
    told = "\n".join(f"{one.name}  {one.authority}" for one in found)
    none = "There is none yet. Make one with: countenance identity new NAME."
    answer({"identities": facts}, told or none, as_json=as_json)


NAMED = (new, list_)
