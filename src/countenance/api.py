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
    LenderSigned,
    RequestFiles,
    SignedConsent,
    consent_accept,
    consent_capture,
    consent_challenge,
    consent_check,
    consent_enrol,
    consent_keygen,
    consent_request,
    consent_revoke,
    consent_sign,
    consent_witness,
    opened_project,
)
from countenance.api_evaluate import evaluate
from countenance.api_ledger import consent_status_check, consent_status_publish, ledger_export, ledger_verify
from countenance.api_provenance import attest, forget, register_add, register_export, register_list, register_serve
from countenance.api_verify import verify
from countenance.errors import InputError, ProjectError
from countenance.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from countenance.api_consent import AnyPath, AnyProject
    from countenance.faceset.extract import ExtractReport
    from countenance.faceset.records import SourceRecord
    from countenance.playback import PreviewReport
    from countenance.progress import Progress
    from countenance.provenance.label import LabelLook
    from countenance.provenance.sign import Signs
    from countenance.render import SwapReport
    from countenance.training.train import TrainReport

__all__ = [
    "FacesReport",
    "LenderSigned",
    "RequestFiles",
    "SignedConsent",
    "attest",
    "consent_accept",
    "consent_capture",
    "consent_challenge",
    "consent_check",
    "consent_enrol",
    "consent_keygen",
    "consent_request",
    "consent_revoke",
    "consent_sign",
    "consent_status_check",
    "consent_status_publish",
    "consent_witness",
    "evaluate",
    "extract",
    "faces",
    "forget",
    "ledger_export",
    "ledger_verify",
    "new",
    "preview",
    "register_add",
    "register_export",
    "register_list",
    "register_serve",
    "swap",
    "train",
    "verify",
]


@dataclass(frozen=True, slots=True)
class FacesReport:
    """What is in a face set: faces ``kept``, ``pending`` a decision, ``rejected`` by reason; where they come from.

    ``sheet`` is the contact sheet, if one was drawn; ``notes`` sentences on what the faces lack for a lender, each with
    what to film, empty when they lack nothing (see :func:`countenance.faceset.coverage.shortcomings`); ``crop_size``
    is the side of the stored crops in pixels.
    """

    person: str
    path: Path
    kept: int
    pending: int
    rejected: Mapping[str, int]
    sources: tuple[SourceRecord, ...]
    sheet: Path | None = None
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
    sources: Sequence[AnyPath] = (),
    *,
    like: AnyPath | None = None,
    crop: int | None = None,
    protected_witness: bool = False,
    progress: Progress | None = None,
) -> ExtractReport:
    """Gather the faces of one person from videos, photos and folders; continues and skips what was read.

    ``protected_witness`` notes the person as one before anything is read, for good: see
    :meth:`countenance.project.Project.protect`. Without ``sources`` nothing else is done then. See
    :func:`countenance.faceset.extract.extract` for the rest, also for what it raises.
    """
    from countenance.faceset.extract import ExtractReport
    from countenance.faceset.extract import extract as run

    opened = opened_project(project)
    if not sources and not protected_witness:
        raise InputError(f"No footage of {person} was named. Name videos, photos or folders.")
    if protected_witness:
        opened = opened.protect(person)
        if not sources:
            noted = f"{person} is noted as a protected witness. What was written of {person} before that stays."
            return ExtractReport(person, opened.faceset_path(person), (), 0, {}, 0, 0.0, (noted,))
    found = None if like is None else Path(like)
    paths = [Path(source) for source in sources]
    return run(opened, person, paths, like=found, crop=crop, progress=progress)


def faces(project: AnyProject, person: str, *, sheet: AnyPath | None = None) -> FacesReport:
    """Say what is in a person's face set, after checking that nobody changed it, and draw a contact sheet if asked to.

    Args:
        project: the project.
        person: name of the person.
        sheet: where a contact sheet goes, a signed PNG, which shows the faces to everybody who opens it; none when
            None.

    Raises:
        InputError: the sheet's name does not end in .png.
        ProjectError: there is no such person, or a sheet of a protected witness would lie in the project.
        FaceSetError: the face set is damaged or was tampered with.
        MarkError: the sheet cannot be signed.
        OutputError: the sheet cannot be written.
    """
    from countenance.faceset.coverage import measure, shortcomings
    from countenance.faceset.sheet import contact_sheet
    from countenance.faceset.store import FaceSet

    opened = opened_project(project)
    path = opened.faceset_path(opened.require_person(person))
    target = None if sheet is None else Path(sheet)
    if target is not None and target.suffix.lower() != ".png":
        raise InputError(f"{target.name}: the contact sheet is a PNG. Give it a name that ends in .png.")
    if target is not None and opened.protects(person) and target.resolve().is_relative_to(opened.root):
        raise ProjectError(
            f"{person} is a protected witness, and the project holds no picture of one that everybody can open. "
            "Give a place outside of it, and delete the sheet when it was looked at."
        )
    with FaceSet.open(path, opened.key()) as faceset:
        faceset.verify()
        counts, sources = faceset.counts(), tuple(faceset.sources())
        if target is not None:
            contact_sheet(faceset, target, _sealed)
        notes = shortcomings(measure(faceset, person))
        side = faceset.crop_size
    return FacesReport(person, path, counts.kept, counts.pending, counts.rejected, sources, target, notes, side)


def _sealed(png: bytes) -> bytes:
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity
    from countenance.provenance.sign import sign_sheet

    return sign_sheet(png, SigningIdentity.load_or_create(user_data_dir()))


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
    identity: Signs | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> TrainReport:
    """Train, or go on training, the model that gives the lender's face to the performer.

    ``preset`` and ``device`` are the project's own when None. See :func:`countenance.training.train.train`, also for
    what it raises.

    While it trains, the model's folder holds a marked ``preview.png``, ``curves.png`` and the ``coverage.png`` of both
    face sets (see :class:`countenance.live.LiveView`). ``note`` is called before training, with a sentence for each
    thing that the face sets lack and one on where to look; none of it stops the training. ``identity`` signs the
    preview; this installation when None.
    """
    from countenance.live import LiveView, coverage_of
    from countenance.training.presets import preset as preset_named
    from countenance.training.train import train as run

    opened = opened_project(project)
    opened.require_person(lender)
    opened.require_person(performer)
    chosen = preset or opened.config.preset
    preset_named(chosen)  # a misspelt one is said before the faces are looked at
    lacking, picture = coverage_of(opened, lender, performer)
    view = LiveView(opened, lender, performer, chosen, coverage=picture, identity=identity)
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
    identity: Signs | None = None,
    look: LabelLook | None = None,
    secret_watermark: bool = False,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> SwapReport:
    """Replace the performer's face in footage by the lender's; mark, sign and log the result.

    ``output`` is ``renders/FOOTAGE.mp4`` in the project when None (``.mov`` or ``.mkv`` for such footage); where a
    witness is hidden it has a neutral name, the same each time (:func:`countenance.render.names.default_output`).
    ``preset`` and ``device`` are the project's own. ``codec`` is ``h264``, ``h265``, ``prores``, ``ffv1`` or ``vp9``,
    the container's default when None. ``encoder`` names one of FFmpeg's encoders, for hardware. Interrupted, the same
    call goes on; ``note`` is told so. See :func:`countenance.render.render`, also for what it raises.

    Args:
        quality: ``draft``, ``good`` or ``film``, see :data:`countenance.conversion.quality.QUALITIES`.
        knobs: settings by name, which win over the quality (docs/reference/conversion.md).
        review: also a clip of the veiled spans, ``NAME.review.mp4`` beside the output.
        patches: a new folder for the painted faces apart from the footage; only where the consent record allows to
            leave out the label.
        patches_format: ``png``, or ``exr`` with the package OpenEXR.
        identity: who signs, for instance a :class:`~countenance.provenance.installation.CallbackIdentity` whose key
            is in a hardware module; this installation when None.
        look: of the label: its position, style and language.
        secret_watermark: a second invisible mark beside the public one, which only this installation can find; it
            takes a third of the strength.
    """
    from countenance.conversion.quality import settings_for
    from countenance.render import Extras, render
    from countenance.render.names import default_output

    opened, source = opened_project(project), Path(footage)
    opened.require_person(lender)
    opened.require_person(performer)
    return render(
        opened,
        source,
        lender=lender,
        performer=performer,
        output=default_output(opened, source, lender, performer) if output is None else Path(output),
        preset=preset or opened.config.preset,
        device=device or opened.config.device,
        overwrite=overwrite,
        leave_out_label=leave_out_label,
        settings=settings_for(quality, **{**(knobs or {}), "codec": codec, "encoder": encoder}),
        look=look,
        extras=Extras(review, None if patches is None else Path(patches), patches_format, secret_watermark),
        identity=identity,
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
    look: LabelLook | None = None,
    identity: Signs | None = None,
    tell: Callable[[str], None] | None = None,
) -> PreviewReport:
    """Play a swap into a page of this machine, whose address ``tell`` is called with; it begins when that is opened.

    ``preset`` and ``device`` are the project's own when None, ``look`` is the plain one. See
    :func:`countenance.playback.flow.preview`, also for what it raises.
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
        look=look,
        identity=identity,
        tell=tell,
    )
