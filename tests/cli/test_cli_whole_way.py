"""The commands in the order of the work, with real networks: what they say, what they leave, what they do again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_world import PASSPHRASE, Finished, Runs

from countenance.consent.ledger import Ledger
from countenance.digest import file_sha256
from countenance.faceset.store import FaceSet
from countenance.project import Project
from countenance.training.scores import template_of

PAIR = ("--lender", "vera", "--performer", "ivan")


def test_json_is_all_that_stands_on_stdout(finished: Finished) -> None:
    for name in ("new", "extract", "enrol", "request", "keygen", "sign", "witness", "train", "swap"):
        assert isinstance(json.loads(finished.told[name].out), dict), name


def test_every_stage_says_what_it_did(finished: Finished) -> None:
    told = {name: said.json for name, said in finished.told.items() if said.out.startswith("{")}
    assert told["new"]["title"] == "Mon film"
    assert told["extract"]["extract"]["kept"] >= 20
    assert told["extract"]["extract"]["frames_read"] == 70
    assert told["enrol"]["enrol"]["apparent_age"] >= 18
    assert told["witness"]["witness"]["accepted"] is True
    assert told["sign"]["sign"]["key_id"] == told["keygen"]["key"]["key_id"]
    assert told["sign"]["sign"]["witness_key_id"] == told["witness"]["witness"]["witness_key_id"]
    assert told["train"]["train"]["iteration"] == 2
    assert told["train"]["train"]["resumed"] is False
    swap = told["swap"]["swap"]
    assert swap["convert"]["frames"] == swap["convert"]["replaced"] + swap["convert"]["veiled"] == 10
    assert swap["record_id"] == told["witness"]["witness"]["record_id"]
    assert swap["label_shown"] is True


def test_people_are_told_in_words(finished: Finished) -> None:
    assert re.search(r"ivan: \d+ faces kept, \d+ rejected", finished.told["extract-ivan"].out)


def test_nothing_but_the_results_is_left(finished: Finished) -> None:
    left = {path.relative_to(finished.root).as_posix() for path in finished.root.rglob("*") if path.is_file()}
    assert left == {
        "countenance.toml",
        "countenance-key.json",
        "ledger.sqlite",
        "register.sqlite",
        "people/vera/faces.sqlite",
        "people/vera/template.json",
        "people/vera/consent.json",
        "people/vera/consent-request.json",
        "people/vera/consent-request.html",
        "people/vera/consent-request.txt",
        "people/ivan/faces.sqlite",
        "models/vera--ivan/swift/best.safetensors",
        "models/vera--ivan/swift/checkpoint.safetensors",
        "models/vera--ivan/swift/curves.png",
        "models/vera--ivan/swift/coverage.png",
        "renders/scène, swapped.mp4",
    }


def test_the_ledger_has_the_render_under_its_watermark(finished: Finished) -> None:
    ledger = Ledger(finished.root / "ledger.sqlite")
    ledger.verify()
    rows: dict[str, dict[str, Any]] = {entry.kind: dict(entry.facts) for entry in ledger.entries()}
    swap = finished.told["swap"].json["swap"]
    assert rows["render"]["watermark"] == swap["watermark"]
    assert rows["render"]["render_sha256"] == swap["sha256"]
    assert rows["render"]["record_id"] == swap["record_id"]
    assert {"request", "record", "permit", "training", "render"} <= set(rows)
    assert rows["permit"]["basis"] == "protected witness"


def test_nothing_that_identifies_a_protected_witness_lies_in_the_clear(
    finished: Finished, home: Path, clips: Path
) -> None:
    """ivan's faces are in the face set, encrypted; nowhere else is a face, a measurement, or a word of the footage."""
    project = Project.open(finished.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTENANCE_HOME", str(home))
        with FaceSet.open(project.faceset_path("ivan"), project.key()) as faceset:
            kept = [record.id for record in faceset.records("kept")]
            faces, vectors = faceset.load_some(kept), faceset.vectors("kept").embeddings
            assert [source.name for source in faceset.sources()] == ["ivan.mp4"]
    needles = {f"face {row}": vector[5:10].tobytes() for row, vector in enumerate((*vectors, template_of(vectors)))}
    needles |= {f"points {row}": points[7:10].tobytes() for row, points in enumerate(faces.landmarks_xy)}
    needles |= {f"pixels {row}": rgb[128, 100:108].tobytes() for row, rgb in enumerate(faces.rgb)}
    for clip in (clips / "ivan.mp4", clips / "scène.mp4"):
        words = (clip.name, str(clip), file_sha256(clip))
        needles |= {word: word.encode() for word in words}
        needles |= {f"{word} in JSON": json.dumps(word)[1:-1].encode() for word in words}
    needles |= {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF"}
    needles |= {"array": b"\x93NUMPY", "SQLite": b"SQLite f"}
    allowed = {  # pictures without a face; of the render the witness's face was taken out
        ("models/vera--ivan/swift/curves.png", "PNG"),
        ("models/vera--ivan/swift/coverage.png", "PNG"),
        ("ledger.sqlite", "SQLite"),
        ("register.sqlite", "SQLite"),
    }
    found = set()
    for path in (path for path in finished.root.rglob("*") if path.is_file() and path != finished.render):
        data, name = path.read_bytes(), path.relative_to(finished.root).as_posix()
        found |= {(name, what) for what, needle in needles.items() if needle in data}
    assert found <= allowed


def test_the_render_verifies_with_its_record(finished: Finished, countenance: Runs) -> None:
    record = finished.root / "people" / "vera" / "consent.json"
    told = countenance("verify", finished.render, "--record", record, "--json")
    assert told.code == 0
    assert told.json["verdict"] == "holds"
    assert told.json["layers"]["consent_then"]["state"] == "in_force"
    assert told.json["claim"]["watermark"] == finished.told["swap"].json["swap"]["watermark"]
    assert "The proof holds" in countenance("verify", finished.render).out


def test_a_changed_render_does_not_verify(finished: Finished, countenance: Runs, tmp_path: Path) -> None:
    changed = tmp_path / "changed.mp4"
    data = bytearray(finished.render.read_bytes())
    data[-50] ^= 1
    changed.write_bytes(data)
    told = countenance("verify", changed, "--no-watermark", "--json")
    assert told.code == 3
    assert told.json["verdict"] == "broken"


def test_a_file_without_marks_proves_nothing(clips: Path, countenance: Runs) -> None:
    told = countenance("verify", clips / "scène.mp4")
    assert told.code == 1
    assert "Nothing is proven" in told.out


def test_faces_tells_and_draws(film: Path, countenance: Runs, tmp_path: Path) -> None:
    told = countenance("faces", "vera", "--project", film, "--json")
    facts = told.json["faces"]
    assert told.code == 0
    assert facts["kept"] + sum(facts["rejected"].values()) == 70
    assert facts["sheet"] is None  # nothing in the clear unless somebody asks for it
    sheet = tmp_path / "vera 人.png"
    assert f"Contact sheet: {sheet}" in countenance("faces", "vera", "--project", film, "--sheet", sheet).out
    assert sheet.exists()


def test_doing_it_again_does_nothing_and_says_so(
    film: Path, clips: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film / "people")  # the project is found upwards
    told = countenance("extract", clips / "véra 1.mp4", "--person", "vera", "--json")
    assert told.json["extract"]["frames_read"] == 0
    assert told.json["extract"]["sources"][0]["skipped"] is True
    assert "Nothing to do" in countenance("train", *PAIR, "--iterations", 2).out


def test_training_goes_on_from_the_checkpoint(film: Path, countenance: Runs) -> None:
    facts = countenance("train", *PAIR, "--iterations", 3, "--project", film, "--json").json["train"]
    assert facts["resumed"] is True
    assert facts["iteration"] == 3


def test_check_explains_the_record(film: Path, countenance: Runs) -> None:
    told = countenance("consent", "check", "vera", "--project", film)
    assert told.code == 0
    assert "synthetic person vera" in told.out
    assert "It holds." in told.out
    by_file = countenance("consent", "check", film / "people" / "vera" / "consent.json", "--json")
    assert by_file.json["good"] is True


def test_after_a_revocation_nothing_is_made(film: Path, clips: Path, countenance: Runs) -> None:
    assert countenance("consent", "revoke", "vera", "--reason", "changed my mind", "--project", film).code == 0
    output = film / "renders" / "late.mp4"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("revoked")
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("revoked")
    told = countenance("consent", "check", "vera", "--project", film)
    assert told.code == 2
    assert "revoked" in told.out
    assert not output.exists()


def test_lender_and_witness_sign_on_other_machines_and_the_lender_revokes_there(
    film: Path, finished: Finished, countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", PASSPHRASE)
    away = tmp_path / "vera's own machine"
    away.mkdir()
    key, witness = finished.root.parent / "vera.key", finished.root.parent / "witness.key"
    request = shutil.copy(film / "people" / "vera" / "consent-request.json", away)
    half = countenance("consent", "sign", request, "--key", key, "--yes", "--json").json["sign"]
    assert Path(half["path"]).parent == away
    for taker in (("accept", "vera", half["path"], "--project", film), ("revoke", half["path"], "--project", film)):
        countenance("consent", *taker).fails("The witness has not signed yet", "consent witness")
    countenance("consent", "witness", half["path"], "--key", key, "--yes").fails("witness with the key")
    signed = countenance("consent", "witness", half["path"], "--key", witness, "--yes", "--json").json["witness"]
    assert signed["accepted"] is False
    assert Path(signed["path"]).parent == away
    ids = ("--key-id", signed["key_id"], "--witness-key-id", signed["witness_key_id"])
    assert countenance("consent", "accept", "vera", signed["path"], *ids, "--project", film).code == 0
    statement = away / "revocation.json"
    told = countenance("consent", "revoke", signed["path"], "--key", key, "-o", statement, "--project", film, "--json")
    assert told.json["revoke"]["by"] == "lender"
    told = countenance("consent", "revoke", "vera", "--statement", statement, "--project", film, "--json")
    assert told.json["revoke"]["by"] == "lender"
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("revoked", "by the lender")
