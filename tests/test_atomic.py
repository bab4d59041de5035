from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from countenance.atomic import kept_folder, output_error, replacing, sync_folder, write_bytes
from countenance.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "clip one.mp4"
    with replacing(target) as temporary:
        assert temporary.parent == tmp_path  # a rename across file systems is no rename
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["clip one.mp4"]


def test_an_earlier_file_stays_until_then(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("earlier", [None, b"old"])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, error: BaseException, earlier: bytes | None) -> None:
    target = tmp_path / "a.bin"
    if earlier is not None:
        target.write_bytes(earlier)
    with pytest.raises(type(error)), replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert names(tmp_path) == ([] if earlier is None else ["a.bin"])
    assert earlier is None or target.read_bytes() == earlier


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    with replacing(target) as one, replacing(target) as two:
        assert one != two
        one.write_bytes(b"1")
        two.write_bytes(b"2")
    assert target.read_bytes() == b"1"  # the outer block ends last
    assert names(tmp_path) == ["a.bin"]


def test_a_block_that_writes_nothing_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.bin"), replacing(tmp_path / "a.bin"):
        pass


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EACCES, "No permission"),
        (errno.EROFS, "No permission"),
        (errno.EIO, "Cannot write"),
    ],
)
def test_failures_of_each_step_become_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, message: str
) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OutputError, match=message) as caught:
        write_bytes(target, b"new")
    assert str(target) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_data_and_folder_are_synced_in_the_right_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle: int) -> None:
        steps.append("sync " + ("folder" if Path(f"/proc/self/fd/{handle}").resolve() == tmp_path else "data"))
        fsync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_bytes(tmp_path / "a.bin", b"x")
    assert steps == ["sync data", "rename", "sync folder"]


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path / "nowhere" / "a.bin", lambda path: path / "file" / "a.bin", lambda path: path / "folder"],
    ids=["no folder", "a file as folder", "a folder as file"],
)
def test_places_that_cannot_be_written(tmp_path: Path, spoil: Callable[[Path], Path]) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        write_bytes(spoil(tmp_path), b"new")
    assert names(tmp_path) == ["file", "folder"]


def test_long_and_foreign_names(tmp_path: Path) -> None:
    write_bytes(tmp_path / "映像 é.json", b"{}")
    assert (tmp_path / "映像 é.json").read_bytes() == b"{}"
    with pytest.raises(OutputError):
        write_bytes(tmp_path / ("x" * 300), b"new")
    assert names(tmp_path) == ["映像 é.json"]


def test_sync_folder_is_silent_where_it_cannot_work(tmp_path: Path) -> None:
    sync_folder(tmp_path / "missing")
    sync_folder(tmp_path)


def test_an_error_without_words_still_makes_a_sentence() -> None:
    assert str(output_error(Path("a"), OSError("odd"))).startswith("Cannot write a (odd).")


def test_a_folder_that_somebody_else_put_there_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / ".w-a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".w-b").write_text("a file")
    for name in ("a", "b"):
        with pytest.raises(OutputError, match=r"not a private folder|Cannot write"), kept_folder(tmp_path, ".w-", name):
            pass
    (tmp_path / ".w-c").mkdir()
    (tmp_path / ".w-c").chmod(0o755)
    with kept_folder(tmp_path, ".w-", "c") as kept:
        assert kept.path.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / ".w-c").exists()
    with pytest.raises(OutputError, match=r"(?i)folder"), kept_folder(tmp_path / "not there", ".w-", "a"):
        pass


def test_a_kept_folder_is_for_one_run_and_outlives_it_when_asked(tmp_path: Path) -> None:
    with kept_folder(tmp_path, ".w-", "a") as kept:
        (kept.path / "done").write_text("1")
        with pytest.raises(OutputError, match="Another run is working"), kept_folder(tmp_path, ".w-", "a"):
            pass
        assert (kept.path / "done").exists()
        kept.keep = True
    with kept_folder(tmp_path, ".w-", "a") as kept:
        assert (kept.path / "done").read_text() == "1"
    assert list(tmp_path.iterdir()) == []


def test_kept_folders_that_nobody_works_in_go_after_a_week(tmp_path: Path) -> None:
    import time

    old = time.time() - 8 * 24 * 3600
    with kept_folder(tmp_path, ".w-", "busy"):
        for name in ("busy", "idle"):
            (tmp_path / f".w-{name}").mkdir(exist_ok=True)
            os.utime(tmp_path / f".w-{name}", (old, old))
        (tmp_path / ".w-young").mkdir()
        (tmp_path / ".w-other.gone").mkdir()  # killed while it was removed
        with kept_folder(tmp_path, ".w-", "new"):
            assert names(tmp_path) == [".w-busy", ".w-new", ".w-young"]
