"""Queries on a face set's database, and the digests that hold it together. Used by :mod:`countenance.faceset.store`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.errors import FaceSetError
from countenance.faceset import layout
from countenance.faceset.crops import CROP_SIZES, averaged
from countenance.faceset.records import MASK_SIZE, THUMBNAIL_SIZE, Counts, FaceArrays, FaceRecord, SourceRecord, Vectors
from countenance.geometry import CROP_SIZE
from countenance.memory import Scratch
from countenance.types import BLENDSHAPES, LANDMARKS, AlignedFace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from countenance.faceset.layout import sqlite3
    from countenance.memory import DiskRows
    from countenance.types import Float32, UInt8

__all__ = [
    "arrays",
    "arrays_of",
    "check_kind",
    "counts",
    "meta",
    "records",
    "row_digest",
    "set_digest",
    "side",
    "sources",
    "thumbnails",
    "traits",
    "vectors",
    "verify",
]

_FACES = ", ".join(layout.FACE_COLUMNS)
_STATES = ("reading", "read", "done")
_EMBEDDING = 128
_PIXELS = ("matrix", "landmarks", "depth", "blendshapes", "embedding", "person_mask", "crop")


def check_kind(path: Path, database: sqlite3.Connection) -> None:
    """Refuse what is not a face set of this version, or has more in it than one.

    Raises:
        FaceSetError: another kind of file, another version, other tables, a trigger or a view.
    """
    if path.stat().st_size == 0 or _pragma(database, "application_id") != layout.APPLICATION_ID:
        raise FaceSetError(f"{path} is not a face set. Delete it and extract the faces again.")
    version = _pragma(database, "user_version")
    if version != layout.VERSION:
        raise FaceSetError(
            f"The face set {path} has version {version}, and this Countenance reads version {layout.VERSION}. "
            "Delete it and extract the faces again, or use the Countenance that made it."
        )
    found = set(database.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master"))
    if found != layout.expected_schema():
        raise FaceSetError(f"The tables in {path} are not those of a face set. Delete it and extract the faces again.")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def meta(database: sqlite3.Connection, key: str) -> bytes | None:
    """A value of the meta table."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row is not None and isinstance(row[0], bytes) else None


def side(database: sqlite3.Connection) -> int:
    """Side of the crops in pixels; face sets from before it was noted hold 256.

    Raises:
        FaceSetError: what is noted is no such side.
    """
    raw = meta(database, "crop_size")
    known = {str(size).encode(): size for size in CROP_SIZES} | {None: CROP_SIZE}
    if raw not in known:
        raise FaceSetError(f"The face set is damaged: crops of {raw!r} pixels are unknown. Extract it again.")
    return known[raw]


# -- digests ----------------------------------------------------------------------------------------------------------


def row_digest(database: sqlite3.Connection, face: int) -> bytes:
    """Digest of a face's row as it is stored."""
    row = database.execute(f"SELECT {_FACES} FROM faces WHERE id = ?", (face,)).fetchone()  # noqa: S608 - our names
    return layout.digest(row)


def set_digest(database: sqlite3.Connection, *, from_rows: bool = False) -> bytes:
    """Digest over the kind of file, what is known of identity and sources, and the digests of all rows in order.

    ``from_rows`` takes those from the rows themselves, which is slow, and not from their index: an old page that was
    put back need not agree with it.
    """
    faces = "faces NOT INDEXED" if from_rows else "faces INDEXED BY faces_digests"
    parts: list[object] = [layout.APPLICATION_ID, layout.VERSION]
    for table, columns, where in (
        ("meta", "key, value", "WHERE key != 'digest' ORDER BY key"),
        ("sources", ", ".join(layout.SOURCE_COLUMNS), "ORDER BY id"),
        ("screens", "source_id, slot, frame_index, score", "ORDER BY source_id, slot"),
        (faces, "id, digest", "ORDER BY id"),
    ):
        parts.append(table.partition(" ")[0])
        for row in database.execute(f"SELECT {columns} FROM {table} {where}"):  # noqa: S608 - fixed text
            parts += row
    return layout.digest(parts)


def kept_sha256(database: sqlite3.Connection) -> str:
    """See :meth:`countenance.faceset.store.FaceSet.kept_sha256`; both indices are read, and no picture."""
    rows = database.execute(
        "SELECT id, digest FROM faces INDEXED BY faces_digests WHERE id IN "
        "(SELECT id FROM faces INDEXED BY faces_by_source WHERE status = 'kept') ORDER BY id"
    )
    return layout.digest(value for row in rows for value in row).hex()


def verify(path: Path, database: sqlite3.Connection, *, thorough: bool = False) -> None:
    """See :meth:`countenance.faceset.store.FaceSet.verify`; ``thorough`` adds SQLite's check of the whole file."""
    again = "Delete it and extract the faces again."
    if thorough:
        # Reads every page, and so checks its HMAC.
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise FaceSetError(f"The face set {path} is damaged ({verdict}). {again}")
    if meta(database, "digest") != set_digest(database, from_rows=True):
        raise FaceSetError(f"The face set {path} was changed by something other than Countenance. {again}")
    for *values, stored in database.execute(f"SELECT {_FACES}, digest FROM faces ORDER BY id"):  # noqa: S608 - our names
        if layout.digest(values) != stored:
            raise FaceSetError(f"Face {values[0]} in {path} is not what was written (its digest differs). {again}")


# -- records ----------------------------------------------------------------------------------------------------------


def sources(database: sqlite3.Connection) -> list[SourceRecord]:
    """All sources by id."""
    rows = database.execute(f"SELECT {', '.join(layout.SOURCE_COLUMNS)} FROM sources ORDER BY id")  # noqa: S608 - our names
    return [SourceRecord(*row) for row in rows]


def counts(database: sqlite3.Connection) -> Counts:
    """Faces by status and reason."""
    rows = database.execute("SELECT status, reason, count(*) FROM faces GROUP BY status, reason ORDER BY count(*) DESC")
    table = {(status, reason): int(count) for status, reason, count in rows}
    rejected = {str(reason): count for (status, reason), count in table.items() if status == "rejected"}
    return Counts(table.get(("kept", None), 0), table.get(("pending", None), 0), rejected)


def records(database: sqlite3.Connection, status: str | None) -> list[FaceRecord]:
    """The facts about faces, ordered by source and frame."""
    query = (
        "SELECT f.id, source_id, name, pts, time_base_num, time_base_den, frame_index, status, reason, sharpness, yaw, "
        "pitch, roll, detection_score, presence, face_pixels, apparent_age FROM faces f JOIN sources s "
        "ON s.id = source_id WHERE ? IS NULL OR status = ? ORDER BY source_id, frame_index, f.id"
    )
    return [_record(row) for row in database.execute(query, (status, status))]


def _record(row: Sequence[Any]) -> FaceRecord:
    face, source_id, name, pts, numerator, denominator, frame, status, reason, sharpness, *rest = row
    yaw, pitch, roll, score, presence, face_pixels, age = rest
    return FaceRecord(
        id=face,
        source_id=source_id,
        source=name,
        pts=pts,
        time_base=Fraction(numerator, max(1, denominator)),
        frame_index=frame,
        status=status,
        reason=reason,
        sharpness=sharpness,
        pose_degrees=(yaw, pitch, roll),
        detection_score=score,
        presence=presence,
        face_pixels=face_pixels,
        apparent_age=age,
    )


# -- arrays -----------------------------------------------------------------------------------------------------------


def vectors(database: sqlite3.Connection, status: str) -> Vectors:
    """Embeddings of the faces of one status."""
    query = "SELECT id, source_id, embedding FROM faces WHERE status = ? ORDER BY source_id, frame_index, id"
    rows = database.execute(query, (status,)).fetchall()
    stacked = np.zeros((len(rows), _EMBEDDING), np.float32)
    for number, (face, _, raw) in enumerate(rows):
        stacked[number] = layout.array_of(raw, "<f4", (_EMBEDDING,), f"the embedding of face {face}")
    return Vectors(_ints(row[0] for row in rows), _ints(row[1] for row in rows), stacked)


def _ints(values: Iterable[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.fromiter(values, np.int64)


def thumbnails(database: sqlite3.Connection, ids: Sequence[int]) -> list[UInt8]:
    """Small pictures by id: the stored one, or the crop made small."""
    result, size = [], side(database)
    for face in ids:
        row = database.execute("SELECT thumbnail, crop FROM faces WHERE id = ?", (face,)).fetchone()
        thumbnail, crop = row if row is not None else (None, None)
        what = f"the picture of face {face}"
        if crop is not None:
            result.append(layout.thumbnail_of(layout.picture_of(crop, (size, size, 3), what)))
        else:
            result.append(layout.picture_of(thumbnail, (THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3), what))
    return result


def traits(database: sqlite3.Connection, ids: Sequence[int]) -> Float32:
    """Yaw, pitch and expression of faces about their mean, scaled to matter alike, float32 ``(N, 54)``."""
    values = np.zeros((len(ids), 2 + BLENDSHAPES), np.float32)
    for number, face in enumerate(ids):
        row = database.execute("SELECT yaw, pitch, blendshapes FROM faces WHERE id = ?", (face,)).fetchone()
        yaw, pitch, raw = row if row is not None else (0.0, 0.0, None)
        expression = layout.array_of(raw, "<f4", (BLENDSHAPES,), f"the expression of face {face}")
        values[number] = [yaw / 15.0, pitch / 15.0, *(expression.astype(np.float64) / 0.25)]
    return np.asarray(values - values.mean(axis=0), np.float32) if len(values) else values


def arrays(
    database: sqlite3.Connection, status: str, crop_size: int | None = None, scratch: Scratch | None = None
) -> FaceArrays:
    """All faces of a status, decoded, ordered by source and frame; crops as in :func:`arrays_of`."""
    query = "SELECT id FROM faces WHERE status = ? ORDER BY source_id, frame_index, id"
    return arrays_of(database, [int(row[0]) for row in database.execute(query, (status,))], crop_size, scratch)


def arrays_of(
    database: sqlite3.Connection,
    ids: Sequence[int],
    crop_size: int | None = None,
    scratch: Scratch | None = None,
) -> FaceArrays:
    """Faces by id, decoded by two threads (OpenCV lets go of the interpreter); crops averaged down to ``crop_size``.

    The crops lie where ``scratch`` has room for them, in memory when it is None.
    """
    count, stored_size = len(ids), side(database)
    size = crop_size or stored_size
    place = {source.id: number for number, source in enumerate(sources(database))}
    crops = (scratch or Scratch()).rows("crops", (count, size, size, 3))
    faces = FaceArrays(
        rgb=crops,
        aligned_from_frame=np.zeros((count, 2, 3), np.float64),
        landmarks_xy=np.zeros((count, LANDMARKS, 2), np.float32),
        depth=np.zeros((count, LANDMARKS), np.float32),
        blendshapes=np.zeros((count, BLENDSHAPES), np.float32),
        embeddings=np.zeros((count, _EMBEDDING), np.float32),
        frame_index=np.zeros(count, np.int64),
        source_index=np.zeros(count, np.int64),
        person_mask=np.zeros((count, MASK_SIZE, MASK_SIZE), np.uint8),
        presence=np.zeros(count, np.float32),
        ids=np.asarray(ids, np.int64).reshape(count),
    )
    query = f"SELECT source_id, frame_index, presence, {', '.join(_PIXELS)} FROM faces WHERE id = ?"  # noqa: S608 - our names
    with ThreadPoolExecutor(max_workers=2) as pool:
        pending = []
        for number, face in enumerate(ids):
            row = database.execute(query, (face,)).fetchone()
            if row is None or row[0] not in place:
                raise FaceSetError(f"Face {face} or its source is missing in the face set. Extract the faces again.")
            faces.source_index[number], faces.frame_index[number] = place[row[0]], row[1]
            faces.presence[number] = row[2]
            pending.append(pool.submit(_decode, faces, crops, number, face, row[3:], stored_size))
            if len(pending) >= 64:  # a bound on the compressed bytes in memory
                for done in pending:
                    done.result()
                pending.clear()
        for done in pending:
            done.result()
    return faces


def _decode(
    faces: FaceArrays, crops: UInt8 | DiskRows, number: int, face: int, row: Sequence[object], stored_size: int
) -> None:
    matrix, points, depth, blendshapes, embedding, mask, crop = row
    faces.aligned_from_frame[number] = layout.array_of(matrix, "<f8", (2, 3), f"the matrix of face {face}")
    faces.landmarks_xy[number] = layout.array_of(points, "<f4", (LANDMARKS, 2), f"the landmarks of face {face}")
    faces.depth[number] = layout.array_of(depth, "<f4", (LANDMARKS,), f"the depth of face {face}")
    faces.blendshapes[number] = layout.array_of(blendshapes, "<f4", (BLENDSHAPES,), f"the expression of face {face}")
    faces.embeddings[number] = layout.array_of(embedding, "<f4", (_EMBEDDING,), f"the embedding of face {face}")
    faces.person_mask[number] = layout.picture_of(mask, (MASK_SIZE, MASK_SIZE), f"the mask of face {face}")
    rgb = layout.picture_of(crop, (stored_size, stored_size, 3), f"the crop of face {face}")
    size = crops.shape[1]
    if size != stored_size:
        whole = AlignedFace(rgb, faces.aligned_from_frame[number], faces.landmarks(number))
        small = averaged(whole, size)
        rgb, faces.aligned_from_frame[number] = small.rgb, small.aligned_from_frame
        faces.landmarks_xy[number], faces.depth[number] = small.landmarks.points_xy, small.landmarks.depth
    crops[number] = rgb
