"""``countenance demo``."""

from __future__ import annotations

from pathlib import Path

import click

from countenance.commands.terminal import Command, answer, json_option, progress_bar

__all__ = ["demo"]


@click.command(
    cls=Command,
    short_help="The whole job on the embedded synthetic performers.",
    resume="Everything finished so far is kept; run the demo again to go on.",
)
@click.option("--out", default=Path("out/demo"), show_default=True, metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--minutes", type=float, default=6.0, show_default=True, metavar="M", help="Training time.")
@json_option
def demo(out: Path, minutes: float, as_json: bool) -> None:
    """The whole job on the embedded synthetic performers: extract, consent, train, swap, verify, measure.

    Leaves swapped.mp4, contact_sheet.png, report.html and result.json. Run again, it reuses what is there.

    \b
    Examples:
      countenance demo
      countenance demo --out out/demo --minutes 60
    """
    from countenance.demo.run import run_demo

    def say(sentence: str) -> None:
        click.echo(sentence, err=True)

    result = run_demo(out, minutes=minutes, bar=progress_bar, say=say)
    answer(result.facts, result.text, as_json=as_json)
