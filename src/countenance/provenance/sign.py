"""Sign a render: the only way from an unmarked file to an output.

The unmarked file never survives: signed or not, it is deleted when :func:`sign_file` returns or raises.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import c2pa

from countenance.atomic import replacing
from countenance.errors import MarkError, MediaError
from countenance.provenance import credentials
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import FootageCredentials, RenderClaim, footage_ingredient, manifest_definition

__all__ = ["SigningIdentity", "Signs", "footage_credentials", "refuse_shared_sidecar", "sign_file"]


class Signs(Protocol):
    """Who signs: our local identity, or a certificate whose key lies in a hardware module."""

    @property
    def authority_pem(self) -> str:
        """Certificate of the authority that vouches for the signer."""
        ...

    def signer(self) -> c2pa.Signer:
        """A fresh signer for one file; c2pa consumes it."""
        ...


def sign_file(unsigned: Path, final: Path, *, parent: Path, claim: RenderClaim, identity: Signs) -> None:
    """Write ``final``: the render with its Content Credentials, in the file or (MKV, WebM) beside it as ``.c2pa``.

    ``final`` appears complete or not at all, and what was written is read back and checked before it takes the name.
    ``unsigned`` is deleted in every case (unlinked: on a solid-state disk no program can promise more).

    Args:
        unsigned: the render without credentials, in the container that ``final``'s suffix names.
        final: path of the output.
        parent: the footage. Its name and path do not reach the manifest.
        claim: what the render states.
        identity: who signs.

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
        if credentials.embeds(final):
            with replacing(final) as temporary:
                _sign(unsigned, temporary, kind, parent, claim, footage, identity)
                _check(temporary, kind, identity)
        else:
            _sign_beside(unsigned, final, kind, parent, claim, footage, identity)
    finally:
        with suppress(OSError):
            unsigned.unlink(missing_ok=True)


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


def _sign_beside(
    unsigned: Path,
    final: Path,
    kind: str,
    parent: Path,
    claim: RenderClaim,
    footage: FootageCredentials,
    identity: Signs,
) -> None:
    sidecar = credentials.sidecar_path(final)
    refuse_shared_sidecar(final)
    # The sidecar takes its name first: were the power to fail between the two, there would be credentials without a
    # video, never a video without credentials.
    with replacing(final) as temporary, replacing(sidecar) as temporary_sidecar:
        manifest = _sign(unsigned, temporary, kind, parent, claim, footage, identity)
        temporary_sidecar.write_bytes(manifest)
        credentials.sidecar_path(temporary).write_bytes(manifest)
        try:
            _check(temporary, kind, identity)
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
    identity: Signs,
) -> bytes:
    definition = manifest_definition(claim, kind, footage)
    parent_kind = credentials.media_type(parent) or "application/octet-stream"
    ingredient = footage_ingredient(parent_kind)
    disclosed = claim.disclose_footage and footage in ("intact", "broken") and credentials.embeds(parent)
    if not disclosed:
        definition["ingredients"] = [ingredient]
    try:
        with ExitStack() as stack:
            settings = stack.enter_context(credentials.context(identity.authority_pem))
            builder = stack.enter_context(c2pa.Builder(definition, context=settings))
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            if disclosed:
                builder.add_ingredient(ingredient, parent_kind, stack.enter_context(parent.open("rb")))
            if not credentials.embeds(destination):
                builder.set_no_embed()
            signer = stack.enter_context(identity.signer())
            source = stack.enter_context(unsigned.open("rb"))
            target = stack.enter_context(destination.open("w+b"))
            manifest = builder.sign(signer, kind, source, target)
            target.flush()
            os.fsync(target.fileno())
    except c2pa.C2paError as error:
        raise MarkError(
            f"The render could not be signed ({error}), so there is no output. Check the disk's space and the signing "
            "identity, and run the same command again."
        ) from error
    return bytes(manifest)


def _check(written: Path, kind: str, identity: Signs) -> None:
    """Read back what is on the disk: a file is given out only when its credentials hold."""
    try:
        store = credentials.read_store(written, identity.authority_pem, kind=kind)
    except c2pa.C2paError as error:
        raise MarkError(f"The signed render cannot be read back ({error}), so there is no output.") from error
    if store is None or store.get("validation_state") != "Trusted":
        codes = sorted(credentials.failure_codes((store or {}).get("validation_results")))
        raise MarkError(
            f"The signed render does not verify ({', '.join(codes) or 'no credentials'}), so there is no output. "
            "If the signing certificate has expired, renew it; otherwise run the same command again."
        )
