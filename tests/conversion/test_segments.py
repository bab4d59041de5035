"""Interrupted anywhere, a conversion goes on at the last finished segment, to the same frames, times and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fake_world import PERFORMER, Face, World, picture, swap_identity

from countenance.conversion import segments, state
from countenance.conversion.pipeline import convert
from countenance.conversion.resume import told
from countenance.conversion.segments import SegmentStore
from countenance.conversion.settings import ConvertSettings
from countenance.errors import OutputError
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.types import Frame, SwappedFace
from countenance.vault import ProjectKey

COUNT, KEY = 66, ProjectKey.new()
SETTINGS = ConvertSettings(performer_cosine=0.65, preset="ultrafast", crf=20, segment_seconds=0.43)  # 12 frames
TICK = Fraction(1, 30000)


def _tint(faces) -> list[SwappedFace]:
    """Another colour than the footage's, so that the colour match has something to remember."""
    return [replace(face, rgb=np.clip(face.rgb * 0.7 + 20, 0, 255).astype(np.uint8)) for face in swap_identity(faces)]


def _pts(index: int) -> int:
    return index * 1001 + (index // 5) * 333  # 29.97 with hiccups: a variable frame rate


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cut at frame 40, steps of different lengths, and two kinds of sound."""
    folder = tmp_path_factory.mktemp("clips")
    like = VideoInfo(
        folder, 192, 108, 0, Fraction(30000, 1001), TICK, 0, None, None, False, "yuv420p", 8, True,
        1, 1, 1, 1, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip
    sound = folder / "sound.mkv"
    with av.open(str(sound), "w") as container:
        for codec, rate in (("aac", 44100), ("pcm_s16le", 48000)):
            container.add_stream(codec, rate=rate, layout="mono")
        times = np.arange(2 * 48000)
        for stream in container.streams.audio:
            wave = (np.sin(times / 20) * 9000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate = stream.codec_context.sample_rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
    with VideoWriter(folder / "clip.mov", like, crf=8, preset="ultrafast", tracks_from=sound) as writer:
        for index in range(COUNT):
            rgb = picture(index % 31, 108, 192, scene=int(index >= 40))
            writer.write(Frame(rgb, index, _pts(index), TICK))
    return folder / "clip.mov"


def _world() -> World:
    """Noise, a face that moves, somebody else, lost landmarks across two segments' border, and a weak detection."""
    script = {}
    for index in range(31):
        face = Face(70 + index, 54 + index % 7, 44, presence=0.0 if index in (11, 12, 13) else 1.0)
        other = Face(160, 50, 40, cosine=0.2, score=0.5 if index % 9 == 4 else 0.95)
        script[index] = [face, other]
    return World(script, noise=0.4)


def _run(clip: Path, folder: Path, out: Path, **changes):
    def label(rgb: np.ndarray) -> np.ndarray:
        marked = rgb.copy()
        marked[-8:, -8:] = 255
        return marked

    store = SegmentStore(folder, KEY, {"footage": "a", **changes.pop("made_from", {})})
    options = {"perception": _world(), "settings": SETTINGS, "swapper": _tint, "label": label}
    return convert(
        clip, out, performer_template=PERFORMER, watermark=lambda rgb: rgb, store=store, **{**options, **changes}
    ), store


def _facts(report) -> dict[str, object]:
    timing = ("seconds", "frames_per_second", "stage_milliseconds", "step_milliseconds", "resumed_at_frame")
    return {name: value for name, value in report.to_json().items() if name not in timing}


def _same(out: Path, whole: Path) -> None:
    ours, theirs = list(read_frames(out)), list(read_frames(whole))
    assert [frame.pts for frame in ours] == [frame.pts for frame in theirs]
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(ours, theirs, strict=True))
    assert out.read_bytes() == whole.read_bytes()


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("whole")
    report, store = _run(clip, _made(folder / "work"), folder / "whole.mov")
    assert [segment.frames for segment in store.segments] == [12, 12, 12, 12, 12, 6]
    return folder / "whole.mov", report


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


def _stops_after(frames: int, error: type[BaseException] = KeyboardInterrupt) -> Callable[..., None]:
    def progress(done: float, _total: float | None, _note: str = "") -> None:
        if done == frames:
            raise error

    return progress


def test_interrupted_anywhere_it_ends_with_the_same_bits(clip: Path, whole, tmp_path: Path) -> None:
    expected, whole_report = whole
    assert {span.reason for span in whole_report.veiled_spans} >= {"landmarks lost"}
    work, out = _made(tmp_path / "work"), tmp_path / "out.mov"
    begun = []
    for stop in (5, 13, 14, 31, 49, 66):  # in the first segment, right after a border, on it, in the middle, at the end
        with pytest.raises(KeyboardInterrupt):
            _run(clip, work, out, progress=_stops_after(stop))
        begun.append(SegmentStore(work, KEY, {"footage": "a"}).next_frame)
    assert begun == [0, 12, 12, 24, 48, 60]
    assert not out.exists()
    report, _ = _run(clip, work, out)
    assert report.resumed_at_frame == 60
    assert _facts(report) == _facts(whole_report)
    _same(out, expected)


def test_one_interruption_at_each_border_ends_with_the_same_bits(clip: Path, whole, tmp_path: Path) -> None:
    for stop in (25, 49):
        work, out = _made(tmp_path / f"work{stop}"), tmp_path / f"{stop}.mov"
        with pytest.raises(KeyboardInterrupt):
            _run(clip, work, out, progress=_stops_after(stop))
        report, _ = _run(clip, work, out)
        assert report.resumed_at_frame == stop - 1
        assert _facts(report) == _facts(whole[1])
        _same(out, whole[0])


def test_that_the_shot_showed_the_performer_is_not_forgotten(clip: Path, tmp_path: Path) -> None:
    """Long after the performer left, what looks a little like a face is veiled, since this shot showed them."""

    def world() -> World:
        script = {index: [Face(70, 54, 44)] if index < 7 else [] for index in range(31)}
        script[25] = script[26] = [Face(150, 54, 44, score=0.4, cosine=0.2)]
        return World(script)

    reports = []
    for name, stop in (("whole", None), ("again", 25)):
        work = _made(tmp_path / name)
        if stop:
            with pytest.raises(KeyboardInterrupt):
                _run(clip, work, tmp_path / f"{name}.mov", perception=world(), progress=_stops_after(stop))
        reports.append(_run(clip, work, tmp_path / f"{name}.mov", perception=world())[0])
    assert any(span.first_frame == 25 for span in reports[0].veiled_spans)
    assert _facts(reports[0]) == _facts(reports[1])
    _same(tmp_path / "again.mov", tmp_path / "whole.mov")


def test_a_finished_film_is_only_joined_again(clip: Path, whole, tmp_path: Path) -> None:
    work = _made(tmp_path / "work")
    _run(clip, work, tmp_path / "one.mov")
    world = _world()
    report, _ = _run(clip, work, tmp_path / "two.mov", perception=world)
    assert world.calls == {}
    assert (report.frames, report.resumed_at_frame) == (COUNT, COUNT)
    _same(tmp_path / "two.mov", whole[0])


def test_times_and_sound_are_the_footages(clip: Path, whole) -> None:
    footage, render = list(read_frames(clip)), list(read_frames(whole[0]))
    assert [(frame.pts, frame.time_base) for frame in render] == [(frame.pts, frame.time_base) for frame in footage]
    assert [frame.pts for frame in render] == [_pts(index) for index in range(COUNT)]
    assert probe(whole[0]).variable_frame_rate

    def packets(path: Path) -> list[tuple[int, Fraction, bytes]]:
        with av.open(str(path)) as container:
            return sorted(
                (packet.stream.index, packet.pts * packet.time_base, bytes(packet))
                for packet in container.demux(audio=(0, 1))
                if packet.size
            )

    assert packets(whole[0]) == packets(clip)  # to the byte and to the sample
    assert len({index for index, _, _ in packets(clip)}) == 2


def test_segments_begin_with_a_keyframe(clip: Path, whole) -> None:
    with av.open(str(whole[0])) as container:
        keys = {packet.pts for packet in container.demux(video=0) if packet.size and packet.is_keyframe}
    assert keys >= {_pts(index) for index in (0, 12, 24, 36, 48, 60)}


def test_other_footage_or_settings_begin_anew(clip: Path, tmp_path: Path) -> None:
    work, out = _made(tmp_path / "work"), tmp_path / "out.mov"
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, out, progress=_stops_after(40), made_from={"footage": "b", "settings": "x"})
    store = SegmentStore(work, KEY, {"footage": "a", "settings": "x"})
    assert (store.differs, store.next_frame) == (("footage",), 0)
    assert list(work.iterdir()) == []


def test_what_an_earlier_program_left_begins_anew(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Development versions have one number: the schema tells them apart."""
    work, out = _made(tmp_path / "work"), tmp_path / "out.mov"
    with monkeypatch.context() as earlier, pytest.raises(KeyboardInterrupt):
        earlier.setattr(segments, "_SCHEMA", segments._SCHEMA - 1)
        _run(clip, work, out, progress=_stops_after(40))
    assert (work / "state.json").exists()
    store = SegmentStore(work, KEY, {"footage": "a"})
    assert (store.differs, store.next_frame) == (("program",), 0)
    assert told(store, out) == (
        "The unfinished render of out.mov was made by another version of the program, so it begins anew."
    )
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("how", ["edited", "other key", "cut", "no json", "segment gone"])
def test_a_state_that_was_tampered_with_is_not_believed(clip: Path, tmp_path: Path, how: str) -> None:
    work = _made(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, tmp_path / "out.mov", progress=_stops_after(40))
    path = work / "state.json"
    code, _, text = path.read_text().partition("\n")
    body = json.loads(text)
    body["complete"] = True
    path.write_text(
        {
            "edited": f"{code}\n{json.dumps(body)}",
            "other key": path.read_text(),
            "cut": path.read_text()[:-9],
            "no json": "x",
            "segment gone": path.read_text(),
        }[how]
    )
    if how == "segment gone":
        (work / "000001.nut").unlink()
    store = SegmentStore(work, ProjectKey.new() if how == "other key" else KEY, {"footage": "a"})
    assert (store.differs, store.next_frame, store.complete) == (("state",), 0, False)
    assert list(work.iterdir()) == []


def test_what_is_remembered_of_faces_is_encrypted(clip: Path, tmp_path: Path) -> None:
    work = _made(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, tmp_path / "out.mov", progress=_stops_after(40))
    remembered = SegmentStore(work, KEY, {"footage": "a"}).memory
    text = (work / "state.json").read_text()
    assert '"array"' in json.dumps(remembered)  # landmarks and identities of tracks
    assert '"array"' not in text
    assert "Track" not in text


def test_an_exchanged_segment_is_not_joined(clip: Path, tmp_path: Path) -> None:
    work = _made(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, tmp_path / "out.mov", progress=_stops_after(40))
    (work / "000000.nut").write_bytes((work / "000001.nut").read_bytes())
    with pytest.raises(OutputError, match=r"000000\.nut is not as it was written"):
        _run(clip, work, tmp_path / "out.mov")
    assert not (tmp_path / "out.mov").exists()


def test_a_half_written_segment_goes_and_files_are_private(clip: Path, whole, tmp_path: Path) -> None:
    work = _made(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, tmp_path / "out.mov", progress=_stops_after(40))
    assert sorted(path.name for path in work.iterdir()) == ["000000.nut", "000001.nut", "000002.nut", "state.json"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in work.glob("*.nut"))
    (work / ".000003.cafe.part.nut").write_bytes(b"half")
    (work / "000003.nut").write_bytes(b"finished, but the power went before it was written down")
    _run(clip, work, tmp_path / "out.mov")
    _same(tmp_path / "out.mov", whole[0])
    assert not (work / ".000003.cafe.part.nut").exists()


def test_a_full_disk_keeps_what_is_finished(clip: Path, whole, tmp_path: Path, monkeypatch) -> None:
    import errno

    real, calls = VideoWriter.write, [0]

    def full(self: VideoWriter, frame: Frame) -> None:
        calls[0] += 1
        if calls[0] == 30:
            with self._output_errors():
                raise OSError(errno.ENOSPC, "No space left on device")
        real(self, frame)

    work = _made(tmp_path / "work")
    monkeypatch.setattr(VideoWriter, "write", full)
    with pytest.raises(OutputError, match="The disk is full"):
        _run(clip, work, tmp_path / "out.mov")
    monkeypatch.undo()
    assert sorted(path.name for path in work.iterdir()) == ["000000.nut", "000001.nut", "state.json"]
    assert not (tmp_path / "out.mov").exists()
    report, _ = _run(clip, work, tmp_path / "out.mov")
    assert report.resumed_at_frame == 24
    _same(tmp_path / "out.mov", whole[0])


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mov", "prores"), (".mkv", "ffv1"), (".mp4", "h265"), (".webm", "vp9")]
)
def test_every_codec_goes_on_to_the_same_frames(clip: Path, tmp_path: Path, suffix: str, codec: str) -> None:
    settings = replace(SETTINGS, codec=codec)
    expected, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    _run(clip, _made(tmp_path / "whole"), expected, settings=settings)
    work = _made(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        _run(clip, work, out, settings=settings, progress=_stops_after(40))
    report, _ = _run(clip, work, out, settings=settings)
    assert report.resumed_at_frame == 36
    ours, theirs = list(read_frames(out)), list(read_frames(expected))
    assert [frame.pts for frame in ours] == [frame.pts for frame in theirs]
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(ours, theirs, strict=True))


def test_what_is_remembered_survives_the_file() -> None:
    points = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    value = {
        "list": [1, 2.5, float("-inf"), None, True, "x"],
        "tuple": (Fraction(1001, 30000), np.float32(0.1)),
        3: {"array": points.T, "empty": np.zeros((0, 2))},
    }
    back = state.load(json.loads(json.dumps(state.dump(value))))
    assert back["list"] == value["list"]
    assert back["tuple"] == value["tuple"]
    assert type(back["tuple"][1]) is np.float32
    assert np.array_equal(back[3]["array"], points.T)
    assert back[3]["array"].flags.f_contiguous
    assert back[3]["empty"].shape == (0, 2)
    with pytest.raises(TypeError, match=r"cannot be kept.*conversion/state"):
        state.dump({"a": Path.__new__(Path)})
    with pytest.raises(KeyError):
        state.load({"object": "Path", "holds": {}})
