"""``countenance swap``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import (
    Command,
    answer,
    device_option,
    json_option,
    lender_option,
    performer_option,
    preset_option,
    progress_bar,
    project_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.project import Project
    from countenance.render import SwapReport

__all__ = ["swap"]


@click.command(
    cls=Command,
    short_help="Replace a face; mark, sign and log the result.",
    resume="Nothing was written; the same command starts over.",
)
@click.argument("footage", type=click.Path(path_type=Path))
@lender_option
@performer_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The render: .mp4, .mov or .mkv; in the project's renders/ if not given.",
)
@preset_option
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an output that is there (never the footage).")
@click.option("--without-label", is_flag=True, help="No visible label, where the consent record allows that.")
@project_option
@json_option
def swap(
    footage: Path,
    lender: str,
    performer: str,
    output: Path | None,
    preset: str | None,
    device: str | None,
    overwrite: bool,
    without_label: bool,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Replace the performer's face in footage by the lender's; mark, sign and log the result.

    Needs the lender's consent record and a trained model. Where the performer's face cannot be replaced it is veiled,
    and the answer says where.

    \b
    Examples:
      countenance swap scene.mp4 --lender vera --performer ivan
      countenance swap scene.mp4 --lender vera --performer ivan -o renders/scene.mp4 --overwrite
    """
    from countenance import api

    with progress_bar(f"swap {footage.name}") as report:
        result = api.swap(
            open_project(),
            footage,
            lender=lender,
            performer=performer,
            output=output,
            preset=preset,
            device=device,
            overwrite=overwrite,
            leave_out_label=without_label,
            progress=report,
        )
    answer({"swap": result}, _told(result), as_json=as_json)


def _told(result: SwapReport) -> str:
    did = result.convert
    lines = [
        f"{result.output}: {did.replaced} of {did.frames} frames replaced, {did.veiled} veiled, {did.passed} as they "
        f"were ({did.frames_per_second:.1f} frames a second).",
        *(
            f"  veiled {span.first_timecode} – {span.last_timecode} (frames {span.first_frame}–{span.last_frame}): "
            f"{span.reason}"
            for span in did.veiled_spans
        ),
        *(f"  sound left out: {what}" for what in did.sound_left_out),
        f"Signed under consent record {result.record_id}; watermark {result.watermark}; "
        + ("with" if result.label_shown else "without")
        + " the visible label.",
    ]
    return "\n".join(lines)
