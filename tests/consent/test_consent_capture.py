"""Challenge and capture: what is drawn, what passes, what is kept of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from capture_world import ACTIONS, DIGITS, Look, Networks, act, challenge_in, clip_of, hand_in, rest
from consent_world import World

from countenance.consent.camera import film
from countenance.consent.capture import NOT_CHECKED, capture, check_actions
from countenance.consent.challenge import (
    Action,
    challenge_page,
    create_challenge,
    draw_actions,
    parse_challenge,
    read_challenge,
    write_challenge,
)
from countenance.consent.motion import Seen, events_of, flat_residual
from countenance.consent.observe import observe
from countenance.consent.strict_json import canonical, sha256_hex
from countenance.consent.template import load_template
from countenance.errors import InputError, MediaError
from countenance.media.read import read_frames


@pytest.mark.parametrize("seed", range(60))
def test_every_challenge_has_turns_a_blink_and_digits(seed: int) -> None:
    actions = draw_actions(random.Random(seed).choice)
    kinds = [action.do for action in actions]
    assert 5 <= len(kinds) <= 7
    assert {"turn_left", "turn_right", "blink", "digits"} <= set(kinds)
    assert Counter(kinds)["digits"] == 1
    moves = [kind for kind in kinds if kind != "digits"]
    assert all(before != after for before, after in pairwise(moves))


@pytest.mark.parametrize("seed", range(40))
def test_whoever_does_what_a_drawn_challenge_asks_for_passes(seed: int) -> None:
    actions = draw_actions(random.Random(seed).choice)
    done, depth = check_actions(actions, seen_of(clip_of(actions)))
    assert tuple(one.action for one in done) == actions
    assert all(one.start < one.end for one in done)
    assert all(before.end <= after.start for before, after in pairwise(done))
    assert depth > 0.03


@pytest.mark.parametrize("seed", range(20))
def test_another_challenge_of_the_same_project_does_not_fit(seed: int) -> None:
    mine, other = draw_actions(random.Random(seed).choice), draw_actions(random.Random(seed + 500).choice)
    strip = [[(a.do, a.times) for a in actions if a.do != "digits"] for actions in (mine, other)]
    if strip[0] != strip[1]:
        with pytest.raises(Exception, match="challenge"):
            check_actions(other, seen_of(clip_of(mine)))


def test_a_challenge_is_in_the_ledger_and_reads_as_it_was_written(world: World) -> None:
    made = create_challenge(world.project, "vera", clock=world.clock)
    path, page = write_challenge(world.project, made)
    assert read_challenge(path) == made
    assert (made.expires - made.issued).total_seconds() == 30 * 60
    row = world.last()
    assert row.kind == "challenge"
    assert row.facts["challenge_sha256"] == made.sha256 == sha256_hex(path.read_bytes())
    text = page.read_text()
    assert all(action.card in text for action in made.actions)
    assert "<script" not in text
    assert "http" not in text
    assert create_challenge(world.project, "vera", clock=world.clock).id != made.id


def test_the_page_escapes_what_it_shows(world: World) -> None:
    made = replace(create_challenge(world.project, "vera", clock=world.clock), lender="<b>&")
    assert "<b>&" not in challenge_page(made)
    assert "&lt;b&gt;&amp;" in challenge_page(made)


def test_a_clip_that_answers_makes_template_evidence_and_a_row(world: World) -> None:
    made = challenge_in(world)
    done = hand_in(world, clip_of(ACTIONS))
    template = load_template(world.project.template_path("vera"), world.project.key())
    assert template.sha256() == done.template.sha256() != world.template.sha256()
    evidence = json.loads(done.evidence_path.read_text())
    assert evidence == done.evidence
    assert evidence["challenge_sha256"] == made.sha256
    assert evidence["clip_sha256"] == sha256_hex((world.folder / "clip.mkv").read_bytes())
    assert evidence["template_sha256"] == template.sha256()
    assert [step["do"] for step in evidence["actions"]] == [action.do for action in ACTIONS]
    assert evidence["actions"][2]["digits"] == "402917"
    assert evidence["not_checked"] == list(NOT_CHECKED)
    row = world.last()
    assert row.kind == "capture"
    assert row.facts["evidence_sha256"] == sha256_hex(done.evidence_path.read_bytes())
    world.ledger.verify()


def test_the_template_of_a_clip_is_what_a_record_is_about(world: World) -> None:
    challenge_in(world)
    template = hand_in(world, clip_of(ACTIONS)).template
    world.template = template
    world.centre = template.embedding.astype(np.float64)
    assert world.accept().template_sha256 == template.sha256()
    assert world.gate().lender == "vera"


def test_an_enrolled_face_is_not_replaced_by_accident(world: World) -> None:
    challenge_in(world)
    with pytest.raises(InputError, match="--again"):
        hand_in(world, clip_of(ACTIONS), again=False)
    assert world.last().kind == "challenge"


def test_a_clip_that_cannot_be_decoded_leaves_the_challenge_open(world: World) -> None:
    challenge_in(world)
    broken = world.folder / "broken.mkv"
    broken.write_bytes(b"no film")
    with pytest.raises(MediaError):
        capture(world.project, "vera", broken, again=True, perception=Networks([]), clock=world.clock)
    assert world.last().kind == "challenge"
    hand_in(world, clip_of(ACTIONS))


def test_short_blinks_and_talk_are_not_actions() -> None:
    quick = [*rest(1.0), Look(blink=0.9), Look(blink=0.9), *rest(0.5), *act(DIGITS), *rest(1.0)]
    assert events_of(seen_of(quick), (0.0, 0.0)) == []


def test_a_plane_has_no_depth_and_a_head_has() -> None:
    head = flat_residual(*(Look(yaw=yaw).points()[:, :2].astype(np.float32) for yaw in (0.0, 20.0)))
    photo = flat_residual(*(Look(yaw=yaw, thickness=0).points()[:, :2].astype(np.float32) for yaw in (0.0, 40.0)))
    assert head > 0.03
    assert photo < 1e-4


@pytest.mark.parametrize(
    "change",
    [{"do": "jump"}, {"times": 0}, {"times": 4}, {"digits": "123456"}, {"do": "digits", "digits": "12345"}],
)
def test_an_action_that_nobody_draws_is_no_action(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"do |asked|digits"):
        Action(**{"do": "blink", **change})  # type: ignore[arg-type]


def test_reading_is_the_inverse_of_writing(world: World) -> None:
    made = create_challenge(world.project, "vera", clock=world.clock)
    assert parse_challenge(canonical(made.to_json())) == made


class FakeCamera:
    """Gives grey pictures for as long as it has some."""

    def __init__(self, count: int) -> None:
        self.left, self.released = count, False

    def read(self) -> tuple[bool, np.ndarray]:
        self.left -= 1
        return self.left >= 0, np.full((49, 65, 3), [10, 20, 200], np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera_films_all_cards(world: World, tmp_path: Path) -> None:
    made = challenge_in(world)
    moments = iter(np.arange(0.0, 1000.0, 0.05))
    shown: list[str] = []
    camera = FakeCamera(10_000)
    film(made, tmp_path / "film.mkv", camera, shown.append, now=lambda: float(next(moments)))
    assert camera.released
    assert shown[1:-1] == [action.card for action in made.actions]
    frames = list(read_frames(tmp_path / "film.mkv"))
    assert frames[0].size_hw == (48, 64)
    assert frames[0].rgb[10, 10, 0] > 150 > frames[0].rgb[10, 10, 2]  # red stays red
    assert frames[-1].pts_seconds > 25
    assert (tmp_path / "film.mkv").stat().st_mode & 0o077 == 0


def test_a_camera_that_stops_leaves_no_film(world: World, tmp_path: Path) -> None:
    camera = FakeCamera(20)
    moments = iter(np.arange(0.0, 1000.0, 0.05))
    with pytest.raises(MediaError, match="no pictures"):
        film(challenge_in(world), tmp_path / "film.mkv", camera, lambda _: None, now=lambda: float(next(moments)))
    assert camera.released
    assert not list(tmp_path.glob("*.mkv*"))


def seen_of(looks: list[Look]) -> list[Seen]:
    """What is observed of a script, without a film."""
    from capture_world import frames_of

    return observe(frames_of([*looks, *rest(8.0)]), Networks([*looks, *rest(8.0)])).seen  # type: ignore[arg-type]
