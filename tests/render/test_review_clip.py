"""The clip of what must be looked at again: what it shows, and that it is marked like any render."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from render_case import COUNT, names, rendered, renders_logged, script

from countenance.consent.record import parse_record
from countenance.conversion.report import VeiledSpan
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.project import Project
from countenance.provenance.register import Register
from countenance.provenance.scope import scope_sha256
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark import find_watermark
from countenance.render.review import windows_of


def _span(first: int, last: int, reason: str = "lost") -> VeiledSpan:
    return VeiledSpan(first, last, "", "", reason, 1)


def test_windows_join_where_they_touch_and_begin_with_the_film() -> None:
    windows = windows_of([_span(3, 4), _span(30, 31), _span(41, 41), _span(80, 81)], 5)
    assert [(window.first, window.last) for window in windows] == [(0, 9), (25, 46), (75, 86)]
    assert [len(window.spans) for window in windows] == [1, 2, 1]


def test_it_shows_the_veiled_spans_and_carries_every_mark(project: Project, footage: Path) -> None:
    report = rendered(project, footage, "scene.mkv", review=True)
    clip = project.renders_dir / "scene.review.mp4"
    assert report.review == clip
    assert report.convert.veiled_spans
    context = round(0.5 * float(probe(footage).average_rate))
    windows = windows_of(report.convert.veiled_spans, context)
    shown = [index for window in windows for index in range(window.first, min(window.last, COUNT - 1) + 1)]
    frames, info = list(read_frames(clip)), probe(clip)
    whole = list(read_frames(report.output))
    assert len(frames) == len(shown) < COUNT
    bar = info.height - whole[0].rgb.shape[0]
    assert bar > 0
    for index, frame in zip(shown, frames, strict=True):  # the render's own picture below the bar, label and all
        assert np.abs(frame.rgb[bar:].astype(int) - whole[index].rgb).mean() < 3.0
        assert np.ptp(frame.rgb[:bar].astype(int)) > 20  # a caption
    assert not np.array_equal(frames[0].rgb[:bar], frames[1].rgb[:bar])  # the timecode goes on
    assert frames[0].pts_seconds == 0
    steps = np.diff([float(frame.pts_seconds) for frame in frames])
    assert steps.min() > 0.03
    assert steps.max() < 0.06

    found = verify_file(clip)
    assert found.verdict == "holds"
    assert found.layers["label"].state == "claimed"
    assert found.layers["parents"].state in ("intact", "withheld")  # its parent is the render, which is signed
    record = parse_record(project.consent_path("vera").read_bytes())
    assert found.claim is not None
    assert found.claim.scope_sha256 == scope_sha256(record)
    assert found.claim.watermark_id not in (None, bytes.fromhex(report.watermark))
    rows = renders_logged(project)
    assert [row.get("review") for row in rows] == [True, None]
    assert rows[0]["watermark"] == (found.claim.watermark_id or b"").hex()
    assert find_watermark(frame.rgb for frame in frames).payload == found.claim.watermark_id
    assert {one.watermark for one in Register(project.root).entries()} == {row["watermark"] for row in rows}


def test_the_render_s_own_credentials_come_along(project: Project, footage: Path) -> None:
    report = rendered(project, footage, review=True)
    assert report.review is not None
    assert verify_file(report.review, search_watermark=False).layers["parents"].state == "intact"
    assert names(project.renders_dir) == {"out.mp4", "out.review.mp4"}


def test_a_render_without_a_label_has_a_clip_with_one(project: Project, footage: Path) -> None:
    report = rendered(project, footage, review=True, leave_out_label=True)
    assert report.review is not None
    assert not report.label_shown
    assert verify_file(report.review, search_watermark=False).layers["label"].state == "claimed"
    first = next(iter(read_frames(report.review))).rgb
    assert (first.astype(int).max(axis=2) < 40).sum() > 1500  # the plate


def test_without_a_veil_there_is_no_clip_and_an_old_one_goes(
    project: Project, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    old = project.renders_dir / "out.review.mp4"
    old.write_bytes(b"of an earlier render")
    (project.root / "register.sqlite").write_bytes(b"damaged" * 1000)  # costs nothing but its row
    report = rendered(project, footage, review=True, script=script(), overwrite=True, note=told.append)
    assert report.review is None
    assert report.convert.veiled == 0
    assert "nothing to review" in told[-1]
    assert "not in the project's register" in told[-2]
    assert "countenance register add" in told[-2]
    assert names(project.renders_dir) == {"out.mp4"}
