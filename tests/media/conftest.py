from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from countenance.types import UInt8


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of small clips made by tools/make_test_clips.py."""
    return Path(__file__).resolve().parent.parent / "resources"


@pytest.fixture(scope="session")
def performer() -> Path:
    """A real clip of 500 frames, 320×320, 25 fps, without sound."""
    return Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))


@pytest.fixture(scope="session")
def reference(performer: Path) -> Callable[[int, int, int], list[UInt8]]:
    """The first frames of the clip that the test clips were cut from, at a size: (count, width, height)."""

    def make(count: int, width: int, height: int) -> list[UInt8]:
        with av.open(str(performer)) as source:
            rgb = [frame.to_ndarray(format="rgb24") for frame in islice(source.decode(video=0), count)]
        return [np.asarray(cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA), np.uint8) for one in rgb]

    return make


def sound_packets(path: Path) -> list[list[tuple[Fraction, bytes]]]:
    """Of each sound track: time in seconds and bytes of every packet."""
    with av.open(str(path)) as container:
        tracks = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(*container.streams.audio) if tracks else ():
            if packet.size and packet.pts is not None:
                tracks[packet.stream_index].append((packet.pts * packet.time_base, bytes(packet)))
    return list(tracks.values())


@pytest.fixture(name="sound_packets")
def _sound_packets() -> Callable[[Path], list[list[tuple[Fraction, bytes]]]]:
    return sound_packets
