"""An enrolled face: the mean of many embeddings of one adult person, against which every face is compared.

The template is a biometric measurement. It stays in the project's folder, encrypted under the project's key; a consent
record holds only its SHA-256, and a random salt inside the template keeps that hash from being a way to look a face up.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.atomic import write_bytes
from countenance.consent.match import EMBEDDING_SIZE, unit_rows
from countenance.consent.strict_json import canonical, loads, read_bounded, sha256_hex
from countenance.consent.terms import MINIMUM_AGE, MalformedError, Table
from countenance.errors import ConsentError, IntegrityError, MinorError, NoFaceError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from countenance.types import Float32
    from countenance.vault import ProjectKey

__all__ = ["MINIMUM_FACES", "ONE_PERSON_COSINE", "FaceTemplate", "enrol", "load_template", "save_template"]

MINIMUM_FACES = 8
"""Fewest faces that a template is made of."""

ONE_PERSON_COSINE = 0.75
"""Two halves of one person's faces have means at least this near.

Measured on the synthetic performers, split by two-means: one person 0.85 and 0.94; two persons half and half 0.54;
a person and a look-alike 0.70.
"""

_VERSION = 1
_FORMAT = "countenance-face-template"
_SEALED = "face template"
_EMBEDDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class FaceTemplate:
    """The measurement of one face.

    ``embedder_id`` names the network; ``embedding`` float32 ``(128,)`` of unit length; ``count`` faces it was made
    of; ``apparent_age`` their median apparent age in years; ``salt`` 16 random bytes.

    Raises:
        MinorError: the person appears under age.
        ValueError: another member is out of range.
    """

    embedder_id: str
    embedding: Float32
    count: int
    apparent_age: float
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def __post_init__(self) -> None:
        if not _EMBEDDER.fullmatch(self.embedder_id):
            raise ValueError("the embedder's id is not a word")
        if self.embedding.shape != (EMBEDDING_SIZE,) or self.embedding.dtype != np.float32:
            raise ValueError(f"expected an embedding float32 ({EMBEDDING_SIZE},)")
        length = float(np.linalg.norm(self.embedding.astype(np.float64)))
        if not abs(length - 1.0) < 1e-3:  # a NaN fails as well
            raise ValueError("the embedding has not unit length")
        if self.count < MINIMUM_FACES or len(self.salt) != 16:
            raise ValueError("too few faces, or no salt")
        if not self.apparent_age >= MINIMUM_AGE:
            raise MinorError(_too_young(self.apparent_age))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; float32 values little-endian in base64, so that nothing is rounded."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "embedder_id": self.embedder_id,
            "embedding": base64.b64encode(self.embedding.astype("<f4").tobytes()).decode("ascii"),
            "count": self.count,
            "apparent_age": self.apparent_age,
            "salt": self.salt.hex(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FaceTemplate:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConsentError: damaged or of another version.
            MinorError: the person appears under age.
        """
        try:
            return cls._from_json(value)
        except (ValueError, TypeError) as error:
            raise ConsentError(
                f"The face template is damaged ({error}). Enrol the person's face again and ask for a new record."
            ) from error

    @classmethod
    def _from_json(cls, value: dict[str, Any]) -> FaceTemplate:
        members = ("format", "version", "embedder_id", "embedding", "count", "apparent_age", "salt")
        table = Table(value, "the template", members)
        if table.raw("format") != _FORMAT or table.raw("version") != _VERSION:
            raise MalformedError("another format or version")
        numbers = np.frombuffer(base64.b64decode(table.text("embedding"), validate=True), "<f4")
        count = table.number("count")
        if count != int(count):
            raise MalformedError("the count is no whole number")
        return cls(
            table.text("embedder_id"),
            numbers.astype(np.float32),
            int(count),
            table.number("apparent_age"),
            binascii.unhexlify(table.text("salt")),
        )

    def sha256(self) -> str:
        """Hash of the template's canonical JSON: 64 hex digits, what a consent record holds."""
        return sha256_hex(canonical(self.to_json()))


def enrol(embeddings: NDArray[np.floating], ages: Iterable[float], *, embedder_id: str | None = None) -> FaceTemplate:
    """Make a template of one person's faces.

    Args:
        embeddings: ``(N, 128)``, N at least 8.
        ages: apparent ages in years, of some or all of these faces.
        embedder_id: the network that made them; the one in use when None.

    Raises:
        NoFaceError: too few faces, or faces of more than one person.
        MinorError: the median apparent age is below 18, or no age is known.
    """
    known = [float(age) if np.isfinite(age) else 0.0 for age in ages]
    middle = float(median(known)) if known else 0.0
    if not middle >= MINIMUM_AGE:
        raise MinorError(_too_young(middle) if known else _NO_AGE)
    rows = unit_rows(embeddings)
    if rows is None or len(rows) < MINIMUM_FACES:
        raise NoFaceError(
            f"A face template needs at least {MINIMUM_FACES} usable faces of the person. Give a longer or clearer clip."
        )
    mean = _direction(rows.sum(axis=0))
    lowest = float((rows @ mean).min())
    if lowest < _same_person_cosine() or _between_halves(rows, mean) < ONE_PERSON_COSINE:
        raise NoFaceError(
            "The faces to enrol are not clearly of one person. Give clips or photographs that show the lender alone, "
            "from the front and slightly from the sides."
        )
    return FaceTemplate(embedder_id or _embedder_id(), mean.astype(np.float32), len(rows), round(middle, 1))


def save_template(path: Path, template: FaceTemplate, key: ProjectKey) -> None:
    """Write a template, encrypted: complete or not at all (raises OutputError)."""
    write_bytes(path, key.seal(canonical(template.to_json()), _SEALED))


def load_template(path: Path, key: ProjectKey) -> FaceTemplate:
    """Read a template.

    Raises:
        ConsentError: it is missing, damaged, not encrypted or another project's.
        MinorError: the person appears under age.
    """
    what = "The face template"
    raw = read_bounded(path, what)
    try:
        data = key.unseal(raw, _SEALED)
    except IntegrityError as error:
        raise ConsentError(
            f"{what} {path} cannot be used: {error}. Restore it, or enrol the person's face again and ask for a new "
            "record."
        ) from error
    return FaceTemplate.from_json(loads(data, what))


_NO_AGE = "No apparent age is known for the faces to enrol. Give material that shows the face clearly."


def _too_young(age: float) -> str:
    return (
        f"The person to enrol appears to be under age (median estimate {age:.0f} years, at least {MINIMUM_AGE:.0f} "
        "needed), and nobody can consent to lend a minor's face. There is no switch."
    )


def _between_halves(rows: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
    """Cosine between the means of two clusters (spherical two-means, started at two faces far apart)."""
    first = rows[int(np.argmin(rows @ mean))]
    second = rows[int(np.argmin(rows @ first))]
    for _ in range(20):
        nearer = rows @ first >= rows @ second
        if nearer.all() or not nearer.any():
            return 1.0
        first, second = _direction(rows[nearer].sum(axis=0)), _direction(rows[~nearer].sum(axis=0))
    return float(first @ second)


def _direction(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-6 else np.zeros_like(vector)


def _embedder_id() -> str:
    from countenance.perception.identity import EMBEDDER_ID  # here: a request must not wait for network libraries

    return EMBEDDER_ID


def _same_person_cosine() -> float:
    from countenance.perception.identity import SAME_PERSON_COSINE

    return SAME_PERSON_COSINE
