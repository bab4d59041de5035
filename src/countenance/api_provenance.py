"""The part of the Python API that is about accounts, registers and destruction; see :mod:`countenance.api`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.errors import InputError, MediaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.api_consent import AnyPath, AnyProject
    from countenance.forgetting import Forgotten
    from countenance.progress import Progress
    from countenance.provenance.attest import Attested
    from countenance.provenance.identity import SigningIdentity
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.register import Registered
    from countenance.provenance.register_server import RegisterServer

__all__ = [
    "RegisteredRender",
    "attest",
    "forget",
    "register_add",
    "register_export",
    "register_list",
    "register_serve",
]


@dataclass(frozen=True, slots=True)
class RegisteredRender:
    """A render in a register: its ``watermark`` in hex, the ``sha256`` of its file, and what it states; ``signer`` is
    the name in the certificate. ``claim`` is None where its manifest does not hold any more.
    """

    watermark: str
    sha256: str
    claim: RenderClaim | None
    signer: str | None


def attest(
    recording: AnyPath,
    *,
    statement: AnyPath,
    name: str,
    output: AnyPath | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Attested:
    """Sign a recording together with a written account under one's own name, into a new file.

    Args:
        recording: a video, a photo or a file of sound, as it came from the camera; it stays as it is.
        statement: a text file: what was seen, when, where, and how the signer knows.
        name: an identity on this computer (``countenance identity new NAME``), or the organisation that it signs as.
        output: where the signed copy goes; ``clip.attested.mp4`` beside ``clip.mp4`` when None.
        overwrite: replace an output that is there.
        progress: told the number of frames that were read.

    Raises:
        InputError: no such identity; the account is too long or no text; or the recording is a face replacement.
        MediaError: the recording cannot be read.
        MarkError, OutputError: it could not be signed or written.
    """
    from countenance.project import user_data_dir
    from countenance.provenance.account import ACCOUNT_LIMIT, written_account
    from countenance.provenance.attest import attest_file
    from countenance.provenance.identities import signer_named
    from countenance.provenance.identity import watermark_secret

    source = Path(recording)
    if not source.is_file():
        raise MediaError(f"There is no file {source}. Check the name and the folder.")
    identity = signer_named(user_data_dir(), name)
    path = Path(statement)
    try:
        with path.open("rb") as stream:
            data = stream.read(ACCOUNT_LIMIT + 1)
    except OSError as error:
        raise InputError(f"The account {path} cannot be read ({error.strerror or error}). Check its name.") from error
    target = source.with_name(f"{source.stem}.attested{source.suffix}") if output is None else Path(output)
    text = written_account(data, f"The account {path.name}")
    secret = watermark_secret(user_data_dir())
    return attest_file(source, text, target, identity, overwrite=overwrite, secret=secret, progress=progress)


def forget(
    project: AnyProject, person: str, *, renders: bool = False, identity: SigningIdentity | None = None
) -> Forgotten:
    """Destroy everything of a person in a project: faces, enrolled template, models of every pair, previews.

    It asks nothing, and cannot be undone; :func:`countenance.forgetting.plan_to_forget` tells beforehand what goes.
    Interrupted, the same call goes on, and until it is done the gate refuses all work with this person. See
    :func:`countenance.forgetting.forget`, also for what it raises.

    Args:
        project: where; nothing outside its folder is touched.
        person: a lender or a performer.
        renders: the person's finished renders in ``renders/`` too.
        identity: who signs the certificate; this installation when None.
    """
    from countenance.api_consent import opened_project
    from countenance.forgetting import forget as destroy
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity

    signer = identity or SigningIdentity.load_or_create(user_data_dir())
    return destroy(opened_project(project), person, signer, renders=renders)


def register_add(folder: AnyPath, files: Sequence[AnyPath]) -> list[RegisteredRender]:
    """Enter signed renders into the register of a folder; renders of a project are in its own already.

    See :meth:`countenance.provenance.register.Register.add`, also for what it raises.
    """
    from countenance.provenance.register import Register

    register = Register(Path(folder))
    return [_told(register.add(Path(file))) for file in files]


def register_list(folder: AnyPath) -> list[RegisteredRender]:
    """What is in the register of a folder (raises IntegrityError, OutputError)."""
    from countenance.provenance.register import Register

    return [_told(entry) for entry in Register(Path(folder)).entries()]


def register_export(folder: AnyPath, output: AnyPath) -> int:
    """Write a register's answers as files that any web server can serve; gives the number of watermarks.

    See :meth:`countenance.provenance.register.Register.export`, also for what it raises.
    """
    from countenance.provenance.register import Register

    return Register(Path(folder)).export(Path(output))


def register_serve(folder: AnyPath, *, host: str = "127.0.0.1", port: int = 0) -> RegisterServer:
    """Serve the register of a folder, read-only, while the value is used as a context manager.

    Args:
        folder: of the register.
        host: address to listen on.
        port: 0 lets the system choose one; see ``address`` of the value.

    Raises:
        InputError: the address cannot be listened on.
    """
    from countenance.provenance.register import Register
    from countenance.provenance.register_server import RegisterServer

    return RegisterServer(Register(Path(folder)), host=host, port=port)


def _told(entry: Registered) -> RegisteredRender:
    try:
        claim, signer, _ = entry.claim()
    except ValueError:
        return RegisteredRender(entry.watermark, entry.sha256, None, None)
    return RegisteredRender(entry.watermark, entry.sha256, claim, signer)
