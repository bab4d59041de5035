"""Training a pair: screens, gate, resume, the loop, the ledger."""

from __future__ import annotations

import hashlib
import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from countenance.consent.refusals import refusals_entered
from countenance.consent.watch import ConsentWatch
from countenance.errors import CheckpointError, TrainingError
from countenance.faceset.use import screen_faces
from countenance.geometry import CROP_SIZE
from countenance.memory import Held, Scratch, peak_rss_bytes
from countenance.training.checkpoint import BEST, CHECKPOINT, CheckpointFacts, load, read_facts
from countenance.training.loop import Budget, loop
from countenance.training.plateau import forecast, memorised, plateau_reached
from countenance.training.prepare import PersonFaces, evenly, spread
from countenance.training.presets import completed
from countenance.training.presets import preset as preset_named
from countenance.training.runs import make_run
from countenance.training.scores import Identity, template_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from countenance.consent.gate import Permit
    from countenance.faceset.records import FaceArrays
    from countenance.faceset.store import FaceSet
    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.project import Project
    from countenance.training.loop import Watch
    from countenance.training.plateau import Forecast
    from countenance.types import Float32

__all__ = [
    "CAP_MINUTES",
    "MAX_FACES",
    "TrainReport",
    "choose_device",
    "load_faces",
    "person_faces",
    "scratch_of",
    "train",
]

CAP_MINUTES = {"swift": 120.0, "classic": 24.0 * 60.0, "cinema-256": 24.0 * 60.0, "cinema-512": 48.0 * 60.0}
"""Where no budget is given, a run that finds no plateau ends here."""

MAX_FACES = 20_000
"""Faces of one person that are used; more are thinned evenly over time. So many take the memory that
bench/memory.py measures: what is kept of each besides pictures, and the search for the nearest, grow with them."""

_TEMPLATE_FACES = 64  # of the performer, whose template only serves the scores


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What training did.

    Attributes:
        iteration: finished iterations, over all runs.
        samples_seen: faces shown, over all runs.
        seconds: training time over all runs, without preparation.
        history: rows of iteration, seconds, samples, loss (mean since the last row) and the scores of held-out faces:
            held_out_ssim, held_out_performer_ssim, held_out_lender_cosine, held_out_identity_margin and trained_ssim
            (see :class:`countenance.training.scores.HeldOut`); a score that could not be made is not there.
        resumed: whether a checkpoint was continued.
        trained_seconds: training time of this run; 0 when the budget had been used up before.
        model_dir: where the checkpoint is.
        preset: its name.
        device: torch's name of the device.
        stopped: ``minutes``, ``iterations`` or ``plateau``: why it did not go on.
        best_iteration: of the weights that conversion uses; None where nothing could be scored and it uses the last.
        best_seconds: training time at that moment.
        forecast: what ten more minutes are expected to give; None while there are too few scores.
        rollbacks: each time that training broke down: ``iteration``, ``back_to``, ``seconds``, ``reason``.
        warnings: sentences for the user.
        peak_rss_bytes: the most memory that the process had resident; None where the system does not tell.
        largest: the largest set of arrays that was kept, and how many of its bytes lay on the disk.
    """

    iteration: int
    samples_seen: int
    seconds: float
    history: tuple[dict[str, float], ...]
    resumed: bool
    trained_seconds: float
    model_dir: Path
    preset: str
    device: str
    stopped: Literal["minutes", "iterations", "plateau"] = "iterations"
    best_iteration: int | None = None
    best_seconds: float | None = None
    forecast: Forecast | None = None
    rollbacks: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    peak_rss_bytes: int | None = None
    largest: Held | None = None


def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        TrainingError: the named device is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(
            f"The device {name!r} cannot be used here ({str(error).splitlines()[0]}). Use --device auto or cpu."
        ) from error
    return device


@contextmanager
def checked_faces(project: Project, name: str, crop_size: int = CROP_SIZE) -> Iterator[FaceSet]:
    """A person's face set, open: whole, the newest, with enough faces in large enough crops; raises as load_faces."""
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import require_crops, require_enough, require_newest

    project.require_person(name)
    with FaceSet.open(project.faceset_path(name), project.key()) as faceset:
        faceset.verify()
        require_crops(faceset, crop_size)
        require_enough(faceset)
        require_newest(project, faceset)
        yield faceset


def load_faces(
    project: Project, name: str, crop_size: int = CROP_SIZE, *, scratch: Scratch | None = None
) -> FaceArrays:
    """The kept faces of a person, checked, larger crops averaged down to ``crop_size``.

    Args:
        project: the project folder.
        name: of the person.
        crop_size: side of the crops in pixels.
        scratch: where the decoded crops are kept, see :func:`scratch_of`; None is memory alone.

    Raises:
        ProjectError, FaceSetError, NoFaceError: no such person, a damaged face set, one with smaller crops, or too few
            faces.
        OutputError: the disk is full.
    """
    with checked_faces(project, name, crop_size) as faceset:
        return faceset.load(crop_size=crop_size, scratch=scratch)


def scratch_of(project: Project) -> Scratch:
    """Room for decoded faces: memory up to a bound, and beyond it nameless files in the folder of the face sets."""
    return Scratch(project.people_dir)


def person_faces(arrays: FaceArrays) -> PersonFaces:
    """What training and conversion use of a face set, bounded to :data:`MAX_FACES`."""
    moment = np.stack([arrays.source_index, arrays.frame_index], axis=1)
    faces = PersonFaces(arrays.rgb, arrays.landmarks_xy, arrays.depth, arrays.person_mask, moment)
    return spread(faces, MAX_FACES)


def _faces_digest(faces: PersonFaces) -> str:
    digest = hashlib.sha256(str(faces.rgb.shape).encode())
    for crop in faces.rgb:
        digest.update(np.ascontiguousarray(crop).data)
    digest.update(np.ascontiguousarray(faces.points_xy).data)
    return digest.hexdigest()


def _permit(
    project: Project, lender: str, performer: str, faces: Sequence[FaceArrays], perception: Perception
) -> tuple[Permit, Float32]:
    """Ask the gate, with embeddings made anew from the very pixels that training will use; gives the lender's too."""
    from countenance.consent.gate import require_consent
    from countenance.faceset.use import reembed

    embeddings = reembed(faces[0], perception.embedder)
    own = reembed(faces[1], perception.embedder) if project.has_record(performer) else None
    permit = require_consent(project, lender, performer, act="train", embeddings=embeddings, performer_embeddings=own)
    return permit, embeddings


def _identity(lender: Float32, performer: FaceArrays, perception: Perception) -> Identity:
    """Both people's templates, from the lender's embeddings and from some of the performer's faces.

    The performer's are measured anew as well: the stored ones may be another network's.
    """
    from countenance.faceset.use import reembed

    rows = evenly(len(performer), _TEMPLATE_FACES)
    some = replace(performer, **{name: getattr(performer, name)[rows] for name in performer.__dataclass_fields__})
    return Identity(perception.embedder, template_of(lender), template_of(reembed(some, perception.embedder)))


def train(
    project: Project,
    lender: str,
    performer: str,
    *,
    preset: str = "swift",
    minutes: float | None = None,
    iterations: int | None = None,
    early_stop: bool = True,
    device: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    perception: Perception | None = None,
    watch: Watch | None = None,
) -> TrainReport:
    """Train, or go on training, the model that gives ``lender``'s face to ``performer``.

    Training stops where the held-out faces gain nothing more (see :mod:`countenance.training.plateau`), and at its
    budget in any case. The budget counts all runs of the model together, so the same command continues after an
    interruption and does nothing when the model is finished. Ctrl-C saves before it leaves.

    Args:
        project: the project folder.
        lender: name of the person whose face is shown; needs a consent record in force.
        performer: name of the person in the footage.
        preset: one of :data:`countenance.training.presets.PRESETS`.
        minutes: most training time in all; :data:`CAP_MINUTES` when neither this nor ``iterations`` is given.
        iterations: total iterations; who counts them gets them all, plateau or not.
        early_stop: False trains until the budget is used up.
        device: ``auto``, ``cpu``, ``cuda`` …
        seed: of weights and distortions.
        progress: called a few times a second.
        perception: injected networks for tests.
        watch: called with the run and its facts after every score; see :func:`countenance.training.loop.loop`.

    Raises:
        ConsentError: the gate refuses; nothing was trained. Or consent was taken back while it was trained; nothing
            was saved after that.
        SexualContentError, MinorError: the faces do not pass the screens.
        CheckpointError: the model's checkpoint is damaged or belongs to other people, another preset or record.
        NoFaceError, FaceSetError, ProjectError: the face sets cannot be used.
        TrainingError: training broke down again and again, or the device is not there.
    """
    recipe = preset_named(preset)
    target = choose_device(device)
    for name, limit in (("minutes", minutes), ("iterations", iterations)):
        if limit is not None and not 0 < limit < math.inf:
            raise TrainingError(f"The budget of {limit} {name} is not above zero. Give a positive number.")
    if minutes is None and iterations is None:
        minutes = CAP_MINUTES[preset]
    budget = Budget(math.inf if minutes is None else minutes * 60.0, math.inf if iterations is None else iterations)
    scratch = scratch_of(project)
    faces = [load_faces(project, name, recipe.crop_size, scratch=scratch) for name in (lender, performer)]
    if perception is None:
        from countenance.perception.perceive import Perception

        perception = Perception()
    with refusals_entered(project, lender=lender, performer=performer, act="train", at="the screens"):
        for name, of in zip((lender, performer), faces, strict=True):
            screen_faces(name, of, perception)
    permit, embeddings = _permit(project, lender, performer, faces, perception)
    people = person_faces(faces[0]), person_faces(faces[1])
    folder = project.model_dir(lender, performer, preset)
    fresh = CheckpointFacts(
        preset=recipe.to_json(),
        lender=lender,
        performer=performer,
        record_id=permit.record_id,
        record_sha256=permit.record_sha256,
        ledger_entry=permit.ledger_entry,
        faces_sha256=(_faces_digest(people[0]), _faces_digest(people[1])),
        seed=seed,
        iteration=0,
        samples_seen=0,
        seconds=0.0,
        device=str(target),
        history=(),
    )
    stored = load(folder / CHECKPOINT) if (folder / CHECKPOINT).exists() else None
    facts = fresh if stored is None else _continued(fresh, stored.facts, folder)
    if stored is not None:
        _check_ledger(project, stored.facts)
    early, notices, kept = early_stop and iterations is None, list[str](), list[Held]()
    if stored is None or not (budget.spent(facts) or (early and plateau_reached(facts.curve))):
        identity = _identity(embeddings, faces[1], perception)
        run = make_run(
            recipe, people, device=target, seed=facts.seed, progress=progress, identity=identity, scratch=scratch
        )
        del faces, people, of  # the run holds what it needs
        if stored is not None:
            run.restore(stored.tensors)
        allowed = ConsentWatch(project, permit, "The training was stopped, and nothing more of it was saved.")
        facts = loop(
            run,
            facts,
            budget,
            folder,
            early_stop=early,
            progress=progress,
            watch=watch,
            notices=notices,
            allowed=allowed,
        )
        _log(project, facts, permit)
        kept.append(Held("weights and optimiser", sum(tensor.nbytes for tensor in run.tensors().values()), 0))
    best = read_facts(folder / BEST) if (folder / BEST).exists() else None
    return TrainReport(
        iteration=facts.iteration,
        samples_seen=facts.samples_seen,
        seconds=facts.seconds,
        history=facts.history,
        resumed=stored is not None,
        trained_seconds=facts.seconds - (stored.facts.seconds if stored else 0.0),
        model_dir=folder,
        preset=preset,
        device=str(target),
        stopped=_stopped(facts, budget),
        best_iteration=best.iteration if best else None,
        best_seconds=best.seconds if best else None,
        forecast=forecast(facts.curve),
        rollbacks=facts.rollbacks,
        warnings=(*notices, *_warnings(facts, lender, performer)),
        peak_rss_bytes=peak_rss_bytes(),
        largest=max([*scratch.held(), *kept], key=lambda held: held.nbytes),
    )


def _stopped(facts: CheckpointFacts, budget: Budget) -> Literal["minutes", "iterations", "plateau"]:
    if facts.iteration >= budget.iterations:
        return "iterations"
    return "minutes" if facts.seconds >= budget.seconds else "plateau"


def _warnings(facts: CheckpointFacts, lender: str, performer: str) -> Sequence[str]:
    """What the user should know of a finished run."""
    names = {"lender": lender, "performer": performer}
    found = [
        f"The faces of {names[side]} that were trained on are learned by heart, while held-out ones get worse: "
        f"the best weights are kept; more footage of {names[side]} would help, more minutes will not."
        for side in memorised(facts.curve)
    ]
    if facts.rollbacks:
        count, reasons = len(facts.rollbacks), {str(event["reason"]): None for event in facts.rollbacks}
        found.append(
            f"Training broke down {count} {'time' if count == 1 else 'times'} ({'; '.join(reasons)}), "
            "went back to good weights and went on at a lower learning rate."
        )
    return found


def _log(project: Project, facts: CheckpointFacts, permit: Permit) -> None:
    from countenance.consent.ledger import Ledger

    row = {
        "lender": facts.lender,
        "performer": facts.performer,
        "preset": facts.preset["name"],
        "record_id": permit.record_id,
        "record_sha256": permit.record_sha256,
        "iteration": facts.iteration,
        "faces_sha256": list(facts.faces_sha256)[: 1 if project.protects(facts.performer) else 2],
    }
    Ledger(project.ledger_path).append("training", row)


def _check_ledger(project: Project, facts: CheckpointFacts) -> None:
    """The permit of the last run must still be in the ledger, or the ledger was cut off or exchanged."""
    from countenance.consent.ledger import Ledger

    Ledger(project.ledger_path).verify([facts.ledger_entry])


def _continued(fresh: CheckpointFacts, old: CheckpointFacts, folder: Path) -> CheckpointFacts:
    """The facts to go on from, when the checkpoint belongs to the same work."""
    if completed(old.preset) != fresh.preset:
        why = f"was written by another recipe ({old.preset.get('name')!r})"
    elif (old.lender, old.performer) != (fresh.lender, fresh.performer):
        why = f"is of {old.lender!r} for {old.performer!r}"
    elif old.record_sha256 != fresh.record_sha256:
        why = f"was trained under another consent record ({old.record_id})"
    else:
        # Other faces, other held-out ones: their scores begin a new curve.
        start = old.curve_start if old.faces_sha256 == fresh.faces_sha256 else len(old.history)
        return replace(
            old,
            faces_sha256=fresh.faces_sha256,
            device=fresh.device,
            ledger_entry=fresh.ledger_entry,
            curve_start=start,
        )
    raise CheckpointError(f"The checkpoint in {folder} {why}. Delete that folder to train anew.")
