"""Gives a painted face the sharpness and the grain of the footage around it.

A network paints each face equally sharp and clean. Beside a face in motion blur or out of focus, or in film grain, that
shows. Both are read off spectra of the same window of footage and painted face: two faces differ in what they show, but
hardly in how much of each fineness they show, so what the painted one has too much of, evenly from coarse to fine, is
blur that it lacks; and what the footage has anew in every frame is grain.

Nothing of the footage's own detail is carried over: pores and wrinkles tell who somebody is. Grain is made from random
numbers; only how strong it is at each fineness comes from the footage.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance import geometry
from countenance.conversion.mask import OPENINGS
from countenance.conversion.smooth import forget_old

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.types import Float32, Float64, UInt8

__all__ = ["FaceInFrame", "Texture", "TextureMatcher", "blur_covariance", "blurred", "grain_tile", "power"]

SIDE = 256
"""Of the windows that are compared, and of a tile of grain, in pixels; a larger face is compared in its middle."""

RINGS, _SECTORS = 24, 8
_YCC = np.array([[0.299, 0.587, 0.114], [0.5, -0.4187, -0.0813], [-0.1687, -0.3313, 0.5]], np.float32)  # Y, Cr, Cb
_RGB_FROM_YCC = np.linalg.inv(_YCC).astype(np.float32)
_COARSEST = 2  # rings below it tell of light and of what the faces look like
_FEWEST = 7  # rings that are asked for sharpness in any case
_EQUAL_CONTRAST = 4.0  # how surely, in rings and sectors, the two faces have one contrast
_ABOVE_NOISE = 4.0  # a ring tells of sharpness where it has so many times the power of the noise
_LEAST_VARIANCE, _MOST_VARIANCE = 0.1, 25.0  # of the blur, pixels²: less is not seen
_BLUR_SECONDS = 0.06  # motion blur comes and goes within a few frames
_GRAIN_SECONDS = 2.0  # grain is the camera's and hardly changes; motion looks like more of it, so it rises slowly
_GRAIN_FALLS_SECONDS = 0.1
_FLAT = 1.0  # codes a pixel: where the skin's slope is well below it, what changes between two frames is grain
_LEAST_FLAT = 0.02  # of the window's weight
_COARSEST_GRAIN = 5  # grain is as strong in coarser rings as in this one: what they change by is mostly motion
_LEFT_BY_RESAMPLING = 0.7  # of the noise's power, by a cubic at any place between pixels, on average
_SAME_PICTURE = 1e-3  # codes²: a frame that is there twice says nothing of the grain
_LEAST_GRAIN = 0.05  # codes²
_MOTION = 4.0  # times as far one way as the other: it is no defocus
_TILES = 4
_ROLLS = ((97, 61), (31, 149))  # Cr and Cb are the luma's tile, so far shifted that nobody sees that it is the same
_NOTHING = 1e-6


@lru_cache(maxsize=1)
def _bins() -> tuple[NDArray[np.int64], NDArray[np.int64], Float64, Float64]:
    """Of each number of a window's spectrum, as OpenCV packs it: its ring; ring and sector as one number.

    And over each ring and sector, the sum of the squares of the Laplacian's gain, and the number of coefficients.
    """
    place = np.arange(SIDE)
    rows, columns = np.meshgrid(place, (place + 1) // 2, indexing="ij")
    # Of the first and the last column only one half is stored, real and imaginary parts below each other.
    alone = (columns == 0) | (columns == SIDE // 2)
    rows = np.where(alone, (rows + 1) // 2, rows)
    y, x = np.fft.fftfreq(SIDE)[rows], columns / SIDE
    ring = np.minimum((np.hypot(y, x) * 2.0 * RINGS).astype(np.int64), RINGS)  # the square's corners are cut off
    sector = np.round(np.arctan2(y, x) / np.pi * _SECTORS).astype(np.int64) % _SECTORS
    both = (ring * _SECTORS + sector).ravel()
    square = (2.0 * np.cos(2.0 * np.pi * y) + 2.0 * np.cos(2.0 * np.pi * x) - 4.0) ** 2
    count, gain = (
        0.5 * np.bincount(both, values, minlength=(RINGS + 1) * _SECTORS)  # half: two numbers of each coefficient
        for values in (np.ones(both.size), square.ravel())
    )
    return ring, both, np.maximum(gain, _NOTHING), np.maximum(count, _NOTHING)


@lru_cache(maxsize=1)
def _white() -> Float32:
    """Packed spectra of a few tiles of white noise of variance 1: float32 ``(TILES, SIDE, SIDE)``."""
    tiles = np.random.default_rng(0).standard_normal((_TILES, SIDE, SIDE), np.float32)
    return np.stack([cv2.dft(tile) for tile in tiles])


_OMEGA = ((np.arange(RINGS) + 0.5) / RINGS * np.pi)[:, None]  # of each ring, radians a pixel
_ANGLE = (np.arange(_SECTORS) / _SECTORS * np.pi)[None]


class FaceInFrame(NamedTuple):
    """Where a painted face lies.

    ``points_xy`` float32 ``(478, 2)`` its landmarks and ``region_from_crop`` float64 ``(2, 3)``, both in pixels of the
    frame's region; ``frame_index`` and ``seconds`` of the frame.
    """

    track: int
    shot: int
    frame_index: int
    seconds: float
    points_xy: Float32
    region_from_crop: Float64


@dataclass(slots=True)
class Texture:
    """What is remembered of one track's last frame.

    ``covariance`` float64 ``(3,)``: xx, yy and xy of the blur, pixels². ``plate`` uint8 ``(H, W, 3)``: the window, and
    ``window_from_crop`` float64 ``(2, 3)`` where it lay.
    """

    shot: int
    seconds: float
    covariance: Float64
    plate: UInt8
    window_from_crop: Float64


def power(luma: Float32, weights: Float32, *, steep: bool = True) -> Float64:
    """Mean power of a picture at each fineness and direction, float64 ``(RINGS, SECTORS)``, in codes².

    A face's power falls by six orders of magnitude from coarse to fine, and any window smears coarse into fine. So the
    picture's Laplacian is measured, which is even, and the Laplacian's own gain divided out ("prewhitening": J. Tukey,
    "An introduction to the calculations of numerical spectrum analysis", 1967).

    Args:
        luma: float32 ``(H, W)`` in codes, at most :data:`SIDE` a side.
        weights: float32 ``(H, W)``, falling softly to 0 at the rim.
        steep: whether it is such a picture; of noise, which is even by itself, the power is taken as it is.
    """
    _, both, gain, count = _bins()
    window = np.zeros((SIDE, SIDE), np.float32)
    part = window[: luma.shape[0], : luma.shape[1]]
    part[:] = cv2.Laplacian(luma, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE) if steep else luma
    part *= weights
    packed = cv2.dft(window)
    energy = np.bincount(both, (packed * packed).ravel(), minlength=gain.size) / (gain if steep else count)
    whole = max(float((weights.astype(np.float64) ** 2).sum()), _NOTHING)
    return np.asarray(energy.reshape(-1, _SECTORS)[:RINGS] / whole, np.float64)


def blur_covariance(plate: Float64, painted: Float64, noise: Float64) -> Float64:
    """The Gaussian blur that makes a painted face as soft as the plate: xx, yy, xy in pixels², float64 ``(3,)``.

    A blur of covariance S multiplies the power at ω by exp(-ωᵀSω), so the logarithm of the powers' ratio is linear in
    S. Only fineness with far more power than the noise is asked. Negative where the plate is the sharper one.

    Args:
        plate: power of the footage, see :func:`power`.
        painted: likewise of the painted face.
        noise: power of the noise at each fineness, float64 ``(RINGS,)``.
    """
    clean = np.maximum(plate - noise[:, None], _NOTHING)
    ratio = np.log(np.maximum(painted, _NOTHING) / clean)
    told = plate > _ABOVE_NOISE * np.maximum(noise, plate.min())[:, None]
    told = np.minimum.accumulate(told | (np.arange(RINGS) < _FEWEST)[:, None])
    told[:_COARSEST] = False
    square, twice = np.broadcast_to(_OMEGA**2, ratio.shape), 2.0 * _ANGLE
    terms = np.stack([np.ones_like(square), square, square * np.cos(twice), square * np.sin(twice)], -1)[told]
    prior = np.array([[_EQUAL_CONTRAST, 0.0, 0.0, 0.0]])
    rows, values = np.concatenate([terms.reshape(-1, 4), prior]), np.append(ratio[told], 0.0)
    _, even, across, skew = np.linalg.lstsq(rows, values, rcond=None)[0]
    return np.array([even + across, even - across, skew])


def blurred(rgb: UInt8, covariance: Float64) -> UInt8:
    """A picture under a Gaussian blur that may be longer one way than the other.

    Args:
        rgb: uint8 ``(H, W, 3)``.
        covariance: xx, yy, xy in pixels², float64 ``(3,)``; what is negative or unseen is taken for none.
    """
    xx, yy, xy = covariance
    values, axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    values = np.clip(values, 0.0, _MOST_VARIANCE)
    if values[1] < _LEAST_VARIANCE:
        return rgb
    size = 2 * int(np.ceil(3.0 * np.sqrt(values[1]))) + 3
    # By its spectrum: sampled in place, a bell narrower than a pixel would not sum to its own variance.
    omega = 2.0 * np.pi * np.fft.fftfreq(size)
    along, over = (axes[0, which] * omega[None] + axes[1, which] * omega[:, None] for which in (1, 0))
    if values[1] > _MOTION * max(values[0], _LEAST_VARIANCE):  # an open shutter smears evenly over a way
        spectrum = np.sinc(np.sqrt(12.0 * values[1]) * along / (2.0 * np.pi))
    else:
        spectrum = np.exp(-0.5 * values[1] * along**2)
    kernel = np.fft.fftshift(np.fft.ifft2(spectrum * np.exp(-0.5 * values[0] * over**2)).real).astype(np.float32)
    return np.asarray(cv2.filter2D(rgb, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE), np.uint8)


def grain_tile(grain: Float64, rng: np.random.Generator) -> Float32:
    """Random grain of a given power at each fineness, float32 ``(SIDE, SIDE)`` in codes; its edges fit each other.

    Args:
        grain: float64 ``(RINGS,)``, codes².
        rng: chooses it: one of a few tiles, turned over and moved along, which looks new in every frame.
    """
    amplitude = np.sqrt(np.append(grain, grain[-1])).astype(np.float32)[_bins()[0]]
    tile = cv2.dft(_white()[rng.integers(_TILES)] * amplitude, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)
    turned = tile[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
    return np.roll(turned, rng.integers(SIDE, size=2).tolist(), (0, 1))


class TextureMatcher:
    """Gives painted faces the footage's sharpness and grain, frame after frame, and remembers both smoothly.

    The grain is that of the whole footage, so a face has it from its second frame on, and in later shots at once.
    """

    def __init__(self) -> None:
        self._textures: dict[int, Texture] = {}
        self._grain: Float64 | None = None
        self._chroma = np.zeros(2)  # of the grain: standard deviations of Cr and Cb over that of luma

    def __call__(self, plate: UInt8, painted: UInt8, alpha: Float32, face: FaceInFrame) -> UInt8:
        """The painted face, as soft and as grainy as the footage.

        Args:
            plate: uint8 ``(H, W, 3)``: the footage in the face's region.
            painted: uint8 ``(H, W, 3)``: the painted face there.
            alpha: float32 ``(H, W)``: how much of it will be seen.
            face: where it lies.
        """
        rows, columns = (_middle(length) for length in plate.shape[:2])
        weights = alpha[rows, columns]
        if weights.shape != alpha.shape:  # what is cut off must not end abruptly
            weights = weights * cv2.createHanningWindow(weights.shape[::-1], cv2.CV_32F)
        here, shift = plate[rows, columns], np.array([[1.0, 0, -columns.start], [0, 1.0, -rows.start]])
        window_from_crop = geometry.compose(shift, face.region_from_crop)
        before = self._textures.get(face.track)
        if before is not None and before.shot != face.shot:
            before = None
        if before is not None:
            points = geometry.apply(shift, face.points_xy)
            self._see_grain(here, weights, points, before, window_from_crop, face.seconds - before.seconds)
        noise = np.zeros(RINGS) if self._grain is None else self._grain
        covariance = blur_covariance(
            power(_luma(here), weights),
            power(_luma(painted[rows, columns]), weights),
            noise,
        )
        if before is not None:
            amount = -np.expm1(-max(face.seconds - before.seconds, 0.0) / _BLUR_SECONDS)
            covariance = before.covariance + amount * (covariance - before.covariance)
        self._textures[face.track] = Texture(face.shot, face.seconds, covariance, here.copy(), window_from_crop)
        forget_old(self._textures, face.seconds)
        return self._grainy(blurred(painted, covariance), face)

    def _see_grain(
        self,
        plate: UInt8,
        weights: Float32,
        points_xy: Float32,
        before: Texture,
        window_from_crop: Float64,
        seconds: float,
    ) -> None:
        """What changed on even skin since the frame before, with the face's motion taken out, is grain."""
        skin = np.array(weights, np.float32)
        cv2.fillPoly(skin, [np.rint(points_xy[opening]).astype(np.int32) for opening in OPENINGS], 0.0)
        smooth = cv2.GaussianBlur(_luma(plate), (0, 0), 2.0)
        slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(smooth, cv2.CV_32F, 0, 1) ** 2
        flat = skin * np.exp(slope * np.float32(-((1.0 / (8.0 * _FLAT)) ** 2)))
        flat = cv2.GaussianBlur(flat, (0, 0), 2.0)  # a ragged window would smear coarse grain into fine
        if flat.sum() < _LEAST_FLAT * weights.sum():
            return
        here_from_before = geometry.compose(window_from_crop, geometry.invert(before.window_from_crop))
        size_wh = (plate.shape[1], plate.shape[0])
        was = cv2.warpAffine(
            before.plate, here_from_before, size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        change = cv2.transform(cv2.subtract(plate, was, dtype=cv2.CV_32F), _YCC)
        found = power(np.ascontiguousarray(change[..., 0], np.float32), flat, steep=False).mean(1) / (
            1.0 + _LEFT_BY_RESAMPLING
        )
        if found[_COARSEST_GRAIN:].mean() < _SAME_PICTURE:
            return
        found[:_COARSEST_GRAIN] = np.minimum(found[:_COARSEST_GRAIN], found[_COARSEST_GRAIN])
        spread = np.sqrt((change**2 * flat[..., None]).sum((0, 1)))
        chroma = np.minimum(spread[1:] / max(float(spread[0]), _NOTHING), 2.0).astype(np.float64)
        if self._grain is None:
            self._grain, self._chroma = found, chroma
            return
        slow, quick = (-np.expm1(-max(seconds, 0.0) / span) for span in (_GRAIN_SECONDS, _GRAIN_FALLS_SECONDS))
        self._grain = self._grain + np.where(found < self._grain, quick, slow) * (found - self._grain)
        self._chroma = self._chroma + slow * (chroma - self._chroma)

    def _grainy(self, rgb: UInt8, face: FaceInFrame) -> UInt8:
        if self._grain is None or self._grain.mean() < _LEAST_GRAIN:
            return rgb
        height, width = rgb.shape[:2]
        tile = grain_tile(self._grain, np.random.default_rng([face.track, face.frame_index]))
        parts = [np.float32(part) * np.roll(tile, by, (0, 1)) for part, by in zip(self._chroma, _ROLLS, strict=True)]
        grain = cv2.transform(cv2.merge([tile, *parts]), _RGB_FROM_YCC)
        if height > SIDE or width > SIDE:
            grain = np.tile(grain, (-(-height // SIDE), -(-width // SIDE), 1))
        return np.asarray(cv2.add(rgb, grain[:height, :width], dtype=cv2.CV_8U), np.uint8)


def _luma(rgb: UInt8) -> Float32:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def _middle(length: int) -> slice:
    start = max(0, (length - SIDE) // 2)
    return slice(start, min(length, start + SIDE))
