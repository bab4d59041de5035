"""No camera, pipe or address goes in, and none comes out: a preview reads a video file and nothing else."""

from __future__ import annotations

import inspect
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from countenance.errors import MediaError
from countenance.playback import flow
from countenance.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Where neither the gate nor the page must be reached."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("something that is no file got past the door")

    for name in ("Job", "PreviewServer", "Player"):
        monkeypatch.setattr(flow, name, fail)
    monkeypatch.chdir(tmp_path)
    return Project.create(tmp_path / "film")


@pytest.mark.parametrize(
    "footage",
    [
        "-", "/dev/stdin", "/dev/null", "/dev/zero", "/dev/video0", "/dev/fd/0", "/proc/self/fd/0", "pipe:", "pipe:0",
        "v4l2:/dev/video0", "video4linux2:/dev/video0", "avfoundation:0", "dshow:video=Camera", "x11grab::0.0",
        "lavfi:testsrc", "http://127.0.0.1:1/a.mp4", "https://example.org/a.mp4", "rtsp://127.0.0.1/a", "rtmp://a/b",
        "udp://127.0.0.1:1", "tcp://127.0.0.1:1", "srt://127.0.0.1:1", "file:/dev/zero", "concat:a.mp4|b.mp4",
        "data:video/mp4;base64,AAAA", "subfile,,start,0,end,0,,:/dev/zero", "gone.mp4", ".", "",
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused(project: Project, footage: str) -> None:
    with pytest.raises(MediaError):
        flow.preview(project, Path(footage), lender="vera", performer="ivan")


def test_files_that_are_doors_are_refused(project: Project, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "device.mp4").symlink_to("/dev/zero")
    (tmp_path / "camera.mp4").symlink_to("/dev/video0")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile /dev/video0\n")
    (tmp_path / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:1/a.ts\n")
    (tmp_path / "session.mp4").write_text("v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n")
    for name in ("pipe", "device", "camera", "list", "playlist", "session"):
        with ThreadPoolExecutor(1) as pool, pytest.raises(MediaError):
            attempt = pool.submit(flow.preview, project, tmp_path / f"{name}.mp4", lender="vera", performer="ivan")
            attempt.result(timeout=10.0)  # a pipe would wait for ever


def test_there_is_no_place_to_send_it_to() -> None:
    """No output of any kind among the arguments, and no library for virtual cameras among the imports."""
    names = set(inspect.signature(flow.preview).parameters)
    assert names == {
        *("project", "footage", "lender", "performer", "preset", "device", "look", "loop", "settings"),
        *("perception", "identity", "load", "tell"),
    }
    for path in Path(inspect.getfile(flow)).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        for word in ("pyvirtualcam", "v4l2", "/dev/video", "videocapture", "0.0.0.0"):
            assert word not in text, (path, word)
