"""What ``bench/conversion.py`` converts with, and the same work stage by stage.

Inside the threads of a conversion the CPU time of one stage cannot be told from that of another, since the codecs and
the networks have threads of their own. So here the stages work one after another on a few frames at a time, and after
each one the process is left alone until its CPU clock stands still.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.conversion.decide import Decider
from countenance.conversion.pipeline import convert
from countenance.conversion.report import ConvertReport, Stopwatch
from countenance.conversion.screens import Screens
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.track import Tracker
from countenance.faceset.store import FaceSet
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.identity import SAME_PERSON_COSINE
from countenance.perception.perceive import Perception
from countenance.project import Project
from countenance.provenance.label import draw_label
from countenance.provenance.watermark import Watermarker
from countenance.training.scores import template_of
from countenance.training.swapper import load_swapper
from countenance.types import Frame

if TYPE_CHECKING:
    from countenance.types import Float32

__all__ = ["Cast", "ProcessWatch", "convert_whole", "settled", "staged"]

_CHUNK = 24  # frames
_STILL_SECONDS = 0.001

# The synthetic people look more alike to the embedder (0.55 to 0.68 against the performer's 0.87) than people do.
SETTINGS = ConvertSettings(performer_cosine=0.8, other_cosine=0.75)


class ProcessWatch(Stopwatch):
    """Adds up the CPU seconds of the whole process, the networks' own threads included."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.process_time()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - began


def settled() -> float:
    """The process's CPU seconds, once they stand still: codecs work on after the call that gave them a frame."""
    while True:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < _STILL_SECONDS:
            return time.process_time()


@dataclass(frozen=True)
class Cast:
    """Everything of a conversion but the footage: trained swapper, performer, networks, settings."""

    swapper: Any
    template: Float32
    see: Perception
    settings: ConvertSettings

    @classmethod
    def of(cls, project: Project, lender: str, performer: str) -> Cast:
        swapper = load_swapper(project, lender, performer, preset="swift", device="cpu")
        with FaceSet.open(project.faceset_path(performer), project.key()) as faces:
            template = template_of(faces.vectors("kept").embeddings)
        return cls(swapper, template, Perception(), SETTINGS)


def convert_whole(footage: Path, out: Path, actors: Cast) -> ConvertReport:
    """The conversion as a render makes it, with label and watermark."""
    info = probe(footage)
    return convert(
        footage,
        out,
        swapper=actors.swapper,
        performer_template=actors.template,
        label=draw_label,
        watermark=Watermarker(b"bench", (info.height, info.width)),
        adult_id_checked=True,  # nobody in these clips exists
        perception=actors.see,
        settings=actors.settings,
    )


def staged(footage: Path, out: Path, actors: Cast) -> dict[str, dict[str, float]]:
    """CPU milliseconds a frame: ``stages`` one by one, and ``steps`` inside perceiving and painting."""
    watch, spent, frames = ProcessWatch(), dict.fromkeys(("decode", "perceive", "paint", "marks", "encode"), 0.0), 0
    settings, info = actors.settings, probe(footage)
    tracker = Tracker(actors.see, actors.template, settings, watch)
    painter = Painter(actors.swapper, settings, None, watch)
    looks_back = [tracker.look_back] if hasattr(tracker, "look_back") else []  # an older tree's tracker cannot
    decider = Decider(settings, settings.performer_cosine or SAME_PERSON_COSINE, painter.crop_size, *looks_back)
    watermark = Watermarker(b"bench", (info.height, info.width))
    feed: deque[Frame] = deque()
    screens = Screens(
        actors.see, footage.name, lambda _: "", settings.screen_seconds, adult_id_checked=True, watch=watch
    )
    decided = decider(screens.watched(tracker(frame) for frame in _fed(feed)))
    decoded = read_frames(footage)

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        began = settled()
        result = work()
        spent[stage] += settled() - began
        return result

    def perceived(last: bool) -> list[Any]:
        # While there is food the decider gives at least one frame for each that it takes.
        seen = [next(decided) for _ in iter(lambda: bool(feed), False)]
        seen += list(decided) if last else []
        for frame in seen:
            screens.decided(frame)
        return seen

    def painted_of(batches: list[list[Any]]) -> list[Any]:
        made = [one for batch in batches for one in painter(batch)]
        for frame in made:
            screens.painted(frame)
        return made

    with VideoWriter(out, info, crf=settings.crf, preset=settings.preset) as writer:
        while True:
            chunk = timed("decode", lambda: list(islice(decoded, _CHUNK)))
            feed.extend(chunk)
            faces = timed("perceive", lambda: perceived(not chunk))  # noqa: B023 - called at once
            size = settings.batch_frames
            batches = [faces[start : start + size] for start in range(0, len(faces), size)]
            painted = timed("paint", lambda: painted_of(batches))  # noqa: B023
            marked = timed("marks", lambda: [watermark(draw_label(one.frame.rgb)) for one in painted])  # noqa: B023
            out_frames = [
                Frame(rgb, one.frame.index, one.frame.pts, one.frame.time_base)
                for one, rgb in zip(painted, marked, strict=True)
            ]
            timed("encode", lambda: [writer.write(frame) for frame in out_frames])  # noqa: B023
            frames += len(painted)
            if not chunk:
                break
        began = settled()
    spent["encode"] += settled() - began
    per_frame = 1000.0 / frames
    return {
        "stages": {name: seconds * per_frame for name, seconds in spent.items()},
        "steps": {name: seconds * per_frame for name, seconds in watch.seconds.items()},
    }


def _fed(feed: deque[Frame]) -> Iterator[Frame]:
    while feed:
        yield feed.popleft()
