"""Write docs/reference/cli.md from the commands themselves; a test holds the page to them.

.venv/bin/python tools/make_cli_page.py
"""

from __future__ import annotations

from pathlib import Path

import click

from countenance.cli import cli

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"

HEAD = """# Commands

This page is written by `tools/make_cli_page.py` from the commands' own help.

**Projects.** Commands work on the project folder around the working directory, or on `--project FOLDER`.

**Answers.** A few lines for people on stdout; with `--json` one JSON object there and nothing else. Progress and errors
go to stderr. With `--json` an error is also an object on stdout: `{"error": {"kind": …, "message": …}}`.

**Exit codes.**

| code | means |
|---|---|
| 0 | done; for `verify`: the proof holds |
| 1 | `verify` only: nothing is proven |
| 2 | an error, in one line: what is wrong, what to do; wrong usage; `consent check`: the record does not hold here |
| 3 | `verify` only: credentials that do not hold |
| 70 | a defect of the program; the line names a log file |
| 130 | interrupted by Ctrl-C; the line says how to go on |

**Interruptions.** Every command can be stopped at any moment and run again. `extract` goes on where it
stopped, `train` from the saved model, `swap` after the last finished segment; a render appears only when it is
complete, signed and logged ([long work](../guides/film.md)).

**Files of your own.** Weights are kept in the user's cache folder, the signing identity and logs of defects in the
user's data and cache folders; `COUNTENANCE_HOME=FOLDER` puts all of them into one place. A key's passphrase is asked
for, or read from `--passphrase-file` or `COUNTENANCE_PASSPHRASE`.
"""


def commands(group: click.Group, before: tuple[str, ...] = ("countenance",)) -> list[tuple[str, click.Command]]:
    """Every command with its full name, groups before what is in them."""
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((" ".join((*before, name)), command))
        if isinstance(command, click.Group):
            found += commands(command, (*before, name))
    return found


def help_text(name: str, command: click.Command) -> str:
    """What ``--help`` says, 100 columns wide."""
    settings = dict(cli.context_settings) | {"terminal_width": 100}
    with click.Context(command, info_name=name, **settings) as context:
        return command.get_help(context)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += [f"## {name}\n```text\n{help_text(name, command)}\n```\n" for name, command in commands(cli)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
