"""From videos and photos to a person's face set. Interrupted, it continues; finished, it skips."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np

from countenance.allocator import keep_freed_memory
from countenance.consent.refusals import refusals_entered
from countenance.errors import ConfigError, FaceSetError, MediaError, NoFaceError, SexualContentError
from countenance.faceset.crops import CROP_SIZES
from countenance.faceset.decide import decide
from countenance.faceset.gather import align, embed, read_source
from countenance.faceset.store import FaceSet
from countenance.faceset.use import note_newest, require_not_destroyed
from countenance.geometry import CROP_SIZE, template
from countenance.media.probe import probe
from countenance.media.read import is_photo, list_sources, read_picture
from countenance.perception.identity import EMBEDDER_ID, SAME_PERSON_COSINE
from countenance.perception.perceive import Perception
from countenance.perception.session import NetworkSessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from countenance.faceset.records import SourceRecord
    from countenance.progress import Progress
    from countenance.project import Project
    from countenance.types import Float32

__all__ = ["ExtractReport", "SourceReport", "extract"]

_ENLARGED = 0.75  # of a crop's side: with less in the footage, the next smaller crop would nearly do


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source gave: ``frames`` in all, those without any face, faces kept, whether it was done before."""

    name: str
    kind: Literal["video", "photo"]
    frames: int
    frames_without_face: int
    kept: int
    rejected: int
    skipped: bool


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction did. ``kept`` and ``rejected`` (by reason) are of the whole face set at its end.

    ``frames_read`` and ``seconds`` are of this run; ``notes`` are sentences that the user should read.
    """

    person: str
    path: Path
    sources: tuple[SourceReport, ...]
    kept: int
    rejected: Mapping[str, int]
    frames_read: int
    seconds: float
    notes: tuple[str, ...]


def extract(
    project: Project,
    person: str,
    sources: Sequence[Path],
    *,
    like: Path | None = None,
    crop: int | None = None,
    perception: Perception | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Gather the faces of one person from videos, photos and folders into the person's face set.

    Several people are told apart by identity: the one like the photo ``like``, else the one with the most faces over
    all sources; a face set that exists keeps its person. Run it again after an interruption, of whatever kind, and it
    continues to the same result; a source that is done (by its content, not its name) is skipped.

    Args:
        project: the project.
        person: name of the person.
        sources: videos, photos and folders of them.
        like: a photo of the person; the largest face in it counts.
        crop: side of the crops in pixels, one of :data:`countenance.faceset.crops.CROP_SIZES`; None is that of the
            face set, and the smallest for a new one.
        perception: the networks; the real ones when None.
        progress: called per frame, in frames.

    Raises:
        MediaError: a source is missing, damaged or unreadable; nothing of that source is kept.
        NoFaceError: no usable face, or none of this person.
        SexualContentError: the screen flagged a source; nothing of that source is kept.
        MinorError: the person appears under age; nothing of these sources is kept.
        FaceSetError: the existing face set is damaged, was tampered with, or holds crops of another side.
        ConfigError: there are no crops of that side.
        ProjectError, OutputError, WeightsError: see there.
    """
    started = perf_counter()
    if crop is not None and crop not in CROP_SIZES:
        raise ConfigError(f"There are no crops of {crop} pixels. Choose {' or '.join(map(str, CROP_SIZES))}.")
    path = project.faceset_path(person)
    files = list_sources(sources)
    # Reading works on several frames and faces at once; threads inside each network too would only wait for each other.
    networks = perception or Perception(NetworkSessions(threads=1))
    keep_freed_memory()
    wanted = None if like is None else _embedding_of(like, networks)
    had_folder = path.parent.exists()
    faceset = FaceSet.open(path, project.key(), create=True, crop_size=crop or CROP_SIZES[0])
    try:
        _check_existing(faceset, person, wanted, crop)
        if faceset.sources():
            require_not_destroyed(project, faceset)
    except BaseException:
        faceset.close()  # and nothing else: a file that does not check out is the user's to look at
        raise
    try:
        run = _Run(faceset, networks, progress)
        with refusals_entered(project, person=person, act="extract", at="the screens"):
            run.read(files)
            notes = run.notes + decide(faceset, networks, person, wanted)
        faceset.shrink()
        return _report(person, faceset, run, notes, perf_counter() - started)
    finally:
        if faceset.sources():
            try:
                note_newest(project, faceset)
            finally:
                faceset.close()
        else:  # everything was refused or useless: nothing is left behind
            faceset.destroy()
            if not had_folder:
                with suppress(OSError):
                    path.parent.rmdir()


def _check_existing(faceset: FaceSet, person: str, wanted: Float32 | None, crop: int | None) -> None:
    faceset.verify()
    if crop not in (None, faceset.crop_size):
        raise FaceSetError(
            f"The face set of {person} holds crops of {faceset.crop_size} pixels, and all of a face set are alike. "
            f"Leave out --crop, or delete {faceset.path} and extract all of its sources again with --crop {crop}."
        )
    embedder, anchor = faceset.embedder_id(), faceset.anchor()
    if embedder not in (None, EMBEDDER_ID):
        raise FaceSetError(
            f"The face set of {person} was made with another identity network ({embedder}). Delete {faceset.path} and "
            "extract the faces again."
        )
    if wanted is not None and anchor is not None and float(wanted @ anchor) < SAME_PERSON_COSINE:
        raise NoFaceError(
            f"The face set of {person} is of somebody else than the --like photo. Use another --person, or delete "
            f"{faceset.path} and extract again."
        )


def _embedding_of(photo: Path, perception: Perception) -> Float32:
    frame = read_picture(photo)
    found = perception.detector(frame.rgb)
    vector = None
    if found:
        with suppress(ValueError):
            vector = embed(perception, align(frame.rgb, perception.mesh(frame.rgb, found[0])))
    if vector is None or not vector.any():
        raise NoFaceError(
            f"No face was found in the --like photo {photo}. Give a sharp photo of the face from the front."
        )
    return vector


class _Run:
    """One call of :func:`extract`: which sources it met, and how far it is."""

    def __init__(self, faceset: FaceSet, perception: Perception, progress: Progress | None) -> None:
        self.notes: list[str] = []
        self.met: dict[int, bool] = {}  # source id → skipped
        self.frames_read = 0
        self._faceset = faceset
        self._perception = perception
        self._progress = progress

    def read(self, files: Sequence[Path]) -> None:
        """Read every file that is not done yet."""
        lengths = [_length(path) for path in files] if self._progress else []
        total = float(sum(length or 0 for length in lengths)) if all(lengths) and lengths else None
        before = 0
        for number, path in enumerate(files):
            source = self._source_of(path)
            if source is not None:
                if source.state == "reading":
                    source = self._read_one(source, path, before, total)
                before += source.next_frame
            elif lengths:
                before += lengths[number] or 0
            if self._progress is not None:
                self._progress(before, total if total is None else max(total, before), path.name)

    def _source_of(self, path: Path) -> SourceRecord | None:
        """The source with this content, begun if it is new; None if this call has met it already."""
        sha256 = _sha256(path)
        for source in self._faceset.sources():
            if source.sha256 == sha256:
                if source.id in self.met:
                    self.notes.append(f"{path.name} has the same content as {source.name} and was read once only.")
                    return None
                self.met[source.id] = source.state != "reading"
                return source
        with self._faceset.transaction():
            new = self._faceset.begin_source(path.name, sha256, "photo" if is_photo(path) else "video")
        self.met[new] = False
        return next(source for source in self._faceset.sources() if source.id == new)

    def _read_one(self, source: SourceRecord, path: Path, before: int, total: float | None) -> SourceRecord:
        def tick(done: int) -> None:
            self.frames_read += 1
            if self._progress is not None:
                self._progress(before + done, total if total is None else max(total, before + done), path.name)

        try:
            return read_source(self._faceset, source, path, self._perception, tick)
        except (SexualContentError, MediaError):
            with self._faceset.transaction():
                self._faceset.drop_source(source.id)
            raise


def _length(path: Path) -> int | None:
    """Frames of a source, for the progress bar only: what is wrong with a file is said when it is read."""
    if is_photo(path):
        return 1
    with suppress(MediaError):
        return probe(path).frame_count
    return None


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"Cannot read {path} ({error.strerror}). Check the file and its permissions.") from error


def _too_coarse(faceset: FaceSet, person: str) -> list[str]:
    """A sentence where crops of more than the usual side only enlarge what was filmed."""
    side = faceset.crop_size
    pixels = [record.face_pixels for record in faceset.records("kept")]
    if side == CROP_SIZE or not pixels:
        return []
    # The side that shows a face at the footage's own resolution.
    native = median(pixels) * side / float(np.ptp(template(side), axis=0).max())
    if native >= _ENLARGED * side:
        return []
    return [
        f"Most faces of {person} are about {median(pixels):.0f} pixels high in the footage, as much as a crop of "
        f"{native:.0f} shows: crops of {side} add no detail. Film from nearer by or in a higher resolution."
    ]


def _report(person: str, faceset: FaceSet, run: _Run, notes: list[str], seconds: float) -> ExtractReport:
    kept: dict[int, int] = {}
    rejected: dict[int, int] = {}
    for record in faceset.records():
        table = kept if record.status == "kept" else rejected
        table[record.source_id] = table.get(record.source_id, 0) + 1
    stored = faceset.sources()
    for source in stored:
        if source.state != "done":
            notes.append(f"{source.name} was not read to its end. Extract it again to finish it.")
    notes += _too_coarse(faceset, person)
    counts = faceset.counts()
    reports = tuple(
        SourceReport(
            name=source.name,
            kind=source.kind,
            frames=source.next_frame,
            frames_without_face=source.frames_without_face,
            kept=kept.get(source.id, 0),
            rejected=rejected.get(source.id, 0),
            skipped=run.met[source.id],
        )
        for source in stored
        if source.id in run.met
    )
    return ExtractReport(
        person=person,
        path=faceset.path,
        sources=reports,
        kept=counts.kept,
        rejected=counts.rejected,
        frames_read=run.frames_read,
        seconds=seconds,
        notes=tuple(notes),
    )
