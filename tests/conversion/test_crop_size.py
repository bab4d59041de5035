"""Conversion aligns at the side that the swapper wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fake_world import World, swap_identity
from test_pipeline import SETTINGS, _convert, clip, world  # noqa: F401 - fixtures

from countenance import geometry
from countenance.conversion.swap import Painter
from countenance.media.read import read_frames
from countenance.types import SwappedFace


class Tinted:
    """Paints the face green, in crops of a side of its own."""

    def __init__(self, crop_size: int) -> None:
        self.crop_size = crop_size
        self.sides: set[int] = set()

    def __call__(self, faces):
        self.sides |= {face.size for face in faces}
        for face in faces:  # landmarks are in pixels of the crop: the same place of the template
            rigid = geometry.RIGID_POINTS
            off = face.landmarks.points_xy[rigid] - geometry.template(self.crop_size)[rigid]
            assert np.abs(off).max() < 0.05 * self.crop_size
        painted = swap_identity(faces)
        return [SwappedFace(np.full_like(one.rgb, (0, 255, 0)), one.mask) for one in painted]


def test_a_swapper_that_says_nothing_gets_256() -> None:
    assert Painter(swap_identity, SETTINGS).crop_size == 256
    assert Painter(Tinted(512), SETTINGS).crop_size == 512


def test_faces_come_at_the_swappers_side_and_land_at_the_same_place(
    clip: Path,  # noqa: F811
    world: World,  # noqa: F811
    tmp_path: Path,
) -> None:
    rendered = []
    for side in (256, 512):
        swapper = Tinted(side)
        _convert(clip, tmp_path / f"{side}.mp4", world, swapper=swapper)
        assert swapper.sides == {side}
        rendered.append(next(iter(read_frames(tmp_path / f"{side}.mp4"))).rgb.astype(int))
    green = [(rgb[..., 1] - rgb[..., 0] > 60) for rgb in rendered]
    assert 2000 < green[0].sum() < 8000
    assert (green[0] != green[1]).sum() < 0.03 * green[0].sum()
    assert np.abs(rendered[0] - rendered[1]).mean() < 0.5
