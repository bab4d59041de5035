"""DejaVu, a free typeface that matplotlib ships: found, not imported, since importing takes half a second."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

__all__ = ["dejavu", "dejavu_path"]


def dejavu_path(name: str) -> Path | None:
    """The file of a face such as ``DejaVuSans-Bold.ttf``; None where matplotlib is missing."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name


@lru_cache(maxsize=16)
def dejavu(name: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A face at a size in pixels, or Pillow's own where it is missing.

    The basic layout places glyphs the same way on every machine; Raqm, where Pillow finds it, may not.
    """
    path = dejavu_path(name)
    if path is not None and path.is_file():
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
    return ImageFont.load_default(size)
