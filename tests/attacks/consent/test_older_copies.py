"""Files of the project that are put back from an older copy: whole, valid, and not the newest."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "training"))

from consent_world import World
from test_train import FakePerception, _unit, fill

from countenance.consent.check import accept_record, check_record
from countenance.consent.template import save_template
from countenance.errors import ConsentError, FaceSetError
from countenance.faceset.extract import extract
from countenance.faceset.store import FaceSet
from countenance.faceset.use import note_newest, require_newest
from countenance.project import Project
from countenance.training.train import load_faces


@pytest.fixture
def film(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "film", title="Welcome", purpose="double")
    fill(project, "ivan", 1, FakePerception(_unit(1)))
    noted(project)
    return project


def noted(project: Project) -> None:
    """What an extraction does at its end."""
    with FaceSet.open(project.faceset_path("ivan"), project.key()) as faceset:
        note_newest(project, faceset)


def without_some(project: Project) -> None:
    """A newer version: the performer asked to leave out some faces."""
    with FaceSet.open(project.faceset_path("ivan"), project.key()) as faceset:
        with faceset.transaction():
            faceset.turn_away([record.id for record in faceset.records("kept")[:3]])
        note_newest(project, faceset)


def test_an_older_face_set_is_put_back(film: Project, tmp_path: Path) -> None:
    """The whole file, under the same project and key: every digest in it holds."""
    old = Path(shutil.copy(film.faceset_path("ivan"), tmp_path / "old.sqlite"))
    load_faces(film, "ivan")
    without_some(film)
    assert len(load_faces(film, "ivan")) == 21
    newest = film.faceset_path("ivan").read_bytes()
    shutil.copy(old, film.faceset_path("ivan"))
    with pytest.raises(FaceSetError, match="an older one was put back"):
        load_faces(film, "ivan")
    film.faceset_path("ivan").write_bytes(newest)
    assert len(load_faces(film, "ivan")) == 21


def test_the_face_set_of_a_project_that_was_copied_before(film: Project, tmp_path: Path) -> None:
    """Another state of the same person, made in a copy of the project."""
    copy = Project.open(Path(shutil.copytree(film.root, tmp_path / "copy")))
    without_some(copy)
    shutil.copy(copy.faceset_path("ivan"), film.faceset_path("ivan"))
    with pytest.raises(FaceSetError, match="not the one that the last extraction left"):
        load_faces(film, "ivan")


def test_a_face_set_from_before_it_was_destroyed(film: Project) -> None:
    """Also of a protected witness, of whom there is no record that would be closed."""
    from countenance.consent.ledger import Ledger

    Ledger(film.ledger_path).append("destruction", {"person": "ivan", "stage": "done", "files": 1})
    with pytest.raises(FaceSetError, match="Everything of ivan was destroyed"):
        load_faces(film, "ivan")
    clip = film.root / "clip.png"
    clip.write_bytes(b"not reached")
    with pytest.raises(FaceSetError, match="Everything of ivan was destroyed"):  # nor is it brought up to date
        extract(film, "ivan", [clip])
    film.faceset_path("ivan").unlink()
    fill(film, "ivan", 2, FakePerception(_unit(1)))
    noted(film)
    assert len(load_faces(film, "ivan")) == 24  # extracted anew


def test_a_face_set_that_the_ledger_does_not_know(tmp_path: Path) -> None:
    """From before this was noted: it stays usable."""
    project = Project.create(tmp_path / "film", title="Welcome", purpose="double")
    fill(project, "ivan", 1, FakePerception(_unit(1)))
    with FaceSet.open(project.faceset_path("ivan"), project.key()) as faceset:
        require_newest(project, faceset)


def test_template_and_record_put_back_after_a_destruction(world: World) -> None:
    """The gate, the check and the taking in refuse; a new record opens the work again."""
    record = world.accept()
    world.gate()
    world.ledger.append("destruction", {"person": "vera", "stage": "done", "files": 2})
    save_template(world.project.template_path("vera"), world.template, world.project.key())
    world.place(record.data)
    for act in ("train", "swap"):
        with pytest.raises(ConsentError, match="from before everything of vera was destroyed"):
            world.gate(act=act)
    assert not check_record(record.data, project=world.project, clock=world.clock).good
    with pytest.raises(ConsentError, match="from before everything of vera was destroyed"):
        accept_record(world.project, "vera", record.data, clock=world.clock)
    world.ledger.append("destruction", {"person": "ivan", "stage": "done", "files": 0})
    world.accept()
    world.gate()
