"""Somebody has the project's folder, or can write into it, but has not its key: nothing opens, nothing is believed."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from faceset_world import KEY, connect
from test_faceset_store import a_face, a_set

from countenance import vault
from countenance.consent.template import enrol, load_template, save_template
from countenance.errors import ConsentError, CountenanceError, FaceSetError, ProjectError
from countenance.faceset import layout
from countenance.faceset.store import FaceSet
from countenance.project import Project
from countenance.vault import KEY_NAME, ProjectKey

PAGE = layout.PAGE_BYTES


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return compact(tmp_path / "faces.sqlite")


def compact(path: Path) -> Path:
    """A face set without free pages, which hold zeros and which nobody looks at."""
    with a_set(path) as faceset:
        faceset.shrink()
    return path


def whole(path: Path, key: ProjectKey = KEY) -> None:
    with FaceSet.open(path, key) as faceset:
        faceset.verify()
        faceset.load()


def test_a_wrong_key_opens_nothing(faces: Path) -> None:
    before = faces.read_bytes()
    for key in (ProjectKey.new(), ProjectKey(KEY.id, KEY.secret[::-1])):
        with pytest.raises(FaceSetError, match="another project's key"):
            whole(faces, key)
    assert faces.read_bytes() == before
    whole(faces)


def test_a_page_of_another_file_of_the_same_project(tmp_path: Path, faces: Path) -> None:
    other = compact(tmp_path / "other.sqlite")  # the same rows in the same places, under the same project's key
    ours, theirs = faces.read_bytes(), other.read_bytes()
    assert len(ours) == len(theirs)
    pages = len(ours) // PAGE
    for page in range(pages):
        faces.write_bytes(ours[: page * PAGE] + theirs[page * PAGE : (page + 1) * PAGE] + ours[(page + 1) * PAGE :])
        with pytest.raises(FaceSetError):
            whole(faces)
    faces.write_bytes(theirs[:16] + ours[16:])  # with the other one's salt
    with pytest.raises(FaceSetError):
        whole(faces)


def test_pages_of_one_file_exchanged(faces: Path) -> None:
    raw = faces.read_bytes()
    faces.write_bytes(raw[: 2 * PAGE] + raw[3 * PAGE : 4 * PAGE] + raw[2 * PAGE : 3 * PAGE] + raw[4 * PAGE :])
    with pytest.raises(FaceSetError):
        whole(faces)


def test_a_page_of_an_older_state_put_back(tmp_path: Path) -> None:
    """Each page is authentic; that they do not belong together is what the digests are for."""
    path = tmp_path / "faces.sqlite"
    faceset = a_set(path)
    faceset.close()
    before = path.read_bytes()
    with FaceSet.open(path, KEY) as faceset, faceset.transaction():
        faceset.turn_away([2])
    after = path.read_bytes()
    with FaceSet.open(path, KEY) as faceset:
        truth, records = faceset.load(), faceset.records()
    noticed = 0
    for start in range(0, len(before), PAGE):
        if before[start : start + PAGE] != after[start : start + PAGE]:
            path.write_bytes(after[:start] + before[start : start + PAGE] + after[start + PAGE :])
            try:
                with FaceSet.open(path, KEY) as faceset:
                    faceset.verify()
                    assert np.array_equal(faceset.load().rgb, truth.rgb)  # of a page that nothing refers to any more
                    assert faceset.records() == records
            except FaceSetError:
                noticed += 1
    assert noticed >= 4


def test_every_page_is_authentic(faces: Path) -> None:
    raw = faces.read_bytes()
    for place in range(7, len(raw), PAGE // 2 + 11):
        faces.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(FaceSetError):
            whole(faces)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_a_truncated_file(faces: Path, length: int) -> None:
    faces.write_bytes(faces.read_bytes()[:length])
    with pytest.raises(FaceSetError):
        whole(faces)


def test_a_face_set_in_the_clear_is_refused_and_left_alone(faces: Path) -> None:
    """The way back to version 1: the honest rows, exported by somebody who had the key once."""
    plain = faces.with_name("plain.sqlite")
    database = connect(faces)
    database.execute(f"ATTACH '{plain}' AS plain KEY ''")
    database.execute("SELECT sqlcipher_export('plain')")
    database.execute(f"PRAGMA plain.application_id = {layout.APPLICATION_ID}")
    database.execute(f"PRAGMA plain.user_version = {layout.VERSION}")
    database.close()
    assert plain.read_bytes()[:6] == b"SQLite"
    plain.replace(faces)
    with pytest.raises(FaceSetError, match="is not encrypted"):
        FaceSet.open(faces, KEY, create=True)
    assert faces.exists()


def test_a_log_of_somebody_else_is_not_read(faces: Path) -> None:
    """What stands in a ``-wal`` file is authenticated like the rest."""
    with a_set(faces.with_name("b.sqlite")) as other, other.transaction():
        other.add(1, a_face(50))
        shutil.copy(faces.with_name("b.sqlite-wal"), faces.with_name("faces.sqlite-wal"))
    try:
        with FaceSet.open(faces, KEY) as faceset:
            faceset.verify()
            assert faceset.counts().kept == 4
    except FaceSetError:
        pass  # or it is refused as a whole


# The key itself.


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a face set and a template, whose keys are in a folder of their own."""
    monkeypatch.setenv("COUNTENANCE_KEYS", str(tmp_path / "keys"))
    made = Project.create(tmp_path / "film")
    FaceSet.open(made.faceset_path("vera"), made.key(), create=True).close()
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.02, (20, 128)) + np.eye(128)[0]
    save_template(made.template_path("vera"), enrol(vectors, [30.0], embedder_id="net-1"), made.key())
    return made


def again(project: Project, passphrase: str = "a guess it is") -> ProjectKey:
    return Project.open(project.root, passphrase=lambda: passphrase).key()


def key_file(project: Project) -> Path:
    return next(path for path in (project.root.parent / "keys").iterdir() if project.key().id in path.name)


def test_without_its_key_file_a_project_does_not_open(film: Project) -> None:
    key_file(film).unlink()
    with pytest.raises(ProjectError, match="not on this computer"):
        again(film)


def test_a_removed_description_makes_no_new_key(film: Project) -> None:
    (film.root / KEY_NAME).unlink()
    with pytest.raises(ProjectError, match="is missing"):
        again(film)
    assert not (film.root / KEY_NAME).exists()


def test_the_key_of_another_project_under_this_ones_name(film: Project) -> None:
    other = Project.create(film.root.parent / "other")
    foreign, mine = key_file(other) if other.key() else None, key_file(film)
    assert foreign is not None
    for text in (foreign.read_text(), foreign.read_text().replace(other.key().id, film.key().id)):
        mine.write_text(text)
        with pytest.raises(ProjectError, match="not the key of this project"):
            again(film)


def test_the_description_of_another_project(film: Project) -> None:
    """All of one user's keys are here, so it opens; what was encrypted with this project's key does not."""
    other = Project.create(film.root.parent / "other")
    other.key()
    shutil.copy(other.root / KEY_NAME, film.root / KEY_NAME)
    with pytest.raises(FaceSetError, match="another project's key"):
        FaceSet.open(film.faceset_path("vera"), again(film))
    with pytest.raises(ConsentError, match="another project"):
        load_template(film.template_path("vera"), again(film))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read(film: Project, mode: int) -> None:
    key_file(film).chmod(mode)
    with pytest.raises(ProjectError, match=r"can be read by other users\. Run: chmod 600"):
        again(film)


def test_a_template_in_the_clear_is_refused(film: Project) -> None:
    path = film.template_path("vera")
    path.write_bytes(film.key().unseal(path.read_bytes(), "face template"))
    with pytest.raises(ConsentError, match="not encrypted"):
        load_template(path, film.key())


def test_any_flipped_byte_of_a_template_is_noticed(film: Project) -> None:
    path = film.template_path("vera")
    raw, truth = path.read_bytes(), load_template(path, film.key()).sha256()
    refused = 0
    for place in range(0, len(raw), 5):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        try:
            assert load_template(path, film.key()).sha256() == truth  # a space that became another one
        except ConsentError:
            refused += 1
    assert refused > 0.97 * len(range(0, len(raw), 5))


@pytest.mark.parametrize(
    "change",
    [
        {"passphrase": {"kdf": "none"}},
        {"passphrase": "open"},
        {"id": "../../../etc/passwd"},
        {"id": 7},
        {"check": ""},
        {"version": 2},
        {"more": 1},
    ],
)
def test_a_forged_description(film: Project, change: dict[str, object]) -> None:
    path = film.root / KEY_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ProjectError, match=r"damaged|newer|not the key"):
        again(film)


def test_a_guess_at_the_passphrase_costs_what_it_should(film: Project) -> None:
    """No cheaper cost can be put into the file, and neither a dearer one, which would take all memory."""
    path, keys = film.root / KEY_NAME, film.root.parent / "keys"
    vault.use_passphrase(film.root, keys, film.key(), "correct horse battery")
    started = time.process_time()
    with pytest.raises(ProjectError, match="not the passphrase"):
        again(film)
    assert time.process_time() - started > 0.1  # 0.4 s on the machine that this was set on
    locked = json.loads(path.read_text())
    for cost in ({"n": 2}, {"n": 2**40}, {"r": 1}, {"kdf": "pbkdf2"}, {"n": "131072"}):
        path.write_text(json.dumps({**locked, "passphrase": {**locked["passphrase"], **cost}}))
        started = time.process_time()
        with pytest.raises(CountenanceError, match="damaged"):
            again(film)
        assert time.process_time() - started < 0.1
