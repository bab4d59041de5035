"""Lays a painted face into the footage, inside the face's region only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance import geometry

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.conversion.settings import BlendMethod
    from countenance.types import Float32, Float64, Mask, UInt8

__all__ = ["Layer", "Region", "face_region", "paste", "seam_error"]

_COARSEST = 12  # pixels of the region's short side at the pyramid's top


class Region(NamedTuple):
    """A box of whole pixels of the frame, ``x1`` and ``y1`` outside."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def of(self, picture: UInt8) -> UInt8:
        """The region's pixels, a view."""
        return picture[self.y0 : self.y1, self.x0 : self.x1]


class Layer(NamedTuple):
    """What was laid over a region of a frame.

    ``plate`` uint8 ``(h, w, 3)`` is the picture below; ``change`` float32 ``(h, w, 3)`` was added to it, in codes;
    ``opacity`` float32 ``(h, w)`` is the weight of the upper picture's finest detail, so that ``plate + change /
    opacity`` holds none of the detail below.
    """

    region: Region
    plate: UInt8
    change: Float32
    opacity: Float32


def face_region(mask: Mask, frame_from_crop: Float64, size_hw: tuple[int, int]) -> Region:
    """The frame pixels that a mask of a crop can reach.

    Args:
        mask: of the crop; what is zero there is left out.
        frame_from_crop: float64 ``(2, 3)``.
        size_hw: of the frame.
    """
    x, y, width, height = cv2.boundingRect((mask.values > 0.0).astype(np.uint8))
    if width == 0 or height == 0:
        return Region(0, 0, 0, 0)
    left, top, right, bottom = x - 1.0, y - 1.0, x + width, y + height  # one pixel out: bilinear reaches so far
    corners = geometry.apply(frame_from_crop, np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int) + 1
    return Region(
        max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), size_hw[1]), min(int(high[1]), size_hw[0])
    )


def paste(
    frame_rgb: UInt8,
    painted_rgb: UInt8,
    mask: Mask,
    frame_from_crop: Float64,
    *,
    method: BlendMethod = "pyramid",
    layers: list[Layer] | None = None,
    finish: Callable[[UInt8, UInt8, Float32, Region], UInt8] | None = None,
) -> Region:
    """Blend a painted crop into a frame, in place.

    The crop is sampled once, at the frame's own resolution and sub-pixel place. Pixels where the mask is zero keep
    their value bit by bit, with either method.

    Args:
        frame_rgb: uint8 ``(H, W, 3)``, writable.
        painted_rgb: uint8 ``(S, S, 3)``.
        mask: blend mask ``(T, T)`` of the same crop; T and S may differ.
        frame_from_crop: float64 ``(2, 3)``, frame pixels from pixels of the *mask's* crop.
        method: ``"feather"`` mixes by the mask; ``"pyramid"`` mixes each octave of detail over a width of its own
            (P. Burt and E. Adelson, "A multiresolution spline with application to image mosaics", TOG 1983).
        layers: takes what was laid over the frame.
        finish: changes the painted face once it has the frame's own resolution; called with the footage in the region,
            the painted face there, how much of it will be seen (float32 ``(h, w)``), and the region.

    Returns:
        The region that may have changed.
    """
    region = face_region(mask, frame_from_crop, (frame_rgb.shape[0], frame_rgb.shape[1]))
    if region.is_empty:
        return region
    place = frame_from_crop - [[0.0, 0.0, region.x0], [0.0, 0.0, region.y0]]
    plate = region.of(frame_rgb)
    size_wh = (plate.shape[1], plate.shape[0])
    alpha = _sampled_mask(mask, place, size_wh)
    to_mask = geometry.resize_matrix(painted_rgb.shape[0], mask.values.shape[0])
    painted = _resample(painted_rgb, geometry.compose(place, to_mask), size_wh)
    if finish is not None:
        painted = finish(plate, painted, alpha, region)
    change = np.asarray(cv2.subtract(painted, plate, dtype=cv2.CV_32F), np.float32)
    if method == "pyramid":
        change[alpha == 0.0] = 0.0  # the coarse octaves reach out of the mask: what the painted crop has there is hair
        change = _mix_by_octaves(change, alpha)
    else:
        change *= alpha[..., None]
    if layers is not None:
        finest = alpha * geometry.smoothstep(alpha * 4.0) if method == "pyramid" else alpha
        layers.append(Layer(region, plate.copy(), change, np.asarray(finest, np.float32)))
    plate[:] = np.rint(np.clip(plate + change, 0.0, 255.0)).astype(np.uint8)
    return region


def _resample(rgb: UInt8, target_from_crop: Float64, size_wh: tuple[int, int]) -> UInt8:
    """Like :func:`geometry.warp`, but cubic down to 0.6 as well: bilinear there costs visible sharpness."""
    scale = float(np.sqrt(abs(np.linalg.det(target_from_crop[:, :2]))))
    if scale < 0.6:
        return geometry.warp(rgb, target_from_crop, (size_wh[1], size_wh[0]))
    return np.asarray(
        cv2.warpAffine(rgb, target_from_crop, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _sampled_mask(mask: Mask, target_from_crop: Float64, size_wh: tuple[int, int]) -> Float32:
    return np.asarray(
        cv2.warpAffine(mask.values, target_from_crop, size_wh, flags=cv2.INTER_LINEAR, borderValue=0.0), np.float32
    )


def _mix_by_octaves(change: Float32, alpha: Float32) -> Float32:
    """The change, its fine detail mixed by the mask itself, its coarse colours by ever softer masks.

    Blending two pictures by Laplacian pyramids is linear, so one pyramid of their difference does. Outside the mask
    nothing may change, so the result fades with the mask's own rim.
    """
    levels = max(0, int(np.log2(max(min(alpha.shape) / _COARSEST, 1.0))))
    changes, alphas = [change], [alpha]
    for _ in range(levels):
        changes.append(np.asarray(cv2.pyrDown(changes[-1]), np.float32))
        alphas.append(np.asarray(cv2.pyrDown(alphas[-1]), np.float32))
    mixed = changes[-1] * alphas[-1][..., None]
    for fine, coarse, weight in zip(changes[-2::-1], changes[:0:-1], alphas[-2::-1], strict=True):
        size_wh = (fine.shape[1], fine.shape[0])
        band = fine - cv2.pyrUp(coarse, dstsize=size_wh)
        band *= weight[..., None]
        mixed = np.asarray(cv2.pyrUp(mixed, dstsize=size_wh), np.float32)
        mixed += band
    mixed *= geometry.smoothstep(alpha * 4.0)[..., None]
    return mixed


def seam_error(result: UInt8, footage: UInt8, painted: UInt8, alpha: Float32) -> float:
    """How visible the seam of a blend is: the gradient in the seam that neither picture has, in 8-bit codes.

    At each pixel of the seam (0.02 < alpha < 0.98) the result's luma gradient is compared with the mixture of the
    footage's and the painted face's; what exceeds it was made by the blend. Root mean square, since an edge is seen
    and a slope of the same height is not.

    Args:
        result: uint8 ``(H, W, 3)``, the blended picture.
        footage: uint8, the picture below.
        painted: uint8, the picture above, warped to the same place.
        alpha: float32 ``(H, W)`` blend mask.

    Raises:
        ValueError: the mask has no seam.
    """
    seam = (alpha > 0.02) & (alpha < 0.98)
    if not seam.any():
        raise ValueError("seam_error: expected a mask with a soft rim, got none")

    def gradient(rgb: UInt8) -> Float32:
        luma = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
        return np.stack([cv2.Scharr(luma, -1, 1, 0), cv2.Scharr(luma, -1, 0, 1)], axis=-1) / np.float32(32.0)

    wanted = gradient(footage) + alpha[..., None] * (gradient(painted) - gradient(footage))
    return float(np.sqrt((((gradient(result) - wanted) ** 2).sum(axis=-1))[seam].mean()))
