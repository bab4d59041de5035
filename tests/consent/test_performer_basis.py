"""On which basis the performer's face is replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from consent_world import World, direction, faces_of, header_of, payload_of, signed_raw
from two_signatures import memory_key, performer_agrees

from countenance.api import extract
from countenance.config import ProjectConfig, read_config, write_config
from countenance.consent.check import check_record
from countenance.consent.gate import enter_render
from countenance.consent.record import parse_record
from countenance.consent.refusals import refusals_entered
from countenance.consent.revoke import revoke
from countenance.consent.statement import statement_text
from countenance.consent.status import Fetch, make_status_list
from countenance.consent.strict_json import canonical
from countenance.consent.template import enrol, save_template
from countenance.consent.terms import StatusPointer
from countenance.errors import ConfigError, ConsentError, InputError, MinorError, ProjectError
from countenance.project import Project


def unstated(folder: Path) -> World:
    """A world in which nothing says on what basis ivan's face is replaced."""
    world = World(folder, protected=())
    world.accept()
    return world


def test_without_a_basis_the_gate_refuses_and_says_what_to_do(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    for act in ("train", "swap"):
        with pytest.raises(ConsentError, match=r"^Nothing says on what basis ivan's face is replaced\.") as refused:
            world.gate(act=act)
        assert "countenance consent request ivan --replaced" in str(refused.value)
        assert str(refused.value).endswith("countenance extract --person ivan --protected-witness.")
        assert (world.last().kind, world.last().facts["reason"]) == ("refusal", str(refused.value))
    assert "permit" not in world.kinds()
    # What the sentence says is all that is needed.
    noted = extract(world.project, "ivan", protected_witness=True)
    assert noted.notes == ("ivan is noted as a protected witness. What was written of ivan before that stays.",)
    world.project = Project.open(world.project.root)
    world.gate()
    assert world.last().facts["basis"] == "protected witness"
    with pytest.raises(InputError, match="No footage of ivan was named"):
        extract(world.project, "ivan")


def test_a_protected_witness_is_noted_and_in_the_permits_row(world: World) -> None:
    world.accept()
    world.project = world.project.protect("olga").protect("Olga")
    assert Project.open(world.project.root).config.protected_witnesses == ("ivan", "olga")
    assert world.project.protects("OLGA")
    assert not world.project.protects("vera")
    world.gate(performer="olga")
    assert world.last().facts["basis"] == "protected witness"


def test_who_lends_a_face_cannot_be_protected(world: World) -> None:
    with pytest.raises(ProjectError, match="lends a face"):
        world.project.protect("vera")
    assert world.project.config.protected_witnesses == ("ivan",)


def test_a_performers_own_record_must_be_in_force(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    record = performer_agrees(world.project, clock=world.clock)
    with pytest.raises(ProjectError, match="consent record"):
        world.project.protect("ivan")
    permit = world.gate()
    facts = world.last().facts
    assert (facts["basis"], facts["performer_record_sha256"]) == ("record", record.sha256)
    path = world.project.consent_path("ivan")
    path.write_bytes(world.project.consent_path("vera").read_bytes())
    with pytest.raises(ConsentError, match="about vera's face, not ivan's"):
        world.gate()
    path.write_bytes(record.data)
    revoke(world.project, record, clock=world.clock)
    with pytest.raises(ConsentError, match=r"record of the performer ivan does not cover this\. It was revoked"):
        world.gate()
    assert world.last().kind == "refusal"
    # Work that began before is stopped as well, and a render is not entered.
    with pytest.raises(ConsentError, match="performer ivan does not cover this"):
        enter_render(world.project, permit, {"output": "a.mp4"}, clock=world.clock)
    assert "render" not in world.kinds()


def test_a_performers_record_is_about_the_enrolled_face(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    performer_agrees(world.project, clock=world.clock)
    path = world.project.template_path("ivan")
    save_template(path, enrol(faces_of(direction(3), 50), [33.0]), world.project.key())
    with pytest.raises(ConsentError, match="enrolled face of ivan is not the one"):
        world.gate()
    path.unlink()
    with pytest.raises(ConsentError, match="template"):
        world.gate()


def test_a_record_lends_a_face_or_lets_it_be_replaced_never_both(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    performer_agrees(world.project, replaced=False, clock=world.clock)
    with pytest.raises(ConsentError, match="It allows to show ivan's face, not to replace ivan's face"):
        world.gate()
    other = World(tmp_path / "other")
    replaced = performer_agrees(other.project, "vera", clock=other.clock)
    with pytest.raises(ConsentError, match="It allows to replace vera's face, not to show vera's face"):
        other.gate()
    assert check_record(replaced.data, project=other.project, clock=other.clock).good
    assert parse_record(replaced.data).role == "replaced"


def test_the_page_for_a_performer_is_not_about_lending(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    performer_agrees(world.project, clock=world.clock)
    terms = parse_record(world.project.consent_path("ivan").read_bytes())
    text = " ".join(statement_text(terms, "en").split())
    assert "A REQUEST TO IVAN: MAY WE REPLACE YOUR FACE?" in text
    assert "does not allow to show your face in place of anybody's" in text
    assert "that the witness met the performer, and that the face in the pictures is the performer's own" in text
    assert "may be shown in place of" not in text
    assert "lender" not in text
    told = " ".join(check_record(terms.data, project=world.project, clock=world.clock).terms)
    assert "The face may be replaced, and not shown." in told


@pytest.mark.parametrize("more", [{"performers": ["olga"]}, {"label_required": False}])
def test_nothing_else_can_be_asked_of_a_performer(world: World, more: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="allows nothing else"):
        world.request(replaced=True, **more)


@pytest.mark.parametrize("role", ["lend", "both", None, True, ["replaced"]])
def test_there_is_one_way_to_say_a_role(world: World, role: object) -> None:
    payload = payload_of(world.half())
    payload["scope"]["role"] = role
    data = signed_raw(world.key, canonical(payload), header_of(world.key))
    with pytest.raises(ConsentError, match="role"):
        parse_record(data)


def test_the_status_list_of_a_performers_record_is_asked(tmp_path: Path) -> None:
    world = unstated(tmp_path)
    issuer = memory_key()
    pointer = StatusPointer("urn:agency:list", 7, issuer.key_id)
    performer_agrees(world.project, clock=world.clock, status=pointer)

    def listed(revoked: set[int]) -> Fetch:
        return lambda _where: make_status_list(revoked, issuer, pointer.uri, clock=world.clock)

    world.gate(fetch=listed(set()))
    assert world.last().facts["performer_status"]["uri"] == pointer.uri
    with pytest.raises(ConsentError, match="performer ivan does not cover this"):
        world.gate()  # no list
    with pytest.raises(ConsentError, match="says that it was revoked"):
        world.gate(fetch=listed({7}))
    with pytest.raises(ConsentError, match="revoked"):  # for good, whatever a later list says
        world.gate(fetch=listed(set()))


def test_the_settings_say_who_is_protected(tmp_path: Path) -> None:
    path = tmp_path / "countenance.toml"
    write_config(path, ProjectConfig("A film", protected_witnesses=("иван", "b")))
    assert read_config(path).protected_witnesses == ("иван", "b")
    for wrong in ('"ivan"', "[1]", "true"):
        path.write_text(f'title = "A film"\nprotected_witnesses = {wrong}\n', encoding="utf-8")
        with pytest.raises(ConfigError, match="must be a list of names"):
            read_config(path)


def test_a_screens_refusal_does_not_name_a_protected_witness_footage(world: World, tmp_path: Path) -> None:
    def refuse(role: str) -> str:
        about = {role: "ivan", "act": "swap" if role == "performer" else "extract"}
        with pytest.raises(MinorError, match=r"secret_place\.mp4"), refusals_entered(world.project, **about):
            raise MinorError("The performer in secret_place.mp4 appears to be under age.")
        return str(world.last().facts["reason"])

    open_project, world.project = world.project, unstated(tmp_path / "unstated").project
    assert "secret_place" in refuse("person")  # who may be the lender
    hidden = refuse("performer")  # faces are lent to hide witnesses here
    world.project = open_project
    for role in ("performer", "person"):
        assert refuse(role) == hidden == "A screen refused footage of a protected witness for an apparent age."
