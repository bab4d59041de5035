"""What a render is called where nobody named it, and whether a name that somebody chose tells of the footage."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from countenance.project import Project

__all__ = ["default_output", "told_of_names"]

_KEPT_SUFFIXES = (".mov", ".mkv")
_TELLING_LETTERS = 3  # "a" is in many names, and says nothing
_DIGITS = 12  # 48 bits: by chance alike once in millions of renders of one project


def default_output(project: Project, footage: Path, lender: str, performer: str) -> Path:
    """Where a render goes when nobody said: into ``renders/``, called after the footage, or neutrally.

    Footage is often called after whom it shows. So the render of a hidden witness is called ``render-`` and digits that
    follow, by the project's key, from the footage's name and size and the two people: an interrupted render is found
    again, other footage has other digits, and without the key they tell nothing.

    Args:
        project: the work.
        footage: it need not exist.
        lender: whose face is shown.
        performer: whose face is replaced.

    Raises:
        ProjectError: the project's key is needed and cannot be opened.
    """
    suffix = footage.suffix.lower() if footage.suffix.lower() in _KEPT_SUFFIXES else ".mp4"
    if not project.hides_footage(performer):
        return project.renders_dir / f"{footage.stem}{suffix}"
    size = footage.stat().st_size if footage.is_file() else 0
    facts = json.dumps([_one_spelling(footage.name), size, lender, performer]).encode()
    return project.renders_dir / f"render-{project.key().derive(facts, 'name of a render').hex()[:_DIGITS]}{suffix}"


def told_of_names(footage: Path, outputs: Iterable[Path]) -> str | None:
    """One sentence where names that the user chose contain the footage's; None where none does.

    Args:
        footage: of a hidden witness.
        outputs: files and folders.
    """
    stem = _one_spelling(footage.stem)
    telling = [output.name for output in outputs if stem in _one_spelling(output.name)]
    if not telling or len(stem) < _TELLING_LETTERS:
        return None
    return (
        f"{' and '.join(telling)}: the name contains that of the footage, which shows a hidden witness. Rename it "
        "before it leaves this computer; without -o a render gets a neutral name."
    )


def _one_spelling(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
