"""The Python API: its names, its laziness, and every example of its page."""

from __future__ import annotations

import inspect
import re
from importlib.resources import files
from itertools import islice
from pathlib import Path

import pytest

import countenance
from countenance import api
from countenance.errors import ConfigError, CountenanceError, MediaError, ProjectError
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"
PERFORMERS = Path(str(files("countenance") / "data" / "performers"))
BLOCK = re.compile(r"^## (\w+)\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_public_name_is_there() -> None:
    assert dir(countenance) == sorted(countenance.__all__)
    for name in countenance.__all__:
        assert getattr(countenance, name) is not None
    assert countenance.CountenanceError is CountenanceError
    assert countenance.train is api.train


def test_no_other_name_is_made_up() -> None:
    with pytest.raises(AttributeError, match="'swapp'"):
        countenance.swapp  # noqa: B018


def test_the_functions_have_the_names_of_the_commands() -> None:
    from countenance.cli import cli

    functions = {name for name in countenance.__all__ if inspect.isfunction(getattr(countenance, name))}
    # Not functions: weights and demo, whose name an identity bears, and where the project's key lies (`Project.key`,
    # `countenance.vault`).
    groups = {"consent", "ledger", "register"}
    commands = set(cli.commands) - {"weights", "demo", "identity", "key", *groups}
    for group in groups:
        for name, command in cli.commands[group].commands.items():  # type: ignore[attr-defined]
            below = getattr(command, "commands", None)
            commands |= {f"{group}_{name}"} if below is None else {f"{group}_{name}_{one}" for one in below}
    assert functions == commands


def test_the_page_has_an_example_of_each_function() -> None:
    functions = [name for name in countenance.__all__ if inspect.isfunction(getattr(countenance, name))]
    examples = dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    assert set(examples) == set(functions)
    assert all(f"countenance.{name}(" in code for name, code in examples.items())


def test_a_project_may_be_a_path(tmp_path: Path) -> None:
    project = countenance.new(tmp_path / "film")
    assert project.config.title == "film"
    for given in (project, project.root, str(project.root)):
        with pytest.raises(ProjectError, match="vera"):
            countenance.faces(given, "vera")


def test_errors_are_the_library_s_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        countenance.new(tmp_path / "film", purpose="prank")
    with pytest.raises(ProjectError):
        countenance.train(tmp_path, "vera", "ivan")
    with pytest.raises(MediaError):
        countenance.verify(tmp_path / "gone.mp4")


@pytest.mark.timeout(900)  # 3 minutes with all cores taken
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.perception.weights import fetch, weights_dir

    fetch()
    home, work = tmp_path / "home", tmp_path / "work"
    (home / "cache").mkdir(parents=True)
    work.mkdir()
    (home / "cache" / "weights").symlink_to(weights_dir().resolve(), target_is_directory=True)
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))
    monkeypatch.chdir(work)
    for name, source, frames in (("vera", "train_B", 60), ("ivan", "train_A", 60), ("scene", "test_A", 6)):
        clip = PERFORMERS / f"{source}.mp4"
        with VideoWriter(work / f"{name}.mp4", probe(clip), crf=8, preset="veryfast") as writer:
            for frame in islice(read_frames(clip), frames):
                writer.write(frame)
    names: dict[str, object] = {"__name__": "__docs__"}
    text = PAGE.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2))
        source = match.group(2).replace("minutes=8", "iterations=1")  # the page's budget is for people
        exec(compile("\n" * line + source, str(PAGE), "exec"), names)
    assert (work / "scene-swapped.mp4").exists()
    assert not (work / "another.mp4").exists()
