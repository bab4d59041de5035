"""Attempts to render what the screens refuse. Scores come in through the session protocol; no such picture exists.

A frame's number is a grey in a strip at its lower edge, and a painted face is black: both are seen by the networks'
stand-ins in the very tensors that the real networks would get.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_world import PERFORMER, RATE, Face, World, picture, swap_black
from perception_fakes import FakeSessions
from render_case import names, rendered, renders_logged

from countenance.consent.ledger import Ledger
from countenance.conversion.decide import DecidedFace
from countenance.conversion.pipeline import convert
from countenance.conversion.report import ConvertReport
from countenance.conversion.screens import FaceAges
from countenance.conversion.segments import SegmentStore
from countenance.conversion.settings import ConvertSettings
from countenance.errors import MinorError, SexualContentError, WeightsError
from countenance.media.probe import VideoInfo
from countenance.media.write import VideoWriter
from countenance.perception.screen import ApparentAge, SexualContentScreen, require_adult
from countenance.project import Project
from countenance.types import FaceLandmarks, Frame
from countenance.vault import ProjectKey

FRAMES, CUT, LAST = 24, 7, 23
SETTINGS = ConvertSettings(performer_cosine=0.65, preset="ultrafast", color_strength=0.0, texture=False)
NAN = float("nan")

Score = Callable[[int, bool], float]
"""Of a frame's number and whether it shows a painted face."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face throughout, and a cut between two looks."""
    path = tmp_path_factory.mktemp("clips") / "scene.mp4"
    like = VideoInfo(
        path, 320, 180, 0, Fraction(RATE), Fraction(1, 12800), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=2, preset="ultrafast") as writer:
        for index in range(FRAMES):
            rgb = picture(index, scene=int(index >= CUT))
            rgb[145:180, 90:230] = 8 * index
            writer.write(Frame(rgb, index, index * 512, Fraction(1, 12800)))
    return path


class Screened:
    """A world whose screens are the real ones, with stand-ins for their networks."""

    def __init__(self, score: Score = lambda *_: 0.01, years: Score = lambda *_: 40.0, *faces: Face) -> None:
        self.looked: list[tuple[int, bool]] = []
        self.aged = 0

        def screen(inputs: Any) -> list[Any]:
            picture = inputs["input:0"][0]
            index = round((float(picture[204:218, 80:140, 0].mean()) + 104.0) / 8.0)
            painted = float(picture[100:108, 108:116, 0].mean()) + 104.0 < 40.0
            self.looked.append((index, painted))
            value = score(index, painted)
            return [np.array([[1.0 - value, value]], np.float32)]

        def age(inputs: Any) -> list[Any]:
            painted = float(inputs["images"][0, :, 28:36, 28:36].mean()) < -0.3
            odds = np.zeros((1, 81), np.float32)
            value = years(self.aged, painted)
            self.aged += 1
            low = 0 if np.isnan(value) else int(value)
            odds[0, low : low + 2] = NAN if np.isnan(value) else (1.0 - value % 1.0, value % 1.0)
            return [odds]

        sessions = FakeSessions(sexual_content=screen, apparent_age=age)
        self.world = World({index: list(faces) or [Face(160, 90)] for index in range(32)})
        self.world.screen = SexualContentScreen(sessions)  # type: ignore[method-assign, assignment]
        self.world.age = ApparentAge(sessions)  # type: ignore[method-assign, assignment]


def _convert(clip: Path, out: Path, world: World, **more: Any) -> ConvertReport:
    options: dict[str, Any] = {"settings": SETTINGS, "adult_id_checked": True, **more}
    return convert(
        clip, out, swapper=swap_black, performer_template=PERFORMER, label=lambda rgb: rgb, watermark=lambda rgb: rgb,
        perception=world, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_footage_and_render_are_looked_at_every_half_second_at_the_cut_and_at_the_end(
    clip: Path, tmp_path: Path
) -> None:
    made = Screened()
    report = _convert(clip, tmp_path / "out.mp4", made.world)
    assert sorted(made.looked) == [(index, painted) for index in (0, CUT, 20, LAST) for painted in (False, True)]
    assert (report.median_age, report.median_lender_age, report.close_calls) == (40.0, 40.0, ())


def test_what_is_left_as_it_is_is_not_looked_at_twice(clip: Path, tmp_path: Path) -> None:
    made = Screened()
    made.world.script = {index: [Face(160, 90)] if index < 5 else [] for index in range(FRAMES)}
    made.world.script[5] = made.world.script[6] = [Face(160, 90, presence=0.0)]
    _convert(clip, tmp_path / "out.mp4", made.world)
    assert sorted(made.looked) == [(0, False), (0, True), (CUT, False), (20, False), (LAST, False)]


SEXUAL: dict[str, Score] = {
    "only in the last frame": lambda index, painted: 0.9 if index == LAST else 0.0,
    "only at a cut between two looks": lambda index, painted: 0.9 if index == CUT else 0.0,
    "only in the first frame": lambda index, painted: 0.9 if index == 0 else 0.0,
    "only in the render": lambda index, painted: 0.9 if painted and index == 20 else 0.0,
    "only in the render's last frame": lambda index, painted: 0.9 if painted and index == LAST else 0.0,
    "no number": lambda index, painted: NAN if index == 20 else 0.0,
    "below nothing": lambda index, painted: -3.0,
    "above one": lambda index, painted: 7.0,
}


@pytest.mark.parametrize("where", SEXUAL)
def test_sexual_content(where: str, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SexualContentError, match=r"scene\.mp4 at frame \d+ \(00:00:00:\d\d\)"):
        _convert(clip, tmp_path / "out.mp4", Screened(SEXUAL[where]).world)
    assert list(tmp_path.iterdir()) == []


AGES: dict[str, Score] = {
    "the performer": lambda count, painted: 40.0 if painted else 15.0,
    "the render only": lambda count, painted: 15.0 if painted else 40.0,
    "flickering about the limit, more below": lambda count, painted: 40.0 if painted else (17.6, 18.9, 17.9)[count % 3],
    "no number": lambda count, painted: NAN if painted else 40.0,
}


@pytest.mark.parametrize("where", AGES)
def test_under_age(where: str, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(MinorError, match="render" if where in ("the render only", "no number") else "performer"):
        _convert(clip, tmp_path / "out.mp4", Screened(years=AGES[where]).world)
    assert list(tmp_path.iterdir()) == []


def test_a_young_looking_lender_needs_a_checked_identity_card(clip: Path, tmp_path: Path) -> None:
    def young(count: int, painted: bool) -> float:
        return 22.0 if painted else 24.5

    with pytest.raises(MinorError, match=r"younger than 25.*identity card"):
        _convert(clip, tmp_path / "out.mp4", Screened(years=young).world, adult_id_checked=False)
    assert list(tmp_path.iterdir()) == []
    report = _convert(clip, tmp_path / "out.mp4", Screened(years=young).world)
    assert [sentence.split(" is ")[1][:8] for sentence in report.close_calls] == ["24 years", "22 years"]
    # The performer is not asked for one.
    _convert(
        clip, tmp_path / "two.mp4", Screened(years=lambda _, painted: 30.0 if painted else 19.0).world,
        adult_id_checked=False,
    )  # fmt: skip


def test_a_child_whose_face_is_left_alone_is_no_reason_to_refuse(clip: Path, tmp_path: Path) -> None:
    made = Screened(years=lambda count, painted: 40.0)
    judged = made.world.age

    def age(rgb: Any, landmarks: FaceLandmarks) -> float:
        assert landmarks.points_xy[:468, 0].mean() < 200  # nobody asks for the child's
        return float(judged(rgb, landmarks))

    made.world.age = age  # type: ignore[method-assign]
    made.world.script = {index: [Face(120, 90), Face(270, 90, 60, cosine=0.1)] for index in range(FRAMES)}
    assert _convert(clip, tmp_path / "out.mp4", made.world).replaced == FRAMES


def test_one_young_track_does_not_hide_among_many_adult_estimates() -> None:
    marks = FaceLandmarks(np.zeros((478, 2), np.float32), np.zeros(478, np.float32), np.zeros(52, np.float32), 1.0)
    tiny = np.zeros((2, 2, 3), np.uint8)
    years = [40.0]
    ages = FaceAges(lambda *_: years[0], Fraction(1, 2))
    for index in range(503):  # twenty seconds, then half a second of somebody else
        years[0], track = (40.0, 1) if index < 490 else (15.0, 2)
        face = DecidedFace(track, "replace", "", np.zeros(4, np.float32), marks)
        ages(Frame(tiny, index, index, Fraction(1, RATE)), [face])
    assert ages.median == 40.0
    with pytest.raises(MinorError):
        ages.require(require_adult, "The performer")


@pytest.mark.parametrize("given", [[], [[0.1]], [[0.1, 0.1, 0.8]], [["a", "b"]]])
@pytest.mark.parametrize("network", ["sexual_content", "apparent_age"])
def test_a_network_that_answers_something_else(network: str, given: list[Any], clip: Path, tmp_path: Path) -> None:
    made = Screened()
    sessions = FakeSessions(**{network: lambda _: [np.array(given)] if given else []})
    part = SexualContentScreen if network == "sexual_content" else ApparentAge
    setattr(made.world, "screen" if network == "sexual_content" else "age", part(sessions))
    with pytest.raises(WeightsError, match="instead of"):
        _convert(clip, tmp_path / "out.mp4", made.world)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["screen", "age"])
def test_a_network_that_is_missing(part: str, clip: Path, tmp_path: Path) -> None:
    def missing(*_: Any) -> float:
        raise WeightsError("There are no weights, and there is no network to fetch them from.")

    made = Screened()
    setattr(made.world, part, missing)
    with pytest.raises(WeightsError):
        _convert(clip, tmp_path / "out.mp4", made.world)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_render_forgets_neither_ages_nor_when_it_looked(clip: Path, tmp_path: Path) -> None:
    """The first run sees a child; in the second one everybody is grown up, and only the last frame is flagged."""
    settings = ConvertSettings(
        performer_cosine=0.65, preset="ultrafast", color_strength=0.0, texture=False, segment_seconds=0.4
    )

    key = ProjectKey.new()

    def run(made: Screened, work: str, stop: int | None = None) -> ConvertReport:
        def progress(done: float, *_: Any) -> None:
            if done == stop:
                raise KeyboardInterrupt

        (tmp_path / work).mkdir(exist_ok=True)
        store = SegmentStore(tmp_path / work, key, {})
        return _convert(
            clip, tmp_path / "out.mov", made.world, settings=settings, store=store, progress=progress
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run(Screened(years=lambda *_: 15.0), "a", stop=22)
    with pytest.raises(MinorError):
        run(Screened(), "a")
    first, second = Screened(), Screened(SEXUAL["only in the last frame"])
    with pytest.raises(KeyboardInterrupt):
        run(first, "b", stop=12)  # a segment has ten frames
    with pytest.raises(SexualContentError, match="at frame 23"):
        run(second, "b")
    assert {index for index, _ in first.looked} >= {0, CUT}
    assert {index for index, _ in second.looked if index >= 0} == {20, LAST}
    assert not (tmp_path / "out.mov").exists()


@pytest.mark.parametrize("what", ["the performer", "the lender's face set"])
def test_the_ledger_keeps_what_the_screens_refused(
    what: str, project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = {"the performer": lambda rgb: rgb.shape[0] != 256, "the lender's face set": lambda rgb: True}[what]
    monkeypatch.setattr("faceset_world.FakePerception.age", lambda _, rgb, __: 15.0 if young(rgb) else 40.0)
    with pytest.raises(MinorError):
        rendered(project, footage)
    assert names(project.renders_dir) == set()
    assert renders_logged(project) == []
    row = Ledger(project.ledger_path).entries()[-1]
    assert row.kind == "refusal"
    told = row.facts
    assert (told["lender"], told["performer"], told["act"], told["at"]) == ("vera", "ivan", "swap", "the screens")
    assert "under age" in told["reason"]
