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
    label_options,
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
    resume="There is no output yet; the same command goes on after the last finished segment.",
)
@click.argument("footage", type=click.Path(path_type=Path))
@lender_option
@performer_option
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The render: .mp4, .mov, .mkv or .webm; in the project's renders/ if not given, of a hidden witness under a "
    "neutral name.",
)
@click.option(
    "--codec",
    metavar="NAME",
    help="h264 (the default) or h265 in mp4, mov and mkv; prores in mov and mkv; ffv1 in mkv; vp9 in webm and mkv.",
)
@click.option("--encoder", metavar="NAME", help="One of FFmpeg's encoders by name, for hardware: h264_nvenc, …")
@click.option(
    "--quality",
    type=click.Choice(["draft", "good", "film"]),
    default="good",
    show_default=True,
    help="draft: quick to make, to look at; film: the best picture and the largest file.",
)
@click.option("--review", is_flag=True, help="Also a clip of the veiled spans only, FILE.review.mp4, with captions.")
@click.option(
    "--patches",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Also the painted faces apart from the footage, for compositors, in a new folder.",
)
@click.option(
    "--patches-format",
    type=click.Choice(["png", "exr"]),
    default="png",
    show_default=True,
    help="8-bit RGBA with straight alpha, or 16-bit float with premultiplied colour.",
)
@preset_option
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an output that is there (never the footage).")
@click.option("--without-label", is_flag=True, help="No visible label, where the consent record allows that.")
@label_options
@click.option("--secret-watermark", is_flag=True, help="Also an invisible mark that only this computer can find.")
@project_option
@json_option
def swap(
    footage: Path,
    lender: str,
    performer: str,
    output: Path | None,
    codec: str | None,
    encoder: str | None,
    quality: str,
    review: bool,
    patches: Path | None,
    patches_format: str,
    preset: str | None,
    device: str | None,
    overwrite: bool,
    without_label: bool,
    label_position: str,
    label_style: str,
    label_language: str,
    secret_watermark: bool,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Replace the performer's face in footage by the lender's; mark, sign and log the result.

    Needs the lender's consent record and a trained model. Where the performer's face cannot be replaced it is veiled,
    and the answer says where. Interrupted in any way, the same command goes on after the last finished segment.

    \b
    Examples:
      countenance swap scene.mp4 --lender vera --performer ivan
      countenance swap scene.mp4 --lender vera --performer ivan -o renders/scene.mp4 --overwrite
      countenance swap scene.mp4 --lender vera --performer ivan --quality draft --review
      countenance swap scene.mov --lender vera --performer ivan -o hand-over.mov --codec prores
      countenance swap scene.mov --lender vera --performer ivan --quality film --patches scene-patches
    """
    from countenance import api
    from countenance.provenance.label import LabelLook

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
            codec=codec,
            encoder=encoder,
            quality=quality,
            review=review,
            patches=patches,
            patches_format=patches_format,
            look=LabelLook(label_position, label_style, label_language),
            secret_watermark=secret_watermark,
            progress=report,
            note=_note,
        )
    answer({"swap": result}, _told(result), as_json=as_json)


def _note(sentence: str) -> None:
    click.echo(sentence, err=True)


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
        *(f"  left out: {what}" for what in did.left_out),
        *(f"  {sentence}" for sentence in did.close_calls),
        *([f"To review: {result.review}"] if result.review else []),
        *([f"Patches: {result.patches.files} in {result.patches.folder}"] if result.patches else []),
        f"Signed under consent record {result.record_id}; watermark {result.watermark}; "
        + ("with" if result.label_shown else "without")
        + " the visible label.",
    ]
    return "\n".join(lines)
