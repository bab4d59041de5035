"""The preview, from the gate to the page, with real networks; what is received is marked, signed and in the ledger."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.request import urlopen

import click
import cv2
import numpy as np
import pytest
from cli_world import PERFORMERS, Finished, Runs, cut

from countenance import api
from countenance.consent.ledger import Ledger
from countenance.playback import flow
from countenance.project import Project
from countenance.provenance.label import LabelLook, label_plate, label_text
from countenance.provenance.watermark import find_watermark

PAIR = ("--lender", "vera", "--performer", "ivan")


class Viewer:
    """Opens the stream as a browser does, and keeps every picture."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.status: dict[str, object] = {}
        self._thread: threading.Thread | None = None

    def __call__(self, address: str) -> None:
        self._thread = threading.Thread(target=self._watch, args=(address,), daemon=True)
        self._thread.start()

    def _watch(self, address: str) -> None:
        with urlopen(f"{address}stream") as stream:
            boundary = f"--{stream.headers.get_param('boundary')}\r\n".encode()
            parts = stream.read().split(boundary)[1:]
        self.pictures = [body.removesuffix(b"\r\n") for _, _, body in (part.partition(b"\r\n\r\n") for part in parts)]
        assert self.pictures.pop() == b""  # the head of a picture that did not come any more
        with urlopen(f"{address}status") as answer:
            self.status = json.loads(answer.read())

    def done(self) -> None:
        assert self._thread is not None
        self._thread.join(20.0)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(PERFORMERS / "test_A.mp4", tmp_path_factory.mktemp("scene") / "scène.mp4", 100)


def test_what_is_received_is_marked_signed_and_logged(
    finished: Finished, film: Path, scene: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))
    viewer = Viewer()
    before = set(film.rglob("*"))
    text, look = label_text(synthetic=True, language="uk"), LabelLook("top", "light", "uk")
    report = api.preview(film, scene, lender="vera", performer="ivan", look=look, tell=viewer)
    viewer.done()
    assert report.frames == 100 == report.shown + report.dropped + report.held_back
    assert report.replaced > 0
    assert viewer.status["ended"] is True
    assert viewer.status["dropped"] <= report.dropped
    assert 0 < len(viewer.pictures) <= report.shown
    pictures = []
    for number, jpeg in enumerate(viewer.pictures):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(jpeg)
        pictures.append(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1])
    for number in (0, len(pictures) - 1):
        proof = api.verify(tmp_path / f"{number}.jpg", search_watermark=False)
        assert proof.verdict == "holds"
        assert proof.to_dict()["layers"]["label"]["state"] == "claimed"
        assert proof.claim is not None
        assert proof.claim.label_text == text
    plate = label_plate(pictures[0].shape[:2], text, look)
    height, width = plate.rgb.shape[:2]
    for picture in pictures:
        place = picture[plate.top : plate.top + height, plate.left : plate.left + width]
        assert np.abs(place.astype(int) - plate.rgb).mean() < 8.0
    found = find_watermark(pictures * 3)
    assert found.payload is not None, found
    assert found.payload.hex() == report.watermark
    rows = [
        entry
        for entry in Ledger(Project.open(film).ledger_path).entries()
        if entry.facts.get("watermark") == report.watermark
    ]
    assert [(row.kind, row.facts["preview"], row.facts["record_id"]) for row in rows] == [
        ("render", True, report.record_id)
    ]
    assert set(film.rglob("*")) == before  # no file was made


def test_the_command_prints_the_address_and_what_it_showed(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer()
    monkeypatch.setattr(click, "launch", viewer)
    told = countenance("preview", clips / "scène.mp4", *PAIR, "--open", "--project", film, "--json")
    viewer.done()
    assert told.code == 0, told.err
    assert "http://127.0.0.1:" in told.err
    assert told.json["preview"]["frames"] == 10


def test_without_consent_there_is_no_page(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        pytest.fail("a page, without consent")

    monkeypatch.setattr(flow, "PreviewServer", fail)
    (film / "people" / "vera" / "consent.json").unlink()
    told = countenance("preview", clips / "scène.mp4", *PAIR, "--project", film)
    told.fails("no consent record of vera")
    assert "http" not in told.err
    assert [entry.kind for entry in Ledger(Project.open(film).ledger_path).entries()][-1] == "refusal"


def test_ctrl_c_ends_it_with_the_report(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click, "launch", interrupted)
    told = countenance("preview", clips / "scène.mp4", *PAIR, "--open", "--loop", "--project", film)
    assert told.code == 0
    assert "Shown 0 of 0 frames" in told.out
    assert not [thread for thread in threading.enumerate() if thread.name == "preview"]
