"""The visible label: a sentence burnt into every frame.

White letters on an opaque dark plate in the lower left of the title-safe area (5 % from each edge, SMPTE ST 2046-1).
The plate is opaque, so its bytes are the same in every frame: it neither flickers nor takes on the picture behind it,
and it reads alike on snow and at night. Drawn once a frame size, then pasted.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from countenance.errors import MarkError
from countenance.fonts import dejavu_path

if TYPE_CHECKING:
    from countenance.types import UInt8

__all__ = ["LABEL_TEXT", "Plate", "draw_label", "label_plate"]

LABEL_TEXT = "Face replaced with consent · Countenance"
"""What the label says unless the consent record asks for other words."""

_SAFE = 0.05  # title-safe margin on each side, as a fraction of the frame's side
_LETTERS = 0.036  # of the frame's shorter side: 9 px capitals at 360p, 28 px at 1080p, like common subtitles
_SMALLEST_PX = 11  # DejaVu Sans Bold is still read without effort at this size
_PLATE_RGB = (16, 16, 16)  # with the letters a contrast of 16:1, WCAG 2 AAA asks for 7:1
_LETTERS_RGB = (235, 235, 235)  # legal white, so that a limited-range conversion does not clip


class Plate(NamedTuple):
    """A drawn label: ``rgb`` uint8 ``(h, w, 3)`` and where its top-left pixel goes in the frame."""

    rgb: UInt8
    top: int
    left: int


def draw_label(rgb: UInt8, text: str = LABEL_TEXT) -> UInt8:
    """A copy of the frame with the label burnt in.

    Args:
        rgb: uint8 ``(H, W, 3)`` frame.
        text: the sentence; the same for the whole video.

    Returns:
        uint8 ``(H, W, 3)``; the input is not touched.

    Raises:
        ValueError: not a picture, or an empty text.
        MarkError: the installation lacks the font.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"draw_label: expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    plate = label_plate((rgb.shape[0], rgb.shape[1]), text)
    labelled = rgb.copy()
    height, width = plate.rgb.shape[:2]
    labelled[plate.top : plate.top + height, plate.left : plate.left + width] = plate.rgb
    return labelled


@lru_cache(maxsize=16)
def label_plate(size_hw: tuple[int, int], text: str = LABEL_TEXT) -> Plate:
    """The label for frames of one size, drawn once.

    The letters shrink to fit the title-safe width, but not below 11 px: then the text breaks into lines. A frame too
    small even for that gets the label resized whole into the frame, so that no frame goes without.

    Args:
        size_hw: height and width of the frame in pixels.
        text: the sentence.

    Raises:
        ValueError: an empty text or frame.
    """
    height, width = size_hw
    words = [word for word in text.replace("· ", "·\N{NO-BREAK SPACE}").split(" ") if word]
    if not words or height < 1 or width < 1:
        raise ValueError(f"label_plate: expected a text and a frame, got {text!r} and {size_hw}")
    room = max(1, round(width * (1.0 - 2.0 * _SAFE)))
    letters_px = max(_SMALLEST_PX, round(_LETTERS * min(height, width)))
    while letters_px > _SMALLEST_PX and _plate_width(" ".join(words), letters_px) > room:
        letters_px -= 1
    picture = _draw(_lines(words, letters_px, room), letters_px)
    shrink = min(1.0, width / picture.width, height / picture.height)
    if shrink < 1.0:
        small = (max(1, int(picture.width * shrink)), max(1, int(picture.height * shrink)))
        picture = picture.resize(small, Image.Resampling.LANCZOS)
    top = max(0, height - round(height * _SAFE) - picture.height)
    left = min(round(width * _SAFE), width - picture.width)
    plate = np.array(picture, np.uint8)
    plate.setflags(write=False)  # cached and shared
    return Plate(plate, top - top % 2, left - left % 2)  # on the grid of 4:2:0 chroma: sharp edges


def _lines(words: list[str], letters_px: int, room: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _plate_width(longer, letters_px) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw(lines: list[str], letters_px: int) -> Image.Image:
    font, padding = _font(letters_px), _padding(letters_px)
    line_height = round(1.25 * letters_px)
    width = max(_plate_width(line, letters_px) for line in lines)
    picture = Image.new("RGB", (width, line_height * len(lines) + padding), _PLATE_RGB)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        middle = padding / 2 + line_height * (number + 0.5)
        pen.text((padding, middle), line, font=font, fill=_LETTERS_RGB, anchor="lm")
    return picture


def _plate_width(line: str, letters_px: int) -> int:
    return round(_font(letters_px).getlength(line)) + 2 * _padding(letters_px)


def _padding(letters_px: int) -> int:
    return max(3, round(0.5 * letters_px))


@lru_cache(maxsize=64)
def _font(letters_px: int) -> ImageFont.FreeTypeFont:
    # The basic layout places glyphs the same way on every machine; Raqm, where Pillow finds it, may not.
    return ImageFont.truetype(str(_font_path()), letters_px, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _font_path() -> Path:
    """DejaVu Sans Bold, a free font that matplotlib ships (found, not imported: that takes half a second)."""
    if not features.check("freetype2"):
        raise MarkError("The label cannot be drawn: this Pillow has no FreeType. Reinstall it: pip install -U pillow.")
    path = dejavu_path("DejaVuSans-Bold.ttf")
    if path is None:
        raise MarkError("The label's font comes with matplotlib, which is missing. Reinstall countenance with pip.")
    return path
