"""The project's key: made once, found again, locked, moved; and small files encrypted under it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from countenance import vault
from countenance.errors import InputError, IntegrityError, OutputError, ProjectError
from countenance.project import PROJECT_PASSPHRASE, Project
from countenance.vault import KEY_NAME, ProjectKey

SECRET = "correct horse battery"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def project(tmp_path: Path, keys: Path) -> Project:
    return Project.create(tmp_path / "film")


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase at a thousandth of its cost."""
    monkeypatch.setitem(vault.SCRYPT, "n", 2**7)
    monkeypatch.setitem(vault._KDF, "n", 2**7)


def anew(project: Project, passphrase: str | None = None) -> ProjectKey:
    """The key as the next command finds it."""
    return Project.open(project.root, passphrase=lambda: passphrase or "not that one").key()


def test_the_key_is_made_when_it_is_needed_and_found_again(project: Project, keys: Path) -> None:
    assert not (project.root / KEY_NAME).exists()
    key = project.key()
    assert anew(project) == key
    assert key.secret.hex() not in (project.root / KEY_NAME).read_text() + repr(key) + repr(project)
    (file,) = keys.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    facts = vault.key_facts(project.root, keys)
    assert facts == vault.KeyFacts(key.id, "key file", file, found=True)


def test_two_that_make_it_at_once_end_with_one(project: Project, keys: Path) -> None:
    first = vault.make_key(project.root, keys)
    assert vault.make_key(project.root, keys) == first
    assert len(list(keys.iterdir())) == 1
    assert sorted(path.name for path in project.root.glob("*key*")) == [KEY_NAME]


def test_a_passphrase_locks_it_and_changes_without_another_key(project: Project, keys: Path, cheap: None) -> None:
    key = project.key()
    vault.use_passphrase(project.root, keys, key, SECRET)
    assert list(keys.iterdir()) == []
    assert anew(project, SECRET) == key
    vault.use_passphrase(project.root, keys, key, "another one ü")
    assert anew(project, "another one ü") == key
    with pytest.raises(ProjectError, match="not the passphrase"):
        anew(project, SECRET)
    assert vault.use_key_file(project.root, keys, key).parent == keys
    assert anew(project) == key


def test_the_passphrase_comes_from_the_environment(
    project: Project, keys: Path, cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = project.key()
    vault.use_passphrase(project.root, keys, key, SECRET)
    with pytest.raises(ProjectError, match=f"Put it into {PROJECT_PASSPHRASE}"):
        Project.open(project.root).key()
    monkeypatch.setenv(PROJECT_PASSPHRASE, SECRET)
    assert Project.open(project.root).key() == key


def test_a_copy_opens_the_project_elsewhere(project: Project, keys: Path, tmp_path: Path) -> None:
    key, copy = project.key(), tmp_path / "stick.key"
    vault.export_key(copy, key)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="overwrites nothing"):
        vault.export_key(copy, key)
    for file in keys.iterdir():
        file.unlink()
    with pytest.raises(ProjectError, match=r"not on this computer.*countenance key import"):
        anew(project)
    copy.chmod(0o644)  # a stick knows no owners
    vault.import_key(project.root, keys, copy)
    assert anew(project) == key


def test_a_forgotten_passphrase_is_got_over_with_a_copy(
    project: Project, keys: Path, tmp_path: Path, cheap: None
) -> None:
    key = project.key()
    vault.export_key(tmp_path / "safe.key", key)
    vault.use_passphrase(project.root, keys, key, SECRET)
    vault.import_key(project.root, keys, tmp_path / "safe.key")
    assert anew(project) == key


def test_a_passphrase_that_is_too_short_changes_nothing(project: Project, keys: Path) -> None:
    key = project.key()
    with pytest.raises(InputError, match="at least 8"):
        vault.use_passphrase(project.root, keys, key, "short")
    assert anew(project) == key


def test_a_folder_that_cannot_be_written_leaves_no_half_key(project: Project, keys: Path) -> None:
    keys.write_text("a file where a folder should be")
    with pytest.raises(OutputError):
        project.key()
    assert not (project.root / KEY_NAME).exists()


def test_what_is_sealed_opens_with_this_key_and_as_this_kind_only() -> None:
    key = ProjectKey.new()
    sealed = key.seal(b"a face", "face template")
    assert b"a face" not in sealed
    assert key.seal(b"a face", "face template") != sealed
    assert key.unseal(sealed, "face template") == b"a face"
    assert ProjectKey.new().secret != key.secret
    for opens, what in ((ProjectKey.new(), "face template"), (key, "unfinished render")):
        with pytest.raises(IntegrityError, match="another project"):
            opens.unseal(sealed, what)
    with pytest.raises(ValueError, match="32 bytes"):
        ProjectKey("0", b"short")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "changed"),
        ({"extra": 1}, "changed"),
        ({"salt": "00" * 16}, "changed"),
        ({"nonce": "zz"}, "changed"),
        ({"nonce": ["00"]}, "changed"),
        ({"sealed": "AAAA"}, "changed"),
        ({"sealed": "ä"}, "changed"),
        ({"format": "countenance-face-template"}, "not encrypted"),
    ],
)
def test_a_sealed_file_that_was_edited(change: dict[str, object], told: str) -> None:
    key = ProjectKey.new()
    table = json.loads(key.seal(b"a face", "face template"))
    with pytest.raises(IntegrityError, match=told):
        key.unseal(json.dumps({**table, **change}).encode(), "face template")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"\xff\xfe", b"{" * 100_000, b'{"embedding": "in the clear"}'])
def test_what_was_never_sealed(raw: bytes) -> None:
    with pytest.raises(IntegrityError, match="not encrypted"):
        ProjectKey.new().unseal(raw, "face template")
