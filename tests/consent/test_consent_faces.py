"""Enrolment and comparison, with numbers and with the real network's figures in mind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from consent_world import direction, faces_at, faces_of
from hypothesis import given
from hypothesis import strategies as st

from countenance.consent.match import OUTLIER_SHARE, match_faces, unit_rows
from countenance.consent.template import FaceTemplate, enrol, load_template, save_template
from countenance.errors import ConsentError, MinorError, NoFaceError
from countenance.vault import ProjectKey

THRESHOLD = 0.62
KEY = ProjectKey("0" * 32, bytes(32))
PERSON = direction(1)
TEMPLATE = PERSON.astype(np.float32)


def test_enrol_and_keep(tmp_path: Path) -> None:
    template = enrol(faces_of(PERSON, 60), [20.0, 30.0, 61.0], embedder_id="net-1")
    assert (template.count, template.apparent_age, template.embedder_id) == (60, 30.0, "net-1")
    assert float(template.embedding @ PERSON) > 0.99
    path = tmp_path / "template.json"
    save_template(path, template, KEY)
    again = load_template(path, KEY)
    assert np.array_equal(again.embedding, template.embedding)
    assert again.sha256() == template.sha256()
    assert len(template.sha256()) == 64


def test_the_hash_of_a_template_is_salted() -> None:
    faces = faces_of(PERSON, 60)
    assert enrol(faces, [30.0]).sha256() != enrol(faces, [30.0]).sha256()


def test_enrolment_scales_and_uses_the_network_in_use() -> None:
    from countenance.perception.identity import EMBEDDER_ID

    faces = faces_of(PERSON, 60)
    template = enrol(faces * 7.0, [30.0])
    assert template.embedder_id == EMBEDDER_ID
    assert np.allclose(template.embedding, enrol(faces, [30.0]).embedding, atol=1e-6)


@pytest.mark.parametrize("ages", [[], [17.0], [12.0, 16.0, 40.0], [float("nan"), float("nan"), 40.0]])
def test_minors_are_never_enrolled(ages: list[float]) -> None:
    with pytest.raises(MinorError):
        enrol(faces_of(PERSON, 60), ages)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_two_people_are_never_one_template(share: float) -> None:
    count = int(200 * share)
    for cosine in (0.3, 0.54):  # of the second person to the first; 0.54 is what the performers' means have
        other = faces_at(PERSON, [cosine], seed=3)[0].astype(np.float64)
        mixed = np.concatenate([faces_of(PERSON, 200 - count), faces_of(other / np.linalg.norm(other), count, seed=8)])
        with pytest.raises(NoFaceError, match="not clearly of one person"):
            enrol(mixed, [30.0])


@pytest.mark.parametrize(
    "embeddings",
    [
        np.zeros((20, 128)),
        np.full((20, 128), np.nan),
        np.ones((20, 64)),
        np.ones(128),
        np.ones((7, 128)),
        np.empty((0, 128)),
    ],
)
def test_unusable_faces_are_not_enrolled(embeddings: np.ndarray) -> None:
    with pytest.raises(NoFaceError):
        enrol(embeddings, [30.0])


def test_damaged_templates(tmp_path: Path) -> None:
    good = enrol(faces_of(PERSON, 60), [30.0]).to_json()
    path = tmp_path / "template.json"
    changes = [
        {"version": 2},
        {"format": "x"},
        {"embedding": "AAAA"},
        {"embedding": "*"},
        {"embedding": 3},
        {"count": 8.5},
        {"count": True},
        {"salt": "zz"},
        {"salt": ""},
        {"extra": 1},
        {"embedder_id": "a b"},
        {"embedding": good["embedding"][:-8] + "AAAAfw=="[:8]},
    ]
    for change in changes:
        path.write_bytes(KEY.seal(json.dumps({**good, **change}).encode(), "face template"))
        with pytest.raises(ConsentError):
            load_template(path, KEY)
    path.write_bytes(KEY.seal(json.dumps({**good, "apparent_age": 15}).encode(), "face template"))
    with pytest.raises(MinorError):
        load_template(path, KEY)
    path.unlink()
    with pytest.raises(ConsentError, match="missing"):
        load_template(path, KEY)


def test_a_template_checks_itself() -> None:
    with pytest.raises(ValueError, match="unit length"):
        FaceTemplate("net", np.ones(128, np.float32), 10, 30.0)
    with pytest.raises(ValueError, match="float32"):
        FaceTemplate("net", PERSON, 10, 30.0)


def test_the_lender_passes() -> None:
    match = match_faces(faces_of(PERSON, 500), TEMPLATE, THRESHOLD)
    assert match.problem is None
    assert (match.count, match.below_threshold) == (500, 0)
    assert match_faces(faces_at(PERSON, [0.9]), TEMPLATE, THRESHOLD).problem is None


def test_one_turned_face_in_two_hundred_passes_two_do_not() -> None:
    good = faces_of(PERSON, 199)
    turned = faces_at(PERSON, [0.61, 0.605], seed=4)
    assert match_faces(np.concatenate([good, turned[:1]]), TEMPLATE, THRESHOLD).problem is None
    two = match_faces(np.concatenate([good, turned]), TEMPLATE, THRESHOLD)
    assert two.problem is not None
    assert "2 of 201" in two.problem


def test_a_single_face_below_the_floor_is_refused() -> None:
    faces = np.concatenate([faces_of(PERSON, 5000), faces_at(PERSON, [0.59])])
    match = match_faces(faces, TEMPLATE, THRESHOLD)
    assert match.below_floor == 1
    assert match.problem is not None
    assert "somebody else" in match.problem


@given(st.integers(1, 3000))
def test_one_per_cent_is_always_more_than_the_tolerance(count: int) -> None:
    foreign = -(-count // 100)
    assert foreign > int(OUTLIER_SHARE * count)


def test_unit_rows() -> None:
    rows = unit_rows(np.full((3, 128), 2.0))
    assert rows is not None
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0)
    for bad in (
        np.zeros((3, 128)),
        np.full((3, 128), np.inf),
        np.ones((3, 127)),
        np.ones((128,)),
        "text",
        [[1], [2, 3]],
    ):
        assert unit_rows(bad) is None  # type: ignore[arg-type]


def test_the_measured_figures_tell_the_performers_apart() -> None:
    """The rules on the range of figures measured with SFace: docs/reference/consent-record.md."""
    lender = np.random.default_rng(0).normal(0.88, 0.05, 300).clip(0.70, 0.955)
    performer = np.random.default_rng(1).normal(0.48, 0.05, 300).clip(0.32, 0.585)
    assert match_faces(faces_at(PERSON, lender), TEMPLATE, THRESHOLD).problem is None
    for foreign in (1, 3, 300):
        mixed = np.concatenate([faces_at(PERSON, lender), faces_at(PERSON, performer[:foreign], seed=2)])
        assert match_faces(mixed, TEMPLATE, THRESHOLD).problem is not None
