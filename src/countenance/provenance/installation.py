"""What this installation was told about signing: an organisation's certificate, a timestamp service, whom to trust.

All of it lies in the user's data folder, beside the self-made identity (:mod:`countenance.provenance.identity`):

    organisation/   signer.pem (key and certificates, private), authority.crt
    trusted/        certificates of other authorities
    trusted-time/   certificates of the authorities of timestamp services
    signing.json    the address of the timestamp service
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import c2pa
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from countenance.atomic import output_error, readable_by_others, work_folder, write_bytes
from countenance.errors import InputError, MarkError
from countenance.provenance.identity import SigningIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CallbackIdentity",
    "SignsBytes",
    "forget_organisation",
    "organisation",
    "read_authorities",
    "set_timestamp_url",
    "timestamp_url",
    "trust_authorities",
    "trusted_authorities",
    "use_organisation",
]

_ORGANISATION, _SIGNER, _AUTHORITY = "organisation", "signer.pem", "authority.crt"
_SETTINGS = "signing.json"
_TRUSTED, _TRUSTED_TIME = "trusted", "trusted-time"
_LIMIT = 1024 * 1024  # bytes of a certificate's or key's file; a list of authorities has some dozens of kilobytes
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_ALGORITHMS = {
    name: getattr(c2pa.C2paSigningAlg, name.upper()) for name in ("es256", "es384", "es512", "ps256", "ed25519")
}


class SignsBytes(Protocol):
    """Signs as a hardware module does: the key never leaves it."""

    def __call__(self, data: bytes, /) -> bytes:
        """The signature over ``data``, which it hashes itself; for ECDSA both DER and r‖s will do."""
        ...


@dataclass(frozen=True, slots=True)
class CallbackIdentity:
    """An identity whose key is elsewhere: in a hardware module, a smart card, a signing service.

    ``chain_pem`` is the signer's certificate and those that vouch for it, ``authority_pem`` the last one alone,
    ``algorithm`` one of ``es256``, ``es384``, ``es512``, ``ps256``, ``ed25519``.
    """

    chain_pem: str
    authority_pem: str
    sign: SignsBytes
    algorithm: str = "es256"
    timestamp_url: str | None = None

    def signer(self, *, timestamp: bool = True) -> c2pa.Signer:
        """A fresh signer for one file.

        Raises:
            MarkError: the algorithm or the certificate is not accepted.
        """
        if self.algorithm not in _ALGORITHMS:
            raise MarkError(f"Cannot sign by {self.algorithm!r}. Choose one of: {', '.join(_ALGORITHMS)}.")
        url = self.timestamp_url if timestamp else None
        try:
            return c2pa.Signer.from_callback(self.sign, _ALGORITHMS[self.algorithm], self.chain_pem, url)
        except c2pa.C2paError as error:
            raise MarkError(f"The signing certificate is not accepted ({error}). Ask who issued it.") from error


def organisation(data_dir: Path, now: datetime) -> SigningIdentity | None:
    """The organisation's identity in use, or None.

    Raises:
        MarkError: it is damaged, can be read by others, or is not valid now.
    """
    folder = data_dir / _ORGANISATION
    if not folder.is_dir():
        return None
    path = folder / _SIGNER
    try:
        if readable_by_others(path):
            raise MarkError(f"{path} can be read by other users. Run: chmod 600 '{path}'.")
        pem = path.read_bytes()
        made = _identity(pem, pem, (folder / _AUTHORITY).read_bytes(), None, timestamp_url(data_dir))
    except (OSError, InputError) as error:
        raise MarkError(
            f"{path} is missing or damaged. Run again: countenance identity use CERTIFICATE KEY."
        ) from error
    certificate = x509.load_pem_x509_certificate(made.chain_pem.encode("ascii"))
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise MarkError(
            f"The organisation's signing certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}, not now. Get a new one and run: countenance identity use "
            "CERTIFICATE KEY. Or sign as this installation: countenance identity use --own."
        )
    return made


def use_organisation(
    data_dir: Path, certificate: Path, key: Path, *, authority: Path | None = None, passphrase: str | None = None
) -> SigningIdentity:
    """Sign with an organisation's certificate from now on. It is tried first, on a small picture.

    Args:
        data_dir: ``countenance.project.user_data_dir()``.
        certificate: PEM: the signer's certificate, then those that vouch for it.
        key: PEM: its private key (EC P-256, P-384 or P-521, Ed25519, RSA).
        authority: PEM: the authority at the top, where ``certificate`` does not hold it.
        passphrase: of the key.

    Raises:
        InputError: a file cannot be read or used, or they do not belong together.
        MarkError: media cannot be signed with it.
        OutputError: the folder cannot be written.
    """
    chain = _read(certificate)
    top = _read(authority) if authority is not None else chain
    made = _identity(chain, _read(key), top, passphrase, None)
    _try(made)
    folder = data_dir / _ORGANISATION
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with work_folder(data_dir, ".countenance-organisation-") as work:
            draft = work / "new"
            draft.mkdir(mode=0o700)
            handle = os.open(draft / _SIGNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(made.key_pem + made.chain_pem)
            (draft / _AUTHORITY).write_text(made.authority_pem, encoding="ascii")
            _set_aside(data_dir)
            draft.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return made


def forget_organisation(data_dir: Path) -> bool:
    """Sign as this installation again; the organisation's files are set aside, and its authority stays trusted.

    Returns:
        False when there was none.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        return _set_aside(data_dir)
    except OSError as error:
        raise output_error(data_dir / _ORGANISATION, error) from error


def _set_aside(data_dir: Path) -> bool:
    folder = data_dir / _ORGANISATION
    if not folder.is_dir():
        return False
    trust_authorities(data_dir, folder / _AUTHORITY)  # files signed before go on verifying
    folder.rename(data_dir / f"{_ORGANISATION}-until-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    return True


def timestamp_url(data_dir: Path) -> str | None:
    """The address of the timestamp service, or None.

    Raises:
        MarkError: the settings are damaged.
    """
    path = data_dir / _SETTINGS
    try:
        value = json.loads(path.read_bytes())
        url = value.get("timestamp_url")
        return None if url is None else _checked_url(url)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, InputError) as error:
        raise MarkError(f"{path} is damaged. Run again: countenance identity timestamp ADDRESS.") from error


def set_timestamp_url(data_dir: Path, url: str | None) -> None:
    """Ask this service (RFC 3161) for a timestamp of every file from now on, or none.

    Raises:
        InputError: not an address.
        OutputError: it cannot be kept.
    """
    if url is not None:
        _checked_url(url)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(data_dir, error) from error
    write_bytes(data_dir / _SETTINGS, json.dumps({"timestamp_url": url}).encode("utf-8"))


def _checked_url(url: Any) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        good = isinstance(url, str) and parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise InputError("A timestamp service has an address such as https://timestamp.example. Give it in full.")
    return str(url)


def trust_authorities(data_dir: Path, certificates: Path, *, time: bool = False) -> int:
    """Trust the authorities in a PEM file from now on: for signers, or for timestamps.

    Returns:
        How many are in it.

    Raises:
        InputError: it holds no certificates.
        OutputError: they cannot be kept.
    """
    found = _certificates(_read(certificates), certificates.name)
    text = _pem(found).encode("ascii")
    folder = data_dir / (_TRUSTED_TIME if time else _TRUSTED)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    write_bytes(folder / f"{hashlib.sha256(text).hexdigest()[:16]}.crt", text)
    return len(found)


def trusted_authorities(data_dir: Path, *, time: bool = False) -> str:
    """Certificates of the authorities that this installation was told to trust, the organisation's own included.

    Raises:
        MarkError: one cannot be read.
    """
    paths = sorted((data_dir / (_TRUSTED_TIME if time else _TRUSTED)).glob("*.crt"))
    own = data_dir / _ORGANISATION / _AUTHORITY
    if not time and own.is_file():
        paths.insert(0, own)
    try:
        return "".join(_pem(_certificates(_read(path), path.name)) for path in paths)
    except InputError as error:
        raise MarkError(f"A trusted authority cannot be read: {error}") from error


def read_authorities(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Certificates of authorities in PEM files, as one PEM.

    Raises:
        InputError: a file cannot be read, or holds none.
    """
    found = [_certificates(_read(Path(path)), Path(path).name) for path in paths]
    return "".join(_pem(certificates) for certificates in found)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror}). Check the name and the permissions.") from error
    if len(data) > _LIMIT:
        raise InputError(f"{path} is too large for certificates or a key. Give a PEM file.")
    return data


def _certificates(pem: bytes, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InputError(
            f"{name} holds no certificates as PEM. Export them as PEM (-----BEGIN CERTIFICATE-----)."
        ) from error


def _pem(certificates: list[x509.Certificate]) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in certificates)


def _identity(chain: bytes, key_pem: bytes, top: bytes, passphrase: str | None, url: str | None) -> SigningIdentity:
    certificates = _certificates(chain, "The certificate's file")
    authority = _certificates(top, "The authority's file")[-1]
    try:
        key = serialization.load_pem_private_key(key_pem, None if passphrase is None else passphrase.encode("utf-8"))
    except TypeError as error:
        raise InputError(
            "The key's passphrase is missing, or there is none on it. Give the passphrase that belongs to it."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            "The key's file holds no private key as PEM, or the passphrase is wrong. Check both."
        ) from error
    if certificates[0].public_key() != key.public_key():
        raise InputError("The key is not that of the first certificate in the file. Give the two that belong together.")
    _require_chain([*certificates, *([] if certificates[-1] == authority else [authority])])
    form = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode("ascii")
    return SigningIdentity(_pem(certificates), _pem([authority]), text, _algorithm(key), url)


def _require_chain(certificates: list[x509.Certificate]) -> None:
    try:
        for lower, upper in pairwise(certificates):
            lower.verify_directly_issued_by(upper)
        good = certificates[-1].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        good = False
    if not good:
        raise InputError(
            "The certificates are not in order: each must be issued by the next, the last is the authority's. Put them "
            "in that order, or give the authority's file."
        )


def _algorithm(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise InputError("Keys of this kind cannot sign. Use EC P-256, P-384 or P-521, Ed25519, or RSA.")


def _try(made: SigningIdentity) -> None:
    """Sign a picture of one grey pixel, and read it back."""
    from PIL import Image

    from countenance.provenance.sign import sign_sheet

    picture = io.BytesIO()
    Image.new("RGB", (1, 1), (128, 128, 128)).save(picture, "PNG")
    sign_sheet(picture.getvalue(), made)
