"""Pose, expression, mouth, blinks, gaze and jitter on faces that are made up."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from countenance import geometry
from countenance.evaluation.behaviour import angle_degrees, behaviour, correlation, expression_error, jitter
from countenance.evaluation.observe import Observation, observe
from countenance.types import FaceLandmarks


def _rotation(yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    turned, _ = cv2.Rodrigues(np.array([0.0, np.radians(yaw), 0.0]))
    nodded, _ = cv2.Rodrigues(np.array([np.radians(pitch), 0.0, 0.0]))
    return turned @ nodded


def _landmarks(yaw: float = 0.0, gap_cm: float = 0.0, look_cm: float = 0.0, shift: float = 0.0) -> FaceLandmarks:
    """The canonical face in a frame: turned, its mouth opened, its irises moved to the picture's right."""
    xyz = geometry.canonical_face().vertices_cm.astype(np.float64) * [1.0, -1.0, -1.0]
    xyz[14, 1] += gap_cm
    irises = []
    for corners in ((33, 133), (362, 263)):
        centre = xyz[list(corners)].mean(axis=0) + np.array([look_cm, 0.0, 0.0])
        irises += [centre] * 5
    xyz = np.concatenate([xyz, irises]) @ _rotation(yaw).T
    points = (10.0 * xyz[:, :2] + 200.0 + shift).astype(np.float32)
    return FaceLandmarks(points, (10.0 * xyz[:, 2]).astype(np.float32), np.zeros(52, np.float32), 1.0)


def _seen(**how: float) -> Observation:
    return observe(_landmarks(**how))


def test_a_face_agrees_with_itself() -> None:
    clip = [_seen(gap_cm=0.5 + 0.5 * np.sin(t), yaw=3.0 * t) for t in range(6)]
    result = behaviour([(face, face) for face in clip], lost=0)
    assert result is not None
    assert result.frames == 6
    assert result.pose_degrees < 1e-5
    assert result.expression == result.gaze_degrees == 0.0
    assert result.mouth_correlation == pytest.approx(1.0)
    assert result.jitter_ratio == pytest.approx(1.0)


@pytest.mark.parametrize("yaw", [-20.0, 7.0, 25.0])
def test_a_turned_head_is_off_by_its_turn(yaw: float) -> None:
    result = behaviour([(_seen(), _seen(yaw=yaw))], lost=0)
    assert result is not None
    assert result.pose_degrees == pytest.approx(abs(yaw), abs=0.05)
    assert angle_degrees(_rotation(yaw), _rotation(yaw)) < 1e-5
    assert angle_degrees(_rotation(10.0), _rotation(-10.0)) == pytest.approx(20.0)


def test_a_glance_is_off_by_the_eyes_turn() -> None:
    straight = _seen()
    width_cm = np.linalg.norm(np.diff(geometry.canonical_face().vertices_cm[[33, 133], :2], axis=0))
    look_cm = 0.2
    wanted = np.degrees(np.arcsin(look_cm / (width_cm / 2.0) * 15.0 / 12.0))
    aside = _seen(look_cm=look_cm)
    assert aside.gaze_degrees[:, 0] - straight.gaze_degrees[:, 0] == pytest.approx([wanted, wanted], rel=0.03)
    result = behaviour([(straight, aside)], lost=0)
    assert result is not None
    assert result.gaze_degrees == pytest.approx(wanted, rel=0.03)
    shut = replace(aside, eyes=0.05)
    closed = behaviour([(straight, shut)], lost=0)
    assert closed is not None
    assert closed.gaze_degrees is None


def test_a_frozen_face_does_not_follow() -> None:
    footage = [_seen(gap_cm=0.5 + 0.5 * np.sin(t), yaw=5.0 * np.sin(t / 2)) for t in range(20)]
    result = behaviour([(face, footage[0]) for face in footage], lost=0)
    assert result is not None
    assert result.mouth_correlation == 0.0
    assert result.jitter_ratio == 0.0
    assert result.pose_degrees > 2.0


def test_a_mouth_that_moves_the_other_way_is_negative_and_a_late_one_lower() -> None:
    gap = [0.5 + 0.5 * np.sin(0.9 * t) for t in range(40)]
    clip = [_seen(gap_cm=value) for value in gap]
    contrary = [_seen(gap_cm=1.0 - value) for value in gap]
    late = [clip[0], *clip[:-1]]
    scores = []
    for swap in (clip, late, contrary):
        result = behaviour(list(zip(clip, swap, strict=True)), lost=0)
        assert result is not None
        assert result.mouth_correlation is not None
        scores.append(result.mouth_correlation)
    assert scores[0] == pytest.approx(1.0)
    assert 0.3 < scores[1] < 0.9
    assert scores[2] < -0.9


def test_a_resting_face_of_another_shape_costs_nothing_in_expression() -> None:
    random = np.random.default_rng(0)
    footage = random.uniform(0.0, 0.5, (30, 52)).astype(np.float32)
    assert expression_error(footage, footage + np.float32(0.2)) == pytest.approx(0.0, abs=1e-6)
    assert expression_error(footage, footage[::-1]) > 0.1
    assert expression_error(footage, np.zeros_like(footage)) > 0.1


def test_a_still_footage_says_nothing() -> None:
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert correlation([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) == 0.0
    assert behaviour([None, None], lost=2) is None


def test_jitter_is_blind_to_steady_movement_and_sees_trembling() -> None:
    steady = [_seen(shift=3.0 * t) for t in range(8)]
    trembling = [_seen(shift=3.0 * t + (0.5 if t % 2 else -0.5)) for t in range(8)]
    assert jitter(steady) == pytest.approx(0.0, abs=1e-5)
    width = float(np.linalg.norm(steady[0].points_xy[454] - steady[0].points_xy[234]))
    assert jitter(trembling) == pytest.approx(2.0 * np.sqrt(2.0) / width, rel=0.01)


def test_a_cut_or_a_lost_face_is_no_jitter() -> None:
    faces: list[Observation | None] = [_seen(), _seen(), None, _seen(shift=90.0), _seen(shift=90.0)]
    assert jitter(faces) is None
    assert jitter([*faces, _seen(shift=90.0)]) == pytest.approx(0.0, abs=1e-6)
