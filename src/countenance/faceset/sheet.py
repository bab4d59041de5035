"""One picture that shows what is in a face set: faces over the poses, the rejected with their reasons, and numbers."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.atomic import write_bytes
from countenance.errors import NoFaceError
from countenance.geometry import CROP_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from countenance.faceset.records import FaceRecord
    from countenance.faceset.store import FaceSet
    from countenance.types import UInt8

__all__ = ["contact_sheet"]

_COLUMNS, _ROWS = 12, 4
_STRIP = 24  # rejected faces shown, two rows
_INK, _QUIET, _KEPT, _GONE = "#1d2430", "#6b7686", "#2f6fb3", "#c0553a"
_COVERAGE_DEGREES = 10.0


def contact_sheet(faceset: FaceSet, path: Path, seal: Callable[[bytes], bytes]) -> None:
    """Draw a face set to a PNG of 1500 × 1300 pixels.

    Kept faces are chosen to show the variety: each one shown is the one that differs most, in pose and expression, from
    those already shown; they are laid out by yaw. Rejected ones stand below with their reason, and beside them the
    poses that are covered.

    Args:
        faceset: an open face set.
        path: where the PNG goes; it appears complete or not at all.
        seal: signs the PNG (see :func:`countenance.provenance.sign.sign_sheet`).

    Raises:
        NoFaceError: the face set is empty.
        FaceSetError, OutputError: see there.
    """
    records = faceset.records()
    if not records:
        raise NoFaceError(f"The face set {faceset.path} is empty. Run `countenance extract` for this person first.")
    kept = [record for record in records if record.status == "kept"]
    rejected = [record for record in records if record.status == "rejected"]
    figure = _figure()
    _title(figure, faceset, kept, rejected)
    parts = figure.subfigures(3, 1, height_ratios=[5.6, 3.2, 3.8])
    _faces(parts[0], faceset, _varied(faceset, kept), len(kept))
    _strip(parts[1], faceset, _mixed(rejected), len(rejected))
    left, right = parts[2].subplots(1, 2, gridspec_kw={"width_ratios": [1.7, 1.0], "wspace": 0.32})
    parts[2].subplots_adjust(left=0.06, right=0.97, top=0.85, bottom=0.17)
    _poses(left, kept, rejected)
    _reasons(right, kept, rejected)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a name in a script that the font lacks is drawn as boxes
        figure.savefig(buffer, format="png", facecolor="white")
    write_bytes(path, seal(buffer.getvalue()))


def _figure() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 13.0), dpi=100)
    FigureCanvasAgg(figure)  # no window, whatever the user's settings say
    return figure


def _title(figure: Any, faceset: FaceSet, kept: Sequence[FaceRecord], rejected: Sequence[FaceRecord]) -> None:
    sources = faceset.sources()
    names = ", ".join(source.name for source in sources[:4]) + (", …" if len(sources) > 4 else "")
    figure.suptitle(
        f"{faceset.path.parent.name}: {len(kept)} faces kept, {len(rejected)} rejected  ·  {names}",
        x=0.02,
        y=0.988,
        ha="left",
        fontsize=17,
        color=_INK,
        parse_math=False,
    )


def _faces(part: Any, faceset: FaceSet, shown: Sequence[FaceRecord], total: int) -> None:
    what = f"Kept: the {len(shown)} of {total} that differ most, by yaw" if len(shown) < total else "Kept: all, by yaw"
    part.text(0.02, 0.895, what, fontsize=12, color=_QUIET, va="center")
    axes = part.subplots(_ROWS, _COLUMNS, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    part.subplots_adjust(left=0.02, right=0.98, top=0.87, bottom=0.0)
    pictures: list[UInt8] = []
    for start in range(0, len(shown), 25):
        some = [record.id for record in shown[start : start + 25]]
        crops = faceset.load_some(some, crop_size=CROP_SIZE).rgb
        pictures += [crop[::2, ::2].copy() for crop in crops]
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, record in zip(axes.flat, pictures, shown, strict=False):
        axis.imshow(picture)
        yaw, pitch, _ = record.pose_degrees
        _label(axis, f"{yaw:+.0f}° {pitch:+.0f}°")


def _strip(part: Any, faceset: FaceSet, shown: Sequence[FaceRecord], total: int) -> None:
    what = f"Rejected: {len(shown)} of {total}" if total else "Rejected: none"
    part.text(0.02, 0.93, what, fontsize=12, color=_QUIET, va="center")
    axes = part.subplots(2, _STRIP // 2, gridspec_kw={"wspace": 0.04, "hspace": 0.16})
    part.subplots_adjust(left=0.02, right=0.98, top=0.83, bottom=0.0)
    for axis in axes.flat:
        axis.set_axis_off()
    pictures = faceset.thumbnails([record.id for record in shown])
    for axis, picture, record in zip(axes.flat, pictures, shown, strict=False):
        axis.imshow(picture)
        axis.set_title(record.reason or "", fontsize=8, color=_GONE, pad=2)


def _label(axis: Any, text: str) -> None:
    box = {"facecolor": "black", "alpha": 0.45, "pad": 1.5, "linewidth": 0}
    axis.text(0.03, 0.96, text, transform=axis.transAxes, fontsize=7, color="white", va="top", bbox=box)


def _poses(axis: Any, kept: Sequence[FaceRecord], rejected: Sequence[FaceRecord]) -> None:
    for records, colour, name, size in ((rejected, _GONE, "rejected", 9), (kept, _KEPT, "kept", 14)):
        if records:
            poses = np.array([record.pose_degrees for record in records])
            axis.scatter(poses[:, 0], poses[:, 1], s=size, c=colour, alpha=0.55, linewidths=0, label=name)
    axis.set_xlabel("yaw in degrees (right of the picture is positive)")
    axis.set_ylabel("pitch in degrees (up is positive)")
    limit = max([45.0, *(abs(record.pose_degrees[0]) + 5.0 for record in kept)])
    axis.set_xlim(-limit, limit)
    axis.set_ylim(-limit / 2, limit / 2)
    axis.set_title(f"Poses: {_coverage(kept)}", fontsize=12, color=_QUIET, loc="left")
    axis.grid(alpha=0.25)
    axis.axhline(0.0, color=_QUIET, linewidth=0.6)
    axis.axvline(0.0, color=_QUIET, linewidth=0.6)
    if kept or rejected:
        axis.legend(loc="upper right", frameon=False)


def _coverage(kept: Sequence[FaceRecord]) -> str:
    if not kept:
        return "none"
    poses = np.array([record.pose_degrees for record in kept])
    cells = {tuple(cell) for cell in np.floor(poses[:, :2] / _COVERAGE_DEGREES).astype(int)}
    low, high = poses.min(axis=0), poses.max(axis=0)
    return (
        f"yaw {low[0]:+.0f}° to {high[0]:+.0f}°, pitch {low[1]:+.0f}° to {high[1]:+.0f}°, "
        f"{len(cells)} cell{'s' if len(cells) != 1 else ''} of {_COVERAGE_DEGREES:.0f}°"
    )


def _reasons(axis: Any, kept: Sequence[FaceRecord], rejected: Sequence[FaceRecord]) -> None:
    counts = {"kept": len(kept)}
    for record in rejected:
        counts[record.reason or "?"] = counts.get(record.reason or "?", 0) + 1
    order = ["kept", *sorted((name for name in counts if name != "kept"), key=lambda name: -counts[name])]
    bars = axis.barh(order, [counts[name] for name in order], color=[_KEPT, *[_GONE] * (len(order) - 1)], height=0.6)
    axis.bar_label(bars, padding=3, color=_INK)
    axis.invert_yaxis()
    axis.set_ylim(max(len(order), 4) - 0.5, -0.5)
    axis.margins(x=0.15)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_title("Faces found", fontsize=12, color=_QUIET, loc="left")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _varied(faceset: FaceSet, kept: Sequence[FaceRecord]) -> list[FaceRecord]:
    """Farthest-point choice over pose and expression, then ordered by yaw."""
    limit = _COLUMNS * _ROWS
    if len(kept) > limit:
        features = faceset.traits([record.id for record in kept])
        chosen = [int(np.argmin((features**2).sum(axis=1)))]  # the most usual face first
        nearest = np.full(len(kept), np.inf)
        while len(chosen) < limit:
            nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
            chosen.append(int(np.argmax(nearest)))
        kept = [kept[index] for index in chosen]
    return sorted(kept, key=lambda record: record.pose_degrees[0])


def _mixed(rejected: Sequence[FaceRecord]) -> list[FaceRecord]:
    """Examples of every reason: in turn one of each, evenly over time."""
    by_reason: dict[str, list[FaceRecord]] = {}
    for record in rejected:
        by_reason.setdefault(record.reason or "?", []).append(record)
    share = -(-_STRIP // max(len(by_reason), 1))
    shown = []
    for records in by_reason.values():
        picked = np.unique(np.linspace(0, len(records) - 1, min(share, len(records))).round().astype(int))
        shown += [records[index] for index in picked]
    return sorted(shown[:_STRIP], key=lambda record: record.reason or "")
