"""An interrupted render goes on at its last finished segment, asks the gate anew, and leaves nothing behind."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from cli_world import PERFORMERS, Runs, cut

from countenance.atomic import kept_folder
from countenance.consent.ledger import Ledger
from countenance.conversion.segments import SegmentWriter
from countenance.conversion.settings import ConvertSettings
from countenance.project import Project

PAIR = ("--lender", "vera", "--performer", "ivan")


@pytest.fixture
def words(film: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """A swap of ten frames in segments of five."""
    short = partial(ConvertSettings, segment_seconds=0.2)
    monkeypatch.setattr("countenance.conversion.settings.ConvertSettings", short)
    return ("swap", clips / "scène.mp4", *PAIR, "-o", film / "renders" / "a.mov", "--project", film)


@pytest.fixture
def interrupted(words: tuple[object, ...], film: Path, countenance: Runs) -> Path:
    """The private folder of a render that Ctrl-C ended at its eighth frame."""
    real, count = SegmentWriter.write, [0]

    def write(self: SegmentWriter, frame: object) -> None:
        count[0] += 1
        if count[0] == 8:
            raise KeyboardInterrupt
        real(self, frame)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentWriter, "write", write)
        told = countenance(*words)
    assert told.code == 130
    assert "goes on after the last finished segment" in told.err
    assert not (film / "renders" / "a.mov").exists()
    [folder] = (film / "renders").glob(".countenance-render-*")
    return folder


def _kinds(film: Path) -> list[str]:
    return [entry.kind for entry in Ledger(Project.open(film).ledger_path).entries()]


def test_it_goes_on_and_asks_the_gate_anew(
    interrupted: Path, words: tuple[object, ...], film: Path, countenance: Runs
) -> None:
    assert sorted(path.name for path in interrupted.iterdir()) == ["000000.nut", "lock", "state.json"]
    assert [path.stat().st_mode & 0o777 for path in (interrupted, interrupted / "000000.nut")] == [0o700, 0o600]
    permits = _kinds(film).count("permit")
    told = countenance(*words, "--json")
    assert told.code == 0, told.err
    assert "after 5 finished frames" in told.err
    assert told.json["swap"]["convert"]["resumed_at_frame"] == 5
    assert told.json["swap"]["convert"]["frames"] == 10
    assert _kinds(film).count("permit") == permits + 1
    assert _kinds(film)[-1] == "render"
    assert not interrupted.exists()
    render = film / "renders" / "a.mov"
    assert render.stat().st_mode & 0o777 == 0o666 & ~_umask()
    verified = countenance("verify", render, "--json").json
    assert verified["verdict"] == "holds"
    assert verified["layers"]["watermark"]["state"] == "matches"  # one id on the frames of both runs


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_consent_taken_back_meanwhile_ends_it_and_removes_the_pictures(
    interrupted: Path, words: tuple[object, ...], film: Path, countenance: Runs
) -> None:
    assert countenance("consent", "revoke", "vera", "--project", film).code == 0
    countenance(*words).fails("revoked")
    assert not interrupted.exists()


def test_other_footage_begins_anew_and_says_so(
    interrupted: Path, words: tuple[object, ...], film: Path, clips: Path, countenance: Runs
) -> None:
    other = cut(PERFORMERS / "test_A.mp4", clips.parent / "other.mp4", 5, first=40)
    told = countenance(words[0], other, *words[2:], "--codec", "h265", "--json")
    assert told.code == 0, told.err
    assert "was made from other footage and was made with other settings, so it begins anew" in " ".join(
        told.err.split()
    )
    assert told.json["swap"]["convert"]["resumed_at_frame"] == 0
    assert not interrupted.exists()


def test_two_runs_do_not_share_a_folder(
    interrupted: Path, words: tuple[object, ...], film: Path, countenance: Runs
) -> None:
    name = interrupted.name.removeprefix(".countenance-render-")
    with kept_folder(film / "renders", ".countenance-render-", name) as kept:
        countenance(*words).fails("Another run is working")
        kept.keep = True
    assert (interrupted / "state.json").exists()


def test_a_full_disk_before_signing_keeps_what_is_finished(
    words: tuple[object, ...], film: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: Usage)
        countenance(*words).fails("disk is full", "what is finished is kept")
    [folder] = (film / "renders").glob(".countenance-render-*")
    assert sorted(path.name for path in folder.iterdir()) == ["000000.nut", "000001.nut", "lock", "state.json"]
    told = countenance(*words)
    assert told.code == 0
    assert "All 10 frames of a.mov were finished" in told.err
    assert not folder.exists()
