"""On which basis the performer's face is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from consent_world import World

from countenance.config import ProjectConfig, read_config, write_config
from countenance.consent.record import parse_record
from countenance.consent.refusals import refusals_entered
from countenance.consent.revoke import revoke
from countenance.errors import ConfigError, ConsentError, MinorError, ProjectError
from countenance.project import Project


def test_a_protected_witness_is_noted_and_in_the_permits_row(world: World) -> None:
    world.accept()
    world.gate()
    assert world.last().facts["basis"] == "not stated"
    world.project = world.project.protect("ivan").protect("Ivan")
    assert Project.open(world.project.root).config.protected_witnesses == ("ivan",)
    assert world.project.protects("IVAN")
    assert not world.project.protects("vera")
    world.gate()
    assert world.last().facts["basis"] == "protected witness"


def test_who_lends_a_face_cannot_be_protected(world: World) -> None:
    with pytest.raises(ProjectError, match="lends a face"):
        world.project.protect("vera")
    assert world.project.config.protected_witnesses == ()


def test_a_performers_own_record_must_be_in_force(world: World, tmp_path: Path) -> None:
    world.accept()
    theirs = World(tmp_path / "theirs", lender="ivan")
    theirs.accept()
    world.project.person_dir("ivan").mkdir()
    path = world.project.consent_path("ivan")
    path.write_bytes(theirs.project.consent_path("ivan").read_bytes())
    world.gate()
    assert world.last().facts["basis"] == "record"
    revoke(world.project, parse_record(path.read_bytes()), clock=world.clock)
    with pytest.raises(ConsentError, match=r"record of the performer ivan does not cover this\. It was revoked"):
        world.gate()
    assert world.last().kind == "refusal"
    path.write_bytes(world.project.consent_path("vera").read_bytes())
    with pytest.raises(ConsentError, match="about vera's face, not ivan's"):
        world.gate()


def test_the_settings_say_who_is_protected(tmp_path: Path) -> None:
    path = tmp_path / "countenance.toml"
    write_config(path, ProjectConfig("A film", protected_witnesses=("иван", "b")))
    assert read_config(path).protected_witnesses == ("иван", "b")
    for wrong in ('"ivan"', "[1]", "true"):
        path.write_text(f'title = "A film"\nprotected_witnesses = {wrong}\n', encoding="utf-8")
        with pytest.raises(ConfigError, match="must be a list of names"):
            read_config(path)


def test_a_screens_refusal_does_not_name_a_protected_witness_footage(world: World) -> None:
    def refuse(role: str) -> str:
        with pytest.raises(MinorError, match=r"secret_place\.mp4"), refusals_entered(world.project, **{role: "ivan"}):
            raise MinorError("The performer in secret_place.mp4 appears to be under age.")
        return str(world.last().facts["reason"])

    assert "secret_place" in refuse("performer")
    world.project = world.project.protect("ivan")
    for role in ("performer", "person"):
        assert refuse(role) == "A screen refused footage of a protected witness for an apparent age."
