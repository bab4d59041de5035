"""The demo's page: what happened, how long it took, curves, pictures, verification; one file, no network."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from countenance.atomic import write_bytes
from countenance.demo.charts import Series, line_chart
from countenance.demo.pictures import Row, contact_sheet, jpeg_bytes, pick_frames, png_bytes, spread_indexes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from countenance.types import UInt8

__all__ = ["SHEET_COLUMNS", "Picture", "charts", "draw_sheet", "render_page", "write_page"]

SHEET_COLUMNS = 5
"""Frames on the contact sheet."""

_ROWS = {
    "footage": "Footage: the performer, untouched",
    "swap": "Swap: as it was written, with its marks",
    "truth": "Truth: the same shot with the lender's face",
}


class Picture(NamedTuple):
    """The contact sheet for the page: a signed JPEG, and its height and width in pixels."""

    jpeg: bytes
    size_hw: tuple[int, int]


def write_page(out: Path, facts: Mapping[str, Any], clips: Mapping[str, Path]) -> None:
    """Draw ``contact_sheet.png`` and write ``report.html``; both pictures are marked and signed like the render.

    Args:
        out: the folder for both.
        facts: what the demo found out; see ``result.json``.
        clips: ``footage``, ``swap`` and ``truth``.

    Raises:
        MediaError: a clip cannot be read.
        MarkError: the pictures cannot be signed, or the render is not.
        OutputError: a file cannot be written.
    """
    from countenance.demo.sealed import Seal

    seal = Seal(clips["swap"])
    sheet = seal.mark(draw_sheet(clips, int(facts["render"]["frames"])))
    size_hw = (sheet.shape[0], sheet.shape[1])
    write_bytes(out / "contact_sheet.png", seal.sign(png_bytes(sheet), "contact_sheet.png"))
    picture = Picture(seal.sign(jpeg_bytes(sheet), "contact_sheet.jpg"), size_hw)
    write_bytes(out / "report.html", render_page(facts, picture).encode("utf-8"))


def draw_sheet(clips: Mapping[str, Path], frames: int) -> UInt8:
    """The same frames of footage, swap and truth, row by row: uint8 ``(H, W, 3)``."""
    indexes = spread_indexes(frames, SHEET_COLUMNS)
    rows = [Row(label, pick_frames(clips[name], indexes)) for name, label in _ROWS.items()]
    return contact_sheet(rows, [f"frame {index}" for index in indexes])


def charts(facts: Mapping[str, Any]) -> dict[str, str]:
    """The curves as SVG: ``loss`` and ``held_out`` over training time, ``frames`` over the shot; "" without data."""
    history = facts["training"]["history"]
    minutes = [row["seconds"] / 60.0 for row in history]

    def curve(column: str) -> list[tuple[float, float]]:
        pairs = zip(minutes, (row.get(column) for row in history), strict=True)
        return [(x, float(y)) for x, y in pairs if y is not None]

    by_frame = {name: list(enumerate(score["ssim_by_frame"])) for name, score in facts["quality"].items()}
    return {
        "loss": line_chart(
            [Series("loss", curve("loss"), "a")], x_label="minutes of training", title="Training loss over time"
        ),
        "held_out": line_chart(
            [Series("SSIM", curve("held_out_ssim"), "a")],
            x_label="minutes of training",
            title="SSIM of the lender's held-out faces over training time",
        ),
        "frames": line_chart(
            [Series("swap", by_frame["swap"], "a"), Series("untouched", by_frame["footage"], "b")],
            x_label="frame of the shot",
            title="SSIM against the truth inside the face, frame by frame",
        ),
    }


def render_page(facts: Mapping[str, Any], sheet: Picture) -> str:
    """The page as HTML with everything inside; texts are escaped by the template engine.

    Args:
        facts: what the demo found out.
        sheet: the contact sheet.
    """
    import jinja2
    from markupsafe import Markup

    source = (files("countenance") / "data" / "report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["clock"] = _clock
    picture = base64.b64encode(sheet.jpeg).decode("ascii")
    longest = max(stage["made_in_seconds"] for stage in facts["stages"])
    return environment.from_string(source).render(
        facts,
        # Our own SVG, every text in it escaped where it was drawn.
        chart={name: Markup(svg) for name, svg in charts(facts).items()},  # noqa: S704
        sheet=f"data:image/jpeg;base64,{picture}",
        sheet_hw=sheet.size_hw,
        longest=max(longest, 1e-9),
        reused=sum(stage["reused"] for stage in facts["stages"]),
    )


def _clock(seconds: float) -> str:
    """Seconds as people say them: ``4.2 s`` or ``6 min 03 s``."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"
