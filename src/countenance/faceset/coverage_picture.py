"""The coverage of two face sets as one picture without a face in it: poses, light, expressions, side by side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.faceset.coverage import CLOSED_EYES, OPEN_MOUTH, SMILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.faceset.coverage import Coverage
    from countenance.types import Float32, Float64

__all__ = ["coverage_png"]

_INK, _QUIET, _EMPTY = "#1d2430", "#6b7686", "#f1f3f5"
_COLOURS, _GAP = "Blues", "#d55e00"  # any eye tells the frames' vermilion (Okabe and Ito) from blue
_FRAMED_FROM = 2.0  # per cent of the performer's faces; a few stray ones are no gap
_CELL_DEGREES = 10.0
_LEAST_YAW, _LEAST_PITCH = 40.0, 20.0  # what the maps show at least
_BALANCE_EDGES = np.linspace(-0.3, 0.3, 7)
_LUMA_EDGES = np.array([0.0, 40.0, 80.0, 120.0, 160.0, 200.0, 256.0])
_STRIPS: tuple[tuple[str, tuple[float, ...], tuple[str, ...]], ...] = (
    ("mouth", (0.03, OPEN_MOUTH, 0.3), ("closed", "a little", "open", "wide")),
    ("eyes", (0.25, CLOSED_EYES, 0.75), ("open", "lowered", "closing", "closed")),
    ("smile", (0.1, SMILE, 0.7), ("none", "slight", "smile", "broad")),
)


def coverage_png(lender: Coverage, performer: Coverage) -> bytes:
    """Draw two face sets, the lender's left and the performer's right, as a PNG of 1200 × 1150 pixels.

    Darker is commoner; an orange frame marks what the performer shows in 2 % of the faces or more and the lender never
    does. People are called by their part, so the picture can be shown around.

    Args:
        lender: whose face is shown; with at least one face.
        performer: whose face is replaced; likewise.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 11.5), dpi=100)
    FigureCanvasAgg(figure)  # no window, whatever the user's settings say
    figure.text(0.07, 0.965, "What the face sets cover", fontsize=17, color=_INK, weight="bold")
    figure.text(
        0.07,
        0.938,
        "Share of each person's faces in per cent. Orange frames: the performer shows it, the lender never does.",
        fontsize=11,
        color=_QUIET,
    )
    axes = figure.subplots(3, 2, gridspec_kw={"height_ratios": [1.25, 1.0, 0.8], "hspace": 0.48, "wspace": 0.16})
    figure.subplots_adjust(left=0.07, right=0.98, top=0.855, bottom=0.03)
    sides = (lender, performer)
    for axis, of, part in zip(axes[0], sides, ("Lender", "Performer"), strict=True):
        axis.text(0.0, 1.15, f"{part}: {len(of)} faces", transform=axis.transAxes, fontsize=14, color=_INK)
    _heat_maps(
        axes[0],
        [_poses(of, sides) for of in sides],
        _pose_edges(sides),
        ("yaw in degrees, the picture's right is positive", "pitch in degrees"),
    )
    edges = (_BALANCE_EDGES, _LUMA_EDGES)
    _heat_maps(axes[1], [_light(of) for of in sides], edges, ("light from the left (−) or right (+)", "brightness"))
    _strips(axes[2], [_expressions(of) for of in sides])
    for row, name in zip(axes, ("Poses", "Light", "Expressions"), strict=True):
        for axis in row:
            axis.set_title(name, fontsize=12, color=_QUIET, loc="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def _pose_edges(sides: tuple[Coverage, Coverage]) -> tuple[Float64, Float64]:
    """Borders of the 10° cells about both people's poses, the same for both."""
    result = []
    for name, least in (("yaw", _LEAST_YAW), ("pitch", _LEAST_PITCH)):
        furthest = max(least, *(float(np.abs(getattr(of, name)).max()) for of in sides))
        limit = _CELL_DEGREES * np.ceil(furthest / _CELL_DEGREES + 1e-6)
        result.append(np.arange(-limit, limit + 1.0, _CELL_DEGREES))
    return result[0], result[1]


def _shares(x: Float32, y: Float32, edges: tuple[Float64, Float64]) -> Float64:
    """Per cent of the values in each cell, ``(len(y edges) − 1, len(x edges) − 1)``; what lies outside is moved in."""
    inside = [np.clip(v, side[0], side[-1] - 1e-3) for v, side in zip((x, y), edges, strict=True)]
    counts, _ = np.histogramdd(np.stack(inside, axis=1), bins=edges)
    return np.asarray(100.0 * counts.T / max(len(x), 1))


def _poses(of: Coverage, sides: tuple[Coverage, Coverage]) -> Float64:
    return _shares(of.yaw, of.pitch, _pose_edges(sides))


def _light(of: Coverage) -> Float64:
    return _shares(of.balance, of.luma, (_BALANCE_EDGES, _LUMA_EDGES))


def _expressions(of: Coverage) -> Float64:
    """Per cent of the faces in each level, a row a strip."""
    rows = [
        np.bincount(np.digitize(getattr(of, name), borders), minlength=len(borders) + 1) for name, borders, _ in _STRIPS
    ]
    return np.asarray(100.0 * np.array(rows) / max(len(of), 1))


def _heat_maps(axes: Any, maps: list[Float64], edges: tuple[Float64, Float64], labels: tuple[str, str]) -> None:
    most = max(float(shares.max()) for shares in maps)
    for axis, shares in zip(axes, maps, strict=True):
        seen = np.ma.masked_equal(shares, 0.0)
        axis.set_facecolor(_EMPTY)
        axis.pcolormesh(*edges, seen, cmap=_COLOURS, vmin=-0.15 * most, vmax=most, edgecolors="white", linewidth=1.5)
        x, y = ((side[1:] + side[:-1]) / 2.0 for side in edges)
        for row, column in np.argwhere(shares > 0.0):
            _number(axis, x[column], y[row], shares[row, column], most)
        axis.set_xlabel(labels[0], color=_QUIET)
        axis.set_ylabel(labels[1], color=_QUIET)
        axis.set_xticks([edge for edge in edges[0] if edge % 20.0 == 0.0] if edges[0][-1] > 1.0 else edges[0])
        axis.set_yticks(edges[1][:-1] if edges[1][-1] > 255.0 else edges[1])
        _plain(axis)
    for row, column in _lacking(maps):
        low = edges[0][column], edges[1][row]
        _frame(axes[1], low, edges[0][column + 1] - low[0], edges[1][row + 1] - low[1])


def _strips(axes: Any, maps: list[Float64]) -> None:
    for axis, shares in zip(axes, maps, strict=True):
        axis.pcolormesh(
            np.ma.masked_equal(shares, 0.0), cmap=_COLOURS, vmin=-15.0, vmax=100.0, edgecolors="white", linewidth=3
        )
        axis.set_facecolor(_EMPTY)
        for row, (_, _, levels) in enumerate(_STRIPS):
            for column, level in enumerate(levels):
                share = shares[row, column]
                _number(axis, column + 0.5, row + 0.5, share, 100.0, f"{level}\n{_told(share)} %")
        axis.set_yticks([row + 0.5 for row in range(len(_STRIPS))], [name for name, _, _ in _STRIPS])
        axis.set_xticks([])
        axis.invert_yaxis()
        _plain(axis)
    for row, column in _lacking(maps):
        _frame(axes[1], (column, row), 1.0, 1.0)


def _lacking(maps: list[Float64]) -> NDArray[np.intp]:
    """Cells that the performer's map fills and the lender's leaves empty, ``(K, 2)`` row and column."""
    return np.argwhere((maps[1] >= _FRAMED_FROM) & (maps[0] == 0.0))


def _told(share: float) -> str:
    return f"{share:.0f}" if share >= 1.0 or share == 0.0 else "<1"


def _number(axis: Any, x: float, y: float, share: float, most: float, text: str | None = None) -> None:
    colour = "white" if share > 0.5 * most else _INK if share else _QUIET
    axis.text(x, y, text or _told(share), ha="center", va="center", fontsize=9, color=colour)


def _frame(axis: Any, low: tuple[float, float], width: float, height: float) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle(low, width, height, fill=False, edgecolor=_GAP, linewidth=2.4, clip_on=False, zorder=3))


def _plain(axis: Any) -> None:
    axis.tick_params(length=0, colors=_QUIET)
    for spine in axis.spines.values():
        spine.set_visible(False)
