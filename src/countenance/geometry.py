"""Similarity transforms, the canonical template and head pose (pure: NumPy, and OpenCV for resampling).

A matrix named ``b_from_a`` is float64 ``(2, 3)`` and takes a column point ``(x, y, 1)`` of ``a`` to ``b``. The centre
of the top-left pixel is ``(0, 0)``, OpenCV's convention.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = [
    "CROP_SIZE",
    "RIGID_POINTS",
    "CanonicalFace",
    "aligned_from_frame",
    "apply",
    "canonical_face",
    "compose",
    "face_hull",
    "fit_canonical",
    "head_pose_degrees",
    "invert",
    "pose_degrees",
    "resize_matrix",
    "smoothstep",
    "template",
    "umeyama",
    "warp",
]

CROP_SIZE = 256
"""Side in pixels of the aligned faces that are stored."""

_PIXELS_PER_CM = 12.0 / 256.0  # of the crop's side: forehead to an opened jaw fits, with a margin
_CENTRE_Y_CM = -1.2  # below the mesh's origin: an open mouth drops the chin by about 2 cm

# Points that hardly move with the expression: eye corners, nose, forehead, temples and cheekbones. Lips, lids,
# brows and jaw are left out, so that talking does not shake the crop.
_EYES_AND_NOSE = (33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327)
_FOREHEAD = (10, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 151, 9, 8)
_SIDES = (162, 389, 127, 356, 234, 454, 116, 345, 117, 346, 118, 347, 50, 280)
RIGID_POINTS = np.array([*_EYES_AND_NOSE, *_FOREHEAD, *_SIDES], dtype=np.intp)


class CanonicalFace(NamedTuple):
    """MediaPipe's canonical face model (Apache-2.0; see tools/make_canonical_face.py).

    ``vertices_cm`` float32 ``(468, 3)``: x to the picture's right, y up, z towards the camera; ``uv`` float32
    ``(468, 2)``; ``triangles`` int16 ``(898, 3)``.
    """

    vertices_cm: Float32
    uv: Float32
    triangles: NDArray[np.int16]


@lru_cache(maxsize=1)
def canonical_face() -> CanonicalFace:
    """The canonical mesh, read once from the package's data."""
    path = files("countenance") / "data" / "canonical_face.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return CanonicalFace(arrays["vertices_cm"], arrays["uv"], arrays["triangles"])


def template(size: int) -> Float32:
    """Where the canonical mesh lies in an aligned crop: float32 ``(468, 2)`` pixels of a ``size`` × ``size`` crop."""
    xy_cm = canonical_face().vertices_cm[:, :2].astype(np.float64)
    scale = _PIXELS_PER_CM * size
    centre = (size - 1) / 2.0
    points = np.stack([centre + scale * xy_cm[:, 0], centre - scale * (xy_cm[:, 1] - _CENTRE_Y_CM)], axis=1)
    return points.astype(np.float32)


def umeyama(source: NDArray[np.floating], destination: NDArray[np.floating]) -> Float64:
    """Least-squares similarity ``(D, D + 1)`` from ``source`` to ``destination``, both ``(N, D)``.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    Never a reflection.

    Raises:
        ValueError: fewer than two distinct points on either side, a point that is not finite, or shapes that differ.
    """
    src = np.asarray(source, np.float64)
    dst = np.asarray(destination, np.float64)
    if src.shape != dst.shape or src.ndim != 2:
        raise ValueError(f"umeyama: expected two (N, D) arrays of one shape, got {src.shape} and {dst.shape}")
    count, dims = src.shape
    if count < 2:
        raise ValueError(f"umeyama: expected at least two distinct points, got {count}")
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise ValueError("umeyama: expected finite points, got NaN or infinity")
    src_mean, dst_mean = src.mean(0), dst.mean(0)
    src_centred, dst_centred = src - src_mean, dst - dst_mean
    for name, points, centred in (("source", src, src_centred), ("destination", dst, dst_centred)):
        extent = float(np.abs(points).max(initial=1.0))  # the mean of equal points is off by a rounding of their size
        if float((centred**2).sum()) <= count * (1e-9 * extent) ** 2:
            raise ValueError(f"umeyama: expected at least two distinct {name} points, got coincident ones")
    variance = float((src_centred**2).sum() / count)
    u, singular, vt = np.linalg.svd(dst_centred.T @ src_centred / count)
    signs = np.ones(dims)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        signs[-1] = -1.0
    rotation = (u * signs) @ vt
    scale = float((singular * signs).sum() / variance)
    if scale <= 0.0:
        raise ValueError("umeyama: expected distinct destination points, got coincident ones")
    return np.column_stack([scale * rotation, dst_mean - scale * rotation @ src_mean])


def invert(b_from_a: Float64) -> Float64:
    """``a_from_b`` of an invertible 2×3 matrix."""
    linear = np.linalg.inv(b_from_a[:, :2])
    return np.column_stack([linear, -linear @ b_from_a[:, 2]])


def compose(c_from_b: Float64, b_from_a: Float64) -> Float64:
    """``c_from_a``: first ``b_from_a``, then ``c_from_b``."""
    linear = c_from_b[:, :2] @ b_from_a[:, :2]
    return np.column_stack([linear, c_from_b[:, :2] @ b_from_a[:, 2] + c_from_b[:, 2]])


def apply(b_from_a: Float64, points_xy: NDArray[np.floating]) -> Float32:
    """Points ``(N, 2)`` of ``a`` in ``b``, float32."""
    return (np.asarray(points_xy, np.float64) @ b_from_a[:, :2].T + b_from_a[:, 2]).astype(np.float32)


def resize_matrix(from_size: int, to_size: int) -> Float64:
    """``to_from_from`` of a crop that is resized whole: pixel edges, not centres, coincide."""
    scale = to_size / from_size
    shift = (scale - 1.0) / 2.0
    return np.array([[scale, 0.0, shift], [0.0, scale, shift]])


def aligned_from_frame(points_xy: Float32, size: int) -> Float64:
    """Similarity transform from frame pixels to a ``size`` × ``size`` aligned crop.

    Args:
        points_xy: float32 ``(478, 2)`` or ``(468, 2)`` landmarks in frame pixels.
        size: side of the crop in pixels.
    """
    return umeyama(points_xy[RIGID_POINTS], template(size)[RIGID_POINTS])


def warp(rgb: UInt8, b_from_a: Float64, size_hw: tuple[int, int]) -> UInt8:
    """Resample a picture of ``a`` into ``b``; repeats its border outside, and averages when it shrinks.

    Args:
        rgb: uint8 ``(H, W, 3)`` (or ``(H, W)``) picture.
        b_from_a: float64 ``(2, 3)``.
        size_hw: height and width of the result.
    """
    scale = float(np.sqrt(abs(np.linalg.det(b_from_a[:, :2]))))
    picture = rgb
    if scale < 0.6:  # bilinear sampling skips pixels below half size: low-pass first, or fine texture shimmers
        sigma = 0.5 * (1.0 / scale - 1.0)
        picture = np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)
    height, width = size_hw
    flags = cv2.INTER_LINEAR if scale < 1.0 else cv2.INTER_CUBIC
    return np.asarray(
        cv2.warpAffine(picture, b_from_a, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def smoothstep(t: NDArray[np.floating]) -> NDArray[np.floating]:
    """A ramp without corners: 0 up to 0, 1 from 1 on, 3t² − 2t³ between; any shape, its dtype is kept."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def face_hull(points_xy: Float32) -> Float32:
    """Convex hull of a face's landmarks, float32 ``(K, 2)``."""
    return np.asarray(cv2.convexHull(np.ascontiguousarray(points_xy[:468], np.float32))[:, 0, :], np.float32)


def head_pose_degrees(points_xy: Float32, depth: Float32) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees, by fitting the canonical mesh to the landmarks in three dimensions.

    Yaw is positive when the face turns to the picture's right, pitch when it looks up, roll when it leans clockwise
    as the viewer sees it. Scaled orthography: perspective at arm's length costs about a degree.

    Args:
        points_xy: float32 ``(478, 2)`` pixels.
        depth: float32 ``(478,)`` in the same pixels, smaller is nearer.
    """
    return pose_degrees(fit_canonical(points_xy, depth))


def fit_canonical(points_xy: Float32, depth: Float32) -> Float64:
    """The similarity that lays the canonical mesh onto the landmarks' rigid points: float64 ``(3, 4)``.

    It starts from centimetres of the canonical mesh, x right, y down, z away from the camera, and ends in pixels.

    Args:
        points_xy: float32 ``(478, 2)`` pixels.
        depth: float32 ``(478,)`` in the same pixels, smaller is nearer.
    """
    observed = np.column_stack([points_xy, depth])[RIGID_POINTS]
    canonical = canonical_face().vertices_cm.astype(np.float64) * [1.0, -1.0, -1.0]
    return umeyama(canonical[RIGID_POINTS], observed)


def pose_degrees(observed_from_shape: Float64) -> tuple[float, float, float]:
    """Yaw, pitch and roll of a fit by :func:`fit_canonical`; see :func:`head_pose_degrees`."""
    matrix = observed_from_shape[:, :3]
    rotation = matrix / np.cbrt(np.linalg.det(matrix))
    forward = rotation @ [0.0, 0.0, -1.0]  # the nose's direction
    yaw = np.degrees(np.arctan2(forward[0], -forward[2]))
    pitch = np.degrees(np.arcsin(np.clip(-forward[1], -1.0, 1.0)))
    right = rotation @ [1.0, 0.0, 0.0]
    roll = np.degrees(np.arctan2(right[1], np.hypot(right[0], right[2])))
    return float(yaw), float(pitch), float(roll)
