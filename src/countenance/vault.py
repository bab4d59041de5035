"""The project key: 32 random bytes under which face sets and face templates lie encrypted on the disk.

The project's folder says only which key it is (``countenance-key.json``). The key itself lies in a key file in the
user's own folder, or inside that JSON, wrapped by a passphrase. Each encrypted file has a key of its own, derived from
the project's and 16 random bytes in the file. See docs/concepts/encryption.md.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from countenance.atomic import output_error, readable_by_others, sync_folder, write_bytes
from countenance.errors import InputError, IntegrityError, OutputError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "KEY_NAME",
    "PASSPHRASE_MINIMUM",
    "SCRYPT",
    "KeyFacts",
    "ProjectKey",
    "export_key",
    "import_key",
    "key_facts",
    "make_key",
    "open_key",
    "use_key_file",
    "use_passphrase",
]

KEY_NAME = "countenance-key.json"
"""The file in a project's folder that says which key opens it."""

PASSPHRASE_MINIMUM = 8
"""Shortest passphrase in characters."""

SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""Cost of one guess at a passphrase (RFC 7914): 128 MiB of memory and about 0.4 s of one core."""

_FORMAT, _KEY_FORMAT, _SEALED_FORMAT = "countenance-project", "countenance-project-key", "countenance-sealed"
_VERSION = 1
_SIZE_LIMIT = 64 * 1024
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """A project's key while it is open: ``id`` 32 hex digits, ``secret`` 32 bytes.

    Raises:
        ValueError: not 32 bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise ValueError(f"ProjectKey: expected 32 bytes, got {len(self.secret)}")

    @classmethod
    def new(cls) -> ProjectKey:
        """A key that nothing is encrypted with yet."""
        return cls(secrets.token_hex(16), secrets.token_bytes(32))

    def derive(self, salt: bytes, what: str) -> bytes:
        """32 bytes for one file: HKDF-SHA256 (RFC 5869) of the secret, with the file's salt and its kind."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        return bytes(HKDF(SHA256(), 32, salt, f"countenance {what}".encode()).derive(self.secret))

    def seal(self, data: bytes, what: str) -> bytes:
        """Encrypt a small file: AES-256-GCM under a key of its own, as JSON; ``what`` names its kind."""
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
        sealed = _cipher(self.derive(salt, what)).encrypt(nonce, data, what.encode())
        text = base64.b64encode(sealed).decode("ascii")
        return _json(
            {"format": _SEALED_FORMAT, "version": _VERSION, "salt": salt.hex(), "nonce": nonce.hex(), "sealed": text}
        )

    def unseal(self, raw: bytes, what: str) -> bytes:
        """Decrypt what :meth:`seal` made.

        Raises:
            IntegrityError: it is not encrypted, was changed, is of another kind, or belongs to another project.
        """
        from cryptography.exceptions import InvalidTag

        table = _table(raw)
        if table is None or table.get("format") != _SEALED_FORMAT:
            raise IntegrityError("it is not encrypted, and only what is encrypted is read")
        try:
            if set(table) != {"format", "version", "salt", "nonce", "sealed"} or table["version"] != _VERSION:
                raise ValueError("another form")  # noqa: TRY301 - one sentence for all
            salt, nonce = _hex(table.get("salt"), 16), _hex(table.get("nonce"), 12)
            sealed = base64.b64decode(str(table.get("sealed")), validate=True)
            return bytes(_cipher(self.derive(salt, what)).decrypt(nonce, sealed, what.encode()))
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("it was changed, or encrypted for another project") from error


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Where a project's key is: ``way`` ``"key file"`` or ``"passphrase"``.

    ``path`` is the key file that is looked for, None with a passphrase; ``found`` says whether it is there.
    """

    id: str
    way: str
    path: Path | None
    found: bool


# -- opening ----------------------------------------------------------------------------------------------------------


def make_key(root: Path, keys_dir: Path) -> ProjectKey:
    """Make a project's key, in a key file. A project that has one keeps it.

    Args:
        root: the project's folder.
        keys_dir: where key files are; made when it is not there.

    Raises:
        ProjectError: the project's key file that was made meanwhile cannot be used.
        OutputError: a folder cannot be written.
    """
    key = ProjectKey.new()
    _write_key_file(_key_file(keys_dir, key.id), key)
    described = _json(_described(key))
    draft = root / f".{KEY_NAME}.{secrets.token_hex(4)}.part"
    try:
        draft.write_bytes(described)
        try:
            os.link(draft, root / KEY_NAME)  # unlike a rename, it never replaces the key that another run just made
        except FileExistsError:
            _key_file(keys_dir, key.id).unlink(missing_ok=True)
            return open_key(root, keys_dir)
        except OSError:  # drives that know no links
            write_bytes(root / KEY_NAME, described)
        sync_folder(root)
    except OSError as error:
        raise output_error(root / KEY_NAME, error) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return key


def open_key(root: Path, keys_dir: Path, passphrase: Callable[[], str] | None = None) -> ProjectKey:
    """Open a project's key.

    Args:
        root: the project's folder.
        keys_dir: where key files are.
        passphrase: gives it, asked only where the project has one.

    Raises:
        ProjectError: the key is not here, is another project's, can be read by others, or the passphrase is wrong.
    """
    table = _read(root)
    if table["passphrase"] is not None:
        if passphrase is None:
            raise ProjectError(f"The faces in {root} open with a passphrase. Give it.")
        return _unwrap(root, table, passphrase())
    path = _key_file(keys_dir, table["id"])
    if not path.exists():
        raise ProjectError(
            f"The key of the project {root} is not on this computer: there is no {path}. On the computer where it was "
            "made run `countenance key export FILE`, and here `countenance key import FILE`."
        )
    return _checked(_read_key_file(path), table, path)


def key_facts(root: Path, keys_dir: Path) -> KeyFacts | None:
    """Where a project's key is, without opening it; None before there is one (raises ProjectError)."""
    if not (root / KEY_NAME).exists():
        return None
    table = _read(root)
    if table["passphrase"] is not None:
        return KeyFacts(table["id"], "passphrase", None, found=True)
    path = _key_file(keys_dir, table["id"])
    return KeyFacts(table["id"], "key file", path, found=path.exists())


# -- switching --------------------------------------------------------------------------------------------------------


def use_passphrase(root: Path, keys_dir: Path, key: ProjectKey, passphrase: str) -> None:
    """Lock the key with a passphrase, or with a new one, and destroy the key file. No face is encrypted again.

    Raises:
        InputError: the passphrase is too short, or cannot be stored.
        OutputError: a file cannot be written or destroyed.
    """
    if len(passphrase) < PASSPHRASE_MINIMUM:
        raise InputError(f"The passphrase is too short. Use at least {PASSPHRASE_MINIMUM} characters.")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    wrapped = _cipher(_stretch(passphrase, salt)).encrypt(nonce, key.secret, key.id.encode())
    lock = {"kdf": "scrypt", **SCRYPT, "salt": salt.hex(), "nonce": nonce.hex(), "wrapped": wrapped.hex()}
    write_bytes(root / KEY_NAME, _json({**_described(key), "passphrase": lock}))
    path = _key_file(keys_dir, key.id)  # only now: killed in between, both ways are there
    try:
        if path.exists():
            with path.open("r+b") as stream:
                stream.write(bytes(path.stat().st_size))
                stream.flush()
                os.fsync(stream.fileno())
            path.unlink()
    except OSError as error:
        raise output_error(path, error) from error


def use_key_file(root: Path, keys_dir: Path, key: ProjectKey) -> Path:
    """Take the passphrase away: the key lies in a key file again, whose path is returned (raises OutputError)."""
    path = _key_file(keys_dir, key.id)
    if not path.exists():
        _write_key_file(path, key)
    write_bytes(root / KEY_NAME, _json(_described(key)))
    return path


def export_key(path: Path, key: ProjectKey) -> None:
    """Write the key into a new file, readable by its owner only. Whoever has it can open the project's faces.

    Raises:
        InputError: the file exists.
        OutputError: it cannot be written.
    """
    if path.exists():
        raise InputError(f"{path} exists, and a key overwrites nothing. Choose another name.")
    _write_key_file(path, key)


def import_key(root: Path, keys_dir: Path, path: Path) -> Path:
    """Take an exported key in as the project's key file; a passphrase, should there be one, is no longer needed.

    Returns:
        The key file.

    Raises:
        ProjectError: it is no key, or another project's.
        OutputError: the key file cannot be written.
    """
    return use_key_file(root, keys_dir, _checked(_read_key_file(path, shared=True), _read(root), path))


# -- bytes ------------------------------------------------------------------------------------------------------------


def _key_file(keys_dir: Path, key_id: str) -> Path:
    return keys_dir / f"{key_id}.key"


def _described(key: ProjectKey) -> dict[str, Any]:
    check = key.derive(b"", "key check").hex()
    return {"format": _FORMAT, "version": _VERSION, "id": key.id, "check": check, "passphrase": None}


def _read(root: Path) -> dict[str, Any]:
    """What the project says of its key, with everything in it checked."""
    path = root / KEY_NAME
    table = _table(_bytes(path))
    if table is None or table.get("format") != _FORMAT or set(table) != set(_MEMBERS):
        raise ProjectError(f"{path} is damaged. Restore it from a backup: without it no face of this project opens.")
    if table["version"] != _VERSION:
        raise ProjectError(f"{path} was written by a newer Countenance. Use that one.")
    if not _ID.fullmatch(str(table["id"])):
        raise ProjectError(f"{path} is damaged: its id is none. Restore it from a backup.")
    return table


_MEMBERS = ("format", "version", "id", "check", "passphrase")


def _unwrap(root: Path, table: dict[str, Any], passphrase: str) -> ProjectKey:
    from cryptography.exceptions import InvalidTag

    path, lock = root / KEY_NAME, table["passphrase"]
    try:
        # Only the one cost that we write: a forged one must neither take the memory nor make guessing cheap.
        if not isinstance(lock, dict) or {name: lock.get(name) for name in ("kdf", *SCRYPT)} != _KDF:
            raise ValueError("another cost")  # noqa: TRY301 - one sentence for all
        salt, nonce = _hex(lock.get("salt"), 16), _hex(lock.get("nonce"), 12)
        wrapped = _hex(lock.get("wrapped"), 48)
    except ValueError as error:
        raise ProjectError(f"{path} is damaged. Restore it from a backup.") from error
    try:
        secret = _cipher(_stretch(passphrase, salt)).decrypt(nonce, wrapped, table["id"].encode())
    except InvalidTag as error:
        raise ProjectError("That is not the passphrase of this project. Try again.") from error
    return _checked(ProjectKey(table["id"], secret), table, path)


_KDF = {"kdf": "scrypt", **SCRYPT}


def _checked(key: ProjectKey, table: dict[str, Any], path: Path) -> ProjectKey:
    same = key.id == table["id"] and hmac.compare_digest(_described(key)["check"], str(table["check"]))
    if not same:
        raise ProjectError(f"{path} is not the key of this project. Find the right one, or restore it from a backup.")
    return key


def _read_key_file(path: Path, *, shared: bool = False) -> ProjectKey:
    """``shared`` for a file on its way from one computer to another: a USB stick knows no owners."""
    table = _table(_bytes(path))
    try:
        if not shared and readable_by_others(path):
            raise ProjectError(f"{path} can be read by other users. Run: chmod 600 '{path}'.")
        if table is None or table.get("format") != _KEY_FORMAT or not _ID.fullmatch(str(table.get("id"))):
            raise ValueError("not a key")  # noqa: TRY301 - one sentence for all
        return ProjectKey(str(table["id"]), _hex(table.get("secret"), 32))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} is not a project's key. Restore it from a backup.") from error


def _write_key_file(path: Path, key: ProjectKey) -> None:
    """Complete, readable by its owner only from the first moment, or not at all."""
    data = _json({"format": _KEY_FORMAT, "version": _VERSION, "id": key.id, "secret": key.secret.hex()})
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
            sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def _stretch(passphrase: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    try:
        return Scrypt(salt=salt, length=32, **SCRYPT).derive(passphrase.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InputError("The passphrase has characters that cannot be stored. Type it again.") from error
    except MemoryError as error:
        raise OutputError("A passphrase needs 128 MiB of memory. Close other programs and try again.") from error


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _hex(value: object, count: int) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) != 2 * count:
        raise ValueError(f"not {count} bytes in hex")
    return bytes.fromhex(value)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_SIZE_LIMIT)
    except FileNotFoundError as error:
        raise ProjectError(f"There is no {path}. Restore it from a backup.") from error
    except OSError as error:
        raise ProjectError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error


def _table(raw: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def _json(table: dict[str, Any]) -> bytes:
    return json.dumps(table, indent=1).encode("ascii") + b"\n"
