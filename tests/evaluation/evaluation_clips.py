"""Small clips for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

import countenance
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.types import Frame

PERFORMERS = Path(countenance.__file__).parent / "data" / "performers"
LIKE = Path(__file__).parents[1] / "resources" / "bt709.mp4"


def write_clip(path: Path, pictures: Sequence[np.ndarray], *, crf: int = 0, preset: str = "medium") -> Path:
    height, width = pictures[0].shape[:2]
    like = replace(probe(LIKE), width=width, height=height, time_base=Fraction(1, 25), start_pts=0)
    with VideoWriter(path, like, crf=crf, preset=preset) as writer:
        for index, picture in enumerate(pictures):
            writer.write(Frame(picture, index, index, Fraction(1, 25)))
    return path


def pictures_of(name: str, start: int, count: int) -> list[np.ndarray]:
    return [frame.rgb for frame in islice(read_frames(PERFORMERS / f"{name}.mp4"), start, start + count)]
