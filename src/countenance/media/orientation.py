"""How a stored picture must be turned to be upright (the display matrix of MP4 and MOV)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, cast

import cv2
import numpy as np
from av.sidedata.sidedata import Type

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideDataContainer
    from av.video.frame import VideoFrame

    from countenance.types import UInt8

__all__ = ["UPRIGHT", "Orientation", "orientation_of"]


class Orientation(NamedTuple):
    """Upright picture from the stored one: first swap the axes, then mirror x, then mirror y."""

    swaps_axes: bool
    mirrors_x: bool
    mirrors_y: bool

    @property
    def degrees_clockwise(self) -> int:
        """0, 90, 180 or 270; of a mirrored picture, the turn that follows the exchange of left and right."""
        if not self.swaps_axes:
            return 180 if self.mirrors_y else 0
        return 90 if self.mirrors_x else 270

    @property
    def mirrored(self) -> bool:
        """Whether the turn alone does not do it: left and right are exchanged too."""
        return (self.swaps_axes + self.mirrors_x + self.mirrors_y) % 2 == 1

    def apply(self, picture: UInt8) -> UInt8:
        """Turn ``(H, W, 3)`` upright; the same array when nothing is to be done."""
        if self.swaps_axes:
            picture = np.asarray(cv2.transpose(picture), np.uint8)
        if self.mirrors_x or self.mirrors_y:
            code = -1 if self.mirrors_x and self.mirrors_y else int(self.mirrors_x)
            picture = np.asarray(cv2.flip(picture, code), np.uint8)
        return picture


UPRIGHT = Orientation(swaps_axes=False, mirrors_x=False, mirrors_y=False)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix of a decoded frame; upright when it has none.

    The matrix (ISO/IEC 14496-12, 6.2.2) takes a stored point to ``x' = a·x + c·y``, ``y' = b·x + d·y``. Cameras write
    quarter turns and mirrorings; any other angle is taken as its nearest quarter turn.
    """
    side_data = cast("SideDataContainer", frame.side_data)  # PyAV's stub says a dictionary
    try:
        matrix = bytes(side_data[Type.DISPLAYMATRIX])
    except KeyError:
        return UPRIGHT
    if len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(swaps_axes=True, mirrors_x=c < 0, mirrors_y=b < 0)
    return Orientation(swaps_axes=False, mirrors_x=a < 0, mirrors_y=d < 0)
