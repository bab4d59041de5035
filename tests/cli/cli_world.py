"""What the tests of the command line share: command lines that were run, and clips cut from the performers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from countenance.cli import run
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter

PERFORMERS = Path(str(files("countenance") / "data" / "performers"))
PASSPHRASE = "correct horse battery"


@dataclass(frozen=True)
class Told:
    """What a command line said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def fails(self, *words: str) -> None:
        """It is an error a user caused: code 2, one line on stderr, what is wrong and what to do, no traceback."""
        assert self.code == 2, (self.out, self.err)
        assert "Traceback" not in self.err + self.out
        lines = [line for line in self.err.splitlines() if line.startswith("countenance: ")]
        assert len(lines) == 1, self.err
        *_, advice = lines[0].rstrip(".)").split(". ")
        assert lines[0].endswith((".", ".)")) or "countenance " in advice, lines[0]
        for word in words:
            assert word in lines[0], lines[0]


Runs = Callable[..., Told]


def cut(source: Path, target: Path, frames: int, first: int = 0) -> Path:
    """A few frames of a clip as a clip."""
    with VideoWriter(target, probe(source), crf=8, preset="veryfast") as writer:
        for frame in islice(read_frames(source, start_index=first), frames):
            writer.write(frame)
    return target


@dataclass(frozen=True)
class Finished:
    """A project after the whole way, and what each command said."""

    root: Path
    render: Path
    told: dict[str, Told]


def captured(words: list[str]) -> Told:
    """Run a command line, outside of any test."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    return Told(code, out.getvalue(), err.getvalue())
