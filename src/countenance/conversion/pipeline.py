"""Converts footage: decode ▸ perceive ▸ paint ▸ mark and encode, in a thread each; memory does not grow with length.

The pictures are encoded in segments, joined at the end without encoding them again. With each finished segment goes
what the trackers and smoothers remember before the next frame, so that interrupted work goes on to the same bits.
"""

from __future__ import annotations

from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.allocator import give_back_freed_memory
from countenance.atomic import work_folder
from countenance.conversion import state
from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.report import ConvertReport, Spans, Stopwatch, timecode
from countenance.conversion.screens import Screens
from countenance.conversion.segments import SegmentStore, SegmentWriter
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.stages import Stage, StageLine
from countenance.conversion.swap import FaceSwapper, PaintedFrame, Painter
from countenance.conversion.track import Tracker
from countenance.errors import CountenanceError, MarkError, NoFaceError, OutputError
from countenance.media.codecs import encoder_for, encoding_of
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.identity import EMBEDDING_SIZE
from countenance.types import Frame
from countenance.vault import ProjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from countenance.conversion.patches import TakesPatches
    from countenance.conversion.track import WatchedFrame
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = ["convert", "marked"]

_WORK_PREFIX = ".countenance-segments-"


def convert(
    footage: Path,
    out_unmarked: Path,
    *,
    swapper: FaceSwapper,
    performer_template: Float32,
    label: Callable[[UInt8], UInt8],
    watermark: Callable[[UInt8], UInt8],
    adult_id_checked: bool = False,
    samples_only: bool = False,
    perception: Perception | None = None,
    settings: ConvertSettings | None = None,
    store: SegmentStore | None = None,
    patches: TakesPatches | None = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Replace the performer's face in footage by what the swapper paints.

    Only the performer's face is touched; where it was seen but could not be replaced it is veiled, and the report says
    so. ``label`` and ``watermark`` run on every frame, there is no way around them; the file still lacks its signed
    Content Credentials and belongs into a private folder until it has them (``provenance.sign``).

    Args:
        footage: a video.
        out_unmarked: the video to write; appears only when complete.
        swapper: paints the lender's face for aligned faces of the performer.
        performer_template: float32 ``(128,)``, unit length: the performer's enrolled embedding.
        label: draws the visible label; takes and gives uint8 ``(H, W, 3)``.
        watermark: draws the invisible watermark; likewise.
        adult_id_checked: whether the lender's consent record says that an identity card was checked.
        samples_only: see :class:`countenance.media.write.VideoWriter`.
        perception: the networks; the real ones when None.
        settings: the knobs; the defaults when None.
        store: holds the finished segments; the conversion goes on after them. When None they go into a private folder
            beside the output, which is removed in every case.
        patches: takes what was painted, apart from the footage; what it remembers is kept in ``store``.
        progress: told the number of finished frames.

    Raises:
        MediaError: the footage cannot be read, or breaks off; with the place.
        NoFaceError: nowhere in the footage could the performer's face be replaced.
        SexualContentError: a frame of the footage or of the render was flagged.
        MinorError: the performer, or the lender's face in the render, appears under age; or that face looks younger
            than 25, and no identity card was checked.
        MarkError: a mark returned something that is no such picture.
        OutputError: writing failed; nothing is left but the finished segments in ``store``.
        CountenanceError: a stage failed in a way it should not; with the place.
        ValueError: the template is no unit vector of 128 numbers.
    """
    _check_template(performer_template)
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    knobs, info = settings or ConvertSettings(), probe(footage)
    with ExitStack() as kept:
        if store is None:
            work = kept.enter_context(work_folder(out_unmarked.parent, _WORK_PREFIX))
            store = SegmentStore(work, ProjectKey.new(), {})  # not kept
        job = _Job(footage, out_unmarked, perception, knobs, info, store, patches, adult_id_checked, samples_only)
        if not store.complete:
            job.convert(swapper, performer_template, label, watermark, progress)
        return job.finish()


def _check_template(template: Float32) -> None:
    if template.shape != (EMBEDDING_SIZE,) or template.dtype != np.float32:
        raise ValueError(
            f"performer_template: expected float32 ({EMBEDDING_SIZE},), got {template.dtype} {template.shape}"
        )
    if not abs(float(np.linalg.norm(template)) - 1.0) < 1e-3:
        raise ValueError("performer_template: expected unit length")


class _Job:
    """One conversion: what its stages share, and what they count."""

    def __init__(
        self,
        footage: Path,
        out: Path,
        perception: Perception,
        settings: ConvertSettings,
        info: VideoInfo,
        store: SegmentStore,
        patches: TakesPatches | None,
        adult_id_checked: bool,
        samples_only: bool,
    ) -> None:
        if out.exists() and out.samefile(footage):
            raise OutputError(f"{out} is the footage itself. Choose another name for the render.")
        self.footage, self.out, self.see, self.settings, self.info = footage, out, perception, settings, info
        self.store, self.began_at, self.patches, self.samples_only = store, store.next_frame, patches, samples_only
        encoder = encoder_for(out, settings.codec, settings.encoder)
        self.encoding = encoding_of(
            encoder, info.width, info.height, info.average_rate, crf=settings.crf, preset=settings.preset
        )
        self.segment_frames = max(1, round(settings.segment_seconds * float(info.average_rate)))
        self.watch = Stopwatch()
        self.spans = Spans(info.average_rate, info.start_pts * info.time_base)
        self.screens = Screens(
            perception,
            footage.name,
            self._place,
            settings.screen_seconds,
            adult_id_checked=adult_id_checked,
            watch=self.watch,
        )
        self.frames = self.replaced = self.veiled = self.faces = self.shots = 0
        self.encode_seconds = 0.0
        self.busy: dict[str, float] = {}
        self._began = perf_counter()
        self._memories: dict[int, dict[str, Any]] = {}
        self._recall(store.memory)

    def convert(
        self,
        swapper: FaceSwapper,
        template: Float32,
        label: Callable[[UInt8], UInt8],
        watermark: Callable[[UInt8], UInt8],
        progress: Progress | None,
    ) -> None:
        """Make the segments that are still missing."""
        settings = self.settings
        occlusion = self.see.occlusion if settings.occlusion else None
        painter = Painter(swapper, settings, occlusion, self.watch, keep_patches=self.patches is not None)
        self._fill(painter)
        line = StageLine(
            [
                Stage("decode", lambda _: read_frames(self.footage, start_index=self.began_at)),
                Stage("perceive", lambda frames: self._perceive(frames, template, painter.crop_size)),
                Stage("paint", lambda decided: self._paint(decided, painter)),
            ],
            queue_length=settings.queue_frames,
        )
        writer = SegmentWriter(self.store, self.info, self.encoding, crf=settings.crf, preset=settings.preset)
        # The line is the inner block: its threads have ended before the writer finishes or removes the segment.
        with writer:
            with line:
                self._encode(line, writer, label, watermark, progress)
            if self.frames > self.store.next_frame:
                screens = self.screens
                ages = {"performer": state.dump(screens.performer), "lender": state.dump(screens.lender)}
                writer.finish(self._counted() | ages, complete=True)
        self.busy = line.busy_seconds

    def finish(self) -> ConvertReport:
        """Join the segments to the film, and say what was done."""
        self._require_result()
        return self._report(self._join())

    def _join(self) -> tuple[str, ...]:
        """Make the film of its segments; names what of the footage cannot come along."""
        settings = self.settings
        writer = VideoWriter(
            self.out,
            self.info,
            codec=self.encoding.encoder,
            crf=settings.crf,
            preset=settings.preset,
            tracks_from=self.footage,
            private=True,
            samples_only=self.samples_only,
        )
        with writer:
            writer.append(self.store.folder, self.store.segments)
            return writer.left_out

    def _starts_segment(self, index: int) -> bool:
        return index % self.segment_frames == 0 and index > self.began_at

    def _remember(self, index: int, **parts: Any) -> None:
        """Lay down what is remembered before a frame; its stage's thread does so just before it takes the frame."""
        self._memories.setdefault(index, {}).update({name: state.dump(part) for name, part in parts.items()})

    def _recall(self, memory: Mapping[str, Any]) -> None:
        if not memory:
            return
        (self.frames, self.replaced, self.veiled, self.faces, self.shots) = state.load(memory["counts"])
        state.fill(self.spans, memory["spans"])
        state.fill(self.screens.performer, memory["performer"])
        state.fill(self.screens.lender, memory["lender"])
        if not self.store.complete:
            state.fill(self.screens.footage, memory["footage"])
            state.fill(self.screens.output, memory["output"])

    def _fill(self, part: Tracker | Decider | Painter) -> None:
        """Give a part what it remembered in the run before."""
        stored = self.store.memory.get(type(part).__name__)
        if stored is not None:
            state.fill(part, stored)

    def _counted(self) -> dict[str, Any]:
        counts = [self.frames, self.replaced, self.veiled, self.faces, self.shots]
        apart = {} if self.patches is None else {"patches": self.patches.finish_segment()}
        return {"counts": counts, "spans": state.dump(self.spans)} | apart

    def _perceive(self, frames: Iterator[Frame], template: Float32, crop_size: int) -> Iterator[DecidedFrame]:
        settings = self.settings
        tracker = Tracker(self.see, template, settings, self.watch)
        decider = Decider(settings, tracker.performer_cosine, crop_size, tracker.look_back)
        self._fill(tracker)
        self._fill(decider)
        for decided in decider(self.screens.watched(self._tracked(frames, tracker))):
            self.screens.decided(decided)
            follows = decided.frame.index + 1
            if self._starts_segment(follows):
                self._remember(follows, Decider=decider, performer=self.screens.performer)
            yield decided

    def _tracked(self, frames: Iterator[Frame], tracker: Tracker) -> Iterator[WatchedFrame]:
        for frame in frames:
            if self._starts_segment(frame.index):
                self._remember(frame.index, Tracker=tracker, footage=self.screens.footage)
            yield tracker(frame)

    def _paint(self, decided: Iterator[DecidedFrame], painter: Painter) -> Iterator[PaintedFrame]:
        """Paint in batches, none of which reaches into the next segment, and screen what was painted."""
        batch: list[DecidedFrame] = []
        for frame in decided:
            batch.append(frame)
            follows = frame.frame.index + 1
            if len(batch) == self.settings.batch_frames or self._starts_segment(follows):
                painted, batch = self._painted(batch, painter), []
                if self._starts_segment(follows):
                    screens = self.screens
                    self._remember(follows, Painter=painter, output=screens.output, lender=screens.lender)
                yield from painted
        if batch:
            yield from self._painted(batch, painter)
        self.screens.end_of_output()

    def _painted(self, batch: list[DecidedFrame], painter: Painter) -> list[PaintedFrame]:
        painted = painter(batch)
        for frame in painted:
            self.screens.painted(frame)
        return painted

    def _encode(
        self,
        line: StageLine,
        writer: SegmentWriter,
        label: Callable[[UInt8], UInt8],
        watermark: Callable[[UInt8], UInt8],
        progress: Progress | None,
    ) -> None:
        painted: PaintedFrame | None = None
        stage = "encode"
        try:
            for painted in line.results():
                began = perf_counter()
                if self._starts_segment(painted.frame.index):
                    writer.finish(self._memories.pop(painted.frame.index) | self._counted())
                    give_back_freed_memory()
                stage = "marks"
                with self.watch("marks"):
                    rgb = marked(painted.frame.rgb, label, watermark)
                stage = "encode"
                frame = painted.frame
                writer.write(Frame(rgb, frame.index, frame.pts, frame.time_base))
                if self.patches is not None:
                    stage = "patches"
                    with self.watch("patches"):
                        self.patches.write(frame, painted.shot, painted.patches, painted.veils)
                    stage = "encode"
                self.encode_seconds += perf_counter() - began
                self._count(painted)
                if progress is not None:
                    progress(
                        self.frames, self.info.frame_count, f"{len(painted.veiled)} veiled" if painted.veiled else ""
                    )
        except Exception as error:
            failure = line.failure
            came_from_stage = failure is not None and failure.error is error
            where, item = (failure.stage, failure.item) if failure and came_from_stage else (stage, painted)
            if isinstance(error, CountenanceError) and self._place(item) in str(error):
                raise
            raise self._placed(where, item, error) from error

    def _count(self, painted: PaintedFrame) -> None:
        self.frames += 1
        self.veiled += bool(painted.veiled)
        self.replaced += bool(painted.replaced and not painted.veiled)
        self.faces += painted.replaced
        self.shots = painted.shot + 1
        self.spans.add(painted.frame.index, painted.frame.pts_seconds, list(painted.veiled))

    def _require_result(self) -> None:
        if not self.faces:
            raise NoFaceError(
                f"The performer's face was not found, or could nowhere be replaced, in {self.footage.name}. "
                "Check that this is the performer whose faces were enrolled, and that the face is large and clear."
            )
        self.screens.require_performer()
        self.screens.require_lender()

    def _place(self, item: Any) -> str:
        frame = item if isinstance(item, Frame) else getattr(item, "frame", None)
        if frame is None:
            return ""
        start = self.info.start_pts * self.info.time_base
        return f" at frame {frame.index} ({timecode(frame.pts_seconds - start, self.info.average_rate)})"

    def _placed(self, stage: str, item: Any, error: Exception) -> CountenanceError:
        """The same kind of error, with the place where it happened."""
        place = self._place(item)
        if isinstance(error, CountenanceError):
            return type(error)(f"{error} (Stage {stage}{place}.)")
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return CountenanceError(
            f"The conversion of {self.footage.name} failed in stage {stage}{place} ({what}). "
            "Nothing was written; this is a defect of that stage, please report it with this sentence."
        )

    def _report(self, left_out: tuple[str, ...]) -> ConvertReport:
        made = self.frames - self.began_at
        per_frame = 1000.0 / max(made, 1)
        seconds = perf_counter() - self._began
        return ConvertReport(
            frames=self.frames,
            replaced=self.replaced,
            veiled=self.veiled,
            passed=self.frames - self.replaced - self.veiled,
            veiled_spans=self.spans.all(),
            shots=self.shots,
            median_age=self.screens.performer.median,
            median_lender_age=self.screens.lender.median,
            close_calls=self.screens.close_calls(),
            seconds=seconds,
            frames_per_second=made / max(seconds, 1e-9),
            stage_milliseconds={
                name: value * per_frame for name, value in {**self.busy, "encode": self.encode_seconds}.items()
            },
            step_milliseconds={name: value * per_frame for name, value in self.watch.seconds.items()},
            left_out=left_out,
            resumed_at_frame=self.began_at,
        )


def marked(rgb: UInt8, label: Callable[[UInt8], UInt8], watermark: Callable[[UInt8], UInt8]) -> UInt8:
    """The only way from a painted frame to the encoder."""
    marked = watermark(label(rgb))
    if not isinstance(marked, np.ndarray) or marked.shape != rgb.shape or marked.dtype != np.uint8:
        raise MarkError("A mark did not return a picture of the frame's size. Nothing was written; please report this.")
    return marked
