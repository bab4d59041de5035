"""Genuine records used for what they do not cover: another face, work, time, person or file."""

from __future__ import annotations

import json
import os
import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from consent_world import PASSPHRASE, World, direction, faces_at, faces_of
from two_signatures import both_sign

from countenance.config import ProjectConfig
from countenance.consent.check import accept_record
from countenance.consent.keys import generate_key
from countenance.consent.revoke import revoke, sign_revocation
from countenance.consent.template import enrol, save_template
from countenance.errors import ConsentError, MinorError, ProjectError
from countenance.project import Project


def refused(world: World, says: str, **options: object) -> None:
    with pytest.raises(ConsentError) as caught:
        world.gate(**options)
    assert says in str(caught.value)
    row = world.last()
    assert row.kind == "refusal"
    assert says in row.facts["reason"]


# Another face.


@pytest.fixture
def agreed(world: World) -> World:
    world.accept()
    assert world.gate().lender == "vera"
    return world


def test_another_persons_faces(agreed: World) -> None:
    refused(agreed, "200 of 200 faces are of somebody else", embeddings=faces_of(direction(2), 200))


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.48, 0.585])
@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_one_per_cent_of_foreign_faces(agreed: World, cosine: float, count: int) -> None:
    """0.585 is the nearest that the performer ever came to the lender."""
    foreign = faces_at(agreed.centre, np.full(count // 100, cosine), seed=4)
    faces = np.concatenate([agreed.faces(count - len(foreign)), foreign])
    refused(agreed, f"{len(foreign)} of {count} faces", embeddings=np.random.default_rng(0).permutation(faces))


def test_one_per_cent_between_floor_and_threshold(agreed: World) -> None:
    foreign = faces_at(agreed.centre, np.full(10, 0.612), seed=4)
    refused(agreed, "too unlike", embeddings=np.concatenate([agreed.faces(990), foreign]))


def test_a_single_foreign_face_in_ten_thousand(agreed: World) -> None:
    faces = np.concatenate([agreed.faces(9999), faces_at(agreed.centre, [0.5])])
    refused(agreed, "1 of 10000", embeddings=faces)


def test_a_look_alike_just_over_the_threshold(agreed: World) -> None:
    refused(agreed, "similar", embeddings=faces_at(agreed.centre, np.linspace(0.63, 0.69, 300)))


def test_a_look_alike_with_the_range_that_was_measured(agreed: World) -> None:
    spread = np.random.default_rng(0).normal(0.65, 0.035, 100)
    refused(agreed, "100 faces", embeddings=faces_at(agreed.centre, spread))


def test_a_mean_would_not_have_noticed(agreed: World) -> None:
    """A tenth of another person's faces, whose mean is still near to the lender."""
    mixed = np.concatenate([agreed.faces(180), faces_of(direction(2), 20)])
    mean = mixed.mean(0) / np.linalg.norm(mixed.mean(0))
    assert float(mean @ agreed.centre) > 0.9
    refused(agreed, "20 of 200", embeddings=mixed)


@pytest.mark.parametrize(
    "embeddings",
    [
        np.empty((0, 128), np.float32),
        np.full((10, 128), np.nan, np.float32),
        np.zeros((10, 128), np.float32),
        np.full((10, 128), np.inf),
        np.ones((10, 64), np.float32),
        np.ones(128, np.float32),
        np.array([["x"] * 128]),
        [[0.1], [0.2, 0.3]],
    ],
    ids=["none", "nan", "zero", "inf", "narrow", "flat", "text", "ragged"],
)
def test_faces_that_are_no_numbers(agreed: World, embeddings: object) -> None:
    refused(agreed, "no usable face", embeddings=embeddings)


def test_a_lax_threshold_in_the_record_does_not_help(world: World) -> None:
    request = world.request()
    request["terms"]["face"]["threshold"] = 0.01
    world.place(both_sign(request, world.key, clock=world.clock))
    refused(world, "somebody else", embeddings=faces_at(world.centre, np.full(50, 0.4)))


def test_an_exchanged_template(agreed: World) -> None:
    save_template(agreed.project.template_path("vera"), enrol(faces_of(direction(2), 50), [30.0]), agreed.project.key())
    refused(agreed, "not the one that the consent record is about", embeddings=faces_of(direction(2), 50))


def rewrite(world: World, **members: object) -> None:
    """Edit a template as somebody who has the project's key."""
    path, key = world.project.template_path("vera"), world.project.key()
    table = json.loads(key.unseal(path.read_bytes(), "face template"))
    path.write_bytes(key.seal(json.dumps({**table, **members}).encode(), "face template"))


def test_an_edited_template(agreed: World) -> None:
    rewrite(agreed, count=201)
    refused(agreed, "not the one that the consent record is about")


def test_a_template_aged_down(agreed: World) -> None:
    rewrite(agreed, apparent_age=16.0)
    with pytest.raises(MinorError):
        agreed.gate()
    assert agreed.last().kind == "refusal"


def test_a_missing_template(agreed: World) -> None:
    agreed.project.template_path("vera").unlink()
    refused(agreed, "face template is missing")


def test_faces_measured_by_another_network(agreed: World) -> None:
    refused(agreed, "another network", embedder_id="other-net-1")


def test_a_template_of_another_network(world: World) -> None:
    template = enrol(world.faces(), [30.0], embedder_id="other-net-1")
    save_template(world.project.template_path("vera"), template, world.project.key())
    world.place(world.record())
    refused(world, "another network")


# Another work, person or purpose.


def test_a_record_of_one_project_used_in_another(agreed: World, tmp_path: Path) -> None:
    other = Project.create(tmp_path / "other", title="Sequel", purpose="double")
    other.person_dir("vera").mkdir()
    for name in ("consent.json", "template.json"):
        (other.person_dir("vera") / name).write_bytes((agreed.project.person_dir("vera") / name).read_bytes())
    with pytest.raises(ConsentError, match="for the work “Welcome”, not for “Sequel”"):
        agreed.gate(project=other)


@pytest.mark.parametrize("title", ["welcome", "Welcome!", "Welcome 2", "Wеlcome"])
def test_a_title_that_only_looks_alike(agreed: World, title: str) -> None:
    renamed = Project(agreed.project.root, ProjectConfig(title=title, purpose="double"))
    refused(agreed, "for the work “Welcome”", project=renamed)


@pytest.mark.parametrize("purpose", ["film", "dubbing", "research"])
def test_another_purpose(agreed: World, purpose: str) -> None:
    renamed = Project(agreed.project.root, ProjectConfig(title="Welcome", purpose=purpose))
    refused(agreed, f"not for {purpose}", project=renamed)


def test_a_record_under_another_persons_name(agreed: World) -> None:
    boris = agreed.project.person_dir("boris")
    boris.mkdir()
    for name in ("consent.json", "template.json"):
        (boris / name).write_bytes((agreed.project.person_dir("vera") / name).read_bytes())
    refused(agreed, "about vera's face, not boris's", lender="boris")


def test_lender_and_performer_exchanged(agreed: World) -> None:
    refused(agreed, "no consent record of ivan", lender="ivan", performer="vera")


@pytest.mark.parametrize("name", ["../vera", "vera/../vera", "", ".", "people\\vera", "vera\0", "~vera", "vera."])
def test_path_tricks_in_names(agreed: World, name: str) -> None:
    with pytest.raises(ProjectError):
        agreed.gate(lender=name)
    with pytest.raises(ProjectError):
        agreed.gate(performer=name)


def test_a_pipe_in_place_of_the_record_does_not_hang(world: World) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(world.project.consent_path("vera"))
    refused(world, "missing")


# Another time.


def test_not_yet_valid(world: World) -> None:
    world.place(world.record(not_before=(world.now + timedelta(days=3)).date()))
    refused(world, "not in force before 2026-03-04 00:00")


def test_expired_by_one_second(world: World) -> None:
    world.place(world.record(term_days=1))
    world.later(days=1)
    refused(world, "It ended")


def test_signed_in_the_future(world: World) -> None:
    data = world.record()
    world.later(hours=-1)
    world.place(data)
    refused(world, "not in force before 2026-03-01 12:00")


def test_the_clock_set_back_to_before_the_end(world: World) -> None:
    """Work was allowed on day 9; on day 11 the clock is set back to day 5 to go on."""
    world.accept(term_days=10)
    world.later(days=9)
    world.gate()
    world.later(days=2)
    refused(world, "It ended")
    world.later(days=-6)
    refused(world, "clock is set back")


def test_a_wild_clock_does_not_block_the_project(agreed: World) -> None:
    agreed.later(days=5000)
    refused(agreed, "It ended")
    agreed.later(days=-5000)
    assert agreed.gate().lender == "vera"


# Revocation.


def test_a_revoked_record_put_back_under_its_name(agreed: World) -> None:
    path = agreed.project.consent_path("vera")
    data = path.read_bytes()
    revoke(agreed.project, accept_record(agreed.project, "vera", data, clock=agreed.clock), clock=agreed.clock)
    path.unlink()
    path.write_bytes(data)
    refused(agreed, "It was revoked")
    with pytest.raises(ConsentError, match="revoked"):
        accept_record(agreed.project, "vera", data, clock=agreed.clock)


def test_the_revoked_request_signed_once_more(world: World) -> None:
    request = world.request()
    first = both_sign(request, world.key, clock=world.clock)
    revoke(world.project, accept_record(world.project, "vera", first, clock=world.clock), clock=world.clock)
    world.later(hours=1)
    second = both_sign(request, world.key, clock=world.clock)
    assert second != first
    world.place(second)
    refused(world, "It was revoked")


def test_a_revocation_forged_with_another_key(agreed: World, tmp_path: Path) -> None:
    record = accept_record(agreed.project, "vera", agreed.record(), clock=agreed.clock)
    other = generate_key(tmp_path / "other.pem", PASSPHRASE)
    with pytest.raises(ConsentError, match="did not sign the record"):
        sign_revocation(record, other, clock=agreed.clock)
    from dataclasses import replace

    forged = sign_revocation(replace(record, key_id=other.key_id), other, clock=agreed.clock)
    with pytest.raises(ConsentError, match="another key than the record"):
        revoke(agreed.project, record, statement=forged, clock=agreed.clock)
    assert agreed.gate().record_id == record.id


def test_a_revocation_of_another_record(agreed: World) -> None:
    first = accept_record(agreed.project, "vera", agreed.record(), clock=agreed.clock)
    second = accept_record(agreed.project, "vera", agreed.record(), clock=agreed.clock)
    statement = sign_revocation(first, agreed.key, clock=agreed.clock)
    with pytest.raises(ConsentError, match="about another record"):
        revoke(agreed.project, second, statement=statement, clock=agreed.clock)
    reformatted = json.dumps(json.loads(statement), indent=1).encode()
    with pytest.raises(ConsentError, match="reformatted"):
        revoke(agreed.project, first, statement=reformatted, clock=agreed.clock)


def test_a_race_between_revoking_and_working(agreed: World) -> None:
    """Whoever comes first: after the revocation's row there is no permit."""
    record = accept_record(agreed.project, "vera", agreed.record(), clock=agreed.clock)
    start = threading.Barrier(5)
    surprises: list[Exception] = []

    def work() -> None:
        start.wait()
        for _ in range(6):
            try:
                agreed.gate()
            except ConsentError:
                pass
            except Exception as error:
                surprises.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    revoke(agreed.project, record, clock=agreed.clock)
    for thread in threads:
        thread.join()
    kinds = agreed.kinds()
    assert surprises == []
    assert kinds.count("permit") + kinds.count("refusal") == 25  # one permit in the fixture
    assert "permit" not in kinds[kinds.index("revocation") :]
    agreed.ledger.verify()


def test_a_stranger_cannot_take_over_a_known_lender(agreed: World, tmp_path: Path) -> None:
    thief = generate_key(tmp_path / "thief.pem", PASSPHRASE)
    agreed.place(agreed.record(key=thief))
    refused(agreed, f"vera's key is {agreed.key.key_id}")
