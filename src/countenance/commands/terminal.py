"""What the commands share: how they answer, report progress, and say how to go on after Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from countenance.errors import CountenanceError, InputError, OutputError
from countenance.project import PROJECT_PASSPHRASE, passphrase_from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from countenance.progress import Progress
    from countenance.project import Project

__all__ = [
    "Command",
    "InOrder",
    "InterruptedWork",
    "answer",
    "device_option",
    "fail_sentence",
    "json_option",
    "key_passphrase",
    "label_options",
    "lender_option",
    "passphrase_option",
    "performer_option",
    "plain",
    "preset_option",
    "progress_bar",
    "project_option",
]

_PASSPHRASE_VARIABLE = "COUNTENANCE_PASSPHRASE"  # noqa: S105 - the name of a variable
_QUIET_SECONDS = 10.0  # between two lines of progress where stderr is no terminal
_CALM_SECONDS = 5.0  # between two lines of progress on a terminal, where lines were asked for


class InterruptedWork(click.ClickException):
    """Ctrl-C, with a sentence on how to go on."""

    exit_code = 130


class InOrder(click.Group):
    """Lists the commands in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which they were added."""
        return list(self.commands)


class Command(click.Command):
    """A command that knows how its work is taken up again, and tells errors as JSON where it was asked to."""

    def __init__(self, *arguments: Any, resume: str = "Run the same command again.", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.resume = resume

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            InterruptedWork: Ctrl-C was pressed.
            CountenanceError: as the command does, after telling it on stdout as JSON.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedWork(f"Interrupted. {self.resume}") from error
        except CountenanceError as error:
            if ctx.params.get("as_json"):
                told = {"error": {"kind": type(error).__name__, "message": fail_sentence(error)}}
                with suppress(OSError):  # the sentence on stderr has to do
                    click.echo(_json(told))
            raise


def fail_sentence(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())


def _opener(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Callable[[], Project]:
    """Opening is left to the command, so that a wrong folder is told like every other error."""

    def find() -> Project:
        from countenance.project import Project

        ask = _project_passphrase
        return Project.find(passphrase=ask) if value is None else Project.open(value, passphrase=ask)

    return find


def _project_passphrase() -> str:
    given = os.environ.get(PROJECT_PASSPHRASE)
    if given is not None or not sys.stdin.isatty():
        return passphrase_from_environment()
    asked: str = click.prompt("Passphrase of the project", hide_input=True, err=True)
    return asked


project_option = click.option(
    "--project",
    "open_project",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    callback=_opener,
    help="The project folder; the one around the working directory if not given.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON on stdout, and nothing else there.")
lender_option = click.option("--lender", required=True, metavar="NAME", help="Whose face is shown.")
performer_option = click.option("--performer", required=True, metavar="NAME", help="Whose face is replaced.")
preset_option = click.option(
    "--preset",
    metavar="NAME",
    help="swift (ours), cinema-256 or cinema-512 (larger, for a GPU), or classic (the 2017 recipe); "
    "the project's own if not given.",
)
passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Its first line is the key's passphrase; else ${_PASSPHRASE_VARIABLE}, else you are asked.",
)
device_option = click.option("--device", metavar="NAME", help="auto, cpu, cuda or mps; the project's own if not given.")


def label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add where and how the visible label stands: ``label_position``, ``label_style``, ``label_language``."""
    options = (
        click.option(
            "--label-position",
            type=click.Choice(["bottom-left", "bottom", "bottom-right", "top-left", "top", "top-right"]),
            default="bottom-left",
            show_default=True,
            help="Where the visible label stands.",
        ),
        click.option(
            "--label-style",
            type=click.Choice(["dark", "light", "title"]),
            default="dark",
            show_default=True,
            help="On a dark or a light plate, or as a film's titles.",
        ),
        click.option(
            "--label-language",
            type=click.Choice(["en", "de", "es", "fr", "ru", "uk"]),
            default="en",
            show_default=True,
            help="What it is written in.",
        ),
    )
    for option in reversed(options):  # as decorators are applied
        command = option(command)
    return command


def key_passphrase(
    file: Path | None,
    *,
    what: str = "Passphrase of the key",
    variable: str | None = _PASSPHRASE_VARIABLE,
    confirm: bool = False,
) -> str:
    """A passphrase, by default of a key: from a file, the environment, or asked for (raises InputError)."""
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The passphrase file {file} cannot be read. Check its name and permissions.") from error
        return lines[0] if lines else ""
    given = None if variable is None else os.environ.get(variable)
    if given is not None:
        return given
    prompt: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
    return prompt


def answer(facts: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the answer: ``facts`` as JSON, or ``text`` for people.

    Bytes of a file's name that are no UTF-8 are written as escapes, which JSON reads back.

    Raises:
        OutputError: standard output goes into a file that cannot be written.
    """
    try:
        click.echo(_json(plain(facts)) if as_json else _utf8(text))
    except BrokenPipeError:
        raise  # who reads it has seen enough
    except OSError as error:
        raise OutputError(
            f"The answer cannot be written ({error.strerror}); the work itself is done. Free some space, or send the "
            "answer elsewhere."
        ) from error


def _json(value: Any) -> str:
    return _utf8(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any) -> Any:
    """A value as JSON's types: data classes become objects, paths and dates texts, numbers without a value null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


@contextmanager
def progress_bar(name: str, *, lines: bool = False, left: str = "about") -> Iterator[Progress]:
    """A bar with an ETA on stderr; where that is no terminal, a line now and then.

    Args:
        name: what is being done, a word or two.
        lines: print lines on a terminal as well: of long work one wants to see what was a minute ago.
        left: the word before the time that is left, in lines.
    """
    bar = _Bar(name, lines=lines, left=left)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    """Turns calls of a :class:`Progress` into tqdm's bar; work that starts anew gets a new one."""

    def __init__(self, name: str, *, lines: bool = False, left: str = "about") -> None:
        self._name, self._left = name, left
        self._bar: Any = None
        self._total: float | None = None
        self._first = self._last = 0.0
        self._began = self._said = time.monotonic()
        self._terminal = sys.stderr.isatty() and not lines
        self._pause = _CALM_SECONDS if sys.stderr.isatty() else _QUIET_SECONDS

    def __call__(self, done: float, total: float | None, note: str = "") -> None:
        anew = self._bar is None or total != self._total or done < self._last
        if anew:
            self._restart(done, total)
        self._last = done
        if self._terminal:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._said >= self._pause:
            self._said = time.monotonic()
            click.echo(self._line(done, total, note), err=True)

    def _restart(self, done: float, total: float | None) -> None:
        self.close()
        self._total, self._first = total, done
        self._began = self._said = time.monotonic()
        if not self._terminal:
            self._bar = self
            return
        from tqdm import tqdm

        known = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            desc=self._name,
            total=total,
            initial=done,
            bar_format=known if total else "{desc} {n:.0f} {elapsed}{postfix}",
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
        )

    def _line(self, done: float, total: float | None, note: str) -> str:
        from tqdm import tqdm

        elapsed = time.monotonic() - self._began
        rate = (done - self._first) / elapsed if elapsed > 0.0 and done > self._first else 0.0
        share = f" {100.0 * done / total:.0f} %" if total else f" {done:.0f}"
        left = f", {self._left} {tqdm.format_interval((total - done) / rate)} left" if total and rate else ""
        return f"{self._name}:{share} after {tqdm.format_interval(elapsed)}{left}" + (f" ({note})" if note else "")

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._terminal and self._bar is not None:
            self._bar.refresh()
            self._bar.close()
        self._bar = None
