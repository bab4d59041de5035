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
    from countenance.training.train import TrainReport

__all__ = ["train"]


@click.command(
    cls=Command,
    short_help="Train the model of a pair, or go on training it.",
    resume="The model was saved; the same command goes on from there.",
)
@lender_option
@performer_option
@preset_option
@click.option(
    "--minutes",
    type=float,
    metavar="M",
    help="Most training time in all, over all runs of this model [to the plateau].",
)
@click.option("--iterations", type=int, metavar="N", help="Iterations in all, over all runs; plateau or not.")
@click.option("--no-early-stop", is_flag=True, help="Train until the budget is used up, also beyond the plateau.")
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
    no_early_stop: bool,
    device: str | None,
    seed: int,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Train the model that gives the lender's face to the performer, or go on training it.

    Needs the lender's consent record. Training stops by itself when ten more minutes would gain nothing that is seen on
    faces it was not trained on, and the weights that were best on those are used. A budget counts all runs together:
    the same command again goes on where the last one stopped, and does nothing when the model is finished.

    \b
    Examples:
      countenance train --lender vera --performer ivan
      countenance train --lender vera --performer ivan --minutes 60 --no-early-stop
      countenance train --lender vera --performer ivan --preset classic --iterations 20000
    """
    from countenance import api

    stops = not no_early_stop and iterations is None
    with progress_bar("train", lines=True, left="at most" if stops else "about") as report:
        result = api.train(
            open_project(),
            lender,
            performer,
            preset=preset,
            minutes=minutes,
            iterations=iterations,
            early_stop=not no_early_stop,
            device=device,
            seed=seed,
            progress=report,
            note=_note,
        )
    answer({"train": result}, "\n".join([*_told(result), f"Model: {result.model_dir}"]), as_json=as_json)


_WHY = {
    "plateau": "It stopped at the plateau: ten more minutes would gain nothing that is seen.",
    "minutes": "It stopped since its minutes are used up.",
    "iterations": "It stopped since its iterations are done.",
}


def _told(result: TrainReport) -> list[str]:
    """What was reached, which weights are used, why it stopped, and what to know besides."""
    if result.trained_seconds > 0.0:
        how = "went on" if result.resumed else "trained"
        lines = [f"The {result.preset} model {how} for {result.trained_seconds / 60.0:.1f} minutes on {result.device}."]
    elif result.stopped == "plateau":
        lines = ["Nothing to do: this model has reached its plateau. Give --no-early-stop to go on all the same."]
    else:
        lines = ["Nothing to do: this model has had its whole budget. Give more --minutes or --iterations to go on."]
    row = result.history[-1] if result.history else {}
    reached = [text.format(row[name]) for name, text in _REACHED.items() if name in row]
    told = f"In all {result.iteration} iterations in {result.seconds / 60.0:.1f} minutes"
    lines.append("; ".join([told, *reached]) + ".")
    if result.best_seconds is not None:
        lines.append(
            f"Best at minute {result.best_seconds / 60.0:.1f} (iteration {result.best_iteration}); "
            "these are the weights that are used."
        )
    if result.trained_seconds > 0.0:
        lines.append(_WHY[result.stopped] + _expected(result))
    return lines + [f"Warning: {sentence}" for sentence in result.warnings]


_REACHED = {
    "held_out_ssim": "SSIM of the lender's held-out faces: {:.3f}",
    "held_out_identity_margin": "identity margin of held-out swaps: {:+.3f}",
}


def _expected(result: TrainReport) -> str:
    if result.forecast is None or result.stopped == "plateau":
        return ""
    return f" Ten more minutes: about {result.forecast.gain:+.3f}."


def _note(sentence: str) -> None:
    """To stderr: stdout is the answer's."""
    click.echo(sentence, err=True)
