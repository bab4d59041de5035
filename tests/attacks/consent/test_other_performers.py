"""A performer's record stretched to another face: the faces are compared with the enrolled one, as a lender's are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "training"))

from consent_world import World, direction, faces_at, faces_of
from test_train import FakePerception, _unit, fill
from training_faces import made_faces
from two_signatures import memory_key, performer_agrees, performer_faces, signed_record

from countenance.consent.check import accept_record
from countenance.consent.ledger import Ledger
from countenance.consent.template import enrol, save_template
from countenance.conversion.settings import ConvertSettings
from countenance.errors import ConsentError
from countenance.perception.identity import EMBEDDER_ID
from countenance.project import Project
from countenance.provenance.label import PLAIN_LOOK
from countenance.render.job import Job
from countenance.render.outputs import Extras
from countenance.training.train import load_faces, train

OWN = performer_faces()
CENTRE = OWN.mean(axis=0) / np.linalg.norm(OWN.mean(axis=0))
ACTS = pytest.mark.parametrize("act", ["train", "swap"])


@pytest.fixture
def both(tmp_path: Path) -> World:
    """Lender and performer have a record each."""
    world = World(tmp_path / "both", protected=())
    world.accept()
    performer_agrees(world.project, clock=world.clock)
    return world


def refused(world: World, faces: np.ndarray | None, says: str, **options: object) -> None:
    with pytest.raises(ConsentError, match=says):
        world.gate(performer_embeddings=faces, **options)
    assert world.last().kind == "refusal"
    assert "permit" not in world.kinds()


@ACTS
def test_somebody_else_as_the_performer(both: World, act: str) -> None:
    """A record of ivan's, and footage of another person under that name."""
    refused(both, faces_of(direction(8), 60), "These are not ivan's faces: 60 of 60", act=act)


@ACTS
@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.2])
def test_foreign_faces_mixed_into_the_performers(both: World, act: str, share: float) -> None:
    count = round(1000 * share)
    mixed = np.concatenate([faces_of(CENTRE, 1000 - count), faces_of(direction(8), count)])
    refused(both, mixed, f"{count} of 1000 faces are of somebody else than the enrolled performer", act=act)


@ACTS
def test_the_lenders_own_faces_as_the_performers(both: World, act: str) -> None:
    refused(both, both.faces(), "These are not ivan's faces", act=act)


def test_a_look_alike_of_the_performer(both: World) -> None:
    refused(both, faces_at(CENTRE, [0.65] * 200), "somebody similar to the enrolled performer")


@pytest.mark.parametrize("faces", [None, np.zeros((0, 128)), np.full((9, 128), np.nan), np.ones((9, 64))])
def test_no_faces_of_the_performer(both: World, faces: np.ndarray | None) -> None:
    """Left out, none, no numbers, of another network: nothing was compared, so nothing is allowed."""
    refused(both, faces, "no usable face to compare")


def test_the_performers_own_faces(both: World) -> None:
    both.gate(performer_embeddings=faces_of(CENTRE, 70))
    assert (both.last().facts["faces"], both.last().facts["performer_faces"]) == (200, 70)


def test_a_protected_witness_is_compared_with_nothing(tmp_path: Path) -> None:
    """There is no template of theirs, so any faces pass: that is what protects them."""
    world = World(tmp_path / "protected")
    world.accept()
    world.gate(performer_embeddings=None)
    assert "performer_faces" not in world.last().facts


class ByPixels(FakePerception):
    """Sees who a crop really shows, whatever the file says of it."""

    def __init__(self, people: dict[int, int]) -> None:
        super().__init__(_unit(0))
        crops = {seed: made_faces(24, seed, 256).rgb for seed in people}
        self.axis = {crop.tobytes(): people[seed] for seed, rows in crops.items() for crop in rows}
        self.asked = 0

    def embedder(self, rgb: np.ndarray, landmarks: object) -> np.ndarray:
        self.asked += 1
        self.who = _unit(self.axis[rgb.tobytes()])
        return super().embedder(rgb, landmarks)  # type: ignore[arg-type]


LENDER, IVAN, STRANGER = 1, 2, 3  # seeds of made faces; each lies along the axis of that number
SEES = {LENDER: 1, IVAN: 2, STRANGER: 3}


def film(folder: Path, performer_pixels: int) -> Project:
    """Records of both; the performer's file says of its pictures that they show ivan."""
    project = Project.create(folder / "film", title="Welcome", purpose="double")
    vectors = fill(project, "vera", LENDER, FakePerception(_unit(LENDER)))
    fill(project, "ivan", performer_pixels, FakePerception(_unit(IVAN)))
    save_template(project.template_path("vera"), enrol(vectors, [30.0], embedder_id=EMBEDDER_ID), project.key())
    accept_record(project, "vera", signed_record(project, "vera", memory_key()))
    performer_agrees(project, axis=IVAN)
    return project


def job(project: Project, **settings: float) -> Job:
    path = project.root / "scene.mp4"
    knobs = ConvertSettings(**{"other_cosine": -1.0, **settings})
    return Job(project, path, path, "vera", "ivan", "swift", "cpu", knobs, Extras(), True, PLAIN_LOOK)


def permit(project: Project, see: ByPixels, **settings: float) -> object:
    made = job(project, **settings)
    lender = load_faces(project, "vera")
    return made.permit(lender, made.performer_faces(see), see)  # type: ignore[arg-type]


def test_a_strangers_pictures_under_the_performers_numbers(tmp_path: Path) -> None:
    """The face set is exchanged for a stranger's with the stored measurements of ivan: the pixels are measured anew."""
    project, see = film(tmp_path, STRANGER), ByPixels(SEES)
    with pytest.raises(ConsentError, match="These are not ivan's faces: 24 of 24"):
        train(project, "vera", "ivan", device="cpu", iterations=1, perception=see)
    with pytest.raises(ConsentError, match="These are not ivan's faces: 24 of 24"):
        permit(project, see)
    rows = Ledger(project.ledger_path).entries()
    assert [row.kind for row in rows[-2:]] == ["refusal", "refusal"]
    assert [row.facts["act"] for row in rows[-2:]] == ["train", "swap"]


def test_the_face_that_is_replaced_is_the_one_of_the_record(tmp_path: Path) -> None:
    """What a render follows in the footage is measured from the compared pixels, and no knob widens it."""
    project, see = film(tmp_path, IVAN), ByPixels(SEES)
    permit(project, see)
    assert see.asked == 48
    assert Ledger(project.ledger_path).entries()[-1].facts["performer_faces"] == 24
    permit(project, see, performer_cosine=0.7)
    for loose in (0.6, 0.0, -1.0):
        with pytest.raises(ConsentError, match="faces of other people would be taken for ivan's"):
            permit(project, see, performer_cosine=loose)
