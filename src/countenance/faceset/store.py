"""The face set's file: SQLite in WAL mode, one file a person, readable at any moment whatever happened to the writer.

It is encrypted as a whole (:mod:`countenance.faceset.layout`): without the project's key nothing in it can be read, and
nothing changed without being noticed. Every row carries a digest of its content besides, and the file one of all rows,
so that an edited picture, a swapped, deleted or added row and a changed status are noticed (:meth:`FaceSet.verify`,
which loading includes). The digests have no key of their own: they catch what a holder of the key edits carelessly, and
parts of an older state of the file put back. Somebody who recomputes them is caught by the consent gate, which never
believes stored embeddings but computes its own from the stored pixels (:func:`countenance.faceset.use.reembed`).
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

from countenance.atomic import output_error, replacing
from countenance.errors import FaceSetError
from countenance.faceset import layout, reading
from countenance.faceset.layout import sqlite3
from countenance.faceset.records import Counts, FaceRecord, NewFace, NewRejection, Reason, SourceRecord, Vectors
from countenance.geometry import CROP_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Literal, Self

    from countenance.faceset.records import FaceArrays, Moment
    from countenance.memory import Scratch
    from countenance.types import Float32, UInt8
    from countenance.vault import ProjectKey

    Usable = Literal["kept", "pending"]

__all__ = ["FaceSet"]


class FaceSet:
    """The faces of one person in one file. Open it with :meth:`open`, best in a ``with`` statement.

    Reading methods see the last complete transaction. Writing methods must be called inside :meth:`transaction`.
    """

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._writing = False

    # -- opening and closing ------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: Path, key: ProjectKey, *, create: bool = False, crop_size: int = CROP_SIZE) -> Self:
        """Open a face set.

        Args:
            path: the file, usually ``project.faceset_path(person)``.
            key: ``project.key()``.
            create: make an empty one (and its folder) when there is none.
            crop_size: side of the crops of one that is made, of :data:`countenance.faceset.crops.CROP_SIZES`.

        Raises:
            FaceSetError: no such file (and not ``create``), not a face set, not encrypted, of another project or
                version, or damaged.
            OutputError: no permission, or the disk is full.
        """
        if not path.exists():
            if not create:
                raise FaceSetError(f"There is no face set at {path}. Run `countenance extract` for this person first.")
            _create(path, key, crop_size)
        with layout.explained(path):
            database = layout.connect(path, key)
            try:
                reading.check_kind(path, database)
            except BaseException:
                database.close()
                raise
        return cls(path, database)

    def close(self) -> None:
        """Write everything into the one file and let go of it; the ``-wal`` and ``-shm`` files beside it vanish."""
        with suppress(sqlite3.Error):  # another reader may hold the log; then SQLite keeps it, and nothing is lost
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def destroy(self) -> None:
        """Close and delete the file with its siblings: what is refused does not stay."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    # -- reading ------------------------------------------------------------------------------------------------------

    def records(self, status: Literal["kept", "rejected", "pending"] | None = None) -> list[FaceRecord]:
        """The facts about the faces of one status, or of all, ordered by source and frame."""
        with layout.readable(self.path):
            return reading.records(self._database, status)

    def sources(self) -> list[SourceRecord]:
        """The videos and photos, in the order in which they were first read."""
        with layout.readable(self.path):
            return reading.sources(self._database)

    def counts(self) -> Counts:
        """How many faces are kept, pending, and rejected for which reason (commonest first)."""
        with layout.readable(self.path):
            return reading.counts(self._database)

    @property
    def crop_size(self) -> int:
        """Side of the stored crops in pixels."""
        with layout.readable(self.path):
            return reading.side(self._database)

    def load(
        self, status: Usable = "kept", *, crop_size: int | None = None, scratch: Scratch | None = None
    ) -> FaceArrays:
        """Decode the faces of one status, after checking every digest in the file.

        Args:
            status: of the faces; about 2.5 ms each on one core.
            crop_size: average the crops down to this side in pixels; as they are stored when None.
            scratch: where the decoded crops are kept, which may fill the disk (OutputError); None is memory alone.

        Raises:
            FaceSetError: the file is damaged or was tampered with.
        """
        with layout.readable(self.path), self._snapshot():
            reading.verify(self.path, self._database)
            return reading.arrays(self._database, status, crop_size, scratch)

    def load_some(self, ids: list[int], *, crop_size: int | None = None) -> FaceArrays:
        """Decode the faces with these ids, in that order (see :meth:`load`); the file's digests are not checked."""
        with layout.readable(self.path):
            return reading.arrays_of(self._database, ids, crop_size)

    def thumbnails(self, ids: list[int]) -> list[UInt8]:
        """Small pictures uint8 ``(64, 64, 3)`` of any faces, kept or not, in the order of ``ids``."""
        with layout.readable(self.path):
            return reading.thumbnails(self._database, ids)

    def traits(self, ids: list[int]) -> Float32:
        """Pose and expression of faces on one scale, float32 ``(N, 54)``: yaw and pitch by 15°, blendshapes by 0.25."""
        with layout.readable(self.path):
            return reading.traits(self._database, ids)

    def vectors(self, status: Usable) -> Vectors:
        """Stored embeddings of the faces of one status, without their pixels."""
        with layout.readable(self.path):
            return reading.vectors(self._database, status)

    def screens(self, source_id: int) -> list[tuple[int, float]]:
        """What the sexual-content screen said of a source: frame index and score, in order."""
        with layout.readable(self.path):
            query = "SELECT slot, score FROM screens WHERE source_id = ? ORDER BY slot"
            return [(int(slot), float(score)) for slot, score in self._database.execute(query, (source_id,))]

    def anchor(self) -> Float32 | None:
        """The identity that this face set is of, float32 ``(128,)`` of unit length; None before the first decision."""
        with layout.readable(self.path):
            raw = reading.meta(self._database, "anchor")
        return None if raw is None else np.array(layout.array_of(raw, "<f4", (128,), "the identity"), np.float32)

    def embedder_id(self) -> str | None:
        """Which network made the embeddings; None before the first face."""
        with layout.readable(self.path):
            raw = reading.meta(self._database, "embedder")
        return None if raw is None else raw.decode("utf-8", "replace")

    def kept_sha256(self) -> str:
        """Hash of the kept faces and of everything in them, hex: other faces have another one."""
        with layout.readable(self.path):
            return reading.kept_sha256(self._database)

    def verify(self) -> None:
        """Check the whole file: SQLite's own structure, every row's digest and the digest of all.

        Raises:
            FaceSetError: it was damaged or tampered with; the message says where.
        """
        with layout.readable(self.path), self._snapshot():
            reading.verify(self.path, self._database, thorough=True)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """All queries inside see one state of the file, even while somebody else writes."""
        if self._writing:
            yield
            return
        self._database.execute("BEGIN")
        try:
            yield
        finally:
            self._database.execute("ROLLBACK")

    # -- writing ------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or, when it raises or the process dies, not at all.

        Raises:
            OutputError: disk full, no permission, or another program writes for more than five seconds.
        """
        with layout.explained(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            self._writing = True
            try:
                yield
                self._put("digest", reading.set_digest(self._database))
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has already rolled it back
                    self._database.execute("ROLLBACK")
                raise
            finally:
                self._writing = False

    def begin_source(self, name: str, sha256: str, kind: Literal["video", "photo"]) -> int:
        """Note a new source, state ``"reading"``; gives its id."""
        cursor = self._write(
            "INSERT INTO sources (name, sha256, kind, state, next_frame, frames_without_face) "
            "VALUES (?, ?, ?, 'reading', 0, 0)",
            (name, sha256, kind),
        )
        return int(cursor.lastrowid or 0)

    def advance_source(
        self, source: SourceRecord, *, next_frame: int, without_face: int, finished: bool
    ) -> SourceRecord:
        """Note how far a source has been read; ``without_face`` counts frames since ``source`` was current.

        Raises:
            FaceSetError: another process has read on in the same source.
        """
        state: Literal["reading", "read"] = "read" if finished else "reading"
        total = source.frames_without_face + without_face
        cursor = self._write(
            "UPDATE sources SET next_frame = ?, frames_without_face = ?, state = ? "
            "WHERE id = ? AND next_frame = ? AND state = 'reading'",
            (next_frame, total, state, source.id, source.next_frame),
        )
        if cursor.rowcount != 1:
            raise FaceSetError(
                f"Another extraction is writing to {self.path}. Let one of them finish and run the other again."
            )
        return SourceRecord(source.id, source.name, source.sha256, source.kind, state, next_frame, total)

    def drop_source(self, source_id: int) -> None:
        """Forget a source and everything that came from it."""
        self._write("DELETE FROM faces WHERE source_id = ?", (source_id,))
        self._write("DELETE FROM screens WHERE source_id = ?", (source_id,))
        self._write("DELETE FROM sources WHERE id = ?", (source_id,))

    def add_screen(self, source_id: int, frame_index: int, score: float) -> None:
        """Note a score of the sexual-content screen; ``slot`` is the frame's index too (older files: half seconds)."""
        self._write("INSERT INTO screens VALUES (?, ?, ?, ?)", (source_id, frame_index, frame_index, float(score)))

    def add(self, source_id: int, face: NewFace) -> int:
        """Store a face, status ``"pending"``; gives its id.

        Raises:
            ValueError: its crop has another side than those of this face set.
        """
        if face.aligned.size != self.crop_size:
            raise ValueError(f"FaceSet: expected a crop of side {self.crop_size}, got {face.aligned.size}")
        marks = face.aligned.landmarks
        return self._insert(
            source_id,
            face.moment,
            status="pending",
            **_measures(face.sharpness, face.pose_degrees, face.detection_score, marks.presence, face.face_pixels),
            matrix=layout.bytes_of(face.aligned.aligned_from_frame, "<f8"),
            landmarks=layout.bytes_of(marks.points_xy, "<f4"),
            depth=layout.bytes_of(marks.depth, "<f4"),
            blendshapes=layout.bytes_of(marks.blendshapes, "<f4"),
            embedding=layout.bytes_of(face.embedding, "<f4"),
            person_mask=layout.png_of(face.person_mask),
            crop=face.png if face.png is not None else layout.png_of(face.aligned.rgb),
        )

    def reject(self, source_id: int, rejection: NewRejection) -> int:
        """Note a face that will not be used, with its reason and a thumbnail; gives its id."""
        return self._insert(
            source_id,
            rejection.moment,
            status="rejected",
            reason=rejection.reason.value,
            thumbnail=layout.png_of(rejection.thumbnail),
            **_measures(
                rejection.sharpness,
                rejection.pose_degrees,
                rejection.detection_score,
                rejection.presence,
                rejection.face_pixels,
            ),
        )

    def keep(self, ids: list[int], ages: Mapping[int, float]) -> None:
        """Pending faces become kept; ``ages`` in years for those that were sampled."""
        for face in ids:
            self._write("UPDATE faces SET status = 'kept', apparent_age = ? WHERE id = ?", (ages.get(face), face))
            self._seal(face)

    def turn_away(self, ids: list[int]) -> None:
        """Pending faces of other people are rejected: all but a thumbnail is erased, since nobody asked them."""
        blank = "matrix=NULL, landmarks=NULL, depth=NULL, blendshapes=NULL, embedding=NULL, person_mask=NULL, crop=NULL"
        for face, thumbnail in zip(ids, self.thumbnails(ids), strict=True):
            self._write(
                f"UPDATE faces SET status = 'rejected', reason = ?, thumbnail = ?, {blank} WHERE id = ?",  # noqa: S608 - fixed text
                (Reason.WRONG_PERSON.value, layout.png_of(thumbnail), face),
            )
            self._seal(face)

    def finish_sources(self, ids: list[int]) -> None:
        """Sources that were read and decided on are done."""
        for source in ids:
            self._write("UPDATE sources SET state = 'done' WHERE id = ? AND state = 'read'", (source,))

    def set_identity(self, anchor: Float32 | None, embedder_id: str) -> None:
        """Note whose faces these are, and by which network."""
        if anchor is not None:
            self._put("anchor", layout.bytes_of(anchor, "<f4"))
        self._put("embedder", embedder_id.encode())

    def shrink(self) -> None:
        """Give the room of erased rows back to the disk."""
        with layout.explained(self.path):
            self._database.execute("PRAGMA incremental_vacuum").fetchall()

    def _insert(self, source_id: int, moment: Moment, **columns: object) -> int:
        row: dict[str, object] = {
            "source_id": source_id,
            "frame_index": moment.frame_index,
            "pts": moment.pts,
            "time_base_num": moment.time_base.numerator,
            "time_base_den": moment.time_base.denominator,
            **columns,
            "digest": b"",
        }
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        cursor = self._write(f"INSERT INTO faces ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - our names
        face = int(cursor.lastrowid or 0)
        self._seal(face)
        return face

    def _seal(self, face: int) -> None:
        """Write the digest of a row from what the database now holds, so that no rounding comes between."""
        self._write("UPDATE faces SET digest = ? WHERE id = ?", (reading.row_digest(self._database, face), face))

    def _put(self, key: str, value: bytes) -> None:
        self._write(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    def _write(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        if not self._writing:
            raise RuntimeError("FaceSet: write inside `with faceset.transaction():`")
        return self._database.execute(statement, values)


def _measures(
    sharpness: float, pose: tuple[float, float, float], score: float, presence: float, face_pixels: float
) -> dict[str, float]:
    values = (sharpness, *pose, score, presence, face_pixels)
    names = ("sharpness", "yaw", "pitch", "roll", "detection_score", "presence", "face_pixels")
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _create(path: Path, key: ProjectKey, crop_size: int) -> None:
    """An empty face set under its name, complete at once: a kill leaves none rather than half of one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
    with replacing(path) as temporary, layout.explained(path):
        database = layout.connect(temporary, key, create=True)
        try:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute(f"PRAGMA application_id = {layout.APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {layout.VERSION}")
            for statement in layout.SCHEMA:
                database.execute(statement)
            database.execute("INSERT INTO meta VALUES ('crop_size', ?)", (str(crop_size).encode(),))
            database.execute("INSERT INTO meta VALUES ('digest', ?)", (reading.set_digest(database),))
            database.execute("PRAGMA journal_mode = WAL")
        finally:
            database.close()
