"""Clips and challenges that must not pass for a lender before a camera; each refusal says why and is a row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from capture_world import ACTIONS, DIGITS, Look, Networks, act, challenge_in, clip_of, hand_in, ramp, rest, write_clip
from consent_world import World

from countenance.consent.capture import capture
from countenance.consent.challenge import Action, read_challenge
from countenance.errors import ConsentError, CountenanceError, MinorError, NoFaceError, ProjectError

LEFT, BLINK, _, UP, RIGHT = ACTIONS


def changed(looks: Sequence[Look], start: float, end: float, **change: object) -> list[Look]:
    """A stretch of the clip, given in parts of its length, with other properties."""
    first, last = int(start * len(looks)), int(end * len(looks))
    return [replace(look, **change) if first <= i < last else look for i, look in enumerate(looks)]


def good() -> list[Look]:
    return clip_of(ACTIONS)


def shaken_photo() -> list[Look]:
    """A photograph that is moved, brought nearer and leant to all sides; it shows what the landmarks make of it."""
    looks = rest(1.0, Look(thickness=0.0))
    looks += ramp(2.0, "yaw", 55.0, Look(thickness=0.0)) + ramp(2.0, "pitch", 45.0, Look(thickness=0.0))
    swing = [60.0 * math.sin(0.2 * i) for i in range(63)]  # whole swings
    looks += [Look(thickness=0.0, x=300.0 + by) for by in swing]
    return looks + [Look(thickness=0.0, height=200.0 + abs(by)) for by in swing]


CLIPS: dict[str, tuple[Callable[[], list[Look]], str]] = {
    "wrong order": (lambda: clip_of([RIGHT, BLINK, DIGITS, UP, LEFT]), "asks for a turn to the left"),
    "two exchanged": (lambda: clip_of([LEFT, UP, DIGITS, BLINK, RIGHT]), "asks for shut eyes 2 times"),
    "one left out": (lambda: clip_of([LEFT, BLINK, DIGITS, RIGHT]), "asks for a look up"),
    "the last left out": (
        lambda: [*clip_of([LEFT, BLINK, DIGITS, UP]), *rest(2.0)],
        "ends without a turn",
    ),
    "one too many": (lambda: clip_of([*ACTIONS, LEFT]), "too many"),
    "one put between": (lambda: clip_of([LEFT, UP, BLINK, DIGITS, UP, RIGHT]), "asks for shut eyes"),
    "mirrored": (lambda: [replace(look, yaw=-look.yaw) for look in good()], "asks for a turn to the left"),
    "down for up": (lambda: [replace(look, pitch=-look.pitch) for look in good()], "shows a look down"),
    "blinks three for two": (lambda: clip_of([LEFT, Action("blink", times=3), DIGITS, UP, RIGHT]), "3 times"),
    "one blink for two": (lambda: clip_of([LEFT, Action("blink"), DIGITS, UP, RIGHT]), "shows shut eyes"),
    "never blinks": (lambda: [replace(look, blink=0.1) for look in good()], "asks for shut eyes"),
    "one eye only half": (lambda: [replace(look, blink=min(look.blink, 0.4)) for look in good()], "shut eyes"),
    "silent": (lambda: [replace(look, mouth=0.0) for look in good()], "read aloud"),
    "digits left out": (lambda: clip_of([LEFT, BLINK, UP, RIGHT]), "read aloud"),
    "nothing done": (lambda: rest(20.0), "ends without a turn to the left"),
    "long pause": (lambda: [*rest(1.0), *act(LEFT), *rest(20.0), *clip_of(ACTIONS[1:])], "nothing is done"),
    "begins turned away": (lambda: [*rest(1.0, Look(yaw=28.0)), *ramp(1.0, "yaw", 28.0, Look()), *good()], "begin"),
    "photo tilted": (shaken_photo, "challenge asks"),
    "flat": (
        lambda: [replace(look, thickness=0.0, pitch=1.8 * look.pitch) for look in good()],
        "flat like a photograph",
    ),
    "relief of a thick card": (lambda: [replace(look, thickness=0.1) for look in good()], "flat like a photograph"),
    "swapped half-way": (lambda: changed(good(), 0.5, 1.0, person=2), "one and the same person"),
    "swapped for the last turn": (lambda: changed(good(), 0.88, 1.0, person=2), "one and the same person"),
    "swapped for a moment": (lambda: changed(good(), 0.5, 0.53, person=2), "one and the same person"),
    "a face from elsewhere": (lambda: changed(good(), 0.4, 0.6, x=420.0), "jumps"),
    "another size": (lambda: changed(good(), 0.4, 0.6, height=340.0), "jumps"),
    "cut to another light": (lambda: changed(good(), 0.5, 1.0, light=150), "jumps"),
    "one frame put in": (lambda: changed(good(), 0.5, 0.5 + 1.01 / len(good()), light=80), "jumps"),
    "second face": (lambda: changed(good(), 0.4, 0.6, others=(180.0,)), "second face"),
    "small second face": (lambda: changed(good(), 0.4, 0.6, others=(60.0,)), "second face"),
    "face leaves": (lambda: changed(good(), 0.4, 0.6, presence=0.1), "not to be seen"),
    "face leaves for a frame": (lambda: changed(good(), 0.5, 0.5 + 1.01 / len(good()), presence=0.1), "not to be seen"),
    "too short": (lambda: good()[: 12 * 5], "too short"),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_that_does_not_answer_is_refused(name: str, world: World) -> None:
    script, says = CLIPS[name]
    made = challenge_in(world)
    before = world.project.template_path("vera").read_bytes()
    with pytest.raises(ConsentError, match=says):
        hand_in(world, script())
    kept_as_it_was(world, before, made.id)


@pytest.mark.parametrize(
    ("looks", "error"),
    [
        (lambda: clip_of(ACTIONS, Look(age=14.0)), MinorError),
        (lambda: changed(clip_of(ACTIONS), 0.4, 1.0, age=11.0), MinorError),
        (lambda: clip_of(ACTIONS, Look(age=float("nan"))), MinorError),
        (lambda: clip_of(ACTIONS, Look(height=60.0)), NoFaceError),
        (lambda: [replace(look, presence=0.0) for look in clip_of(ACTIONS)], NoFaceError),
    ],
)
def test_minors_and_faces_that_cannot_be_measured(
    looks: Callable[[], list[Look]], error: type[CountenanceError], world: World
) -> None:
    made = challenge_in(world)
    before = world.project.template_path("vera").read_bytes()
    with pytest.raises(error):
        hand_in(world, looks())
    kept_as_it_was(world, before, made.id)


def test_a_clip_that_goes_on_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countenance.consent.observe.LONGEST_SECONDS", 10.0)
    challenge_in(world)
    with pytest.raises(ConsentError, match="longer than 10 s"):
        hand_in(world, good())


def test_slow_pictures_hide_nothing(world: World) -> None:
    challenge_in(world)
    clip = write_clip(world.folder / "slow.mkv", [110] * 60, rate=3)
    with pytest.raises(ConsentError, match="Pictures are missing"):
        hand_in(world, good(), clip)


def test_a_clip_is_not_taken_twice(world: World) -> None:
    challenge_in(world)
    hand_in(world, good())
    challenge_in(world, number=2)
    with pytest.raises(ConsentError, match="handed in before"):
        hand_in(world, good(), world.folder / "clip.mkv")


def test_a_refused_clip_is_not_taken_later_either(world: World) -> None:
    challenge_in(world)
    with pytest.raises(ConsentError):
        hand_in(world, clip_of(ACTIONS[:-1]))
    challenge_in(world, ACTIONS[:-1], number=2)
    with pytest.raises(ConsentError, match="handed in before"):
        hand_in(world, clip_of(ACTIONS[:-1]), world.folder / "clip.mkv")


def test_a_challenge_is_not_answered_twice(world: World) -> None:
    challenge_in(world)
    hand_in(world, good())
    clip = write_clip(world.folder / "second.mkv", [111] * len(good()))
    with pytest.raises(ConsentError, match="answered before"):
        hand_in(world, good(), clip)


def test_a_failed_answer_uses_the_challenge_up(world: World) -> None:
    challenge_in(world)
    with pytest.raises(ConsentError, match="asks for"):
        hand_in(world, clip_of(ACTIONS[1:]))
    with pytest.raises(ConsentError, match="answered before"):
        hand_in(world, good(), write_clip(world.folder / "second.mkv", [111] * len(good())))


@pytest.mark.parametrize(("minutes", "says"), [(28.5, "ended on"), (24 * 60, "ended on"), (-10, "still to come")])
def test_half_an_hour_and_no_more(minutes: float, says: str, world: World) -> None:
    challenge_in(world)
    world.later(minutes=minutes)
    with pytest.raises(ConsentError, match=says):
        hand_in(world, good())
    assert world.last().kind == "challenge"


def test_a_clip_of_another_challenge(world: World) -> None:
    challenge_in(world)
    challenge_in(world, [RIGHT, DIGITS, BLINK, LEFT, UP], number=2)
    with pytest.raises(ConsentError, match="asks for a turn to the right"):
        hand_in(world, good())


@pytest.mark.parametrize("change", ["actions", "expires", "id", "digits", "lender"])
def test_an_edited_challenge(change: str, world: World) -> None:
    challenge_in(world)
    path = world.project.person_dir("vera") / "challenge.json"
    value = json.loads(path.read_text())
    if change == "actions":
        value["actions"] = value["actions"][::-1]
    elif change == "digits":
        value["actions"][2]["digits"] = "111111"
    else:
        value[change] = {"expires": "2036-01-01T00:00:00Z", "id": "f" * 32, "lender": "ivan"}[change]
    path.write_text(json.dumps(value))
    says = {"id": "did not make", "lender": "made for ivan"}.get(change, "was changed")
    with pytest.raises(ConsentError, match=says):
        hand_in(world, good())


def test_a_challenge_of_another_project(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    made = challenge_in(other)
    path = other.project.person_dir("vera") / "challenge.json"
    with pytest.raises(ConsentError, match="did not make"):
        hand_in(world, good(), challenge=path)
    assert read_challenge(path) == made


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"format":"countenance-capture-challenge"}', b"\xff", b"[" * 60_000, b'{"id":1,"id":2}',
        b"x" * 70_000,
    ],
)  # fmt: skip
def test_hostile_challenges(data: bytes, world: World) -> None:
    path = world.folder / "hostile.json"
    path.write_bytes(data)
    with pytest.raises(ConsentError):
        read_challenge(path)


@pytest.mark.parametrize("value", [None, 7, "turn_left", {"do": 1}, [{"do": "jump", "times": 1, "digits": ""}], [[]]])
def test_hostile_actions(value: object, world: World) -> None:
    path = world.project.person_dir("vera") / "challenge.json"
    challenge_in(world)
    path.write_text(json.dumps({**json.loads(path.read_text()), "actions": value}))
    with pytest.raises(ConsentError, match="not valid"):
        read_challenge(path)


def test_path_tricks_in_the_lenders_name(world: World) -> None:
    clip = write_clip(world.folder / "clip.mkv", [110] * 12)
    with pytest.raises(ProjectError):
        capture(world.project, "../vera", clip, perception=Networks([]), clock=world.clock)  # type: ignore[arg-type]


def kept_as_it_was(world: World, template: bytes, challenge_id: str) -> None:
    """Nothing was enrolled, and the refusal is a row that names the challenge and the clip."""
    assert world.project.template_path("vera").read_bytes() == template
    assert not (world.project.person_dir("vera") / "capture.json").exists()
    row = world.last()
    assert row.kind == "refusal"
    assert row.facts["challenge_id"] == challenge_id
    assert len(row.facts["clip_sha256"]) == 64
