"""Rows in memory and on the disk: the same values, a bound, a sentence when the disk is full, and nothing left."""

import errno
import gc
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from countenance.errors import OutputError
from countenance.memory import DiskRows, Held, Scratch, peak_rss_bytes

SHAPE = (9, 4, 5)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[np.ndarray, DiskRows]:
    """The same rows as an array and on the disk."""
    array = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    rows = Scratch(tmp_path, 0).rows("some", SHAPE, np.float32)
    assert isinstance(rows, DiskRows)
    for number, row in enumerate(array):
        rows[number] = row
    return array, rows


@pytest.mark.parametrize(
    "which", [0, -1, np.int64(3), slice(2, 5), slice(None), slice(4, None, 2), np.array([7, 1, 7]), np.array([], int)]
)
def test_rows_on_the_disk_read_like_an_array(pair, which) -> None:
    array, rows = pair
    assert np.array_equal(rows[which], array[which])
    assert rows[which].dtype == array.dtype
    assert rows[which].flags.writeable


def test_rows_on_the_disk_are_counted_and_walked_like_an_array(pair) -> None:
    array, rows = pair
    assert (rows.shape, len(rows)) == (array.shape, len(array))
    assert np.array_equal(np.stack(list(rows)), array)
    with pytest.raises(IndexError):
        rows[9]
    some = rows.take(np.array([8, 2, 5])).take(slice(1, None))
    assert some.shape == (2, 4, 5)
    assert np.array_equal(some[:], array[[2, 5]])
    some[1] = array[0]
    assert np.array_equal(rows[5], array[0])  # the same file


def test_all_of_them_are_never_read_by_accident(pair) -> None:
    with pytest.raises(TypeError, match="take some rows"):
        np.asarray(pair[1])
    with pytest.raises(ValueError, match=r"expected a row of \(4, 5\)"):
        pair[1][0] = np.zeros((4, 1))


def test_memory_is_given_up_to_the_bound_and_again_when_it_is_free(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, 100)
    first = scratch.rows("first", (10, 8))
    assert isinstance(first, np.ndarray)
    assert isinstance(scratch.rows("second", (10, 8)), DiskRows)
    assert isinstance(scratch.rows("second", (2, 8)), np.ndarray)
    del first
    gc.collect()
    assert isinstance(scratch.rows("third", (10, 8)), np.ndarray)
    assert scratch.held() == [Held("second", 96, 80), Held("first", 80, 0), Held("third", 80, 0)]
    assert isinstance(Scratch(None, 0).rows("all", (10, 8)), np.ndarray)


def test_the_file_has_no_name_and_is_its_owners(tmp_path: Path, pair) -> None:
    assert list(tmp_path.iterdir()) == []
    handle = pair[1]._file._file.fileno()
    assert os.fstat(handle).st_mode & 0o077 == 0
    if sys.platform == "linux":
        assert os.fstat(handle).st_nlink == 0
    del pair
    gc.collect()


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "raise KeyboardInterrupt", "pass"])
def test_no_face_is_left_however_the_process_ends(tmp_path: Path, end: str) -> None:
    code = f"""
        import os, numpy as np
        from pathlib import Path
        from countenance.memory import Scratch
        rows = Scratch(Path({str(tmp_path)!r}), 0).rows("faces", (50, 1000))
        for row in range(50):
            rows[row] = np.full(1000, 7)
        print("written", flush=True)
        {end}
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.stdout == "written\n"
    assert (done.returncode == 0) == (end == "pass")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))  # the system's own refusal, like a quota's
    try:
        with pytest.raises(
            OutputError, match=r"is full: 0\.0 GB more are needed there for the faces .* Free some space"
        ):
            Scratch(tmp_path, 0).rows("faces", (1000, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_later_is_a_sentence_too(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, _offset: int) -> None: ...

        def write(self, _values: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def readinto(self, _values: object) -> int:
            return 0

    monkeypatch.setattr(pair[1]._file, "_file", Full())
    with pytest.raises(OutputError, match="Free some space"):
        pair[1][0] = np.zeros((4, 5))
    with pytest.raises(OutputError, match="the file is shorter than it was made"):
        pair[1][0]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Cannot keep faces in .*nowhere"):
        Scratch(tmp_path / "nowhere", 0).rows("faces", (1, 1))


def test_systems_that_cannot_reserve_room_write_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    rows = Scratch(tmp_path, 0).rows("faces", (2, 3))
    monkeypatch.delattr(os, "posix_fallocate")
    other = Scratch(tmp_path, 0).rows("faces", (2, 3))
    for some in (rows, other):
        some[1] = np.arange(3)
        assert some[:].tolist() == [[0, 0, 0], [0, 1, 2]]


def test_the_peak_is_of_this_process() -> None:
    code = (
        "import numpy; from countenance.memory import peak_rss_bytes as p; a = p(); numpy.ones(10**7); print(p() - a)"
    )
    large = b"x" * (3 * 10**8)  # a child must not be told of its parent's memory
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 7.5e7 < int(done.stdout) < 1.1e8
    peak = peak_rss_bytes()
    assert peak is not None
    assert peak > len(large)


def test_temporary_files_go_where_they_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **how: seen.append(how["dir"]) or real(**how))
    Scratch(tmp_path, 0).rows("faces", (2, 3))
    assert seen == [tmp_path]
