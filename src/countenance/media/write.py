"""A video file that has the times, the colours and the sound of its footage, and appears only when complete."""

from __future__ import annotations

import errno
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Self, cast

import av
import av.error

from countenance.atomic import output_error, replacing
from countenance.errors import OutputError
from countenance.media.codecs import SUFFIXES, encoding_of
from countenance.media.opening import open_input, reason_of
from countenance.media.segments import joined_packets
from countenance.media.tracks import Tracks, chapters_of, timecode_of
from countenance.media.yuv import VideoFromRgb, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from av.packet import Packet
    from av.video.stream import VideoStream

    from countenance.media.probe import VideoInfo
    from countenance.media.segments import Segment
    from countenance.types import Frame

__all__ = ["VideoWriter"]

_FARTHEST_FRAMES = 64  # more than any encoder decodes ahead
_LARGEST_TIMESCALE = 2**31 - 1


class _AbandonedError(Exception):
    """Tells ``replacing`` that the body failed, without taking the body's OSError for one of the output."""


class VideoWriter:
    """Writes frames to ``path``; use it as a context manager.

    Until the ``with`` block ends well there is only a hidden ``.part`` file beside ``path``; when the block raises, or
    writing fails, that is removed and ``path`` is as it was. On a clean exit the rest of the sound is copied, the file
    is synced and takes its name.

    * Times: frames keep their pts. MP4 and MOV get the time base of ``like`` (where it is one over a whole number), so
      that the pts come out as the same integers; MKV and WebM have milliseconds only. A transport stream's arbitrary
      clock is taken off pictures and sound alike.
    * Colours: by the matrix and range of ``like``, whose tags are kept; what was RGB or grey is written as YCbCr.
    * Samples: by the encoder (see :func:`countenance.media.codecs.encoding_of`). With an odd width or height 4:4:4,
      since 4:2:0 has even sizes only (no padding, no cropping; Safari and QuickTime do not play 4:4:4). The sample
      aspect ratio is kept. Pictures are upright, so no rotation is written.
    * Sound: every track, packets as they are; AAC (Opus in WebM) where the container does not take the codec.
    * Subtitles, chapters and timecode: as the container can hold them. Languages and titles of tracks are kept.
    * With ``samples_only`` only what can be seen and heard comes along: see :class:`countenance.media.tracks.Tracks`;
      no chapters and no timecode.
    * Nothing else comes along: no global metadata (it may hold the place of filming), no data tracks (a camera's
      positions), no attachments.
    """

    def __init__(
        self,
        path: Path,
        like: VideoInfo,
        *,
        codec: str = "libx264",
        crf: int = 16,
        preset: str = "medium",
        tracks_from: Path | None = None,
        fragment: bool = False,
        private: bool = False,
        samples_only: bool = False,
    ) -> None:
        """Describe the file; nothing is touched before the ``with`` block.

        Args:
            path: the final path: ``.mp4``, ``.m4v``, ``.mov``, ``.mkv`` or ``.webm``.
            like: the footage whose size, rate, time base and colours are kept.
            codec: FFmpeg's name of an encoder (see :func:`countenance.media.codecs.encoder_for`).
            crf: constant rate factor, 0 (best) to 51; 16 is visually lossless.
            preset: the encoder's speed.
            tracks_from: the file whose sound, subtitles, chapters and timecode are carried over, on the clock of
                ``like``.
            fragment: write MP4 or MOV in fragments that can be played while it grows, instead of the index first.
            private: only the owner may read the file; it may then also be a segment (``.nut``).
            samples_only: for footage that must not be recognised by what stands beside picture and sound.

        Raises:
            OutputError: the suffix is not one of ours.
            ValueError: ``crf`` is out of range.
        """
        if path.suffix.lower() not in SUFFIXES and not (private and path.suffix == ".nut"):
            raise OutputError(f"Cannot write {path}: the name must end in {', '.join(SUFFIXES)}. Choose such a name.")
        if not 0 <= crf <= 51:
            raise ValueError(f"crf: expected 0 to 51, got {crf}")
        self._path = path
        self._like = like
        self._codec = codec
        rate = like.average_rate or Fraction(25)
        self._encoding = encoding_of(codec, like.width, like.height, rate, crf=crf, preset=preset)
        self._tracks_from = tracks_from
        self._fragment = fragment
        self._private = private
        self._samples_only = samples_only
        self._stack = ExitStack()
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._usual_ticks = max(1, round(1 / (rate * like.time_base)))
        self._tracks: Tracks | None = None
        self.left_out: tuple[str, ...] = ()
        """What of ``tracks_from`` could not be carried over, in words; known inside the ``with`` block."""

    def __enter__(self) -> Self:
        """Create the hidden file and write its header.

        Raises:
            OutputError: the folder is missing, full or not writable, or the encoder refuses the settings.
            MediaError: ``tracks_from`` cannot be read.
        """
        try:
            self._temporary = self._stack.enter_context(replacing(self._path))
            with self._output_errors():
                self._temporary.touch(
                    0o600 if self._private else 0o666
                )  # a missing or read-only folder speaks here, in the system's own words
                suffix = self._path.suffix.lower()
                self._output = av.open(
                    str(self._temporary.absolute()),
                    "w",
                    format="mp4" if suffix == ".m4v" else None,  # FFmpeg's own choice holds neither subtitles nor H.265
                    container_options=self._container_options(),
                )
                self._stream = self._add_video()
            if self._tracks_from is not None:
                self._carry_over(self._tracks_from)
            with self._output_errors():
                self._output.start_encoding()
        except BaseException:
            self._abandon()
            raise
        return self

    def write(self, frame: Frame) -> None:
        """Encode one frame, and mux the sound up to its time.

        Args:
            frame: of the size of ``like``; its pts comes after the last one's.

        Raises:
            OutputError: the disk is full or the encoder failed. Leave the ``with`` block: nothing remains.
            MediaError: the sound of ``tracks_from`` is damaged.
            ValueError: another size, or a pts that does not increase.
        """
        like = self._like
        if frame.size_hw != (like.height, like.width):
            raise ValueError(f"frame: expected {like.height}×{like.width} (H×W), got {frame.size_hw}")
        seconds = frame.pts_seconds - like.clock_start_seconds
        pts = round(seconds / like.time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"frame.pts: expected more than {self._last_pts}, got {pts} (in {like.time_base} s)")
        self._last_pts = pts
        with self._output_errors():
            picture = self._from_rgb(frame.rgb)
            picture.pts, picture.time_base = pts, like.time_base
            # ProRes takes its tags from each picture.
            picture.color_primaries, picture.color_trc = like.color_primaries, like.color_transfer
            picture.colorspace, picture.color_range = self._rule.space_tag, self._rule.range_tag
            self._mux(self._stream.encode(picture))
            if self._tracks is not None:
                self._tracks.write_until(seconds)

    def _mux(self, packets: Sequence[Packet[VideoStream]]) -> None:
        for packet in packets:
            pts, dts = packet.pts or 0, packet.dts
            # x265 makes decoding times up when it is given fewer pictures than it looks ahead.
            if dts is None or not 0 <= pts - dts <= _FARTHEST_FRAMES * self._usual_ticks:
                packet.dts = pts - _FARTHEST_FRAMES * self._usual_ticks
            if self._last_dts is not None and (packet.dts or 0) <= self._last_dts:
                packet.dts = self._last_dts + 1
            self._last_dts = packet.dts
            self._output.mux(packet)

    def append(self, folder: Path, segments: Sequence[Segment]) -> None:
        """Take pictures that were encoded before, by the same settings, in place of :meth:`write`.

        Args:
            folder: where the segments are.
            segments: in order.

        Raises:
            OutputError: the disk is full, or a segment was changed.
            MediaError: the sound of ``tracks_from`` is damaged.
        """
        like, extradata = self._like, self._stream.codec_context.extradata
        for packet in joined_packets(folder, segments, like, extradata):
            self._last_pts = packet.pts
            starts = (packet.dts or 0) * like.time_base
            packet.stream = self._stream
            with self._output_errors():
                self._output.mux(packet)
                if self._tracks is not None:
                    self._tracks.write_until(starts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the file and give it its name, or remove it when the block raised.

        Raises:
            OutputError: the disk is full, the encoder failed, or no frame was written.
            MediaError: the rest of the sound is damaged.
        """
        if kind is not None:
            self._abandon()
            return
        try:
            self._finish()
        except BaseException:
            self._abandon()
            raise
        self._stack.close()

    def _finish(self) -> None:
        if self._last_pts is None:
            raise OutputError(f"No frame was written to {self._path}. Check that the footage has frames.")
        with self._output_errors():
            self._mux(self._stream.encode(None))
            if self._tracks is not None:
                self._tracks.write_until(None)
            self._output.close()

    def _abandon(self) -> None:
        # Without its name the file cannot be reopened, so that closing does not first move the index of a long film to
        # its front, only to throw it away.
        if hasattr(self, "_temporary"):
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
        if hasattr(self, "_output"):
            with suppress(av.error.FFmpegError, OSError, ValueError):
                self._output.close()
        with suppress(_AbandonedError):
            self._stack.__exit__(_AbandonedError, _AbandonedError(), None)

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.error.FFmpegError, ValueError) as error:
            # PyAV's errors with an errno are OSErrors too; its EPERM is FFmpeg's word for a packet it does not like.
            if isinstance(error, OSError) and not (
                error.errno == errno.EPERM and isinstance(error, av.error.FFmpegError)
            ):
                raise output_error(self._path, error) from error
            raise OutputError(
                f"Cannot encode {self._path} with {self._codec} ({reason_of(error)}). "
                "Choose an .mp4 name, or other encoder settings."
            ) from error

    def _carry_over(self, footage: Path) -> None:
        source = self._stack.enter_context(open_input(footage))
        shift = self._like.clock_start_seconds
        self._tracks = Tracks(footage, source, self._output, shift, samples_only=self._samples_only)
        self.left_out += self._tracks.left_out
        if self._samples_only:
            return
        self._output.set_chapters(chapters_of(source, shift))
        timecode = timecode_of(source, self._like.average_rate)
        if timecode is not None:
            self._stream.metadata["timecode"] = timecode

    def _container_options(self) -> dict[str, str]:
        if self._path.suffix.lower() not in (".mp4", ".m4v", ".mov"):
            return {}
        flags = "frag_keyframe+delay_moov+default_base_moof" if self._fragment else "faststart"
        like = self._like
        # The edit list that holds the tracks' start offsets counts in the film's own ticks: it gets a clock in which
        # both pictures and samples are whole numbers, so that no time is rounded.
        ticks = like.time_base.denominator
        samples = [track.sample_rate for track in like.audio if track.sample_rate] if self._tracks_from else []
        film = lcm(ticks, *samples)
        movie_ticks = film if film <= _LARGEST_TIMESCALE else ticks
        return {"movflags": flags, "video_track_timescale": str(ticks), "movie_timescale": str(movie_ticks)}

    def _add_video(self) -> VideoStream:
        like, encoding = self._like, self._encoding
        rule = rule_of(like.color_space, like.color_range, like.pixel_format, like.width, like.height)
        if rule.full_range and encoding.limited_range:
            rule = replace(rule, full_range=False, range_tag=1)
        self._rule, self._from_rgb = rule, VideoFromRgb(rule, encoding.pixel_format)
        if av.Codec(self._codec, "w").type != "video":
            raise ValueError("it is no video encoder")
        stream = cast(
            "VideoStream",
            self._output.add_stream(
                self._codec, rate=like.average_rate, options=dict(encoding.options), time_base=like.time_base
            ),
        )
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = like.width, like.height, encoding.pixel_format
        context.sample_aspect_ratio = like.sample_aspect_ratio
        context.color_primaries, context.color_trc = like.color_primaries, like.color_transfer
        context.colorspace, context.color_range = rule.space_tag, rule.range_tag
        context.gop_size = encoding.gop_size
        in_matroska = self._output.format.name in ("matroska", "webm")
        if in_matroska and like.sample_aspect_ratio != 1 and context.name not in ("libx264", "libx265"):
            # The muxer takes it from a field that PyAV does not reach, players from the H.264 and H.265 data.
            ratio = f"{like.sample_aspect_ratio.numerator}:{like.sample_aspect_ratio.denominator}"
            self.left_out += (
                f"the pixels' shape ({ratio}), which {self._codec} in {self._path.suffix} does not carry",
            )
        if encoding.tag and self._output.format.name in ("mp4", "mov"):
            context.codec_tag = encoding.tag
        return stream
