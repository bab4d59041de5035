"""Face sets that a holder of the project's key edited: each is refused with a sentence; no foreign exception leaks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faceset_world import KEY, World, connect, film, open_set, talk

from countenance.errors import FaceSetError
from countenance.faceset import layout, reading
from countenance.faceset.extract import extract
from countenance.faceset.store import FaceSet
from countenance.faceset.use import reembed
from countenance.project import Project
from countenance.vault import KEY_NAME


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A face set of 30 kept faces and 10 near-duplicates, and what its project says of the key."""
    folder = tmp_path_factory.mktemp("honest")
    world = World(talk(30) + [talk(30)[7]] * 10)
    clip = film(folder / "clip.mkv", world.script)
    project = Project.create(folder / "film")
    path = extract(project, "vera", [clip], perception=world.perception()).path  # type: ignore[arg-type]
    return path.read_bytes(), (project.root / KEY_NAME).read_bytes()


@pytest.fixture
def faces(project: Project, honest: tuple[bytes, bytes]) -> Path:
    """A fresh copy of it."""
    path = project.faceset_path("vera")
    path.parent.mkdir()
    path.write_bytes(honest[0])
    (project.root / KEY_NAME).write_bytes(honest[1])
    return path


def edit(path: Path, *statements: str) -> None:
    database = connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def forge(path: Path) -> None:
    """Recompute every digest, as somebody who has read our source would."""
    database = connect(path)
    for (face,) in database.execute("SELECT id FROM faces").fetchall():
        database.execute("UPDATE faces SET digest = ? WHERE id = ?", (reading.row_digest(database, face), face))
    database.execute("UPDATE meta SET value = ? WHERE key = 'digest'", (reading.set_digest(database),))
    database.commit()
    database.close()


EDITS = {
    "crop edited": [
        "UPDATE faces SET crop = CAST(substr(crop, 1, 900) || x'00' || substr(crop, 902) AS BLOB) WHERE id = 3"
    ],
    "landmarks of another": ["UPDATE faces SET landmarks = (SELECT landmarks FROM faces WHERE id = 5) WHERE id = 3"],
    "rows swapped": [
        "UPDATE faces SET id = 1000 WHERE id = 3",
        "UPDATE faces SET id = 3 WHERE id = 5",
        "UPDATE faces SET id = 5 WHERE id = 1000",
    ],
    "rows in reverse": ["UPDATE faces SET id = -id", "UPDATE faces SET id = 41 + id"],
    "row deleted": ["DELETE FROM faces WHERE id = 4"],
    "last row deleted": ["DELETE FROM faces WHERE id = (SELECT max(id) FROM faces)"],
    "all rows deleted": ["DELETE FROM faces"],
    "row added": [
        "CREATE TEMP TABLE t AS SELECT * FROM faces WHERE id = 3",
        "UPDATE t SET id = 500",
        "INSERT INTO faces SELECT * FROM t",
    ],
    "rejected made kept": ["UPDATE faces SET status = 'kept', reason = NULL WHERE status = 'rejected'"],
    "kept made rejected": ["UPDATE faces SET status = 'rejected', reason = 'blurred' WHERE id < 9"],
    "age raised": ["UPDATE faces SET apparent_age = 44.0 WHERE id = 1"],
    "time moved": ["UPDATE faces SET pts = pts + 1 WHERE id = 1"],
    "embedding changed": ["UPDATE faces SET embedding = zeroblob(512) WHERE id = 2"],
    "screen score changed": ["UPDATE screens SET score = 0.0"],
    "screen forgotten": ["DELETE FROM screens"],
    "source renamed": ["UPDATE sources SET name = 'other.mp4'"],
    "source unfinished": ["UPDATE sources SET state = 'reading'"],
    "identity changed": ["UPDATE meta SET value = zeroblob(512) WHERE key = 'anchor'"],
    "digest removed": ["DELETE FROM meta WHERE key = 'digest'"],
    "digest of another kind": ["UPDATE meta SET value = 'text' WHERE key = 'digest'"],
    "row digest emptied": ["UPDATE faces SET digest = x'' WHERE id = 1"],
    "newer version": ["PRAGMA user_version = 3"],
    "other application": ["PRAGMA application_id = 7"],
    "trigger": ["CREATE TRIGGER t AFTER UPDATE ON faces BEGIN DELETE FROM faces; END"],
    "view for a table": ["ALTER TABLE screens RENAME TO s", "CREATE VIEW screens AS SELECT * FROM s"],
    "column added": ["ALTER TABLE faces ADD COLUMN code BLOB"],
    "table dropped": ["DROP TABLE screens"],
}


@pytest.mark.parametrize("statements", EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_noticed(faces: Path, statements: list[str]) -> None:
    with open_set(faces) as faceset:
        faceset.verify()
    edit(faces, *statements)
    for look in (FaceSet.verify, FaceSet.load):
        with pytest.raises(FaceSetError, match=r"(Delete|Extract) .*(again|it)"), open_set(faces) as faceset:
            look(faceset)


@pytest.mark.parametrize("statements", [EDITS["rejected made kept"], ["DELETE FROM sources"], EDITS["newer version"]])
def test_an_edited_set_is_neither_extended_nor_deleted(
    project: Project, faces: Path, tmp_path: Path, statements: list[str]
) -> None:
    edit(faces, *statements)
    world = World(talk(5))
    with pytest.raises(FaceSetError, match=r"changed by something other|digest differs|has version 3"):
        extract(project, "vera", [film(tmp_path / "b.mkv", world.script)], perception=world.perception())  # type: ignore[arg-type]
    assert faces.exists()


FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "text": lambda raw: b"these are no faces\n" * 400,
    "garbage": lambda raw: np.random.default_rng(0).bytes(50_000),
    "header only": lambda raw: raw[:100],
    "one page": lambda raw: raw[:4096],
    "half": lambda raw: raw[: len(raw) // 2],
    "all but the last byte": lambda raw: raw[:-1],
    "all but the last page": lambda raw: raw[:-4096],
    "header and garbage": lambda raw: raw[:4096] + np.random.default_rng(0).bytes(len(raw) - 4096),
    "holes": lambda raw: raw[: len(raw) // 3] + bytes(8192) + raw[len(raw) // 3 + 8192 :],
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES.keys())
def test_a_damaged_file_is_refused(faces: Path, damage: Callable[[bytes], bytes]) -> None:
    faces.write_bytes(damage(faces.read_bytes()))
    for look in (FaceSet.verify, FaceSet.load):
        with pytest.raises(FaceSetError, match=r"[Dd]elete it|Extract"), open_set(faces) as faceset:
            look(faceset)
    if faces.stat().st_size == 0:
        with pytest.raises(FaceSetError):
            open_set(faces, create=True)


def test_any_flipped_byte_is_noticed_or_harmless(faces: Path) -> None:
    raw = faces.read_bytes()
    with open_set(faces) as faceset:
        truth = faceset.load()
    noticed = 0
    for place in np.random.default_rng(3).integers(0, len(raw), 40).tolist():
        faces.write_bytes(raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1 :])
        try:
            with open_set(faces) as faceset:
                arrays = faceset.load()
        except FaceSetError:
            noticed += 1
        else:  # a byte that no page uses, or of an index
            assert np.array_equal(arrays.rgb, truth.rgb)
            assert np.array_equal(arrays.landmarks_xy, truth.landmarks_xy)
    assert noticed > 20


def test_a_folder_and_another_database_are_no_face_sets(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    other = layout.connect(tmp_path / "other.sqlite", KEY, create=True)
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(FaceSetError, match="not a face set"):
        open_set(tmp_path / "other.sqlite")
    with pytest.raises(Exception, match=r"permission|not a face set") as caught:
        open_set(tmp_path / "folder")
    assert type(caught.value).__module__ == "countenance.errors"


BOMB = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60000, 60000, 8, 2, 0, 0, 0)
SMALL = layout.png_of(np.zeros((16, 16, 3), np.uint8))
NOUGHTS = f"x'{bytes(99).hex()}'"
JPEG = b"\xff\xd8\xff\xe0" + bytes(200)

HOSTILE = {
    "picture of gigabytes": f"UPDATE faces SET crop = x'{BOMB.hex()}' WHERE id = 1",
    "picture too small": f"UPDATE faces SET crop = x'{SMALL.hex()}' WHERE id = 1",
    "picture of another kind": f"UPDATE faces SET crop = x'{JPEG.hex()}' WHERE id = 1",
    "right header, no picture": f"UPDATE faces SET crop = CAST(substr(crop, 1, 40) || {NOUGHTS} AS BLOB) WHERE id = 1",
    "no picture": "UPDATE faces SET crop = NULL WHERE id = 1",
    "text for a picture": "UPDATE faces SET crop = 'face' WHERE id = 1",
    "mask of another size": "UPDATE faces SET person_mask = crop WHERE id = 1",
    "short landmarks": "UPDATE faces SET landmarks = zeroblob(8) WHERE id = 1",
    "long embedding": "UPDATE faces SET embedding = zeroblob(100000000) WHERE id = 1",
    "text for a number": "UPDATE faces SET frame_index = 'first' WHERE id = 1",
    "text for presence": "UPDATE faces SET presence = 'yes' WHERE id = 1",
    "a source that is not there": "UPDATE faces SET source_id = 77 WHERE id = 1",
    "text that is no text": "UPDATE sources SET name = CAST(x'ff00fe' AS TEXT)",
    "no source at all": "DELETE FROM sources",
}


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE.keys())
def test_forged_digests_do_not_make_nonsense_a_face(faces: Path, statement: str) -> None:
    edit(faces, statement)
    if "no text" in statement or "ff00fe" in statement:  # Python cannot even read it to forge the digests
        with pytest.raises(FaceSetError), open_set(faces) as faceset:
            faceset.load()
        return
    forge(faces)
    with pytest.raises(FaceSetError), open_set(faces) as faceset:
        faceset.load()


def test_forged_embeddings_do_not_survive_a_look_at_the_pixels(faces: Path) -> None:
    """The gate's case: vera's vectors over somebody else's pixels, with digests that hold."""
    green = World(talk(30, who=1)).perception()
    with open_set(faces) as faceset:
        before = faceset.load()
        honest = reembed(faceset, green.embedder)  # type: ignore[arg-type]
    assert np.array_equal(honest, before.embeddings)
    database = connect(faces)
    swapped = layout.png_of(np.ascontiguousarray(before.rgb[0][:, :, [1, 0, 2]]))  # red becomes green: another person
    database.execute("UPDATE faces SET crop = ? WHERE status = 'kept'", (swapped,))
    database.commit()
    database.close()
    forge(faces)
    with open_set(faces) as faceset:
        faceset.verify()  # the digests hold: they are no proof, and do not claim to be
        stored = faceset.load()
        seen = reembed(stored, green.embedder)  # type: ignore[arg-type]
    assert np.array_equal(stored.embeddings, before.embeddings)
    assert ((seen * stored.embeddings).sum(axis=1) < 0.2).all()
