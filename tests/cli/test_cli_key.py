"""``countenance key``: where the key is, a passphrase in its place, and the way to another computer."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_world import PASSPHRASE, Runs

from countenance import vault
from countenance.project import PROJECT_PASSPHRASE, Project


@pytest.fixture
def root(tmp_path: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a key, whose passphrases cost a thousandth."""
    monkeypatch.setitem(vault.SCRYPT, "n", 2**7)
    monkeypatch.setitem(vault._KDF, "n", 2**7)
    monkeypatch.setenv("COUNTENANCE_KEYS", str(tmp_path / "keys"))
    countenance("new", tmp_path / "film")
    assert "no key yet" in countenance("key", "show", "--project", tmp_path / "film").out
    Project.open(tmp_path / "film").key()
    return tmp_path / "film"


def test_show_says_where_it_is_and_when_it_is_not_there(root: Path, countenance: Runs) -> None:
    told = countenance("key", "show", "--project", root, "--json").json["key"]
    assert (told["way"], told["found"]) == ("key file", True)
    assert f"The key is in {told['path']}." in countenance("key", "show", "--project", root).out
    Path(told["path"]).unlink()
    assert "is not there" in countenance("key", "show", "--project", root).out
    countenance("key", "export", root.parent / "x.key", "--project", root).fails("not on this computer")


def test_a_passphrase_and_back(root: Path, countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    second.write_text("short\n", encoding="utf-8")
    where = ("--project", root)
    countenance("key", "passphrase", "--passphrase-file", second, *where).fails("too short")
    assert countenance("key", "passphrase", "--passphrase-file", first, *where).code == 0
    assert list((tmp_path / "keys").iterdir()) == []
    assert "locked with a passphrase" in countenance("key", "show", *where).out
    countenance("key", "file", *where).fails(PROJECT_PASSPHRASE)
    monkeypatch.setenv(PROJECT_PASSPHRASE, "another one")
    countenance("key", "file", *where).fails("not the passphrase")
    monkeypatch.setenv(PROJECT_PASSPHRASE, PASSPHRASE)
    second.write_text("quite another one\n", encoding="utf-8")
    assert countenance("key", "passphrase", "--passphrase-file", second, *where).code == 0
    countenance("key", "file", *where).fails("not the passphrase")
    monkeypatch.setenv(PROJECT_PASSPHRASE, "quite another one")
    assert "keys" in countenance("key", "file", *where).out


def test_a_copy_goes_to_another_computer(root: Path, countenance: Runs, tmp_path: Path) -> None:
    copy, where = tmp_path / "stick.key", ("--project", root)
    assert "Whoever has it" in countenance("key", "export", copy, *where).out
    countenance("key", "export", copy, *where).fails("overwrites nothing")
    for file in (tmp_path / "keys").iterdir():
        file.unlink()
    countenance("key", "import", tmp_path / "none.key", *where).fails("There is no")
    countenance("key", "import", root / "countenance.toml", *where).fails("not a project's key")
    assert countenance("key", "import", copy, *where, "--json").json["key"]["way"] == "key file"
    assert Project.open(root).key() is not None
