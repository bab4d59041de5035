"""The visible label: a sentence burnt into every frame.

It stands in the title-safe area (5 % from each edge, SMPTE ST 2046-1), with letters of 3.6 % of the shorter side
and 11 px at least. Style ``dark`` is white letters on an opaque dark plate, ``light`` the reverse; ``title`` has no
plate, for films: larger white letters, each with a dark rim of its own. Letters and what touches them are opaque, so
that the label neither flickers nor takes on the picture behind it, and it reads alike on snow and at night. Drawn once
a frame size, then pasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from countenance.errors import MarkError, OutputError
from countenance.fonts import dejavu_path

if TYPE_CHECKING:
    from countenance.types import UInt8

__all__ = ["LABEL_TEXT", "LABEL_TEXTS", "PLAIN_LOOK", "LabelLook", "Plate", "draw_label", "label_plate", "label_text"]

LABEL_TEXTS = {
    "en": ("Face replaced with consent", "Synthetic face"),
    "de": ("Gesicht mit Einwilligung ersetzt", "Künstliches Gesicht"),
    "es": ("Rostro sustituido con consentimiento", "Rostro sintético"),
    "fr": ("Visage remplacé avec consentement", "Visage synthétique"),
    "ru": ("Лицо заменено с согласия", "Искусственное лицо"),
    "uk": ("Обличчя замінено за згодою", "Штучне обличчя"),
}
"""What the label says, by language: of a lender who consented, and of a synthetic person."""
LABEL_TEXT = "Face replaced with consent · Countenance"
"""What the label says of a lender who consented, in English."""

_SAFE = 0.05  # title-safe margin on each side, as a fraction of the frame's side
_LETTERS = {"dark": 0.036, "light": 0.036, "title": 0.045}  # of the shorter side: 28 px capitals at 1080p, as subtitles
_SMALLEST_PX = 11  # DejaVu Sans Bold is still read without effort at this size
_RIM = 0.14  # of the letters' size, and 2 px at least
# Legal black and white, so that a limited-range conversion does not clip: a contrast of 16:1, WCAG 2 AAA asks for 7:1.
_DARK, _LIGHT = 16, 235


@dataclass(frozen=True, slots=True)
class LabelLook:
    """Where and how the label stands; that it stands is not a matter of looks.

    ``position`` is ``top`` or ``bottom``, alone for the middle or with ``-left`` or ``-right``; ``style`` is ``dark``,
    ``light`` or ``title``; ``language`` one of :data:`LABEL_TEXTS`.

    Raises:
        OutputError: there is no such position, style or language.
    """

    position: str = "bottom-left"
    style: str = "dark"
    language: str = "en"

    POSITIONS = ("bottom-left", "bottom", "bottom-right", "top-left", "top", "top-right")
    STYLES = tuple(_LETTERS)

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("position", self.position, self.POSITIONS),
            ("style", self.style, self.STYLES),
            ("language", self.language, tuple(LABEL_TEXTS)),
        ):
            if value not in choices:
                raise OutputError(
                    f"The label has no {what} {value!r}. Choose {', '.join(choices[:-1])} or {choices[-1]}."
                )


PLAIN_LOOK = LabelLook()
"""Dark plate, lower left, English."""


def label_text(*, synthetic: bool, language: str = "en") -> str:
    """The words that a consent record asks for: of a synthetic person nobody has consented.

    Args:
        synthetic: whether the record is of a synthetic person.
        language: one of :data:`LABEL_TEXTS`.
    """
    return f"{LABEL_TEXTS[language][synthetic]} · Countenance"


class Plate(NamedTuple):
    """A drawn label: ``rgb`` uint8 ``(h, w, 3)``, where its top-left pixel goes in the frame, and ``alpha`` uint8
    ``(h, w)`` where parts of the frame show between the letters, else None.
    """

    rgb: UInt8
    top: int
    left: int
    alpha: UInt8 | None = None


def draw_label(rgb: UInt8, text: str = LABEL_TEXT, look: LabelLook = PLAIN_LOOK) -> UInt8:
    """A copy of the frame with the label burnt in.

    Args:
        rgb: uint8 ``(H, W, 3)`` frame.
        text: the sentence; the same for the whole video.
        look: position and style.

    Returns:
        uint8 ``(H, W, 3)``; the input is not touched.

    Raises:
        ValueError: not a picture, or an empty text.
        MarkError: the installation lacks the font.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"draw_label: expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    plate = label_plate((rgb.shape[0], rgb.shape[1]), text, look)
    labelled = rgb.copy()
    height, width = plate.rgb.shape[:2]
    part = labelled[plate.top : plate.top + height, plate.left : plate.left + width]
    if plate.alpha is None:
        part[:] = plate.rgb
    else:
        alpha = plate.alpha[..., None].astype(np.uint16)
        part[:] = (plate.rgb * alpha + part * (255 - alpha) + 127) // 255
    return labelled


@lru_cache(maxsize=32)
def label_plate(size_hw: tuple[int, int], text: str = LABEL_TEXT, look: LabelLook = PLAIN_LOOK) -> Plate:
    """The label for frames of one size, drawn once.

    The letters shrink to fit the title-safe width, but not below 11 px: then the text breaks into lines. A frame too
    small even for that gets the label resized whole into the frame, so that no frame goes without.

    Args:
        size_hw: height and width of the frame in pixels.
        text: the sentence.
        look: position and style.

    Raises:
        ValueError: an empty text or frame.
    """
    height, width = size_hw
    words = [word for word in text.replace("· ", "·\N{NO-BREAK SPACE}").split(" ") if word]
    if not words or height < 1 or width < 1:
        raise ValueError(f"label_plate: expected a text and a frame, got {text!r} and {size_hw}")
    room = max(1, round(width * (1.0 - 2.0 * _SAFE)))
    letters_px = max(_SMALLEST_PX, round(_LETTERS[look.style] * min(height, width)))
    while letters_px > _SMALLEST_PX and _plate_width(" ".join(words), letters_px) > room:
        letters_px -= 1
    picture = _draw(_lines(words, letters_px, room), letters_px, look)
    shrink = min(1.0, width / picture.width, height / picture.height)
    if shrink < 1.0:
        small = (max(1, int(picture.width * shrink)), max(1, int(picture.height * shrink)))
        picture = picture.resize(small, Image.Resampling.LANCZOS)
    down, _, aside = look.position.partition("-")
    top, left = (
        _place(side, used, where)
        for side, used, where in ((height, picture.height, down), (width, picture.width, aside))
    )
    rgba = np.array(picture, np.uint8)
    rgb, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
    rgb.setflags(write=False)  # cached and shared
    alpha.setflags(write=False)
    # On the grid of 4:2:0 chroma: sharp edges.
    return Plate(rgb, top - top % 2, left - left % 2, alpha if look.style == "title" else None)


def _place(side: int, used: int, where: str) -> int:
    """Where the plate begins along one side of the frame."""
    margin = round(side * _SAFE)
    first, last = min(margin, side - used), max(0, side - margin - used)
    return {"top": first, "left": first, "bottom": last, "right": last}.get(where, (side - used) // 2)


def _lines(words: list[str], letters_px: int, room: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _plate_width(longer, letters_px) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw(lines: list[str], letters_px: int, look: LabelLook) -> Image.Image:
    """The lines, RGBA; opaque all over unless the style has no plate."""
    font, padding = _font(letters_px), _padding(letters_px)
    line_height = round((1.4 if look.style == "title" else 1.25) * letters_px)
    widths = [_plate_width(line, letters_px) for line in lines]
    size = (max(widths), line_height * len(lines) + padding)
    letters, around = Image.new("L", size), Image.new("L", size, 0 if look.style == "title" else 255)
    rim = max(2, round(_RIM * letters_px))
    _, _, aside = look.position.partition("-")
    for number, line in enumerate(lines):
        middle = padding / 2 + line_height * (number + 0.5)
        spare = {"left": 0, "right": size[0] - widths[number]}.get(aside, (size[0] - widths[number]) // 2)
        place = (padding + spare, middle)
        ImageDraw.Draw(letters).text(place, line, font=font, fill=255, anchor="lm")
        if look.style == "title":
            ImageDraw.Draw(around).text(place, line, font=font, fill=255, anchor="lm", stroke_width=rim)
    ink, ground = (_DARK, _LIGHT) if look.style == "light" else (_LIGHT, _DARK)
    grey = letters.point([round(ground + (ink - ground) * share / 255) for share in range(256)])
    return Image.merge("RGBA", (grey, grey, grey, around))


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
