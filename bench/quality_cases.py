"""The cases and systems of ``bench/quality.py``: who is swapped with whom, and what makes the swap.

Everything goes the product's own way: a project with a signed record, the gate, the conversion, the marks. The anchors
and our reference of the SAEHD family come in where a trained model would.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from anchors import AffinePaste, MeshPaste
from reference_saehd import SaehdRecipe, SaehdRun, SaehdSwapper

from countenance import api
from countenance.consent.gate import require_consent
from countenance.consent.keys import public_path
from countenance.conversion.settings import ConvertSettings
from countenance.evaluation.outside import Marking, encode_unswapped
from countenance.faceset.use import reembed
from countenance.media.probe import probe
from countenance.perception.perceive import Perception
from countenance.project import Project
from countenance.provenance.label import LABEL_TEXT, PLAIN_LOOK
from countenance.render import render
from countenance.training.checkpoint import CheckpointFacts, load
from countenance.training.loop import Budget, loop
from countenance.training.prepare import PersonFaces
from countenance.training.train import load_faces, person_faces
from countenance.types import AlignedFace, SwappedFace

__all__ = ["CASES", "Case", "Made", "Stage", "World"]

CLIPS = Path(str(files("countenance") / "data" / "performers"))
LENDER, PERFORMER = "lender", "performer"
_PASSPHRASE = "nobody of flesh and blood"


@dataclass(frozen=True)
class Case:
    """One pair and one shot; names of embedded clips. Without a truth only the footage is there to compare with."""

    name: str
    title: str
    lender: str
    performer: str
    footage: str
    truth: str | None
    mask: str


CASES = {
    case.name: case
    for case in (
        Case(
            "forward", "B lends a face to A", "train_B", "train_A", "test_A", "test_gt_matched", "test_gt_matched_mask"
        ),
        # The truth of the one direction is footage of the other: B's face in A's shot, whose own face is known.
        Case("reverse", "A lends a face to B", "train_A", "train_B", "test_gt_matched", "test_A", "test_A_mask"),
        Case("occlusion", "B lends a face to C, who wears glasses", "train_B", "occl_C", "occl_C", None, "occl_C_mask"),
    )
}


class Paints(Protocol):
    """A swapper, as conversion uses it."""

    @property
    def facts(self) -> CheckpointFacts: ...

    def __call__(self, faces: Sequence[AlignedFace]) -> list[SwappedFace]: ...


@dataclass(frozen=True)
class Made:
    """A finished clip and what it cost: training seconds, iterations, samples; None where nothing is trained.

    ``wall_seconds`` is the last training call's wall time, from the face sets to the saved model; ``core_seconds`` the
    same by :func:`core_seconds`, which other programs on the machine do not lengthen.
    """

    clip: Path
    seconds: float | None
    iterations: int | None
    samples: int | None
    history: list[dict[str, float]]
    render_seconds: float | None
    wall_seconds: float | None = None
    core_seconds: float | None = None


def core_seconds() -> float:
    """CPU time of this process over cores: what work that keeps all of them busy takes on an idle machine."""
    return time.process_time() / (os.cpu_count() or 1)


@dataclass(frozen=True)
class Stage:
    """One row to make: a system, and the minutes of training it gets in all (None for those that do not train)."""

    system: str
    minutes: float | None


class World:
    """One case's project, and everything that can be made in it.

    Args:
        case: which.
        folder: for the project and the renders; what is there already is used again.
        clips: folder with the shots to convert: the embedded clips, or shorter copies.
    """

    def __init__(self, case: Case, folder: Path, clips: Path = CLIPS) -> None:
        self.case, self.folder, self.clips = case, folder, clips
        self.see = Perception()
        folder.mkdir(parents=True, exist_ok=True)
        self.project = self._project()

    def clip(self, name: str) -> Path:
        return self.clips / f"{name}.mp4"

    def _project(self) -> Project:
        root = self.folder / "project"
        if (root / "people" / PERFORMER / "consent.json").exists():  # the last thing that is made
            return Project.open(root)
        project = api.new(root, title=f"Quality, {self.case.name}", purpose="research")
        api.extract(project, LENDER, [CLIPS / f"{self.case.lender}.mp4"])
        api.extract(project, PERFORMER, [CLIPS / f"{self.case.performer}.mp4"])
        witness = self.folder / "witness.key"
        api.consent_keygen(witness, _PASSPHRASE)
        for person, replaced in ((LENDER, False), (PERFORMER, True)):
            api.consent_enrol(project, person)
            key = self.folder / f"{person}.key"
            api.consent_keygen(key, _PASSPHRASE)
            request = api.consent_request(
                project,
                person,
                witness=public_path(witness),
                witness_role="producer",
                performers=[] if replaced else [PERFORMER],
                term_days=3650,
                synthetic=True,
                replaced=replaced,
            )
            signed = api.consent_sign(request.path, key, _PASSPHRASE, project=project)
            api.consent_witness(signed.path, witness, _PASSPHRASE, project=project)
        return project

    def make(self, stage: Stage) -> Made:
        """Train as far as need be, and render the shot."""
        out = self.folder / f"{stage.system}{'' if stage.minutes is None else f'_{stage.minutes:g}'}.mp4"
        if stage.system in ("footage", "truth"):
            return self._unswapped(stage.system, out)
        if stage.system in ("affine paste", "mesh paste"):
            return self._rendered(out, self._anchor(stage.system), None, [])
        assert stage.minutes is not None
        if stage.system.startswith("saehd"):
            return self._reference(out, stage)
        began, cores_began = time.monotonic(), core_seconds()
        report = api.train(
            self.project, LENDER, PERFORMER, preset=stage.system, minutes=stage.minutes, early_stop=False
        )
        wall, cores = time.monotonic() - began, core_seconds() - cores_began
        swap = api.swap(
            self.project,
            self.clip(self.case.footage),
            lender=LENDER,
            performer=PERFORMER,
            output=out,
            preset=stage.system,
            overwrite=True,
        )
        history = [dict(row) for row in report.history]
        return Made(out, report.seconds, report.iteration, report.samples_seen, history, swap.seconds, wall, cores)

    def _unswapped(self, system: str, out: Path) -> Made:
        """The floor and the ceiling: marked and encoded like every render, but with nothing replaced."""
        name = self.case.footage if system == "footage" else self.case.truth
        assert name is not None
        info = probe(self.clip(name))
        marking = Marking(
            b"floor" if system == "footage" else b"truth", (LABEL_TEXT, PLAIN_LOOK), (info.height, info.width)
        )
        encode_unswapped(self.clip(name), out, marking, ConvertSettings())
        return Made(out, None, None, None, [], None)

    def _facts(self, recipe: dict[str, Any]) -> CheckpointFacts:
        record = api.consent_check(self.project, LENDER).record
        assert record is not None
        return CheckpointFacts(
            preset=recipe,
            lender=LENDER,
            performer=PERFORMER,
            record_id=record.id,
            record_sha256=record.sha256,
            ledger_entry="",
            faces_sha256=("", ""),
            seed=0,
            iteration=0,
            samples_seen=0,
            seconds=0.0,
            device="cpu",
            history=(),
        )

    def _people(self) -> tuple[PersonFaces, PersonFaces]:
        lender, performer = (person_faces(load_faces(self.project, name)) for name in (LENDER, PERFORMER))
        return lender, performer

    def _anchor(self, system: str) -> Paints:
        kind = AffinePaste if system == "affine paste" else MeshPaste
        return kind(*self._people(), self._facts({"name": system.replace(" ", "-")}))

    def _rendered(self, out: Path, swapper: Paints, facts: CheckpointFacts | None, history: list[Any]) -> Made:
        report = render(
            self.project,
            self.clip(self.case.footage),
            lender=LENDER,
            performer=PERFORMER,
            output=out,
            preset="swift",  # no preset of the product, but they take faces of the size that swift takes
            overwrite=True,
            perception=self.see,
            load=lambda *_, **__: swapper,  # type: ignore[arg-type, return-value]
        )
        if facts is None:
            return Made(out, None, None, None, history, report.seconds)
        return Made(out, facts.seconds, facts.iteration, facts.samples_seen, history, report.seconds)

    def _reference(self, out: Path, stage: Stage) -> Made:
        assert stage.minutes is not None
        recipe = SaehdRecipe("df" if stage.system == "saehd-df" else "liae")
        folder = self.folder / stage.system
        checkpoint = folder / "checkpoint.safetensors"
        lender, performer = (reembed(load_faces(self.project, name), self.see.embedder) for name in (LENDER, PERFORMER))
        permit = require_consent(
            self.project, LENDER, PERFORMER, act="train", embeddings=lender, performer_embeddings=performer
        )
        run = SaehdRun(recipe, self._people(), device=torch.device("cpu"), seed=0)
        facts = replace(self._facts(recipe.to_json()), ledger_entry=permit.ledger_entry)
        if checkpoint.exists():
            stored = load(checkpoint)
            facts = stored.facts
            run.restore(stored.tensors)
        facts = loop(run, facts, Budget(seconds=stage.minutes * 60.0), folder)
        swapper = SaehdSwapper(facts, load(checkpoint).tensors, torch.device("cpu"))
        return self._rendered(out, swapper, facts, [dict(row) for row in facts.history])


def occluder_change(clip: Path, footage: Path, mask: Path, see: Perception) -> dict[str, float]:
    """How much a swap paints on what is in front of the face: mean absolute grey levels there, and the pixels' share.

    In front of the face is what lies inside the landmarks' hull, 3 pixels from its edge, where the mask of the visible
    face is black. The row of the untouched footage says what the encoder and the marks change there by themselves.
    """
    import cv2

    from countenance.evaluation.clips import mask_of, together
    from countenance.evaluation.observe import hull_mask

    changes, shares = [], []
    for seen, plain, region in together([clip, footage, mask]):
        found = see.detector(plain.rgb)
        if not found:
            continue
        hull = cv2.erode(hull_mask(see.mesh(plain.rgb, found[0]).points_xy, plain.size_hw), np.ones((7, 7), np.uint8))
        front = (hull == 1) & (mask_of(region) < 0.1)
        if front.any():
            changes.append(float(cv2.absdiff(seen.rgb, plain.rgb)[front].mean()))
            shares.append(float(front.sum() / hull.sum()))
    return {"changed": float(np.mean(changes)), "share": float(np.mean(shares)), "frames": float(len(changes))}
