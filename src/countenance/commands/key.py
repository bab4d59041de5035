"""``countenance key``: where the project's key is, and how it is locked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, InOrder, answer, json_option, key_passphrase, project_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.project import Project

__all__ = ["key"]


@click.group(cls=InOrder, short_help="The key under which faces lie encrypted.")
def key() -> None:
    """Face sets and enrolled faces lie encrypted under the project's key. It is made when it is first needed, and kept
    in a file of its own outside the project, so there is nothing to do unless you want to.

    \b
    Examples:
      countenance key show
      countenance key passphrase                   from now on a passphrase opens the project
      countenance key export /media/stick/film.key to open the project on another computer
    """


@key.command(cls=Command, short_help="Say where the key is.")
@project_option
@json_option
def show(open_project: Callable[[], Project], as_json: bool) -> None:
    """Say where the project's key is, and whether it is there.

    \b
    Example:
      countenance key show
    """
    from countenance.project import project_keys_dir
    from countenance.vault import key_facts

    facts = key_facts(open_project().root, project_keys_dir())
    if facts is None:
        told = "There is no key yet: it is made with the first face."
    elif facts.path is None:
        told = "The key is in the project, locked with a passphrase."
    else:
        told = (
            f"The key is in {facts.path}." if facts.found else f"The key should be in {facts.path}, but is not there."
        )
    answer({"key": facts}, told, as_json=as_json)


@key.command(cls=Command, short_help="Lock it with a passphrase, or change that.")
@click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Its first line is the new passphrase; you are asked if not given.",
)
@project_option
@json_option
def passphrase(passphrase_file: Path | None, open_project: Callable[[], Project], as_json: bool) -> None:
    """Lock the key with a passphrase, or with another one. The key file is destroyed; no face is encrypted again.

    Every command then asks for it, or takes it from $COUNTENANCE_PROJECT_PASSPHRASE. Nobody can open the project
    without it: keep an exported key in a safe place.

    \b
    Example:
      countenance key passphrase
    """
    from countenance.project import project_keys_dir
    from countenance.vault import use_passphrase

    project = open_project()
    opened = project.key()
    new = key_passphrase(passphrase_file, what="New passphrase of the project", variable=None, confirm=True)
    use_passphrase(project.root, project_keys_dir(), opened, new)
    answer({"key": {"way": "passphrase"}}, "The project opens with that passphrase from now on.", as_json=as_json)


@key.command(cls=Command, short_help="Take the passphrase away: a key file again.")
@project_option
@json_option
def file(open_project: Callable[[], Project], as_json: bool) -> None:
    """Keep the key in a file outside the project again, and ask for no passphrase.

    \b
    Example:
      countenance key file
    """
    from countenance.project import project_keys_dir
    from countenance.vault import use_key_file

    project = open_project()
    path = use_key_file(project.root, project_keys_dir(), project.key())
    answer({"key": {"way": "key file", "path": path}}, f"The key is in {path}.", as_json=as_json)


@key.command("export", cls=Command, short_help="Write a copy for another computer or a safe.")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@project_option
@json_option
def export_copy(target: Path, open_project: Callable[[], Project], as_json: bool) -> None:
    """Write a copy of the key. Whoever has it can open the project's faces: never keep it beside the project.

    \b
    Example:
      countenance key export /media/stick/film.key
    """
    from countenance.vault import export_key

    export_key(target, open_project().key())
    told = f"Wrote the key to {target}. Whoever has it and the project sees the faces."
    answer({"key": {"path": target}}, told, as_json=as_json)


@key.command("import", cls=Command, short_help="Take in a copy that was exported.")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@project_option
@json_option
def import_copy(source: Path, open_project: Callable[[], Project], as_json: bool) -> None:
    """Take in an exported key: on another computer, or where the passphrase was forgotten.

    \b
    Example:
      countenance key import /media/stick/film.key
    """
    from countenance.project import project_keys_dir
    from countenance.vault import import_key

    path = import_key(open_project().root, project_keys_dir(), source)
    answer({"key": {"way": "key file", "path": path}}, f"The project opens here now, with {path}.", as_json=as_json)
