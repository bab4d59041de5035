"""``countenance consent challenge`` and ``capture``: the lender's face, measured in a clip that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countenance.commands.terminal import Command, answer, json_option, lender_option, progress_bar, project_option
from countenance.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.project import Project

__all__ = ["capture", "challenge"]


@click.command(cls=Command, short_help="Draw what the lender does before a camera.")
@lender_option
@project_option
@json_option
def challenge(lender: str, open_project: Callable[[], Project], as_json: bool) -> None:
    """Draw what the lender is to do before a camera: head turns, blinks, digits to read aloud. Good for 30 minutes.

    \b
    Example:
      countenance consent challenge --lender vera
    """
    from countenance import api_consent

    files = api_consent.consent_challenge(open_project(), lender)
    asked = files.challenge
    cards = [f"  {number}. {action.card}" for number, action in enumerate(asked.actions, 1)]
    told = [
        f"Film {lender} doing this in one go, looking ahead for a second before, between and after:",
        *cards,
        f"Until {asked.expires:%H:%M} UTC: countenance consent capture --lender {lender} --clip FILE",
        f"The cards to show: {files.page}",
    ]
    facts = {"path": files.path, "page": files.page, "sha256": asked.sha256, **asked.to_json()}
    answer({"challenge": facts}, "\n".join(told), as_json=as_json)


@click.command(cls=Command, short_help="Verify the clip, and enrol the face in it.")
@lender_option
@click.option("--clip", metavar="FILE", type=click.Path(path_type=Path), help="The film that answers the challenge.")
@click.option("--camera", type=int, metavar="N", help="Film now, with camera N (0 is the first); without sound.")
@click.option("--challenge", metavar="FILE", type=click.Path(path_type=Path), help="Another one than the last.")
@click.option("--again", is_flag=True, help="Replace the template; a record about the old one does not hold any more.")
@project_option
@json_option
def capture(
    lender: str,
    clip: Path | None,
    camera: int | None,
    challenge: Path | None,
    again: bool,
    open_project: Callable[[], Project],
    as_json: bool,
) -> None:
    """Verify that a clip answers its challenge, and enrol the face in it. Each challenge holds for one clip.

    \b
    Examples:
      countenance consent capture --lender vera --clip vera.mp4
      countenance consent capture --lender vera --camera 0
    """
    from countenance import api_consent

    if (clip is None) == (camera is None):
        raise InputError("Give either a film with --clip or a camera with --camera.")
    project = open_project()
    path = clip if clip is not None else _film(project, lender, challenge, camera or 0)
    with progress_bar("Looking at the clip, seconds") as bar:
        done = api_consent.consent_capture(project, lender, path, challenge=challenge, again=again, progress=bar)
    told = (
        f"Enrolled {lender} from {done.template.count} faces of the clip (apparent age "
        f"{done.template.apparent_age:.0f} years): {done.template_path}\nEvidence: {done.evidence_path}. Keep the clip "
        "beside it: that the digits were read is for a witness to hear."
    )
    facts = {"template": done.template_path, "evidence": done.evidence_path, "clip": path, **done.evidence}
    answer({"capture": facts}, told, as_json=as_json)


def _film(project: Project, lender: str, challenge: Path | None, number: int) -> Path:
    """Film the answer into the lender's folder, with the cards on the terminal."""
    from countenance.consent.camera import film, open_camera
    from countenance.consent.challenge import read_challenge

    folder = project.person_dir(lender)
    asked = read_challenge(challenge or folder / "challenge.json")
    path = folder / f"capture-{asked.id[:8]}.mkv"
    film(asked, path, open_camera(number), lambda card: click.echo(f"\n    {card}\a", err=True))
    return path
