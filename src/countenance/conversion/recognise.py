"""Whether a track is the performer, with hysteresis."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

__all__ = ["CLEAR", "Identity", "Verdict", "dismissible_cosine"]

Verdict = Literal["unknown", "performer", "uncertain", "other"]

CLEAR = 11.0
"""From this clarity on a look counts fully: on the synthetic performers the performer then had 0.54 or more."""

_BLIND = 7.0  # below this clarity everybody is alike: a look says nothing against anybody
_WINDOW = 8
_SAMPLES_TO_DISMISS = 3  # one bad look must not let the performer's face through
_SAMPLES_TO_RETURN = 2  # one good look at somebody who was dismissed is only a doubt
_SLACK = 0.10  # how far below the threshold a performer's mean may sink before doubt begins
_DOUBT = 0.07  # how far below it a single clear look may be


def dismissible_cosine(clarity: float, other_cosine: float) -> float:
    """The cosine below which a look speaks against the performer; the less was seen, the lower.

    Blurred, tiny or noisy, the performer is unlike himself too: on the synthetic performers his cosine falls from 0.85
    to 0.4 at clarity 10 and 0.2 at 8.5, and stays above this line, while strangers are at about 0 there.

    Args:
        clarity: of the look, see :class:`countenance.perception.identity.Impression`.
        other_cosine: the limit for a clear look.
    """
    if clarity < _BLIND:
        return -1.0
    return other_cosine * min((clarity - _BLIND) / (CLEAR - _BLIND), 1.0)


class Identity:
    """Collects similarities of one track's faces to the performer's template.

    A track becomes the performer at once, by a mean above the threshold. It is dismissed as somebody else only after
    three looks that on average speak against the performer, and a former performer only when every remembered look
    does. In between it is uncertain, and uncertain faces are veiled. Looks that are too unclear to speak against
    anybody are not remembered, unless they show the performer.

    Args:
        performer_cosine: mean cosine from which a track is the performer.
        other_cosine: mean cosine under which it is somebody else, when it is clearly seen.

    Attributes:
        looks: how many there were.
        highest: the highest cosine of all looks; −1 before the first.
        doubtful: whether the last look clearly showed somebody else, or nothing that can be told from anybody.
        surely_other: whether it is somebody else, and the last look by itself clearly said so, too.
    """

    def __init__(self, performer_cosine: float, other_cosine: float) -> None:
        self._performer, self._other = performer_cosine, min(other_cosine, performer_cosine)
        self._samples: deque[tuple[float, float]] = deque(maxlen=_WINDOW)  # cosine, and the limit of its look
        self._was_performer = self._was_other = False
        self.looks = 0
        self.highest = -1.0
        self.doubtful = self.surely_other = False
        self.verdict: Verdict = "unknown"

    @property
    def score(self) -> float | None:
        """Mean cosine of the remembered looks; None before the first."""
        return sum(cosine for cosine, _ in self._samples) / len(self._samples) if self._samples else None

    def add(self, cosine: float, clarity: float = math.inf) -> Verdict:
        """Take one look and give the new verdict."""
        limit = dismissible_cosine(clarity, self._other)
        self.looks += 1
        self.highest = max(self.highest, cosine)
        clear = clarity >= CLEAR
        self.doubtful = clarity < _BLIND or (clear and cosine < self._performer - _DOUBT)
        if clear or cosine < limit or cosine >= self._performer:
            self._remember(cosine, limit)
        self.verdict = self._judge()
        self._was_performer |= self.verdict == "performer"
        self._was_other |= self.verdict == "other"
        self.surely_other = self.verdict == "other" and clear and cosine < limit
        return self.verdict

    def _remember(self, cosine: float, limit: float) -> None:
        # Somebody else may have taken the place: the looks at whoever was here must not speak for or against them.
        if self._was_performer and cosine < limit:
            self._samples = deque((kept for kept in self._samples if kept[0] < kept[1]), maxlen=_WINDOW)
        if self._was_other and cosine >= self._performer:
            self._samples = deque((kept for kept in self._samples if kept[0] >= self._performer), maxlen=_WINDOW)
        self._samples.append((cosine, limit))

    def _judge(self) -> Verdict:
        score = self.score
        if score is None:
            return "uncertain"
        if score >= self._performer:
            returning = self._was_other and not self._was_performer and len(self._samples) < _SAMPLES_TO_RETURN
            return "uncertain" if returning else "performer"
        if self.verdict == "performer" and score >= self._performer - _SLACK:
            return "performer"
        enough = _WINDOW if self._was_performer else _SAMPLES_TO_DISMISS
        against = sum(cosine - limit for cosine, limit in self._samples) < 0.0
        return "other" if len(self._samples) >= enough and against else "uncertain"
