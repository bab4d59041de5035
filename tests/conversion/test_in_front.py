from __future__ import annotations

import json

import numpy as np
import pytest
from fake_world import Face, frame, swap_black

from countenance import geometry
from countenance.conversion import state
from countenance.conversion.decide import DecidedFace, DecidedFrame
from countenance.conversion.occlusion import Steadied, judged, steadied
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.veil import head_ellipse
from countenance.perception.occlusion import SIDE, feature_planes
from countenance.types import AlignedFace, FaceLandmarks, Mask

POINTS = np.concatenate([geometry.template(256), np.zeros((10, 2), np.float32)])
PLANES = feature_planes(POINTS, 256)
HULL = PLANES[0] > 127
X, Y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
EYE = geometry.template(SIDE)[[159, 145]].mean(0)
SETTINGS = ConvertSettings(color_strength=0.0)


def _disc(x: float, y: float, radius: float, seen: float = 0.0) -> np.ndarray:
    values = np.ones((SIDE, SIDE), np.float32)
    values[np.hypot(X - x, Y - y) < radius] = seen
    return values


def _mask(values: np.ndarray) -> Mask:
    return Mask(values.astype(np.float32), "occlusion")


def test_what_comes_in_over_the_edge_stays_in_front() -> None:
    chin = geometry.template(SIDE)[152]
    found = judged(_disc(*chin, 18), PLANES)
    assert not found.hidden
    assert found.mask.values[HULL & (np.hypot(X - chin[0], Y - chin[1]) < 16)].max() == 0.0
    assert found.mask.values[HULL & (np.hypot(X - chin[0], Y - chin[1]) > 20)].min() == 1.0


@pytest.mark.parametrize(
    "values",
    [
        np.ones((SIDE, SIDE), np.float32),
        _disc(*EYE, 6),  # an eye alone: closed, made up or odd, and the performer's
        _disc(64, 50, 4),  # a spot on the skin
        _disc(64, 115, 14, seen=0.72),  # a faint guess at the edge
        _disc(*EYE, 40, seen=0.45),
    ],
    ids=["clean", "eye", "spot", "doubt", "unsure"],
)
def test_doubts_are_painted_over_or_veiled(values: np.ndarray) -> None:
    found = judged(values, PLANES)
    near_eye = np.hypot(X - EYE[0], Y - EYE[1]) < 8
    assert found.hidden or found.mask.values[near_eye].min() > 0.99
    assert found.hidden or found.mask.values.mean() > 0.9


def test_a_large_island_is_something() -> None:
    cheek = geometry.template(SIDE)[50]
    assert judged(_disc(*cheek, 9), PLANES).mask.values[int(cheek[1]), int(cheek[0])] == 0.0


def _lower(share: float, seen: float = 0.0) -> np.ndarray:
    rows = np.nonzero(HULL.any(1))[0]
    return np.where(rows[-1] - share * (rows[-1] - rows[0]) < Y, seen, 1.0).astype(np.float32)


def test_a_haze_without_a_sure_word_is_face_and_with_too_few_it_is_veiled() -> None:
    haze = _lower(0.5, seen=0.3)
    found = judged(haze, PLANES)
    assert (found.hidden, found.mask.values.min()) == (False, 1.0)
    assert judged(np.minimum(haze, _disc(64, 110, 6)), PLANES).hidden
    assert not judged(np.minimum(haze, _lower(0.4)), PLANES).hidden


def test_half_a_face_behind_a_hand_is_replaced_and_most_of_it_is_veiled() -> None:
    assert not judged(_lower(0.5), PLANES).hidden
    assert judged(_lower(0.9), PLANES).hidden


def test_noise_is_steadied_and_motion_followed_at_once() -> None:
    memory = steadied(None, _mask(_disc(64, 64, 20, seen=0.1)), 0, 0.0)
    noisy = steadied(memory, _mask(_disc(64, 64, 20, seen=0.2)), 0, 0.04)
    assert noisy.values[64, 64] == pytest.approx(0.12, abs=1e-6)
    moved = steadied(memory, _mask(_disc(30, 64, 20, seen=0.1)), 0, 0.04)
    assert moved.values[64, 64] == pytest.approx(1.0)
    for shot, seconds in ((1, 0.04), (0, 5.0), (0, -1.0)):  # another shot or moment
        other = steadied(memory, _mask(np.full((SIDE, SIDE), 0.2)), shot, seconds)
        assert other.values.min() == other.values.max() == np.float32(0.2)


def _decided(index: int) -> DecidedFrame:
    points = Face(160, 90).points()
    landmarks = FaceLandmarks(
        points[:, :2].astype(np.float32), points[:, 2].astype(np.float32), np.zeros(52, np.float32), 1.0
    )
    matrix = geometry.aligned_from_frame(landmarks.points_xy, 256)
    face = DecidedFace(1, "replace", "", head_ellipse(Face(160, 90).box()), landmarks, matrix)
    return DecidedFrame(frame(index), 0, (face,))


def _left(_face: AlignedFace) -> Mask:
    return _mask(np.where(X < SIDE / 2, 0.02, 0.98))


def test_what_is_in_front_keeps_the_footage_and_the_rest_is_painted() -> None:
    decided = _decided(1)
    (painted,) = Painter(swap_black, SETTINGS, _left)([decided])
    assert (painted.replaced, painted.veiled) == (1, ())
    before, after = decided.frame.rgb, painted.frame.rgb
    assert np.array_equal(before[70:110, :155], after[70:110, :155])
    assert after[90, 170].max() < 40


def test_a_covered_face_is_veiled_and_without_the_network_it_is_painted() -> None:
    decided = _decided(1)
    (painted,) = Painter(swap_black, SETTINGS, lambda face: _mask(np.zeros((SIDE, SIDE))))([decided])
    assert painted.veiled == ((1, "face covered"),)
    assert not np.array_equal(decided.frame.rgb, painted.frame.rgb)
    (painted,) = Painter(swap_black, SETTINGS)([decided])
    assert painted.veiled == ()


def test_a_painter_remembers_what_was_in_front() -> None:
    def shy(face: AlignedFace) -> Mask:
        return _mask(np.where(X < SIDE / 2, 0.14, 0.98))

    first = Painter(swap_black, SETTINGS, _left)
    first([_decided(1)])
    again = Painter(swap_black, SETTINGS, shy)
    state.fill(again, json.loads(json.dumps(state.dump(first))))
    assert isinstance(again._seen[1], Steadied)
    again([_decided(2)])
    assert again._seen[1].values[64, 10] == pytest.approx(0.02 + 0.2 * 0.12, abs=1e-6)
