"""When to stop: what the held-out curve says of the next minutes, which row was best, and what went wrong.

Everything here is a function of the history alone, so a resumed run judges as one that never stopped.

The score of a row is ``held_out_ssim + 0.1 · held_out_identity_margin``: a face that is 0.02 of cosine nearer to the
lender is worth as much as 0.002 of SSIM, about the least that is seen in either. Where the newest row has no margin,
SSIM alone is compared.

The forecast is the power law ``a − b·(t + 1)^−½`` of learning curves over t minutes (J. Hestness et al., "Deep learning
scaling is predictable, empirically", 2017; T. Domhan et al., IJCAI 2015). The exponent is fixed, since five noisy rows
cannot tell it: for true ones between 0.3 and 1 the forecast is 0.9 to 1.4 times what comes. So one slope is left to
fit, and it is Theil and Sen's, the median over all pairs, which a quarter of wild rows does not move; its interval is
P. K. Sen's ("Estimates of the regression coefficient based on Kendall's tau", JASA 1968). Only the last third of the
time counts: swift's curve is S-shaped, and its slow start says nothing of its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, float]

__all__ = [
    "AHEAD_MINUTES",
    "PLATEAU_GAIN",
    "PLATEAU_ITERATIONS",
    "PLATEAU_MINUTES",
    "Forecast",
    "best_row",
    "better",
    "collapsed",
    "forecast",
    "memorised",
    "plateau_reached",
]

AHEAD_MINUTES = 10.0
"""How far a forecast looks."""

PLATEAU_GAIN = 0.002
"""Ten minutes that are forecast to give less than this score are not worth their while: nobody sees it."""

PLATEAU_MINUTES = 10.0
"""Nothing stops before: in its first minutes a model may still be finding its feet."""

PLATEAU_ITERATIONS = 1000
"""The same on a slow machine, where ten minutes are few steps: swift learns most between 350 and 1000."""

_IN_A_ROW = 5  # forecasts below the threshold, so that one lucky row stops nothing
_MARGIN_WEIGHT = 0.1
_FEWEST_ROWS = 4
_MOST_ROWS = 100
_EXPONENT = 0.5
_WINDOW_SHARE = 2.0 / 3.0
_WINDOW_ROWS = 6  # at least so many newest rows are fitted, if they are there
_NORMAL_80 = 1.2816  # the two-sided 80 % of the normal distribution
_COLLAPSE = 0.1
_MEMORISED_GAP = 0.02
_FALLEN = 0.001


@dataclass(frozen=True, slots=True)
class Forecast:
    """By how much the score is expected to change.

    Attributes:
        gain: over the next ``minutes``; negative when it falls.
        low: lower end of the 80 % interval of the slope. Neighbouring rows err alike and the law is not the truth, so
            it is too narrow: in an hour of swift it held what came in a third of the cases.
        high: its upper end.
        minutes: how far it looks.
    """

    gain: float
    low: float
    high: float
    minutes: float


def _with_margin(row: Row) -> bool:
    return "held_out_identity_margin" in row


def _score(row: Row, *, margin: bool) -> float:
    return row["held_out_ssim"] + (_MARGIN_WEIGHT * row["held_out_identity_margin"] if margin else 0.0)


def _comparable(history: Sequence[Row]) -> list[tuple[float, float, Row]]:
    """Minutes, score and row of what can be compared with the newest scored row."""
    scored = [row for row in history if "held_out_ssim" in row]
    if not scored:
        return []
    margin = _with_margin(scored[-1])
    rows = [row for row in scored if not margin or _with_margin(row)]
    return [(row["seconds"] / 60.0, _score(row, margin=margin), row) for row in rows]


def better(row: Row, than: Row | None) -> bool:
    """Whether a trained, scored row is better than another (or than none)."""
    if "held_out_ssim" not in row or row["iteration"] <= 0.0:
        return False  # the untrained model is nobody's best, even where grey noise has the higher SSIM
    if than is None or "held_out_ssim" not in than:
        return True
    margin = _with_margin(row) and _with_margin(than)
    return _score(row, margin=margin) > _score(than, margin=margin)


def best_row(history: Sequence[Row]) -> Row | None:
    """The trained row with the best score among those comparable with the newest; the first of equals."""
    best: Row | None = None
    for _, _, row in _comparable(history):
        if better(row, best):
            best = row
    return best


def _bent(minutes: float) -> float:
    """Time as the axis on which a curve of the assumed law is straight; a minute on, since it has no zero."""
    return -math.pow(minutes + 1.0, -_EXPONENT)


def forecast(history: Sequence[Row], minutes: float = AHEAD_MINUTES) -> Forecast | None:
    """What another ``minutes`` of training are expected to give.

    Args:
        history: rows with seconds and held_out_ssim, in order.
        minutes: how far to look.

    Returns:
        None while fewer than four rows can be compared.
    """
    points = _comparable(history)
    if len(points) < _FEWEST_ROWS:
        return None
    now = points[-1][0]
    recent = sum(1 for at, _, _ in points if at >= _WINDOW_SHARE * now)
    used = points[-max(recent, _WINDOW_ROWS) :]
    used = used[:: -(-len(used) // _MOST_ROWS)]  # all pairs of a day's rows would be hundreds of thousands
    placed = [(_bent(at), score) for at, score, _ in used]
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(placed)
        for later in placed[index + 1 :]
        if later[0] > earlier[0]
    )
    if not slopes:
        return None
    count = len(placed)
    spread = _NORMAL_80 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18.0)
    low = max(math.floor((len(slopes) - spread) / 2.0), 0)
    high = min(math.ceil((len(slopes) + spread) / 2.0), len(slopes) - 1)
    ahead = _bent(now + minutes) - _bent(now)
    return Forecast(median(slopes) * ahead, slopes[low] * ahead, slopes[high] * ahead, minutes)


def plateau_reached(history: Sequence[Row]) -> bool:
    """Whether ten more minutes were not worth it at each of the last five scores.

    All five must have been made after :data:`PLATEAU_MINUTES` and :data:`PLATEAU_ITERATIONS`.
    """
    if len(history) < _IN_A_ROW:
        return False
    earliest = history[-_IN_A_ROW]
    if earliest["seconds"] < PLATEAU_MINUTES * 60.0 or earliest["iteration"] < PLATEAU_ITERATIONS:
        return False
    expected = [forecast(history[: len(history) - left]) for left in range(_IN_A_ROW)]
    return all(some is not None and some.gain < PLATEAU_GAIN for some in expected)


def memorised(history: Sequence[Row]) -> tuple[str, ...]:
    """The sides whose trained faces are learned by heart: ``lender``, ``performer``, both or none.

    The lead of trained over held-out faces has grown by more than 0.02 of SSIM since the first row, and the held-out
    ones are more than 0.001 below their best.
    """
    sides = []
    for side, seen, unseen in (
        ("lender", "trained_ssim", "held_out_ssim"),
        ("performer", "trained_performer_ssim", "held_out_performer_ssim"),
    ):
        rows = [row for row in history if seen in row and unseen in row]
        if len(rows) < 2:
            continue
        first, last = rows[0], rows[-1]
        grown = (last[seen] - last[unseen]) - (first[seen] - first[unseen])
        if grown > _MEMORISED_GAP and last[unseen] < max(row[unseen] for row in rows) - _FALLEN:
            sides.append(side)
    return tuple(sides)


def collapsed(history: Sequence[Row]) -> bool:
    """Whether the newest row is a ruin: a side's SSIM 0.1 below the median of the three rows before, or no number.

    The untrained row does not count, since classic falls by as much from it within its first minute.
    """
    rows = [row for row in history if row["iteration"] > 0.0]
    if len(rows) < 4:
        return False
    *before, last = rows[-4:]
    for name in ("held_out_ssim", "held_out_performer_ssim"):
        if all(name in row for row in before):
            usual = median(row[name] for row in before)
            if name not in last or last[name] < usual - _COLLAPSE:
                return True
    return False
