"""``countenance train``."""

from __future__ import annotations

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

__all__ = ["train"]


@click.command(
    cls=Command,
    short_help="Train the model of a pair, or go on training it.",
    resume="The model was saved; the same command goes on from there.",
)
@lender_option
@performer_option
@preset_option
@click.option("--minutes", type=float, metavar="M", help="Training time in all, over all runs of this model [8].")
@click.option("--iterations", type=int, metavar="N", help="Iterations in all, over all runs of this model.")
@device_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first weights and of the distortions.")
@project_option
@json_option
def train(
    lender: str,
    performer: str,
    preset: str | None,
    minutes: float | None,
    iterations: int | None,
    device: str | None,
    seed: int,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Train the model that gives the lender's face to the performer, or go on training it.

    Needs the lender's consent record. A budget counts all runs together: the same command again goes on where the last
    one stopped, and does nothing when the budget is used up.

    \b
    Examples:
      countenance train --lender vera --performer ivan
      countenance train --lender vera --performer ivan --minutes 60
      countenance train --lender vera --performer ivan --preset classic --iterations 20000
    """
    from countenance import api

    with progress_bar("train") as report:
        result = api.train(
            open_project(),
            lender,
            performer,
            preset=preset,
            minutes=minutes,
            iterations=iterations,
            device=device,
            seed=seed,
            progress=report,
        )
    if result.trained_seconds > 0.0:
        how = "went on" if result.resumed else "trained"
        first = f"The {result.preset} model {how} for {result.trained_seconds / 60.0:.1f} minutes on {result.device}."
    else:
        first = "Nothing to do: this model has had its whole budget. Give more --minutes or --iterations to go on."
    last = result.history[-1] if result.history else {}
    score = last.get("held_out_ssim")
    second = f"In all {result.iteration} iterations in {result.seconds / 60.0:.1f} minutes" + (
        f"; SSIM of the lender's held-out faces: {score:.3f}." if score is not None else "."
    )
    answer({"train": result}, f"{first}\n{second}\nModel: {result.model_dir}", as_json=as_json)
