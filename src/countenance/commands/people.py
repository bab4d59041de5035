"""``countenance extract`` and ``countenance faces``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, answer, json_option, progress_bar, project_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from countenance.project import Project

__all__ = ["extract", "faces"]


@click.command(
    cls=Command,
    short_help="Gather a person's faces from videos and photos.",
    resume="What was read is kept; the same command goes on where it stopped.",
)
@click.argument("clips", nargs=-1, metavar="[CLIP]...", type=click.Path(path_type=Path))
@click.option("--person", required=True, metavar="NAME", help="Whose faces these are.")
@click.option(
    "--like", metavar="PHOTO", type=click.Path(path_type=Path), help="A photo of the person, where others are seen too."
)
@click.option(
    "--crop",
    metavar="PIXELS",
    type=click.Choice(["256", "512"]),
    help="Side of the stored crops: 256, or 512 for cinema-512 [that of the face set; 256 for a new one].",
)
@click.option(
    "--protected-witness",
    is_flag=True,
    help="A performer whom nothing may identify: noted in countenance.toml; see docs/concepts/encryption.md.",
)
@project_option
@json_option
def extract(
    clips: tuple[Path, ...],
    person: str,
    like: Path | None,
    crop: str | None,
    protected_witness: bool,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Gather the faces of one person from videos, photos and folders into the person's face set.

    Where several people are seen, the one in most frames is taken, or the one of --like. Clips that were read before
    are skipped. Without a clip, --protected-witness notes the person, and nothing is read.

    \b
    Examples:
      countenance extract vera-1.mp4 vera-2.mp4 --person vera
      countenance extract rushes/ --person ivan --like ivan.jpg
      countenance extract vera-4k.mov --person vera --crop 512
      countenance extract interview.mov --person ivan --protected-witness
      countenance extract --person ivan --protected-witness
    """
    from countenance import api

    with progress_bar(f"extract {person}") as report:
        side = None if crop is None else int(crop)
        result = api.extract(
            open_project(),
            person,
            clips,
            like=like,
            crop=side,
            protected_witness=protected_witness,
            progress=report,
        )
    if not clips:
        answer({"extract": result}, "\n".join(result.notes), as_json=as_json)
        return
    new = sum(not source.skipped for source in result.sources)
    lines = [
        f"{person}: {result.kept} faces kept, {sum(result.rejected.values())} rejected{_reasons(result.rejected)}.",
        f"{new} of {len(result.sources)} sources were new ({result.frames_read} frames in {result.seconds:.0f} s)"
        + (", the others were read before." if new < len(result.sources) else "."),
        *result.notes,
    ]
    answer({"extract": result}, "\n".join(lines), as_json=as_json)


@click.command(cls=Command, short_help="Say what is in a person's face set.")
@click.argument("person", metavar="NAME")
@click.option("--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Draw a contact sheet here.")
@project_option
@json_option
def faces(person: str, sheet: Path | None, open_project: Callable[[], Project], as_json: bool) -> None:
    """Say what is in a person's face set: how many faces, which were rejected and why, and what a lender's set should
    have besides. With --sheet, draw a contact sheet: face sets are encrypted, and that picture is not.

    \b
    Examples:
      countenance faces vera
      countenance faces vera --sheet vera.png --json
    """
    from countenance import api

    result = api.faces(open_project(), person, sheet=sheet)
    rejected = sum(result.rejected.values())
    lines = [f"{person}: {result.kept} faces kept, {rejected} rejected; crops of {result.crop_size} pixels."]
    lines += [f"  {count:>6}  {reason}" for reason, count in result.rejected.items()]
    if result.pending:
        lines.append(f"  {result.pending:>6}  not decided yet: run the same extract command again")
    lines += [
        f"  {source.name}: {source.next_frame} frames, {source.frames_without_face} without a face"
        for source in result.sources
    ]
    lines += result.notes
    if result.sheet is not None:
        lines.append(f"Contact sheet: {result.sheet}")
    answer({"faces": result}, "\n".join(lines), as_json=as_json)


def _reasons(rejected: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
    return f" ({told})" if told else ""
