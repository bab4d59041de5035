from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_world import PERFORMER, Face, World, frame

from countenance import geometry
from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.recognise import Identity
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.track import Tracker, overlap
from countenance.errors import ConfigError

SETTINGS = ConvertSettings(performer_cosine=0.65)


def _run(world: World, count: int, settings: ConvertSettings = SETTINGS, scenes: dict | None = None):
    tracker = Tracker(world, PERFORMER, settings)

    def watched():
        for index in range(count):
            yield tracker(frame(index, scene=(scenes or {}).get(index, 0)))

    return list(Decider(settings, 0.65)(watched()))


def _still(count: int, *faces: Face) -> dict[int, list[Face]]:
    return {index: [replace(face) for face in faces] for index in range(count)}


def _actions(decided: DecidedFrame) -> list[str]:
    return [face.action for face in decided.faces]


def test_the_performer_is_replaced_in_every_frame_and_in_order() -> None:
    decided = _run(World(_still(20, Face(160, 90))), 20)
    assert [item.frame.index for item in decided] == list(range(20))
    assert all(_actions(item) == ["replace"] for item in decided)
    assert len({face.track for item in decided for face in item.faces}) == 1


def test_somebody_else_is_left_alone() -> None:
    decided = _run(World(_still(20, Face(160, 90, cosine=0.1))), 20)
    assert all(_actions(item) == [] for item in decided)


def test_the_first_frames_are_decided_by_what_follows() -> None:
    """Recognition needs a few looks; the frames before them wait for it instead of leaking."""
    world = World(_still(20, Face(160, 90)))
    for index in range(3):
        world.script[index][0].cosine, world.script[index][0].clarity = 0.5, 9.0  # half turned away at first
    decided = _run(world, 20)
    assert all(_actions(item) == ["replace"] for item in decided)


def test_two_people_side_by_side() -> None:
    decided = _run(World(_still(20, Face(90, 90), Face(230, 90, cosine=0.2))), 20)
    for item in decided:
        assert _actions(item) == ["replace"]
        assert item.faces[0].ellipse[0] == pytest.approx(90, abs=6)


def test_a_similar_person_beside_the_performer_is_left_alone_but_alone_is_veiled() -> None:
    similar = Face(230, 90, cosine=0.5)
    beside = _run(World(_still(20, Face(90, 90), similar)), 20)
    assert all(_actions(item) == ["replace"] for item in beside)
    alone = _run(World(_still(20, similar)), 20)
    assert all(_actions(item) == ["veil"] for item in alone)
    assert alone[5].faces[0].reason == "identity uncertain"


def test_crossing_people_keep_their_treatment() -> None:
    script = {
        index: [Face(60 + 8 * index, 80, height=60), Face(260 - 8 * index, 100, height=60, cosine=0.1)]
        for index in range(26)
    }
    for item in _run(World(script), 26):
        x = 60 + 8 * item.frame.index
        other = 260 - 8 * item.frame.index
        hidden = [face for face in item.faces if abs(face.ellipse[0] - x) < 14]
        assert hidden, f"the performer leaks in frame {item.frame.index}"
        if abs(x - other) > 70:  # clear of each other: only the performer is touched
            assert len(item.faces) == 1


def test_landmarks_lost_is_veiled_where_the_face_is() -> None:
    world = World(_still(20, Face(160, 90)))
    for index in (9, 10):
        world.script[index][0].presence = 0.1
    decided = _run(world, 20)
    for item in decided:
        lost = item.frame.index in (9, 10)
        assert _actions(item) == (["veil"] if lost else ["replace"])
        if lost:
            assert item.faces[0].reason == "landmarks lost"
            assert item.faces[0].ellipse[0] == pytest.approx(160, abs=6)


def test_a_face_that_is_suddenly_not_found_is_veiled_for_a_while_and_then_not() -> None:
    world = World(_still(30, Face(160, 90)))
    for index in range(8, 30):
        world.script[index] = []
    decided = _run(world, 30, replace(SETTINGS, hold_seconds=0.4))
    veiled = [item.frame.index for item in decided if _actions(item) == ["veil"]]
    assert veiled == list(range(8, 18))
    assert {face.reason for item in decided for face in item.faces if face.action == "veil"} == {"face lost"}


def test_a_moving_face_that_is_lost_is_veiled_on_its_way() -> None:
    world = World({index: [Face(60 + 6 * index, 90)] if index < 12 else [] for index in range(16)})
    held = _run(world, 16)[13].faces[0]
    assert held.action == "veil"
    assert held.ellipse[0] > 60 + 6 * 12


def test_a_face_that_jumps_leaves_no_veil_behind() -> None:
    decided = _run(World({index: [Face(90 if index < 10 else 230, 90)] for index in range(20)}), 20)
    assert all(_actions(item) == ["replace"] for item in decided)


def test_a_weak_detection_of_the_performer_needs_proof_in_the_same_frame() -> None:
    world = World(_still(20, Face(160, 90)))
    world.script[8][0].score = 0.4
    world.script[12][0].score, world.script[12][0].cosine = 0.4, 0.5
    decided = _run(world, 20)
    assert _actions(decided[8]) == ["replace"]
    assert _actions(decided[12]) == ["veil"]
    assert "lower threshold" in decided[12].faces[0].reason


def test_a_loose_weak_detection_is_veiled_when_the_performer_is_missing_from_their_shot() -> None:
    world = World(_still(30, Face(160, 90)))
    for index in range(30):
        if index < 3 or index > 24:
            world.script[index] = [Face(60, 60, score=0.4, height=40, cosine=0.1, presence=0.2, clarity=5.0)]
        elif index > 8:
            world.script[index] = []
    decided = _run(world, 30, replace(SETTINGS, hold_seconds=0.2))
    for index in (0, 2, 26, 29):
        assert _actions(decided[index]) == ["veil"], index
    nobody = World({index: [Face(60, 60, score=0.4, cosine=0.1, presence=0.2, clarity=5.0)] for index in range(30)})
    assert all(_actions(item) == [] for item in _run(nobody, 30))


def test_small_and_turned_faces_are_veiled() -> None:
    for face, reason in ((Face(160, 90, height=15), "too small"), (Face(160, 90, yaw=80), "turned away")):
        decided = _run(World(_still(12, face)), 12)
        assert all(_actions(item) == ["veil"] for item in decided)
        assert reason in decided[0].faces[0].reason


def test_a_cut_starts_anew() -> None:
    """After the cut somebody else stands in the same place: they must not inherit the performer's identity."""
    world = World({i: [Face(160, 90, cosine=0.9 if i < 10 else 0.1)] for i in range(24)})
    decided = _run(world, 24, scenes=dict.fromkeys(range(10, 24), 1))
    assert [item.shot for item in decided] == [0] * 10 + [1] * 14
    assert all(_actions(item) == ["replace"] for item in decided[:10])
    assert all(_actions(item) == [] for item in decided[10:])


def test_a_replacement_without_a_cut_is_noticed() -> None:
    """The tracker slides onto somebody else: veiled while in doubt, left alone once they are surely somebody else."""
    world = World({i: [Face(160, 90, cosine=0.9 if i < 10 else 0.1)] for i in range(32)})
    actions = [tuple(_actions(item)) for item in _run(world, 32)]
    assert all(action == ("replace",) for action in actions[:4])
    assert () not in actions[:10]  # the frames that nobody looked at before the doubt arose are doubted, too
    assert all(action == ("veil",) for action in actions[10:12])
    assert actions[-1] == ()


def test_no_embedding_is_made_needlessly() -> None:
    world = World(_still(31, Face(160, 90)))
    _run(world, 31)
    assert world.calls["embedder"] <= 3 + 31 / 10 + 1
    assert world.calls["mesh"] == 31


def test_the_alignment_does_not_lag_and_jitters_less() -> None:
    count, speed, bend = 31, 3.0, 0.12

    def x(index: float) -> float:
        return 60 + speed * index + bend * (index - 15) ** 2 / 2

    script = {index: [Face(x(index), 90)] for index in range(count)}
    clean = _run(World({k: [replace(f) for f in v] for k, v in script.items()}), count)
    noisy = _run(World(script, noise=1.0), count)
    raw = _run(
        World({k: [replace(f) for f in v] for k, v in script.items()}, noise=1.0),
        count,
        replace(SETTINGS, smoothing_frames=0),
    )

    def middle(decided: list[DecidedFrame]) -> np.ndarray:
        crop = np.array([[127.5, 127.5]])
        return np.array([geometry.apply(geometry.invert(d.faces[0].aligned_from_frame), crop)[0] for d in decided])

    inner = slice(4, -4)
    lag = (middle(noisy) - middle(clean))[inner, 0].mean() / speed  # in frames
    assert abs(lag) < 0.05

    def error(decided: list[DecidedFrame]) -> float:
        return float(np.abs(middle(decided) - middle(clean))[inner].mean())

    assert error(noisy) < 0.8 * error(raw)


def test_recognition_has_hysteresis() -> None:
    identity = Identity(0.65, 0.4)
    assert identity.verdict == "unknown"
    assert identity.add(0.8) == "performer"
    assert identity.add(0.45) == "performer"  # mean 0.625: below the threshold, within the slack
    assert identity.add(0.2) == "uncertain"  # somebody else may have taken the place
    for _ in range(6):
        assert identity.add(0.2) == "uncertain"
    assert identity.add(0.2) == "other"


def test_one_bad_look_does_not_dismiss_a_new_face() -> None:
    identity = Identity(0.65, 0.4)
    assert [identity.add(0.1), identity.add(0.1), identity.add(0.1)] == ["uncertain", "uncertain", "other"]


def test_overlap_of_boxes() -> None:
    box = np.float32([0, 0, 10, 10])
    assert overlap(box, box) == pytest.approx(1.0)
    assert overlap(box, box + 20) == 0.0
    assert overlap(box, np.float32([5, 0, 15, 10])) == pytest.approx(1 / 3)
    assert overlap(np.zeros(4, np.float32), np.zeros(4, np.float32)) == 0.0


@pytest.mark.parametrize(
    ("knob", "value"),
    [("color_strength", 1.5), ("crf", 99), ("blend", "hard"), ("weak_score", 0.9), ("hold_seconds", float("nan"))],
)
def test_settings_are_checked(knob: str, value: object) -> None:
    with pytest.raises(ConfigError, match=knob):
        ConvertSettings(**{knob: value})
