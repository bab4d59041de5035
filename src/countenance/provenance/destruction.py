"""The certificate of destruction: which files of a person were destroyed, when, by which installation."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from countenance.config import clean_line
from countenance.consent.strict_json import read_bounded
from countenance.consent.terms import Table
from countenance.errors import ConsentError, IntegrityError
from countenance.provenance.signed_document import DOCUMENT_LIMIT, SignedDocument, read_document, sign_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from countenance.provenance.identity import SigningIdentity

__all__ = ["DESTRUCTION_TYPE", "HOW", "LIMITS", "make_certificate", "read_certificate"]

DESTRUCTION_TYPE = "countenance-destruction+jws"
"""``typ`` of a certificate."""

HOW = ("overwritten", "unlinked", "gone")
"""What was done to a file: overwritten and removed; removed only, since another name outside shares its bytes; or found
gone when an interrupted destruction went on."""

LIMITS = (
    "Each file was overwritten once and then removed. A solid-state disk, a file system that copies on write, a "
    "snapshot or a backup can keep older copies of the bytes: nothing a program does reaches those.",
    "An older copy of an encrypted face set or template opens only with the project's key, which was not destroyed.",
    "Not destroyed: the consent record and request, the ledger (it holds no picture and no measurement of a face), and "
    "whatever was copied out of this project.",
)

_MEMBERS = (
    "version",
    "person",
    "title",
    "time",
    "begun",
    "ledger_entry",
    "files",
    "kept",
    "renders",
    "limits",
    "program",
)
_FILE = ("path", "bytes", "sha256", "how")
_WHAT = "The certificate of destruction"


def make_certificate(stated: Mapping[str, Any], identity: SigningIdentity) -> bytes:
    """Sign a certificate: ``stated`` has the members of :func:`read_certificate` (raises MarkError)."""
    return sign_document({"version": 1, "limits": list(LIMITS), **stated}, identity, DESTRUCTION_TYPE) + b"\n"


def read_certificate(path: Path, *, trusted_pem: str | None = None) -> SignedDocument:
    """Read a certificate and verify its signature.

    Returns:
        Its payload: ``person``; ``title`` of the project; ``time`` when it was made and ``begun`` (UTC text);
        ``ledger_entry``, the hash of the ledger's row that lists the last of the files; ``files``, each with ``path``
        inside the project, ``bytes`` and ``sha256`` before the destruction, and ``how`` out of :data:`HOW`; ``kept``
        paths that stay; ``renders``, whether those went too; ``limits``, sentences; ``program``.

    Raises:
        IntegrityError: it is no certificate, or was changed after it was signed.
        MarkError: this installation's own authority is damaged.
    """
    try:
        data = read_bounded(path, _WHAT, limit=DOCUMENT_LIMIT)
    except ConsentError as error:
        raise IntegrityError(str(error)) from error
    signed = read_document(data.rstrip(b"\n"), DESTRUCTION_TYPE, _WHAT, trusted_pem=trusted_pem)
    try:
        table = Table(signed.payload, "the certificate", _MEMBERS)
        for name in ("person", "title", "program"):
            table.line(name)
        table.time("time"), table.time("begun"), table.sha256("ledger_entry"), table.flag("renders")
        for item in _list(table.raw("files")):
            one = Table(item, "a file", _FILE)
            _inside(one.text("path"))
            one.sha256("sha256"), one.number("bytes")
            if one.text("how") not in HOW:
                raise ValueError("it does not say how a file was destroyed")  # noqa: TRY301 - one sentence for all
        for text in (*_list(table.raw("kept")), *_list(table.raw("limits"))):
            clean_line(str(text), "text", limit=1000)
    except (ValueError, ConsentError) as error:
        raise IntegrityError(f"{_WHAT} is not valid: {error}. Ask for the original file.") from error
    return signed


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("it has something else where a list belongs")  # noqa: TRY004 - as every other fault here
    return value


def _inside(text: str) -> None:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not text.isprintable():
        raise ValueError("it names a file outside the project")
