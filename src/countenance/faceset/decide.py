"""Decides, once all sources are read, whose faces these are, and screens how old they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from countenance.errors import MinorError, NoFaceError
from countenance.faceset.curate import Identity, identities
from countenance.faceset.records import Vectors
from countenance.geometry import CROP_SIZE
from countenance.perception.identity import EMBEDDER_ID, SAME_PERSON_COSINE
from countenance.perception.screen import require_adult
from countenance.types import FaceLandmarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.faceset.records import SourceRecord
    from countenance.faceset.store import FaceSet
    from countenance.perception.perceive import Perception
    from countenance.types import Float32

__all__ = ["AGES_A_SOURCE", "decide"]

AGES_A_SOURCE = 32
"""Faces of a source whose apparent age is estimated, evenly over its length: one estimate may be ten years off."""

_AGES_TO_STAND_ALONE = 5  # a source with fewer estimates is judged together with the others only
_AMBIGUOUS = 0.5  # of the largest identity's faces


class _Choice(NamedTuple):
    """Which pending faces are the person's, bool ``(N,)``, the person's centre, and what to tell the user."""

    chosen: NDArray[np.bool_]
    centre: Float32
    notes: list[str]


def decide(faceset: FaceSet, perception: Perception, person: str, like: Float32 | None) -> list[str]:
    """Turn the pending faces of sources that were read to their end into kept ones or wrong persons.

    Whose face set it is, is decided once: by ``like``, else it is the identity with the most faces. Later sources are
    held against that.

    Args:
        faceset: the face set; it is written in one transaction.
        perception: its ``age`` is used.
        person: name for messages.
        like: embedding of a photo of the person.

    Returns:
        Sentences for the user.

    Raises:
        NoFaceError: no usable face at all, or nobody is like the photo; the sources were dropped again.
        MinorError: the person appears under age; the sources were dropped again.
    """
    read = [source for source in faceset.sources() if source.state == "read"]
    if not read:
        return []
    try:
        return _decide(faceset, perception, person, like, read)
    except (NoFaceError, MinorError):
        with faceset.transaction():
            for source in read:
                faceset.drop_source(source.id)
        raise


def _decide(
    faceset: FaceSet, perception: Perception, person: str, like: Float32 | None, read: Sequence[SourceRecord]
) -> list[str]:
    pending = _pending_of(faceset, read)
    if not len(pending.ids):
        raise _no_face(faceset, read)
    choice = _choose(pending.embeddings, faceset.anchor(), like)
    if not choice.chosen.any():
        raise NoFaceError(
            f"None of the {len(pending.ids)} faces in {_names(read)} is {person}'s. Give material that shows this "
            "person, or another --like photo, frontal and sharp."
        )
    ids, source_ids = pending.ids[choice.chosen], pending.source_ids[choice.chosen]
    ages = _estimate_ages(faceset, perception, ids, source_ids)
    _require_adults(faceset, person, read, ids, source_ids, ages)
    with faceset.transaction():
        faceset.keep([int(face) for face in ids], ages)
        faceset.turn_away([int(face) for face in pending.ids[~choice.chosen]])
        faceset.finish_sources([source.id for source in read])
        faceset.set_identity(choice.centre if faceset.anchor() is None else None, EMBEDDER_ID)
    without = [source for source in read if source.id not in set(source_ids.tolist())]
    if without:
        choice.notes.append(f"No usable face of {person} was found in {_names(without)}.")
    return choice.notes


def _pending_of(faceset: FaceSet, read: Sequence[SourceRecord]) -> Vectors:
    everything = faceset.vectors("pending")
    ours = np.isin(everything.source_ids, [source.id for source in read])
    return Vectors(everything.ids[ours], everything.source_ids[ours], everything.embeddings[ours])


def _choose(embeddings: Float32, anchor: Float32 | None, like: Float32 | None) -> _Choice:
    notes: list[str] = []
    if anchor is not None:
        chosen = embeddings @ anchor >= SAME_PERSON_COSINE
        if others := int((~chosen).sum()):
            notes.append(_turned_away(others))
        return _Choice(chosen, anchor, notes)
    people = identities(embeddings, SAME_PERSON_COSINE)
    chosen = np.zeros(len(embeddings), bool)
    if like is not None:
        people.sort(key=lambda one: -float(one.centre @ like))
        people = people if people and float(people[0].centre @ like) >= SAME_PERSON_COSINE else []
    if not people:
        return _Choice(chosen, np.zeros(embeddings.shape[1], np.float32), notes)
    chosen[people[0].members] = True
    if like is None:
        notes += _ambiguity(people)
    if others := int((~chosen).sum()):
        notes.append(_turned_away(others))
    return _Choice(chosen, people[0].centre, notes)


def _turned_away(others: int) -> str:
    return f"{others} face{'s' if others > 1 else ''} of other people {'were' if others > 1 else 'was'} turned away."


def _ambiguity(people: Sequence[Identity]) -> list[str]:
    first, rivals = len(people[0].members), [len(one.members) for one in people[1:]]
    if not rivals or rivals[0] < _AMBIGUOUS * first:
        return []
    return [
        f"More than one person is seen often ({first} faces of one, {rivals[0]} of another); the one with the most "
        "faces was taken. If that is the wrong one, delete the face set and extract again with --like PHOTO."
    ]


def _estimate_ages(
    faceset: FaceSet, perception: Perception, ids: NDArray[np.int64], source_ids: NDArray[np.int64]
) -> dict[int, float]:
    """Apparent ages in years by face, of up to :data:`AGES_A_SOURCE` faces a source."""
    ages: dict[int, float] = {}
    for source in np.unique(source_ids):
        of_source = ids[source_ids == source]
        picked = np.unique(np.linspace(0, len(of_source) - 1, min(len(of_source), AGES_A_SOURCE)).round().astype(int))
        faces = faceset.load_some([int(face) for face in of_source[picked]], crop_size=CROP_SIZE)
        for row, face in enumerate(faces.ids):
            marks = FaceLandmarks(
                faces.landmarks_xy[row], faces.depth[row], faces.blendshapes[row], float(faces.presence[row])
            )
            ages[int(face)] = perception.age(faces.rgb[row], marks)
    return ages


def _require_adults(
    faceset: FaceSet,
    person: str,
    read: Sequence[SourceRecord],
    ids: NDArray[np.int64],
    source_ids: NDArray[np.int64],
    ages: dict[int, float],
) -> None:
    """Median over each source with enough estimates, then over all faces of the person, old ones too."""
    for source in read:
        of_source = [ages[int(face)] for face in ids[source_ids == source.id] if int(face) in ages]
        if len(of_source) >= _AGES_TO_STAND_ALONE:
            require_adult(of_source, f"The face in {source.name}")
    before = [record.apparent_age for record in faceset.records("kept") if record.apparent_age is not None]
    require_adult([*before, *ages.values()], f"The face of {person}")


def _no_face(faceset: FaceSet, read: Sequence[SourceRecord]) -> NoFaceError:
    ours = {source.id for source in read}
    reasons: dict[str, int] = {}
    for record in faceset.records("rejected"):
        if record.source_id in ours and record.reason:
            reasons[record.reason] = reasons.get(record.reason, 0) + 1
    ask = "Film one person from the front, near enough that the face fills a third of the picture, in even light."
    if not reasons:
        return NoFaceError(f"No face was found in {_names(read)}. {ask}")
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
    return NoFaceError(f"No usable face was found in {_names(read)} ({why}). {ask}")


def _names(sources: Sequence[SourceRecord]) -> str:
    names = [source.name for source in sources]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
