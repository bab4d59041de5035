"""The project folder, and names that must not lead out of it."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.config import ProjectConfig
from countenance.errors import ConfigError, OutputError, ProjectError
from countenance.project import Project, check_person_name, user_cache_dir, user_data_dir


def test_create_open_find(tmp_path: Path) -> None:
    made = Project.create(tmp_path / "mein Film ü", title="Mein Film", purpose="dubbing")
    assert made.config == ProjectConfig(title="Mein Film", purpose="dubbing")
    assert Project.open(made.root) == made
    deep = made.renders_dir / "a" / "b"
    deep.mkdir(parents=True)
    assert Project.find(deep) == made
    assert made.people() == []


def test_find_starts_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Project.create(tmp_path / "film")
    monkeypatch.chdir(made.renders_dir)
    assert Project.find() == made
    assert made.config.title == "film"


def test_layout(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "film")
    root = project.root
    assert project.faceset_path("vera") == root / "people/vera/faces.sqlite"
    assert project.consent_path("vera") == root / "people/vera/consent.json"
    assert project.template_path("vera") == root / "people/vera/template.json"
    assert project.model_dir("vera", "ivan", "swift") == root / "models/vera--ivan/swift"
    assert project.ledger_path == root / "ledger.sqlite"
    if sys.platform != "win32":
        assert project.people_dir.stat().st_mode & 0o077 == 0


def test_refusals(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "film")
    with pytest.raises(ProjectError, match="a project already"):
        Project.create(project.root)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="is a file"):
        Project.create(tmp_path / "file")
    with pytest.raises(OutputError):
        Project.create(tmp_path / "file" / "below")
    with pytest.raises(ProjectError, match="countenance new"):
        Project.open(tmp_path)
    with pytest.raises(ProjectError, match="not inside a project"):
        Project.find(tmp_path)
    with pytest.raises(ConfigError):
        Project.create(tmp_path / "other", purpose="satire")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ProjectError, match="did you mean 'swift'"):
        project.model_dir("vera", "ivan", "swif")


def test_people_are_listed_and_missed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "film")
    with pytest.raises(ProjectError, match="nobody yet"):
        project.require_person("vera")
    for name in ("vera", "Ödön", ".hidden", "no space"):
        (project.people_dir / name).mkdir()
    (project.people_dir / "file").write_text("x")
    assert project.people() == ["vera", "Ödön"]
    assert project.require_person("vera") == "vera"
    with pytest.raises(ProjectError, match="did you mean 'vera'"):
        project.require_person("verra")


@pytest.mark.parametrize("name", ["vera", "Ödön", "वेरा", "维拉", "a-b_c", "7", "x" * 64])
def test_names_that_are_fine(name: str) -> None:
    assert check_person_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    (
        "|.|..|../vera|a/b|a\\b|/etc|C:|a b|a\0b|a\nb|-a|a-|_a|a--b|a.json|nul|COM1|lpt9|\u202ea|a\u200bb|\u0301a|~"
        "|%2e%2e|*|vera\ud800|" + "x" * 65 + "|" + "维" * 60
    ).split("|"),
)
def test_names_with_tricks(tmp_path: Path, name: str) -> None:
    project = Project.create(tmp_path / "film")
    for use in (project.person_dir, project.faceset_path, project.consent_path, project.template_path):
        with pytest.raises(ProjectError):
            use(name)
    with pytest.raises(ProjectError):
        project.model_dir(name, "ivan", "swift")
    with pytest.raises(ProjectError):
        project.model_dir("vera", name, "swift")


def test_one_spelling_is_one_folder() -> None:
    assert check_person_name("O\u0308do\u0308n") == check_person_name("\u00d6d\u00f6n")


@given(st.text(max_size=80))
def test_any_name_stays_inside_or_is_refused(name: str) -> None:
    project = Project(Path("/p"), ProjectConfig(title="t"))
    try:
        folder = project.person_dir(name)
    except ProjectError:
        return
    assert folder.parent == Path("/p/people")
    assert Path("/p/people").joinpath(folder.name) == folder


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_pairs_have_folders_of_their_own(a: str, b: str, c: str, d: str) -> None:
    project = Project(Path("/p"), ProjectConfig(title="t"))
    try:
        first, second = project.model_dir(a, b, "swift"), project.model_dir(c, d, "swift")
    except ProjectError:
        return
    same = [check_person_name(n) for n in (a, b)] == [check_person_name(n) for n in (c, d)]
    assert (first == second) == same


def test_user_folders_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path))
    assert user_cache_dir() == tmp_path / "cache"
    assert user_data_dir() == tmp_path / "data"
    monkeypatch.delenv("COUNTENANCE_HOME")
    assert "countenance" in str(user_cache_dir())
    assert "countenance" in str(user_data_dir())
