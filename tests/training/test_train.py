"""``train`` itself, on a small project: gate, screens, resume, refusals, and a kill at any moment."""

import gc
import importlib.util
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from training_faces import made_faces
from two_signatures import performer_agrees, signed_record

from countenance.consent.check import accept_record
from countenance.consent.keys import generate_key
from countenance.consent.template import enrol, save_template
from countenance.errors import (
    CheckpointError,
    ConsentError,
    LedgerError,
    MinorError,
    NoFaceError,
    ProjectError,
    SexualContentError,
    TrainingError,
)
from countenance.faceset.records import Moment, NewFace
from countenance.faceset.store import FaceSet
from countenance.memory import MEMORY_BYTES, Held, Scratch
from countenance.perception.identity import EMBEDDER_ID
from countenance.project import Project
from countenance.training.checkpoint import (
    BEST,
    CHECKPOINT,
    PREVIOUS,
    CheckpointFacts,
    load,
    read_facts,
    save,
    save_best,
)
from countenance.training.model import ClassicModel
from countenance.training.presets import PRESETS
from countenance.training.swapper import ClassicSwapper, load_swapper
from countenance.training.train import train
from countenance.types import AlignedFace, FaceLandmarks

_EYE = np.hstack([np.eye(2), np.zeros((2, 1))])


@dataclass
class FakePerception:
    """Networks that say what the story needs; ``who`` is a unit vector, each face lies 0.9 from it."""

    who: np.ndarray
    years: float = 30.0
    sexual: float = 0.0

    def embedder(self, rgb: np.ndarray, _landmarks: FaceLandmarks) -> np.ndarray:
        noise = np.random.default_rng(int(rgb[::16, ::16].sum())).normal(size=128)
        noise -= noise @ self.who * self.who
        return (0.9 * self.who + np.sqrt(1 - 0.81) * noise / np.linalg.norm(noise)).astype(np.float32)

    def screen(self, _rgb: np.ndarray) -> float:
        return self.sexual

    def age(self, _rgb: np.ndarray, _landmarks: FaceLandmarks) -> float:
        return self.years


def _unit(axis: int) -> np.ndarray:
    vector = np.zeros(128)
    vector[axis] = 1.0
    return vector


def fill(
    project: Project, name: str, seed: int, perception: FakePerception, count: int = 24, size: int = 256
) -> np.ndarray:
    """A finished face set of made faces; gives their embeddings."""
    faces = made_faces(count, seed, size)
    project.person_dir(name).mkdir(parents=True, exist_ok=True)
    vectors = []
    opened = FaceSet.open(project.faceset_path(name), project.key(), create=True, crop_size=size)
    with opened as faceset, faceset.transaction():
        source = faceset.begin_source(f"{name}.mp4", "00" * 32, "video")
        ids = []
        for row in range(count):
            marks = FaceLandmarks(faces.points_xy[row], faces.depth[row], np.zeros(52, np.float32), 1.0)
            vectors.append(perception.embedder(faces.rgb[row], marks))
            face = NewFace(
                Moment(row * 3, row * 3, Fraction(1, 25)),
                AlignedFace(faces.rgb[row], _EYE, marks),
                vectors[-1],
                faces.person_mask[row],
                sharpness=100.0,
                pose_degrees=(0.0, 0.0, 0.0),
                detection_score=0.9,
                face_pixels=200.0,
            )
            ids.append(faceset.add(source, face))
        faceset.keep(ids, dict.fromkeys(ids, 30.0))
        for record in faceset.sources():
            faceset.advance_source(record, next_frame=count * 3, without_face=0, finished=True)
        faceset.finish_sources([source])
        faceset.set_identity(np.mean(vectors, axis=0).astype(np.float32), EMBEDDER_ID)
    return np.stack(vectors)


@dataclass
class Story:
    project: Project
    perception: FakePerception

    def train(self, **options):
        return train(
            self.project, "vera", "ivan", device="cpu", perception=self.perception, **({"iterations": 2} | options)
        )

    @property
    def folder(self) -> Path:
        return self.project.model_dir("vera", "ivan", "swift")


def consent(project: Project, embeddings: np.ndarray, key) -> None:
    template = enrol(embeddings, [30.0], embedder_id=EMBEDDER_ID)
    save_template(project.template_path("vera"), template, project.key())
    accept_record(project, "vera", signed_record(project, "vera", key, synthetic=True))
    performer_agrees(project, axis=0)  # as every face is to the stories' network


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    # the same code with a small network: these stories are about everything around it
    small = replace(PRESETS["swift"], batch_size=2, widths=(8, 8, 8, 8))
    monkeypatch.setitem(PRESETS, "swift", small)
    project = Project.create(tmp_path / "film", title="A test")
    perception = FakePerception(_unit(0))
    embeddings = fill(project, "vera", 1, perception)
    fill(project, "ivan", 2, FakePerception(_unit(1)))
    consent(project, embeddings, generate_key(tmp_path / "vera.key", "correct horse battery"))
    return Story(project, perception)


def test_the_loop_holds_none_of_the_crops_that_it_does_not_need(story: Story, monkeypatch) -> None:
    scratch = Scratch()
    monkeypatch.setattr("countenance.training.train.scratch_of", lambda _project: scratch)
    free: list[int] = []
    story.train(watch=lambda *_: gc.collect() is None or free.append(scratch._left))
    prepared = 24 * 128 * 128 * (3 + 2 * 3 + 3)
    assert free[0] == MEMORY_BYTES - 2 * prepared


def test_train_resumes_and_then_has_nothing_to_do(story: Story) -> None:
    first = story.train(iterations=1)
    assert (first.iteration, first.resumed, first.samples_seen) == (1, False, 3)
    assert first.peak_rss_bytes is not None
    assert first.peak_rss_bytes > 10**8
    # More than the crops of 2 × 24 faces, which have 9.4 MB.
    size = sum(tensor.nbytes for tensor in load(story.folder / CHECKPOINT).tensors.values())
    assert first.largest == Held("weights and optimiser", size, 0)
    second = story.train(iterations=2)
    assert (second.iteration, second.resumed) == (2, True)
    third = story.train(iterations=2)
    assert (third.iteration, third.resumed, third.trained_seconds) == (2, True, 0.0)
    facts = read_facts(story.folder / CHECKPOINT)
    assert facts.record_sha256 == load(story.folder / CHECKPOINT).facts.record_sha256 != ""
    assert read_facts(story.folder / PREVIOUS).iteration == 1
    scores = {"held_out_ssim", "held_out_performer_ssim", "held_out_lender_cosine", "held_out_identity_margin"}
    assert all(scores | {"trained_ssim"} <= set(row) for row in facts.history)
    # every picture is vera's to this story's network, also those of ivan's face set
    assert facts.history[-1]["held_out_lender_cosine"] > 0.8
    assert abs(facts.history[-1]["held_out_identity_margin"]) < 0.1


def test_the_trained_model_paints_256_pixels_with_a_mask(story: Story) -> None:
    story.train(iterations=1)
    swapper = load_swapper(story.project, "vera", "ivan", device="cpu")
    faces = made_faces(3, 2)
    aligned = [
        AlignedFace(
            faces.rgb[row],
            _EYE,
            FaceLandmarks(faces.points_xy[row], faces.depth[row], np.zeros(52, np.float32), 1.0),
        )
        for row in range(3)
    ]
    painted = swapper(aligned)
    assert [face.rgb.shape for face in painted] == [(256, 256, 3)] * 3
    assert all(face.mask.values[128, 128] > 0.8 and face.mask.values[2, 2] < 0.2 for face in painted)
    assert swapper([]) == []
    assert swapper.facts.iteration == 1


def test_the_classic_swapper_paints_the_middle_and_shows_no_edge() -> None:
    torch.manual_seed(0)
    tensors = {f"model.{name}": tensor for name, tensor in ClassicModel().state_dict().items()}
    recipe = PRESETS["classic"].to_json()
    facts = CheckpointFacts(recipe, "vera", "ivan", "r", "s", "e", ("a", "b"), 0, 1, 1, 1.0, "cpu", ())
    swapper = ClassicSwapper(facts, tensors, torch.device("cpu"))
    faces = made_faces(2, 2)
    marks = FaceLandmarks(faces.points_xy[0], faces.depth[0], np.zeros(52, np.float32), 1.0)
    painted = swapper([AlignedFace(rgb, _EYE, marks) for rgb in faces.rgb])
    for face, rgb in zip(painted, faces.rgb, strict=True):
        mask = face.mask.values
        assert face.rgb.shape == (256, 256, 3)
        assert mask[128, 128] == 1.0
        assert mask[:48].max() == mask[:, 208:].max() == 0.0
        assert np.abs(np.diff(mask, axis=0)).max() < 0.1  # a ramp, never a step
        assert np.array_equal(face.rgb[:48], rgb[:48])
        assert not np.array_equal(face.rgb[100:150, 100:150], rgb[100:150, 100:150])
    assert swapper([]) == []
    with pytest.raises(CheckpointError, match="do not fit"):
        ClassicSwapper(facts, {}, torch.device("cpu"))


def _moved(story: Story, **changes: object) -> Path:
    """The best weights, as they would be if they came from elsewhere."""
    best = load(story.folder / BEST)
    return save_best(story.folder, replace(best.facts, **changes), best.tensors)


def test_conversion_uses_the_best_weights_or_else_the_last(story: Story) -> None:
    report = story.train(iterations=1)
    assert (report.best_iteration, report.stopped, report.forecast) == (1, "iterations", None)
    assert (report.rollbacks, report.warnings) == ((), ())
    kept = (story.folder / BEST).read_bytes()
    assert len(kept) < 0.5 * (story.folder / CHECKPOINT).stat().st_size
    story.train(iterations=3)
    (story.folder / BEST).write_bytes(kept)  # as if the two iterations had made it worse
    assert load_swapper(story.project, "vera", "ivan", device="cpu").facts.iteration == 1
    (story.folder / BEST).unlink()
    assert load_swapper(story.project, "vera", "ivan", device="cpu").facts.iteration == 3


@pytest.mark.parametrize(
    "changes",
    [{"record_sha256": "00" * 32}, {"record_id": "other"}, {"seed": 99}, {"performer": "oleg"}, {"lender": "anna"}],
)
def test_transplanted_best_weights_are_refused(story: Story, changes) -> None:
    story.train(iterations=1)
    _moved(story, **changes)
    with pytest.raises(CheckpointError, match="checkpoint beside them"):
        load_swapper(story.project, "vera", "ivan", device="cpu")
    with pytest.raises(CheckpointError, match="checkpoint beside them"):
        story.train(iterations=2)
    assert read_facts(story.folder / CHECKPOINT).iteration == 1


def test_edited_best_weights_are_refused(story: Story) -> None:
    story.train(iterations=1)
    data = bytearray((story.folder / BEST).read_bytes())
    data[-100] ^= 1
    (story.folder / BEST).write_bytes(data)
    with pytest.raises(CheckpointError, match="changed after it was written"):
        load_swapper(story.project, "vera", "ivan", device="cpu")


def test_a_model_on_its_plateau_has_nothing_to_do_until_it_is_told_or_has_new_faces(story: Story) -> None:
    story.train(iterations=1)
    stored = load(story.folder / CHECKPOINT)
    flat = tuple(
        {"iteration": at * 500.0, "seconds": at * 60.0, "samples": 1.0, "held_out_ssim": 0.9} for at in range(20)
    )
    save(story.folder, replace(stored.facts, history=flat, iteration=9500, seconds=1140.0), stored.tensors)
    idle = story.train(iterations=None, minutes=60)
    assert (idle.trained_seconds, idle.stopped) == (0.0, "plateau")
    assert idle.forecast is not None
    assert idle.forecast.gain == 0.0
    told = story.train(iterations=None, minutes=19.001, early_stop=False)
    assert told.trained_seconds > 0.0
    assert told.stopped == "minutes"
    counted = story.train(iterations=told.iteration + 1)  # who counts iterations gets them
    assert counted.stopped == "iterations"
    save(
        story.folder,
        replace(stored.facts, history=flat, iteration=9500, seconds=1140.0, faces_sha256=("x", "y")),
        stored.tensors,
    )
    anew = story.train(iterations=None, minutes=19.001)
    assert anew.trained_seconds > 0.0


def test_a_report_tells_what_to_know(story: Story) -> None:
    story.train(iterations=1)
    stored = load(story.folder / CHECKPOINT)
    common = {"samples": 1.0, "held_out_ssim": 0.9}
    rows = (
        common | {"iteration": 0.0, "seconds": 0.0, "trained_ssim": 0.9},
        common | {"iteration": 1.0, "seconds": 60.0, "trained_ssim": 0.95, "held_out_ssim": 0.88},
    )
    event = {"iteration": 5, "back_to": 1, "seconds": 3.0, "reason": "the loss is 9 times what it was"}
    save(story.folder, replace(stored.facts, history=rows, rollbacks=(event,)), stored.tensors)
    report = story.train(iterations=1)
    assert report.rollbacks == (event,)
    assert "faces of vera" in report.warnings[0]
    assert "broke down 1 time (the loss is 9 times" in report.warnings[1]


def test_without_a_record_nothing_is_trained(story: Story) -> None:
    story.project.consent_path("vera").unlink()
    with pytest.raises(ConsentError, match="no consent record"):
        story.train()
    assert not story.folder.exists()


def test_another_persons_pixels_are_refused_whatever_the_file_says(story: Story) -> None:
    story.perception.who = _unit(5)  # what the pixels show now; the stored embeddings still say vera
    with pytest.raises(ConsentError, match="not vera's faces"):
        story.train()
    assert not story.folder.exists()


def test_resuming_passes_the_gate_again(story: Story) -> None:
    story.train(iterations=1)
    story.project.consent_path("vera").unlink()
    with pytest.raises(ConsentError):
        story.train(iterations=2)
    assert read_facts(story.folder / CHECKPOINT).iteration == 1


def test_the_screens_look_at_the_very_pixels(story: Story) -> None:
    story.perception.sexual = 0.95
    with pytest.raises(SexualContentError):
        story.train()
    story.perception.sexual, story.perception.years = 0.0, 15.0
    with pytest.raises(MinorError):
        story.train()
    assert not story.folder.exists()


def test_a_new_record_does_not_take_over_the_old_ones_model(story: Story, tmp_path: Path) -> None:
    story.train(iterations=1)
    key = generate_key(tmp_path / "second.key", "correct horse battery")
    data = signed_record(story.project, "vera", key, synthetic=True)
    accept_record(story.project, "vera", data, expected_key=key.key_id)
    with pytest.raises(CheckpointError, match="another consent record"):
        story.train(iterations=2)


def test_a_checkpoint_moved_from_another_pair_is_refused(story: Story) -> None:
    story.train(iterations=1)
    fill(story.project, "oleg", 3, FakePerception(_unit(2)))
    performer_agrees(story.project, "oleg", axis=0)
    foreign = story.project.model_dir("vera", "oleg", "swift")
    foreign.mkdir(parents=True)
    (foreign / CHECKPOINT).write_bytes((story.folder / CHECKPOINT).read_bytes())
    with pytest.raises(CheckpointError, match="is of 'vera' for 'ivan'"):
        train(story.project, "vera", "oleg", device="cpu", iterations=2, perception=story.perception)
    with pytest.raises(CheckpointError, match="not what its folder says"):
        load_swapper(story.project, "vera", "oleg", device="cpu")


def test_a_swift_checkpoint_in_the_classic_folder_is_refused(story: Story) -> None:
    story.train(iterations=1)
    classic = story.project.model_dir("vera", "ivan", "classic")
    classic.mkdir(parents=True)
    (classic / CHECKPOINT).write_bytes((story.folder / CHECKPOINT).read_bytes())
    with pytest.raises(CheckpointError, match="another recipe"):
        story.train(preset="classic")
    with pytest.raises(CheckpointError, match="not what its folder says"):
        load_swapper(story.project, "vera", "ivan", preset="classic", device="cpu")


def test_an_exchanged_ledger_is_noticed(story: Story) -> None:
    story.train(iterations=1)
    story.project.ledger_path.unlink()
    for extra in ("-wal", "-shm"):
        story.project.ledger_path.with_name(story.project.ledger_path.name + extra).unlink(missing_ok=True)
    with pytest.raises((LedgerError, ConsentError)):
        story.train(iterations=2)


def test_too_few_faces_no_person_no_model_and_a_silly_budget_are_said(story: Story) -> None:
    fill(story.project, "anna", 4, FakePerception(_unit(3)), count=3)
    with pytest.raises(NoFaceError, match="3 usable faces"):
        train(story.project, "vera", "anna", device="cpu", iterations=1, perception=story.perception)
    with pytest.raises(ProjectError):
        train(story.project, "vera", "nobody", device="cpu", iterations=1, perception=story.perception)
    with pytest.raises(ProjectError, match="countenance train --lender vera"):
        load_swapper(story.project, "vera", "ivan")
    with pytest.raises(TrainingError, match="above zero"):
        story.train(minutes=-1.0)


def test_sigkill_at_any_moment_leaves_the_bits_of_a_run_that_nobody_killed() -> None:
    """A sample of ``bench/kills.py``: a small network saved at every iteration, so that many kills fall into a save."""
    spec = importlib.util.spec_from_file_location("kills", Path(__file__).parents[2] / "bench" / "kills.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    rows = bench.kills(3, "swift", tiny=True, save_seconds=0.0, within=(0.3, 1.5), seed=1)
    assert all(row["same_bits"] for row in rows)
    reached = [row["checkpoint"] or 0 for row in rows]
    assert reached == sorted(reached)
    assert reached[-1] > 0
    assert all(row["lost_iterations"] <= 2 for row in rows)
