"""A copy whose watermark is too weak to be read is still traced by a register that knows it."""

from __future__ import annotations

import json
import random
import sqlite3
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import av
import pytest
from register_world import ID, OTHER, copy_with, evidence_of, weak_copy

from countenance import api
from countenance.media.read import read_frames
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.register import Register, Registered
from countenance.provenance.register_server import RegisterServer
from countenance.provenance.trace import Trace, register_at, traced
from countenance.provenance.verify import verify_file

PERFORMER = Path(str(files("countenance") / "data" / "performers" / "train_A.mp4"))
FAINT = (evidence_of(bytes.fromhex(ID), 0.9, 4), evidence_of(bytes.fromhex(ID), 0.1, 5))


@pytest.fixture(scope="module")
def faint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faint") / "from the net.mkv"
    frames = [frame.rgb for _, frame in zip(range(30), read_frames(PERFORMER), strict=False)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "bgr0"
        for rgb in weak_copy(frames, bytes.fromhex(ID), (320, 320)):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr0")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def crowded(filled: Path, entry: Registered, tmp_path: Path) -> Path:
    """A register of one render and of 5,000 other watermarks."""
    (tmp_path / "register.sqlite").write_bytes(Register(filled).path.read_bytes())
    drawn = random.Random(8)
    rows = [(f"{n:064x}", drawn.randbytes(5).hex(), "video/mp4", entry.manifest[:100]) for n in range(5_000)]
    with sqlite3.connect(tmp_path / "register.sqlite") as connection:
        connection.executemany("INSERT INTO renders VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return tmp_path


def trace_by(evidence: tuple[bytes, ...], where: str, footage: Path, identity: SigningIdentity) -> Trace:
    result = traced(
        replace(copy_with(footage, None), unread=evidence, hinted=True), register_at(where), identity.authority_pem
    )
    assert result.trace is not None
    assert result.verdict == "unproven"
    return result.trace


def test_a_copy_too_weak_to_be_read(
    faint: Path, crowded: Path, entry: Registered, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
    result = api.verify(faint, register=crowded)
    assert result.marks.watermark.state in ("absent", "traces")
    assert (result.verdict, result.exit_code, result.claim) == ("unproven", 1, None)
    assert result.trace is not None
    assert (result.trace.finding.state, result.trace.sha256, result.trace.trusted) == ("recognised", entry.sha256, True)
    for words in (f"Of the 5001 that the register in {crowded} knows, one stands out ({ID})", "proves nothing of"):
        assert words in result.to_text()
    told = json.loads(result.to_json())
    assert told["trace"]["claim"]["watermark"] == ID
    assert "unread" not in told


def test_a_register_that_does_not_know_it(faint: Path, crowded: Path, data_dir: Path, monkeypatch) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(data_dir.parent))
    with sqlite3.connect(crowded / "register.sqlite") as connection:
        connection.execute("DELETE FROM renders WHERE watermark = ?", (ID,))
    connection.close()
    result = api.verify(faint, register=crowded)
    assert result.trace is not None
    assert (result.trace.finding.state, result.trace.claim) == ("none_recognised", None)


def test_over_the_network_it_is_the_same(
    crowded: Path, filled: Path, footage: Path, identity: SigningIdentity, tmp_path: Path
) -> None:
    for folder in (crowded, filled):
        local = trace_by(FAINT, str(folder), footage, identity)
        with RegisterServer(Register(folder)) as server:
            served = trace_by(FAINT, server.address, footage, identity)
        assert local.finding.state == served.finding.state == "recognised"
        assert served.finding.sentence.replace(server.address, "") == local.finding.sentence.replace(
            f"in {folder}", "at "
        )
        assert replace(served, finding=local.finding) == local
    with RegisterServer(Register(tmp_path / "empty")) as server:
        assert trace_by(FAINT, server.address, footage, identity).finding.state == "none_recognised"


def test_none_in_footage_without_a_mark(crowded: Path, footage: Path, identity: SigningIdentity) -> None:
    result = traced(verify_file(footage, trusted_pem=""), register_at(str(crowded)), identity.authority_pem)
    assert result.trace is not None
    assert result.trace.finding.state == "none_recognised"


def test_the_mark_of_another_render_is_not_this_one(filled: Path, footage: Path, identity: SigningIdentity) -> None:
    other = evidence_of(bytes.fromhex(OTHER), 3.0, 1)  # so strong that it would be read
    assert trace_by((other,), str(filled), footage, identity).finding.state == "none_recognised"


def test_what_the_credentials_state_is_looked_for_when_it_cannot_be_read(
    sign, swap: Path, identity: SigningIdentity, faint: Path, tmp_path: Path
) -> None:
    """The one watermark that is expected needs least of all."""
    whole = tmp_path / "faint.mov"
    frames = [frame.rgb for frame in read_frames(faint)]
    with av.open(str(whole), "w") as out:
        stream = out.add_stream("libx264rgb", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 320, "rgb24"
        for rgb in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode(None))
    signed = sign(tmp_path / "signed.mov", unsigned=whole)
    found = verify_file(signed, trusted_pem=identity.authority_pem)
    assert (found.integrity.state, found.marks.watermark.state) == ("intact", "matches")
    unmarked = verify_file(sign(tmp_path / "unmarked.mp4", unsigned=swap), trusted_pem=identity.authority_pem)
    assert unmarked.marks.watermark.state == "missing"
    assert unmarked.unread == ()  # its credentials say which mark it had: no register is asked


def test_a_register_elsewhere_is_not_asked_about_footage_in_which_nothing_of_a_mark_shows(
    footage: Path, faint: Path, filled: Path, identity: SigningIdentity
) -> None:
    asked: list[tuple[bytes, ...]] = []

    class Elsewhere:
        name, is_elsewhere = "that somebody keeps", True

        def find(self, watermark: str) -> tuple[Registered, ...]:
            raise AssertionError(watermark)

        def recognise(self, evidence: tuple[bytes, ...]) -> None:
            asked.append(evidence)

    quiet = verify_file(footage, trusted_pem="")
    assert quiet.unread
    assert not quiet.hinted
    result = traced(quiet, Elsewhere(), identity.authority_pem)
    assert result.trace is not None
    assert (result.trace.finding.state, asked) == ("nothing_to_ask", [])
    faintly = verify_file(faint, trusted_pem="")
    assert faintly.hinted
    result = traced(faintly, Elsewhere(), identity.authority_pem)
    assert result.trace is not None
    assert (result.trace.finding.state, asked) == ("none_recognised", [faintly.unread])
