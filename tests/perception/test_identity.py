from __future__ import annotations

import numpy as np
import pytest
from perception_fakes import FakeSessions, clip

from countenance.perception.detect import FaceDetector
from countenance.perception.identity import EMBEDDER_ID, SAME_PERSON_COSINE, FaceEmbedder, five_points
from countenance.perception.landmarks import FaceMesh
from countenance.perception.weights import CARDS
from countenance.types import FaceLandmarks


def embeddings(name: str, step: int) -> np.ndarray:
    detect, mesh, embed = FaceDetector(), FaceMesh(), FaceEmbedder()
    return np.array([embed(frame, mesh(frame, detect(frame)[0])) for frame in clip(name, step)])


def template(vectors: np.ndarray) -> np.ndarray:
    mean = vectors.mean(axis=0)
    return mean / np.linalg.norm(mean)


def some_face() -> FaceLandmarks:
    points = np.random.default_rng(0).uniform(20, 80, (478, 2)).astype(np.float32)
    return FaceLandmarks(points, np.zeros(478, np.float32), np.zeros(52, np.float32), 1.0)


def test_tells_the_performers_apart() -> None:
    a, b, other_shot = embeddings("train_A", 25), embeddings("train_B", 25), embeddings("test_A", 25)
    assert (a @ template(a)).min() > SAME_PERSON_COSINE
    assert (b @ template(b)).min() > SAME_PERSON_COSINE
    assert (other_shot @ template(a)).min() > SAME_PERSON_COSINE
    assert (b @ template(a)).max() < SAME_PERSON_COSINE - 0.02
    assert (a @ template(b)).max() < SAME_PERSON_COSINE - 0.02
    assert (other_shot @ template(b)).max() < SAME_PERSON_COSINE - 0.02


def test_unit_length_and_the_network_gets_rgb() -> None:
    sessions = FakeSessions(face_embedder=lambda inputs: [np.full((1, 128), 3.0, np.float32)])
    vector = FaceEmbedder(sessions)(np.full((100, 100, 3), (200, 100, 7), np.uint8), some_face())
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    tensor = sessions.by_name["face-embedder"].asked[0]["data"]
    assert tensor.shape == (1, 3, 112, 112)
    assert tensor[0, :, 56, 56].tolist() == [200, 100, 7]


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_an_answer_without_direction_is_refused(value: float) -> None:
    sessions = FakeSessions(face_embedder=lambda inputs: [np.full((1, 128), value, np.float32)])
    with pytest.raises(ValueError, match="no direction"):
        FaceEmbedder(sessions)(np.zeros((100, 100, 3), np.uint8), some_face())


def test_five_points_are_in_the_detector_order() -> None:
    frame = clip("train_A", 100)[0]
    detection = FaceDetector()(frame)[0]
    ours = five_points(FaceMesh()(frame, detection).points_xy)
    assert np.abs(ours - detection.points_xy).max() < 10.0  # the face is 185 px high


def test_the_name_changes_with_the_weights() -> None:
    assert CARDS["face-embedder"].sha256[:12] in EMBEDDER_ID
