"""The judge of identity: dlib's network, and the arithmetic around it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation_clips import PERFORMERS, pictures_of, write_clip

from countenance.errors import NoFaceError, WeightsError
from countenance.evaluation.judge import DlibJudge, Referee, identity, template
from countenance.perception.perceive import Perception


def _referee(lender: np.ndarray, performer: np.ndarray) -> Referee:
    return Referee(lambda rgb, points_xy: np.zeros(1), lender, performer)


def test_distances_decide() -> None:
    referee = _referee(np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    result = identity([np.array([0.9, 0.0]), np.array([0.7, 0.0]), np.array([0.2, 0.0])], referee)
    assert result is not None
    assert result.frames == 3
    assert result.top1 == pytest.approx(2 / 3)
    assert result.margin == pytest.approx(np.mean([0.8, 0.4, -0.6]))
    assert result.lender_distance == pytest.approx(np.mean([0.1, 0.3, 0.8]))
    assert identity([], referee) is None


def test_a_tie_is_not_the_lender() -> None:
    result = identity([np.array([0.5])], _referee(np.array([1.0]), np.array([0.0])))
    assert result is not None
    assert result.top1 == 0.0


def test_the_performers_are_told_apart_in_clips_and_photos(tmp_path: Path) -> None:
    from PIL import Image

    judge, see = DlibJudge(), Perception()
    photo = tmp_path / "b.png"
    Image.fromarray(pictures_of("train_B", 200, 1)[0]).save(photo)
    short = write_clip(tmp_path / "a.mp4", pictures_of("train_A", 100, 3), crf=10)
    from_photo, from_clip = template(photo, judge, see), template(short, judge, see)
    truth = template(write_clip(tmp_path / "t.mp4", pictures_of("test_gt_matched", 40, 3), crf=10), judge, see)
    assert from_photo.shape == (128,)
    assert np.linalg.norm(truth - from_photo) < np.linalg.norm(truth - from_clip) - 0.15
    assert np.array_equal(template(photo, judge, see), from_photo)


def test_a_clip_without_a_face_is_refused(tmp_path: Path) -> None:
    empty = write_clip(tmp_path / "wall.mp4", [np.full((160, 160, 3), 90, np.uint8)] * 2)
    with pytest.raises(NoFaceError, match=r"wall\.mp4 shows no face"):
        template(empty, lambda rgb, points: np.zeros(2), Perception())


def test_without_dlib_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(WeightsError, match="pip install dlib-bin"):
        DlibJudge()


def test_the_judge_has_no_part_in_what_it_judges() -> None:
    """Nothing that trains, gates or converts may know it."""
    source = PERFORMERS.parents[1]
    for folder in ("training", "consent", "faceset", "conversion", "perception"):
        for path in (source / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "evaluation.judge" not in text, path
            assert "import dlib" not in text, path
