"""The values that flow through the program, checked once, when they are made.

Conventions (docs/concepts/conventions.md): pictures are RGB uint8 ``(H, W, 3)``; points are float32 ``(N, 2)``
in ``(x, y)`` pixels; the centre of the top-left pixel is ``(0, 0)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    UInt8 = NDArray[np.uint8]
    Float32 = NDArray[np.float32]
    Float64 = NDArray[np.float64]

__all__ = ["BLENDSHAPES", "LANDMARKS", "AlignedFace", "Detection", "FaceLandmarks", "Frame", "Mask", "SwappedFace"]

LANDMARKS = 478
"""Points of a face: 468 of the canonical mesh, then 5 a pupil (468 the right one's centre, 473 the left one's)."""

BLENDSHAPES = 52
"""Expression coefficients of a face, each in [0, 1]."""


def _expect(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...], dtype: type) -> None:
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(dtype):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        message = f"{name}: expected {np.dtype(dtype).name} {wanted}, got {array.dtype.name} {array.shape}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    ``rgb`` uint8 ``(H, W, 3)``, upright; ``index`` counts frames in display order from the start of the stream;
    ``pts`` in units of ``time_base`` seconds.
    """

    rgb: UInt8
    index: int
    pts: int
    time_base: Fraction

    def __post_init__(self) -> None:
        _expect("Frame.rgb", self.rgb, (None, None, 3), np.uint8)

    @property
    def pts_seconds(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face found by the detector.

    ``box_xyxy`` float32 ``(4,)`` pixels, may reach past the frame; ``score`` in [0, 1]; ``points_xy`` float32
    ``(5, 2)``: the person's right eye, left eye, nose tip, right and left mouth corner.
    """

    box_xyxy: Float32
    score: float
    points_xy: Float32

    def __post_init__(self) -> None:
        _expect("Detection.box_xyxy", self.box_xyxy, (4,), np.float32)
        _expect("Detection.points_xy", self.points_xy, (5, 2), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FaceLandmarks:
    """The dense landmarks of one face in one picture.

    ``points_xy`` float32 ``(478, 2)`` pixels; ``depth`` float32 ``(478,)`` in the same pixels, smaller is nearer to the
    camera; ``blendshapes`` float32 ``(52,)`` in [0, 1]; ``presence`` in [0, 1], the network's word that this is a face.
    """

    points_xy: Float32
    depth: Float32
    blendshapes: Float32
    presence: float

    def __post_init__(self) -> None:
        _expect("FaceLandmarks.points_xy", self.points_xy, (LANDMARKS, 2), np.float32)
        _expect("FaceLandmarks.depth", self.depth, (LANDMARKS,), np.float32)
        _expect("FaceLandmarks.blendshapes", self.blendshapes, (BLENDSHAPES,), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """A crop warped to the canonical template.

    ``rgb`` uint8 ``(S, S, 3)``; ``aligned_from_frame`` float64 ``(2, 3)``, the similarity transform that made it;
    ``landmarks`` in pixels of the crop (its ``depth`` scaled alike).
    """

    rgb: UInt8
    aligned_from_frame: Float64
    landmarks: FaceLandmarks

    def __post_init__(self) -> None:
        _expect("AlignedFace.rgb", self.rgb, (None, None, 3), np.uint8)
        _expect("AlignedFace.aligned_from_frame", self.aligned_from_frame, (2, 3), np.float64)
        if self.rgb.shape[0] != self.rgb.shape[1]:
            raise ValueError(f"AlignedFace.rgb: expected a square, got {self.rgb.shape}")

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return int(self.rgb.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """How much of a pixel belongs, float32 ``(H, W)`` in [0, 1], and by whose word."""

    values: Float32
    kind: Literal["predicted", "landmark", "occlusion", "blend"]

    def __post_init__(self) -> None:
        _expect("Mask.values", self.values, (None, None), np.float32)
        low, high = float(self.values.min(initial=0.0)), float(self.values.max(initial=0.0))
        if low < 0.0 or high > 1.0:
            raise ValueError(f"Mask.values: expected [0, 1], got [{low:.3g}, {high:.3g}]")


@dataclass(frozen=True, slots=True, eq=False)
class SwappedFace:
    """What a model paints for one aligned face: the lender's face, aligned like its input.

    ``rgb`` uint8 ``(S, S, 3)``; ``mask`` the predicted mask, ``(S, S)``. S may differ from the input's side; the crop
    shows the same part of the canonical template.
    """

    rgb: UInt8
    mask: Mask

    def __post_init__(self) -> None:
        _expect("SwappedFace.rgb", self.rgb, (None, None, 3), np.uint8)
        if self.mask.values.shape != self.rgb.shape[:2]:
            raise ValueError(f"SwappedFace.mask: expected {self.rgb.shape[:2]}, got {self.mask.values.shape}")
