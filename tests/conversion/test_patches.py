"""What is painted, apart from the footage: laid over it, it is the render; alone it shows nothing of the footage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_world import PERFORMER, Face, World, frame, picture, swap_identity

from countenance import geometry
from countenance.conversion.blend import Layer, Region, paste
from countenance.conversion.decide import DecidedFace, DecidedFrame
from countenance.conversion.patches import Patch, over, patch_of
from countenance.conversion.pipeline import convert
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.media.probe import VideoInfo
from countenance.media.write import VideoWriter
from countenance.provenance.watermark import find_watermark
from countenance.render.pictures import exr_bytes, marked_colour, png_bytes
from countenance.types import Mask

SIZE = 256


def _tint(faces):
    return [replace(face, rgb=np.clip(255 - face.rgb * 0.6, 0, 255).astype(np.uint8)) for face in swap_identity(faces)]


class Kept:
    """Takes patches, and the pictures that they must give."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[np.ndarray, tuple[Patch, ...]]] = {}
        self.veiled = 0

    def write(self, frame, shot, patches, veiled) -> None:
        self.rows[frame.index] = (frame.rgb, patches)
        self.veiled += len(veiled)

    def finish_segment(self) -> None:
        return None


@pytest.mark.parametrize("blend", ["pyramid", "feather"])
def test_laid_over_the_footage_they_are_the_unmarked_render(blend, tmp_path: Path) -> None:
    world = World({index: [Face(170 + 2 * index, 90), Face(60, 70, 50, cosine=0.1)] for index in range(24)})
    for index in (19, 20):
        world.script[index][0].presence = 0.0
    clip = _clip(tmp_path / "clip.mp4", 24)
    kept = Kept()
    settings = ConvertSettings(performer_cosine=0.65, preset="ultrafast", blend=blend)
    report = convert(
        clip, tmp_path / "out.mp4", swapper=_tint, performer_template=PERFORMER, label=lambda rgb: rgb,
        watermark=lambda rgb: rgb, perception=world, settings=settings, patches=kept,
    )  # fmt: skip
    assert report.replaced > 4
    assert kept.veiled >= 2
    from countenance.media.read import read_frames

    kinds = set()
    for before in read_frames(clip):
        painted, patches = kept.rows[before.index]
        below = before.rgb.astype(np.float32)
        for patch in patches:
            over(below, patch)
            kinds.add(patch.kind)
        wrong = np.abs(np.rint(below) - painted)
        assert wrong.max() <= 1, before.index  # of a face and a veil each, half a step of rounding
    assert kinds == {"face", "veil"}


def _clip(path: Path, count: int) -> Path:
    from fractions import Fraction

    like = VideoInfo(
        path, 320, 180, 0, Fraction(25), Fraction(1, 12800), 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (), "mp4", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=2, preset="ultrafast") as writer:
        for index in range(count):
            writer.write(frame(index))
    return path


def _pasted(plate: np.ndarray, painted: np.ndarray, mask: np.ndarray, method) -> tuple[np.ndarray, Patch]:
    result, layers = plate.copy(), list[Layer]()
    place = np.array([[0.8, 0.05, 40.0], [-0.05, 0.8, 30.0]])
    paste(result, painted, Mask(mask, "blend"), place, method=method, layers=layers)
    patch = patch_of("face", 1, layers[0], place, SIZE)
    assert patch is not None
    return result, patch


def _soft_mask() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    return np.asarray(geometry.smoothstep((100.0 - np.hypot(x - 128, y - 128)) / 30.0), np.float32)


@pytest.mark.parametrize("method", ["pyramid", "feather"])
def test_the_footage_s_detail_is_in_no_patch(method) -> None:
    """Black and white noise below a plain face: a single step of it would be seen in a patch's rim."""
    rng = np.random.default_rng(3)
    noise = np.repeat(rng.choice([40, 216], (300, 320, 1)), 3, axis=2).astype(np.uint8)
    y, x = np.mgrid[:SIZE, :SIZE]
    painted = np.stack([120 + 0.1 * x, 100 + 0.1 * y, np.full_like(x, 90)], -1).astype(np.uint8)
    result, patch = _pasted(noise, painted, _soft_mask(), method)
    assert (patch.rgb[patch.alpha == 0] == 0).all()
    under = noise[patch.region.y0 : patch.region.y1, patch.region.x0 : patch.region.x1].astype(np.float32)
    for low, high in ((0.002, 0.1), (0.1, 0.5), (0.5, 0.98), (0.98, 2.0)):
        rim = (patch.alpha > low) & (patch.alpha <= high)
        # The pyramid takes the footage's coarse colours over; only what is finer than four pixels could be a face.
        seen = (patch.rgb - cv2.GaussianBlur(patch.rgb, (0, 0), 1.5))[rim].ravel()
        below = (under - cv2.GaussianBlur(under, (0, 0), 1.5))[rim].ravel()
        slope = float(seen @ below / (below @ below))
        assert abs(slope) < 0.05, (low, slope)
    shown = noise.astype(np.float32)
    over(shown, patch)
    assert np.abs(np.rint(shown) - result).max() <= 1


def test_what_does_not_show_is_no_patch() -> None:
    plate = np.full((20, 20, 3), 100, np.uint8)
    empty = Layer(Region(0, 0, 20, 20), plate, np.zeros((20, 20, 3), np.float32), np.zeros((20, 20), np.float32))
    assert patch_of("veil", 1, empty) is None


def test_a_black_face_on_white_stays_within_what_a_picture_can_hold() -> None:
    white = np.full((300, 320, 3), 250, np.uint8)
    result, patch = _pasted(white, np.full((SIZE, SIZE, 3), 3, np.uint8), _soft_mask(), "pyramid")
    assert patch.rgb.min() >= 0.0
    assert patch.rgb.max() <= 255.0
    shown = white.astype(np.float32)
    over(shown, patch)
    assert np.abs(np.rint(shown) - result).max() <= 1


def test_files_hold_the_patch_and_its_watermark(tmp_path: Path) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    plate = cv2.GaussianBlur(picture(3, 300, 320), (0, 0), 2.0)
    rng = np.random.default_rng(0)
    painted = np.clip(cv2.GaussianBlur(rng.normal(140, 90, (SIZE, SIZE, 3)), (0, 0), 2.0), 0, 255).astype(np.uint8)
    result, patch = _pasted(plate, painted, _soft_mask(), "pyramid")
    marked = marked_colour(patch, b"abcde")
    assert 0.2 < np.abs(marked - patch.rgb)[patch.alpha > 0.9].mean() < 4.0
    region = patch.region

    data = np.frombuffer(png_bytes(patch.rgb, patch, (300, 320)), np.uint8)
    rgba = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA).astype(np.float32)
    assert (rgba[rgba[..., 3] == 0] == 0).all()
    alpha = rgba[..., 3:] / 255.0
    shown = np.rint(plate * (1 - alpha) + rgba[..., :3] * alpha)
    assert np.abs(shown - result).max() <= 2  # 8 bits of alpha and of colour
    assert (np.abs(shown - result) > 1).mean() < 1e-4

    path = tmp_path / "patch.exr"
    path.write_bytes(exr_bytes(patch.rgb, patch, (300, 320), tmp_path / "scratch.exr", pixel_aspect=1))
    with OpenEXR.File(str(path)) as file:
        header, half = dict(file.header()), file.channels()["RGBA"].pixels.copy()
    assert header["dataWindow"][0].tolist() == [region.x0, region.y0]
    assert header["displayWindow"][1].tolist() == [319, 299]
    assert half.dtype == np.float16
    whole = np.zeros((300, 320, 4), np.float32)
    whole[region.y0 : region.y1, region.x0 : region.x1] = half
    shown = np.rint(plate * (1 - whole[..., 3:]) + whole[..., :3] * 255.0)
    assert np.abs(shown - result).max() <= 1

    from countenance.provenance.watermark import frames_to_search

    single = tmp_path / "patch.png"
    single.write_bytes(png_bytes(marked, patch, (300, 320)))
    assert find_watermark(frames_to_search(single)).payload == b"abcde"


def test_the_painter_keeps_none_unless_asked() -> None:
    face = Face(160, 90)
    landmarks = World({3: [face]}).mesh(picture(3), World({3: [face]}).detector(picture(3))[0])
    matrix = geometry.aligned_from_frame(landmarks.points_xy, SIZE)
    ellipse = np.array([160, 90, 40, 60], np.float32)
    decided = DecidedFrame(frame(3), 0, (DecidedFace(1, "replace", "", ellipse, landmarks, matrix),))
    for keep, count in ((False, 0), (True, 1)):
        [painted] = Painter(_tint, ConvertSettings(), keep_patches=keep)([decided])
        assert painted.replaced == 1
        assert len(painted.patches) == count
