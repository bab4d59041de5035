from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fake_world import PERFORMER, RATE, Face, World, picture, swap_black, swap_identity

from countenance.conversion.pipeline import convert
from countenance.conversion.report import Spans, timecode
from countenance.conversion.settings import ConvertSettings
from countenance.errors import (
    CountenanceError,
    MarkError,
    MediaError,
    MinorError,
    NoFaceError,
    OutputError,
    SexualContentError,
)
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.types import Frame

SETTINGS = ConvertSettings(performer_cosine=0.65, preset="ultrafast", crf=4, color_strength=0.0)
COUNT = 30


def _write_clip(path: Path, count: int, height: int = 180, width: int = 320) -> Path:
    like = VideoInfo(
        path, width, height, 0, Fraction(RATE), Fraction(1, 12800), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=2, preset="ultrafast") as writer:
        for index in range(count):
            writer.write(Frame(picture(index, height, width), index, index * 512, Fraction(1, 12800)))
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_clip(tmp_path_factory.mktemp("clips") / "scène one.mp4", COUNT)


@pytest.fixture
def world() -> World:
    return World({index: [Face(160, 90)] for index in range(COUNT)})


def _same(rgb: np.ndarray) -> np.ndarray:
    return rgb


def _convert(clip: Path, out: Path, world: World, **changes):
    options = {
        "swapper": swap_identity, "performer_template": PERFORMER, "label": _same, "watermark": _same,
        "perception": world, "settings": SETTINGS,
    }  # fmt: skip
    return convert(clip, out, **{**options, **changes})


def _nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("convert-")] == []


def test_every_frame_comes_out_once_with_its_time(clip: Path, world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    seen: list[tuple[float, float | None]] = []
    report = _convert(clip, out, world, progress=lambda done, total, note="": seen.append((done, total)))
    footage, render = list(read_frames(clip)), list(read_frames(out))
    assert [frame.pts_seconds for frame in render] == [frame.pts_seconds for frame in footage]
    for before, after in zip(footage, render, strict=True):
        assert np.abs(before.rgb.astype(int) - after.rgb).mean() < 1.5
    assert (report.frames, report.replaced, report.veiled, report.passed) == (COUNT, COUNT, 0, 0)
    assert report.veiled_spans == ()
    assert seen[-1] == (COUNT, probe(clip).frame_count)
    assert set(report.stage_milliseconds) == {"decode", "perceive", "paint", "encode"}
    assert report.median_age == 40.0
    assert report.to_json()["frames"] == COUNT


def test_both_marks_are_on_every_frame_and_in_order(clip: Path, world: World, tmp_path: Path) -> None:
    world.script = {index: world.script[index] if index % 3 else [] for index in range(COUNT)}
    calls: list[str] = []

    def label(rgb: np.ndarray) -> np.ndarray:
        calls.append("label")
        marked = rgb.copy()
        marked[-16:, -16:] = 255
        return marked

    def watermark(rgb: np.ndarray) -> np.ndarray:
        assert rgb[-1, -1].tolist() == [255, 255, 255]
        calls.append("watermark")
        return rgb

    _convert(clip, tmp_path / "out.mp4", world, label=label, watermark=watermark)
    assert calls == ["label", "watermark"] * COUNT
    assert all(frame.rgb[-10:, -10:].min() > 240 for frame in read_frames(tmp_path / "out.mp4"))


def test_the_face_is_painted_and_the_rest_is_not(clip: Path, world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    _convert(clip, out, world, swapper=swap_black)
    for before, after in zip(read_frames(clip), read_frames(out), strict=True):
        assert after.rgb[90, 160].max() < 30
        assert np.abs(before.rgb[:, :90].astype(int) - after.rgb[:, :90]).mean() < 1.5


def test_veiled_frames_are_listed_with_timecode_and_reason(clip: Path, world: World, tmp_path: Path) -> None:
    for index in (26, 27):
        world.script[index][0].presence = 0.0
    report = _convert(clip, tmp_path / "out.mp4", world)
    (span,) = report.veiled_spans
    assert (span.first_frame, span.last_frame, span.reason) == (21, 29, "landmarks lost")  # with the fades
    assert (span.first_timecode, span.last_timecode) == ("00:00:00:21", "00:00:01:04")
    assert (report.veiled, report.replaced) == (9, COUNT - 9)


def test_a_face_of_which_nothing_would_be_painted_is_veiled(clip: Path, world: World, tmp_path: Path) -> None:
    def swapper(faces):
        return [replace(face, mask=replace(face.mask, values=face.mask.values * 0)) for face in swap_identity(faces)]

    with pytest.raises(NoFaceError):
        _convert(clip, tmp_path / "out.mp4", world, swapper=swapper)
    _nothing_left(tmp_path)


def test_faces_of_several_frames_are_swapped_together(clip: Path, world: World, tmp_path: Path) -> None:
    sizes: list[int] = []

    def swapper(faces):
        sizes.append(len(faces))
        return swap_identity(faces)

    _convert(clip, tmp_path / "out.mp4", world, swapper=swapper, settings=replace(SETTINGS, batch_frames=8))
    assert sum(sizes) == COUNT
    assert max(sizes) == 8


@pytest.mark.parametrize("part", ["detector", "mesh", "embedder", "screen", "age"])
def test_a_failing_network_stops_all_and_says_where(part: str, clip: Path, world: World, tmp_path: Path) -> None:
    at = {"detector": 17, "mesh": 17, "embedder": 2, "screen": 13, "age": 12}[part]
    world.fail_at[part] = at
    began = time.monotonic()
    with pytest.raises(CountenanceError, match=rf"stage perceive at frame \d+ \(00:00:0\d:\d\d\).*{part} broke"):
        _convert(clip, tmp_path / "out.mp4", world)
    assert time.monotonic() - began < 5
    _nothing_left(tmp_path)


def test_a_failing_swapper_mark_or_progress_says_where(clip: Path, world: World, tmp_path: Path) -> None:
    def broken(*_, **__):
        raise RuntimeError("no power")

    for changes, stage in (
        ({"swapper": broken}, "paint"),
        ({"swapper": lambda faces: []}, "paint"),
        ({"label": broken}, "marks"),
        ({"watermark": broken}, "marks"),
        ({"progress": broken}, "encode"),
    ):
        with pytest.raises(CountenanceError, match=f"stage {stage} at frame 0|stage {stage} at frame 3"):
            _convert(clip, tmp_path / "out.mp4", world, **changes)
        _nothing_left(tmp_path)


@pytest.mark.parametrize("wrong", [lambda rgb: rgb[:-2], lambda rgb: rgb / 255.0, lambda rgb: None])
def test_a_mark_must_return_the_frame(wrong, clip: Path, world: World, tmp_path: Path) -> None:
    with pytest.raises(MarkError, match=r"frame 0 \(00:00:00:00\)"):
        _convert(clip, tmp_path / "out.mp4", world, watermark=wrong)
    _nothing_left(tmp_path)


def test_footage_that_breaks_off_says_where(clip: Path, world: World, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole[: int(len(whole) * 0.7)])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(MediaError):
        _convert(broken, out / "out.mp4", world)
    _nothing_left(out)


@pytest.mark.parametrize("content", [b"", b"just words, no video\n" * 100])
def test_what_is_no_video_is_refused(content: bytes, world: World, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError):
        _convert(path, tmp_path / "out.mp4", world)
    assert [item.name for item in tmp_path.iterdir()] == ["film.mp4"]


def test_a_render_cannot_replace_its_footage(clip: Path, world: World) -> None:
    with pytest.raises(OutputError, match="footage itself"):
        _convert(clip, clip, world)


def test_a_missing_folder_is_an_output_error(clip: Path, world: World, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        _convert(clip, tmp_path / "not there" / "out.mp4", world)
    _nothing_left(tmp_path)


def test_without_the_performer_there_is_no_render(clip: Path, tmp_path: Path) -> None:
    for script in ({}, {index: [Face(160, 90, cosine=0.1)] for index in range(COUNT)}):
        with pytest.raises(NoFaceError, match="scène one"):
            _convert(clip, tmp_path / "out.mp4", World(script))
        _nothing_left(tmp_path)


def test_the_screens_refuse(clip: Path, world: World, tmp_path: Path) -> None:
    world.sexual[13] = 0.95  # a frame every half second is looked at: 0, 13, 26
    with pytest.raises(SexualContentError, match=r"at frame 13 \(00:00:00:13\)"):
        _convert(clip, tmp_path / "out.mp4", world)
    _nothing_left(tmp_path)
    assert world.calls["screen"] <= 3  # of the footage 0 and 13, of the render at most 0
    young = World({index: [Face(160, 90, age=12)] for index in range(COUNT)})
    with pytest.raises(MinorError):
        _convert(clip, tmp_path / "out.mp4", young)
    _nothing_left(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="signals to oneself are POSIX")
def test_ctrl_c_ends_within_seconds_and_leaves_nothing(clip: Path, world: World, tmp_path: Path) -> None:
    def swapper(faces):
        time.sleep(0.3)
        return swap_identity(faces)

    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            _convert(clip, tmp_path / "out.mp4", world, swapper=swapper, settings=replace(SETTINGS, batch_frames=1))
    finally:
        timer.cancel()
    assert time.monotonic() - began < 4
    _nothing_left(tmp_path)


def test_the_number_of_frames_in_memory_does_not_grow(world: World, tmp_path: Path, monkeypatch) -> None:
    """A slow encoder holds everything back: frames are decoded only as far ahead as the queues allow."""
    import countenance.conversion.pipeline as pipeline

    decoded: list[int] = []
    marked: list[int] = []
    lead: list[int] = []

    def reading(path: Path, *, start_index: int = 0):
        for frame in read_frames(path, start_index=start_index):
            decoded.append(frame.index)
            yield frame

    def slow(rgb: np.ndarray) -> np.ndarray:
        time.sleep(0.02)
        marked.append(1)
        lead.append(len(decoded) - len(marked))
        return rgb

    monkeypatch.setattr(pipeline, "read_frames", reading)
    world.script = {index % 32: [Face(160, 90)] for index in range(32)}
    clip = _write_clip(tmp_path / "long.mp4", 31)
    settings = replace(SETTINGS, queue_frames=1, batch_frames=1, lookahead_frames=3)
    _convert(clip, tmp_path / "out.mp4", world, label=slow, settings=settings)
    assert max(lead) <= 3 + 3 + 5  # lookahead, queues, and one in each hand


@pytest.mark.parametrize(
    "template", [np.zeros(128, np.float32), np.ones(64, np.float32), np.eye(128, dtype=np.float64)[0]]
)
def test_the_template_is_checked(template: np.ndarray, clip: Path, world: World, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="performer_template"):
        _convert(clip, tmp_path / "out.mp4", world, performer_template=template)


def test_timecodes_count_frames_of_the_rate() -> None:
    assert timecode(Fraction(0), Fraction(25)) == "00:00:00:00"
    assert timecode(Fraction(3661) + Fraction(24, 25), Fraction(25)) == "01:01:01:24"
    assert timecode(Fraction(1001, 30000) * 29, Fraction(30000, 1001)) == "00:00:00:29"
    assert timecode(Fraction(-1), Fraction(25)) == "00:00:00:00"


def test_spans_join_consecutive_frames_of_one_track_and_reason() -> None:
    spans = Spans(Fraction(25), Fraction(0))
    for index in range(6):
        veiled = [(1, "lost")] if index in (0, 1, 4) else []
        spans.add(index, Fraction(index, 25), veiled + ([(2, "small")] if index >= 4 else []))
    assert [(span.first_frame, span.last_frame, span.track) for span in spans.all()] == [
        (0, 1, 1),
        (4, 4, 1),
        (4, 5, 2),
    ]
