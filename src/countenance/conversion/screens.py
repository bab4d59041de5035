"""The two screens of a render and of a preview: one rule for both, on the footage and on what was painted.

Which frames are looked at is :class:`countenance.perception.screen.Looks`'; to them comes the last one. Only faces that
are replaced are judged by their age: nobody else's is touched, and a child in the background is no reason to refuse.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING

from countenance.perception.screen import ATTESTED_AGE, Looks, require_adult, require_attested, require_decent
from countenance.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from countenance.conversion.decide import DecidedFace, DecidedFrame
    from countenance.conversion.report import Stopwatch
    from countenance.conversion.swap import PaintedFrame
    from countenance.conversion.track import WatchedFrame
    from countenance.perception.perceive import Perception
    from countenance.types import FaceLandmarks, UInt8

__all__ = ["AGES_TO_JUDGE", "FaceAges", "FrameScreen", "Screens", "SheetScreen"]

AGES_TO_JUDGE = 5
"""Estimates from which a track is judged by itself, and before which a preview shows nothing: one may be ten years off.
"""

_DENSE_SECONDS = Fraction(1, 10)  # between the first estimates of a track, so that half a second is enough to judge it


class FrameScreen:
    """Looks at whole pictures, in order, and refuses what is flagged.

    Args:
        score: of a picture, see :class:`countenance.perception.screen.SexualContentScreen`.
        name: what a frame is called in a message.
        every_seconds: of footage, between two looks.
    """

    def __init__(self, score: Callable[[UInt8], float], name: Callable[[Frame], str], every_seconds: Fraction) -> None:
        self._score, self._name = score, name
        self._looks = Looks(every_seconds)
        self._shot = 0
        self._unseen: Frame | None = None  # the newest frame, where nobody looked at it

    def __call__(self, frame: Frame, shot: int, *, changed: bool = True) -> None:
        """Take the next frame.

        Args:
            frame: the picture.
            shot: its number; another one than the last frame's is a cut.
            changed: False where another screen with the same frames has looked at the very same picture.

        Raises:
            SexualContentError: it is flagged.
        """
        due = self._looks.due(frame.pts_seconds, cut=shot != self._shot)
        self._shot = shot
        self._unseen = None if due or not changed else frame
        if due and changed:
            self._look(frame)

    def end(self) -> None:
        """There are no more frames: look at the last one.

        Raises:
            SexualContentError: it is flagged.
        """
        last, self._unseen = self._unseen, None
        if last is not None:
            self._look(last)

    def _look(self, frame: Frame) -> None:
        require_decent([self._score(frame.rgb)], self._name(frame))


class FaceAges:
    """Apparent ages of one person's faces, by track.

    Args:
        estimate: of a face, see :class:`countenance.perception.screen.ApparentAge`.
        every_seconds: of footage, between two estimates of a track; the first :data:`AGES_TO_JUDGE` come sooner.
    """

    def __init__(self, estimate: Callable[[UInt8, FaceLandmarks], float], every_seconds: Fraction) -> None:
        self._estimate, self._every = estimate, every_seconds
        self._by_track: dict[int, list[float]] = {}
        self._next: dict[int, Fraction] = {}

    def __call__(self, frame: Frame, faces: Iterable[DecidedFace]) -> bool:
        """Estimate the ages that are due; whether there were any.

        Args:
            frame: the picture.
            faces: those of the person in it, with landmarks.
        """
        seconds, before = frame.pts_seconds, self.count
        for face in faces:
            if face.landmarks is None or seconds < self._next.get(face.track, seconds):
                continue
            ages = self._by_track.setdefault(face.track, [])
            ages.append(float(self._estimate(frame.rgb, face.landmarks)))
            self._next[face.track] = seconds + (_DENSE_SECONDS if len(ages) < AGES_TO_JUDGE else self._every)
        return self.count > before

    @property
    def count(self) -> int:
        """Estimates so far."""
        return sum(len(ages) for ages in self._by_track.values())

    @property
    def median(self) -> float:
        """Median of all estimates, in years."""
        return median(self._all())

    def require(self, rule: Callable[[Iterable[float], str], None], who: str) -> None:
        """Hold the rule against all estimates, and against those of each track that has enough of them.

        Raises:
            RefusedError: the rule's.
        """
        rule(self._all(), who)
        for ages in self._by_track.values():
            if len(ages) >= AGES_TO_JUDGE:
                rule(ages, who)

    def _all(self) -> list[float]:
        return [age for ages in self._by_track.values() for age in ages]


class Screens:
    """Everything that is screened in one pass through footage.

    Args:
        perception: its ``screen`` and ``age`` are used.
        footage: name of the footage, for messages.
        place: where a frame is, for messages; empty where that is not to be told.
        every_seconds: of footage, between two looks.
        adult_id_checked: whether the lender's consent record says that an identity card was checked.
        watch: takes the time.
    """

    def __init__(
        self,
        perception: Perception,
        footage: str,
        place: Callable[[Frame], str],
        every_seconds: float,
        *,
        adult_id_checked: bool,
        watch: Stopwatch,
    ) -> None:
        every = Fraction(every_seconds).limit_denominator(1000)
        self.footage = FrameScreen(perception.screen, lambda frame: f"{footage}{place(frame)}", every)
        self.output = FrameScreen(perception.screen, lambda frame: f"The render of {footage}{place(frame)}", every)
        self.performer = FaceAges(perception.age, every)
        self.lender = FaceAges(perception.age, every)
        self._name, self._id_checked, self._watch = footage, adult_id_checked, watch

    def watched(self, frames: Iterable[WatchedFrame]) -> Iterator[WatchedFrame]:
        """The frames of the footage as they come; those that are due are looked at first.

        Raises:
            SexualContentError: one is flagged.
        """
        for seen in frames:
            with self._watch("screen"):
                self.footage(seen.frame, seen.shot)
            yield seen
        with self._watch("screen"):
            self.footage.end()

    def decided(self, decided: DecidedFrame) -> bool:
        """Estimate the performer's age where a face is to be replaced; whether that was done."""
        with self._watch("screen"):
            return self.performer(decided.frame, decided.faces)

    def painted(self, painted: PaintedFrame) -> bool:
        """Look at a picture that is to be shown, and estimate the age of the lender in it; whether that was done.

        Raises:
            SexualContentError: it is flagged.
        """
        with self._watch("screen output"):
            self.output(painted.frame, painted.shot, changed=painted.changed)
            if painted.unveiled is None:
                return False
            frame = painted.frame
            return self.lender(Frame(painted.unveiled, frame.index, frame.pts, frame.time_base), painted.faces)

    def end_of_output(self) -> None:
        """There are no more painted frames.

        Raises:
            SexualContentError: the last one is flagged.
        """
        with self._watch("screen output"):
            self.output.end()

    def require_performer(self) -> None:
        """Judge the performer's age.

        Raises:
            MinorError: under age, as a whole or in one track, or nothing could be estimated.
        """
        self.performer.require(require_adult, f"The performer in {self._name}")

    def require_lender(self) -> None:
        """Judge the age of the lender's face as it was painted.

        Raises:
            MinorError: under age, as a whole or in one track, or nothing could be estimated; or under 25 and no
                identity card was checked.
        """

        def rule(ages: Iterable[float], who: str) -> None:
            require_attested(ages, who, adult_id_checked=self._id_checked)

        self.lender.require(rule, f"The lender's face in the render of {self._name}")

    def close_calls(self) -> tuple[str, ...]:
        """Sentences for the user, where an age was not far from being refused."""
        people = ((self.performer, "the performer"), (self.lender, "the lender's face in the render"))
        return tuple(
            f"The median apparent age of {who} is {ages.median:.0f} years: allowed, but close to the limit of 18. "
            "The estimate can be wrong; make sure that nobody under age is shown."
            for ages, who in people
            if ages.median < ATTESTED_AGE
        )


class SheetScreen:
    """Screens the pictures that a training shows of itself: painted faces beside the footage's, now and then anew.

    Every painted face and the sheet with all of them are looked at. The ages are those of faces that the detector sees:
    before a model has learned anything it paints nobody. The newest estimates count, at least :data:`AGES_TO_JUDGE` of
    them; with fewer, a sheet with a face in it may not be shown yet.

    Args:
        perception: its ``screen``, ``detector``, ``mesh`` and ``age`` are used.
        what: names the sheet in messages, after an article.
    """

    def __init__(self, perception: Perception, what: str) -> None:
        self._see, self._what = perception, what
        self._ages: tuple[deque[float], deque[float]] = deque(), deque()  # of the footage's faces, of the painted ones

    def __call__(self, pairs: Sequence[tuple[UInt8, UInt8]], sheet: UInt8, *, adult_id_checked: bool) -> bool:
        """Look at a sheet; whether it may be shown now.

        Args:
            pairs: footage and painted face, uint8 ``(S, S, 3)`` each.
            sheet: all of them together, uint8 ``(H, W, 3)``, without marks.
            adult_id_checked: whether the lender's record says that an identity card was checked.

        Raises:
            SexualContentError: a picture is flagged.
            MinorError: a person appears under age; the lender under 25, and no identity card was checked.
        """
        look = FrameScreen(self._see.screen, lambda _frame: f"The {self._what}", Fraction(1))
        for number, picture in enumerate([*(painted for _, painted in pairs), sheet]):
            look(Frame(picture, number, number, Fraction(1)), number)  # each is a shot of its own
        known = True
        for side, ages in enumerate(self._ages):
            new = [age for pair in pairs for age in self._age_of(pair[side])]
            ages.extend(new)
            while len(ages) > max(len(new), AGES_TO_JUDGE):
                ages.popleft()
            if len(ages) < AGES_TO_JUDGE:
                known = known and not new
            elif side == 0:
                require_adult(ages, f"The performer in the {self._what}")
            else:
                require_attested(ages, f"The lender's face in the {self._what}", adult_id_checked=adult_id_checked)
        return known

    def _age_of(self, picture: UInt8) -> list[float]:
        """The apparent age of the face in a crop, in years; nothing where no face is seen."""
        found = self._see.detector(picture)
        if not found:
            return []
        best = max(found, key=lambda face: face.score)
        return [float(self._see.age(picture, self._see.mesh(picture, best, expression=False)))]
