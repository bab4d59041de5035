"""``countenance register``: trace copies that lost their credentials."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, InOrder, answer, json_option
from countenance.provenance.report import claim_facts

if TYPE_CHECKING:
    from countenance.api_provenance import RegisteredRender

__all__ = ["register"]

_folder_option = click.option(
    "--register",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Of the register; the project's own if not given.",
)


@click.group(cls=InOrder, short_help="Trace copies that lost their credentials.")
def register() -> None:
    """The register leads from a watermark to what its render states: no name, path or picture is in it.

    Renders are entered by themselves into the register of their project.

    \b
    Examples:
      countenance verify copy.mp4 --register film
      countenance register serve --port 8700
      countenance verify copy.mp4 --register http://127.0.0.1:8700
    """


def _folder(given: Path | None) -> Path:
    from countenance.project import Project

    return Project.find().root if given is None else given


@register.command(cls=Command, short_help="Enter signed renders.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@_folder_option
@json_option
def add(files: tuple[Path, ...], folder: Path | None, as_json: bool) -> None:
    """Enter signed renders, of another project for example.

    \b
    Example:
      countenance register add renders/scene-swapped.mp4 --register /srv/register
    """
    from countenance import api

    added = api.register_add(_folder(folder), files)
    answer({"added": [_facts(one) for one in added]}, "\n".join(_line(one) for one in added), as_json=as_json)


@register.command("list", cls=Command, short_help="Say what is in it.")
@_folder_option
@json_option
def list_(folder: Path | None, as_json: bool) -> None:
    """Say what is in the register: a line for each render.

    \b
    Example:
      countenance register list
    """
    from countenance import api

    found = api.register_list(_folder(folder))
    told = "\n".join(_line(one) for one in found) or "There is nothing in the register yet."
    answer({"renders": [_facts(one) for one in found]}, told, as_json=as_json)


@register.command(cls=Command, short_help="Write it as files for any web server.")
@click.argument("output", metavar="FOLDER", type=click.Path(path_type=Path))
@_folder_option
@json_option
def export(output: Path, folder: Path | None, as_json: bool) -> None:
    """Write the register's answers as files, for a web server that serves a folder: v1/watermarks/ID.

    \b
    Example:
      countenance register export public/register
    """
    from countenance import api

    count = api.register_export(_folder(folder), output)
    answer({"export": {"path": output, "watermarks": count}}, f"Wrote {count} answers to {output}.", as_json=as_json)


@register.command(cls=Command, short_help="Serve it, read-only.", resume="Start it again when it is needed.")
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@_folder_option
def serve(port: int, host: str, folder: Path | None) -> None:
    """Serve the register over HTTP until Ctrl-C: GET /v1/watermarks/ID and GET /v1/recognise/EVIDENCE, nothing else.

    It speaks plain HTTP. Towards a network, put it behind a web server that speaks TLS, or serve what `register
    export` writes.

    \b
    Example:
      countenance register serve --port 8700
    """
    from countenance import api
    from countenance.errors import InputError
    from countenance.provenance.register import Register

    where = _folder(folder)
    if not Register(where).path.is_file():
        raise InputError(f"There is no register in {where} yet. Render something, or: countenance register add FILE.")
    with api.register_serve(where, host=host, port=port) as server:
        click.echo(f"Serving the register at {server.address} until Ctrl-C.")
        threading.Event().wait()


def _facts(one: RegisteredRender) -> dict[str, object]:
    return {
        "watermark": one.watermark,
        "sha256": one.sha256,
        "signer": one.signer,
        "claim": claim_facts(one.claim),
    }


def _line(one: RegisteredRender) -> str:
    if one.claim is None:
        return f"{one.watermark}  its manifest does not hold; enter the render again"
    return f"{one.watermark}  {one.claim.made_at:%Y-%m-%d %H:%M}  {one.claim.purpose}  {one.claim.record_id}"
