"""Line charts as SVG, small enough to stand inside a page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Series", "line_chart"]

_WIDTH, _HEIGHT = 560.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 118.0, 14.0, 40.0  # the right margin holds the names beside the lines' ends


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its name, points (x, y), and the CSS class that colours it."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str


@dataclass(frozen=True, slots=True)
class _Axes:
    x_ticks: list[float]
    y_ticks: list[float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the picture."""
        across = (x - self.x_ticks[0]) / ((self.x_ticks[-1] - self.x_ticks[0]) or 1.0)
        up = (y - self.y_ticks[0]) / ((self.y_ticks[-1] - self.y_ticks[0]) or 1.0)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)


def line_chart(series: Sequence[Series], *, x_label: str, title: str) -> str:
    """Lines over a common x axis as an SVG that scales with the page; each line's name stands at its end.

    Args:
        series: the lines; points without a finite y are left out, and lines of fewer than two points. Without any
            line the result is "".
        x_label: what x counts.
        title: what the chart shows, for those who cannot see it.
    """
    kept = [
        Series(line.name, [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)], line.style)
        for line in series
    ]
    kept = [line for line in kept if len(line.points) > 1]
    if not kept:
        return ""
    xs, ys = zip(*(point for line in kept for point in line.points), strict=True)
    axes = _Axes(_ticks(min(xs), max(xs), 6), _ticks(min(ys), max(ys), 5))
    parts = [f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{_escaped(title)}">']
    parts += _drawn_axes(axes, x_label)
    ends = _apart([axes.place(*line.points[-1])[1] for line in kept])
    for line, end in zip(kept, ends, strict=True):
        placed = [axes.place(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="line {line.style}" points="{path}"/>')
        parts.append(_text(line.name, placed[-1][0] + 8, end + 4, f"name {line.style}", "start"))
    return "".join([*parts, "</svg>"])


def _drawn_axes(axes: _Axes, x_label: str) -> list[str]:
    parts = []
    for y in axes.y_ticks:
        left, level = axes.place(axes.x_ticks[0], y)
        right, _ = axes.place(axes.x_ticks[-1], y)
        parts.append(f'<line class="grid" x1="{left:.1f}" y1="{level:.1f}" x2="{right:.1f}" y2="{level:.1f}"/>')
        parts.append(_text(f"{y:g}", left - 7, level + 4, "tick", "end"))
    for x in axes.x_ticks:
        across, bottom = axes.place(x, axes.y_ticks[0])
        parts.append(_text(f"{x:g}", across, bottom + 16, "tick", "middle"))
    parts.append(_text(x_label, (_LEFT + _WIDTH - _RIGHT) / 2.0, _HEIGHT - 6.0, "tick", "middle"))
    return parts


def _text(words: str, x: float, y: float, style: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_escaped(words)}</text>'


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from just below ``low`` to just above ``high``."""
    span = high - low
    if span <= 0.0:
        return [low]
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * (1.0 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _apart(levels: Sequence[float], least: float = 15.0) -> list[float]:
    """The same heights, moved so that names beside each other can be read."""
    placed = list(levels)
    for before, after in pairwise(sorted(range(len(levels)), key=lambda number: levels[number])):
        placed[after] = max(placed[after], placed[before] + least)
    over = max(0.0, max(placed) - (_HEIGHT - _BOTTOM))
    return [level - over for level in placed]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
