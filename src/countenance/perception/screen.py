"""The two screens that refuse work: sexual content, and faces that appear under age.

Both are estimates and are treated as such. A screen that cannot be run refuses, it never lets pass: a network that
cannot be fetched is a WeightsError, scores that are not numbers count as flagged.
"""

from __future__ import annotations

import io
import math
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from countenance import geometry
from countenance.errors import MinorError, SexualContentError, WeightsError
from countenance.perception.pictures import as_rgb, cut
from countenance.perception.session import SessionProvider, default_sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from countenance.types import FaceLandmarks, UInt8

__all__ = [
    "ATTESTED_AGE",
    "MINIMUM_AGE",
    "SEXUAL_CONTENT_LIMIT",
    "ApparentAge",
    "Looks",
    "SexualContentScreen",
    "require_adult",
    "require_attested",
    "require_decent",
]

SEXUAL_CONTENT_LIMIT = 0.8
"""A picture whose score is at or above it is flagged (Yahoo's advice for open_nsfw: below 0.2 safe, above 0.8 not).

Measured on the synthetic performers, which are all heads and shoulders: at most 0.66. Harmless pictures with more skin
in them: docs/concepts/screens.md.
"""

MINIMUM_AGE = 18.0
"""Median apparent age in years below which a person's faces are refused.

Measured: the synthetic performers, all meant as adults, have medians of 24 to 29 years with single frames from 17 to
52, which is why the rule looks at the median. On seven photographs of three adults it said 40 to 73 years.
The estimator can be wrong for a whole person: a youthful adult may be refused, and a minor may pass.
"""

ATTESTED_AGE = 25.0
"""Median apparent age in years below which the consent record has to say that the lender's identity card was checked.

What shops that sell by age do ("Challenge 25"), for the same reason: an estimate is not good enough near the limit.
"""

_SQUEEZE, _CENTRE = 256, 224
_MEAN_BGR = np.array([104.0, 117.0, 123.0], np.float32)

_CHIP, _PADDING = 64, 0.2
_MEAN_RGB = np.array([122.782, 117.001, 104.298], np.float32)
_ODDS_OFF = 0.01  # how far the sum of a distribution may be off
_YEARS = np.array([0.25, *range(1, 81)], np.float64)  # the first class is the first year of life
# dlib's five points of a face in the unit square, before padding (get_face_chip_details): the outer and inner corner
# of the left eye, of the right eye, and the base of the nose; and the landmarks that lie there.
_CHIP_POINTS = np.array(
    [[0.859567, 0.213498], [0.646060, 0.228967], [0.120575, 0.213727], [0.334085, 0.229064], [0.490112, 0.627798]]
)
_CHIP_LANDMARKS = np.array([263, 362, 33, 133, 2], np.intp)


class SexualContentScreen:
    """Scores how likely a picture is to be sexual (open_nsfw, J. Mahadeokar and G. Pesavento, Yahoo, 2016).

    Args:
        sessions: gives the network; the real one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8) -> float:
        """The score of a whole picture in [0, 1]; compare with :data:`SEXUAL_CONTENT_LIMIT`.

        Args:
            rgb: uint8 ``(H, W, 3)``, the whole frame and not a face crop, which the network never saw.

        Raises:
            ValueError: the picture has another form.
            WeightsError: the network cannot be fetched, or gives something else than two numbers.

        What is no probability comes back as NaN, which is flagged.
        """
        rgb = as_rgb("SexualContentScreen", rgb)
        # The network was trained on JPEGs resized by Pillow, so the same filter and one round of JPEG belong to it.
        squeezed = Image.fromarray(rgb).resize((_SQUEEZE, _SQUEEZE), Image.Resampling.BILINEAR)
        margin = (_SQUEEZE - _CENTRE) // 2
        with io.BytesIO() as buffer:
            squeezed.crop((margin, margin, margin + _CENTRE, margin + _CENTRE)).save(buffer, "JPEG")
            buffer.seek(0)
            picture = np.asarray(Image.open(buffer), np.float32)
        tensor = np.ascontiguousarray(picture[:, :, ::-1] - _MEAN_BGR)[None]
        odds = _answer(self._sessions("sexual-content").run({"input:0": tensor}), 2, "sexual content")
        score = float(odds[1])
        return score if 0.0 <= score <= 1.0 else math.nan


class ApparentAge:
    """Estimates how old a face looks (dlib's age predictor, Cydral Technology, CC0 weights).

    One estimate can be off by ten years; take the median over a track or a person.

    Args:
        sessions: gives the network; the real one when None.
    """

    def __init__(self, sessions: SessionProvider | None = None) -> None:
        self._sessions = sessions or default_sessions()

    def __call__(self, rgb: UInt8, landmarks: FaceLandmarks) -> float:
        """Apparent age in years, 0.25 to 80: the mean of the network's distribution.

        Args:
            rgb: uint8 ``(H, W, 3)``.
            landmarks: the face, in the picture's pixels.

        Raises:
            ValueError: the picture has another form, or the landmarks are a single point.
            WeightsError: the network cannot be fetched, or gives something else than a number for each year.

        What is no distribution comes back as NaN, which counts as under age.
        """
        rgb = as_rgb("ApparentAge", rgb)
        places = (_CHIP_POINTS + _PADDING) / (1.0 + 2.0 * _PADDING) * _CHIP
        chip_from_frame = geometry.umeyama(landmarks.points_xy[_CHIP_LANDMARKS], places)
        chip = cut(rgb, chip_from_frame, _CHIP).astype(np.float32)
        tensor = np.ascontiguousarray(((chip - _MEAN_RGB) / np.float32(256.0)).transpose(2, 0, 1)[None])
        odds = _answer(self._sessions("apparent-age").run({"images": tensor}), len(_YEARS), "apparent age")
        return float(odds @ _YEARS) if odds.min() >= 0.0 and abs(odds.sum() - 1.0) < _ODDS_OFF else math.nan


class Looks:
    """Which frames a screen looks at: the first, the first after each cut, and one every so often.

    Args:
        every_seconds: of footage, at most, between two looks.
    """

    def __init__(self, every_seconds: Fraction) -> None:
        self._every = every_seconds
        self._next: Fraction | None = None

    def restart(self) -> None:
        """The next frame counts as the first."""
        self._next = None

    def due(self, pts_seconds: Fraction, *, cut: bool) -> bool:
        """Whether a frame is to be looked at; ask once for each frame, in order.

        Args:
            pts_seconds: its time.
            cut: whether a shot begins with it.
        """
        late = Fraction(0)
        if self._next is not None and not cut:
            if pts_seconds < self._next:
                return False
            late = (pts_seconds - self._next) % self._every  # what falls between two frames must not add up
        self._next = pts_seconds + self._every - late
        return True


def require_decent(scores: Iterable[float], what: str) -> None:
    """Refuse material when any of its pictures is flagged.

    Args:
        scores: the scores of the pictures that were looked at.
        what: names the material in the message, for example ``"scene.mp4"``.

    Raises:
        SexualContentError: a score is at or above :data:`SEXUAL_CONTENT_LIMIT` or is no number, or there is none.
    """
    known = [float(score) for score in scores]
    if not known:
        raise SexualContentError(
            f"Nothing of {what} could be screened for sexual content. Give material with pictures."
        )
    flagged = [score for score in known if not score < SEXUAL_CONTENT_LIMIT]  # a NaN is flagged too
    if flagged:
        raise SexualContentError(
            f"{what} looks like sexual content ({len(flagged)} of {len(known)} pictures that were looked at), and "
            "Countenance does not work on such material. There is no switch; leave out those scenes if that is wrong."
        )


def require_adult(ages: Iterable[float], what: str) -> None:
    """Refuse a person who appears under age, by the median of the estimates.

    Args:
        ages: apparent ages in years of one person's faces.
        what: names the person in the message, for example ``"the performer in scene.mp4"``.

    Raises:
        MinorError: the median is below :data:`MINIMUM_AGE` or is no number, or there is no estimate.
    """
    known = _years(ages)
    if not known:
        raise MinorError(f"No apparent age could be estimated for {what}. Give material that shows the face clearly.")
    middle = median(known)
    if middle < MINIMUM_AGE:
        raise MinorError(
            f"{what} appears to be under age (median estimate {middle:.0f} years over {len(known)} faces, at least "
            f"{MINIMUM_AGE:.0f} needed), and Countenance works with adults only. There is no switch."
        )


def require_attested(ages: Iterable[float], what: str, *, adult_id_checked: bool) -> None:
    """Refuse a lender who looks young, unless the consent record says that an identity card was checked.

    Args:
        ages: apparent ages in years of the lender's faces.
        what: names the person in the message.
        adult_id_checked: what the record says.

    Raises:
        MinorError: as :func:`require_adult`; or the median is below :data:`ATTESTED_AGE` and nobody has checked.
    """
    known = _years(ages)
    require_adult(known, what)
    middle = median(known)
    if middle < ATTESTED_AGE and not adult_id_checked:
        raise MinorError(
            f"{what} looks younger than {ATTESTED_AGE:.0f} (median estimate {middle:.0f} years over {len(known)} "
            "faces), and the consent record does not say that an identity card was checked. Ask the lender for a "
            "record in which a witness attests it."
        )


def _years(ages: Iterable[float]) -> list[float]:
    return [float(age) if math.isfinite(age) else 0.0 for age in ages]


def _answer(given: Sequence[NDArray[np.generic]], count: int, what: str) -> NDArray[np.float64]:
    """A network's numbers as float64 ``(count,)``; of another count they would be read wrongly."""
    odds = np.asarray(given[0]).reshape(-1) if len(given) else np.zeros(0)
    if odds.size != count or not np.issubdtype(odds.dtype, np.floating):
        raise WeightsError(
            f"The network for {what} gave {odds.size} values of {odds.dtype} instead of {count} numbers. Delete its "
            "file in the weights folder, so that it is fetched again."
        )
    return odds.astype(np.float64)
