"""``countenance new``."""

from __future__ import annotations

from pathlib import Path

import click

from countenance.commands.terminal import Command, answer, json_option

__all__ = ["new"]


@click.command(cls=Command, short_help="Make a project folder.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--title", metavar="TEXT", help="What the work is called; lenders consent to it. The folder's name.")
@click.option("--purpose", default="film", show_default=True, help="double, film, dubbing or research.")
@json_option
def new(folder: Path, title: str | None, purpose: str, as_json: bool) -> None:
    """Make a project folder: people/, models/, renders/, the ledger and countenance.toml.

    \b
    Examples:
      countenance new film
      countenance new film --title "The Witness" --purpose double
    """
    from countenance import api

    project = api.new(folder, title=title, purpose=purpose)
    facts = {"project": project.root, "title": project.config.title, "purpose": project.config.purpose}
    answer(facts, f"Made the project {project.config.title!r} in {project.root}.", as_json=as_json)
