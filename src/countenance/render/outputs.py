"""What a swap gives: the render, the clip to review and the patches; where each goes, and what was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import OutputError

if TYPE_CHECKING:
    from countenance.conversion.report import ConvertReport

__all__ = ["Extras", "PatchesReport", "SwapReport", "review_path"]


@dataclass(frozen=True, slots=True)
class Extras:
    """What is made beside the render, and a second mark in it.

    ``review``: a clip of the veiled spans, named :func:`review_path`. ``patches``: a folder for the painted faces apart
    from the footage, which must not exist yet or be empty. ``patch_format``: PNG of 8 bits, or EXR of 16-bit floats.
    ``secret_watermark``: a second invisible mark with the same id, which only this installation can find.
    """

    review: bool = False
    patches: Path | None = None
    patch_format: str = "png"
    secret_watermark: bool = False

    def __post_init__(self) -> None:
        if self.patch_format not in ("png", "exr"):
            raise OutputError(f"There is no patch format {self.patch_format!r}. Choose png or exr.")


@dataclass(frozen=True, slots=True)
class PatchesReport:
    """The patches that were made: ``files`` pictures in ``folder``; ``sha256`` of its ``patches.json``; ``watermark``
    the id that each of them carries, in hex.
    """

    folder: Path
    files: int
    sha256: str
    watermark: str


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What a swap did.

    ``output`` is the render, ``sha256`` of its bytes; ``watermark`` its id in hex, which the ledger maps to the render;
    ``record_id`` the consent record it was made under; ``seconds`` the wall clock of everything; ``convert`` the facts
    of the conversion itself, with the frames that were veiled. ``review`` is the clip of the veiled spans, None when it
    was not asked for or nothing was veiled; ``patches`` what was made of them.
    """

    output: Path
    sha256: str
    watermark: str
    record_id: str
    preset: str
    iteration: int
    label_shown: bool
    seconds: float
    convert: ConvertReport
    review: Path | None = None
    patches: PatchesReport | None = None


def review_path(output: Path) -> Path:
    """Where the clip to review goes: ``scene.review.mp4`` beside ``scene.mov``."""
    return output.with_name(f"{output.stem}.review.mp4")
