"""Makes tests/resources/: small real clips of the kinds that break video programs.

    python tools/make_test_clips.py

They are cut from the package's synthetic performers (nobody in them exists; CC0), with PyAV and nothing of our own
writer. FFmpeg's encoders differ between versions, so the bytes may change when they are made again; the facts that the
tests check (listed in ``CLIPS``) do not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import files
from itertools import accumulate, islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

RESOURCES = Path(__file__).resolve().parent.parent / "tests" / "resources"
PERFORMERS = Path(str(files("countenance") / "data" / "performers"))
NTSC = Fraction(30000, 1001)


@dataclass(frozen=True)
class Sound:
    codec: str = "aac"
    sample_rate: int = 48000
    layout: str = "stereo"
    start_seconds: Fraction = Fraction(0)
    language: str | None = None


@dataclass(frozen=True)
class Clip:
    """One clip: what is stored (before rotation), and how."""

    name: str
    size_wh: tuple[int, int] = (160, 160)
    frames: int = 24
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 12800)
    steps: Sequence[int] = ()  # ticks between frames; empty: constant
    first_pts: int = 0
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    colors: tuple[int, int, int, int] = (2, 2, 2, 0)  # primaries, transfer, matrix, range: untagged
    pixel_shape: Fraction = Fraction(1)
    display_matrix: tuple[int, ...] | None = None
    stored_turns: int = 0  # quarter turns counter-clockwise of the stored picture, which the matrix undoes
    stored_mirrored: bool = False
    sounds: tuple[Sound, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    people: tuple[str, ...] = ("train_A",)


ONE, UNIT = 1 << 16, 1 << 30
TURN_90 = (0, ONE, 0, -ONE, 0, 0, 0, 0, UNIT)  # what phones write for portrait
TURN_180 = (-ONE, 0, 0, 0, -ONE, 0, 0, 0, UNIT)
TURN_270 = (0, -ONE, 0, ONE, 0, 0, 0, 0, UNIT)
MIRROR = (-ONE, 0, 0, 0, ONE, 0, 0, 0, UNIT)  # a selfie camera
PHONE_STEPS = (3000, 3003, 2997, 6006, 3000, 1500, 4500, 9000, 3000, 2999, 3001, 3000)
TV_709 = (1, 1, 1, 1)
PAL_601_FULL = (5, 6, 5, 2)

CLIPS = (
    Clip("ntsc_2997.mp4", rate=NTSC, time_base=Fraction(1, 30000), sounds=(Sound(),)),
    Clip("ntsc_2997.mkv", rate=NTSC, time_base=Fraction(1, 30000), sounds=(Sound("libopus"),)),
    Clip(
        "vfr.mp4", rate=Fraction(30), time_base=Fraction(1, 90000), steps=PHONE_STEPS, first_pts=4500, sounds=(Sound(),)
    ),
    Clip("turned_90.mp4", size_wh=(160, 120), display_matrix=TURN_90, stored_turns=1, pixel_shape=Fraction(4, 3)),
    Clip("turned_180.mp4", size_wh=(160, 120), frames=4, display_matrix=TURN_180, stored_turns=2),
    Clip("turned_270.mov", size_wh=(160, 120), frames=4, display_matrix=TURN_270, stored_turns=3),
    Clip("mirrored.mp4", size_wh=(160, 120), frames=4, display_matrix=MIRROR, stored_mirrored=True),
    Clip("ten_bit.mp4", pixel_format="yuv420p10le", colors=TV_709, frames=12),
    Clip("bt709.mp4", size_wh=(192, 128), colors=TV_709, frames=12),
    Clip("bt601_full.mp4", size_wh=(192, 128), colors=PAL_601_FULL, frames=12),
    Clip(
        "two_sounds.mp4",
        sounds=(
            Sound(language="eng", start_seconds=Fraction(1, 4)),
            Sound("libmp3lame", 44100, "mono", language="deu"),
        ),
    ),
    Clip(
        "camera.avi",
        codec="mjpeg",
        pixel_format="yuvj420p",
        frames=12,
        colors=(2, 2, 5, 2),
        time_base=Fraction(1, 25),
        sounds=(Sound("adpcm_ms", 44100),),
    ),
    Clip("odd_size.webm", size_wh=(159, 121), codec="libvpx-vp9", frames=8, sounds=(Sound("libopus", layout="mono"),)),
    Clip("anamorphic.mp4", size_wh=(144, 160), pixel_shape=Fraction(16, 11), frames=8),
    Clip("transport.ts", rate=NTSC, time_base=Fraction(1, 90000), sounds=(Sound(),)),
    Clip("fragmented.mp4", sounds=(Sound(),), container_options={"movflags": "frag_keyframe+empty_moov"}),
    Clip("two_faces.mp4", size_wh=(640, 320), frames=12, people=("train_A", "train_B")),
)


def pictures(clip: Clip) -> list[np.ndarray]:
    """RGB frames of the clip's people, side by side."""
    width, height = clip.size_wh
    columns = []
    for person in clip.people:
        with av.open(str(PERFORMERS / f"{person}.mp4")) as source:
            decoded = [frame.to_ndarray(format="rgb24") for frame in islice(source.decode(video=0), clip.frames)]
        decoded = [np.rot90(rgb[:, ::-1] if clip.stored_mirrored else rgb, clip.stored_turns) for rgb in decoded]
        share = (width // len(clip.people), height)
        columns.append([cv2.resize(np.ascontiguousarray(rgb), share, interpolation=cv2.INTER_AREA) for rgb in decoded])
    return [np.ascontiguousarray(np.hstack(row)) for row in zip(*columns, strict=True)]


def times(clip: Clip) -> list[int]:
    constant = round(1 / (clip.rate * clip.time_base))
    steps = [clip.steps[i % len(clip.steps)] if clip.steps else constant for i in range(clip.frames - 1)]
    return list(accumulate(steps, initial=clip.first_pts))


def add_video(output: av.container.OutputContainer, clip: Clip) -> av.video.stream.VideoStream:
    options = {"crf": "20"} | clip.options if clip.codec.startswith("lib") else dict(clip.options)
    stream = output.add_stream(clip.codec, rate=clip.rate, options=options, time_base=clip.time_base)
    stream.width, stream.height = clip.size_wh
    stream.pix_fmt = clip.pixel_format
    context = stream.codec_context
    context.gop_size = 12
    context.sample_aspect_ratio = clip.pixel_shape
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.colors
    if clip.display_matrix:
        stream.set_display_matrix(clip.display_matrix)
    return stream


def write_pictures(output: av.container.OutputContainer, stream: av.video.stream.VideoStream, clip: Clip) -> None:
    matrix = clip.colors[2] if clip.colors[2] != 2 else 5
    for rgb, pts in zip(pictures(clip), times(clip), strict=True):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format=clip.pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=2,
            dst_color_range=2 if clip.colors[3] == 2 else 1,
            interpolation="BICUBIC",
        )
        frame.pts, frame.time_base = pts, clip.time_base
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def write_sound(
    output: av.container.OutputContainer, stream: av.audio.stream.AudioStream, sound: Sound, seconds: float
) -> None:
    """A rising tone, a different one in each channel."""
    rate, channels = sound.sample_rate, stream.codec_context.channels
    t = np.arange(int(seconds * rate)) / rate
    wave = np.stack([0.2 * np.sin(2 * np.pi * (220 * (c + 1) + 110 * t) * t) for c in range(channels)]).astype(
        np.float32
    )
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=sound.layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(sound.start_seconds * rate)
    context = stream.codec_context
    resampler = av.AudioResampler(
        format=context.format.name, layout=sound.layout, rate=rate, frame_size=context.frame_size or 1024
    )
    for part in [*resampler.resample(frame), *resampler.resample(None), None]:
        output.mux(stream.encode(part))


def make(clip: Clip) -> Path:
    path = RESOURCES / clip.name
    options = dict(clip.container_options)
    if path.suffix in (".mp4", ".mov"):
        options |= {"video_track_timescale": str(clip.time_base.denominator)}
    with av.open(str(path), "w", container_options=options) as output:
        video = add_video(output, clip)
        sounds = []
        for sound in clip.sounds:
            stream = output.add_stream(sound.codec, rate=sound.sample_rate, layout=sound.layout, bit_rate=64000)
            if sound.language:
                stream.metadata["language"] = sound.language
            sounds.append((stream, sound))
        for stream in output.streams:
            stream.codec_context.open()
        write_pictures(output, video, clip)
        for stream, sound in sounds:
            write_sound(output, stream, sound, float(clip.frames / clip.rate))
    return path


def make_photo() -> Path:
    """Performer A, stored lying on the side with EXIF orientation 6, as phones do; sized for a face search."""
    with av.open(str(PERFORMERS / "train_A.mp4")) as source:
        upright = next(source.decode(video=0)).to_ndarray(format="rgb24")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = RESOURCES / "photo_turned.jpg"
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(path, quality=92, exif=exif)
    return path


def main() -> None:
    RESOURCES.mkdir(parents=True, exist_ok=True)
    for path in [*(make(clip) for clip in CLIPS), make_photo()]:
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
