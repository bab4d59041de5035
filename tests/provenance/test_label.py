from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from countenance.provenance.label import draw_label, label_plate

SIZES = [(240, 426), (320, 320), (360, 640), (720, 1280), (1080, 1920), (1920, 1080), (2160, 3840)]


@pytest.mark.parametrize("size_hw", SIZES)
def test_plate_lies_title_safe_in_the_lower_left(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    plate = label_plate(size_hw)
    bottom, right = plate.top + plate.rgb.shape[0], plate.left + plate.rgb.shape[1]
    assert plate.top > height / 2
    assert plate.left >= 0.05 * width - 2
    assert right <= 0.95 * width + 2
    assert 0.95 * height - 2 <= bottom <= 0.95 * height + 2


@pytest.mark.parametrize("size_hw", SIZES)
def test_letters_are_big_and_contrast_is_high(size_hw: tuple[int, int]) -> None:
    luma = label_plate(size_hw).rgb.astype(np.float64).mean(axis=2)
    rows = np.flatnonzero((luma > 200).any(axis=1))
    assert np.ptp(rows) + 1 >= max(8, 0.025 * min(size_hw))  # capitals and descenders, in pixels
    lighter, darker = (((luma.max() / 255) + 0.055) / 1.055) ** 2.4, (((luma.min() / 255) + 0.055) / 1.055) ** 2.4
    assert (lighter + 0.05) / (darker + 0.05) > 7.0  # WCAG 2 AAA


def test_bytes_are_the_same_on_every_frame_and_nothing_else_changes() -> None:
    rng = np.random.default_rng(0)
    plate = label_plate((360, 640))
    inside = (slice(plate.top, plate.top + plate.rgb.shape[0]), slice(plate.left, plate.left + plate.rgb.shape[1]))
    for _ in range(3):
        frame = rng.integers(0, 256, (360, 640, 3), np.uint8)
        before = frame.copy()
        labelled = draw_label(frame)
        assert np.array_equal(frame, before)
        assert np.array_equal(labelled[inside], plate.rgb)
        labelled[inside] = frame[inside]
        assert np.array_equal(labelled, frame)


def test_narrow_frame_breaks_the_line_and_keeps_the_size() -> None:
    wide, narrow = label_plate((240, 426)), label_plate((240, 160))
    assert narrow.rgb.shape[1] <= 0.9 * 160
    assert narrow.rgb.shape[0] > 1.8 * wide.rgb.shape[0]


@pytest.mark.parametrize("size_hw", [(1, 1), (16, 16), (30, 40), (2, 500)])
def test_no_frame_is_too_small_for_a_label(size_hw: tuple[int, int]) -> None:
    frame = np.full((*size_hw, 3), 128, np.uint8)
    labelled = draw_label(frame)
    assert labelled.shape == frame.shape
    assert not np.array_equal(labelled, frame)


def test_other_words_give_another_label() -> None:
    assert not np.array_equal(label_plate((720, 1280)).rgb, label_plate((720, 1280), "Visage prêté · Fiction").rgb)


def test_every_letter_has_a_glyph() -> None:
    empty = label_plate((2160, 3840), "\U0010ffff")
    dot = label_plate((2160, 3840), "·")
    assert not np.array_equal(empty.rgb, dot.rgb)


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_not_a_picture(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        draw_label(frame)


def test_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a text"):
        draw_label(np.zeros((90, 160, 3), np.uint8), "  ")


def test_font_does_not_import_matplotlib() -> None:
    program = (
        "import sys, numpy as np; from countenance.provenance.label import draw_label;"
        "draw_label(np.zeros((90, 160, 3), np.uint8)); print('matplotlib' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
