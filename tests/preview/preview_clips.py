"""The clips that previews are tested with."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from fake_world import RATE, picture

from countenance.media.probe import probe
from countenance.media.write import VideoWriter
from countenance.types import Frame

COUNT = 30
_LIKE = Path(__file__).parents[1] / "resources" / "bt709.mp4"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of 320 × 180 at 25 a second that carry their number."""
    path = tmp_path_factory.mktemp("clips") / "scène one.mp4"
    like = replace(probe(_LIKE), width=320, height=180, average_rate=Fraction(RATE), time_base=Fraction(1, 12800))
    with VideoWriter(path, like, crf=2, preset="ultrafast") as writer:
        for index in range(COUNT):
            writer.write(Frame(picture(index, 180, 320), index, index * 512, Fraction(1, 12800)))
    return path
