"""Footage for ``bench/conversion.py``: the synthetic performers placed in larger frames before a moving background.

Nothing that was filmed is used. The background is noise of many octaves (as coarse as the frame and as fine as four
pixels, each octave half as strong as the one before), panned by a third of a percent of its height a frame, under a
little grain of each frame's own; a codec finds it about as hard to keep as foliage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.media.probe import VideoInfo
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.types import Frame

__all__ = ["FACE_SHARE", "Shot", "write_shot"]

CLIPS = Path(str(files("countenance") / "data" / "performers"))
PERFORMER, OTHERS = "test_A", ("test_gt_own", "occl_C", "train_B")
FACE_SHARE = 173 / 320
"""Height of a face in the clips of the synthetic performers, over the clip's side."""

_RATE = 25
_FEATHER = 0.06  # of a placed clip's side


@dataclass(frozen=True)
class Shot:
    """``height`` of the 16:9 frame; ``faces`` 1 or 4; ``side`` of each placed clip in pixels; ``frames``."""

    height: int
    faces: int
    side: int
    frames: int

    @property
    def width(self) -> int:
        return self.height * 16 // 9

    @property
    def name(self) -> str:
        return f"{self.height}p_{self.faces}x{self.side}_{self.frames}"

    def places(self) -> list[tuple[int, int]]:
        """Top left pixel of each clip: a single one in the middle, four in two rows."""
        if self.faces == 1:
            return [((self.width - self.side) // 2, (self.height - self.side) // 2)]
        quarters = [(x, y) for y in (0.25, 0.75) for x in (0.27, 0.73)]
        return [(round(x * self.width - self.side / 2), round(y * self.height - self.side / 2)) for x, y in quarters]


def _canvas(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    total = np.full((height, width, 3), 110.0, np.float32)
    cell, strength = height / 2.0, 60.0
    while cell >= 4.0:
        few = rng.standard_normal((max(2, round(height / cell)), max(2, round(width / cell)), 3)).astype(np.float32)
        few = 0.7 * few.mean(axis=2, keepdims=True) + 0.3 * few
        total += strength * 0.5 * cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)
        cell, strength = cell / 2.0, strength / 2.0
    return np.clip(total, 0, 255).astype(np.uint8)


def _pictures(name: str, side: int) -> Iterator[NDArray[np.uint8]]:
    """A clip at another size, over and over, forwards and backwards so that it never jumps."""
    frames = [frame.rgb for frame in islice(read_frames(CLIPS / f"{name}.mp4"), 75)]
    how = cv2.INTER_AREA if side < frames[0].shape[0] else cv2.INTER_CUBIC
    sized = [np.asarray(cv2.resize(rgb, (side, side), interpolation=how), np.uint8) for rgb in frames]
    while True:
        yield from sized
        yield from sized[-2:0:-1]


def _frames(shot: Shot) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    step = max(2, round(shot.height / 300))
    canvas = _canvas(shot.height, shot.width + step * shot.frames, rng)
    grain = rng.normal(0.0, 1.5, (shot.height, shot.width + 64, 1)).astype(np.float32)
    edge = np.minimum(np.arange(shot.side), np.arange(shot.side)[::-1]) / (_FEATHER * shot.side)
    alpha = np.minimum(np.outer(np.clip(edge, 0, 1), np.clip(edge, 0, 1)), 1.0).astype(np.float32)[..., None]
    clips = [_pictures(name, shot.side) for name in (PERFORMER, *OTHERS)[: shot.faces]]
    for index in range(shot.frames):
        rgb = canvas[:, step * index : step * index + shot.width].astype(np.float32)
        for (x, y), clip in zip(shot.places(), clips, strict=True):
            part = rgb[y : y + shot.side, x : x + shot.side]
            part += alpha * (next(clip) - part)
        start = int(rng.integers(0, 64))
        rgb += grain[:, start : start + shot.width]
        yield np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def write_shot(shot: Shot, folder: Path) -> Path:
    """The shot as an MP4 file (H.264, crf 18, BT.709); one that is there already is taken as it is."""
    path = folder / f"{shot.name}.mp4"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    like = VideoInfo(
        path, shot.width, shot.height, 0, Fraction(_RATE), Fraction(1, _RATE), 0, None, None, False, "yuv420p", 8,
        False, 1, 1, 1, 1, Fraction(1), (), "mov", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=18, preset="veryfast") as writer:
        for index, rgb in enumerate(_frames(shot)):
            writer.write(Frame(rgb, index, index, Fraction(1, _RATE)))
    return path
