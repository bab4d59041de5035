"""Outside the face nothing may change: the marks are found, and the encoder's loss is taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_clips import pictures_of, write_clip

from countenance.conversion.settings import ConvertSettings
from countenance.evaluation.outside import Marking, OutsideScorer, encode_unswapped, find_marking
from countenance.media.read import read_frames
from countenance.provenance.label import LABEL_TEXTS, LabelLook, label_text

COUNT = 26  # the watermark is first looked for after 25 frames
MARK = bytes(range(5))
LABEL = (label_text(synthetic=True, language="fr"), LabelLook("top", "light", "fr"))


@pytest.fixture(scope="module")
def footage() -> list[np.ndarray]:
    return pictures_of("test_A", 0, COUNT)


def _face(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.float32)
    mask[80:240, 100:220] = 1.0
    return mask


@pytest.mark.parametrize(("watermark", "labelled"), [(MARK, True), (None, True), (MARK, False), (None, False)])
def test_the_marks_of_a_file_are_found(
    tmp_path: Path, footage: list[np.ndarray], watermark: bytes | None, labelled: bool
) -> None:
    marking = Marking(watermark, LABEL if labelled else None, footage[0].shape[:2])
    found = find_marking(write_clip(tmp_path / "swap.mp4", [marking(picture) for picture in footage], crf=16))
    assert (found.watermark, found.drawn) == (watermark, LABEL if labelled else None)
    assert found.label.any() == labelled


@pytest.mark.parametrize(
    ("language", "position", "style"), list(zip(LABEL_TEXTS, LabelLook.POSITIONS, ("title", "dark") * 3, strict=True))
)
def test_a_label_of_every_place_and_language_is_found(
    tmp_path: Path, footage: list[np.ndarray], language: str, position: str, style: str
) -> None:
    label = (label_text(synthetic=position.startswith("top"), language=language), LabelLook(position, style, language))
    marking = Marking(None, label, footage[0].shape[:2])
    assert find_marking(write_clip(tmp_path / "swap.mp4", [marking(footage[0])], crf=32)).drawn == label


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_picture_is_no_label(tmp_path: Path, grey: int) -> None:
    assert (
        find_marking(write_clip(tmp_path / "plain.mp4", [np.full((240, 320, 3), grey, np.uint8)], crf=16)).drawn is None
    )


def _outside(tmp_path: Path, footage: list[np.ndarray], change: np.ndarray) -> tuple[int, float, float]:
    """A marked swap in which ``change`` was added, scored."""
    plain = write_clip(tmp_path / "footage.mp4", footage, crf=0)
    decoded = [frame.rgb for frame in read_frames(plain)]
    marking = Marking(MARK, LABEL, footage[0].shape[:2])
    swap = [marking(np.clip(picture + change, 0, 255).astype(np.uint8)) for picture in decoded]
    settings = ConvertSettings()
    swapped = write_clip(tmp_path / "swap.mp4", swap, crf=settings.crf, preset=settings.preset)
    encode_unswapped(plain, tmp_path / "again.mp4", marking, settings)
    scorer = OutsideScorer(marking)
    for seen, again, picture in zip(read_frames(swapped), read_frames(tmp_path / "again.mp4"), decoded, strict=True):
        scorer.add(seen.rgb, again.rgb, picture, _face(picture.shape))
    result = scorer.result()
    assert result is not None
    return result.excess, result.mean, result.encoder_mean


def test_a_change_of_the_face_alone_is_none_outside(tmp_path: Path, footage: list[np.ndarray]) -> None:
    change = 60 * _face(footage[0].shape)[..., None].astype(int)
    excess, mean, encoder_mean = _outside(tmp_path, footage, change)
    assert excess <= 12  # one pixel in 10^6: an encoder's dice
    assert mean == pytest.approx(encoder_mean, abs=0.15)


def test_a_small_patch_outside_is_an_excess_and_a_tint_raises_the_mean(
    tmp_path: Path, footage: list[np.ndarray]
) -> None:
    patch = np.zeros(footage[0].shape, int)
    patch[8:24, 8:24] = 90
    excess, _, _ = _outside(tmp_path, footage, patch)
    assert excess > 25
    _, mean, encoder_mean = _outside(tmp_path, footage, np.full(footage[0].shape, 4))
    assert mean > encoder_mean + 1.5


def test_a_face_that_fills_the_frame_leaves_nothing_to_measure() -> None:
    scorer = OutsideScorer(Marking(None, None, (40, 40)))
    picture = np.zeros((40, 40, 3), np.uint8)
    scorer.add(picture, picture, picture, np.ones((40, 40), np.float32))
    assert scorer.result() is None
    scorer.add(picture, picture, picture, None)
    result = scorer.result()
    assert result is not None
    assert result.largest == 0
