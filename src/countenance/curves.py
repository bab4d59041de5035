"""The curves of a training: scores and loss over its minutes, as a picture without a face."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["curves_png"]


class _Panel(NamedTuple):
    title: str
    lines: dict[str, tuple[str, str]]  # key in the history: colour (Okabe and Ito's), name
    least_span: float  # of the axis: a change in the fourth digit must not look like a leap


_PANELS = (
    _Panel(
        "SSIM of faces by their own decoder",
        {
            "held_out_ssim": ("#0072b2", "lender, held out"),
            "held_out_performer_ssim": ("#d55e00", "performer, held out"),
            "trained_ssim": ("#56b4e9", "lender, trained on"),
            "trained_performer_ssim": ("#e69f00", "performer, trained on"),
        },
        0.02,
    ),
    _Panel("Identity margin (above 0: the lender)", {"held_out_identity_margin": ("#0072b2", "")}, 0.1),
    _Panel("Loss", {"loss": ("#0072b2", "")}, 0.01),
)
_DARK, _GREY = "#1d2430", "#6b7686"


def curves_png(history: Sequence[dict[str, float]]) -> bytes:
    """Scores and loss over minutes of training as a PNG of 1200 × 420 pixels; no face is in it.

    Args:
        history: rows as checkpoints keep them; what a row lacks is left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.2), dpi=100)
    FigureCanvasAgg(figure)  # no window, whatever the user's settings say
    axes = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1.3, 1.0, 1.0], "wspace": 0.24})
    figure.subplots_adjust(left=0.055, right=0.985, top=0.89, bottom=0.135)
    for axis, panel in zip(axes, _PANELS, strict=True):
        _draw(axis, panel, history)
    if axes[0].lines:
        axes[0].legend(loc="best", frameon=False, fontsize=9, labelcolor=_DARK)
    if axes[1].lines:
        axes[1].axhline(0.0, color=_GREY, linewidth=0.9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def _draw(axis: Any, panel: _Panel, history: Sequence[dict[str, float]]) -> None:
    heights: list[float] = []
    for key, (colour, name) in panel.lines.items():
        rows = [row for row in history if key in row and "seconds" in row]
        style = {"linestyle": "--"} if key.startswith("trained") else {}
        if rows:
            heights += [row[key] for row in rows]
            minutes = [row["seconds"] / 60.0 for row in rows]
            values = [row[key] for row in rows]
            axis.plot(minutes, values, color=colour, linewidth=1.8, marker="o", markersize=3, label=name, **style)
    axis.set_title(panel.title, fontsize=11, color=_DARK, loc="left")
    axis.set_xlabel("minutes of training", color=_GREY)
    axis.tick_params(colors=_GREY, length=0)
    axis.grid(alpha=0.25)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if heights:
        middle, span = (max(heights) + min(heights)) / 2.0, max(heights) - min(heights)
        half = 0.58 * max(span, panel.least_span)
        axis.set_ylim(middle - half, middle + half)
        latest = max(history[-1].get("seconds", 0.0) / 60.0, 1.0)
        axis.set_xlim(-0.03 * latest, 1.03 * latest)
    else:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.text(0.5, 0.5, "not scored yet", transform=axis.transAxes, ha="center", va="center", color=_GREY)
