"""The demo's contact sheet: rows of the same frames."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from countenance.errors import MediaError
from countenance.fonts import dejavu
from countenance.media.read import read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.types import UInt8

__all__ = ["Row", "contact_sheet", "jpeg_bytes", "pick_frames", "png_bytes", "spread_indexes"]

_INK, _SOFT, _PAPER = (29, 33, 36), (106, 113, 119), (255, 255, 255)
_GAP, _MARGIN, _HEAD = 6, 20, 34


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the contact sheet: a label of a few words and the pictures, uint8 ``(H, W, 3)``, all of one size."""

    label: str
    pictures: Sequence[UInt8]


def spread_indexes(frames: int, count: int) -> list[int]:
    """``count`` frame indexes (fewer in a short clip), evenly over the clip, away from its ends."""
    count = min(count, frames)
    return [int((number + 0.5) * frames / count) for number in range(count)]


def pick_frames(clip: Path, indexes: Sequence[int]) -> list[UInt8]:
    """The pictures of some frames of a clip, in the order of the indexes.

    Raises:
        MediaError: the clip cannot be read or is too short.
    """
    wanted = dict.fromkeys(indexes)
    found: dict[int, UInt8] = {}
    for frame in read_frames(clip):
        if frame.index in wanted:
            found[frame.index] = frame.rgb
        if len(found) == len(wanted):
            return [found[index] for index in indexes]
    raise MediaError(f"{clip.name} has no frame {max(wanted)}. Make the clip again.")


def contact_sheet(rows: Sequence[Row], headings: Sequence[str]) -> UInt8:
    """Rows of pictures under their labels, with a heading over each column: uint8 ``(H, W, 3)``.

    Args:
        rows: from top to bottom.
        headings: one a column.

    Raises:
        ValueError: rows of different lengths, or pictures of different sizes.
    """
    shapes = {picture.shape for row in rows for picture in row.pictures}
    if len(shapes) != 1 or any(len(row.pictures) != len(headings) for row in rows):
        raise ValueError(f"contact_sheet: expected {len(headings)} pictures of one size in each row, got {shapes}")
    height, width, _ = shapes.pop()
    columns = len(headings)
    sheet = Image.new(
        "RGB",
        (2 * _MARGIN + columns * width + (columns - 1) * _GAP, _MARGIN + (_HEAD + height + _GAP) * len(rows) + _HEAD),
        _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    large, small = dejavu("DejaVuSans-Bold.ttf", 17), dejavu("DejaVuSans.ttf", 13)
    top = _MARGIN // 2
    for row in rows:
        pen.text((_MARGIN, top + _HEAD // 2), row.label, font=large, fill=_INK, anchor="lm")
        top += _HEAD
        for column, picture in enumerate(row.pictures):
            sheet.paste(Image.fromarray(picture), (_MARGIN + column * (width + _GAP), top))
        top += height + _GAP
    for column, heading in enumerate(headings):
        centre = _MARGIN + column * (width + _GAP) + width // 2
        pen.text((centre, top + _HEAD // 2 - 4), heading, font=small, fill=_SOFT, anchor="mm")
    return np.asarray(sheet, np.uint8)


def jpeg_bytes(rgb: UInt8, quality: int = 88) -> bytes:
    """A picture as JPEG, for the page."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def png_bytes(rgb: UInt8) -> bytes:
    """A picture as PNG, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", optimize=False)
    return buffer.getvalue()
