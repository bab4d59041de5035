"""The real networks on rendered motion of performer A: a head that turns passes, a photograph does not."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from puppet import Puppet, tilted

from countenance.consent.capture import check_actions, check_identity
from countenance.consent.challenge import Action
from countenance.consent.observe import Observed, observe
from countenance.errors import ConsentError
from countenance.media.read import read_frames
from countenance.perception.perceive import Perception
from countenance.types import Frame

RATE = 8
ACTIONS = (Action("turn_left"), Action("blink"), Action("digits", digits="402917"), Action("look_down"))
EYES_OPEN, EYES_SHUT = 455, 460  # frames of one shot of train_A


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception()


@pytest.fixture(scope="module")
def puppet(perception: Perception) -> Puppet:
    clip = Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))
    stills = [frame.rgb for frame in read_frames(clip, start_index=EYES_OPEN) if frame.index <= EYES_SHUT]
    face = perception.mesh(stills[0], perception.detector(stills[0])[0])
    return Puppet(stills[0], stills[-1], face)


@pytest.fixture(scope="module")
def answered(puppet: Puppet, perception: Perception) -> Observed:
    ahead = puppet.render()
    turn = np.sin(np.linspace(0.0, np.pi, 12))
    left = [puppet.render(yaw=round(40.0 * up)) for up in turn]
    down = [puppet.render(pitch=round(-24.0 * up)) for up in turn]
    speech = [puppet.render(mouth=0.08) if i % 3 == 1 else ahead for i in range(20)]
    pictures = [*[ahead] * 8, *left, *[ahead] * 5, *[puppet.render(shut=True)] * 6, *[ahead] * 5, *speech]
    return look_at([*pictures, *down, *[ahead] * 5], perception)


def test_rendered_motion_of_a_performer_answers(answered: Observed) -> None:
    template, lowest = check_identity(answered)
    done, depth = check_actions(ACTIONS, answered.seen)
    assert [one.action for one in done] == list(ACTIONS)
    assert depth > 0.015
    assert lowest > 0.4
    assert template.apparent_age >= 18.0


def test_rendered_motion_of_a_performer_answers_no_other_challenge(answered: Observed) -> None:
    with pytest.raises(ConsentError, match="asks for a look down"):
        check_actions(ACTIONS[::-1], answered.seen)


def test_a_photograph_that_is_tilted_before_the_camera_turns_nothing(puppet: Puppet, perception: Perception) -> None:
    still = puppet.stills[0]
    swing = np.sin(np.linspace(0.0, 2.0 * np.pi, 24))
    tilts = [(45.0 * s, 0.0) for s in swing] + [(0.0, 40.0 * s) for s in swing]
    pictures = [*[still] * 6, *(tilted(still, *tilt) for tilt in tilts)]
    seen = look_at([*pictures, *[still] * 12], perception).seen
    with pytest.raises(ConsentError, match="ends without a turn to the left"):
        check_actions(ACTIONS, seen)


def look_at(pictures: list[np.ndarray], perception: Perception) -> Observed:
    frames = [Frame(rgb, index, index, Fraction(1, RATE)) for index, rgb in enumerate(pictures)]
    return observe(frames, perception)
