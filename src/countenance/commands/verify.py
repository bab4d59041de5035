"""``countenance verify``."""

from __future__ import annotations

from pathlib import Path

import click

from countenance.commands.terminal import Command, answer, json_option

__all__ = ["verify"]


@click.command(cls=Command, short_help="Say what a file proves.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--record", metavar="FILE", type=click.Path(path_type=Path), help="The consent record, where it is at hand."
)
@click.option(
    "--status-list",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The status list that the record names, as a file.",
)
@click.option(
    "--trust",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Trust this authority too (PEM); can be given several times.",
)
@click.option(
    "--trust-time",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Trust this authority of timestamp services (PEM); can be given several times.",
)
@click.option(
    "--original",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="An attested recording that this may be a copy of: every frame is compared.",
)
@click.option(
    "--register",
    metavar="WHERE",
    help="A project's folder or the https address of a register, to trace a copy by its watermark.",
)
@click.option("--no-watermark", is_flag=True, help="Do not decode the picture to search it for the watermark.")
@json_option
def verify(
    file: Path,
    record: Path | None,
    status_list: Path | None,
    trust: tuple[Path, ...],
    trust_time: tuple[Path, ...],
    original: Path | None,
    register: str | None,
    no_watermark: bool,
    as_json: bool,
) -> int:
    """Say what a file proves: is it what was signed, by whom, when, with which marks, under which consent.

    It also reads what this program signs beside renders: a ledger's export and a certificate of destruction.

    With --register, a copy that lost its credentials is traced by its watermark to the render that it comes from. Only
    an address given there makes this command use the network, and only its watermark is sent, or how strongly each of
    its bits is there where it is too weak to be read.

    Exit code 0: the proof holds. 1: nothing is proven. 3: credentials that do not hold. 2: an error, such as no file.

    \b
    Examples:
      countenance verify scene-swapped.mp4
      countenance verify scene-swapped.mp4 --record people/vera/consent.json --json
      countenance verify theirs.mp4 --trust their-authority.crt
    """
    from countenance import api
    from countenance.provenance.installation import read_authorities
    from countenance.provenance.papers import paper_kind, verify_paper
    from countenance.provenance.signed_document import own_authority_pem

    kind = paper_kind(file)
    if kind is not None:
        paper = verify_paper(file, kind, trusted_pem=own_authority_pem() + read_authorities(trust))
        answer(paper.to_dict(), paper.to_text(), as_json=as_json)
        return paper.exit_code
    result = api.verify(
        file,
        record=record,
        status_list=status_list,
        trust=trust,
        trust_time=trust_time,
        search_watermark=not no_watermark,
        original=original,
        register=register,
    )
    answer(result.to_dict(), result.to_text(), as_json=as_json)
    return result.exit_code
