"""The screens. No sexual material is used anywhere: the network is only run on the performers, the rule on numbers."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from perception_fakes import FakeSessions, clip

from countenance.errors import MinorError, SexualContentError
from countenance.perception.detect import FaceDetector
from countenance.perception.landmarks import FaceMesh
from countenance.perception.screen import (
    MINIMUM_AGE,
    SEXUAL_CONTENT_LIMIT,
    ApparentAge,
    SexualContentScreen,
    require_adult,
    require_decent,
)
from countenance.types import FaceLandmarks

NAN = float("nan")


@pytest.mark.parametrize("name", ["train_A", "train_B", "test_A", "occl_C"])
def test_the_performers_are_adult_and_decent(name: str) -> None:
    detect, mesh, age, screen = FaceDetector(), FaceMesh(), ApparentAge(), SexualContentScreen()
    frames = clip(name, 25)
    ages = [age(frame, mesh(frame, detect(frame)[0])) for frame in frames]
    scores = [screen(frame) for frame in frames]
    require_adult(ages, name)
    require_decent(scores, name)
    assert 21.0 < median(ages) < 45.0
    assert max(scores) < SEXUAL_CONTENT_LIMIT - 0.1


@pytest.mark.parametrize("ages", [[17.9], [12, 13, 40], [17, 17, 30, 30, 5], [NAN], [NAN, NAN, 40], []])
def test_who_appears_under_age_is_refused(ages: list[float]) -> None:
    with pytest.raises(MinorError, match="the lender"):
        require_adult(ages, "the lender")


@pytest.mark.parametrize("ages", [[MINIMUM_AGE], [10, 25, 26], [NAN, 30, 31], [80.0]])
def test_one_low_estimate_does_not_refuse_an_adult(ages: list[float]) -> None:
    require_adult(iter(ages), "the lender")


@pytest.mark.parametrize("scores", [[0.8], [0.1] * 500 + [0.93], [NAN, 0.0], []])
def test_one_flagged_picture_refuses_the_material(scores: list[float]) -> None:
    with pytest.raises(SexualContentError, match=r"clip\.mp4"):
        require_decent(scores, "clip.mp4")


def test_decent_scores_pass() -> None:
    require_decent((score for score in (0.0, 0.3, SEXUAL_CONTENT_LIMIT - 1e-6)), "clip.mp4")


def test_the_screen_gets_bgr_without_the_mean_and_the_second_output_counts() -> None:
    sessions = FakeSessions(sexual_content=lambda inputs: [np.array([[0.25, 0.75]], np.float32)])
    assert SexualContentScreen(sessions)(np.full((90, 160, 3), (200, 100, 50), np.uint8)) == 0.75
    tensor = sessions.by_name["sexual-content"].asked[0]["input:0"]
    assert tensor.shape == (1, 224, 224, 3)
    np.testing.assert_allclose(tensor[0, 100, 100], [50 - 104, 100 - 117, 200 - 123], atol=3.0)  # JPEG rounds


def test_age_is_the_mean_of_the_distribution_and_the_chip_is_upright() -> None:
    odds = np.zeros((1, 81), np.float32)
    odds[0, [0, 40, 60]] = [0.2, 0.4, 0.4]
    sessions = FakeSessions(apparent_age=lambda inputs: [odds])
    points = np.zeros((478, 2), np.float32)
    points[[263, 362, 33, 133, 2]] = [[85, 30], [65, 30], [15, 30], [35, 30], [50, 66]]
    face = FaceLandmarks(points, np.zeros(478, np.float32), np.zeros(52, np.float32), 1.0)
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[50:] = (122, 117, 104)
    assert ApparentAge(sessions)(picture, face) == pytest.approx(0.2 * 0.25 + 0.4 * 40 + 0.4 * 60, abs=1e-4)
    tensor = sessions.by_name["apparent-age"].asked[0]["images"]
    assert tensor.shape == (1, 3, 64, 64)
    assert np.abs(tensor[0, :, 50]).max() < 0.01  # the lower half is the mean colour
    np.testing.assert_allclose(tensor[0, :, 10, 32], [-0.4796, -0.457, -0.4074], atol=0.01)
