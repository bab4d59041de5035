"""A lender's or witness's key: Ed25519 (RFC 8032), in a passphrase-encrypted PKCS #8 file on its owner's side.

A key is named by its thumbprint (RFC 7638), 43 characters that its owner can read out over the telephone. Its public
half lies beside it as a JSON Web Key (RFC 7517), to be given to others: the makers need a witness's to name it in a
request.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.atomic import output_error, sync_folder, write_bytes
from countenance.consent.strict_json import canonical, loads, read_bounded
from countenance.errors import ConsentError, InputError

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

__all__ = [
    "PASSPHRASE_MINIMUM",
    "SigningKey",
    "generate_key",
    "load_key",
    "load_public_key",
    "public_key",
    "public_path",
]

PASSPHRASE_MINIMUM = 8
"""Shortest passphrase in characters."""

_SIZE_LIMIT = 16 * 1024
_X = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that was opened, for as long as it is needed to sign.

    ``key_id`` is the thumbprint of its public half, ``public_jwk`` that half as a JSON Web Key.
    """

    key_id: str
    public_jwk: dict[str, str]
    secret: OKPKey = field(repr=False, compare=False)


def generate_key(path: Path, passphrase: str) -> SigningKey:
    """Make a new key and write it, encrypted, readable by its owner only; and its public half to ``FILE.pub``.

    Args:
        path: a file that does not exist yet, nor the one of its public half: a key is never overwritten.
        passphrase: at least 8 characters; whoever loses it cannot sign or revoke with this key any more.

    Raises:
        InputError: the passphrase is too short, or the file exists.
        OutputError: the file cannot be written; nothing is left of it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    if len(passphrase) < PASSPHRASE_MINIMUM:
        raise InputError(f"The passphrase is too short. Use at least {PASSPHRASE_MINIMUM} characters.")
    public = public_path(path)
    if public.exists():
        raise InputError(f"{public} exists, and a key is never overwritten. Choose another name.")
    private = Ed25519PrivateKey.generate()
    protection = BestAvailableEncryption(_secret_bytes(passphrase))
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InputError(f"{path} exists, and a key is never overwritten. Choose another name.") from error
    except OSError as error:
        raise output_error(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(path.parent)
        key = _signing_key(private)
        write_bytes(public, canonical({**key.public_jwk, "kid": key.key_id}))
    except BaseException as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise output_error(path, error) from error
        raise
    return key


def public_path(path: Path) -> Path:
    """Where the public half of a key lies: ``FILE.pub`` beside ``FILE``."""
    return path.with_name(f"{path.name}.pub")


def load_public_key(path: Path) -> dict[str, str]:
    """Read the public half of somebody's key.

    Returns:
        The JSON Web Key with exactly ``kty``, ``crv`` and ``x``.

    Raises:
        InputError: it is missing, damaged, or no public half of a key of this kind.
    """
    try:
        given = loads(read_bounded(path, "The public key", limit=_SIZE_LIMIT), "The public key")
        jwk = {name: value for name, value in given.items() if name != "kid"}
        same = public_key(jwk).thumbprint() == given.get("kid")
    except (ConsentError, ValueError) as error:
        raise InputError(
            f"{path} is not the public half of a key ({str(error).rstrip('.')}). Ask its owner for the file FILE.pub "
            "that "
            "countenance consent keygen made."
        ) from error
    if not same:
        raise InputError(f"{path} was changed: its key and its key id differ. Ask its owner for the file again.")
    return jwk


def load_key(path: Path, passphrase: str) -> SigningKey:
    """Open a key.

    Raises:
        InputError: no key there, wrong passphrase, not encrypted, or not Ed25519.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        if not path.is_file():
            raise InputError(f"There is no key {path}. Make one with: countenance consent keygen.")
        with path.open("rb") as stream:
            pem = stream.read(_SIZE_LIMIT)
    except OSError as error:
        raise InputError(f"The key {path} cannot be read ({error.strerror}). Check its permissions.") from error
    if b"ENCRYPTED" not in pem:
        raise InputError(f"{path} is not a passphrase-protected key. Make one with: countenance consent keygen.")
    try:
        private = load_pem_private_key(pem, _secret_bytes(passphrase))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"The key {path} does not open. Check the passphrase and the file.") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path} is a key of another kind than Ed25519. Make one with: countenance consent keygen.")
    return _signing_key(private)


def public_key(jwk: object) -> OKPKey:
    """A public key from its JSON Web Key, which must have exactly the members of an Ed25519 public key.

    Raises:
        ValueError: anything else: another type or curve, a private part, a wrong length.
    """
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    form = {"kty": "OKP", "crv": "Ed25519"}
    if not isinstance(jwk, dict) or set(jwk) != {"kty", "crv", "x"} or any(jwk[k] != v for k, v in form.items()):
        raise ValueError("the key is not an Ed25519 public key")
    if not isinstance(jwk["x"], str) or not _X.fullmatch(jwk["x"]):
        raise ValueError("the key has not 32 bytes")
    try:
        key = OKPKey.import_key({**form, "x": jwk["x"]})
        same = key.as_dict(private=False)["x"] == jwk["x"]
    except (JoseError, ValueError) as error:
        raise ValueError("the key cannot be used") from error
    if not same:  # 43 characters hold 258 bits: without this, one key would have four spellings
        raise ValueError("the key is not written in its one form")
    return key


def _signing_key(private: Any) -> SigningKey:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from joserfc.jwk import OKPKey

    raw = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = OKPKey.import_key(raw)
    public = {name: str(value) for name, value in key.as_dict(private=False).items() if name in ("kty", "crv", "x")}
    return SigningKey(key.thumbprint(), public, key)


def _secret_bytes(passphrase: str) -> bytes:
    try:
        return passphrase.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("The passphrase has characters that cannot be stored. Type it again.") from error
