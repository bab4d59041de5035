"""Files that lie, break off or fill the disk: one sentence, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from itertools import islice
from pathlib import Path

import av
import pytest

from countenance.errors import CountenanceError, MediaError, OutputError
from countenance.media.completeness import breaks_off
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter

CLIPS = Path(__file__).resolve().parents[2] / "resources"
PERFORMER = Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))


def refuses(path: Path, message: str) -> None:
    for use in (lambda: probe(path), lambda: next(read_frames(path))):
        with pytest.raises(MediaError, match=message) as caught:
            use()
        sentence = str(caught.value)
        assert sentence.count(". ") >= 1, "says what to do"
        assert sentence.endswith(".")
        assert "Errno" not in sentence


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"This is a letter, not a film.\n" * 40, "not a readable video"),
        (os.urandom(4000), "not a readable video|No frame|no picture"),
        (b"\x00\x00\x00\x20ftypisom" + b"\x00" * 500, "not a readable video"),
        (b"\x1a\x45\xdf\xa3" + b"\xff" * 100, "not a readable video"),
        (b"RIFF\x00\x00\x00\x00AVI ", "not a readable video"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    refuses(path, message)


def test_missing_folder_pipe_and_nul(tmp_path: Path) -> None:
    refuses(tmp_path / "missing.mp4", "There is no file")
    (tmp_path / "folder.mp4").mkdir()
    refuses(tmp_path / "folder.mp4", "is a folder")
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for a writer for ever
    refuses(tmp_path / "pipe.mp4", "not a regular file")
    refuses(tmp_path / "a\0b.mp4", "Cannot read")


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{name}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>',
    ],
    ids=["hls", "concat", "sdp", "dash"],
)
def test_playlists_do_not_make_us_open_other_files(tmp_path: Path, content: str) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(PERFORMER.read_bytes())
    path = tmp_path / "clip.mp4"
    path.write_text(content.format(target=secret, name=secret.name))
    refuses(path, "not a readable video")


def test_a_name_is_not_taken_for_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.mp4").write_bytes(b"x")
    Path("concat:other.mp4").write_bytes(PERFORMER.read_bytes())
    assert probe(Path("concat:other.mp4")).frame_count == 500
    with VideoWriter(Path("file:out.mp4"), probe(PERFORMER), preset="ultrafast") as writer:
        writer.write(next(read_frames(PERFORMER)))
    assert files_in(tmp_path) == ["concat:other.mp4", "file:out.mp4", "other.mp4"]


def test_spaces_and_other_scripts_in_paths(tmp_path: Path) -> None:
    folder = tmp_path / "Jürgen's 映像 – Teil 2"
    folder.mkdir()
    source, target = folder / "лицо %03d ;&$(x).mp4", folder / "результат '1\".mp4"
    source.write_bytes((CLIPS / "two_sounds.mp4").read_bytes())
    with VideoWriter(target, probe(source), tracks_from=source, preset="ultrafast") as writer:
        for frame in read_frames(source):
            writer.write(frame)
    assert probe(target).frame_count == 24
    assert len(probe(target).audio) == 2


@pytest.fixture(scope="module")
def long_mkv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames of 320×320, so that breaking off leaves many good ones."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    with VideoWriter(path, probe(PERFORMER), preset="ultrafast") as writer:
        for frame in islice(read_frames(PERFORMER), 60):
            writer.write(frame)
    return path


@pytest.mark.parametrize("name", ["performer", "mkv", "fragmented.mp4", "camera.avi", "odd_size.webm", "ntsc_2997.mkv"])
@pytest.mark.parametrize("share", [0.4, 0.7, 0.9, 0.99])
def test_a_file_that_breaks_off_gives_its_good_frames_and_says_where(
    tmp_path: Path, long_mkv: Path, name: str, share: float
) -> None:
    source = {"performer": PERFORMER, "mkv": long_mkv}.get(name, CLIPS / name)
    data = source.read_bytes()
    path = tmp_path / f"cut{source.suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    assert breaks_off(path)
    assert not breaks_off(source)
    good = []
    with pytest.raises(MediaError, match="truncated or damaged") as caught:
        for frame in read_frames(path):
            good.append(frame.index)
    total = 500 if source == PERFORMER else sum(1 for _ in read_frames(source))
    assert good == list(range(len(good)))
    assert len(good) <= total
    where = f"after frame {len(good) - 1}," if good else "before its first frame"
    assert where in str(caught.value)
    if name in ("performer", "mkv"):
        assert len(good) > total * (share - 0.3)


def test_a_file_whose_index_is_missing_is_no_video(tmp_path: Path) -> None:
    data = (CLIPS / "ntsc_2997.mp4").read_bytes()  # its index lies at the end
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) // 2])
    refuses(path, "not a readable video")


def test_damage_in_the_middle_is_found(tmp_path: Path) -> None:
    data = bytearray(PERFORMER.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(byte ^ 0x5A for byte in data[middle : middle + 300])
    path = tmp_path / "hit.mp4"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"after frame \d+, its last good one"):
        for _ in read_frames(path):
            pass


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_leaks_a_foreign_error(tmp_path: Path, seed: int) -> None:
    import random

    rng = random.Random(seed)
    name = ["ntsc_2997.mp4", "fragmented.mp4", "ntsc_2997.mkv", "camera.avi", "transport.ts", "odd_size.webm"][seed % 6]
    data = bytearray((CLIPS / name).read_bytes())
    for _ in range(rng.choice([1, 5, 40])):
        data[rng.randrange(len(data) if seed % 2 else 800)] = rng.randrange(256)
    path = tmp_path / name
    path.write_bytes(data)
    with contextlib.suppress(CountenanceError):
        info = probe(path)
        with VideoWriter(tmp_path / "out.mp4", info, tracks_from=path, preset="ultrafast") as writer:
            for frame in read_frames(path):
                writer.write(frame)
    assert files_in(tmp_path) in ([name], sorted([name, "out.mp4"]))


def test_completeness_of_odd_beginnings(tmp_path: Path) -> None:
    path = tmp_path / "x"
    cases = {
        b"": False,
        b"short": False,
        b"\x1a\x45\xdf\xa3": False,
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff": False,  # a live recording: length unknown
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x85": True,
        b"\x00\x00\x00\x08ftyp\x00\x00\x00\x00mdat": False,  # to the end of the file
        b"\x00\x00\x00\x08ftyp\x00\x00\x00\x01mdat\x00\x00\x00\x00\xff\x00\x00\x00": True,
        b"\x00\x00\x00\x08ftyp\x7f\x7f\x7f\x7fjunk": False,
        b"RIFF\xff\xff\xff\x7fAVI ": True,
        b"RIFF\xff\xff\xff\x7fWAVE": False,
    }
    for content, expected in cases.items():
        path.write_bytes(content)
        assert breaks_off(path) is expected, content


def test_a_picture_larger_than_allowed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countenance.media.opening.MAX_PIXELS", 320 * 320 - 1)
    refuses(PERFORMER, "No frame of|truncated or damaged before its first frame")


def test_a_picture_that_changes_its_size(tmp_path: Path) -> None:
    path = tmp_path / "two.ts"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, width=160, height=160)
        other = av.CodecContext.create("libx264", "w")
        other.width = other.height = 96
        other.pix_fmt, other.time_base, other.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
        for first, encoder, side in ((0, stream, 160), (10, other, 96)):
            frames = [av.VideoFrame(side, side, "yuv420p") for _ in range(10)]
            for pts, frame in enumerate(frames, start=first):
                frame.pts, frame.time_base = pts, Fraction(1, 25)
            for frame in [*frames, None]:
                for packet in encoder.encode(frame):
                    packet.stream = stream
                    output.mux(packet)
    with pytest.raises(MediaError, match="changes from 160×160 to 96×96 at frame 10"):
        list(read_frames(path))


# Writing -----------------------------------------------------------------------------------------------------------


def write_some(target: Path, count: int = 40, **settings: object) -> None:
    with VideoWriter(target, probe(PERFORMER), **{"preset": "ultrafast", "crf": 1} | settings) as writer:  # type: ignore[arg-type]
        for frame in islice(read_frames(PERFORMER), count):
            writer.write(frame)


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may grow past ``size``: the system says EFBIG where a full disk says ENOSPC."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, previous)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("size", [0, 1000, 300_000])
@pytest.mark.parametrize("earlier", [None, b"the render of yesterday"])
def test_no_room_leaves_what_was_there(tmp_path: Path, suffix: str, size: int, earlier: bytes | None) -> None:
    target = tmp_path / f"out{suffix}"
    if earlier is not None:
        target.write_bytes(earlier)
    with file_size_limit(size), pytest.raises(OutputError, match="Cannot write"):
        write_some(target)
    assert files_in(tmp_path) == ([] if earlier is None else [target.name])
    if earlier is not None:
        assert target.read_bytes() == earlier


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk: Linux and root only")
def test_a_full_disk_is_called_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount")
    try:
        with pytest.raises(OutputError, match="disk is full"):
            write_some(disk / "out.mp4")
        assert files_in(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_space_at_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_some(tmp_path / "out.mp4", 3)
    assert files_in(tmp_path) == []


def test_missing_and_forbidden_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        write_some(tmp_path / "nowhere" / "out.mp4", 1)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OutputError, match="Cannot write"):
        write_some(tmp_path / "file" / "out.mp4", 1)
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        write_some(tmp_path / "taken.mp4", 1)
    assert files_in(tmp_path) == ["file", "taken.mp4"]

    def forbid(*_: object, **__: object) -> None:  # chmod does not stop root, and tests may run as root
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", forbid)
    with pytest.raises(OutputError, match="No permission"):
        write_some(tmp_path / "out.mp4", 1)


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), OSError(errno.ENOENT, "something else")])
@pytest.mark.parametrize("after", [0, 30])
def test_an_error_in_the_block_passes_through_and_leaves_nothing(
    tmp_path: Path, error: BaseException, after: int
) -> None:
    with pytest.raises(type(error)) as caught, VideoWriter(tmp_path / "out.mp4", probe(PERFORMER)) as writer:
        for frame in islice(read_frames(PERFORMER), after):
            writer.write(frame)
        raise error
    assert caught.value is error
    assert files_in(tmp_path) == []


def test_no_frame_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No frame was written"), VideoWriter(tmp_path / "a.mp4", probe(PERFORMER)):
        pass
    assert files_in(tmp_path) == []


def test_damaged_sound_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    data = (CLIPS / "fragmented.mp4").read_bytes()
    sound = tmp_path / "cut.mp4"
    sound.write_bytes(data[: int(len(data) * 0.75)])
    with pytest.raises(MediaError, match=r"sound of .*cut.mp4 is truncated or damaged"):
        write_some(tmp_path / "out.mp4", tracks_from=sound)
    assert files_in(tmp_path) == ["cut.mp4"]
    with pytest.raises(MediaError, match="There is no file"):
        write_some(tmp_path / "out.mp4", tracks_from=tmp_path / "missing.mp4")
    assert files_in(tmp_path) == ["cut.mp4"]


def test_being_killed_leaves_the_earlier_file(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"the render of yesterday")
    script = f"""
import os, signal
from pathlib import Path
from itertools import islice
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
source = Path({str(PERFORMER)!r})
with VideoWriter(Path({str(target)!r}), probe(source), preset="ultrafast") as writer:
    for frame in islice(read_frames(source), 60):
        writer.write(frame)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert target.read_bytes() == b"the render of yesterday"
    assert all(name == "out.mp4" or name.startswith(".out.") for name in files_in(tmp_path))


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_some(tmp_path / "out.mp4", 5)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(PERFORMER.read_bytes()[:50_000])
    with pytest.raises(MediaError):
        list(read_frames(bad))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
