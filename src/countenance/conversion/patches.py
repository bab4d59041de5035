"""What was painted over the footage, apart from it: straight colour and alpha of each face and each veil.

Laid over the footage in their order, the patches of a frame give the render's picture without its marks, within
rounding. Their colour is the painted face's alone: where nothing was painted it is zero, and in the soft rim the
footage's detail is taken out of it, so that nobody's face can be brought back from a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from countenance.conversion.blend import Region

if TYPE_CHECKING:
    from countenance.conversion.blend import Layer
    from countenance.types import Float32, Float64, Frame, UInt8

__all__ = ["Patch", "TakesPatches", "Veiled", "over", "patch_of"]

Kind = Literal["face", "veil"]
_ROUNDED_AWAY = 0.5  # 8-bit codes: a change below it does not show


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One layer of a frame.

    ``rgb`` float32 ``(h, w, 3)`` in 8-bit codes [0, 255], straight (not multiplied by alpha), zero where ``alpha``
    float32 ``(h, w)`` is; ``picture`` uint8 ``(h, w, 3)`` the region with the layer on it; ``frame_from_aligned``
    float64 ``(2, 3)`` the place of the crop of ``aligned_size`` that the face was painted in, None for a veil.
    """

    kind: Kind
    track: int
    region: Region
    rgb: Float32
    alpha: Float32
    picture: UInt8
    frame_from_aligned: Float64 | None = None
    aligned_size: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Veiled:
    """A veiled face: ``ellipse`` float32 ``(4,)`` as :func:`countenance.conversion.veil.head_ellipse` gives it."""

    track: int
    reason: str
    ellipse: Float32


class TakesPatches(Protocol):
    """Takes the patches of each frame, in order."""

    def write(self, frame: Frame, shot: int, patches: tuple[Patch, ...], veiled: tuple[Veiled, ...]) -> None:
        """Take a frame's patches, in the order in which they are laid over it; there may be none."""
        ...

    def finish_segment(self) -> Any:
        """Make everything so far last; gives what has to be remembered of it, as JSON's types."""
        ...


def patch_of(
    kind: Kind,
    track: int,
    layer: Layer,
    frame_from_aligned: Float64 | None = None,
    aligned_size: int | None = None,
) -> Patch | None:
    """The patch that does what a layer did; None when nothing of it shows.

    The colour is ``plate + change / opacity``, which holds none of the plate's fine detail. Where that leaves what a
    picture can hold (the coarse octaves of the pyramid reach farther than the fine ones), the alpha is raised until it
    does not.

    Args:
        kind: of the layer.
        track: of the face.
        layer: see :class:`countenance.conversion.blend.Layer`.
        frame_from_aligned: see :class:`Patch`.
        aligned_size: likewise.
    """
    plate = layer.plate.astype(np.float32)
    change = np.clip(plate + layer.change, 0.0, 255.0) - plate
    room = np.where(change > 0.0, 255.0 - plate, plate)
    size = np.abs(change)
    needed = (size / np.maximum(room, 1e-3)).max(axis=2)
    lacking = (size - layer.opacity[..., None] * room).max(axis=2) > _ROUNDED_AWAY
    alpha = np.where(lacking, np.maximum(layer.opacity, needed), layer.opacity)
    alpha = np.clip(alpha, 0.0, 1.0)
    shown = alpha * 255.0 > 0.5  # what is less, 8 bits do not show
    if not shown.any():
        return None
    alpha[~shown] = 0.0
    rgb = np.clip(plate + change / np.maximum(alpha, 1e-6)[..., None], 0.0, 255.0)
    rgb[~shown] = 0.0
    picture = np.rint(plate + change).astype(np.uint8)
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # the box by which its watermark is found
    left, top = layer.region.x0 + int(columns[0]), layer.region.y0 + int(rows[0])
    height, width = shown[inside].shape
    return Patch(
        kind,
        track,
        Region(left, top, left + width, top + height),
        np.asarray(rgb[inside], np.float32),
        np.asarray(alpha[inside], np.float32),
        picture[inside],
        frame_from_aligned,
        aligned_size,
    )


def over(frame_rgb: Float32, patch: Patch) -> None:
    """Lay a patch over a picture, in place: what a compositor's "over" does with straight colour.

    Args:
        frame_rgb: float32 ``(H, W, 3)`` in 8-bit codes.
        patch: of that frame.
    """
    region, alpha = patch.region, patch.alpha[..., None]
    part = frame_rgb[region.y0 : region.y1, region.x0 : region.x1]
    part += alpha * (patch.rgb - part)
