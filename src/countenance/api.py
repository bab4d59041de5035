"""The Python API: the commands as functions, under the same names.

``import countenance`` gives them all without loading anything heavy; what a function needs is loaded when it is called.
Paths may be texts. ``project`` is a :class:`~countenance.project.Project` or the path of its folder. Everything that
goes wrong is a :class:`~countenance.errors.CountenanceError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.api_consent import (
    RequestFiles,
    SignedConsent,
    consent_accept,
    consent_check,
    consent_enrol,
    consent_keygen,
    consent_request,
    consent_revoke,
    consent_sign,
    opened_project,
)
from countenance.errors import InputError
from countenance.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from countenance.api_consent import AnyPath, AnyProject
    from countenance.evaluation.evaluate import Evaluation
    from countenance.evaluation.judge import Judge
    from countenance.faceset.extract import ExtractReport
    from countenance.faceset.records import SourceRecord
    from countenance.playback import PreviewReport
    from countenance.progress import Progress
    from countenance.provenance.label import LabelLook
    from countenance.provenance.report import Verification
    from countenance.render import SwapReport
    from countenance.training.train import TrainReport

__all__ = [
    "FacesReport",
    "RequestFiles",
    "SignedConsent",
    "consent_accept",
    "consent_check",
    "consent_enrol",
    "consent_keygen",
    "consent_request",
    "consent_revoke",
    "consent_sign",
    "evaluate",
    "extract",
    "faces",
    "new",
    "preview",
    "swap",
    "train",
    "verify",
]


@dataclass(frozen=True, slots=True)
class FacesReport:
    """What is in a face set: faces ``kept``, ``pending`` a decision, ``rejected`` by reason; where they come from.

    ``sheet`` is the contact sheet that was drawn; ``notes`` sentences on what the faces lack for a lender, each with
    what to film, empty when they lack nothing (see :func:`countenance.faceset.coverage.shortcomings`); ``crop_size``
    is the side of the stored crops in pixels.
    """

    person: str
    path: Path
    kept: int
    pending: int
    rejected: Mapping[str, int]
    sources: tuple[SourceRecord, ...]
    sheet: Path
    notes: tuple[str, ...] = ()
    crop_size: int = 256


def new(folder: AnyPath, *, title: str | None = None, purpose: str = "film") -> Project:
    """Make a project folder.

    Args:
        folder: may exist, but must not be a project yet.
        title: what the work is called, which lenders consent to; the folder's name when None.
        purpose: ``double``, ``film``, ``dubbing`` or ``research``.

    Raises:
        ProjectError, ConfigError, OutputError: see :meth:`countenance.project.Project.create`.
    """
    return Project.create(Path(folder), title=title, purpose=purpose)


def extract(
    project: AnyProject,
    person: str,
    sources: Sequence[AnyPath],
    *,
    like: AnyPath | None = None,
    crop: int | None = None,
    progress: Progress | None = None,
) -> ExtractReport:
    """Gather the faces of one person from videos, photos and folders; continues and skips what was read.

    See :func:`countenance.faceset.extract.extract`, also for what it raises.
    """
    from countenance.faceset.extract import extract as run

    found = None if like is None else Path(like)
    paths = [Path(source) for source in sources]
    return run(opened_project(project), person, paths, like=found, crop=crop, progress=progress)


def faces(project: AnyProject, person: str, *, sheet: AnyPath | None = None) -> FacesReport:
    """Say what is in a person's face set, after checking that nobody changed it, and draw a contact sheet.

    Args:
        project: the project.
        person: name of the person.
        sheet: where the contact sheet goes (.png or .jpg); ``people/NAME/contact_sheet.png`` when None.

    Raises:
        ProjectError: there is no such person.
        FaceSetError: the face set is damaged or was tampered with.
        OutputError: the sheet cannot be written.
    """
    from countenance.faceset.coverage import measure, shortcomings
    from countenance.faceset.sheet import contact_sheet
    from countenance.faceset.store import FaceSet

    opened = opened_project(project)
    path = opened.faceset_path(opened.require_person(person))
    target = path.with_name("contact_sheet.png") if sheet is None else Path(sheet)
    with FaceSet.open(path) as faceset:
        faceset.verify()
        counts, sources = faceset.counts(), tuple(faceset.sources())
        contact_sheet(faceset, target)
        notes = shortcomings(measure(faceset, person))
        side = faceset.crop_size
    return FacesReport(person, path, counts.kept, counts.pending, counts.rejected, sources, target, notes, side)


def train(
    project: AnyProject,
    lender: str,
    performer: str,
    *,
    preset: str | None = None,
    minutes: float | None = None,
    iterations: int | None = None,
    early_stop: bool = True,
    device: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> TrainReport:
    """Train, or go on training, the model that gives the lender's face to the performer.

    ``preset`` and ``device`` are the project's own when None. See :func:`countenance.training.train.train`, also for
    what it raises.

    While it trains, the model's folder holds a marked ``preview.png``, ``curves.png`` and the ``coverage.png`` of both
    face sets (see :class:`countenance.live.LiveView`). ``note`` is called before training, with a sentence for each
    thing that the face sets lack and one on where to look; none of it stops the training.
    """
    from countenance.live import LiveView
    from countenance.training.presets import preset as preset_named
    from countenance.training.train import train as run

    opened = opened_project(project)
    opened.require_person(lender)
    opened.require_person(performer)
    chosen = preset or opened.config.preset
    preset_named(chosen)  # a misspelt one is said before the faces are looked at
    lacking, picture = _coverage(opened, lender, performer)
    view = LiveView(opened, lender, performer, chosen, coverage=picture)
    for sentence in (*lacking, f"To watch it: preview.png, curves.png and coverage.png in {view.preview.parent}."):
        if note is not None:
            note(sentence)
    return run(
        opened,
        lender,
        performer,
        preset=chosen,
        minutes=minutes,
        iterations=iterations,
        early_stop=early_stop,
        device=device or opened.config.device,
        seed=seed,
        progress=progress,
        watch=view,
    )


def _coverage(project: Project, lender: str, performer: str) -> tuple[tuple[str, ...], bytes | None]:
    """What two face sets lack, and the picture of both; nothing of sets that training will refuse, saying why."""
    from countenance.errors import FaceSetError
    from countenance.faceset.coverage import gaps, measure
    from countenance.faceset.coverage_picture import coverage_png
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import MINIMUM_FACES

    sides = []
    try:
        for name in (lender, performer):
            with FaceSet.open(project.faceset_path(name)) as faceset:
                sides.append(measure(faceset, name))
    except FaceSetError:
        return (), None
    if min(len(side) for side in sides) < MINIMUM_FACES:
        return (), None
    return gaps(sides[0], sides[1]), coverage_png(sides[0], sides[1])


def swap(
    project: AnyProject,
    footage: AnyPath,
    *,
    lender: str,
    performer: str,
    output: AnyPath | None = None,
    preset: str | None = None,
    device: str | None = None,
    overwrite: bool = False,
    leave_out_label: bool = False,
    codec: str | None = None,
    encoder: str | None = None,
    quality: str = "good",
    knobs: Mapping[str, Any] | None = None,
    review: bool = False,
    patches: AnyPath | None = None,
    patches_format: str = "png",
    look: LabelLook | None = None,
    secret_watermark: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> SwapReport:
    """Replace the performer's face in footage by the lender's; mark, sign and log the result.

    ``output`` is ``renders/FOOTAGE.mp4`` in the project when None (``.mov`` or ``.mkv`` for such footage); ``preset``
    and ``device`` are the project's own. ``codec`` is ``h264``, ``h265``, ``prores``, ``ffv1`` or ``vp9``, the
    container's default when None. ``encoder`` names one of FFmpeg's encoders, for hardware. Interrupted, the same call
    goes on; ``note`` is told so. See :func:`countenance.render.render`, also for what it raises.

    Args:
        quality: ``draft``, ``good`` or ``film``, see :data:`countenance.conversion.quality.QUALITIES`.
        knobs: settings by name, which win over the quality (docs/reference/conversion.md).
        review: also a clip of the veiled spans, ``NAME.review.mp4`` beside the output.
        patches: a new folder for the painted faces apart from the footage; only where the consent record allows to
            leave out the label.
        patches_format: ``png``, or ``exr`` with the package OpenEXR.
        look: of the label. ``secret_watermark``: a second mark, which only this installation finds.
    """
    from countenance.conversion.quality import settings_for
    from countenance.render import Extras, render

    opened, source = opened_project(project), Path(footage)
    opened.require_person(lender)
    opened.require_person(performer)
    suffix = source.suffix.lower() if source.suffix.lower() in (".mov", ".mkv") else ".mp4"
    return render(
        opened,
        source,
        lender=lender,
        performer=performer,
        output=opened.renders_dir / f"{source.stem}{suffix}" if output is None else Path(output),
        preset=preset or opened.config.preset,
        device=device or opened.config.device,
        overwrite=overwrite,
        leave_out_label=leave_out_label,
        settings=settings_for(quality, **{**(knobs or {}), "codec": codec, "encoder": encoder}),
        look=look,
        extras=Extras(review, None if patches is None else Path(patches), patches_format, secret_watermark),
        progress=progress,
        note=note,
    )


def preview(
    project: AnyProject,
    footage: AnyPath,
    *,
    lender: str,
    performer: str,
    preset: str | None = None,
    device: str | None = None,
    loop: bool = False,
    tell: Callable[[str], None] | None = None,
) -> PreviewReport:
    """Play a swap into a page of this machine, whose address ``tell`` is called with; it begins when that is opened.

    ``preset`` and ``device`` are the project's own when None. See :func:`countenance.playback.flow.preview`, also for
    what it raises.
    """
    from countenance.playback import preview as run

    opened = opened_project(project)
    opened.require_person(lender)
    opened.require_person(performer)
    return run(
        opened,
        Path(footage),
        lender=lender,
        performer=performer,
        preset=preset or opened.config.preset,
        device=device or opened.config.device,
        loop=loop,
        tell=tell,
    )


def verify(
    path: AnyPath,
    *,
    record: AnyPath | None = None,
    status_list: AnyPath | None = None,
    search_watermark: bool = True,
) -> Verification:
    """Say what a file proves: integrity, trust, marks and consent, each apart.

    Args:
        path: any file; one without marks is a normal answer, not an error.
        record: the consent record's file, where it is at hand; the ledger of the project that it lies in, if any, is
            asked whether it was revoked.
        status_list: the file of a status list, which says so too.
        search_watermark: decode the picture and look for the watermark.

    Raises:
        MediaError: there is no such file, or it cannot be opened.
        ConsentError: the record is not valid.
        MarkError: this installation's own authority is damaged.
    """
    from countenance.provenance.verify import verify_file

    known = revoked = None
    if record is not None:
        from countenance.consent.record import parse_record
        from countenance.consent.status import known_revocation
        from countenance.consent.strict_json import read_bounded

        known = parse_record(read_bounded(Path(record), "The consent record"))
        revoked = known_revocation(known, Path(record), None if status_list is None else Path(status_list))
    elif status_list is not None:
        raise InputError("A status list says something of a consent record only. Give that with --record.")
    return verify_file(Path(path), record=known, revoked=revoked, search_watermark=search_watermark)


def evaluate(
    swapped: AnyPath,
    footage: AnyPath,
    *,
    truth: AnyPath | None = None,
    mask: AnyPath | None = None,
    lender: AnyPath | None = None,
    performer: AnyPath | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure how good a swap is, against the truth where there is one and against the footage in any case.

    Args:
        swapped: the render.
        footage: what it was made from; same size and number of frames.
        truth: the same shot with the lender's true face, where it is known; with ``mask``, white where the face is.
        mask: see ``truth``.
        lender: a clip or photo of the lender for the judge; the truth when None.
        performer: a clip or photo of the performer for the judge; the footage when None.
        judge: of identity, :class:`countenance.evaluation.judge.DlibJudge` where dlib is installed. Without it, or
            without any picture of the lender, identity is left out.
        progress: called per frame.

    Raises:
        MediaError: a clip cannot be read, clips do not belong together, or a truth came without its mask.
        NoFaceError: the judge finds no face of the lender or the performer.
        WeightsError: a network cannot be fetched.
    """
    from countenance.evaluation.evaluate import evaluate as run
    from countenance.evaluation.judge import Referee
    from countenance.perception.perceive import Perception

    perception, about_lender = Perception(), truth if lender is None else lender
    referee = None
    if judge is not None and about_lender is not None:
        about_performer = footage if performer is None else performer
        referee = Referee.of(judge, Path(about_lender), Path(about_performer), perception)
    return run(
        Path(swapped),
        Path(footage),
        truth=None if truth is None else Path(truth),
        mask=None if mask is None else Path(mask),
        referee=referee,
        perception=perception,
        progress=progress,
    )
