"""From footage to a signed, logged render: whatever fails on the way, nothing is left; and what the options do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_world import PASSPHRASE, Finished, Runs

from countenance.consent import gate
from countenance.consent.ledger import Book
from countenance.errors import LedgerError, MarkError
from countenance.media.read import read_frames
from countenance.project import user_data_dir
from countenance.provenance.identity import watermark_secret
from countenance.provenance.label import LabelLook, label_plate, label_text
from countenance.provenance.watermark import find_watermark, frames_to_search

FRENCH = label_text(synthetic=True, language="fr")
PAIR = ("--lender", "vera", "--performer", "ivan")


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_render_that_cannot_be_logged_does_not_stay(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Book.append

    def refuse(book: Book, kind: str, facts: Any) -> str:
        if kind == "render":
            raise LedgerError("The ledger is in use by another program. Wait for it and try again.")
        return real(book, kind, facts)

    before = _files(film / "renders")
    words = [("swap", clips / "scène.mp4", *PAIR, "-o", film / "renders" / name) for name in ("a.mp4", "b.mkv")]
    with monkeypatch.context() as patch:
        patch.setattr(Book, "append", refuse)
        for run in words:  # with the credentials inside, and beside
            countenance(*run, "--project", film).fails("in use")
    assert {name for name in _files(film / "renders") - before if not name.startswith(".countenance-render-")} == set()
    told = countenance(*words[1], "--project", film)
    assert told.code == 0, told.err
    assert "All 10 frames of b.mkv were finished" in told.err  # they were kept


def test_a_render_that_cannot_be_signed_does_not_stay(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def refuse(unsigned: Path, *_: object, **__: object) -> None:
        assert unsigned.stat().st_size > 0
        assert unsigned.parent.stat().st_mode & 0o077 == 0  # nobody else looks in
        seen.append(unsigned)
        raise MarkError("Signing failed, so there is no output. Try again.")

    monkeypatch.setattr("countenance.provenance.sign.sign_file", refuse)
    before = _files(film / "renders")
    output = film / "renders" / "a.mp4"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("Signing failed")
    assert len(seen) == 1
    [private] = _files(film / "renders") - before
    assert {path.suffix for path in (film / "renders" / private).iterdir()} == {".nut", ".json", ""}  # segments only


def test_ctrl_c_while_converting_leaves_nothing(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_footage: Path, unsigned: Path, **_: object) -> None:
        unsigned.write_bytes(b"half a render")
        raise KeyboardInterrupt

    monkeypatch.setattr("countenance.conversion.pipeline.convert", interrupted)
    before = _files(film / "renders")
    output = film / "renders" / "a.mp4"
    told = countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film)
    assert told.code == 130
    assert "There is no output yet" in told.err
    assert _files(film / "renders") == before


def test_a_hidden_witness_render_without_a_name_goes_on_under_its_neutral_one(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MarkError("Signing failed, so there is no output. Try again.")

    before = _files(film / "renders")
    run = ("swap", clips / "scène.mp4", *PAIR, "--project", film)
    with monkeypatch.context() as patch:
        patch.setattr("countenance.provenance.sign.sign_file", refuse)
        countenance(*run).fails("Signing failed")
    told = countenance(*run, "--json")
    assert told.code == 0, told.err
    (made,) = {name for name in _files(film / "renders") - before if not name.startswith(".")}
    assert re.fullmatch(r"render-[0-9a-f]{12}\.mp4", made)
    assert f"All 10 frames of {made} were finished" in told.err
    countenance(*run).fails(f"{made} is there already")
    named = countenance(*run, "-o", film / "renders" / "the sce\u0300ne.mp4")  # as some disks spell it
    assert named.err.count("the name contains that of the footage") == 1


def test_an_old_render_stays_when_the_new_one_fails(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MarkError("Signing failed, so there is no output. Try again.")

    monkeypatch.setattr("countenance.provenance.sign.sign_file", broken)
    output = film / "renders" / "scène, swapped.mp4"
    before = output.read_bytes()
    told = countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--overwrite", "--project", film)
    told.fails("Signing failed")
    assert output.read_bytes() == before


def test_leftovers_of_a_killed_render_go_after_a_week(film: Path, clips: Path, countenance: Runs) -> None:
    import os
    import time

    old, young = (film / "renders" / f".countenance-render-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "render.mp4").write_bytes(b"half")
    last_week = time.time() - 8 * 24 * 3600
    os.utime(old, (last_week, last_week))
    told = countenance("swap", clips / "scène.mp4", *PAIR, "--project", film)
    assert told.code == 0, told.err
    assert not old.exists()
    assert young.exists()  # it may still go on


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_mkv_and_webm_carry_their_credentials_beside_them(
    film: Path, clips: Path, countenance: Runs, suffix: str
) -> None:
    output = film / "renders" / f"scene{suffix}"
    assert countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).code == 0
    assert output.with_suffix(".c2pa").exists()
    assert countenance("verify", output, "--json").json["verdict"] == "holds"


def test_overwrite_replaces_a_render(film: Path, clips: Path, countenance: Runs) -> None:
    output = film / "renders" / "scène, swapped.mp4"
    before = output.read_bytes()
    look = ("--label-position", "top", "--label-style", "light", "--label-language", "fr", "--secret-watermark")
    words = ("swap", clips / "scène.mp4", *PAIR, "-o", output, "--overwrite", *look, "--project", film, "--json")
    told = countenance(*words)
    assert told.code == 0
    assert output.read_bytes() != before  # another watermark, at least
    layers = countenance("verify", output, "--json").json["layers"]
    assert FRENCH in layers["label"]["sentence"]
    plate = label_plate(
        (frame := next(iter(read_frames(output))).rgb).shape[:2], FRENCH, LabelLook("top", "light", "fr")
    )
    height, width = plate.rgb.shape[:2]
    there = frame[plate.top : plate.top + height, plate.left : plate.left + width].astype(float)
    assert np.abs(there - plate.rgb).mean() < 16
    secret = watermark_secret(user_data_dir())
    assert secret is not None
    found = find_watermark(frames_to_search(output), secret)
    assert found.secret_payload == found.payload == bytes.fromhex(told.json["swap"]["watermark"])


def test_without_the_label_where_the_lender_allows_it(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = gate.require_consent
    monkeypatch.setattr(gate, "require_consent", lambda *a, **k: replace(real(*a, **k), label_required=False))
    output = film / "renders" / "bare.mp4"
    words = ("swap", clips / "scène.mp4", *PAIR, "-o", output, "--without-label", "--project", film, "--json")
    assert countenance(*words).json["swap"]["label_shown"] is False
    layers = countenance("verify", output, "--json").json["layers"]
    assert layers["label"]["state"] == "left_out"
    assert layers["watermark"]["state"] == "matches"  # the other marks stay


def test_a_model_trained_under_another_record_is_refused(
    film: Path, finished: Finished, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", PASSPHRASE)
    request = film / "people" / "vera" / "consent-request.json"
    key, witness = (finished.root.parent / f"{who}.key" for who in ("vera", "witness"))
    by = ("--witness", f"{witness}.pub", "--witness-role", "producer")
    assert countenance("consent", "request", "vera", "--synthetic", "--days", 30, *by, "--project", film).code == 0
    assert countenance("consent", "sign", request, "--key", key, "--yes").code == 0
    half = request.with_name("consent-unwitnessed.json")
    assert countenance("consent", "witness", half, "--key", witness, "--yes").code == 0
    output = film / "renders" / "a.mp4"
    told = countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film)
    told.fails("another consent record", "train again")
    assert not output.exists()
