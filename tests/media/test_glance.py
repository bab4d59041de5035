from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from countenance.errors import MediaError
from countenance.media.glance import key_frames


@pytest.fixture(scope="module", params=["mp4", "mkv"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds that grow brighter; a key frame in every fourth second, the picture between two of them black."""
    path = tmp_path_factory.mktemp("film") / f"film.{request.param}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=5, options={"g": "20", "sc_threshold": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(100):
            grey = 40 + 2 * number if number % 20 == 0 else 0
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="rgb24")))
        out.mux(stream.encode())
    return path


def test_key_frames_come_from_all_over_the_file_each_once(film: Path) -> None:
    greys = [float(frame.mean()) for frame in key_frames(film, 60)]
    assert greys == pytest.approx([40, 80, 120, 160, 200], abs=4)
    assert len(list(key_frames(film, 2))) == 2


def test_a_missing_video_is_told(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        next(key_frames(tmp_path / "missing.mp4", 3))
