"""Attest a recording: sign it together with a written account, into a new file."""

from __future__ import annotations

import mmap
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from countenance.atomic import output_error, replacing
from countenance.digest import file_sha256
from countenance.errors import InputError, MediaError, OutputError
from countenance.provenance import credentials
from countenance.provenance.account import Account, account_manifest
from countenance.provenance.fingerprint import is_sound, measure
from countenance.provenance.manifest import footage_ingredient
from countenance.provenance.sign import SignerOf, check_signed, footage_credentials, refuse_shared_sidecar, sign_stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.progress import Progress
    from countenance.provenance.sign import Signs

__all__ = ["Attested", "attest_file"]

_NO_RECORDING = (b"org.countenance.consent", b"rainedAlgorithmicMedia")
"""What the credentials of a picture say that a trained model painted: our own words, and those of IPTC (also for a
part of it)."""


@dataclass(frozen=True, slots=True)
class Attested:
    """An attested recording: the ``output``, its credentials at ``sidecar`` where they are beside it, what it states,
    and whether the recording's own credentials held (``none``, ``intact``, ``broken``, ``unreadable``).
    """

    output: Path
    sidecar: Path | None
    account: Account
    recording_credentials: str


def _utc_now() -> datetime:
    return datetime.now(UTC)


def attest_file(
    recording: Path,
    text: str,
    output: Path,
    identity: Signs,
    *,
    overwrite: bool = False,
    secret: bytes | None = None,
    clock: Callable[[], datetime] = _utc_now,
    progress: Progress | None = None,
) -> Attested:
    """Sign a recording together with an account, into a new file; the recording stays as it is.

    The picture and sound of the new file are those of the recording, bit for bit; the recording's own credentials, a
    camera's for example, come along as those of its parent.

    Args:
        recording: a video, a photo or a file of sound, as it came from the camera.
        text: the account (see :func:`countenance.provenance.account.written_account`).
        output: of the same suffix; MKV and WebM have the credentials beside them as ``.c2pa``.
        identity: who signs.
        overwrite: replace an output that is there.
        secret: of this installation's secret watermarks: a render of its own is known by that, too.
        clock: what time it is, aware.
        progress: told the number of frames that were read.

    Raises:
        MediaError: the recording cannot be read from end to end.
        InputError: it is of a kind that cannot carry credentials, or a picture that a model painted: such a one is no
            camera footage, whoever stands behind it.
        MarkError: it could not be signed.
        OutputError: the output is there, or cannot be written.
    """
    kind = _checked_kind(recording, output, overwrite=overwrite)
    _refuse_painted(recording, secret)
    digest = file_sha256(recording)
    tracks = measure(recording, progress)
    account = Account(text, clock().astimezone(UTC).replace(microsecond=0), digest, tracks)
    held = footage_credentials(recording)
    with ExitStack() as files:
        beside = credentials.sidecar_path(output)
        embedded = credentials.embeds(output)
        temporary = files.enter_context(replacing(output))
        sidecar = None if embedded else files.enter_context(replacing(beside))
        # What cannot be read beside a recording is none of it; what cannot be read inside is.
        along = held in ("intact", "broken") or (embedded and held == "unreadable")
        manifest = _signed(recording, temporary, kind, account, identity, recording if along else None)
        if sidecar is not None:
            sidecar.write_bytes(manifest)
            credentials.sidecar_path(temporary).write_bytes(manifest)
        try:
            check_signed(temporary, kind, identity)
        finally:
            if sidecar is not None:
                credentials.sidecar_path(temporary).unlink()
        if file_sha256(recording) != digest:
            raise MediaError(f"{recording} changed while it was read. Run the same command again.")
    return Attested(output, None if embedded else beside, account, held)


def _signed(
    recording: Path, target: Path, kind: str, account: Account, identity: Signs, disclosed: Path | None
) -> bytes:
    ingredient = footage_ingredient(kind) | {"title": "Recording"}
    try:
        with recording.open("rb") as source, target.open("w+b") as stream:
            embedded = credentials.embeds(recording)
            definition = account_manifest(account, kind)
            signer = SignerOf(identity, timestamp=True)
            return sign_stream(source, stream, kind, definition, ingredient, signer, embedded, disclosed)
    except OSError as error:
        raise output_error(target, error) from error


def _checked_kind(recording: Path, output: Path, *, overwrite: bool) -> str:
    from countenance.media.opening import check_regular_file
    from countenance.media.read import VIDEO_SUFFIXES, is_photo

    check_regular_file(recording, "recording")
    kind = credentials.media_type(recording)
    readable = recording.suffix.lower() in VIDEO_SUFFIXES or is_photo(recording) or is_sound(recording)
    if kind is None or not readable:
        raise InputError(
            f"{recording.name}: files of this kind cannot be attested. Give MP4, MOV, MKV, WebM, AVI, JPEG, PNG, TIFF, "
            "WebP, WAV, MP3 or M4A, as the camera wrote it."
        )
    if output.suffix.lower() != recording.suffix.lower():
        raise InputError(f"The output is a copy of the recording: name it with the suffix {recording.suffix}.")
    if output.exists() and recording.samefile(output):
        raise OutputError(f"{output} is the recording itself, which stays as it is. Choose another output.")
    for path in (output, *(() if credentials.embeds(output) else (credentials.sidecar_path(output),))):
        if path.exists() and not overwrite:
            raise OutputError(f"{path} is there already. Choose another name, or replace it with --overwrite.")
    refuse_shared_sidecar(output)
    return kind


def _refuse_painted(recording: Path, secret: bytes | None) -> None:
    """Raise InputError where a picture says, or shows by its watermark, that a face was replaced or a model painted."""
    from countenance.provenance.watermark import find_watermark, frames_to_search

    beside = credentials.sidecar_path(recording)
    for path in (recording, *((beside,) if not credentials.embeds(recording) and beside.is_file() else ())):
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if any(data.find(word) >= 0 for word in _NO_RECORDING):
                raise InputError(
                    f"{recording.name} says in its credentials that a trained model painted it or a part of it, such "
                    "as a replaced face. It cannot be attested as camera footage."
                )
    if not is_sound(recording) and find_watermark(frames_to_search(recording), secret).traces:
        raise InputError(
            f"{recording.name} carries the watermark of a face replacement. It cannot be attested as camera footage."
        )
