"""``countenance preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import (
    Command,
    answer,
    device_option,
    json_option,
    label_options,
    lender_option,
    performer_option,
    preset_option,
    project_option,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.playback import PreviewReport
    from countenance.project import Project

__all__ = ["preview"]


@click.command(cls=Command, short_help="Play a swap into a page of this machine, without writing it.")
@click.argument("footage", type=click.Path(path_type=Path))
@lender_option
@performer_option
@click.option("--loop", is_flag=True, help="Play again from the start until Ctrl-C.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@label_options
@preset_option
@device_option
@project_option
@json_option
def preview(
    footage: Path,
    lender: str,
    performer: str,
    loop: bool,
    open_page: bool,
    label_position: str,
    label_style: str,
    label_language: str,
    preset: str | None,
    device: str | None,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Play a swap into a page of this machine at the footage's frame rate, dropping frames rather than falling behind.

    Needs what swap needs, and asks the same gate. Every picture carries the label, the watermark and signed Content
    Credentials. The page's address is printed; nobody without it can watch, and no other machine. Playing begins when
    the page is opened and ends with the footage or by Ctrl-C. The footage is a file, never a camera.

    \b
    Examples:
      countenance preview scene.mp4 --lender vera --performer ivan
      countenance preview scene.mp4 --lender vera --performer ivan --loop --open
    """
    from countenance import api
    from countenance.provenance.label import LabelLook

    def tell(address: str) -> None:
        click.echo(f"The preview is at {address} (Ctrl-C ends it).", err=True)
        if open_page:
            click.launch(address)

    result = api.preview(
        open_project(),
        footage,
        lender=lender,
        performer=performer,
        preset=preset,
        device=device,
        loop=loop,
        look=LabelLook(label_position, label_style, label_language),
        tell=tell,
    )
    answer({"preview": result}, _told(result), as_json=as_json)


def _told(result: PreviewReport) -> str:
    lines = [
        f"Shown {result.shown} of {result.frames} frames ({result.replaced} replaced, {result.veiled} with a veil), at "
        f"{result.shown_frames_per_second:.1f} of {result.footage_frames_per_second:.2f} frames a second.",
        f"Dropped {result.dropped} ({result.dropped_share:.0%}), as there was no time for them.",
    ]
    if result.held_back:
        lines.append(f"Held back {result.held_back} until the performer's apparent age was known.")
    if result.shown and not result.replaced:
        lines.append("No face was replaced. Check that this is the performer whose faces were enrolled.")
    lines.append(f"Under consent record {result.record_id}; watermark {result.watermark}.")
    return "\n".join(lines)
