"""countenance.toml is read strictly, and every refusal helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.config import PURPOSES, ProjectConfig, clean_line, did_you_mean, read_config, write_config
from countenance.errors import ConfigError, OutputError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "countenance.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("title", ["Film", 'A "quoted" \\ title', "Добро пожаловать в Чечню", "یک می‌خواهم", "# x = 1"])
def test_what_is_written_is_read(tmp_path: Path, title: str) -> None:
    config = ProjectConfig(title=title, purpose="double", preset="classic", device="cpu")
    write_config(tmp_path / "countenance.toml", config)
    assert read_config(tmp_path / "countenance.toml") == config


def test_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, 'title = "Film"\n'))
    assert (config.purpose, config.preset, config.device) == ("film", "swift", "auto")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('title = "F"\npurpos = "film"', "did you mean 'purpose'"),
        ('title = "F"\n[purpose]\nx = 1', "must be a text"),
        ('title = "F"\npurpose = "flim"', "did you mean 'film'"),
        ('title = "F"\npurpose = "advertising"', "double, film, dubbing, research"),
        ('title = "F"\npreset = "fast"', "swift, classic"),
        ("title = 3", "must be a text"),
        ('title = ""', "empty"),
        ('title = " F"', "spaces"),
        ('title = "a\\u202Eb"', "U+202E"),
        ('title = "a\\u0000b"', "U+0000"),
        ('purpose = "film"', "has no title"),
        ("title = ", "not valid TOML"),
        (b'title = "\xff"', "not valid TOML"),
        ('title = "' + "x" * 201 + '"', "longer than 200"),
        ("#" * 70_000, "larger than 64 KiB"),
        ('title = "F"\nx = ' + "[" * 5000, "not valid TOML"),
    ],
)
def test_wrong_settings_are_explained(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Cannot read"):
        read_config(tmp_path)


def test_writing_into_nowhere(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_config(tmp_path / "none" / "countenance.toml", ProjectConfig(title="F"))


@given(st.text(max_size=300))
def test_clean_line_is_idempotent_or_refuses(text: str) -> None:
    try:
        line = clean_line(text, "title")
    except ConfigError:
        return
    assert clean_line(line, "title") == line
    assert "\n" not in line
    assert line == line.strip()


def test_did_you_mean() -> None:
    assert did_you_mean("reserch", PURPOSES) == " (did you mean 'research'?)"
    assert did_you_mean("zzz", PURPOSES) == ""
