"""Converts footage: decode ▸ perceive ▸ paint ▸ mark and encode, in a thread each; memory does not grow with length."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.conversion.decide import DecidedFrame, Decider
from countenance.conversion.report import ConvertReport, Spans, Stopwatch, timecode
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.stages import Stage, StageLine
from countenance.conversion.swap import FaceSwapper, PaintedFrame, Painter
from countenance.conversion.track import Tracker
from countenance.errors import CountenanceError, MarkError, NoFaceError, OutputError
from countenance.media.probe import VideoInfo, probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.perception.identity import EMBEDDING_SIZE, SAME_PERSON_COSINE
from countenance.perception.screen import require_adult, require_decent
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = ["convert"]


def convert(
    footage: Path,
    out_unmarked: Path,
    *,
    swapper: FaceSwapper,
    performer_template: Float32,
    label: Callable[[UInt8], UInt8],
    watermark: Callable[[UInt8], UInt8],
    perception: Perception | None = None,
    settings: ConvertSettings | None = None,
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
        perception: the networks; the real ones when None.
        settings: the knobs; the defaults when None.
        progress: told the number of finished frames.

    Raises:
        MediaError: the footage cannot be read, or breaks off; with the place.
        NoFaceError: nowhere in the footage could the performer's face be replaced.
        SexualContentError: a sampled frame was flagged.
        MinorError: the performer appears under age.
        MarkError: a mark returned something that is no such picture.
        OutputError: writing failed; nothing is left.
        CountenanceError: a stage failed in a way it should not; with the place.
        ValueError: the template is no unit vector of 128 numbers.
    """
    _check_template(performer_template)
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    job = _Job(footage, out_unmarked, perception, settings or ConvertSettings(), probe(footage))
    return job.run(swapper, performer_template, label, watermark, progress)


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
        self, footage: Path, out: Path, perception: Perception, settings: ConvertSettings, info: VideoInfo
    ) -> None:
        if out.exists() and out.samefile(footage):
            raise OutputError(f"{out} is the footage itself. Choose another name for the render.")
        self.footage, self.out, self.see, self.settings, self.info = footage, out, perception, settings, info
        self.watch = Stopwatch()
        self.spans = Spans(info.average_rate, info.start_pts * info.time_base)
        self.ages: list[float] = []
        self.frames = self.replaced = self.veiled = self.faces = self.shots = 0
        self.encode_seconds = 0.0
        self._next_screen: Fraction | None = None
        self._next_age: Fraction | None = None

    def run(
        self,
        swapper: FaceSwapper,
        template: Float32,
        label: Callable[[UInt8], UInt8],
        watermark: Callable[[UInt8], UInt8],
        progress: Progress | None,
    ) -> ConvertReport:
        began = perf_counter()
        segmenter = self.see.segmenter if self.settings.occlusion else None
        painter = Painter(swapper, self.settings, segmenter, self.watch)
        line = StageLine(
            [
                Stage("decode", lambda _: read_frames(self.footage)),
                Stage("perceive", lambda frames: self._perceive(frames, template)),
                Stage("paint", lambda decided: _painted(decided, painter, self.settings.batch_frames)),
            ],
            queue_length=self.settings.queue_frames,
        )
        settings = self.settings
        writer = VideoWriter(
            self.out, self.info, codec=settings.codec, crf=settings.crf, preset=settings.preset, audio_from=self.footage
        )
        # The line is the inner block: its threads have ended before the writer finishes or removes the file.
        with writer:
            with line:
                self._encode(line, writer, label, watermark, progress)
            self._require_result()
            sound_left_out = writer.audio_left_out
        return self._report(line, perf_counter() - began, sound_left_out)

    def _perceive(self, frames: Iterator[Frame], template: Float32) -> Iterator[DecidedFrame]:
        settings = self.settings
        threshold = SAME_PERSON_COSINE if settings.performer_cosine is None else settings.performer_cosine
        tracker = Tracker(self.see, template, settings, self.watch)
        watched = (tracker(frame) for frame in self._screened(frames))
        for decided in Decider(settings, threshold)(watched):
            self._estimate_age(decided)
            yield decided

    def _screened(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames as they come; now and then one passes the sexual-content screen first."""
        for frame in frames:
            if self._next_screen is None or frame.pts_seconds >= self._next_screen:
                with self.watch("screen"):
                    score = self.see.screen(frame.rgb)
                require_decent([score], f"{self.footage.name}{self._place(frame)}")
                self._next_screen = frame.pts_seconds + _seconds(self.settings.screen_seconds)
            yield frame

    def _estimate_age(self, decided: DecidedFrame) -> None:
        """How old the performer looks, now and then, where the face is good enough to be replaced."""
        face = next((face.landmarks for face in decided.faces if face.landmarks is not None), None)
        frame = decided.frame
        if face is not None and (self._next_age is None or frame.pts_seconds >= self._next_age):
            with self.watch("screen"):
                self.ages.append(self.see.age(frame.rgb, face))
            self._next_age = frame.pts_seconds + _seconds(self.settings.screen_seconds)

    def _encode(
        self,
        line: StageLine,
        writer: VideoWriter,
        label: Callable[[UInt8], UInt8],
        watermark: Callable[[UInt8], UInt8],
        progress: Progress | None,
    ) -> None:
        painted: PaintedFrame | None = None
        stage = "encode"
        try:
            for painted in line.results():
                began = perf_counter()
                stage = "marks"
                with self.watch("marks"):
                    rgb = _marked(painted.frame.rgb, label, watermark)
                stage = "encode"
                frame = painted.frame
                writer.write(Frame(rgb, frame.index, frame.pts, frame.time_base))
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
        require_adult(self.ages, f"The performer in {self.footage.name}")

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

    def _report(self, line: StageLine, seconds: float, sound_left_out: tuple[str, ...]) -> ConvertReport:
        per_frame = 1000.0 / max(self.frames, 1)
        stages = {**line.busy_seconds, "encode": self.encode_seconds}
        return ConvertReport(
            frames=self.frames,
            replaced=self.replaced,
            veiled=self.veiled,
            passed=self.frames - self.replaced - self.veiled,
            veiled_spans=self.spans.all(),
            shots=self.shots,
            median_age=median(self.ages),
            seconds=seconds,
            frames_per_second=self.frames / max(seconds, 1e-9),
            stage_milliseconds={name: value * per_frame for name, value in stages.items()},
            step_milliseconds={name: value * per_frame for name, value in self.watch.seconds.items()},
            sound_left_out=sound_left_out,
        )


def _painted(decided: Iterator[DecidedFrame], painter: Painter, batch: int) -> Iterator[PaintedFrame]:
    while frames := list(islice(decided, batch)):
        yield from painter(frames)


def _marked(rgb: UInt8, label: Callable[[UInt8], UInt8], watermark: Callable[[UInt8], UInt8]) -> UInt8:
    """The only way from a painted frame to the encoder."""
    marked = watermark(label(rgb))
    if not isinstance(marked, np.ndarray) or marked.shape != rgb.shape or marked.dtype != np.uint8:
        raise MarkError("A mark did not return a picture of the frame's size. Nothing was written; please report this.")
    return marked


def _seconds(value: float) -> Fraction:
    return Fraction(value).limit_denominator(1000)
