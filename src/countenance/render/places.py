"""Where outputs go: what can be known to fail before any work, and how finished ones get their names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from countenance.atomic import output_error, sync_folder
from countenance.errors import MediaError, OutputError
from countenance.render.outputs import review_path

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.conversion.settings import ConvertSettings
    from countenance.render.outputs import Extras

__all__ = ["check_paths", "publish", "publish_folder", "remove_stale"]


def check_paths(footage: Path, output: Path, settings: ConvertSettings, extras: Extras, *, overwrite: bool) -> None:
    """Find out what cannot work before minutes are spent on it.

    Raises:
        MediaError: there is no footage.
        OutputError, MarkError: an output cannot go where it should.
    """
    from countenance.media.codecs import encoder_for
    from countenance.provenance.sign import refuse_shared_sidecar

    if not footage.is_file():
        raise MediaError(f"There is no video {footage}. Check the name.")
    encoder_for(output, settings.codec, settings.encoder)
    _check_file(footage, output, overwrite=overwrite)
    refuse_shared_sidecar(output)
    if extras.review:
        _check_file(footage, review_path(output), overwrite=overwrite)
    if extras.patches is not None:
        _check_folder(extras.patches, output)
        if extras.patch_format == "exr":
            from countenance.render.pictures import require_exr

            require_exr()


def _check_file(footage: Path, output: Path, *, overwrite: bool) -> None:
    if output.exists() and output.samefile(footage):
        raise OutputError(f"{output} is the footage itself, which is never overwritten. Choose another name.")
    if output.is_dir():
        raise OutputError(f"{output} is a folder. Give the name of a file.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} is there already. Choose another name, or replace it with --overwrite.")
    if not output.parent.is_dir():
        raise OutputError(f"There is no folder {output.parent}. Make it, or choose another place.")


def _check_folder(folder: Path, output: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is no folder. Give the name of a new folder for the patches.")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} is there already, and a folder is never overwritten. Choose another name.")
    if not folder.name or not folder.parent.is_dir():
        raise OutputError(f"There is no folder {folder.parent}. Make it, or choose another place.")
    if folder.absolute() in (output.absolute(), review_path(output).absolute()):
        raise OutputError(f"{folder} cannot be both a clip and the folder of its patches. Choose another name.")


def publish(signed: Path, output: Path) -> None:
    """Give a signed and logged file its name; its credentials first, where they lie beside it.

    Were the power to fail in between, there would be credentials without a video, never a video without credentials.
    """
    from countenance.provenance.credentials import embeds, sidecar_path

    try:
        if not embeds(output):
            sidecar_path(signed).replace(sidecar_path(output))
        signed.replace(output)
    except OSError as error:
        raise output_error(output, error) from error
    sync_folder(output.parent)


def publish_folder(made: Path, folder: Path) -> None:
    """Give a finished folder its name, which must be free or an empty folder's."""
    try:
        if folder.is_dir() and os.name == "nt":
            folder.rmdir()  # elsewhere an empty folder is replaced
        made.rename(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    sync_folder(folder.parent)


def remove_stale(path: Path) -> None:
    """Remove what an earlier run left under the name of an output that this run has no use for."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
