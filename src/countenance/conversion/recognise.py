"""Whether a track is the performer, with hysteresis."""

from __future__ import annotations

from collections import deque
from typing import Literal

__all__ = ["Identity", "Verdict"]

Verdict = Literal["unknown", "performer", "uncertain", "other"]

_WINDOW = 8
_SAMPLES_TO_DISMISS = 3  # one bad look must not let the performer's face through
_SLACK = 0.10  # how far below the threshold a performer's mean may sink before doubt begins


class Identity:
    """Collects similarities of one track's faces to the performer's template.

    A track becomes the performer at once, by a mean above the threshold. It is dismissed as somebody else only after
    three looks with a mean below the lower threshold, and a former performer only when every remembered look is below.
    In between it is uncertain, and uncertain faces are veiled.

    Args:
        performer_cosine: mean cosine from which a track is the performer.
        other_cosine: mean cosine under which it is somebody else.
    """

    def __init__(self, performer_cosine: float, other_cosine: float) -> None:
        self._performer, self._other = performer_cosine, min(other_cosine, performer_cosine)
        self._samples: deque[float] = deque(maxlen=_WINDOW)
        self._was_performer = False
        self.looks = 0
        self.verdict: Verdict = "unknown"

    @property
    def score(self) -> float:
        """Mean cosine of the remembered looks; −1 before the first."""
        return sum(self._samples) / len(self._samples) if self._samples else -1.0

    def add(self, cosine: float) -> Verdict:
        """Take one look and give the new verdict."""
        if self._was_performer and cosine < self._other:
            # Somebody else may have taken the place: the looks at whoever was here must not vouch for them.
            self._samples = deque((sample for sample in self._samples if sample < self._other), maxlen=_WINDOW)
        self._samples.append(cosine)
        self.looks += 1
        self.verdict = self._judge()
        self._was_performer |= self.verdict == "performer"
        return self.verdict

    def _judge(self) -> Verdict:
        score = self.score
        if score >= self._performer:
            return "performer"
        if self.verdict == "performer" and score >= self._performer - _SLACK:
            return "performer"
        enough = _WINDOW if self._was_performer else _SAMPLES_TO_DISMISS
        if len(self._samples) >= enough and score < self._other:
            return "other"
        return "uncertain" if self.looks else "unknown"
