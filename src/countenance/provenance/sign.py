"""Sign a render: the only way from an unmarked file to an output.

The unmarked file never survives: signed or not, it is deleted when :func:`sign_file` returns or raises.
"""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import c2pa

from countenance.atomic import replacing
from countenance.errors import MarkError, MediaError
from countenance.provenance import credentials
from countenance.provenance.account import ACCOUNT_LABEL
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import (
    FootageCredentials,
    RenderClaim,
    footage_ingredient,
    manifest_definition,
    sheet_definition,
)

__all__ = [
    "SignerOf",
    "SigningIdentity",
    "Signs",
    "check_signed",
    "footage_credentials",
    "refuse_shared_sidecar",
    "sign_file",
    "sign_picture",
    "sign_sheet",
    "sign_stream",
]


_COPYING = threading.Lock()  # one file at a time says where its copies go


class Signs(Protocol):
    """Who signs: our local identity, or a certificate whose key lies in a hardware module."""

    @property
    def authority_pem(self) -> str:
        """Certificate of the authority that vouches for the signer."""
        ...

    def signer(self, *, timestamp: bool = True) -> c2pa.Signer:
        """A fresh signer for one file; c2pa consumes it. ``timestamp`` false: no timestamp is asked for."""
        ...


def sign_file(
    unsigned: Path,
    final: Path,
    *,
    parent: Path,
    claim: RenderClaim,
    identity: Signs,
    title: str = "Footage",
    timestamp: bool = True,
) -> None:
    """Write ``final``: the render with its Content Credentials, in the file or (MKV, WebM) beside it as ``.c2pa``.

    ``final`` appears complete or not at all, and what was written is read back and checked before it takes the name.
    ``unsigned`` is deleted in every case (unlinked: on a solid-state disk no program can promise more).

    Args:
        unsigned: the render without credentials, in the container that ``final``'s suffix names.
        final: path of the output.
        parent: the footage. Its name and path do not reach the manifest.
        claim: what the render states.
        identity: who signs.
        title: what the manifest calls the parent.
        timestamp: ask for a timestamp, where a service is configured; not for what is replaced within minutes.

    Raises:
        MarkError: the render could not be signed; there is no output.
        MediaError: the footage cannot be read.
        OutputError: writing failed; there is no output.
    """
    try:
        kind = credentials.media_type(final)
        if kind is None:
            raise MarkError(
                f"{final.name}: files of this kind cannot carry marks. Name the output .mp4, .mov, .mkv or .webm."
            )
        if not unsigned.is_file():
            raise MarkError(f"The render to sign is not there ({unsigned}). Run the conversion again.")
        footage = footage_credentials(parent)
        signer = SignerOf(identity, timestamp)
        if credentials.embeds(final):
            with replacing(final) as temporary:
                _sign(unsigned, temporary, kind, parent, claim, footage, signer, title)
                check_signed(temporary, kind, identity)
        else:
            _sign_beside(unsigned, final, kind, parent, claim, footage, signer, title)
    finally:
        with suppress(OSError):
            unsigned.unlink(missing_ok=True)


def sign_picture(
    unsigned: bytes,
    name: Path,
    *,
    parent_kind: str,
    footage: FootageCredentials,
    claim: RenderClaim,
    identity: Signs,
) -> tuple[bytes, bytes | None]:
    """A small picture with its Content Credentials, all in memory: no unmarked file is ever there.

    For many pictures of one footage, whose own credentials are read once and given; they are never disclosed.

    Args:
        unsigned: a PNG, or an EXR.
        name: what it will be called; its suffix tells the kind.
        parent_kind: MIME type of the footage.
        footage: see :func:`footage_credentials`.
        claim: what the picture states.
        identity: who signs.

    Returns:
        The picture's bytes, and its credentials where they go beside it (EXR).

    Raises:
        MarkError: it could not be signed, or what was signed does not verify.
    """
    kind = credentials.media_type(name)
    if kind is None:
        raise MarkError(f"{name.name}: files of this kind cannot carry marks. Name it .png or .exr.")
    embedded = credentials.embeds(name)
    ingredient = footage_ingredient(parent_kind)
    definition = manifest_definition(claim, kind, footage)
    signer = SignerOf(identity, timestamp=False)  # a service would be asked once a frame
    target = io.BytesIO()
    manifest = sign_stream(io.BytesIO(unsigned), target, kind, definition, ingredient, signer, embedded)
    signed, beside = (target.getvalue(), None) if embedded else (unsigned, manifest)
    _check_bytes(signed, kind, beside, identity)
    return signed, beside


def sign_sheet(unsigned: bytes, identity: Signs) -> bytes:
    """A contact sheet of untouched faces, a PNG, with its Content Credentials; they name nobody.

    Raises:
        MarkError: it could not be signed, or what was signed does not verify.
    """
    target = io.BytesIO()
    signer = SignerOf(identity, timestamp=False)
    sign_stream(io.BytesIO(unsigned), target, "image/png", sheet_definition(), None, signer, embedded=True)
    _check_bytes(target.getvalue(), "image/png", None, identity)
    return target.getvalue()


def footage_credentials(parent: Path) -> FootageCredentials:
    """What Content Credentials the footage itself carries, and whether they hold (whoever signed them).

    Raises:
        MediaError: the footage cannot be read.
    """
    try:
        store = credentials.read_store(parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(f"Cannot read the footage {parent} ({reason}). Check that it is still there.") from error
    except c2pa.C2paError:
        return "unreadable"  # no container that c2pa knows, or credentials damaged beyond reading
    if store is None:
        return "none"
    failures = credentials.failure_codes(store.get("validation_results")) - credentials.FAILURES_OF_TRUST
    return "broken" if failures else "intact"


class SignerOf(NamedTuple):
    """Who signs, and whether a timestamp is asked for."""

    identity: Signs
    timestamp: bool


def _sign_beside(
    unsigned: Path,
    final: Path,
    kind: str,
    parent: Path,
    claim: RenderClaim,
    footage: FootageCredentials,
    signer: SignerOf,
    title: str,
) -> None:
    sidecar = credentials.sidecar_path(final)
    refuse_shared_sidecar(final)
    # The sidecar takes its name first: were the power to fail between the two, there would be credentials without a
    # video, never a video without credentials.
    with replacing(final) as temporary, replacing(sidecar) as temporary_sidecar:
        manifest = _sign(unsigned, temporary, kind, parent, claim, footage, signer, title)
        temporary_sidecar.write_bytes(manifest)
        credentials.sidecar_path(temporary).write_bytes(manifest)
        try:
            check_signed(temporary, kind, signer.identity)
        finally:
            credentials.sidecar_path(temporary).unlink()


def _glob_escape(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "[?*" else letter for letter in stem)


def refuse_shared_sidecar(final: Path) -> None:
    """Raise ``MarkError`` when the credentials beside ``final`` would have the name of another file's."""
    if credentials.embeds(final) or not final.parent.is_dir():
        return
    for other in final.parent.glob(f"{_glob_escape(final.stem)}.*"):
        if other != final and credentials.media_type(other) and not credentials.embeds(other):
            raise MarkError(
                f"{final.name} would overwrite the credentials of {other.name}, which have the same name with .c2pa. "
                "Give the output another name."
            )


def _sign(
    unsigned: Path,
    destination: Path,
    kind: str,
    parent: Path,
    claim: RenderClaim,
    footage: FootageCredentials,
    signer: SignerOf,
    title: str,
) -> bytes:
    if claim.disclose_footage and _has_account(parent):
        claim = replace(claim, disclose_footage=False)
    definition = manifest_definition(claim, kind, footage)
    parent_kind = credentials.parent_type(parent)
    ingredient = footage_ingredient(parent_kind) | {"title": title}
    disclosed = claim.disclose_footage and footage in ("intact", "broken")
    with ExitStack() as stack:
        stack.enter_context(_copies_in(destination.parent))
        source = stack.enter_context(unsigned.open("rb"))
        target = stack.enter_context(destination.open("w+b"))
        embedded = credentials.embeds(destination)
        pieces, shown = credentials.is_hashed_piecewise(unsigned), parent if disclosed else None
        manifest = sign_stream(source, target, kind, definition, ingredient, signer, embedded, shown, piecewise=pieces)
        target.flush()
        os.fsync(target.fileno())
    return manifest


@contextmanager
def _copies_in(folder: Path) -> Iterator[None]:
    """The library's copies of a large file lie in this folder while it works, in files that never have a name.

    The system's folder for such files may be on another disk, one without room or without encryption, or in memory.
    """
    with _COPYING:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(folder.absolute())
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def _has_account(parent: Path) -> bool:
    """Whether somebody's account is in the parent's credentials.

    Who was there and what they saw is for the one who shows the footage to tell, never for a render of it: the footage
    may hide a face that the account names. So such credentials are left out, whatever the claim asks for.
    """
    try:
        store = credentials.read_store(parent) or {}
    except (OSError, c2pa.C2paError):
        return False
    return ACCOUNT_LABEL in json.dumps(store.get("manifests"))


def sign_stream(
    source: BinaryIO,
    target: BinaryIO,
    kind: str,
    definition: dict[str, Any],
    parent: dict[str, Any] | None,
    signer: SignerOf,
    embedded: bool,
    disclosed: Path | None = None,
    *,
    piecewise: bool = False,
) -> bytes:
    """Sign ``source`` into ``target``; ``disclosed`` is a parent whose own credentials come along, from wherever.

    ``piecewise`` as :func:`countenance.provenance.credentials.is_hashed_piecewise` says.

    Returns:
        The manifest store; only where it is ``embedded`` is it in ``target``, too.

    Raises:
        MarkError: it could not be signed.
        OSError: the disclosed parent cannot be read.
    """
    inside = parent is not None and disclosed is not None and credentials.embeds(disclosed)
    try:
        with ExitStack() as stack:
            resource = None
            if parent is not None and disclosed is not None and not inside:
                told, name, beside = credentials.parent_beside(disclosed, signer.identity.authority_pem)
                parent, resource = parent | told, (name, io.BytesIO(beside))
            if parent is not None and not inside:
                definition["ingredients"] = [parent, *definition["ingredients"]]
            settings = stack.enter_context(credentials.context(signer.identity.authority_pem, piecewise=piecewise))
            builder = stack.enter_context(c2pa.Builder(definition, context=settings))
            if parent is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if resource is not None:
                builder.add_resource(*resource)
            if parent is not None and disclosed is not None and inside:
                builder.add_ingredient(parent, parent["format"], stack.enter_context(disclosed.open("rb")))
            if not embedded:
                builder.set_no_embed()
            c2pa_signer = stack.enter_context(signer.identity.signer(timestamp=signer.timestamp))
            return bytes(builder.sign(c2pa_signer, kind, source, target))
    except c2pa.C2paError as error:
        if "http" in str(error):
            raise MarkError(
                f"The timestamp service gave no answer that can be used ({error}), so there is no output. Try again "
                "later, or sign without timestamps: countenance identity timestamp --none."
            ) from error
        raise MarkError(
            f"The file could not be signed ({error}), so there is no output. Check the disk's space and the signing "
            "identity, and run the same command again."
        ) from error


def check_signed(written: Path, kind: str, identity: Signs) -> None:
    """Read back what is on the disk: a file is given out only when its credentials hold."""
    with _read_back():
        store = credentials.read_store(written, identity.authority_pem, kind=kind)
    _require_trusted(store)


def _check_bytes(signed: bytes, kind: str, beside: bytes | None, identity: Signs) -> None:
    with _read_back():
        store = credentials.read_store_of(io.BytesIO(signed), kind, beside, identity.authority_pem)
    _require_trusted(store)


@contextmanager
def _read_back() -> Iterator[None]:
    try:
        yield
    except c2pa.C2paError as error:
        raise MarkError(f"The signed file cannot be read back ({error}), so there is no output.") from error


def _require_trusted(store: dict[str, Any] | None) -> None:
    if store is None or store.get("validation_state") != "Trusted":
        codes = sorted(credentials.failure_codes((store or {}).get("validation_results")))
        raise MarkError(
            f"The signed file does not verify ({', '.join(codes) or 'no credentials'}), so there is no output. "
            "If the signing certificate has expired, renew it; otherwise run the same command again."
        )
