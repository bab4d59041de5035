from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from countenance.errors import OutputError
from countenance.provenance.label import LABEL_TEXT, LABEL_TEXTS, LabelLook, draw_label, label_plate, label_text

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


def luminance(levels: np.ndarray) -> np.ndarray:
    """Relative luminance of grey (WCAG 2)."""
    share = levels / 255.0
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("style", LabelLook.STYLES)
@pytest.mark.parametrize("size_hw", [(160, 284), (284, 160), (160, 160), (1080, 1920)])
def test_letters_stand_out_from_whatever_is_behind(style: str, size_hw: tuple[int, int]) -> None:
    """Along every row through the letters, what lies next to their strokes contrasts by 4.5:1 and more."""
    look = LabelLook("bottom", style)
    plate = label_plate(size_hw, LABEL_TEXT, look)
    height, width = plate.rgb.shape[:2]
    ink = luminance(plate.rgb[..., 0].astype(np.float64))
    full = ink < 0.1 if style == "light" else ink > 0.7
    rng = np.random.default_rng(0)
    for behind in (np.zeros(3), np.full(3, 255), np.full(3, 128), None):
        frame = rng.integers(0, 256, (*size_hw, 3)) if behind is None else np.broadcast_to(behind, (*size_hw, 3))
        seen = draw_label(frame.astype(np.uint8), LABEL_TEXT, look)
        seen = seen[plate.top : plate.top + height, plate.left : plate.left + width].astype(np.float64).mean(axis=2)
        around = cv2.dilate(full.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~full
        next_to = (
            cv2.erode(luminance(seen), np.ones((3, 3)))
            if style != "light"
            else cv2.dilate(luminance(seen), np.ones((3, 3)))
        )
        letters, ground = (
            np.median(luminance(seen)[full]),
            np.percentile(next_to[around], 5 if style == "light" else 95),
        )
        assert (max(letters, ground) + 0.05) / (min(letters, ground) + 0.05) >= 4.5


@pytest.mark.parametrize("size_hw", [(160, 284), (284, 160), (160, 160), (720, 720), (1920, 1080)])
@pytest.mark.parametrize("style", LabelLook.STYLES)
def test_every_position_is_title_safe(size_hw: tuple[int, int], style: str) -> None:
    height, width = size_hw
    for position in LabelLook.POSITIONS:
        plate = label_plate(size_hw, LABEL_TEXT, LabelLook(position, style))
        high, wide = plate.rgb.shape[:2]
        assert 0.05 * width - 2 <= plate.left <= plate.left + wide <= 0.95 * width + 2
        assert 0.05 * height - 2 <= plate.top <= plate.top + high <= 0.95 * height + 2
        assert (plate.top + high / 2 < height / 2) == position.startswith("top")
        middle = plate.left + wide / 2 - width / 2
        if "-" not in position:
            assert abs(middle) <= 2
        elif wide < 0.8 * width:
            assert (middle < 0) == position.endswith("left")


def test_titles_let_the_picture_through_between_the_letters_and_are_larger() -> None:
    frame = np.full((1080, 1920, 3), 90, np.uint8)
    plate, title = label_plate((1080, 1920)), label_plate((1080, 1920), LABEL_TEXT, LabelLook("bottom", "title"))
    assert plate.alpha is None
    assert title.alpha is not None
    assert 0.3 < (title.alpha == 0).mean() < 0.9
    assert title.rgb.shape[0] > plate.rgb.shape[0]
    labelled = draw_label(frame, LABEL_TEXT, LabelLook("bottom", "title"))
    part = labelled[title.top : title.top + title.rgb.shape[0], title.left : title.left + title.rgb.shape[1]]
    assert (part[title.alpha == 0] == 90).all()


def test_words_follow_the_record_and_every_letter_of_every_language_has_a_glyph() -> None:
    assert label_text(synthetic=False) == LABEL_TEXT
    assert "consent" not in label_text(synthetic=True)
    missing = label_plate((1080, 1920), "\U0010ffff").rgb
    letters = {letter for texts in LABEL_TEXTS.values() for text in texts for letter in text if letter != " "}
    for letter in letters:
        assert not np.array_equal(label_plate((1080, 1920), letter).rgb, missing), letter


@pytest.mark.parametrize("look", [{"position": "middle"}, {"style": "none"}, {"language": "xx"}])
def test_there_is_no_such_look(look: dict[str, str]) -> None:
    with pytest.raises(OutputError, match="Choose"):
        LabelLook(**look)


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
