"""How a face set lies in its SQLCipher file: encryption, tables, digests, and the bytes of arrays and pictures.

The whole file is encrypted, page by page and its log too: pictures, measurements, names and times of footage, and the
digests. SQLCipher (Zetetic's, which Signal uses) with AES-256 and an HMAC for each page; the key is the file's own,
derived from the project's and the file's first 16 bytes, so that no page fits into another file.

Nothing is ever unpickled. Arrays are little-endian bytes of a fixed length, crops are PNG (lossless, so that what
training sees is what was looked at).
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sqlcipher3 import dbapi2 as sqlite3

from countenance.errors import FaceSetError, OutputError
from countenance.faceset.records import THUMBNAIL_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from countenance.types import UInt8
    from countenance.vault import ProjectKey

__all__ = [
    "APPLICATION_ID",
    "FACE_COLUMNS",
    "SCHEMA",
    "SOURCE_COLUMNS",
    "VERSION",
    "array_of",
    "bytes_of",
    "connect",
    "digest",
    "expected_schema",
    "explained",
    "picture_of",
    "png_of",
    "readable",
    "sqlite3",
    "thumbnail_of",
]

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
# Of a crop's fine detail nothing repeats: written in half the time, and a little smaller (bench/extraction.py).
_PNG_OF_CROPS = [*_PNG, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # before it, OpenCV had one filter only
    _PNG_OF_CROPS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]

APPLICATION_ID = 0x436F756E  # "Coun", in the file's header, so that `file` and we know it from other databases
VERSION = 2  # 1 was not encrypted

PAGE_BYTES = 16384
"""Larger pages than usual: a face takes seven of them, and each costs an HMAC."""

_BUSY_SECONDS = 5.0
_SALT_BYTES = 16
_PLAIN = b"SQLite format 3\0"

SOURCE_COLUMNS = ("id", "name", "sha256", "kind", "state", "next_frame", "frames_without_face")
FACE_COLUMNS = (
    *("id", "source_id", "frame_index", "pts", "time_base_num", "time_base_den", "status", "reason"),
    *("sharpness", "yaw", "pitch", "roll", "detection_score", "presence", "face_pixels", "apparent_age"),
    *("matrix", "landmarks", "depth", "blendshapes", "embedding", "person_mask", "crop", "thumbnail"),
)

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " state TEXT NOT NULL, next_frame INTEGER NOT NULL, frames_without_face INTEGER NOT NULL)",
    "CREATE TABLE screens (source_id INTEGER NOT NULL, slot INTEGER NOT NULL, frame_index INTEGER NOT NULL,"
    " score REAL NOT NULL, PRIMARY KEY (source_id, slot))",
    "CREATE TABLE faces (id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL, frame_index INTEGER NOT NULL,"
    " pts INTEGER NOT NULL, time_base_num INTEGER NOT NULL, time_base_den INTEGER NOT NULL,"
    " status TEXT NOT NULL, reason TEXT, sharpness REAL NOT NULL, yaw REAL NOT NULL, pitch REAL NOT NULL,"
    " roll REAL NOT NULL, detection_score REAL NOT NULL, presence REAL NOT NULL, face_pixels REAL NOT NULL,"
    " apparent_age REAL, matrix BLOB, landmarks BLOB, depth BLOB, blendshapes BLOB, embedding BLOB, person_mask BLOB,"
    " crop BLOB, thumbnail BLOB, digest BLOB NOT NULL)",
    "CREATE INDEX faces_by_source ON faces (source_id, status)",
    # A row's digest stands behind its pictures: without this, each chunk that is written would read all faces again.
    "CREATE INDEX faces_digests ON faces (id, digest)",
)


def connect(path: Path, key: ProjectKey, *, create: bool = False) -> sqlite3.Connection:
    """Open the database in a file with the file's own key; nothing is read yet but the file's first bytes.

    Raises:
        FaceSetError: it is not encrypted, or too short to be a face set.
        OutputError: it cannot be read.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if create else _salt_of(path)
    secret = key.derive(salt, "face set")
    # No implicit transactions: ours say BEGIN and COMMIT themselves.
    database = sqlite3.connect(str(path), timeout=_BUSY_SECONDS, isolation_level=None)
    for statement in (
        "cipher_log_level = NONE",  # it would write to stderr what we say in a sentence
        f"key = \"x'{secret.hex()}{salt.hex()}'\"",
        "cipher_compatibility = 4",
        f"cipher_page_size = {PAGE_BYTES}",
        "cipher_hmac_algorithm = HMAC_SHA256",  # twice as fast as SHA512 where the processor has it, and as good here
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "secure_delete = ON",  # erased faces are overwritten, not only unlinked
        "synchronous = NORMAL",
    ):
        database.execute(f"PRAGMA {statement}")
    return database


def _salt_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            salt = stream.read(_SALT_BYTES)
    except OSError as error:
        raise OutputError(f"Cannot read {path} ({error.strerror}). Check the file and its permissions.") from error
    if salt == _PLAIN:
        raise FaceSetError(
            f"{path} is not encrypted: it was made by an older Countenance, or somebody put it there. Delete it and "
            "extract the faces again."
        )
    if len(salt) < _SALT_BYTES:
        raise FaceSetError(f"{path} is not a face set. Delete it and extract the faces again.")
    return salt


def expected_schema() -> set[tuple[str, str, str]]:
    """What ``sqlite_master`` of an honest file holds: nothing else, no trigger and no view, may be in it."""
    database = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        database.execute(statement)
    rows = set(database.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master"))
    database.close()
    return rows


def digest(values: Iterable[object]) -> bytes:
    """SHA-256 over values with their types and lengths, so that no two lists of values share their bytes."""
    sha = hashlib.sha256()
    for value in values:
        if value is None:
            sha.update(b"n")
        elif isinstance(value, float):
            sha.update(b"f" + struct.pack(">d", value))
        else:
            kind, raw = (
                (b"b", value) if isinstance(value, bytes) else (b"i" if isinstance(value, int) else b"t", _text(value))
            )
            sha.update(kind + len(raw).to_bytes(8, "big") + raw)
    return sha.digest()


def _text(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


def bytes_of(values: NDArray[np.generic], dtype: str) -> bytes:
    """An array as little-endian bytes, C order; ``dtype`` for example ``"<f4"``."""
    return np.ascontiguousarray(values, dtype).tobytes()


def array_of(raw: object, dtype: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic]:
    """The array that :func:`bytes_of` wrote.

    Raises:
        FaceSetError: the bytes are missing, or not as many as the shape needs.
    """
    wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not isinstance(raw, bytes) or len(raw) != wanted:
        raise FaceSetError(f"The face set is damaged: {what} has not the {wanted} bytes it should. Extract it again.")
    return np.frombuffer(raw, dtype).reshape(shape)


def png_of(picture: UInt8) -> bytes:
    """A lossless PNG of an RGB picture or of one channel."""
    stored = np.ascontiguousarray(picture[:, :, ::-1] if picture.ndim == 3 else picture)
    fine, buffer = cv2.imencode(".png", stored, _PNG_OF_CROPS if picture.ndim == 3 else _PNG)
    if not fine:  # only without memory
        raise OutputError("A crop could not be compressed. Close other programs and run the same command again.")
    return bytes(buffer.tobytes())


def picture_of(raw: object, shape: tuple[int, ...], what: str) -> UInt8:
    """The picture that :func:`png_of` wrote, of exactly ``shape`` ``(H, W)`` or ``(H, W, 3)``.

    The header is looked at before anything is decoded: a forged one cannot ask for gigabytes.

    Raises:
        FaceSetError: not such a picture.
    """
    picture: object = None
    if isinstance(raw, bytes) and _is_png_of(raw, shape):
        flags = cv2.IMREAD_COLOR if len(shape) == 3 else cv2.IMREAD_GRAYSCALE
        try:
            picture = cv2.imdecode(np.frombuffer(raw, np.uint8), flags)
        except cv2.error:
            picture = None
    if not isinstance(picture, np.ndarray) or picture.shape != shape:
        raise FaceSetError(
            f"The face set is damaged: {what} is not a picture of {shape[1]}×{shape[0]}. Extract it again."
        )
    return np.ascontiguousarray(picture[:, :, ::-1] if picture.ndim == 3 else picture, np.uint8)


def _is_png_of(raw: bytes, shape: tuple[int, ...]) -> bool:
    if raw[:8] != b"\x89PNG\r\n\x1a\n" or len(raw) < 24:
        return False
    width, height = struct.unpack(">II", raw[16:24])
    return bool((height, width) == shape[:2])


def thumbnail_of(crop: UInt8) -> UInt8:
    """A crop at 64 × 64."""
    return np.asarray(cv2.resize(crop, (THUMBNAIL_SIZE, THUMBNAIL_SIZE), interpolation=cv2.INTER_AREA), np.uint8)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors on ``path`` into sentences.

    Raises:
        FaceSetError: the file is damaged or no database.
        OutputError: disk full, no permission, or somebody else is writing.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise _explain(path, code, error) from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Like :func:`explained`, for reading: a value of an impossible type or range is damage too.

    Raises:
        FaceSetError, OutputError: see :func:`explained`.
    """
    try:
        with explained(path):
            yield
    except (TypeError, ValueError, OverflowError) as error:
        raise FaceSetError(
            f"The face set {path} holds values that no face has ({error}). Delete it and extract the faces again."
        ) from error


def _explain(path: Path, code: int, error: sqlite3.Error) -> FaceSetError | OutputError:
    if code == sqlite3.SQLITE_FULL:
        return OutputError(f"The disk is full while writing {path}. Free some space and run the same command again.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return OutputError(
            f"Another program is writing to {path}. Wait until it has finished and run the command again."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return OutputError(
            f"No permission to write {path} or its folder. Change the permissions or use another project."
        )
    if code == sqlite3.SQLITE_IOERR:
        return OutputError(f"Cannot read or write {path} ({error}). Check the disk and run the same command again.")
    if code == sqlite3.SQLITE_NOTADB:
        return FaceSetError(
            f"{path} is not a face set of this project: it is damaged, or was encrypted with another project's key. "
            "Restore it, or delete it and extract the faces again."
        )
    return FaceSetError(f"The face set {path} is damaged ({error}). Delete it and extract the faces again.")
