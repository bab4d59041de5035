from __future__ import annotations

import sqlite3
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from countenance.errors import FaceSetError, NoFaceError, OutputError
from countenance.faceset import layout
from countenance.faceset.records import Moment, NewFace, NewRejection, Reason
from countenance.faceset.sheet import contact_sheet
from countenance.faceset.store import FaceSet
from countenance.faceset.use import require_enough
from countenance.types import AlignedFace, FaceLandmarks


def a_face(seed: int, **facts: object) -> NewFace:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    marks = FaceLandmarks(
        rng.uniform(0, 255, (478, 2)).astype(np.float32),
        rng.normal(0, 20, 478).astype(np.float32),
        rng.uniform(0, 1, 52).astype(np.float32),
        0.99,
    )
    embedding = rng.normal(0, 1, 128)
    values: dict[str, object] = {
        "moment": Moment(seed, seed * 1001, Fraction(1001, 30000)),
        "aligned": AlignedFace(coarse.repeat(8, axis=0).repeat(8, axis=1), rng.normal(0, 1, (2, 3)), marks),
        "embedding": (embedding / np.linalg.norm(embedding)).astype(np.float32),
        "person_mask": rng.integers(0, 256, (64, 64), dtype=np.uint8),
        "sharpness": 1.0,
        "pose_degrees": (float(seed % 60) - 30.0, float(seed % 7), 0.0),
        "detection_score": 0.9,
        "face_pixels": 120.0,
    }
    return NewFace(**(values | facts))  # type: ignore[arg-type]


def a_set(path: Path, count: int = 4) -> FaceSet:
    faceset = FaceSet.open(path, create=True)
    with faceset.transaction():
        source = faceset.begin_source("clip.mp4", "0" * 64, "video")
        ids = [faceset.add(source, a_face(seed)) for seed in range(count)]
        thumbnail = np.zeros((64, 64, 3), np.uint8)
        for reason in (Reason.BLURRED, Reason.BLURRED, Reason.TOO_SMALL):
            moment = Moment(count, 0, Fraction(1, 25))
            faceset.reject(source, NewRejection(moment, reason, thumbnail, 0.1, (0.0, 0.0, 0.0), 0.5, 0.9, 30.0))
        faceset.keep(ids, {ids[0]: 33.5} if ids else {})
    return faceset


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite") as faceset:
        arrays, records = faceset.load(), faceset.records("kept")
        vectors = faceset.vectors("kept")
        counts = faceset.counts()
    assert (counts.kept, counts.pending, dict(counts.rejected)) == (4, 0, {"blurred": 2, "too small": 1})
    assert counts.rejected_in_all == 3
    for seed, record in enumerate(records):
        face = a_face(seed)
        assert np.array_equal(arrays.rgb[seed], face.aligned.rgb)
        assert np.array_equal(arrays.aligned_from_frame[seed], face.aligned.aligned_from_frame)
        assert np.array_equal(arrays.landmarks_xy[seed], face.aligned.landmarks.points_xy)
        assert np.array_equal(arrays.depth[seed], face.aligned.landmarks.depth)
        assert np.array_equal(arrays.blendshapes[seed], face.aligned.landmarks.blendshapes)
        assert np.array_equal(arrays.embeddings[seed], face.embedding)
        assert np.array_equal(vectors.embeddings[seed], face.embedding)
        assert np.array_equal(arrays.person_mask[seed], face.person_mask)
        assert record.pts * record.time_base == seed * 1001 * Fraction(1001, 30000)
        assert record.pose_degrees == face.pose_degrees
    assert [record.apparent_age for record in records] == [33.5, None, None, None]
    assert arrays.rgb.dtype == np.uint8
    assert arrays.frame_index.dtype == arrays.source_index.dtype == np.int64
    assert len(arrays) == 4


def test_the_digest_says_what_is_inside_and_not_when_or_where(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        with a_set(tmp_path / name / "faces.sqlite") as faceset:
            digests.append(faceset._database.execute("SELECT value FROM meta WHERE key = 'digest'").fetchone())
    assert digests[0] == digests[1]


def test_it_is_in_wal_mode_and_closes_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "faces.sqlite"
    faceset = a_set(path)
    assert faceset._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert (tmp_path / "faces.sqlite-wal").exists()
    faceset.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces.sqlite"]


def test_a_reader_sees_the_last_transaction_while_somebody_writes(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite") as writer, FaceSet.open(tmp_path / "faces.sqlite") as reader:
        with writer.transaction():
            writer.add(1, a_face(99))
            reader.verify()
            assert reader.counts().pending == 0
        reader.verify()
        assert reader.counts().pending == 1


def test_a_transaction_that_raises_writes_nothing(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite") as faceset:
        with pytest.raises(KeyboardInterrupt), faceset.transaction():
            faceset.add(1, a_face(99))
            raise KeyboardInterrupt
        faceset.verify()
        assert faceset.counts().pending == 0


def test_writing_outside_a_transaction_is_a_bug(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite") as faceset, pytest.raises(RuntimeError, match="transaction"):
        faceset.drop_source(1)


def test_erased_faces_leave_no_pixels_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "faces.sqlite"
    secret = layout.bytes_of(a_face(7).embedding, "<f4")
    needles = [secret[start : start + 64] for start in range(0, len(secret), 64)]  # one may lie across two pages
    with a_set(path) as faceset:
        with faceset.transaction():
            face = faceset.add(1, a_face(7))
        faceset._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert sum(needle in path.read_bytes() for needle in needles) >= len(needles) - 1
        size = path.stat().st_size
        with faceset.transaction():
            faceset.turn_away([face])
        faceset.shrink()
        faceset.verify()
        (thumbnail,) = faceset.thumbnails([face])
    assert np.abs(thumbnail.astype(int) - layout.thumbnail_of(a_face(7).aligned.rgb)).max() == 0
    assert not any(needle in path.read_bytes() for needle in needles)
    assert path.stat().st_size < size


def test_a_thousand_faces_load_in_a_few_seconds(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite", count=100) as faceset:
        started = time.perf_counter()
        faceset.load()
        assert time.perf_counter() - started < 1.5  # 0.15 s on an idle core; others may be busy


def test_no_file_and_no_create_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FaceSetError, match="countenance extract"):
        FaceSet.open(tmp_path / "faces.sqlite")
    assert not any(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        FaceSet.open(tmp_path / "file" / "faces.sqlite", create=True)


def test_two_writers_at_once_are_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countenance.faceset.store._BUSY_SECONDS", 0.05)
    path = tmp_path / "faces.sqlite"
    refused = pytest.raises(OutputError, match="Another program")
    with a_set(path) as one, FaceSet.open(path) as two, one.transaction(), refused, two.transaction():
        pytest.fail("both write")


def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite") as faceset:
        pages = faceset._database.execute("PRAGMA page_count").fetchone()[0]
        faceset._database.execute(f"PRAGMA max_page_count = {pages + 10}")  # SQLite's own way to run out of room
        with pytest.raises(OutputError, match="disk is full"), faceset.transaction():
            for seed in range(10):
                faceset.add(1, a_face(100 + seed, png=bytes(100_000)))
        faceset.verify()
        assert faceset.counts().pending == 0


def test_enough_faces_are_counted(tmp_path: Path) -> None:
    with a_set(tmp_path / "vera" / "faces.sqlite", count=20) as faceset:
        assert require_enough(faceset) == 20
        with pytest.raises(NoFaceError, match=r"20 usable faces of vera and at least 21 .* talking"):
            require_enough(faceset, 21)
    few = r"There is 1 usable face of ivan.*most others were rejected: blurred"
    with a_set(tmp_path / "ivan" / "faces.sqlite", count=1) as faceset, pytest.raises(NoFaceError, match=few):
        require_enough(faceset)


@pytest.mark.parametrize("count", [0, 1, 70])
def test_the_contact_sheet_is_drawn_for_any_number_of_faces(tmp_path: Path, count: int) -> None:
    with a_set(tmp_path / "вера $x" / "faces.sqlite", count=count) as faceset:
        contact_sheet(faceset, tmp_path / "sheet.png", bytes)
    from PIL import Image

    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (1500, 1300)
        assert len(picture.convert("L").getcolors(256) or []) > 20


def test_the_contact_sheet_shows_the_faces_and_fails_cleanly(tmp_path: Path) -> None:
    with a_set(tmp_path / "faces.sqlite", count=3) as faceset:
        contact_sheet(faceset, tmp_path / "sheet.png", bytes)
        with pytest.raises(OutputError):
            contact_sheet(faceset, tmp_path / "no folder" / "sheet.png", bytes)
    from PIL import Image

    with Image.open(tmp_path / "sheet.png") as picture:
        top = np.asarray(picture.convert("RGB"))[60:200, 20:400].astype(int)
    assert (np.ptp(top, axis=2) > 60).mean() > 0.3  # coloured squares, not white paper
    with FaceSet.open(tmp_path / "empty.sqlite", create=True) as faceset, pytest.raises(NoFaceError, match="empty"):
        contact_sheet(faceset, tmp_path / "none.png", bytes)


def test_the_file_is_plain_sqlite_that_others_can_read(tmp_path: Path) -> None:
    a_set(tmp_path / "faces.sqlite").close()
    database = sqlite3.connect(tmp_path / "faces.sqlite")
    assert database.execute("SELECT count(*) FROM faces WHERE status = 'kept'").fetchone() == (4,)
    assert database.execute("PRAGMA application_id").fetchone() == (0x436F756E,)
    database.close()
