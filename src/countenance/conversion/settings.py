"""The knobs of a conversion; the defaults need no turning."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from countenance.errors import ConfigError

__all__ = ["BlendMethod", "ConvertSettings"]

BlendMethod = Literal["pyramid", "feather"]

# What each number may be: (lowest, highest).
_BOUNDS = {
    "color_strength": (0.0, 1.0),
    "color_seconds": (0.0, 10.0),
    "smoothing_frames": (0, 12),
    "lookahead_frames": (0, 60),
    "strong_score": (0.0, 1.0),
    "weak_score": (0.0, 1.0),
    "least_presence": (0.0, 1.0),
    "performer_cosine": (-1.0, 1.0),
    "other_cosine": (-1.0, 1.0),
    "smallest_face": (8, 4096),
    "largest_yaw_degrees": (0.0, 90.0),
    "largest_pitch_degrees": (0.0, 90.0),
    "largest_misfit_cm": (0.0, 10.0),
    "fade_frames": (0, 30),
    "hold_seconds": (0.0, 10.0),
    "screen_seconds": (0.04, 0.5),
    "batch_frames": (1, 64),
    "queue_frames": (1, 64),
    "crf": (0, 51),
    "segment_seconds": (0.2, 600.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertSettings:
    """How a conversion works. Checked when made.

    Picture
        ``blend``: how the face is laid into the footage (docs: the pyramid hides the seam of a face whose colour is a
        little off). ``color_strength``: 0 leaves the swapper's colours, 1 matches them to the footage.
        ``color_seconds``: time constant of the match's smoothing. ``occlusion``: leave what is in front of the
        face there (docs/concepts/occlusion.md); without it, that rests on the swapper's mask alone.

        ``texture``: give the face the footage's sharpness, motion blur and grain.

    Tracking
        ``smoothing_frames``: frames on either side that the alignment is fitted over; as many before as after, so it
        does not lag. ``lookahead_frames``: how far ahead a decision about a frame may look (memory: so many frames).
        ``strong_score``, ``weak_score``: detector scores of a face, and of something that may be one.
        ``least_presence``: of the landmarks. ``performer_cosine``, ``other_cosine``: mean similarity to the performer's
        template above which a track is the performer, and below which it is somebody else; in between it is uncertain.
        The first is None for the embedder's own ``SAME_PERSON_COSINE``.

    Failing closed
        A performer's face under ``smallest_face`` pixels high or turned by more than ``largest_yaw_degrees`` or
        ``largest_pitch_degrees`` is veiled, as is the place where one was last seen, for ``hold_seconds``; so is one
        whose landmarks lie farther than ``largest_misfit_cm`` from every head's (bench/leaks.py's people: 0.24 to 0.43
        in good pictures, 0.8 and more with 30 % of the face's height of motion blur). Over ``fade_frames`` the
        replaced face passes into the veil before it is needed, and out of it afterwards.

    Work
        ``screen_seconds``: at least so often a frame is screened, of the footage and of the render.
        ``batch_frames``: at most so many frames' faces go to the swapper together. ``queue_frames``: frames that wait
        between two stages. ``segment_seconds``: how much is lost at most when the work is killed; a segment that long
        is finished, synced and never made again.

    File
        ``codec``: one of :data:`countenance.media.codecs.CODECS`, the container's default when None. ``encoder``: one
        of FFmpeg's encoders by name, for hardware; never used unless named. ``crf``, ``preset``: of the encoder, where
        it knows them.

    Raises:
        ConfigError: a value is out of range.
    """

    blend: BlendMethod = "pyramid"
    color_strength: float = 0.7
    color_seconds: float = 0.4
    occlusion: bool = True
    texture: bool = True
    smoothing_frames: int = 3
    lookahead_frames: int = 6
    strong_score: float = 0.6
    weak_score: float = 0.3
    least_presence: float = 0.7
    performer_cosine: float | None = None
    other_cosine: float = 0.4
    smallest_face: int = 20
    largest_yaw_degrees: float = 70.0
    largest_pitch_degrees: float = 50.0
    largest_misfit_cm: float = 0.8
    fade_frames: int = 5
    hold_seconds: float = 0.5
    screen_seconds: float = 0.5
    batch_frames: int = 4
    queue_frames: int = 2
    segment_seconds: float = 6.0
    codec: str | None = None
    encoder: str | None = None
    crf: int = 15
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = _BOUNDS.get(field.name, (-math.inf, math.inf))
            if isinstance(value, int | float) and not low <= value <= high:
                raise ConfigError(f"{field.name} is {value}. Choose a value from {low} to {high}.")
        if self.blend not in ("pyramid", "feather"):
            raise ConfigError(f"blend is {self.blend!r}. Choose 'pyramid' or 'feather'.")
        if self.weak_score > self.strong_score:
            raise ConfigError(f"weak_score is {self.weak_score}. Choose at most strong_score ({self.strong_score}).")
        if self.performer_cosine is not None and self.other_cosine > self.performer_cosine:
            raise ConfigError(f"other_cosine is {self.other_cosine}. Choose at most {self.performer_cosine}.")
