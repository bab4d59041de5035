"""The steps of one render, each of which is right only after the ones before it."""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from countenance import __version__
from countenance.conversion.resume import FootageFacts
from countenance.digest import file_sha256
from countenance.errors import CheckpointError, ConsentError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from countenance.consent.gate import Permit
    from countenance.conversion.report import ConvertReport
    from countenance.conversion.segments import SegmentStore
    from countenance.conversion.settings import ConvertSettings
    from countenance.faceset.records import FaceArrays
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.project import Project
    from countenance.provenance.label import LabelLook
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.sign import Signs
    from countenance.render.flow import LoadsSwapper
    from countenance.render.outputs import Extras, PatchesReport
    from countenance.render.patches import PatchFolder
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.swapper import FaceSwapper
    from countenance.types import Float32, UInt8

__all__ = ["SCREENS", "Job", "own_identity"]

SCREENS = ("sexual-content", "apparent-age")
"""The screens that every render passes, as its manifest names them."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every step of one render needs to know."""

    project: Project
    footage: Path
    output: Path
    lender: str
    performer: str
    preset: str
    device: str
    settings: ConvertSettings
    extras: Extras
    label_shown: bool
    look: LabelLook

    def lender_faces(self, perception: Perception) -> FaceArrays:
        """The lender's faces, read once, checked and screened: gate and model get these very ones."""
        from countenance.faceset.use import screen_faces
        from countenance.training.presets import preset as preset_named
        from countenance.training.train import load_faces, scratch_of

        size = preset_named(self.preset).crop_size
        faces = load_faces(self.project, self.lender, size, scratch=scratch_of(self.project))
        with self.screening():
            screen_faces(self.lender, faces, perception)
        return faces

    def screening(self) -> AbstractContextManager[None]:
        """A block whose refusals are entered into the ledger."""
        from countenance.consent.refusals import refusals_entered

        about = {"lender": self.lender, "performer": self.performer, "act": "swap", "at": "the screens"}
        return refusals_entered(self.project, **about)

    def performer_faces(self, perception: Perception) -> Float32:
        """Embeddings of every kept face of the performer, float32 ``(N, 128)``: by these the footage's face is known.

        Where there is a record to compare them with, they are made anew from the stored pixels, as the lender's are.
        """
        from countenance.faceset.use import reembed
        from countenance.training.train import checked_faces, load_faces, scratch_of

        if self.project.has_record(self.performer):
            faces = load_faces(self.project, self.performer, scratch=scratch_of(self.project))
            return reembed(faces, perception.embedder)
        with checked_faces(self.project, self.performer) as faceset:
            return faceset.vectors("kept").embeddings

    def permit(self, faces: FaceArrays, performer: Float32, perception: Perception) -> Permit:
        """Ask the gate, with embeddings made anew from the pixels of the lender that the model shows.

        A performer's record is about one face: nobody less like it than the network tells people apart by is replaced.

        A patch has no room for a label, so it is for lenders only who allow to leave it out.
        """
        from countenance.consent.gate import require_consent
        from countenance.faceset.use import reembed

        embeddings = reembed(faces, perception.embedder)
        permit = require_consent(
            self.project,
            self.lender,
            self.performer,
            act="swap",
            embeddings=embeddings,
            performer_embeddings=performer,
        )
        self._require_same_person()
        if permit.label_required and not self.label_shown:
            raise ConsentError(f"The consent record {permit.record_id} requires the visible label. Render with it.")
        if permit.label_required and self.extras.patches is not None:
            raise ConsentError(
                f"The consent record {permit.record_id} requires the visible label, which patches cannot carry. Render "
                "without --patches, or ask the lender for a record that allows it (consent request --allow-no-label)."
            )
        return permit

    def _require_same_person(self) -> None:
        from countenance.perception.identity import SAME_PERSON_COSINE

        asked = self.settings.performer_cosine
        if asked is not None and asked < SAME_PERSON_COSINE and not self.project.protects(self.performer):
            raise ConsentError(
                f"With performer_cosine = {asked:g} faces of other people would be taken for {self.performer}'s, and "
                f"the consent record is about {self.performer}'s alone. Leave it out, or choose at least "
                f"{SAME_PERSON_COSINE:g}."
            )

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

    def hides_footage(self, permit: Permit) -> bool:
        """Whether nothing in an output may say which footage it was, nor where, when and on what it was filmed."""
        return permit.purpose == "double" or self.project.hides_footage(permit.performer)

    def store(
        self,
        folder: Path,
        permit: Permit,
        faces: FaceArrays,
        template: Float32,
        facts: CheckpointFacts,
    ) -> tuple[SegmentStore, FootageFacts]:
        """The finished segments of an interrupted run of this very job, or none; and the facts of the footage."""
        import av

        from countenance.conversion.segments import SegmentStore

        footage = FootageFacts.of(self.footage)
        made_from = {
            # By the key, as the folder can lie outside the project: who has a copy could confirm a plain hash.
            "footage": self.project.key().derive(bytes.fromhex(footage.sha256), "footage of a render").hex(),
            "settings": json.dumps(
                [
                    asdict(self.settings),
                    self.label_shown and asdict(self.look),
                    self.device,
                    self.output.suffix.lower(),
                    self._apart(),
                    self.extras.secret_watermark,
                ]
            ),
            "people": json.dumps([self.lender, self.performer]),
            "model": json.dumps([facts.tensors_sha256, facts.seed, _digest(faces.embeddings), _digest(template)]),
            "record": permit.record_sha256,
            "program": json.dumps([__version__, av.__version__]),
        }
        store = SegmentStore(folder, self.project.key(), made_from, secrets.token_bytes(5))
        return store, footage

    def _apart(self) -> str:
        return "" if self.extras.patches is None else self.extras.patch_format

    def patch_folder(
        self, folder: Path, store: SegmentStore, permit: Permit, footage: FootageFacts, identity: Signs
    ) -> PatchFolder:
        """The folder that takes the patches, with those of the finished segments; without them all begins anew."""
        from countenance.media.probe import probe
        from countenance.provenance.credentials import parent_type
        from countenance.provenance.sign import footage_credentials
        from countenance.render.patches import PatchFolder, PatchSigner

        watermark = derived_id(store.watermark, "patches")
        signer = PatchSigner(
            self.claim(permit, watermark, None),
            identity,
            parent_type(self.footage),
            footage_credentials(self.footage),
        )
        known = None if self.hides_footage(permit) else footage.sha256
        made = PatchFolder(folder / "patches", self.extras.patch_format, probe(self.footage), known, signer)
        if not made.take_up(store.memory.get("patches")):
            store.discard()
            made.take_up(None)
        return made

    def convert(
        self,
        unsigned: Path,
        store: SegmentStore,
        permit: Permit,
        swapper: FaceSwapper,
        template: Float32,
        perception: Perception,
        patches: PatchFolder | None,
        progress: Progress | None,
    ) -> ConvertReport:
        """Write the render with label and watermark, still without its credentials."""
        from countenance.conversion.pipeline import convert
        from countenance.media.probe import probe
        from countenance.project import user_data_dir
        from countenance.provenance.identity import watermark_secret
        from countenance.provenance.label import draw_label
        from countenance.provenance.watermark import Watermarker

        info, text = probe(self.footage), self.label_text(permit)
        secret = watermark_secret(user_data_dir(), create=True) if self.extras.secret_watermark else None
        with self.screening():
            return convert(
                self.footage,
                unsigned,
                swapper=swapper,
                performer_template=template,
                label=(lambda rgb: draw_label(rgb, text, self.look)) if self.label_shown else _as_it_is,
                watermark=Watermarker(store.watermark, (info.height, info.width), secret),
                adult_id_checked=permit.adult_id_checked,
                samples_only=self.hides_footage(permit),
                perception=perception,
                settings=self.settings,
                store=store,
                patches=patches,
                progress=progress,
            )

    def claim(
        self, permit: Permit, watermark: bytes, label: str | None, *, disclose_parent: bool = False
    ) -> RenderClaim:
        """What an output of this job states."""
        from countenance.provenance.manifest import RenderClaim

        return RenderClaim(
            record_id=permit.record_id,
            record_sha256=permit.record_sha256,
            purpose=permit.purpose,
            made_at=datetime.now(UTC),
            preset=self.preset,
            label_text=label,
            watermark_id=watermark,
            synthetic=permit.synthetic,
            screens=SCREENS,
            disclose_footage=disclose_parent,
            scope_sha256=self._scope(permit),
        )

    def _scope(self, permit: Permit) -> str | None:
        """Hash of what the permit's record allows; None when that is gone: then the ledger refuses the output."""
        from countenance.consent.record import parse_record
        from countenance.consent.strict_json import read_bounded
        from countenance.provenance.scope import scope_sha256

        with suppress(ConsentError):
            record = parse_record(read_bounded(self.project.consent_path(self.lender), "The consent record"))
            if record.sha256 == permit.record_sha256:
                return scope_sha256(record)
        return None

    def label_text(self, permit: Permit) -> str:
        """The words that the consent record asks for, in the chosen language."""
        from countenance.provenance.label import label_text

        return label_text(synthetic=permit.synthetic, language=self.look.language)

    def sign(self, unsigned: Path, signed: Path, permit: Permit, watermark: bytes, identity: Signs) -> None:
        """Give the render its credentials, still in the private folder."""
        from countenance.provenance.sign import sign_file

        claim = self.claim(permit, watermark, self.label_text(permit) if self.label_shown else None)
        sign_file(unsigned, signed, parent=self.footage, claim=claim, identity=identity)

    def review(
        self, folder: Path, render: Path, report: ConvertReport, permit: Permit, watermark: bytes, identity: Signs
    ) -> Path | None:
        """The signed clip of the veiled spans, still in the private folder; None when nothing was veiled.

        It is cut from the signed render, so that is its parent, as C2PA means the word: the asset that it was made from
        by editing. The render's own credentials come along (nothing in them is to be hidden), and its parent is the
        footage.
        """
        from countenance.provenance.label import draw_label
        from countenance.provenance.sign import sign_file
        from countenance.render.review import write_review

        if not report.veiled_spans:
            return None
        own = derived_id(watermark, "review")
        unsigned, signed = folder / "review.mp4", folder / "review-signed.mp4"
        text = self.label_text(permit)
        label = _as_it_is if self.label_shown else lambda rgb: draw_label(rgb, text, self.look)
        write_review(render, unsigned, report.veiled_spans, watermark=own, label=label)
        claim = self.claim(permit, own, text, disclose_parent=True)
        sign_file(unsigned, signed, parent=render, claim=claim, identity=identity, title="Render")
        return signed

    def row(self, permit: Permit, facts: CheckpointFacts, footage_sha256: str) -> dict[str, Any]:
        """What the ledger keeps of every output of this job."""
        known = {} if self.hides_footage(permit) else {"footage_sha256": footage_sha256}
        return {
            "lender": permit.lender,
            "performer": permit.performer,
            "purpose": permit.purpose,
            "record_id": permit.record_id,
            "record_sha256": permit.record_sha256,
            **known,
            "preset": self.preset,
            "iteration": facts.iteration,
        }

    def log(
        self,
        signed: Path,
        review: Path | None,
        patches: PatchesReport | None,
        permit: Permit,
        watermark: bytes,
        facts: CheckpointFacts,
        footage_sha256: str,
    ) -> str:
        """Enter each output into the ledger, all or none, before any appears, if consent still holds.

        Returns the render's SHA-256.
        """
        from countenance.consent.gate import enter_render

        digest = file_sha256(signed)
        common = self.row(permit, facts, footage_sha256)
        rows = []
        if patches is not None:
            apart = {"patches": patches.files, "patches_sha256": patches.sha256}
            rows.append(common | apart | {"watermark": patches.watermark})
        if review is not None:
            own = derived_id(watermark, "review").hex()
            rows.append(common | {"review": True, "render_sha256": file_sha256(review), "watermark": own})
        rows.append(common | {"render_sha256": digest, "watermark": watermark.hex()})
        enter_render(self.project, permit, *rows)
        return digest


def derived_id(watermark: bytes, what: str) -> bytes:
    """The watermark's id of what is made beside a render: always the same one, so that finished parts keep theirs."""
    return hashlib.sha256(what.encode() + b" of " + watermark).digest()[: len(watermark)]


def own_identity() -> Signs:
    """This installation's identity, which signs what it makes."""
    from countenance.project import user_data_dir
    from countenance.provenance.identity import SigningIdentity

    return SigningIdentity.load_or_create(user_data_dir())


def _as_it_is(rgb: UInt8) -> UInt8:
    return rgb


def _digest(array: Float32) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
