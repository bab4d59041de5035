"""The part of the Python API that is about accounts and registers; see :mod:`countenance.api`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import InputError

if TYPE_CHECKING:
    from countenance.api_consent import AnyPath
    from countenance.provenance.attest import Attested

__all__ = ["attest"]


def attest(
    recording: AnyPath, *, statement: AnyPath, name: str, output: AnyPath | None = None, overwrite: bool = False
) -> Attested:
    """Sign a recording together with a written account under one's own name, into a new file.

    Args:
        recording: a video, a photo or a file of sound, as it came from the camera; it stays as it is.
        statement: a text file: what was seen, when, where, and how the signer knows.
        name: an identity on this computer (``countenance identity new NAME``).
        output: where the signed copy goes; ``clip.attested.mp4`` beside ``clip.mp4`` when None.
        overwrite: replace an output that is there.

    Raises:
        InputError: no such identity; the account is too long or no text; or the recording is a face replacement.
        MediaError: the recording cannot be read.
        MarkError, OutputError: it could not be signed or written.
    """
    from countenance.project import user_data_dir
    from countenance.provenance.account import ACCOUNT_LIMIT, written_account
    from countenance.provenance.attest import attest_file
    from countenance.provenance.identities import identity_named

    source = Path(recording)
    identity = identity_named(user_data_dir(), name).load()
    path = Path(statement)
    try:
        with path.open("rb") as stream:
            data = stream.read(ACCOUNT_LIMIT + 1)
    except OSError as error:
        raise InputError(f"The account {path} cannot be read ({error.strerror or error}). Check its name.") from error
    target = source.with_name(f"{source.stem}.attested{source.suffix}") if output is None else Path(output)
    return attest_file(source, written_account(data, f"The account {path.name}"), target, identity, overwrite=overwrite)
