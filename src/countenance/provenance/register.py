"""A register: which manifest belongs to which watermark, so that a copy without credentials can be traced.

One SQLite file, ``register.sqlite``. It holds what a render's own credentials say in any case, and nothing else: no
name of a person or a file, no path, no picture. An id has 40 random bits, so a register cannot be read out by guessing.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import c2pa

from countenance.atomic import output_error, write_bytes
from countenance.digest import file_sha256
from countenance.errors import InputError, IntegrityError, OutputError
from countenance.provenance import credentials
from countenance.provenance.evidence import HARMLESS_TO_BYTES, signer_name
from countenance.provenance.manifest import RenderClaim, read_claim
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark_pattern import PAYLOAD_BYTES
from countenance.provenance.watermark_recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "FOUND_AT_MOST",
    "MANIFEST_LIMIT",
    "Recognition",
    "Register",
    "Registered",
    "Standing",
    "read_answer",
    "read_recognition",
    "write_answer",
]

MANIFEST_LIMIT = 256 * 1024
"""Largest manifest store in bytes; a render's has about 5 KiB."""

FOUND_AT_MOST = 4
"""Renders that are told of one watermark: copies of one, such as the pictures of a set of patches, share it."""

Standing = Literal["trusted", "unknown", "expired"]

_NAME = "register.sqlite"
_ID = re.compile(r"[0-9a-f]{10}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[a-z]{1,16}/[a-z0-9.+-]{1,48}")
_WAIT_SECONDS = 10.0
_COLUMNS = "watermark, sha256, media_type, manifest"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS renders (sha256 TEXT PRIMARY KEY, watermark TEXT NOT NULL, media_type TEXT NOT NULL, "
    "manifest BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_watermark ON renders (watermark)",
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A render in a register.

    ``watermark`` is its id, ten hex digits; ``sha256`` of the signed file; ``media_type`` its kind; ``manifest`` its
    manifest store. Nothing in it is believed before :meth:`claim` has checked the manifest's signature.

    Raises:
        ValueError: a field that is not of this form.
    """

    watermark: str
    sha256: str
    media_type: str
    manifest: bytes

    def __post_init__(self) -> None:
        good = (
            isinstance(self.watermark, str)
            and _ID.fullmatch(self.watermark)
            and isinstance(self.sha256, str)
            and _SHA256.fullmatch(self.sha256)
            and isinstance(self.media_type, str)
            and _MEDIA_TYPE.fullmatch(self.media_type)
            and isinstance(self.manifest, bytes)
            and 0 < len(self.manifest) <= MANIFEST_LIMIT
        )
        if not good:
            raise ValueError("Registered: not of the expected form")

    def claim(self, trusted_pem: str = "") -> tuple[RenderClaim, str, Standing]:
        """What the manifest states, who signed it, and whether this computer knows them.

        ``expired`` is said of a certificate that is not valid now, whoever gave it out.

        A manifest without its file: that the signature holds and no statement was edited is checked; that it belongs
        to any file's bytes cannot be.

        Args:
            trusted_pem: certificates of the authorities to trust.

        Raises:
            ValueError: the signature does not hold, a statement was edited, or it is of another watermark.
        """
        try:
            store = credentials.read_store_of(io.BytesIO(self.manifest), credentials.STORE_TYPE, None, trusted_pem)
        except c2pa.C2paError as error:
            raise ValueError("it cannot be read") from error
        store = store or {}
        codes = credentials.failure_codes(store.get("validation_results"))
        wrong = codes - credentials.FAILURES_OF_BINDING - HARMLESS_TO_BYTES
        if wrong:
            raise ValueError(", ".join(sorted(wrong)))
        manifest = (store.get("manifests") or {}).get(store.get("active_manifest"))
        claim = read_claim(manifest) if isinstance(manifest, dict) else None
        if not isinstance(manifest, dict) or claim is None or claim.watermark_id is None:
            raise ValueError("it states no face replacement")
        if claim.watermark_id.hex() != self.watermark:
            raise ValueError("it is of another watermark")
        standing: Standing = "trusted" if trusted_pem and not codes & HARMLESS_TO_BYTES else "unknown"
        return claim, signer_name(manifest), "expired" if codes & credentials.FAILURES_OF_TIME else standing


class Recognition(NamedTuple):
    """Which of a register's watermarks a picture carries where its own is too weak to be read: the ``renders`` that
    carry it, how many watermarks were ``compared``, and by how many standard deviations it stands out.
    """

    renders: tuple[Registered, ...]
    compared: int
    height: float


class Register:
    """The register in a folder; every call opens and closes its file.

    Args:
        folder: of ``register.sqlite``: a project's, or any other. The file is made by the first entry.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / _NAME

    def add(self, file: Path, *, trusted_pem: str | None = None) -> Registered:
        """Enter a signed render; entering it again changes nothing.

        Args:
            file: whose credentials hold, by a signer whom this computer knows.
            trusted_pem: certificates of the authorities to trust; None takes this installation's own.

        Raises:
            MediaError: there is no such file.
            InputError: it is no such render, or its credentials hold those of its footage, which may show somebody.
            IntegrityError: the register is damaged.
            OutputError: it cannot be written.
        """
        entry = _entry_of(file, trusted_pem)
        with self._opened(write=True) as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
            values = (entry.sha256, entry.watermark, entry.media_type, entry.manifest)
            connection.execute("INSERT OR REPLACE INTO renders VALUES (?, ?, ?, ?)", values)
        return entry

    def find(self, watermark: str) -> tuple[Registered, ...]:
        """The renders that carry a watermark, :data:`FOUND_AT_MOST` of them (raises IntegrityError, OutputError)."""
        if not _ID.fullmatch(watermark):
            return ()
        return tuple(self._select(f"WHERE watermark = ? ORDER BY sha256 LIMIT {FOUND_AT_MOST}", (watermark,)))

    def recognise(self, evidence: Sequence[bytes]) -> Recognition | None:
        """The renders whose watermark stands out in a picture, or None.

        Args:
            evidence: see :func:`countenance.provenance.watermark_recognise.packed`.

        Raises:
            ValueError: evidence of another form.
            IntegrityError, OutputError: see :meth:`add`.
        """
        known = self._watermarks()
        found = recognise(evidence, known)
        return None if found is None else Recognition(self.find(found.payload.hex()), len(known), found.height)

    def _watermarks(self) -> list[bytes]:
        if not self.path.is_file():
            return []
        with self._opened(write=False) as connection:
            try:
                known = [bytes.fromhex(one) for (one,) in connection.execute("SELECT DISTINCT watermark FROM renders")]
            except (TypeError, ValueError) as error:
                raise self._damaged() from error
        if any(len(one) != PAYLOAD_BYTES for one in known):
            raise self._damaged()
        return known

    def entries(self) -> Iterator[Registered]:
        """All renders, by watermark, one after the other (raises IntegrityError, OutputError)."""
        return self._select("ORDER BY watermark, sha256", ())

    def export(self, folder: Path) -> int:
        """Write the answers of a register as files that any web server can serve: ``v1/watermarks/ID``.

        Args:
            folder: must not be there yet.

        Returns:
            The number of watermarks.

        Raises:
            OutputError: the folder is there, or cannot be written.
            IntegrityError: the register is damaged.
        """
        if folder.exists():
            raise OutputError(f"{folder} is there already. Choose another name.")
        ids = sorted({entry.watermark for entry in self.entries()})
        target = folder / "v1" / "watermarks"
        try:
            target.mkdir(parents=True)
        except OSError as error:
            raise output_error(folder, error) from error
        for one in ids:
            write_bytes(target / one, write_answer(one, self.find(one)))
        return len(ids)

    def _select(self, how: str, values: Sequence[str]) -> Iterator[Registered]:
        if not self.path.is_file():
            return
        with self._opened(write=False) as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} FROM renders {how}", values):  # noqa: S608 - ours
                try:
                    entry = Registered(*row)
                except ValueError as error:
                    raise self._damaged() from error
                yield entry

    @contextmanager
    def _opened(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        try:
            mode = "rwc" if write else "ro"
            address = f"{self.path.absolute().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)) as connection:
                connection.execute("PRAGMA trusted_schema = OFF")
                with connection:
                    yield connection
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"The register {self.path} cannot be opened or written ({error}). Check the folder and try again."
            ) from error
        except sqlite3.Error as error:
            raise self._damaged() from error

    def _damaged(self) -> IntegrityError:
        return IntegrityError(f"The register {self.path} is damaged or none of ours. Restore it from a backup.")


def _entry_of(file: Path, trusted_pem: str | None) -> Registered:
    result = verify_file(file, search_watermark=False, trusted_pem=trusted_pem)
    claim = result.claim
    if result.integrity.state != "intact" or result.trust.state != "trusted" or claim is None:
        raise InputError(
            f"{file.name} is not a face replacement whose credentials hold, by a signer whom this computer knows. See: "
            "countenance verify."
        )
    if claim.watermark_id is None:
        raise InputError(f"{file.name} states no watermark, so nothing could be traced to it.")
    try:
        store = credentials.read_store(file) or {}
        manifest = credentials.stored_manifest(file, MANIFEST_LIMIT)
    except (c2pa.C2paError, OSError) as error:
        raise InputError(f"The credentials of {file.name} cannot be read ({error}). Check the file.") from error
    if not all(read_claim(one) is not None for one in (store.get("manifests") or {}).values()):
        raise InputError(
            f"The credentials of {file.name} hold those of its footage, which may show or name somebody. Such a render "
            "does not go into a register."
        )
    kind = credentials.media_type(file)
    if manifest is None or kind is None:
        raise InputError(
            f"The credentials of {file.name} are too large, or in a place that is not read for a register."
        )
    entry = Registered(claim.watermark_id.hex(), file_sha256(file), kind, manifest)
    try:
        entry.claim()  # what was taken out of the file must stand by itself
    except ValueError as error:
        raise InputError(f"The credentials of {file.name} cannot be taken out of it ({error}).") from error
    return entry


def write_answer(watermark: str, found: Sequence[Registered], compared: int | None = None) -> bytes:
    """What a register answers for a watermark, or for a recognised one of ``compared``: JSON, schema 1."""
    renders = [
        {
            "sha256": one.sha256,
            "media_type": one.media_type,
            "manifest": base64.b64encode(one.manifest).decode("ascii"),
        }
        for one in found
    ]
    answer = {"schema": 1, "watermark": watermark, "renders": renders}
    if compared is not None:
        answer["compared"] = compared
    return json.dumps(answer).encode("ascii") + b"\n"


def read_answer(data: bytes, watermark: str) -> tuple[Registered, ...]:
    """The renders in a register's answer, which may be hostile.

    Args:
        data: of bounded size.
        watermark: what was asked for.

    Raises:
        ValueError: not an answer, or one to another question.
    """
    value = _answer(data)
    if value.get("watermark") != watermark:
        raise ValueError("it answers for another watermark")
    return _renders(value)


def read_recognition(data: bytes) -> tuple[tuple[Registered, ...], int]:
    """What a register says to evidence: the renders, and how many watermarks it compared.

    It may be hostile, and whether it fits the evidence is for the caller to see.

    Raises:
        ValueError: not such an answer.
    """
    value = _answer(data)
    compared, renders = value.get("compared"), _renders(value)
    if not renders or not isinstance(compared, int) or isinstance(compared, bool) or not 1 <= compared <= _MOST_IDS:
        raise ValueError(_NO_ANSWER)
    return renders, compared


_NO_ANSWER = "it is not an answer of a register"
_MOST_IDS = 2 ** (8 * PAYLOAD_BYTES)


def _answer(data: bytes) -> dict[str, Any]:
    from countenance.consent.strict_json import loads
    from countenance.errors import ConsentError

    try:
        value = loads(data, "The answer", limit=len(data))
    except ConsentError as error:
        raise ValueError(_NO_ANSWER) from error
    renders: Any = value.get("renders")
    if value.get("schema") != 1 or not isinstance(renders, list) or len(renders) > FOUND_AT_MOST:
        raise ValueError(_NO_ANSWER)
    return value


def _renders(value: dict[str, Any]) -> tuple[Registered, ...]:
    try:
        return tuple(
            Registered(
                value["watermark"],
                one["sha256"],
                one["media_type"],
                base64.b64decode(one["manifest"], validate=True),
            )
            for one in value["renders"]
        )
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(_NO_ANSWER) from error
