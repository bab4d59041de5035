"""Decodes at the footage's pace, converts as many frames as there is time for, and publishes them one by one.

A frame that is dropped is neither tracked nor painted, and nothing is shown in its place; a frame that is shown went
through everything that a render's frames go through. To the tracker the frames between which others were dropped are
neighbours with their true times, so what moved too far to be followed is searched for, recognised anew, and veiled.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.report import Stopwatch, timecode
from countenance.conversion.screens import AGES_TO_JUDGE, Screens
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.stages import Stage, StageLine
from countenance.conversion.swap import FaceSwapper, PaintedFrame, Painter
from countenance.conversion.track import Tracker
from countenance.media.read import read_frames
from countenance.playback.channel import Channel, Status
from countenance.playback.pace import Pace
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from countenance.media.probe import VideoInfo
    from countenance.perception.perceive import Perception
    from countenance.types import Float32, UInt8

__all__ = ["Player", "PreviewReport"]

_ASK_SECONDS = 60.0  # between two questions whether consent still holds
_RATE_SECONDS = 2.0  # over which the rate on the page is counted


@dataclass(frozen=True, slots=True)
class PreviewReport:
    """What a preview showed.

    Of ``frames`` decoded, ``shown`` were, ``dropped`` came too late, and ``held_back`` were not shown because the
    performer's age was not known yet. ``replaced`` and ``veiled`` count frames that were shown. ``dropped_share`` is in
    [0, 1]; rates are frames a second.
    """

    frames: int
    shown: int
    dropped: int
    held_back: int
    replaced: int
    veiled: int
    dropped_share: float
    footage_frames_per_second: float
    shown_frames_per_second: float
    seconds: float
    record_id: str = ""
    watermark: str = ""


class Player:
    """Plays one file.

    Args:
        footage: a video.
        info: of the footage.
        swapper: paints the lender's face.
        template: float32 ``(128,)``, unit length: the performer's embedding.
        stamp: from a painted frame to a marked and signed JPEG, the only way out.
        perception: the networks.
        channel: takes the pictures.
        settings: of the conversion; its batches and queues are of one frame here, for the least delay.
        adult_id_checked: whether the lender's consent record says that an identity card was checked.
        allowed: makes a context, which refuses to be entered when consent does not hold any more; asked once a minute.
        clock: gives seconds.
    """

    def __init__(
        self,
        footage: Path,
        info: VideoInfo,
        *,
        swapper: FaceSwapper,
        template: Float32,
        stamp: Callable[[UInt8], bytes],
        perception: Perception,
        channel: Channel,
        settings: ConvertSettings | None = None,
        adult_id_checked: bool = False,
        allowed: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._footage, self._info, self._swapper, self._template = footage, info, swapper, template
        self._stamp, self._see, self._channel, self._clock = stamp, perception, channel, clock
        self._settings = replace(settings or ConvertSettings(), batch_frames=1, queue_frames=1)
        self._id_checked, self._allowed = adult_id_checked, allowed
        self._ask_at: float | None = None
        self._screens = self._new_screens()
        self._ages_known = False  # once is enough, however often the footage is played
        self._wanted = threading.Event()
        self._ending = threading.Event()  # of the present pass
        self._times: list[float] = []
        self._began: float | None = None
        self._frames = self._dropped = self._shown = self._held_back = self._replaced = self._veiled = 0

    def play(self) -> None:
        """Play the footage once.

        Raises:
            MediaError: it cannot be read, or breaks off.
            SexualContentError, MinorError: a screen refuses it; that frame was not shown.
            ConsentError: consent was taken back meanwhile.
            MarkError: a frame could not be marked or signed; it was not shown.
        """
        self._began = self._clock() if self._began is None else self._began
        self._screens = self._new_screens()
        occlusion = self._see.occlusion if self._settings.occlusion else None
        painter = Painter(self._swapper, self._settings, occlusion)
        line = StageLine(
            [
                Stage("decode", lambda _: self._in_time()),
                Stage("perceive", lambda frames: self._perceive(frames, painter.crop_size)),
                Stage("paint", lambda decided: self._paint(decided, painter)),
            ],
            queue_length=1,
        )
        self._wanted.clear()
        self._ending = threading.Event()
        with line:
            try:
                for painted in line.results():
                    self._show(painted)
            finally:
                self._ending.set()  # wakes a decoder that sleeps until the next frame is due

    def report(self) -> PreviewReport:
        """What was shown up to now."""
        seconds = 0.0 if self._began is None else self._clock() - self._began
        return PreviewReport(
            frames=self._frames,
            shown=self._shown,
            dropped=self._dropped,
            held_back=self._held_back,
            replaced=self._replaced,
            veiled=self._veiled,
            dropped_share=self._dropped / max(self._frames, 1),
            footage_frames_per_second=float(self._info.average_rate),
            shown_frames_per_second=self._shown / max(seconds, 1e-9),
            seconds=seconds,
        )

    def _in_time(self) -> Iterator[Frame]:
        """The frames that are worked on, numbered without gaps: to the tracker they are neighbours."""
        pace = Pace(1.0 / float(self._info.average_rate), self._ending.wait, self._clock)
        number = 0
        for frame in read_frames(self._footage):
            self._frames += 1
            if pace.admits(frame.pts_seconds, self._wanted.is_set):
                self._wanted.clear()
                yield Frame(frame.rgb, number, frame.pts, frame.time_base)
                number += 1
            else:
                self._dropped += 1

    def _asked_for(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames as they come; each is asked for when the one before it is done with."""
        while True:
            self._wanted.set()
            frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _perceive(self, frames: Iterator[Frame], crop_size: int) -> Iterator[DecidedFrame]:
        settings = self._settings
        tracker = Tracker(self._see, self._template, settings)
        decider = Decider(settings, tracker.performer_cosine, crop_size, tracker.look_back)
        for decided in decider(self._screens.watched(tracker(frame) for frame in self._asked_for(frames))):
            if self._screens.decided(decided) and self._screens.performer.count >= AGES_TO_JUDGE:
                self._screens.require_performer()
            yield decided

    def _paint(self, decided: Iterator[DecidedFrame], painter: Painter) -> Iterator[PaintedFrame]:
        for frame in decided:
            (painted,) = painter([frame])
            if self._screens.painted(painted) and self._screens.lender.count >= AGES_TO_JUDGE:
                self._screens.require_lender()
            yield painted
        self._screens.end_of_output()

    def _new_screens(self) -> Screens:
        return Screens(
            self._see,
            self._footage.name,
            lambda frame: f" at {self._timecode(frame)}",
            self._settings.screen_seconds,
            adult_id_checked=self._id_checked,
            watch=Stopwatch(),
        )

    def _may_be_shown(self, painted: PaintedFrame) -> bool:
        """Always without a face that matters, else when both ages are known; whoever is under age was refused then."""
        if not self._ages_known:
            counts = (self._screens.performer.count, self._screens.lender.count)
            self._ages_known = min(counts) >= AGES_TO_JUDGE
        return self._ages_known or not painted.changed

    def _ask(self) -> None:
        """Now and then, whether consent still holds; the gate was asked just before the beginning."""
        now = self._clock()
        if self._ask_at is not None and now >= self._ask_at:
            with self._allowed():
                pass
        if self._ask_at is None or now >= self._ask_at:
            self._ask_at = now + _ASK_SECONDS

    def _timecode(self, frame: Frame) -> str:
        info = self._info
        return timecode(frame.pts_seconds - info.start_pts * info.time_base, info.average_rate)

    def _show(self, painted: PaintedFrame) -> None:
        self._ask()
        if not self._may_be_shown(painted):
            self._held_back += 1
            return
        jpeg = self._stamp(painted.frame.rgb)
        self._shown += 1
        self._replaced += bool(painted.replaced)
        self._veiled += bool(painted.veiled)
        self._channel.publish(jpeg, self._status(painted))

    def _status(self, painted: PaintedFrame) -> Status:
        now, rate = self._clock(), float(self._info.average_rate)
        self._times = [time for time in self._times if now - time < _RATE_SECONDS] + [now]
        span = now - self._times[0]
        return Status(
            timecode=self._timecode(painted.frame),
            footage_frames_per_second=rate,
            shown_frames_per_second=(len(self._times) - 1) / span if span > 0.0 else 0.0,
            shown=self._shown,
            dropped=self._dropped,
            dropped_share=self._dropped / max(self._frames, 1),
            veiled=bool(painted.veiled),
            message=f"Veiled: {painted.veiled[0][1]}." if painted.veiled else "Playing.",
        )
