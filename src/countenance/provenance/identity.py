"""Self-made signing identities: an authority of our own and a certificate from it, made once on this computer.

The installation's own lies in ``identity/``. It proves that a file was signed on this installation and not changed
since; it proves nobody's name. People who sign under their own name have theirs in ``identities/``
(:mod:`countenance.provenance.identities`): the name is their word. Whoever wants it vouched for brings a certificate
from a public authority.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from countenance.atomic import output_error, readable_by_others, replacing, sync_folder
from countenance.errors import MarkError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PEOPLE", "SigningIdentity", "create_identity", "local_authority_pem", "watermark_secret"]

PEOPLE = "identities"
"""The folder, beside the installation's own identity, of those that bear a name."""

_FOLDER = "identity"
_INSTALLATION = "Countenance local signer"
_AUTHORITY, _SIGNER = "authority.pem", "signer.pem"  # the private key first, then the certificates
_AUTHORITY_CERTIFICATE = "authority.crt"
_WATERMARK_SECRET, _SECRET_BYTES = "watermark.key", 32  # in hexadecimal digits
_AUTHORITY_YEARS, _SIGNER_YEARS = 30, 10  # long: without a timestamp a signature dies with its certificate
_RENEW_BEFORE = timedelta(days=90)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Key and certificates to sign with.

    ``chain_pem`` is the signer's certificate, then the authority's; ``authority_pem`` the latter alone. ``algorithm``
    is C2PA's word for the key's kind. ``timestamp_url`` is asked for a timestamp (RFC 3161) of each file, where it is
    set.
    """

    chain_pem: str
    authority_pem: str
    key_pem: str = field(repr=False)
    algorithm: str = "es256"
    timestamp_url: str | None = None

    @classmethod
    def load_or_create(cls, data_dir: Path, *, clock: Callable[[], datetime] = _utc_now) -> SigningIdentity:
        """The identity in ``data_dir``/identity, made there on the first call; an organisation's, where one is in use.

        Private keys are readable by their owner only. A signer's certificate that ends within 90 days is renewed from
        the same authority; files signed before keep their own.

        Args:
            data_dir: ``countenance.project.user_data_dir()``.
            clock: what time it is, aware.

        Raises:
            MarkError: the identity is damaged, expired or readable by others.
            OutputError: the folder cannot be written.
        """
        from countenance.provenance.installation import organisation, timestamp_url

        given = organisation(data_dir, clock())
        if given is not None:
            return given
        folder = data_dir / _FOLDER
        if not folder.is_dir():
            create_identity(folder, _INSTALLATION, clock())
        return cls.load(folder, clock=clock, timestamp_url=timestamp_url(data_dir))

    @classmethod
    def load(
        cls, folder: Path, *, clock: Callable[[], datetime] = _utc_now, timestamp_url: str | None = None
    ) -> SigningIdentity:
        """The identity in a folder that is there; see :meth:`load_or_create`, also for what it raises."""
        authority_key, authority = _load(folder / _AUTHORITY)
        signer_key, signer = _load(folder / _SIGNER)
        now = clock()
        if authority.not_valid_after_utc < now:
            raise MarkError(
                f"The local signing authority expired on {authority.not_valid_after_utc:%Y-%m-%d}. Move {folder} to a "
                "safe place (old files need it to verify) and run the command again: a new one will be made."
            )
        if signer.not_valid_after_utc - now < _RENEW_BEFORE:
            signer_key, signer = _issue_signer(authority_key, authority, now, signer.subject)
            _write_private(folder / _SIGNER, _pem(signer_key, signer))
        authority_pem = _certificate_pem(authority)
        chain_pem = _certificate_pem(signer) + authority_pem
        return cls(chain_pem, authority_pem, _key_pem(signer_key), timestamp_url=timestamp_url)

    def signer(self, *, timestamp: bool = True) -> c2pa.Signer:
        """A fresh signer for one file, which asks for a timestamp if one is configured and ``timestamp`` is true.

        Raises:
            MarkError: c2pa does not accept the certificate.
        """
        url = self.timestamp_url if timestamp else None
        try:
            info = c2pa.C2paSignerInfo(
                self.algorithm, self.chain_pem.encode("ascii"), self.key_pem.encode("ascii"), url
            )
            return c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise MarkError(f"The signing certificate is not accepted ({error}). Make a new identity.") from error


def local_authority_pem(data_dir: Path) -> str:
    """The certificates of the authorities that this installation trusts: its own, its people's, and those it was given.

    Returns:
        PEM, one after the other; "" where there is none.

    Raises:
        MarkError: one cannot be read.
    """
    from countenance.provenance.installation import trusted_authorities

    try:
        folders = sorted(path for path in (data_dir / PEOPLE).iterdir() if not path.name.startswith("."))
    except OSError:
        folders = []
    own = "".join(_authority_of(folder) for folder in (data_dir / _FOLDER, *folders))
    return own + trusted_authorities(data_dir)


def _authority_of(folder: Path) -> str:
    path = folder / _AUTHORITY_CERTIFICATE
    try:
        return _certificate_pem(x509.load_pem_x509_certificate(path.read_bytes()))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise MarkError(f"{path} is not a readable certificate. Restore it from a backup.") from error


def watermark_secret(data_dir: Path, *, create: bool = False) -> bytes | None:
    """The 32 bytes that this installation's secret watermarks are drawn from; None where there are none yet.

    Args:
        data_dir: ``countenance.project.user_data_dir()``.
        create: make them where they are missing: identities made before version 2 of the watermark have none.

    Raises:
        MarkError: the file is damaged or readable by others.
        OutputError: it cannot be written.
    """
    path = data_dir / _FOLDER / _WATERMARK_SECRET
    try:
        if readable_by_others(path):
            raise MarkError(f"{path} can be read by other users. Run: chmod 600 '{path}'.")
        secret = bytes.fromhex(path.read_text("ascii"))
    except FileNotFoundError:
        if not create:
            return None
        secret = secrets.token_bytes(_SECRET_BYTES)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(path, secret.hex())
        except OSError as error:
            raise output_error(path, error) from error
    except (OSError, ValueError) as error:
        raise MarkError(f"{path} cannot be read. Restore it from a backup, or its watermarks stay unfound.") from error
    if len(secret) != _SECRET_BYTES:
        raise MarkError(f"{path} is damaged. Restore it from a backup, or its watermarks stay unfound.")
    return secret


def create_identity(folder: Path, common_name: str, now: datetime) -> None:
    """Make an authority and a signer's certificate from it, in a folder.

    It is made under another name, then renamed: two programs that start at once end with one identity.

    Args:
        folder: of the identity; when it is there already, it stays as it is.
        common_name: whose it is, as the certificate says.
        now: aware.

    Raises:
        OutputError: the folder cannot be written.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _issue_authority(authority_key, now)
    signer_key, signer = _issue_signer(authority_key, authority, now, _name(common_name))
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        draft.mkdir(mode=0o700, parents=True)
        _write_private(draft / _AUTHORITY, _pem(authority_key, authority))
        _write_private(draft / _SIGNER, _pem(signer_key, signer))
        _write_private(draft / _AUTHORITY_CERTIFICATE, _certificate_pem(authority))
        _write_private(draft / _WATERMARK_SECRET, secrets.token_hex(_SECRET_BYTES))
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise somebody else was first: theirs is as good
                raise
        sync_folder(folder.parent)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(draft)


def _issue_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name(f"Countenance local authority {secrets.token_hex(4)}")
    return _certificate(name, name, key.public_key(), now, _AUTHORITY_YEARS, authority=True).sign(key, hashes.SHA256())


def _issue_signer(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    now: datetime,
    subject: x509.Name | None = None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(_INSTALLATION) if subject is None else subject
    draft = _certificate(name, authority.subject, key.public_key(), now, _SIGNER_YEARS, authority=False)
    # C2PA takes no signer without an extended key usage; emailProtection is the one meant for people.
    draft = draft.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return key, draft.add_extension(issuer_key, critical=False).sign(authority_key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Countenance (self-made identity)")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, years: int, *, authority: bool
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # another computer's clock may be a little behind
        .not_valid_after(now + timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _load(path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        if readable_by_others(path):
            raise MarkError(f"{path} can be read by other users. Run: chmod 600 '{path}', or make a new identity.")
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    except (OSError, ValueError, TypeError) as error:
        raise MarkError(
            f"The signing identity {path} is missing or damaged. Restore {path.parent} from a backup, or move it away "
            "and a new one will be made."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise MarkError(f"In {path} key and certificate do not belong together. Restore {path.parent} from a backup.")
    return key, certificate


def _write_private(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)


def _pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> str:
    return _key_pem(key) + _certificate_pem(certificate)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode("ascii")


def _certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
