from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from perception_fakes import FakeSessions, clip

from countenance import geometry
from countenance.conversion.swap import align
from countenance.errors import WeightsError
from countenance.perception import weights
from countenance.perception.cards import SHIPPED
from countenance.perception.occlusion import SIDE, OcclusionNet, feature_planes
from countenance.perception.perceive import Perception
from countenance.perception.session import NetworkSessions
from countenance.types import AlignedFace, FaceLandmarks


@pytest.fixture(scope="module")
def see() -> Perception:
    return Perception(NetworkSessions(threads=1))


def _aligned(see: Perception, rgb: np.ndarray, size: int = 256) -> AlignedFace:
    landmarks = see.mesh(rgb, see.detector(rgb)[0])
    return align(rgb, landmarks, geometry.aligned_from_frame(landmarks.points_xy, size), size)


def _inside(face: AlignedFace) -> np.ndarray:
    return feature_planes(face.landmarks.points_xy, face.size)[0] > 127


def _made(size: int = 256) -> AlignedFace:
    points = np.concatenate([geometry.template(size), np.zeros((10, 2), np.float32)])
    marks = FaceLandmarks(points, np.zeros(478, np.float32), np.zeros(52, np.float32), 1.0)
    return AlignedFace(np.full((size, size, 3), (255, 0, 51), np.uint8), np.eye(2, 3), marks)


@pytest.mark.parametrize("name", ["test_A", "test_gt_own"])
def test_nothing_in_front_is_no_alarm(see: Perception, name: str) -> None:
    for rgb, truth in zip(clip(name, 50), clip(f"{name}_mask", 50), strict=True):
        face = _aligned(see, rgb)
        certain = geometry.warp(truth[..., 0], face.aligned_from_frame, (256, 256))[::2, ::2] > 250
        mask = see.occlusion(face)
        assert (mask.kind, mask.values.shape) == ("occlusion", (SIDE, SIDE))
        assert (mask.values < 0.5)[certain & _inside(face)].mean() < 0.01


def test_a_microphone_of_somebody_never_seen_is_in_front_and_his_beard_is_not(see: Perception) -> None:
    rgb = clip("occl_C", 72)[1]  # it stands before the mouth
    face = _aligned(see, rgb)
    mask = see.occlusion(face).values
    truth = geometry.warp(clip("occl_C_mask", 72)[1][..., 0], face.aligned_from_frame, (256, 256))[::2, ::2]
    lower = _inside(face) & (np.arange(SIDE)[:, None] > face.landmarks.points_xy[4, 1] / 2)
    assert (mask < 0.5)[lower & (truth < 20)].mean() > 0.6
    assert (mask < 0.5)[lower & (truth > 250)].mean() < 0.1


def test_another_side_of_the_crop_says_the_same(see: Perception) -> None:
    rgb = clip("test_A", 50)[1]
    masks = [see.occlusion(_aligned(see, rgb, size)).values for size in (256, 512)]
    assert np.abs(masks[0] - masks[1]).mean() < 0.02


def test_the_network_gets_the_picture_and_the_landmarks_and_its_nonsense_means_face() -> None:
    answer = np.full((1, 1, SIDE, SIDE), 1.5, np.float32)
    answer[..., :10, :] = np.nan
    answer[..., 20:30, :] = -2.0
    sessions = FakeSessions(face_occlusion=lambda inputs: [answer])
    mask = OcclusionNet(sessions)(_made()).values
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask[:20].min() == 1.0
    tensor = sessions.by_name["face-occlusion"].asked[0]["face"]
    assert (tensor.shape, tensor.dtype) == ((1, 7, SIDE, SIDE), np.float32)
    np.testing.assert_allclose(tensor[0, :3, 9, 9], [0.5, -0.5, -0.3], atol=1e-6)
    eye = np.rint(geometry.template(SIDE)[[159, 145]].mean(0)).astype(int)
    assert tensor[0, 3:, eye[1], eye[0]].tolist() == [0.5, 0.5, -0.5, -0.5]  # in the hull and in an eye


def test_planes_are_the_same_at_every_side() -> None:
    planes = [feature_planes(_made(size).landmarks.points_xy, size) for size in (128, 256, 512)]
    assert all((np.abs(planes[0].astype(int) - other) > 40).mean() < 1e-3 for other in planes[1:])
    assert [float((plane > 60).mean()) > 0.005 for plane in planes[0]] == [True] * 4


def test_the_shipped_file_is_small_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SHIPPED["face-occlusion"]
    assert len(weights.read_shipped(card.name)) < 2_000_000
    monkeypatch.setattr(weights, "SHIPPED", {card.name: replace(card, sha256="0" * 64)})
    with pytest.raises(WeightsError, match="not the one"):
        weights.read_shipped(card.name)
    monkeypatch.setattr(weights, "SHIPPED", {card.name: replace(card, file_name="absent.onnx")})
    with pytest.raises(WeightsError, match="Reinstall"):
        weights.read_shipped(card.name)
