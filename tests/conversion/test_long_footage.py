"""What a conversion remembers from frame to frame does not grow with the number of frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from fake_world import PERFORMER, RATE, Face, World, picture, swap_identity

from countenance.conversion import pipeline, state
from countenance.conversion.decide import Decider
from countenance.conversion.report import Spans, Stopwatch
from countenance.conversion.screens import Screens
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.track import Tracker
from countenance.media.probe import probe
from countenance.media.write import VideoWriter
from countenance.types import Frame

SETTINGS = ConvertSettings(performer_cosine=0.65)
SHORT, LONG = 150, 600
MOST_A_FRAME = 32  # bytes as JSON: an estimate of an age every half second
PICTURES = [picture(index, 90, 160) for index in range(32)]
SCRIPT = {index: [Face(80, 45, 40.0, score=0.4 if index == 9 else 0.95)] for index in range(30)}


def remembered(count: int) -> int:
    """Bytes of all that is remembered after so many frames, in which the face leaves the picture now and then."""
    world, watch = World(SCRIPT), Stopwatch()
    tracker = Tracker(world, PERFORMER, SETTINGS, watch)  # type: ignore[arg-type]
    painter, spans = Painter(swap_identity, SETTINGS), Spans(Fraction(RATE), Fraction(0))
    decider = Decider(SETTINGS, tracker.performer_cosine, painter.crop_size, tracker.look_back)
    screens = Screens(world, "f.mp4", lambda _: "", 0.5, adult_id_checked=True, watch=watch)  # type: ignore[arg-type]

    def frames() -> Iterator[Frame]:
        for index in range(count):
            yield Frame(PICTURES[index % 32], index, index * 512, Fraction(1, 512 * RATE))

    for decided in decider(screens.watched(tracker(frame) for frame in frames())):
        screens.decided(decided)
        (painted,) = painter([decided])
        screens.painted(painted)
        spans.add(painted.frame.index, painted.frame.pts_seconds, [])
    parts = (tracker, decider, painter, spans, screens.performer, screens.lender, screens.footage, screens.output)
    return sum(len(json.dumps(state.dump(part))) for part in parts)


def test_what_is_remembered_does_not_grow() -> None:
    assert (remembered(LONG) - remembered(SHORT)) / (LONG - SHORT) < MOST_A_FRAME


def test_gaps_in_memory_are_given_back_with_every_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr(pipeline, "give_back_freed_memory", lambda: times.append(1))
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, probe(Path(__file__).parents[1] / "resources" / "bt709.mp4"), preset="ultrafast") as writer:
        size_hw = writer._like.height, writer._like.width
        for index in range(20):
            writer.write(Frame(picture(index, *size_hw), index, index * 512, Fraction(1, 512 * RATE)))
    height, width = size_hw
    pipeline.convert(
        clip,
        tmp_path / "out.mp4",
        swapper=swap_identity,
        performer_template=PERFORMER,
        label=lambda rgb: rgb,
        watermark=lambda rgb: rgb,
        perception=World({index: [Face(width / 2, height / 2, height / 2)] for index in range(20)}),  # type: ignore[arg-type]
        settings=ConvertSettings(performer_cosine=0.65, segment_seconds=0.2, preset="ultrafast"),
    )
    assert len(times) == 3  # of four segments; after the last one comes the end
