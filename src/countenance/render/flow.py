"""gate ▸ convert (with label and watermark, into a private folder) ▸ sign ▸ ledger ▸ the final names.

Whatever fails, there is no output, and no unmarked file at any time. A render that was interrupted goes on at its last
finished segment, after the gate was asked anew.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from countenance.atomic import kept_folder
from countenance.conversion.resume import require_space, told
from countenance.errors import CountenanceError, NoFaceError, RefusedError
from countenance.render.job import Job, own_identity
from countenance.render.names import told_of_names
from countenance.render.outputs import Extras, SwapReport, review_path
from countenance.render.places import check_paths, publish, publish_folder, remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.atomic import KeptFolder
    from countenance.conversion.settings import ConvertSettings
    from countenance.faceset.records import FaceArrays
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.project import Project
    from countenance.provenance.label import LabelLook
    from countenance.provenance.sign import Signs
    from countenance.training.swapper import FaceSwapper

__all__ = ["LoadsSwapper", "render"]

_WORK_PREFIX = ".countenance-render-"
_PATCHES_PREFIX = ".countenance-patches-"
_FINAL = (RefusedError, NoFaceError)  # after these no run could go on; nothing is kept


class LoadsSwapper(Protocol):
    """Gives the trained model; ``training.swapper.load_swapper``, or a test's own."""

    def __call__(
        self, project: Project, lender: str, performer: str, *, preset: str, device: str, lender_faces: FaceArrays
    ) -> FaceSwapper:
        """The model of a pair."""
        ...


def render(
    project: Project,
    footage: Path,
    *,
    lender: str,
    performer: str,
    output: Path,
    preset: str = "swift",
    device: str = "auto",
    overwrite: bool = False,
    leave_out_label: bool = False,
    look: LabelLook | None = None,
    settings: ConvertSettings | None = None,
    extras: Extras | None = None,
    perception: Perception | None = None,
    identity: Signs | None = None,
    load: LoadsSwapper | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> SwapReport:
    """Replace the performer's face in footage by the lender's, and mark, sign and log the result.

    Interrupted, by whatever, the same call goes on at the last finished segment, which is kept in a private folder
    beside the output for a week; with other footage, settings, model or record it begins anew.

    Args:
        project: with the face sets, the lender's consent record and the trained model.
        footage: a video of the performer.
        lender: whose face is shown.
        performer: whose face is replaced.
        output: ``.mp4``, ``.m4v``, ``.mov``, ``.mkv`` or ``.webm``; appears only when complete, signed and logged.
        preset: of the model.
        device: where the model runs.
        overwrite: replace an output that is there. The footage itself is never overwritten, nor a folder of patches.
        leave_out_label: no visible label; only where the consent record allows it.
        look: where and how the label stands; dark, in the lower left, in English when None.
        settings: knobs of the conversion.
        extras: what is made beside the render, under the same rules: each is signed and in the ledger.
        perception: the networks; the real ones when None.
        identity: who signs; this installation when None.
        load: gives the trained model.
        progress: told the number of finished frames.
        note: told in a sentence when an interrupted render goes on or begins anew, there is nothing to review, or a
            chosen name contains that of a hidden witness's footage.

    Raises:
        ConsentError: no record covers this lender, these faces, this purpose and time, or it requires the label, which
            is left out or which patches cannot carry.
        ProjectError, FaceSetError, CheckpointError: face sets or model cannot be used.
        MediaError, NoFaceError, SexualContentError, MinorError: the footage cannot be used.
        MarkError, LedgerError: no output could be made; finished segments stay.
        OutputError: the disk is full or cannot be written; finished segments stay.
    """
    began = time.perf_counter()
    if settings is None:
        from countenance.conversion.settings import ConvertSettings

        settings = ConvertSettings()
    from countenance.provenance.label import PLAIN_LOOK

    wanted = extras or Extras()
    check_paths(footage, output, settings, wanted, overwrite=overwrite)
    shown, look = not leave_out_label, look or PLAIN_LOOK
    job = Job(project, footage, output, lender, performer, preset, device, settings, wanted, shown, look)
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    with ExitStack() as folders:
        kept = folders.enter_context(kept_folder(output.parent, _WORK_PREFIX, _key(output)))
        apart = None
        if wanted.patches is not None:
            name = _key(output, wanted.patches)
            kept.keep = any(kept.path.glob("state.json"))  # should the other folder be in use
            apart = folders.enter_context(kept_folder(wanted.patches.parent, _PATCHES_PREFIX, name))
            kept.keep = False
        try:
            report = _made(job, kept, apart, perception, identity, load, progress, note)
        except BaseException as error:
            kept.keep = not isinstance(error, _FINAL) and any(kept.path.glob("state.json"))
            if apart is not None:
                apart.keep = kept.keep
            for name in ("render", "signed", "review"):
                for whole in kept.path.glob(f"{name}*.*"):
                    whole.unlink(missing_ok=True)  # only segments are kept
            raise
    return replace(report, seconds=time.perf_counter() - began)


def _made(
    job: Job,
    kept: KeptFolder,
    apart: KeptFolder | None,
    perception: Perception,
    identity: Signs | None,
    load: LoadsSwapper | None,
    progress: Progress | None,
    note: Callable[[str], None] | None,
) -> SwapReport:
    """Everything that happens in the private folders, and the names at the end."""
    from countenance.training.scores import template_of

    output, wanted = job.output, job.extras
    faces = job.lender_faces(perception)
    performer = job.performer_faces(perception)
    permit = job.permit(faces, performer, perception)
    swapper = job.model(permit, faces, load)
    template = template_of(performer)
    signer = identity or own_identity()
    store, footage = job.store(kept.path, permit, faces, template, swapper.facts)
    patches = None if apart is None else job.patch_folder(apart.path, store, permit, footage, signer)
    sentences = [told(store, output)]
    if job.hides_footage(permit):
        sentences.append(told_of_names(job.footage, [output, *([wanted.patches] if wanted.patches else [])]))
    for sentence in sentences:
        if note is not None and sentence is not None:
            note(sentence)
    unsigned, signed = (kept.path / f"{name}{output.suffix.lower()}" for name in ("render", "signed"))
    report = job.convert(unsigned, store, permit, swapper, template, perception, patches, progress)
    footage.require_unchanged()
    require_space(unsigned)
    job.sign(unsigned, signed, permit, store.watermark, signer)
    review = job.review(kept.path, signed, report, permit, store.watermark, signer) if wanted.review else None
    made = None if patches is None or wanted.patches is None else patches.finish(wanted.patches)
    digest = job.log(signed, review, made, permit, store.watermark, swapper.facts, footage.sha256)
    one_patch = [] if patches is None else patches.first()  # all of them have the same watermark
    _register(job, [signed, *([] if review is None else [review]), *one_patch], signer, note)
    if patches is not None and wanted.patches is not None:
        publish_folder(patches.folder, wanted.patches)
    if review is not None:
        publish(review, review_path(output))
    elif wanted.review:
        remove_stale(review_path(output))
        if note is not None:
            note("No face was veiled, so there is nothing to review and no clip of it.")
    publish(signed, output)
    return SwapReport(
        output=output,
        sha256=digest,
        watermark=store.watermark.hex(),
        record_id=permit.record_id,
        preset=job.preset,
        iteration=swapper.facts.iteration,
        label_shown=job.label_shown,
        seconds=0.0,
        convert=report,
        review=None if review is None else review_path(output),
        patches=made,
    )


def _register(job: Job, files: list[Path], identity: Signs, note: Callable[[str], None] | None) -> None:
    """Enter the outputs into the project's register; a render of hours is not lost for a register that is."""
    from countenance.provenance.register import Register

    try:
        for file in files:
            Register(job.project.root).add(file, trusted_pem=identity.authority_pem)
    except CountenanceError as error:
        if note is not None:
            note(f"The render is not in the project's register. {error} Then: countenance register add {job.output}")


def _key(*paths: Path) -> str:
    return hashlib.sha256("\0".join(path.name for path in paths).encode()).hexdigest()[:16]
