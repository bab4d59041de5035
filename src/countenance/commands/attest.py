"""``countenance attest``."""

from __future__ import annotations

from pathlib import Path

import click

from countenance.commands.terminal import Command, answer, json_option, progress_bar

__all__ = ["attest"]


@click.command(cls=Command, short_help="Sign a recording together with a written account.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--statement",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Your account, plain text or Markdown.",
)
@click.option("--as", "name", required=True, metavar="NAME", help="The identity that you sign as.")
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="The copy; RECORDING.attested if not given."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@json_option
def attest(recording: Path, statement: Path, name: str, output: Path | None, overwrite: bool, as_json: bool) -> None:
    """Sign a video, photo or sound recording together with your written account, into a new file.

    A video counts only when somebody stands behind it. Your account is in the copy for everybody to read, with your
    name, and a hash of every frame: `countenance verify` shows whether one changed since. The recording stays as it is.
    Nobody can take an account back from the copies that others have. A face replacement cannot be attested.

    \b
    Examples:
      countenance identity new "Ida Holm"
      countenance attest square.mp4 --statement account.md --as "Ida Holm"
    """
    from countenance import api

    with progress_bar("Reading") as bar:
        done = api.attest(recording, statement=statement, name=name, output=output, overwrite=overwrite, progress=bar)
    tracks = [{"kind": track.kind, "parts": track.parts} for track in done.account.tracks]
    facts = {
        "output": done.output,
        "sidecar": done.sidecar,
        "text_sha256": done.account.text_sha256,
        "recording_sha256": done.account.recording_sha256,
        "made_at": done.account.made_at.isoformat(),
        "recording_credentials": done.recording_credentials,
        "tracks": tracks,
    }
    beside = "" if done.sidecar is None else f" Its credentials are in {done.sidecar}: keep the two together."
    answer({"attested": facts}, f"Wrote {done.output}, with your account and your name in it.{beside}", as_json=as_json)
