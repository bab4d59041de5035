from __future__ import annotations

import numpy as np
import pytest
from perception_fakes import FakeSessions, clip

from countenance.perception.segment import PersonSegmenter


@pytest.mark.parametrize("name", ["train_A", "train_B", "occl_C"])
def test_the_face_is_person_and_the_corners_are_not(name: str) -> None:
    segment = PersonSegmenter()
    for frame, truth in zip(clip(name, 25)[::4], clip(f"{name}_mask", 25)[::4], strict=True):
        mask = segment(frame)
        assert mask.kind == "occlusion"
        assert mask.values.shape == frame.shape[:2]
        assert mask.values[truth[:, :, 0] > 128].mean() > 0.97
        assert mask.values[:20, :20].mean() < 0.1
        assert mask.values[:20, -20:].mean() < 0.1


def test_comes_back_at_the_picture_size_and_in_range() -> None:
    answer = np.full((1, 256, 256, 1), 1.5, np.float32)
    answer[0, :128] = np.nan
    sessions = FakeSessions(person_mask=lambda inputs: [answer])
    mask = PersonSegmenter(sessions)(np.full((31, 77, 3), (255, 0, 51), np.uint8))
    assert mask.values.shape == (31, 77)
    assert set(np.unique(mask.values)) == {0.0, 1.0}
    tensor = sessions.by_name["person-mask"].asked[0]["input_1"]
    assert tensor.shape == (1, 256, 256, 3)
    np.testing.assert_allclose(tensor[0, 9, 9], [1.0, 0.0, 0.2], atol=1e-6)
