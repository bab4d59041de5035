"""What a face set covers, and what is missing for a pair, in sentences."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from faceset_world import open_set
from PIL import Image

from countenance.faceset.coverage import Coverage, gaps, measure, shortcomings
from countenance.faceset.coverage_picture import coverage_png
from countenance.faceset.records import Moment, NewFace
from countenance.geometry import template
from countenance.perception.blendshapes import BLENDSHAPE_NAMES
from countenance.types import AlignedFace, FaceLandmarks


def covered(person: str, count: int = 260) -> Coverage:
    """A person who looks around evenly, talks, blinks and smiles, in even light."""
    turn = np.linspace(0, 12 * np.pi, count)
    some = np.arange(0, count, 2)
    yaw = (40.0 * np.sin(turn)).astype(np.float32)
    wave = np.clip(np.sin(3.1 * turn), 0, 1).astype(np.float32)
    return Coverage(
        person=person,
        yaw=yaw,
        pitch=(15.0 * np.cos(0.7 * turn)).astype(np.float32),
        mouth=0.3 * wave,
        eyes=0.8 * wave**3,
        smile=0.7 * wave,
        sharpness=np.full(count, 1.2, np.float32),
        spread=3.5,
        luma=np.full(len(some), 130.0, np.float32),
        balance=(0.08 * np.sin(5.0 * turn[some])).astype(np.float32),
        burnt=np.zeros(len(some), np.float32),
        turned=yaw[some],
    )


def one(sentences: tuple[str, ...]) -> str:
    assert len(sentences) == 1, sentences
    return sentences[0]


VERA, IVAN = covered("vera"), covered("ivan")
EMPTY = Coverage("nobody", *[np.zeros(0, np.float32)] * 6, 0.0, *[np.zeros(0, np.float32)] * 4)


def test_good_sets_lack_nothing() -> None:
    assert shortcomings(VERA) == gaps(VERA, IVAN) == ()
    assert shortcomings(EMPTY) == gaps(EMPTY, IVAN) == gaps(VERA, EMPTY) == ()


@pytest.mark.parametrize(
    ("axis", "sign", "words"),
    [
        ("yaw", 1, "to the picture's right"),
        ("yaw", -1, "to the picture's left"),
        ("pitch", 1, "up"),
        ("pitch", -1, "down"),
    ],
)
def test_a_direction_that_only_the_performer_takes_is_named(axis: str, sign: int, words: str) -> None:
    lender = replace(VERA, **{axis: sign * np.minimum(sign * getattr(VERA, axis), 5.0)})
    sentence = one(gaps(lender, IVAN))
    share = 100.0 * float((sign * getattr(IVAN, axis) > 10.0).mean())
    assert sentence.startswith(f"vera never looks further {words} than 5°")
    assert f"ivan does in {share:.0f} % of the faces" in sentence
    assert sentence.endswith(f"film vera looking {words}.")
    assert gaps(IVAN, lender) == ()  # the other way round nothing is missing


def test_a_lender_who_never_looks_down_at_all_is_not_said_to_look_down_by_minus_degrees() -> None:
    lender = replace(VERA, pitch=np.abs(VERA.pitch) + 2.0)
    sentence = one(gaps(lender, IVAN))
    assert sentence.startswith("vera never looks down, ivan does in")


def test_a_pose_left_out_in_between_is_found() -> None:
    hole = (np.abs(VERA.yaw) < 18.0) & (VERA.pitch < 4.0)
    keep = ~hole
    lender = replace(VERA, yaw=VERA.yaw[keep], pitch=VERA.pitch[keep])
    assert "in poses that vera never shows" in one(gaps(lender, IVAN))


def test_eyes_mouth_and_smile_are_compared() -> None:
    closed = 100.0 * float((IVAN.eyes >= 0.5).mean())
    sentence = one(gaps(replace(VERA, eyes=np.minimum(VERA.eyes, 0.4)), IVAN))
    assert sentence == f"No face of vera has closed eyes, {closed:.0f} % of ivan's have: film vera blinking."
    assert "opens the mouth as far as ivan" in one(gaps(replace(VERA, mouth=0.2 * VERA.mouth), IVAN))
    assert "smiles as broadly as ivan" in one(gaps(replace(VERA, smile=0.2 * VERA.smile), IVAN))
    nobody_blinks = (replace(side, eyes=side.eyes * 0.3) for side in (VERA, IVAN))
    assert gaps(*nobody_blinks) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spread": 1.0}, "look alike"),
        ({"sharpness": np.full(260, 0.75, np.float32)}, "soft"),
        ({"luma": np.full(130, 30.0, np.float32)}, "dark"),
        ({"burnt": np.full(130, 0.2, np.float32)}, "overexposed"),
        ({"balance": np.full(130, -0.2, np.float32)}, "all lit from the picture's left"),
        ({"balance": np.full(130, 0.2, np.float32)}, "all lit from the picture's right"),
        ({"eyes": np.zeros(260, np.float32)}, "No face of vera has closed eyes"),
        ({"eyes": np.eye(260, dtype=np.float32)[7]}, "Only 1 face of vera has closed eyes"),
        ({"mouth": np.zeros(260, np.float32)}, "open mouth"),
        ({"yaw": np.zeros(260, np.float32)}, "hardly looks left and right"),
        ({"pitch": np.zeros(260, np.float32)}, "hardly looks up and down"),
    ],
)
def test_what_one_set_lacks_is_said_once(change: dict[str, object], words: str) -> None:
    assert words in one(shortcomings(replace(VERA, **change)))


def test_few_faces_are_said_with_their_number() -> None:
    assert "few faces of vera (24)" in one(shortcomings(covered("vera", 24)))


def test_light_from_both_sides_is_even_and_turned_faces_do_not_count() -> None:
    assert shortcomings(replace(VERA, balance=np.where(np.arange(130) % 2, 0.2, -0.2).astype(np.float32))) == ()
    assert shortcomings(replace(VERA, balance=np.where(np.abs(VERA.turned) < 15.0, 0.0, 0.5).astype(np.float32))) == ()


def test_light_from_opposite_sides_is_said() -> None:
    sides = [replace(of, balance=np.full(130, level, np.float32)) for of, level in ((VERA, -0.2), (IVAN, 0.2))]
    assert "wrong side" in gaps(*sides)[-1]


def test_the_picture_is_drawn_and_names_nobody() -> None:
    data = coverage_png(VERA, replace(IVAN, yaw=IVAN.yaw * 1.6))
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert picture.shape == (1150, 1200, 3)
    frames = (np.abs(picture - [0xD5, 0x5E, 0x00]).max(axis=2) < 10).any(axis=0)
    assert not frames[:600].any()
    assert frames[620:].any()  # gaps are marked at the performer's, on the right
    for name in (b"vera", b"ivan"):
        assert name not in data
    assert b"vera" not in coverage_png(covered("vera", 1), covered("ivan", 1))


def lit(left: float, right: float) -> np.ndarray:
    ramp = np.linspace(left, right, 256, dtype=np.float32)
    return np.repeat(np.repeat(ramp[None, :, None], 256, axis=0), 3, axis=2).astype(np.uint8)


def test_a_stored_face_set_is_measured(tmp_path: Path) -> None:
    mesh = template(256)
    points = np.concatenate([mesh, np.repeat(mesh[[159]], 10, axis=0)]).astype(np.float32)
    index = {name: number for number, name in enumerate(BLENDSHAPE_NAMES)}
    with open_set(tmp_path / "faces.sqlite", create=True) as faceset:
        assert len(measure(faceset, "vera")) == 0
        with faceset.transaction():
            source = faceset.begin_source("vera.mp4", "00" * 32, "video")
            ids = []
            for row in range(200):
                shapes = np.zeros(52, np.float32)
                shapes[index["jawOpen"]] = row / 400.0
                shapes[index["eyeBlinkLeft"]], shapes[index["eyeBlinkRight"]] = 0.9, 0.7 if row % 10 == 0 else 0.1
                marks = FaceLandmarks(points, np.zeros(478, np.float32), shapes, 1.0)
                face = NewFace(
                    Moment(row, row, Fraction(1, 25)),
                    AlignedFace(lit(60.0, 180.0), np.hstack([np.eye(2), np.zeros((2, 1))]), marks),
                    np.eye(128, dtype=np.float32)[0],
                    np.full((64, 64), 255, np.uint8),
                    sharpness=1.1,
                    pose_degrees=(row / 20.0, -row / 40.0, 0.0),
                    detection_score=0.9,
                    face_pixels=200.0,
                    png=None,
                )
                ids.append(faceset.add(source, face))
            faceset.keep(ids, dict.fromkeys(ids, 30.0))
        found = measure(faceset, "vera")
    assert len(found) == 200
    assert found.yaw == pytest.approx(np.arange(200) / 20.0, abs=1e-4)
    assert found.mouth == pytest.approx(np.arange(200) / 400.0, abs=1e-4)
    assert (found.eyes >= 0.5).sum() == 20  # both eyes, not one
    assert len(found.luma) == 120
    assert found.luma == pytest.approx(120.0, abs=3.0)
    assert found.balance.min() > 0.15  # brighter on the picture's right
    said = " ".join(shortcomings(found))
    assert "all lit from the picture's right" in said
    assert "hardly looks left and right" in said
    assert "closed eyes" not in said
