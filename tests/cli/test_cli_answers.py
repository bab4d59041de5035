"""Where an answer goes: a full disk, and file names that are no text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import Runs

PROGRAM = (sys.executable, "-c", "from countenance.cli import main; main()")


def verified(folder: Path, home: Path, *words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "COUNTENANCE_HOME": str(home), "PYTHONIOENCODING": "utf-8:strict"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": env} | more
    return subprocess.run([*PROGRAM, "verify", *words, "--no-watermark"], cwd=folder, check=False, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_answer_onto_a_full_disk_is_no_bug(film: Path, home: Path, more: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        told = verified(film / "renders", home, "scène, swapped.mp4", *more, stdout=full)
        gone = verified(film / "renders", home, "gone.mp4", *more, stdout=full)
    assert told.returncode == 2, told.stderr
    assert b"The answer cannot be written (No space left on device)" in told.stderr
    assert b"bug" not in told.stderr
    assert gone.returncode == 2
    assert b"There is no file gone.mp4" in gone.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_a_file_name_that_is_no_text(film: Path, home: Path) -> None:
    """JSON for programs is UTF-8, and names the file so that it can be opened again."""
    name = os.fsdecode(b"bad\xff\x1b[31m\n.mp4")
    shutil.copy(film / "renders" / "scène, swapped.mp4", film / name)
    told = verified(film, home, name, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.decode("utf-8"))["file"] == name
    told = verified(film, home, os.fsdecode(b"gone\xff.mp4"), "--json")
    assert told.returncode == 2
    assert "gone\udcff.mp4" in json.loads(told.stdout.decode("utf-8"))["error"]["message"]


@pytest.mark.parametrize("name", [".", "/", "gone.mp4"])
def test_attest_of_what_is_no_file(name: str, countenance: Runs) -> None:
    countenance("attest", name, "--statement", "account.md", "--as", "Ida Holm").fails("There is no file")
