"""Two people of a real clip who cross, part, and meet again after a cut: only the performer is touched."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from fake_world import swap_black

from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import PaintedFrame, Painter
from countenance.conversion.track import Tracker, WatchedFrame
from countenance.media.read import read_frames
from countenance.perception.identity import SAME_PERSON_COSINE
from countenance.perception.perceive import Perception

CLIPS = Path(str(files("countenance") / "data" / "performers"))
CROSSING = Path(__file__).parents[1] / "resources" / "crossing.mp4"
TRUTH = json.loads(CROSSING.with_suffix(".json").read_text(encoding="utf-8"))
SETTINGS = ConvertSettings(color_strength=0.0)


@cache
def _converted() -> tuple[list[WatchedFrame], list[DecidedFrame], list[PaintedFrame]]:
    see = Perception()
    looks = []
    for frame in islice(read_frames(CLIPS / "train_A.mp4"), 0, 400, 50):
        looks.append(see.embedder(frame.rgb, see.mesh(frame.rgb, see.detector(frame.rgb)[0])))
    template = np.mean(looks, axis=0)
    template = (template / np.linalg.norm(template)).astype(np.float32)
    tracker = Tracker(see, template, SETTINGS)
    watched: list[WatchedFrame] = []

    def watch() -> Any:
        for frame in read_frames(CROSSING):
            watched.append(tracker(frame))
            yield watched[-1]

    decided = list(Decider(SETTINGS, SAME_PERSON_COSINE, look_back=tracker.look_back)(watch()))
    painter = Painter(swap_black, SETTINGS)
    return watched, decided, [painted for item in decided for painted in painter([item])]


def _apart(places: dict[str, list[float]]) -> bool:
    return len(places) < 2 or abs(places["A"][0] - places["B"][0]) > 75


def test_the_performer_is_hidden_in_every_frame_and_nobody_else_is_replaced() -> None:
    _, decided, painted = _converted()
    replaced = 0
    for places, item, out in zip(TRUTH["frames"], decided, painted, strict=True):
        ends = item.frame.rgb.astype(int), out.frame.rgb.astype(int)
        if "A" in places:
            x, y, height = places["A"]
            hidden = any(np.hypot(face.ellipse[0] - x, face.ellipse[1] - y) < 0.4 * height for face in item.faces)
            assert hidden, item.frame.index
            replaced += any(face.action == "replace" and face.veil_amount == 0.0 for face in item.faces)
        if "A" in places and "B" in places and _apart(places):
            x, y, height = places["B"]
            part = np.s_[int(y - height / 3) : int(y + height / 3), int(x - height / 4) : int(x + height / 4)]
            assert np.array_equal(ends[0][part], ends[1][part]), item.frame.index
    assert replaced >= 15


def test_tracks_do_not_swap_when_people_cross_and_none_outlives_a_cut() -> None:
    watched, _, _ = _converted()
    tracks: dict[tuple[int, str], set[int]] = {}
    for places, item in zip(TRUTH["frames"], watched, strict=True):
        for who, (x, y, height) in places.items():
            if _apart(places):
                near = (
                    look.track.number
                    for look in item.looks
                    if look.landmarks is not None
                    and np.hypot(*(look.box_xyxy.reshape(2, 2).mean(0) - (x, y))) < 0.4 * height
                )
                tracks.setdefault((item.shot, who), set()).update(near)
    assert [item.shot for item in watched] == [0] * TRUTH["cut"] + [1] * (len(watched) - TRUTH["cut"])
    assert len(tracks[0, "B"]) == len(tracks[1, "B"]) == len(tracks[1, "A"]) == 1  # B is in front; A comes back once
    assert not tracks[0, "A"] & tracks[0, "B"]
    assert not tracks[1, "A"] & tracks[1, "B"]
    assert not (tracks[0, "A"] | tracks[0, "B"]) & (tracks[1, "A"] | tracks[1, "B"])
