"""What training and the consent gate ask of a face set."""

from __future__ import annotations

import secrets
import shlex
from typing import TYPE_CHECKING

import numpy as np

from countenance.consent.ledger import Ledger
from countenance.errors import FaceSetError, NoFaceError
from countenance.faceset.crops import averaged
from countenance.faceset.records import FaceArrays
from countenance.geometry import CROP_SIZE
from countenance.perception.screen import require_adult, require_decent

if TYPE_CHECKING:
    from countenance.faceset.store import FaceSet
    from countenance.perception.identity import FaceEmbedder
    from countenance.perception.perceive import Perception
    from countenance.project import Project
    from countenance.types import Float32

__all__ = [
    "MINIMUM_FACES",
    "note_newest",
    "reembed",
    "require_crops",
    "require_enough",
    "require_newest",
    "require_not_destroyed",
    "screen_faces",
]

_SCREENED_FACES = 40  # of each person: a median over these, and any one of them, refuse
_NAMED_SOURCES = 4  # in a sentence; hundreds of photos would be none

MINIMUM_FACES = 20
"""Fewer kept faces than this teach a model nothing that it could use."""


def require_enough(faceset: FaceSet, minimum: int = MINIMUM_FACES) -> int:
    """Refuse a face set with too few faces; gives their number.

    Raises:
        NoFaceError: fewer than ``minimum`` faces are kept; the message says what to film, or that an interrupted
            extraction must be finished first.
    """
    counts = faceset.counts()
    if counts.kept >= minimum:
        return counts.kept
    person = faceset.path.parent.name
    have = f"There {'is 1 usable face' if counts.kept == 1 else f'are {counts.kept} usable faces'} of {person}"
    unfinished = [source.name for source in faceset.sources() if source.state != "done"]
    if counts.pending and unfinished:
        raise NoFaceError(
            f"{have}, at least {minimum} are needed, and the extraction of {', '.join(unfinished[:3])} was "
            "interrupted. Run the same `countenance extract` command again; it continues where it stopped."
        )
    why = next(iter(counts.rejected), None)
    most = f" (most others were rejected: {why})" if why and counts.rejected_in_all > counts.kept else ""
    raise NoFaceError(
        f"{have} and at least {minimum} are needed{most}. Film about 20 seconds of this person from near by in even "
        "light, talking, blinking, and looking left, right, up and down, and extract that too."
    )


def require_crops(faceset: FaceSet, crop_size: int) -> None:
    """Refuse a face set whose crops are smaller than ``crop_size``; larger ones can be averaged down.

    Raises:
        FaceSetError: they are; the message says which command to run.
    """
    if faceset.crop_size < crop_size:
        person = faceset.path.parent.name
        names = [source.name for source in faceset.sources()]
        sources = shlex.join(names) if 0 < len(names) <= _NAMED_SOURCES else "CLIP..."
        raise FaceSetError(
            f"The face set of {person} holds crops of {faceset.crop_size} pixels, and this model needs {crop_size}. "
            f"Delete {faceset.path} and run: countenance extract {sources} --person {person} --crop {crop_size}"
        )


def note_newest(project: Project, faceset: FaceSet) -> None:
    """Enter into the ledger which faces are kept now, unless that is what it says already.

    Raises:
        LedgerError, OutputError: the ledger cannot be written.
    """
    person, kept = faceset.path.parent.name, faceset.kept_sha256()
    known = _noted(project, person)
    if known != kept and (known is not None or faceset.counts().kept):
        Ledger(project.ledger_path).append("faces", {"person": person, "kept_sha256": kept})


def require_newest(project: Project, faceset: FaceSet) -> None:
    """Refuse a face set that holds other faces than the last extraction left: an older file that was put back.

    A face set that the ledger knows nothing of is as it is: it was made before this was noted.

    Raises:
        FaceSetError: it is another one, or everything of this person was destroyed since.
        LedgerError: the ledger cannot be read.
    """
    if require_not_destroyed(project, faceset) not in (None, faceset.kept_sha256()):
        raise FaceSetError(
            f"The face set {faceset.path} is not the one that the last extraction left: an older one was put back, or "
            "the extraction was interrupted at its very end. Put the newest back, or run the same `countenance "
            "extract` command again and look through the faces."
        )


def require_not_destroyed(project: Project, faceset: FaceSet) -> str | None:
    """Refuse a face set of somebody whose everything was destroyed after it was made.

    Returns:
        The hash of the kept faces by the ledger; None where it says nothing of them.

    Raises:
        FaceSetError: it was, and this is a copy that was put back.
    """
    person = faceset.path.parent.name
    noted = _noted(project, person)
    if noted == _DESTROYED:
        raise FaceSetError(
            f"Everything of {person} was destroyed, and {faceset.path} is from before that. Delete it; to work with "
            f"{person} again, extract the faces anew."
        )
    return noted


_DESTROYED = "destroyed"


def _noted(project: Project, person: str) -> str | None:
    """What the ledger last said of a person's face set: hash of the kept faces, or that it was destroyed."""
    noted = None
    for entry in Ledger(project.ledger_path).entries():
        if entry.facts.get("person") == person:
            if entry.kind == "faces":
                noted = str(entry.facts["kept_sha256"])
            elif entry.kind == "destruction" and entry.facts.get("stage") == "done":
                noted = _DESTROYED
    return noted


def reembed(faces: FaceSet | FaceArrays, embedder: FaceEmbedder) -> Float32:
    """Identity vectors computed from the stored pixels themselves, for the consent gate.

    Stored embeddings prove nothing, since whoever can edit the file can edit them; these are of the very pixels that a
    model would learn.

    Args:
        faces: a face set, whose kept faces are meant, or faces that were loaded from one.
        embedder: the network, for example ``Perception().embedder``.

    Returns:
        float32 ``(N, 128)`` of unit length, in the order of ``FaceSet.load()``.

    Raises:
        FaceSetError: the face set is damaged, or a crop has no identity at all.
    """
    arrays = faces if isinstance(faces, FaceArrays) else faces.load("kept", crop_size=CROP_SIZE)
    vectors = np.zeros((len(arrays), 128), np.float32)
    for row in range(len(arrays)):
        try:
            # The network's thresholds were measured on crops of this side, and extraction embeds them.
            face = averaged(arrays.aligned(row), CROP_SIZE)
            vectors[row] = embedder(face.rgb, face.landmarks)
        except ValueError as error:
            raise FaceSetError(
                f"Face {int(arrays.ids[row])} of the face set shows nobody ({error}). Delete the face set and extract "
                "the faces again."
            ) from error
    return vectors


def screen_faces(name: str, faces: FaceArrays, perception: Perception) -> None:
    """Screen the very pixels that training or conversion uses; what extraction noted could have been edited.

    Forty faces are looked at, each drawn by chance from its own fortieth of the set: spread over all sources, and
    nobody who prepares a file can know which.

    Args:
        name: whose faces, for messages.
        faces: as they were loaded.
        perception: its ``screen`` and ``age`` are used.

    Raises:
        SexualContentError, MinorError: the rule that refuses them.
    """
    edges = np.linspace(0, len(faces), min(len(faces), _SCREENED_FACES) + 1).astype(int)
    rows = (
        low + secrets.randbelow(high - low) for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    )
    # As large as extraction has screened them.
    seen = [averaged(faces.aligned(row), CROP_SIZE) for row in rows]
    require_decent((perception.screen(face.rgb) for face in seen), f"The face set of {name}")
    ages = (perception.age(face.rgb, face.landmarks) for face in seen)
    require_adult(ages, f"The person in the face set of {name}")
