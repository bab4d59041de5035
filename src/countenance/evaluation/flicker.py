"""Flicker: how much a face changes from frame to frame once its movement is taken out, by the footage's own change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from countenance.types import Float32, UInt8

__all__ = ["FlickerMeter"]

_MARGIN = 16  # pixels around the face in which the flow may point


class FlickerMeter:
    """Compares each frame with the one before it, moved by the optical flow; for one pair of clips.

    The warping error of W.-S. Lai et al., "Learning blind video temporal consistency", ECCV 2018: the flow is the
    footage's, the same for both clips (here by DIS, T. Kroeger et al., ECCV 2016), the error the mean absolute
    difference of luma inside the face. The result is a ratio, since cameras, light and flow have an error of their own.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._last: tuple[UInt8, UInt8] | None = None
        self._errors: list[tuple[float, float]] = []

    def add(self, footage: UInt8, swapped: UInt8, face: Float32 | None) -> None:
        """Take the next frame.

        Args:
            footage: uint8 ``(H, W, 3)``.
            swapped: the same size.
            face: float32 ``(H, W)``, where the face is; None when there is none, or when a shot begins.
        """
        if face is None or not face.any():
            self._last = None
            return
        mine, theirs = (np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8) for rgb in (footage, swapped))
        if self._last is not None:
            rows, columns = np.flatnonzero(face.any(axis=1)), np.flatnonzero(face.any(axis=0))
            part = np.s_[
                max(rows[0] - _MARGIN, 0) : rows[-1] + _MARGIN, max(columns[0] - _MARGIN, 0) : columns[-1] + _MARGIN
            ]
            now, before = (np.ascontiguousarray(luma[part]) for luma in (mine, self._last[0]))
            weight = face[part]
            if min(now.shape) >= 16:
                flow = np.asarray(self._flow.calc(now, before, np.zeros((*now.shape, 2), np.float32)), np.float32)
                errors = (
                    _moved_error(now, before, flow, weight),
                    _moved_error(theirs[part], self._last[1][part], flow, weight),
                )
                self._errors.append(errors)
        self._last = (mine, theirs)

    def ratio(self) -> float | None:
        """The swap's change by the footage's; None when there was no pair of frames, or the footage stood still."""
        if not self._errors:
            return None
        footage, swap = np.mean(self._errors, axis=0)
        return float(swap / footage) if footage > 1e-6 else None


def _moved_error(now: UInt8, before: UInt8, flow: Float32, weight: Float32) -> float:
    """Mean absolute difference, in grey levels, of a picture and the one before it moved by the flow."""
    rows, columns = np.indices(now.shape, np.float32)
    moved = cv2.remap(
        before, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    error = np.abs(now.astype(np.float64) - moved)
    return float((error * weight).sum() / weight.sum())
