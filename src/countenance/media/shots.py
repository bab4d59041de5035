"""Finds cuts, so that nothing is tracked from one shot into the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from countenance.types import Float32, UInt8

__all__ = ["ShotDetector"]

_THUMBNAIL_WH = (48, 27)
_CUT = 0.10  # mean absolute change of a thumbnail in [0, 1]: pans and passing people stay below about 0.06
_ABOVE_USUAL = 3.0  # a cut stands out from the motion of the frames before it
_DISTURBED = 0.04
_MEMORY = 0.8


class ShotDetector:
    """Compares each frame with the one before it."""

    def __init__(self) -> None:
        self._last: Float32 | None = None
        self._usual = 0.0
        self.first = False
        """Whether the last frame was the first of its shot."""
        self.disturbed = False
        """Whether the last frame differed so much that a track should be recognised anew, cut or not."""

    def __call__(self, rgb: UInt8) -> bool:
        """Whether a new shot begins with this frame. The first frame begins none.

        A flash may count as a cut; that costs no more than recognising everybody again.

        Args:
            rgb: uint8 ``(H, W, 3)``.
        """
        # Nearest neighbours first: averaging a whole 2160p frame would cost more than all the tracking.
        step = max(1, rgb.shape[1] // (4 * _THUMBNAIL_WH[0]))
        small = cv2.resize(np.ascontiguousarray(rgb[::step, ::step]), _THUMBNAIL_WH, interpolation=cv2.INTER_AREA)
        picture = small.astype(np.float32) / np.float32(255.0)
        last, self._last = self._last, picture
        if last is None:
            self.first, self.disturbed = True, False
            return False
        change = float(np.abs(picture - last).mean())
        cut = change > max(_CUT, _ABOVE_USUAL * self._usual)
        self.disturbed = change > max(_DISTURBED, _ABOVE_USUAL * self._usual)
        self.first = cut
        self._usual = 0.0 if cut else _MEMORY * self._usual + (1.0 - _MEMORY) * change
        return cut
