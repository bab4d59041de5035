"""The demo's pictures, curves and page."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from countenance.demo.charts import Series, line_chart
from countenance.demo.page import Picture, render_page
from countenance.demo.pictures import Row, contact_sheet, jpeg_bytes, spread_indexes

STAGE = {"name": "train", "title": "Train", "says": "3 iterations", "reused": False}
SCORE = {"ssim": 0.8, "psnr_db": 23.4, "inner_ssim": 0.79, "inner_psnr_db": 22.0, "ssim_by_frame": [0.7, 0.8, 0.9]}
FACTS: dict[str, Any] = {
    "made_at": "2026-03-01T12:00:00+00:00",
    "faces": {"vera": {"kept": 266, "rejected": {}}},
    "consent": {
        "record_id": "urn:uuid:0",
        "record_sha256": "ab" * 32,
        "purposes": ["research"],
        "title": "Demo",
        "synthetic": True,
        "expires": "2036-03-01T00:00:00+00:00",
    },
    "training": {
        "iterations": 1234,
        "seconds": 363.0,
        "resumed": False,
        "history": [{"seconds": s, "loss": 1 / s, "held_out_ssim": 0.8 + s / 9999} for s in (30.0, 60.0, 363.0)],
    },
    "surroundings": {
        "countenance": "0.1.0",
        "commit": None,
        "python": "3.11",
        "packages": {"torch": "2.13"},
        "system": "Linux",
        "cpu_cores": 2,
        "torch_threads": 2,
        "device": "cpu",
    },
    "render": {"frames": 3, "replaced": 3, "veiled": 0, "veiled_spans": []},
    "quality": {"swap": SCORE, "footage": {**SCORE, "ssim": 0.7}},
    "verification": {
        "verdict": "holds",
        "summary": "The proof holds.",
        "layers": {"integrity": {"state": "intact", "sentence": "Byte for byte."}},
    },
    "stages": [{**STAGE, "seconds": 363.0, "made_in_seconds": 363.0}],
    "seconds": 400.0,
    "made_in_seconds": 400.0,
}
SHEET = Picture(jpeg_bytes(np.zeros((30, 40, 3), np.uint8)), (30, 40))


class _Balanced(HTMLParser):
    """Knows whether every element is closed."""

    VOID = ("meta", "img", "br", "link", "line", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _facts(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FACTS), **changes}


def test_the_page_is_whole_and_needs_no_network() -> None:
    page = render_page(_facts(), SHEET)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in re.sub(r"data:image/jpeg;base64,[^\"]+", "", page)
    assert page.count("<svg") == 3
    assert "width=device-width" in page


def test_the_page_tells_the_figures_whatever_they_are() -> None:
    page = render_page(_facts(), SHEET)
    for words in ("0.800", "untouched footage 0.700", "23.4 dB", "6 min 03 s", "1,234 iterations", "The proof holds."):
        assert words in page
    perfect = _facts(quality={"swap": {**SCORE, "psnr_db": None}, "footage": SCORE})
    assert "∞ dB" in render_page(perfect, SHEET)


def test_the_page_says_when_the_proof_does_not_hold_and_what_was_veiled() -> None:
    span = {"first_timecode": "00:00:01:00", "last_timecode": "00:00:01:10", "reason": "too small"}
    page = render_page(
        _facts(
            verification={"verdict": "unproven", "summary": "Nothing is proven.", "layers": {}},
            render={"frames": 3, "replaced": 1, "veiled": 2, "veiled_spans": [span]},
        ),
        SHEET,
    )
    assert "the proof does not hold" in page
    assert "00:00:01:00–00:00:01:10 (too small)" in page


def test_texts_are_escaped() -> None:
    facts = _facts()
    facts["stages"][0]["says"] = "<script>alert(1)</script>"
    facts["verification"]["layers"]["integrity"]["sentence"] = 'signed by "<b>"'
    page = render_page(facts, SHEET)
    assert "<script>" not in page
    assert "&lt;b&gt;" in page


def test_a_reused_stage_says_so() -> None:
    facts = _facts()
    facts["stages"] = [{**STAGE, "reused": True, "seconds": 0.1, "made_in_seconds": 363.0}]
    page = render_page(facts, SHEET)
    assert "used again" in page
    assert "6 min 03 s" in page


def test_a_chart_is_good_xml_and_in_its_box() -> None:
    chart = line_chart(
        [Series('a "<&', [(0.0, 0.91), (3.0, 0.93)], "a"), Series("b", [(0.0, 0.905), (3.0, 0.9301)], "b")],
        x_label="minutes",
        title="two lines",
    )
    root = ET.fromstring(chart)
    _, _, width, height = (float(value) for value in root.attrib["viewBox"].split())
    points = [tuple(map(float, p.split(","))) for line in root.iter("polyline") for p in line.attrib["points"].split()]
    assert len(points) == 4
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    names = [float(text.attrib["y"]) for text in root.iter("text") if text.attrib["class"].startswith("name")]
    assert abs(names[0] - names[1]) >= 15  # names beside each other can be read
    first, second = (line.attrib["points"].split()[1] for line in root.iter("polyline"))
    assert float(first.split(",")[1]) > float(second.split(",")[1])  # higher values are higher up


def test_a_chart_without_two_points_is_none() -> None:
    nan = float("nan")
    for points in ([], [(1.0, 2.0)], [(0.0, nan), (1.0, 2.0)]):
        assert line_chart([Series("a", points, "a")], x_label="x", title="t") == ""
    assert "polyline" in line_chart([Series("a", [(0.0, 1.0), (1.0, 1.0)], "a")], x_label="x", title="flat")


def test_the_sheet_has_every_picture_in_its_place() -> None:
    rows = [
        Row(name, [np.full((20, 30, 3), value + 10 * n, np.uint8) for n in range(2)])
        for name, value in (("a", 50), ("b", 90))
    ]
    sheet = contact_sheet(rows, ["1", "2"])
    for value in (50, 60, 90, 100):
        mask = (sheet == value).all(axis=2)
        assert mask.sum() >= 20 * 30
    tops = {value: np.argwhere((sheet == value).all(axis=2))[:, 0].min() for value in (50, 90)}
    assert tops[50] < tops[90]
    lefts = {value: np.argwhere((sheet == value).all(axis=2))[:, 1].min() for value in (90, 100)}
    assert lefts[90] < lefts[100]


def test_a_sheet_of_unlike_pictures_is_refused() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="contact_sheet"):
        contact_sheet([Row("a", [picture]), Row("b", [picture[:10]])], ["1"])
    with pytest.raises(ValueError, match="contact_sheet"):
        contact_sheet([Row("a", [picture])], ["1", "2"])


def test_frames_are_spread_over_the_clip() -> None:
    assert spread_indexes(150, 5) == [15, 45, 75, 105, 135]
    assert spread_indexes(2, 5) == [0, 1]
