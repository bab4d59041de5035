"""Makes tests/resources/crossing.mp4 and crossing.json: two people cross, cut, one returns; the places are known.

    python tools/make_crossing_clip.py

Performer A walks behind B; after a cut to another wall B is alone, then A comes back. Built like the scenes of
bench/leaks.py, of the package's synthetic performers (nobody in them exists; CC0).
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from leaks_scenes import Cast, Put, Scene, Shot, play  # noqa: E402 - found by path

from countenance.perception.perceive import Perception  # noqa: E402

FRAMES, CUT, BACK = 36, 22, 27
SIZE_HW = (216, 384)


def plan(index: int) -> Shot:
    """Who is where in a frame, back to front."""
    if index < CUT:
        a = Put("A", index, 80 + 11.0 * index, 112, height=64)
        return Shot([a, Put("B", index, 310 - 11.0 * index, 108, height=72)])
    b = Put("B", index, 120, 108, height=72)
    return Shot([b, Put("A", index, 270, 112, height=64)] if index >= BACK else [b], background=1)


def main() -> None:
    scene = Scene("crossing", "", [plan(index) for index in range(FRAMES)], size_hw=SIZE_HW)
    clip = ROOT / "tests" / "resources" / "crossing.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = SIZE_HW[1], SIZE_HW[0], "yuv420p"
        stream.time_base = Fraction(1, 12800)
        for seen in play(Cast(Perception()), scene):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(seen.frame.rgb, format="rgb24")))
        container.mux(stream.encode(None))
    places = [{put.who: [put.x, put.y, put.height] for put in plan(index).puts} for index in range(FRAMES)]
    facts = {"cut": CUT, "back": BACK, "frames": places}
    clip.with_suffix(".json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
