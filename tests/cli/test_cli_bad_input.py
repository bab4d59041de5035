"""Bad input at the command line: code 2, one helpful sentence, no traceback, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from cli_world import Runs
from PIL import Image

from countenance.faceset import layout
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.project import Project
from countenance.types import Frame

PAIR = ("--lender", "vera", "--performer", "ivan")


@pytest.fixture
def empty(countenance: Runs, tmp_path: Path) -> Path:
    """A new project."""
    assert countenance("new", tmp_path / "new").code == 0
    return tmp_path / "new"


def _truncated(clip: Path, target: Path) -> Path:
    data = clip.read_bytes()
    target.write_bytes(data[: len(data) // 2])
    return target


# --- material ---------------------------------------------------------------------------------------------------------


def test_a_truncated_video(empty: Path, clips: Path, countenance: Runs, tmp_path: Path) -> None:
    broken = _truncated(clips / "véra 1.mp4", tmp_path / "broken.mp4")
    countenance("extract", broken, "--person", "vera", "--project", empty).fails("broken.mp4")
    assert not (empty / "people" / "vera").exists()


def test_a_zero_byte_video(empty: Path, countenance: Runs, tmp_path: Path) -> None:
    (tmp_path / "nothing.mp4").write_bytes(b"")
    countenance("extract", tmp_path / "nothing.mp4", "--person", "vera", "--project", empty).fails("nothing.mp4")


def test_text_named_mp4(empty: Path, countenance: Runs, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Vera,\n" * 300, encoding="utf-8")
    countenance("extract", tmp_path / "letter.mp4", "--person", "vera", "--project", empty).fails("letter.mp4")


def test_no_such_video(empty: Path, countenance: Runs, tmp_path: Path) -> None:
    countenance("extract", tmp_path / "gone.mp4", "--person", "vera", "--project", empty).fails("gone.mp4")


def test_no_face_found(empty: Path, clips: Path, countenance: Runs, tmp_path: Path) -> None:
    wall = tmp_path / "wall.mp4"
    info = probe(clips / "three.mp4")
    with VideoWriter(wall, info) as writer:
        for frame in read_frames(clips / "three.mp4"):
            writer.write(Frame(np.full_like(frame.rgb, 120), frame.index, frame.pts, frame.time_base))
    countenance("extract", wall, "--person", "vera", "--project", empty).fails("face")
    assert not (empty / "people" / "vera").exists()


def test_three_faces_in_all(film: Path, clips: Path, countenance: Runs) -> None:
    assert countenance("extract", clips / "three.mp4", "--person", "few", "--project", film).code == 0
    told = countenance("train", "--lender", "vera", "--performer", "few", "--iterations", 1, "--project", film)
    told.fails("few", "needed")


def test_crops_of_another_side(film: Path, clips: Path, countenance: Runs) -> None:
    more = ("extract", clips / "three.mp4", "--person", "vera", "--project", film)
    usage = countenance(*more, "--crop", 300)
    assert usage.code == 2
    assert "'300' is not one of '256', '512'" in usage.err
    countenance(*more, "--crop", 512).fails("holds crops of 256 pixels", "--crop 512")
    told = countenance("train", *PAIR, "--preset", "cinema-512", "--iterations", 1, "--project", film)
    told.fails("this model needs 512", "countenance extract 'véra 1.mp4' --person vera --crop 512")
    assert not (film / "models" / "vera--ivan" / "cinema-512").exists()


def test_footage_of_the_wrong_person(film: Path, clips: Path, countenance: Runs) -> None:
    output = film / "renders" / "wrong.mp4"
    told = countenance("swap", clips / "somebody else.mp4", *PAIR, "-o", output, "--project", film)
    told.fails("performer")
    assert not output.exists()
    assert not list((film / "renders").glob(".*"))


def test_a_lender_who_is_somebody_else_than_the_record(film: Path, countenance: Runs) -> None:
    shutil.copy(film / "people" / "ivan" / "faces.sqlite", film / "people" / "vera" / "faces.sqlite")
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails(
        "is not the one that the last extraction left"
    )


def test_like_a_photo_without_a_face(empty: Path, clips: Path, countenance: Runs, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "grey.jpg")
    told = countenance(
        "extract", clips / "three.mp4", "--person", "vera", "--like", tmp_path / "grey.jpg", "--project", empty
    )
    told.fails("grey.jpg")


def test_an_unreadable_folder(empty: Path, countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o000)
    if os.geteuid() == 0:  # root reads everything; the system's answer to others is put in its place

        def refuse(path: object = ".", *_: object, **__: object) -> object:
            if str(path).startswith(str(folder)):
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return real(path)

        real = os.scandir
        monkeypatch.setattr(os, "scandir", refuse)
        monkeypatch.setattr(os, "listdir", refuse)
    countenance("extract", folder, "--person", "vera", "--project", empty).fails("locked")


def test_an_empty_folder(empty: Path, countenance: Runs, tmp_path: Path) -> None:
    (tmp_path / "rushes").mkdir()
    countenance("extract", tmp_path / "rushes", "--person", "vera", "--project", empty).fails("rushes")


def test_a_name_that_leads_out_of_the_folder(empty: Path, clips: Path, countenance: Runs) -> None:
    countenance("extract", clips / "three.mp4", "--person", "../vera", "--project", empty).fails("name")


# --- disk -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_while_a_project_is_made(countenance: Runs, tmp_path: Path) -> None:
    countenance("new", tmp_path / "film").fails("disk is full")
    assert not (tmp_path / "film" / "countenance.toml").exists()


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_while_rendering(film: Path, clips: Path, countenance: Runs) -> None:
    before = sorted(path.name for path in (film / "renders").iterdir())
    told = countenance("swap", clips / "scène.mp4", *PAIR, "-o", film / "renders" / "full.mp4", "--project", film)
    told.fails("disk is full")
    assert sorted(path.name for path in (film / "renders").iterdir()) == before


def test_an_output_folder_that_is_not_there(film: Path, clips: Path, countenance: Runs, tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "scene.mp4"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("no folder")


def test_the_footage_is_never_overwritten(film: Path, clips: Path, countenance: Runs, tmp_path: Path) -> None:
    footage = Path(shutil.copy(clips / "scène.mp4", tmp_path / "scene.mp4"))
    before = footage.read_bytes()
    for name in ("scene.mp4", "../" + tmp_path.name + "/scene.mp4"):
        told = countenance("swap", footage, *PAIR, "-o", tmp_path / name, "--overwrite", "--project", film)
        told.fails("footage itself")
    (tmp_path / "other name.mp4").symlink_to(footage)
    told = countenance("swap", footage, *PAIR, "-o", tmp_path / "other name.mp4", "--overwrite", "--project", film)
    told.fails("footage itself")
    assert footage.read_bytes() == before


def test_an_output_that_is_there_stays(film: Path, clips: Path, countenance: Runs) -> None:
    output = film / "renders" / "scène, swapped.mp4"
    before = output.read_bytes()
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("--overwrite")
    assert output.read_bytes() == before


def test_an_output_of_another_kind(film: Path, clips: Path, countenance: Runs) -> None:
    output = film / "renders" / "scene.gif"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails(".mp4")


# --- project and settings ---------------------------------------------------------------------------------------------


def test_an_unknown_option_in_the_config(film: Path, countenance: Runs) -> None:
    config = film / "countenance.toml"
    config.write_text(config.read_text(encoding="utf-8") + 'pre_set = "swift"\n', encoding="utf-8")
    countenance("faces", "vera", "--project", film).fails("pre_set", "did you mean 'preset'")


def test_a_config_that_is_no_toml(film: Path, countenance: Runs) -> None:
    (film / "countenance.toml").write_text("title = = 1", encoding="utf-8")
    countenance("faces", "vera", "--project", film).fails("TOML")


def test_outside_of_a_project(countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    countenance("faces", "vera").fails("countenance new")
    countenance("faces", "vera", "--project", tmp_path / "gone").fails("not a project")


def test_a_project_that_is_there_already(empty: Path, countenance: Runs) -> None:
    countenance("new", empty).fails("already")


def test_an_unknown_purpose(countenance: Runs, tmp_path: Path) -> None:
    countenance("new", tmp_path / "film", "--purpose", "prank").fails("prank", "double")


def test_a_person_who_is_not_there(film: Path, clips: Path, countenance: Runs) -> None:
    countenance("faces", "vero", "--project", film).fails("did you mean 'vera'")
    told = countenance("train", "--lender", "vero", "--performer", "ivan", "--iterations", 1, "--project", film)
    told.fails("vero")
    told = countenance("swap", clips / "scène.mp4", "--lender", "vera", "--performer", "ian", "--project", film)
    told.fails("ian")


# --- stored data ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_from_another_preset(film: Path, clips: Path, countenance: Runs) -> None:
    models = film / "models" / "vera--ivan"
    shutil.copytree(models / "swift", models / "classic")
    options = ("--preset", "classic", "--project", film)
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", film / "renders" / "c.mp4", *options).fails("swift")
    countenance("train", *PAIR, "--iterations", 5, *options).fails("swift")


def test_a_damaged_checkpoint(film: Path, countenance: Runs) -> None:
    checkpoint = film / "models" / "vera--ivan" / "swift" / "checkpoint.safetensors"
    data = bytearray(checkpoint.read_bytes())
    data[-100] ^= 0xFF
    checkpoint.write_bytes(data)
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("checkpoint")


def test_no_model_yet(film: Path, clips: Path, countenance: Runs) -> None:
    shutil.rmtree(film / "models" / "vera--ivan")
    output = film / "renders" / "n.mp4"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("countenance train")


def test_a_tampered_face_set(film: Path, countenance: Runs) -> None:
    path = film / "people" / "vera" / "faces.sqlite"
    database = layout.connect(path, Project.open(film).key())
    database.execute("UPDATE faces SET status = 'kept', reason = NULL WHERE status = 'rejected'")
    database.execute("UPDATE faces SET sharpness = sharpness + 1 WHERE id = 1")
    database.close()
    countenance("faces", "vera", "--project", film).fails("vera")
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("vera")


def test_a_face_set_that_is_no_database(film: Path, countenance: Runs) -> None:
    (film / "people" / "vera" / "faces.sqlite").write_text("not one", encoding="utf-8")
    countenance("faces", "vera", "--project", film).fails("not a face set")


def test_a_tampered_ledger(film: Path, countenance: Runs) -> None:
    with sqlite3.connect(film / "ledger.sqlite") as database:
        database.execute("DROP TRIGGER no_update")
        database.execute("UPDATE entries SET facts = replace(facts, 'vera', 'iris') WHERE seq = 2")
    database.close()
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("ledger")


# --- consent ----------------------------------------------------------------------------------------------------------


def test_no_consent_record(film: Path, clips: Path, countenance: Runs) -> None:
    (film / "people" / "vera" / "consent.json").unlink()
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("consent record", "consent request")
    output = film / "renders" / "n.mp4"
    countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--project", film).fails("consent record")
    assert not output.exists()


def test_a_forged_record(film: Path, countenance: Runs) -> None:
    path = film / "people" / "vera" / "consent.json"
    record = json.loads(path.read_bytes())
    signature = record["signatures"][0]["signature"]
    record["signatures"][0]["signature"] = ("A" if signature[0] != "A" else "B") + signature[1:]
    path.write_text(json.dumps(record), encoding="utf-8")
    countenance("train", *PAIR, "--iterations", 5, "--project", film).fails("changed after it was signed")
    assert countenance("consent", "check", "vera", "--project", film).code == 2


def test_another_performer_than_agreed(film: Path, clips: Path, countenance: Runs) -> None:
    shutil.copytree(film / "people" / "ivan", film / "people" / "boris")
    told = countenance("train", "--lender", "vera", "--performer", "boris", "--iterations", 1, "--project", film)
    told.fails("ivan, not boris")


def test_the_label_cannot_be_left_out_against_the_record(film: Path, clips: Path, countenance: Runs) -> None:
    output = film / "renders" / "bare.mp4"
    told = countenance("swap", clips / "scène.mp4", *PAIR, "-o", output, "--without-label", "--project", film)
    told.fails("label")
    assert not output.exists()


def test_enrolling_again_by_mistake(film: Path, countenance: Runs) -> None:
    countenance("consent", "enrol", "vera", "--project", film).fails("--again")


def test_a_wrong_passphrase_and_no_key(
    film: Path, finished_key: Path, countenance: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = film / "people" / "vera" / "consent-request.json"
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "not the passphrase")
    countenance("consent", "sign", request, "--key", finished_key, "--yes").fails("passphrase")
    countenance("consent", "sign", request, "--key", tmp_path / "no.key", "--yes").fails("keygen")
    countenance("consent", "sign", tmp_path / "no.json", "--key", finished_key, "--yes").fails("no.json")
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "short")
    countenance("consent", "keygen", tmp_path / "new.key").fails("8 characters")
    countenance("consent", "keygen", tmp_path / "new.key", "--passphrase-file", tmp_path / "no").fails("passphrase")


@pytest.fixture
def finished_key(finished: object) -> Path:
    return finished.root.parent / "vera.key"  # type: ignore[attr-defined, no-any-return]


def test_a_request_for_no_time_at_all(film: Path, finished_key: Path, countenance: Runs) -> None:
    by = ("--witness", f"{finished_key.with_name('witness.key')}.pub", "--witness-role", "lawyer")
    countenance("consent", "request", "vera", "--days", 0, *by, "--project", film).fails("one day")
    countenance("consent", "request", "vera", "--until", "2020-01-01", *by, "--project", film).fails("later")


def test_a_request_without_a_usable_witness(film: Path, finished_key: Path, countenance: Runs) -> None:
    ask = ("consent", "request", "vera", "--synthetic", "--project", film, "--witness")
    public = f"{finished_key.with_name('witness.key')}.pub"
    countenance(*ask, public, "--witness-role", "friend").fails("producer", "role")
    countenance(*ask, finished_key, "--witness-role", "lawyer").fails("public half", "keygen")
    countenance(*ask, public, "--witness-role", "lawyer", "--estate", "will").fails("--estate-document")
    countenance(*ask, public, "--witness-role", "lawyer", "--id-document", "passport").fails("synthetic")


def test_saying_no_signs_nothing(
    film: Path, finished_key: Path, countenance: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    record = film / "people" / "vera" / "consent.json"
    before = record.read_bytes()
    request = film / "people" / "vera" / "consent-request.json"
    told = countenance("consent", "sign", request, "--key", finished_key)
    told.fails("Not signed")
    assert "MAY WE SHOW THIS FACE?" in told.err
    assert record.read_bytes() == before


# --- settings of a command --------------------------------------------------------------------------------------------


def test_training_settings_out_of_range(film: Path, countenance: Runs) -> None:
    for name, value in (("--minutes", "-1"), ("--minutes", "nan"), ("--iterations", "0")):
        countenance("train", *PAIR, name, value, "--project", film).fails("budget")
    countenance("train", *PAIR, "--preset", "swft", "--project", film).fails("swft", "swift")
    countenance("train", *PAIR, "--device", "cuda:9", "--iterations", 5, "--project", film).fails("cuda:9")


def test_verify_of_nothing(countenance: Runs, tmp_path: Path) -> None:
    countenance("verify", tmp_path / "gone.mp4").fails("gone.mp4")
    countenance("verify", tmp_path).fails(tmp_path.name)


def test_verify_with_a_record_that_is_none(film: Path, countenance: Runs, tmp_path: Path) -> None:
    render = film / "renders" / "scène, swapped.mp4"
    (tmp_path / "record.json").write_text("{}", encoding="utf-8")
    countenance("verify", render, "--record", tmp_path / "record.json").fails("consent record")
    countenance("verify", render, "--record", tmp_path / "gone.json").fails("gone.json")


def test_errors_as_json(countenance: Runs, tmp_path: Path) -> None:
    told = countenance("verify", tmp_path / "gone.mp4", "--json")
    told.fails("gone.mp4")
    assert told.json["error"]["kind"] == "MediaError"
    assert told.json["error"]["message"] in told.err


def test_a_demo_where_nothing_can_be_written(countenance: Runs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here", encoding="utf-8")
    countenance("demo", "--out", tmp_path / "file" / "demo").fails("file")
