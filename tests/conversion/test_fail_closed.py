"""What the performer's face may never do is pass: every way to lose it, in a world where it is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake_world import PERFORMER, Face, World, frame, swap_black

from countenance.conversion import state
from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.recognise import Identity, dismissible_cosine
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.track import Tracker

SETTINGS = ConvertSettings(performer_cosine=0.65)


def _run(script: dict[int, list[Face]], settings: ConvertSettings = SETTINGS) -> list[DecidedFrame]:
    tracker = Tracker(World(script), PERFORMER, settings)
    decider = Decider(settings, 0.65, look_back=tracker.look_back)
    return list(decider(tracker(frame(index)) for index in range(len(script))))


def _script(count: int, *faces: Face) -> dict[int, list[Face]]:
    return {index: [replace(face) for face in faces] for index in range(count)}


def _actions(decided: list[DecidedFrame]) -> list[list[str]]:
    return [[face.action for face in item.faces] for item in decided]


def test_an_unclear_face_is_never_dismissed_and_a_clear_stranger_is() -> None:
    assert dismissible_cosine(6.0, 0.4) == -1.0
    assert 0.0 < dismissible_cosine(9.0, 0.4) < dismissible_cosine(11.0, 0.4) == 0.4
    for clarity, verdict in ((5.0, "uncertain"), (14.0, "other")):
        identity = Identity(0.65, 0.4)
        assert [identity.add(0.1, clarity) for _ in range(9)][-1] == verdict


def test_blurred_looks_do_not_take_a_performer_away() -> None:
    identity = Identity(0.65, 0.4)
    identity.add(0.9)
    assert [identity.add(0.35, 9.9) for _ in range(10)] == ["performer"] * 10
    assert not identity.doubtful
    identity.add(0.1, 5.0)
    assert identity.doubtful  # nothing can be told from this: veiled, but not dismissed


def test_a_blurred_performer_alone_is_veiled() -> None:
    assert _actions(_run(_script(20, Face(160, 90, cosine=0.2, clarity=8.0)))) == [["veil"]] * 20


@pytest.mark.parametrize("at", range(4, 18))
@pytest.mark.parametrize("blurred", [0, 1, 4, 9])
def test_who_was_dismissed_and_becomes_the_performer_never_passes(at: int, blurred: int) -> None:
    """Without a cut, the performer is where a stranger was, whom nobody looked at in every frame.

    The picture is the same all the time: only the identity network can tell, at first perhaps too blurred to.
    """
    stranger = [Face(160, 90, cosine=0.1)]
    unclear = [Face(160, 90, cosine=0.3, clarity=8.0)]
    script = {i: stranger if i < at else unclear if i < at + blurred else [Face(160, 90)] for i in range(32)}
    actions = _actions(_run(script))
    assert [] not in actions[at + blurred :]
    assert actions[-1] == ["replace"]


def test_who_is_surely_somebody_else_is_not_looked_at_in_every_frame_unless_something_changes() -> None:
    other = cv2.resize(np.random.default_rng(3).integers(0, 255, (8, 8, 3), np.uint8), (80, 80))

    def looked_at(script: dict[int, list[Face]], gradually: bool = False) -> list[int]:
        world = World(script)
        tracker, frames, looks = Tracker(world, PERFORMER, SETTINGS), [], 0
        for index in range(len(script)):
            item = frame(index)
            if gradually:  # another face comes within six frames, by so little a frame that no two differ much
                share = np.clip((index - 14) / 6.0, 0.0, 1.0)
                part = item.rgb[50:130, 120:200]
                part[:] = np.rint(part + share * (other - part.astype(np.float64)))
            tracker(item)
            frames += [index] * (world.calls.get("embedder", 0) > looks)
            looks = world.calls.get("embedder", 0)
        return frames

    still = _script(32, Face(160, 90, cosine=0.1))
    seldom = looked_at(still)
    assert len(seldom) <= 3 + 32 // SETTINGS.lookahead_frames + 1
    assert [index for index in seldom if 14 < index < 18] == []
    assert [index for index in looked_at(still, gradually=True) if 14 < index < 18] != []
    unclear = {index: [replace(faces[0], clarity=8.0)] if index > 5 else faces for index, faces in still.items()}
    assert len(looked_at(unclear)) >= 20  # their looks say nothing


def test_a_face_that_only_the_lower_threshold_ever_sees_is_hidden() -> None:
    assert [] not in _actions(_run(_script(20, Face(160, 90, score=0.4))))


@pytest.mark.parametrize("at", range(1, 13))
@pytest.mark.parametrize("beside", [(), (Face(60, 90, cosine=0.1),)])
def test_a_performer_who_is_there_for_a_single_frame_is_hidden_in_it(at: int, beside: tuple[Face, ...]) -> None:
    """Whatever the frame's place among those that are searched more closely, and whoever else is followed."""
    script = _script(26, *beside)
    script[at] += [Face(200, 90)]
    decided = _run(script)
    hidden = [face for face in decided[at].faces if face.action in ("replace", "veil")]
    assert any(np.hypot(*(face.ellipse[:2] - (200, 90))) < 40 for face in hidden)


def test_a_face_found_late_is_veiled_in_the_frames_before() -> None:
    """The detector overlooks it; the search of the whole picture finds it at frame 12, where it was from 8 on."""
    script = _script(20, Face(160, 90, score=0.1, found_wide=True, found_near=True))
    for index in range(8):
        script[index] = []
    actions = _actions(_run(script))
    assert actions[:8] == [[]] * 8
    assert actions[8:12] == [["veil"]] * 4
    assert [] not in actions[12:]


def test_a_lost_face_is_found_by_a_closer_search() -> None:
    script = _script(20, Face(160, 90))
    for index in range(8, 20):  # neither the detector nor the landmarks follow it
        script[index] = [Face(160 + 3 * (index - 8), 90, score=0.4 if index % 2 else 0.2, found_near=True)]
    decided = _run(script)
    for item in decided:
        (face,) = item.faces
        assert abs(face.ellipse[0] - script[item.frame.index][0].x) < 8


def test_a_look_alike_beside_the_performer_is_veiled_not_replaced() -> None:
    decided = _run(_script(20, Face(90, 90), Face(230, 90, cosine=0.7)))
    for item in decided:
        assert {face.action: face.ellipse[0] > 160 for face in item.faces} == {"replace": False, "veil": True}


def test_a_stranger_before_the_performer_is_not_painted_over() -> None:
    decided = _run(_script(20, Face(150, 90), Face(190, 90, cosine=0.1)))
    assert all(face.action == "veil" for item in decided for face in item.faces)
    assert decided[9].faces[0].reason == "another face is in the way"


def test_landmarks_that_fit_no_head_are_not_painted() -> None:
    decided = _run(_script(12, Face(160, 90, squeeze=0.6)))
    assert {face.reason for item in decided for face in item.faces} == {"landmarks unsure"}


def test_the_replacement_passes_into_the_veil_and_back() -> None:
    script = _script(31, Face(160, 90))
    for index in (14, 15):
        script[index] = [Face(160, 90, yaw=80.0)]
    amounts = [item.faces[0].veil_amount for item in _run(script)]
    assert amounts[14:16] == [1.0, 1.0]
    assert np.all(np.diff(amounts[8:15]) > 0)
    assert np.all(np.diff(amounts[15:22]) < 0)
    assert max(amounts[:9] + amounts[21:]) == 0.0


@pytest.mark.parametrize("kind", ["yaw", "height"])
def test_at_the_limit_nothing_flickers(kind: str) -> None:
    script = {
        index: [Face(160, 90, yaw=71 if index % 4 == 0 else 68)]
        if kind == "yaw"
        else [Face(160, 90, height=18.5 if index % 4 == 0 else 21)]
        for index in range(30)
    }
    assert _actions(_run(script)) == [["veil"]] * 30


def test_a_fading_veil_lies_over_the_replaced_face_only() -> None:
    script = _script(31, Face(160, 90))
    script[14] = [Face(160, 90, yaw=80.0)]
    painter = Painter(swap_black, replace(SETTINGS, color_strength=0.0))
    for item in _run(script)[10:19]:
        (painted,) = painter([item])
        middle = painted.frame.rgb[84:100, 152:168].astype(float)
        assert np.abs(middle - item.frame.rgb[84:100, 152:168]).max(axis=2).min() > 4 or middle.std() < 12
        assert painted.veiled == ((1, "face turned away"),)
        assert painted.replaced == int(item.faces[0].action == "replace")


@pytest.mark.parametrize("stop", [7, 12, 15, 19])
def test_interrupted_anywhere_the_decisions_stay_the_same(stop: int) -> None:
    """Fades, hysteresis, tracks looked back for and doubts go on from what was remembered."""
    script = _script(31, Face(160, 90))
    for index in (13, 14):
        script[index] = [Face(160, 90, yaw=80.0)]
    for index in range(18, 22):
        script[index] = [Face(160, 90, score=0.1, presence=0.0)]
    for index in range(16, 31):
        script[index].append(Face(260, 90, height=60, score=0.1, found_wide=True, found_near=True, cosine=0.7))

    def memory_at(index: int) -> tuple[object, object, list[DecidedFrame]]:
        tracker = Tracker(World(script), PERFORMER, SETTINGS)
        decider = Decider(SETTINGS, 0.65, look_back=tracker.look_back)
        kept: list[object] = [None, None]

        def watch():
            for number in range(len(script)):
                if number == index:
                    kept[0] = state.dump(tracker)
                yield tracker(frame(number))

        decided = []
        for item in decider(watch()):
            decided.append(item)
            if item.frame.index + 1 == index:
                kept[1] = state.dump(decider)
        return kept[0], kept[1], decided

    of_tracker, of_decider, whole = memory_at(stop)
    tracker = Tracker(World(script), PERFORMER, SETTINGS)
    decider = Decider(SETTINGS, 0.65, look_back=tracker.look_back)
    state.fill(tracker, of_tracker)
    state.fill(decider, of_decider)
    again = list(decider(tracker(frame(index)) for index in range(stop, len(script))))

    def facts(decided: list[DecidedFrame]) -> list[object]:
        return [
            (item.shot, [(f.track, f.action, f.reason, f.veil_amount, f.ellipse.tolist()) for f in item.faces])
            for item in decided
        ]

    assert facts(again) == facts(whole[stop:])
    assert any(0.0 < face.veil_amount < 1.0 for item in whole for face in item.faces)
