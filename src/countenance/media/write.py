"""A video file that has the times, the colours and the sound of its footage, and appears only when complete."""

from __future__ import annotations

import errno
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Self, cast

import av
import av.error
import cv2

from countenance.atomic import output_error, replacing
from countenance.errors import OutputError
from countenance.media.audio import AudioTracks
from countenance.media.opening import open_input, reason_of
from countenance.media.yuv import VideoFromRgb, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from av.video.stream import VideoStream

    from countenance.media.probe import VideoInfo
    from countenance.types import Frame

__all__ = ["VideoWriter"]

_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
_AVX_512F = 13  # OpenCV's CV_CPU_AVX_512F, which its Python names leave out
_KEYFRAME_SECONDS = 2


class _AbandonedError(Exception):
    """Tells ``replacing`` that the body failed, without taking the body's OSError for one of the output."""


class VideoWriter:
    """Writes frames to ``path``; use it as a context manager.

    Until the ``with`` block ends well there is only a hidden ``.part`` file beside ``path``; when the block raises, or
    writing fails, that is removed and ``path`` is as it was. On a clean exit the rest of the sound is copied, the file
    is synced and takes its name.

    * Times: frames keep their pts. MP4 and MOV get the time base of ``like`` (where it is one over a whole number), so
      that the pts come out as the same integers; MKV has milliseconds only. A transport stream's arbitrary clock is
      taken off pictures and sound alike.
    * Colours: by the matrix and range of ``like``, whose tags are kept; what was RGB or grey is written as YCbCr.
    * Size: 8-bit 4:2:0; with an odd width or height 4:4:4, because 4:2:0 H.264 has even sizes only (no padding, no
      cropping; Safari and QuickTime do not play 4:4:4). The sample aspect ratio is kept. Pictures are upright, so no
      rotation is written.
    * Sound: every track, packets as they are; AAC where the container does not take the codec.
    * Nothing else comes along: no global metadata (it may hold the place of filming), chapters, subtitles or data.
    """

    def __init__(
        self,
        path: Path,
        like: VideoInfo,
        *,
        codec: str = "libx264",
        crf: int = 16,
        preset: str = "medium",
        audio_from: Path | None = None,
        fragment: bool = False,
    ) -> None:
        """Describe the file; nothing is touched before the ``with`` block.

        Args:
            path: the final path: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``.
            like: the footage whose size, rate, time base and colours are kept.
            codec: FFmpeg's name of an encoder that knows ``crf`` and ``preset``.
            crf: constant rate factor, 0 (best) to 51; 16 is visually lossless.
            preset: the encoder's speed.
            audio_from: the file whose sound tracks are carried over, on the clock of ``like``.
            fragment: write MP4 or MOV in fragments that can be played while it grows, instead of the index first.

        Raises:
            OutputError: the suffix is not one of ours.
            ValueError: ``crf`` is out of range.
        """
        if path.suffix.lower() not in _SUFFIXES:
            raise OutputError(f"Cannot write {path}: the name must end in .mp4, .mov or .mkv. Choose such a name.")
        if not 0 <= crf <= 51:
            raise ValueError(f"crf: expected 0 to 51, got {crf}")
        self._path = path
        self._like = like
        self._codec = codec
        self._encoder_options = {"crf": str(crf), "preset": preset} | _repeatable(codec)
        self._audio_from = audio_from
        self._fragment = fragment
        self._stack = ExitStack()
        self._last_pts: int | None = None
        self._audio: AudioTracks | None = None
        self.audio_left_out: tuple[str, ...] = ()
        """Sound tracks that could not be carried over, in words; known inside the ``with`` block."""

    def __enter__(self) -> Self:
        """Create the hidden file and write its header.

        Raises:
            OutputError: the folder is missing, full or not writable, or the encoder refuses the settings.
            MediaError: ``audio_from`` cannot be read.
        """
        try:
            self._temporary = self._stack.enter_context(replacing(self._path))
            with self._output_errors():
                self._temporary.touch()  # a missing or read-only folder speaks here, in the system's own words
                self._output = av.open(
                    str(self._temporary.absolute()), "w", container_options=self._container_options()
                )
                self._stream = self._add_video()
            if self._audio_from is not None:
                source = self._stack.enter_context(open_input(self._audio_from))
                self._audio = AudioTracks(self._audio_from, source, self._output, self._like.clock_start_seconds)
                self.audio_left_out = self._audio.left_out
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
            MediaError: the sound of ``audio_from`` is damaged.
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
            self._output.mux(self._stream.encode(picture))
            if self._audio is not None:
                self._audio.write_until(seconds)

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
            self._output.mux(self._stream.encode(None))
            if self._audio is not None:
                self._audio.write_until(None)
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

    def _container_options(self) -> dict[str, str]:
        if self._path.suffix.lower() == ".mkv":
            return {}
        # One clock for tracks and for the edit list that holds their start offsets: no time is rounded.
        ticks = str(self._like.time_base.denominator)
        flags = "frag_keyframe+delay_moov+default_base_moof" if self._fragment else "faststart"
        return {"movflags": flags, "video_track_timescale": ticks, "movie_timescale": ticks}

    def _add_video(self) -> VideoStream:
        like = self._like
        pixel_format = "yuv420p" if like.width % 2 == 0 and like.height % 2 == 0 else "yuv444p"
        rule = rule_of(like.color_space, like.color_range, like.pixel_format, like.width, like.height)
        self._from_rgb = VideoFromRgb(rule, pixel_format)
        if av.Codec(self._codec, "w").type != "video":
            raise ValueError("it is no video encoder")
        stream = cast(
            "VideoStream",
            self._output.add_stream(
                self._codec, rate=like.average_rate, options=dict(self._encoder_options), time_base=like.time_base
            ),
        )
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = like.width, like.height, pixel_format
        context.sample_aspect_ratio = like.sample_aspect_ratio
        context.color_primaries, context.color_trc = like.color_primaries, like.color_transfer
        context.colorspace, context.color_range = rule.space_tag, rule.range_tag
        rate = float(like.average_rate or Fraction(25))
        context.gop_size = min(300, max(12, round(_KEYFRAME_SECONDS * rate)))  # seeking stays quick at any rate
        return stream


def _repeatable(codec: str) -> dict[str, str]:
    """Options that make an encoder give the same bits each time.

    x264's macroblock tree does not on processors with AVX-512: six encodes of one clip gave six files, and one with the
    AVX2 code. Asking for AVX2 is safe only there, since x264 believes it unseen.
    """
    if codec == "libx264" and cv2.checkHardwareSupport(_AVX_512F):
        return {"x264-params": "asm=avx2"}
    return {}
