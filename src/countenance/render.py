"""From footage to a marked, signed, logged render: the one way in which a swap leaves the program.

gate ▸ convert (with label and watermark, into a private folder) ▸ sign to the final name ▸ ledger. Whatever fails,
there is no output, and no unmarked file at any time.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from countenance.atomic import work_folder
from countenance.errors import CheckpointError, ConsentError, MediaError, OutputError

if TYPE_CHECKING:
    from countenance.consent.gate import Permit
    from countenance.conversion.report import ConvertReport
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

_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
_WORK_PREFIX = ".countenance-render-"


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
) -> SwapReport:
    """Replace the performer's face in footage by the lender's, and mark, sign and log the result.

    Args:
        project: with the face sets, the lender's consent record and the trained model.
        footage: a video of the performer.
        lender: whose face is shown.
        performer: whose face is replaced.
        output: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``; appears only when complete.
        preset: of the model.
        device: where the model runs.
        overwrite: replace an output that is there. The footage itself is never overwritten.
        leave_out_label: no visible label; only where the consent record allows it.
        settings: knobs of the conversion.
        perception: the networks; the real ones when None.
        identity: who signs; this installation when None.
        load: gives the trained model.
        progress: told the number of finished frames.

    Raises:
        ConsentError: no record covers this lender, these faces, this purpose and time, or it requires the label.
        ProjectError, FaceSetError, CheckpointError: face sets or model cannot be used.
        MediaError, NoFaceError, SexualContentError, MinorError: the footage cannot be used.
        MarkError, OutputError, LedgerError: no output could be made; nothing is left.
    """
    began = time.perf_counter()
    _check_paths(footage, output, overwrite=overwrite)
    job = _Job(project, footage, output, lender, performer, preset, label_shown=not leave_out_label)
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    faces = job.lender_faces(perception)
    permit = job.permit(faces, perception)
    swapper = job.model(permit, faces, load, device)
    signer = identity or _own_identity()
    watermark = secrets.token_bytes(5)
    with work_folder(output.parent, _WORK_PREFIX) as work:
        unsigned = work / f"render{output.suffix.lower()}"
        report = job.convert(unsigned, swapper, watermark, perception, settings, progress)
        job.sign(unsigned, permit, watermark, signer)
    return SwapReport(
        output=output,
        sha256=job.log(permit, watermark, swapper.facts),
        watermark=watermark.hex(),
        record_id=permit.record_id,
        preset=preset,
        iteration=swapper.facts.iteration,
        label_shown=job.label_shown,
        seconds=time.perf_counter() - began,
        convert=report,
    )


def _check_paths(footage: Path, output: Path, *, overwrite: bool) -> None:
    """Find out what cannot work before minutes are spent on it."""
    if not footage.is_file():
        raise MediaError(f"There is no video {footage}. Check the name.")
    if output.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"Cannot write {output}: the name must end in .mp4, .mov or .mkv. Choose such a name.")
    if output.exists() and output.samefile(footage):
        raise OutputError(f"{output} is the footage itself, which is never overwritten. Choose another name.")
    if output.is_dir():
        raise OutputError(f"{output} is a folder. Give the name of a file.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} is there already. Choose another name, or replace it with --overwrite.")
    if not output.parent.is_dir():
        raise OutputError(f"There is no folder {output.parent}. Make it, or choose another place.")


@dataclass(frozen=True, slots=True)
class _Job:
    """What every step of one render needs to know."""

    project: Project
    footage: Path
    output: Path
    lender: str
    performer: str
    preset: str
    label_shown: bool

    def lender_faces(self, perception: Perception) -> FaceArrays:
        """The lender's faces, read once, checked and screened: gate and model get these very ones."""
        from countenance.training.train import load_faces, screen_faces

        faces = load_faces(self.project, self.lender)
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

    def model(self, permit: Permit, faces: FaceArrays, load: LoadsSwapper | None, device: str) -> FaceSwapper:
        """The trained model, if it was trained under the record that is in force."""
        if load is None:
            from countenance.training.swapper import load_swapper

            load = load_swapper
        swapper = load(self.project, self.lender, self.performer, preset=self.preset, device=device, lender_faces=faces)
        if swapper.facts.record_sha256 != permit.record_sha256:
            raise CheckpointError(
                f"The {self.preset} model of {self.lender!r} for {self.performer!r} was trained under another consent "
                f"record ({swapper.facts.record_id}) than the one in force ({permit.record_id}). Delete "
                f"{self.project.model_dir(self.lender, self.performer, self.preset)} and train again."
            )
        return swapper

    def convert(
        self,
        unsigned: Path,
        swapper: FaceSwapper,
        watermark: bytes,
        perception: Perception,
        settings: ConvertSettings | None,
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
            performer_template=_template(self.project, self.performer),
            label=draw_label if self.label_shown else _as_it_is,
            watermark=Watermarker(watermark, (info.height, info.width)),
            perception=perception,
            settings=settings,
            progress=progress,
        )

    def sign(self, unsigned: Path, permit: Permit, watermark: bytes, identity: Signs) -> None:
        """Give the render its credentials and its name."""
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
        sign_file(unsigned, self.output, parent=self.footage, claim=claim, identity=identity)

    def log(self, permit: Permit, watermark: bytes, facts: CheckpointFacts) -> str:
        """Append the render to the ledger; one that cannot be logged does not stay. Returns its SHA-256."""
        from countenance.consent.ledger import Ledger
        from countenance.provenance.credentials import embeds, sidecar_path

        try:
            digest = _sha256(self.output)
            row = {
                "lender": permit.lender,
                "performer": permit.performer,
                "purpose": permit.purpose,
                "record_id": permit.record_id,
                "record_sha256": permit.record_sha256,
                "watermark": watermark.hex(),
                "render_sha256": digest,
                "footage_sha256": _sha256(self.footage),
                "preset": self.preset,
                "iteration": facts.iteration,
            }
            Ledger(self.project.ledger_path).append("render", row)
        except BaseException:
            self.output.unlink(missing_ok=True)
            if not embeds(self.output):
                sidecar_path(self.output).unlink(missing_ok=True)
            raise
        return digest


def _template(project: Project, performer: str) -> Float32:
    """Who the performer is: the normalised mean of their face set's embeddings, float32 ``(128,)``."""
    from countenance.training.scores import template_of
    from countenance.training.train import load_faces

    return template_of(load_faces(project, performer).embeddings)


def _own_identity() -> Signs:
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity

    return SigningIdentity.load_or_create(user_data_dir())


def _as_it_is(rgb: UInt8) -> UInt8:
    return rgb


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"Cannot read {path} ({error.strerror or error}). Check that it is still there.") from error
