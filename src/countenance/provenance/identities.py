"""Identities that bear a name: who stands behind a recording with a written account.

Each has a folder ``identities/NAME/`` in the user's data folder, made like the installation's own
(:mod:`countenance.provenance.identity`). Its certificate says the name that its maker gave; nobody has checked it. Who
wants to rely on it gets ``authority.crt`` from that person and compares.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from countenance.config import clean_line, did_you_mean
from countenance.errors import ConfigError, InputError
from countenance.provenance.identity import PEOPLE, SigningIdentity, create_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["NAME_LIMIT", "NamedIdentity", "identity_named", "list_identities", "new_identity", "signer_named"]

NAME_LIMIT = 64
"""Longest name in bytes of UTF-8: X.509 allows no more in a common name."""

_OURS = "countenance"  # no person's name: a file would look as if the program vouched for it


@dataclass(frozen=True, slots=True)
class NamedIdentity:
    """An identity on this computer: its ``name``, its ``folder``, and ``authority`` to give to those who verify."""

    name: str
    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate to give away; it holds no key."""
        return self.folder / "authority.crt"

    def load(self) -> SigningIdentity:
        """The keys to sign with (raises MarkError: damaged, expired or readable by others)."""
        from countenance.provenance.installation import timestamp_url

        return SigningIdentity.load(self.folder, timestamp_url=timestamp_url(self.folder.parent.parent))


def _utc_now() -> datetime:
    return datetime.now(UTC)


def new_identity(data_dir: Path, name: str, *, clock: Callable[[], datetime] = _utc_now) -> NamedIdentity:
    """Make an identity.

    Args:
        data_dir: ``countenance.project.user_data_dir()``.
        name: of the person or organisation, as others will read it.
        clock: what time it is, aware.

    Raises:
        InputError: not a name, or there is one of it already.
        OutputError: the folder cannot be written.
    """
    try:
        line = clean_line(name, "name", limit=NAME_LIMIT)
    except ConfigError as error:
        raise InputError(str(error)) from error
    if len(line.encode("utf-8")) > NAME_LIMIT:
        raise InputError(f"The name is longer than a certificate can hold ({NAME_LIMIT} bytes). Give a shorter one.")
    if _OURS in line.casefold():
        raise InputError("An identity is a person's or an organisation's, not the program's. Give another name.")
    folder = data_dir / PEOPLE / _slug(line)
    if folder.exists():
        raise InputError(f"There is an identity {line!r} already, in {folder}. Use it, or give another name.")
    create_identity(folder, line, clock())
    return NamedIdentity(line, folder)


def list_identities(data_dir: Path) -> list[NamedIdentity]:
    """All identities that bear a name, sorted by it; a folder whose certificate cannot be read is left out."""
    try:
        folders = list((data_dir / PEOPLE).iterdir())
    except OSError:
        return []
    found = []
    for folder in folders:
        try:
            pem = (folder / "signer.pem").read_bytes()
            certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
            name = str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        except (OSError, ValueError, IndexError):
            continue
        found.append(NamedIdentity(name, folder))
    return sorted(found, key=lambda one: one.name)


def identity_named(data_dir: Path, name: str) -> NamedIdentity:
    """The identity of a name, however its capitals are written.

    Raises:
        InputError: there is none, with the nearest name that there is.
    """
    known = list_identities(data_dir)
    wanted = _slug(name)
    for one in known:
        if one.folder.name == wanted or _slug(one.name) == wanted:
            return one
    hint = did_you_mean(name, [one.name for one in known])
    raise InputError(
        f"There is no identity {name[:NAME_LIMIT]!r} on this computer{hint}. "
        f'Make it with: countenance identity new "{name[:NAME_LIMIT]}".'
    )


def signer_named(data_dir: Path, name: str, *, clock: Callable[[], datetime] = _utc_now) -> SigningIdentity:
    """The keys to sign with under a name: of the organisation that this installation signs as, or of an identity here.

    Raises:
        InputError: nobody of that name.
        MarkError: the keys are damaged, expired or readable by others.
    """
    from countenance.provenance.installation import organisation

    given = organisation(data_dir, clock())
    if given is not None:
        certificate = x509.load_pem_x509_certificate(given.chain_pem.encode("ascii"))
        kinds = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
        names = [str(one.value) for kind in kinds for one in certificate.subject.get_attributes_for_oid(kind)]
        if _slug(name) in map(_slug, names):
            return given
    return identity_named(data_dir, name).load()


def _slug(name: str) -> str:
    """A folder's name: letters and digits of any script, the rest as single hyphens; never empty or a way out."""
    plain = unicodedata.normalize("NFC", name).casefold()
    return re.sub(r"[\W_]+", "-", plain).strip("-")[:48] or "unnamed"
