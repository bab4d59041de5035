"""What is shown, dropped, held back and refused, in a world of exactly known faces."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_world import PERFORMER, Face, World, picture, swap_black

from countenance.conversion.settings import ConvertSettings
from countenance.errors import ConsentError, MarkError, MinorError, SexualContentError
from countenance.media.probe import probe
from countenance.playback.channel import Channel
from countenance.playback.player import Player

COUNT = 30
SETTINGS = ConvertSettings(performer_cosine=0.65, color_strength=0.0, texture=False)


class Stamped:
    """Takes what would be shown."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def __call__(self, rgb: np.ndarray) -> bytes:
        self.frames.append(rgb)
        return b"a picture"

    def indexes(self) -> list[int]:
        return [round(float(rgb[:16, :16].mean()) / 8.0) for rgb in self.frames]


def slow(seconds: float) -> Any:
    def swap(faces: Any) -> Any:
        time.sleep(seconds)
        return swap_black(faces)

    return swap


def player(clip: Path, world: World, stamp: Any, swapper: Any = swap_black, **more: Any) -> Player:
    return Player(
        clip,
        probe(clip),
        swapper=swapper,
        template=PERFORMER,
        stamp=stamp,
        perception=world,  # type: ignore[arg-type]
        channel=Channel(),
        settings=SETTINGS,
        **more,
    )


def no_threads_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("convert-")]


def test_slow_painting_drops_frames_and_the_rest_is_in_order(clip: Path) -> None:
    stamp = Stamped()
    made = player(clip, World({index: [Face(160, 90)] for index in range(COUNT)}), stamp, slow(0.12))
    began = time.monotonic()
    made.play()
    report = made.report()
    assert time.monotonic() - began < 1.2 + 12 * 0.12 + 1.5  # the footage, and what was in the line at its end
    assert report.frames == COUNT == report.shown + report.dropped + report.held_back
    assert report.dropped > 5
    assert report.dropped_share == report.dropped / COUNT
    assert report.replaced + report.veiled >= report.shown == len(stamp.frames)
    assert stamp.indexes() == sorted(set(stamp.indexes()))
    assert no_threads_left()


def test_no_frame_shows_the_face_however_many_are_dropped(clip: Path) -> None:
    """It runs through the picture, is now and then found by the lower threshold only, and once not at all."""
    script = {
        index: [Face(70 + 6 * index, 90, score=0.4 if index % 4 == 1 else 0.95, presence=0.0 if index == 17 else 1.0)]
        for index in range(COUNT)
    }
    for seconds in (0.0, 0.2):
        stamp = Stamped()
        made = player(clip, World(script), stamp, slow(seconds))
        made.play()
        assert stamp.frames
        for index, rgb in zip(stamp.indexes(), stamp.frames, strict=True):
            x = round(script[index][0].x)
            change = np.abs(
                rgb[70:110, x - 20 : x + 20].astype(int) - picture(index, 180, 320)[70:110, x - 20 : x + 20]
            )
            assert change.mean() > 8.0, (seconds, index)


def test_a_clip_may_be_played_again(clip: Path) -> None:
    stamp = Stamped()
    made = player(clip, World({index: [Face(160, 90)] for index in range(COUNT)}), stamp)
    made.play()
    first = made.report()
    made.play()
    again = made.report()
    assert (again.frames, again.seconds > first.seconds) == (2 * COUNT, True)
    assert min(stamp.indexes()[first.shown :]) < 5


def test_flagged_footage_is_refused_before_it_is_shown(clip: Path) -> None:
    stamp = Stamped()
    world = World({index: [Face(160, 90)] for index in range(COUNT)}, sexual=dict.fromkeys(range(COUNT), 0.95))
    with pytest.raises(SexualContentError, match="scène one"):
        player(clip, world, stamp).play()
    assert stamp.frames == []
    assert no_threads_left()


def test_a_performer_who_looks_under_age_is_refused_before_anything_is_shown(clip: Path) -> None:
    stamp = Stamped()
    world = World({index: [Face(160, 90, age=14.0)] for index in range(COUNT)})
    with pytest.raises(MinorError):
        player(clip, world, stamp).play()
    assert stamp.frames == []


def test_faces_are_held_back_until_their_age_is_known(clip: Path) -> None:
    stamp = Stamped()
    world = World({index: [Face(160, 90)] if index in (11, 12) else [] for index in range(COUNT)})
    made = player(clip, world, stamp)
    made.play()
    report = made.report()
    assert report.replaced == 0
    assert not {11, 12} & set(stamp.indexes())
    assert report.shown > 5  # where nobody is, there is nothing to hold back


def test_the_lenders_face_as_it_is_painted_is_judged_before_it_is_shown(clip: Path) -> None:
    stamp = Stamped()
    world = World({index: [Face(160, 90)] for index in range(COUNT)})
    seen = world.age
    world.age = lambda rgb, marks: 15.0 if rgb[90, 160].max() < 30 else seen(rgb, marks)  # type: ignore[method-assign]
    with pytest.raises(MinorError, match="The lender's face in the render"):
        player(clip, world, stamp).play()
    assert stamp.frames == []


def test_consent_that_is_taken_back_ends_it(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countenance.playback.player._ASK_SECONDS", 0.3)
    asked: list[int] = []

    @contextmanager
    def allowed() -> Iterator[None]:
        asked.append(1)
        if len(asked) == 2:
            raise ConsentError("The preview was stopped. It was revoked.")
        yield

    stamp = Stamped()
    made = player(clip, World({index: [Face(160, 90)] for index in range(COUNT)}), stamp, allowed=allowed)
    with pytest.raises(ConsentError, match="revoked"):
        made.play()
    assert 5 < max(stamp.indexes()) < 27
    assert no_threads_left()


def test_a_picture_that_cannot_be_marked_ends_it(clip: Path) -> None:
    def fail(rgb: np.ndarray) -> bytes:
        raise MarkError("A picture could not be signed. Try again.")

    made = player(clip, World({index: [Face(160, 90)] for index in range(COUNT)}), fail)
    with pytest.raises(MarkError):
        made.play()
    assert made.report().shown == 0
    assert no_threads_left()
