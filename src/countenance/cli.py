"""``countenance``: the commands, and what every one of them does when something goes wrong.

Exit codes: 0 done; 2 an error that the message explains (also wrong usage); 70 a defect of the program; 130 Ctrl-C.
``verify`` has its own: 0 the proof holds, 1 nothing is proven, 3 credentials that do not hold.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance import __version__
from countenance.commands import (
    attest,
    consent,
    demo,
    evaluate,
    forget,
    identity,
    key,
    ledger,
    people,
    preview,
    project,
    register,
    swap,
    train,
    verify,
    weights,
)
from countenance.commands.terminal import InOrder, InterruptedWork, fail_sentence
from countenance.errors import CountenanceError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main", "run"]

_DEFECT = 70  # EX_SOFTWARE of sysexits.h


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command has examples: countenance COMMAND --help",
)
@click.version_option(__version__, prog_name="countenance")
def cli() -> None:
    """Replace a face in video by the face of somebody who agreed to lend it, with proof of it in the file.

    \b
    The way of the work:
      countenance new film                         a project folder
      countenance extract CLIP... --person vera    gather the faces of lender and performer
      countenance consent request|enrol|sign       the lender's consent
      countenance train --lender vera --performer ivan
      countenance preview scene.mp4 --lender vera --performer ivan
      countenance swap scene.mp4 --lender vera --performer ivan -o scene-swapped.mp4
      countenance verify scene-swapped.mp4         anybody can, anywhere
    """


for _command in (
    project.new,
    people.extract,
    people.faces,
    consent.consent,
    train.train,
    swap.swap,
    preview.preview,
    verify.verify,
    attest.attest,
    register.register,
    identity.identity,
    ledger.ledger,
    forget.forget,
    key.key,
    evaluate.evaluate,
    weights.weights,
    demo.demo,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the ``countenance`` program."""
    # Before anything loads torch: its threads otherwise spin while they wait for each other, and on a machine that is
    # busy with something else as well, two threads then are ten times slower than one (8 s a training step, not 0.8).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; nothing but ``SystemExit`` of the interpreter itself gets past it.

    Args:
        arguments: the words after the program's name; those of the process when None.

    Returns:
        The exit code.
    """
    try:
        result = cli.main(arguments, prog_name="countenance", standalone_mode=False)
    except InterruptedWork as error:
        return _say(error.message, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("Interrupted.", InterruptedWork.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except CountenanceError as error:
        return _say(fail_sentence(error), 2)
    except Exception as error:
        return _say(_defect(error), _DEFECT)
    return result if isinstance(result, int) else 0


def _say(sentence: str, code: int) -> int:
    click.echo(f"countenance: {sentence}", err=True)
    return code


def _defect(error: Exception) -> str:
    """One sentence for people; the traceback goes into a file."""
    return f"This is a bug in Countenance ({type(error).__name__}: {fail_sentence(error)[:200]}). {_log()}"


def _log() -> str:
    from countenance.project import user_cache_dir

    name = f"defect-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
    text = f"countenance {__version__}, Python {sys.version}\n{traceback.format_exc()}"
    for folder in (user_cache_dir() / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue  # the next place; without any, the sentence has to do
        return f"Please report it with the log in {folder / name}."
    return "Please report it with this sentence; no log could be written."
