"""From footage to a marked, signed, logged render: the one way in which a swap leaves the program.

gate ▸ convert (with label and watermark, into a private folder) ▸ sign ▸ ledger ▸ the final name. Whatever fails, there
is no output, and no unmarked file at any time. A render that was interrupted goes on at its last finished segment,
after the gate was asked anew.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from countenance import __version__
from countenance.atomic import kept_folder, output_error, sync_folder
from countenance.conversion.resume import FootageFacts, require_space, told, user_key
from countenance.digest import file_sha256
from countenance.errors import (
    CheckpointError,
    ConsentError,
    IntegrityError,
    MarkError,
    MediaError,
    NoFaceError,
    OutputError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.consent.gate import Permit
    from countenance.conversion.report import ConvertReport
    from countenance.conversion.segments import SegmentStore
    from countenance.conversion.settings import ConvertSettings
    from countenance.faceset.records import FaceArrays
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.project import Project
    from countenance.provenance.sign import Signs
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.swapper import FaceSwapper
    from countenance.types import Float32, UInt8

__all__ = ["SCREENS", "LoadsSwapper", "SwapReport", "render"]

SCREENS = ("sexual-content", "apparent-age")
"""The screens that every render passes, as its manifest names them."""

_WORK_PREFIX = ".countenance-render-"
_FINAL = (RefusedError, NoFaceError, MarkError, IntegrityError)  # after these no run could go on; nothing is kept


class LoadsSwapper(Protocol):
    """Gives the trained model; ``training.swapper.load_swapper``, or a test's own."""

    def __call__(
        self, project: Project, lender: str, performer: str, *, preset: str, device: str, lender_faces: FaceArrays
    ) -> FaceSwapper:
        """The model of a pair."""
        ...


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What a swap did.

    ``output`` is the render, ``sha256`` of its bytes; ``watermark`` its id in hex, which the ledger maps to the render;
    ``record_id`` the consent record it was made under; ``seconds`` the wall clock of everything; ``convert`` the facts
    of the conversion itself, with the frames that were veiled.
    """

    output: Path
    sha256: str
    watermark: str
    record_id: str
    preset: str
    iteration: int
    label_shown: bool
    seconds: float
    convert: ConvertReport


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
    settings: ConvertSettings | None = None,
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
        overwrite: replace an output that is there. The footage itself is never overwritten.
        leave_out_label: no visible label; only where the consent record allows it.
        settings: knobs of the conversion.
        perception: the networks; the real ones when None.
        identity: who signs; this installation when None.
        load: gives the trained model.
        progress: told the number of finished frames.
        note: told in a sentence when an interrupted render goes on, or begins anew.

    Raises:
        ConsentError: no record covers this lender, these faces, this purpose and time, or it requires the label.
        ProjectError, FaceSetError, CheckpointError: face sets or model cannot be used.
        MediaError, NoFaceError, SexualContentError, MinorError: the footage cannot be used.
        MarkError, LedgerError: no output could be made; nothing is left.
        OutputError: the disk is full or cannot be written; finished segments stay.
    """
    began = time.perf_counter()
    if settings is None:
        from countenance.conversion.settings import ConvertSettings

        settings = ConvertSettings()
    _check_paths(footage, output, settings, overwrite=overwrite)
    job = _Job(project, footage, output, lender, performer, preset, device, settings, label_shown=not leave_out_label)
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    with kept_folder(output.parent, _WORK_PREFIX, hashlib.sha256(output.name.encode()).hexdigest()[:16]) as kept:
        try:
            faces = job.lender_faces(perception)
            permit = job.permit(faces, perception)
            swapper = job.model(permit, faces, load)
            template = _template(project, performer)
            signer = identity or _own_identity()
            store, footage_facts = job.store(kept.path, permit, faces, template, swapper.facts, note)
            unsigned, signed = (kept.path / f"{name}{output.suffix.lower()}" for name in ("render", "signed"))
            report = job.convert(unsigned, store, swapper, template, perception, progress)
            footage_facts.require_unchanged()
            require_space(unsigned)
            job.sign(unsigned, signed, permit, store.watermark, signer)
            digest = job.log(signed, permit, store.watermark, swapper.facts, footage_facts.sha256)
            _publish(signed, output)
        except BaseException as error:
            kept.keep = not isinstance(error, _FINAL) and any(kept.path.glob("state.json"))
            for whole in (*kept.path.glob("render.*"), *kept.path.glob("signed.*")):
                whole.unlink(missing_ok=True)  # only segments are kept
            raise
    return SwapReport(
        output=output,
        sha256=digest,
        watermark=store.watermark.hex(),
        record_id=permit.record_id,
        preset=preset,
        iteration=swapper.facts.iteration,
        label_shown=job.label_shown,
        seconds=time.perf_counter() - began,
        convert=report,
    )


def _check_paths(footage: Path, output: Path, settings: ConvertSettings, *, overwrite: bool) -> None:
    """Find out what cannot work before minutes are spent on it."""
    from countenance.media.codecs import encoder_for
    from countenance.provenance.sign import refuse_shared_sidecar

    if not footage.is_file():
        raise MediaError(f"There is no video {footage}. Check the name.")
    encoder_for(output, settings.codec, settings.encoder)
    if output.exists() and output.samefile(footage):
        raise OutputError(f"{output} is the footage itself, which is never overwritten. Choose another name.")
    if output.is_dir():
        raise OutputError(f"{output} is a folder. Give the name of a file.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} is there already. Choose another name, or replace it with --overwrite.")
    if not output.parent.is_dir():
        raise OutputError(f"There is no folder {output.parent}. Make it, or choose another place.")
    refuse_shared_sidecar(output)


@dataclass(frozen=True, slots=True)
class _Job:
    """What every step of one render needs to know."""

    project: Project
    footage: Path
    output: Path
    lender: str
    performer: str
    preset: str
    device: str
    settings: ConvertSettings
    label_shown: bool

    def lender_faces(self, perception: Perception) -> FaceArrays:
        """The lender's faces, read once, checked and screened: gate and model get these very ones."""
        from countenance.training.presets import preset as preset_named
        from countenance.training.train import load_faces, scratch_of, screen_faces

        size = preset_named(self.preset).crop_size
        faces = load_faces(self.project, self.lender, size, scratch=scratch_of(self.project))
        screen_faces(self.lender, faces, perception)
        return faces

    def permit(self, faces: FaceArrays, perception: Perception) -> Permit:
        """Ask the gate, with embeddings made anew from the pixels of the lender that the model shows."""
        from countenance.consent.gate import require_consent
        from countenance.faceset.use import reembed

        embeddings = reembed(faces, perception.embedder)
        permit = require_consent(self.project, self.lender, self.performer, act="swap", embeddings=embeddings)
        if permit.label_required and not self.label_shown:
            raise ConsentError(f"The consent record {permit.record_id} requires the visible label. Render with it.")
        return permit

    def model(self, permit: Permit, faces: FaceArrays, load: LoadsSwapper | None) -> FaceSwapper:
        """The trained model, if it was trained under the record that is in force."""
        if load is None:
            from countenance.training.swapper import load_swapper

            load = load_swapper
        swapper = load(
            self.project, self.lender, self.performer, preset=self.preset, device=self.device, lender_faces=faces
        )
        if swapper.facts.record_sha256 != permit.record_sha256:
            raise CheckpointError(
                f"The {self.preset} model of {self.lender!r} for {self.performer!r} was trained under another consent "
                f"record ({swapper.facts.record_id}) than the one in force ({permit.record_id}). Delete "
                f"{self.project.model_dir(self.lender, self.performer, self.preset)} and train again."
            )
        return swapper

    def store(
        self,
        folder: Path,
        permit: Permit,
        faces: FaceArrays,
        template: Float32,
        facts: CheckpointFacts,
        note: Callable[[str], None] | None,
    ) -> tuple[SegmentStore, FootageFacts]:
        """The finished segments of an interrupted run of this very job, or none; and the facts of the footage."""
        import av

        from countenance.conversion.segments import SegmentStore
        from countenance.project import user_data_dir

        footage = FootageFacts.of(self.footage)
        made_from = {
            "footage": footage.sha256,
            "settings": json.dumps([asdict(self.settings), self.label_shown, self.device, self.output.suffix.lower()]),
            "people": json.dumps([self.lender, self.performer]),
            "model": json.dumps([facts.tensors_sha256, facts.seed, _digest(faces.embeddings), _digest(template)]),
            "record": permit.record_sha256,
            "program": json.dumps([__version__, av.__version__]),
        }
        store = SegmentStore(folder, user_key(user_data_dir()), made_from, secrets.token_bytes(5))
        sentence = told(store, self.output)
        if note is not None and sentence is not None:
            note(sentence)
        return store, footage

    def convert(
        self,
        unsigned: Path,
        store: SegmentStore,
        swapper: FaceSwapper,
        template: Float32,
        perception: Perception,
        progress: Progress | None,
    ) -> ConvertReport:
        """Write the render with label and watermark, still without its credentials."""
        from countenance.conversion.pipeline import convert
        from countenance.media.probe import probe
        from countenance.provenance.label import draw_label
        from countenance.provenance.watermark import Watermarker

        info = probe(self.footage)
        return convert(
            self.footage,
            unsigned,
            swapper=swapper,
            performer_template=template,
            label=draw_label if self.label_shown else _as_it_is,
            watermark=Watermarker(store.watermark, (info.height, info.width)),
            perception=perception,
            settings=self.settings,
            store=store,
            progress=progress,
        )

    def sign(self, unsigned: Path, signed: Path, permit: Permit, watermark: bytes, identity: Signs) -> None:
        """Give the render its credentials, still in the private folder."""
        from countenance.provenance.label import LABEL_TEXT
        from countenance.provenance.manifest import RenderClaim
        from countenance.provenance.sign import sign_file

        claim = RenderClaim(
            record_id=permit.record_id,
            record_sha256=permit.record_sha256,
            purpose=permit.purpose,
            made_at=datetime.now(UTC),
            preset=self.preset,
            label_text=LABEL_TEXT if self.label_shown else None,
            watermark_id=watermark,
            synthetic=permit.synthetic,
            screens=SCREENS,
        )
        sign_file(unsigned, signed, parent=self.footage, claim=claim, identity=identity)

    def log(self, signed: Path, permit: Permit, watermark: bytes, facts: CheckpointFacts, footage_sha256: str) -> str:
        """Enter the render into the ledger before it appears, if consent still holds. Returns its SHA-256."""
        from countenance.consent.gate import enter_render

        digest = file_sha256(signed)
        row = {
            "lender": permit.lender,
            "performer": permit.performer,
            "purpose": permit.purpose,
            "record_id": permit.record_id,
            "record_sha256": permit.record_sha256,
            "watermark": watermark.hex(),
            "render_sha256": digest,
            "footage_sha256": footage_sha256,
            "preset": self.preset,
            "iteration": facts.iteration,
        }
        enter_render(self.project, permit, row)
        return digest


def _publish(signed: Path, output: Path) -> None:
    """Give the signed and logged render its name; its credentials first, where they lie beside it.

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


def _template(project: Project, performer: str) -> Float32:
    """Who the performer is: the normalised mean of their face set's embeddings, float32 ``(128,)``."""
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import require_enough
    from countenance.training.scores import template_of

    with FaceSet.open(project.faceset_path(project.require_person(performer))) as faceset:
        faceset.verify()
        require_enough(faceset)
        return template_of(faceset.vectors("kept").embeddings)


def _own_identity() -> Signs:
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity

    return SigningIdentity.load_or_create(user_data_dir())


def _as_it_is(rgb: UInt8) -> UInt8:
    return rgb


def _digest(array: Float32) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
