from __future__ import annotations

import cv2
import numpy as np
import pytest
from faceset_world import Actor, World, paint

from countenance.faceset.curate import BLURRED_BELOW, Seen, identities, reason_before_alignment, sharpness
from countenance.faceset.follow import DETECT_EVERY, FaceFollower
from countenance.faceset.gather import align
from countenance.faceset.records import Reason


def textured(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 200, (64, 64, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_sharpness_falls_with_blur_and_not_with_light() -> None:
    crop = textured()
    scores = [sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)) for sigma in (0.5, 2.0, 4.0, 8.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < BLURRED_BELOW < scores[0]
    assert sharpness((crop * 0.4).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.05)


def test_motion_in_one_direction_is_blur_too() -> None:
    crop = textured()
    streak = np.full((1, 25), 1 / 25, np.float32)
    for kernel in (streak, streak.T):
        assert sharpness(np.asarray(cv2.filter2D(crop, -1, kernel), np.uint8)) < 0.7 * sharpness(
            crop
        )  # white noise; on faces the ratio is 0.5


def test_a_flat_picture_has_no_sharpness() -> None:
    flat = np.full((256, 256, 3), 128, np.uint8)
    assert sharpness(flat) == 0.0


@pytest.mark.parametrize(
    ("actor", "reason"),
    [
        (Actor(), None),
        (Actor(height=66.0), None),
        (Actor(height=60.0), Reason.TOO_SMALL),
        (Actor(yaw=60.0), None),
        (Actor(yaw=75.0), Reason.EXTREME_POSE),
        (Actor(x=30.0), Reason.CUT),
        (Actor(y=230.0), Reason.CUT),
        (Actor(presence=0.49), Reason.LOW_PRESENCE),
        (Actor(presence=float("nan")), Reason.LOW_PRESENCE),
    ],
)
def test_reasons_against_a_face(actor: Actor, reason: Reason | None) -> None:
    xy = actor.points()[:, :2].astype(np.float32)
    assert reason_before_alignment(xy, actor.presence, (actor.yaw, 0.0, 0.0), (240, 320)) == reason


def test_a_near_duplicate_needs_the_same_landmarks_and_the_same_pixels() -> None:
    crop, points = textured(), Actor().points()[:, :2].astype(np.float32)
    seen = Seen()
    assert not seen.holds_one_like(crop, points)
    seen.add(crop, points)
    noisy = np.clip(crop + np.random.default_rng(1).normal(0, 2, crop.shape), 0, 255).astype(np.uint8)
    assert seen.holds_one_like(noisy, points + np.float32(0.3))
    assert not seen.holds_one_like(np.asarray(crop // 2), points)  # other light
    blink = points.copy()
    blink[[159, 160, 158, 161, 157, 386, 385, 387, 384, 388], 1] += 5.0
    assert not seen.holds_one_like(crop, blink)
    mouth = points.copy()
    mouth[[14, 17, 84, 314, 87, 317], 1] += 6.0
    assert not seen.holds_one_like(crop, mouth)


def test_seen_grows() -> None:
    seen = Seen()
    points = np.zeros((478, 2), np.float32)
    for number in range(600):
        seen.add(np.full((256, 256, 3), number % 250, np.uint8), points + np.float32(10 * number))
    assert seen.count == 600
    assert seen.holds_one_like(np.full((256, 256, 3), 599 % 250, np.uint8), points + np.float32(5990))
    assert not seen.holds_one_like(np.full((256, 256, 3), 599 % 250, np.uint8), points + np.float32(7000))


def people(sizes: list[int], spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(0, 1, (128, len(sizes))))[0].T
    who = np.repeat(np.arange(len(sizes)), sizes)
    vectors = centres[who] + rng.normal(0, spread / np.sqrt(128), (len(who), 128))
    order = rng.permutation(len(who))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)[order], who[order]


def test_people_are_told_apart_the_most_frequent_first() -> None:
    vectors, who = people([40, 90, 60], 0.7)
    found = identities(vectors, 0.65)
    assert [len(person.members) for person in found[:3]] == [90, 60, 40]
    assert [set(who[person.members].tolist()) for person in found[:3]] == [{1}, {2}, {0}]
    assert all(np.linalg.norm(person.centre) == pytest.approx(1.0, abs=1e-5) for person in found)


def test_identities_at_the_edges() -> None:
    assert identities(np.zeros((0, 128), np.float32), 0.65) == []
    assert identities(np.zeros((3, 128), np.float32), 0.65) == []
    (alone,) = identities(np.eye(1, 128, dtype=np.float32), 0.65)
    assert alone.members.tolist() == [0]
    vectors, _ = people([5000, 300], 0.7)
    assert len(identities(vectors, 0.65)[0].members) >= 4990


def test_following_runs_the_detector_now_and_then_and_finds_who_comes_in() -> None:
    script = [[Actor(x=100.0, height=90.0)] for _ in range(7)]
    script += [[Actor(x=100.0, height=90.0), Actor(who=1, x=230.0, height=80.0)] for _ in range(8)]
    world = World(script)
    follow = FaceFollower(world.perception())  # type: ignore[arg-type]
    counts = [len(follow(paint(index, actors))) for index, actors in enumerate(script)]
    assert counts[:7] == [1] * 7
    assert counts[7 + DETECT_EVERY :] == [2] * (8 - DETECT_EVERY)
    assert world.calls["detector"] == 3
    assert world.calls["mesh"] <= sum(counts) + 3


def test_a_cut_to_another_place_is_searched_at_once() -> None:
    script = [[Actor(x=90.0, height=80.0)]] * 3 + [[Actor(who=1, x=230.0, height=80.0)]] * 3 + [[]] * 3
    world = World(script)
    follow = FaceFollower(world.perception())  # type: ignore[arg-type]
    found = [follow(paint(index, actors)) for index, actors in enumerate(script)]
    assert [len(sightings) for sightings in found] == [1] * 6 + [0] * 3
    assert found[3][0].landmarks.points_xy[:, 0].mean() > 200


def test_alignment_puts_landmarks_on_the_template() -> None:
    from countenance.geometry import RIGID_POINTS, template

    script = [[Actor(height=100.0)]]
    world = World(script)
    rgb = paint(0, script[0])
    (sighting,) = FaceFollower(world.perception())(rgb)  # type: ignore[arg-type]
    aligned = align(rgb, sighting.landmarks)
    assert np.abs(aligned.landmarks.points_xy[RIGID_POINTS] - template(256)[RIGID_POINTS]).max() < 0.01
