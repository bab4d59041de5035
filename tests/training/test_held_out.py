"""The held-out tenth: it is never trained on, not even as a reference, and its scores say what they should."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_faces import made_faces

from countenance.training.checkpoint import CheckpointFacts
from countenance.training.model import PEOPLE
from countenance.training.prepare import PersonFaces, evenly, held_out, prepare_guided, split
from countenance.training.presets import PRESETS
from countenance.training.runs import make_run
from countenance.training.scores import HeldOut, Identity, cross_identity, template_of
from countenance.training.shading import mean_texture
from countenance.training.swapper import ClassicSwapper, GuidedSwapper
from countenance.types import AlignedFace, FaceLandmarks, Mask, SwappedFace

CPU = torch.device("cpu")
SMALL = {
    "swift": replace(PRESETS["swift"], batch_size=2, widths=(8, 8, 8, 8)),
    "classic": replace(PRESETS["classic"], batch_size=2),
}
FAMILIES = pytest.mark.parametrize("name", ["swift", "classic"])
_HERE = np.hstack([np.eye(2), np.zeros((2, 1))])


def by_colour(rgb: np.ndarray, _landmarks: FaceLandmarks) -> np.ndarray:
    """An identity network for people of one colour each: the middle's mean colour, of unit length."""
    vector = np.zeros(128, np.float32)
    vector[:3] = rgb[96:160, 96:160].mean((0, 1)) + 1e-3
    return vector / np.linalg.norm(vector)


def tinted(faces: PersonFaces, channel: int) -> PersonFaces:
    """The same faces, all of them nearly of one colour."""
    rgb = faces.rgb // 8
    rgb[..., channel] = 128 + faces.rgb[..., channel] // 4
    return faces._replace(rgb=rgb)


def identity_of(people: tuple[PersonFaces, PersonFaces]) -> Identity:
    lender, performer = (template_of(np.stack([by_colour(rgb, None) for rgb in faces.rgb])) for faces in people)
    return Identity(by_colour, lender, performer)


@pytest.fixture(scope="module")
def coloured(people) -> tuple[PersonFaces, PersonFaces]:
    return tinted(people[0], 0), tinted(people[1], 2)


def poisoned(faces: PersonFaces, rows: np.ndarray) -> PersonFaces:
    """Noise, bent landmarks and an empty mask in some rows."""
    rng = np.random.default_rng(99)
    rgb, points, depth, mask = (array.copy() for array in faces[:4])
    rgb[rows] = rng.integers(0, 256, rgb[rows].shape, np.uint8)
    points[rows] += rng.normal(0, 2.0, points[rows].shape).astype(np.float32)
    depth[rows] += rng.normal(0, 2.0, depth[rows].shape).astype(np.float32)
    mask[rows] = 0
    return faces._replace(rgb=rgb, points_xy=points, depth=depth, person_mask=mask)


def trained(name: str, people: tuple[PersonFaces, ...], *, steps: int = 2) -> dict[str, torch.Tensor]:
    """All that training draws from, and what it leaves."""
    run = make_run(SMALL[name], people, device=CPU, seed=1)
    for iteration in range(steps):
        run.step(iteration)
    drawn = {f"{person}.{field}": tensor for person in PEOPLE for field, tensor in enumerate(run.faces[person])}
    # the mean shapes serve conversion, whose gallery is every face; no weight depends on them
    return drawn | {key: tensor for key, tensor in run.tensors().items() if not key.startswith("shape.")}


@FAMILIES
def test_noise_in_the_held_out_faces_changes_no_bit_of_the_weights(name, people) -> None:
    asides = [np.flatnonzero(held_out(faces.moment)) for faces in people]
    assert all(len(aside) for aside in asides)
    clean = trained(name, people)
    poison = trained(name, tuple(poisoned(faces, aside) for faces, aside in zip(people, asides, strict=True)))
    assert clean.keys() == poison.keys()
    assert all(torch.equal(tensor, poison[key]) for key, tensor in clean.items())


@FAMILIES
def test_noise_in_trained_faces_does_change_them(name, people) -> None:
    """The poison of the test above works."""
    rows = np.flatnonzero(~held_out(people[0].moment))
    clean, poison = trained(name, people, steps=1), trained(name, (poisoned(people[0], rows), people[1]), steps=1)
    last = "model.decoders.lender.paint.weight"  # swift's is zero at first, so that one step moves nothing before it
    assert not torch.equal(clean[last], poison[last])


def test_no_target_reference_or_colour_of_training_shows_a_held_out_face() -> None:
    faces = made_faces(100, 4, size=64)
    part = split(faces.moment)
    assert (len(part.trained), len(part.watched)) == (90, 10)
    loud = poisoned(faces, part.watched)
    clean, poison = (make_run(SMALL["swift"], (some, some), device=CPU, seed=0) for some in (faces, loud))
    for person in PEOPLE:
        assert len(clean.faces[person].target) == 90
        assert len(clean.watched[person].target) == 10
        assert all(torch.equal(*pair) for pair in zip(clean.faces[person], poison.faces[person], strict=True))
    assert not torch.equal(clean.watched["lender"].target, poison.watched["lender"].target)


def test_a_held_out_face_is_painted_from_trained_ones_only() -> None:
    faces = made_faces(30, 4, size=64)
    part = split(faces.moment)
    black = faces.rgb.copy()
    black[part.trained] = 0
    prepared = prepare_guided(
        faces._replace(rgb=black),
        part.watched,
        gallery_rows=part.trained,
        texture=mean_texture(faces.take(part.trained)),
        size=64,
    )  # only the held-out faces have any light
    assert prepared.target.max() > 0
    assert prepared.reference.max() == 0


@FAMILIES
def test_scoring_disturbs_nothing_and_repeats_itself(name, coloured) -> None:
    def run():
        return make_run(SMALL[name], coloured, device=CPU, seed=1, identity=identity_of(coloured))

    quiet, asked = run(), run()
    for iteration in range(2):
        quiet.step(iteration)
        chance = torch.get_rng_state()
        assert asked.score() == asked.score()
        assert torch.equal(chance, torch.get_rng_state())
        asked.step(iteration)
    assert all(torch.equal(tensor, asked.tensors()[key]) for key, tensor in quiet.tensors().items())
    assert quiet.score() == asked.score()
    assert all(math.isfinite(value) for value in asked.score())


@FAMILIES
def test_a_broken_decoder_of_the_lender_shows_in_its_scores_alone(name, coloured) -> None:
    run = make_run(SMALL[name], coloured, device=CPU, seed=1, identity=identity_of(coloured))
    before = run.score()
    decoder = (run.averaged if name == "swift" else run.model).decoders["lender"]
    with torch.no_grad():
        decoder.paint.bias.copy_(torch.linspace(-3.0, 3.0, len(decoder.paint.bias)))
        decoder.paint.weight.normal_(std=1.0, generator=torch.Generator().manual_seed(0))
    after = run.score()
    assert after.reconstruction < before.reconstruction - 0.01
    assert after.train_reconstruction < before.train_reconstruction - 0.01
    assert after.lender_cosine != before.lender_cosine
    assert after.performer_reconstruction == before.performer_reconstruction


@FAMILIES
def test_the_cross_score_is_of_what_conversion_paints(name, coloured) -> None:
    shown: list[np.ndarray] = []

    def embed(rgb: np.ndarray, landmarks: FaceLandmarks) -> np.ndarray:
        shown.append(rgb)
        return by_colour(rgb, landmarks)

    run = make_run(SMALL[name], coloured, device=CPU, seed=1, identity=identity_of(coloured)._replace(embed=embed))
    run.step(0)
    run.score()
    facts = CheckpointFacts(SMALL[name].to_json(), "v", "i", "r", "s", "e", ("a", "b"), 0, 1, 1, 1.0, "cpu", ())
    tensors = {key: tensor.clone() for key, tensor in run.tensors().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "swift", SMALL["swift"])
        swapper = (
            ClassicSwapper(facts, tensors, CPU)
            if name == "classic"
            else GuidedSwapper(facts, tensors, coloured[0], CPU)
        )
    performer = coloured[1]
    rows = split(performer.moment).watched
    faces = [
        AlignedFace(
            performer.rgb[row],
            _HERE,
            FaceLandmarks(performer.points_xy[row], performer.depth[row], np.zeros(52, np.float32), 1.0),
        )
        for row in rows
    ]
    assert len(shown) == len(rows) > 0
    for laid, face, swap in zip(shown, faces, swapper(faces), strict=True):
        share = swap.mask.values[..., None]
        assert np.array_equal(laid, np.round(share * swap.rgb + (1.0 - share) * face.rgb).astype(np.uint8))


def test_the_margin_is_above_zero_for_a_perfect_painter_and_below_for_one_that_changes_nothing(coloured) -> None:
    lender, performer = coloured
    marks = FaceLandmarks(lender.points_xy[0], lender.depth[0], np.zeros(52, np.float32), 1.0)
    inside = np.zeros((256, 256), np.float32)
    inside[64:192, 64:192] = 1.0
    crops, places = list(performer.rgb[:6]), [marks] * 6

    def score(pictures: np.ndarray, mask: np.ndarray = inside):
        painted = [SwappedFace(rgb, Mask(mask, "predicted")) for rgb in pictures]
        return cross_identity(crops, places, painted, identity_of(coloured))

    perfect, unchanged = score(lender.rgb[:6]), score(performer.rgb[:6])
    assert perfect.margin > 0.3
    assert perfect.lender_cosine > 0.95
    assert unchanged.margin < -0.3
    nothing_laid = score(lender.rgb[:6], np.zeros_like(inside))  # a mask of nothing leaves the performer
    assert nothing_laid == unchanged


def test_faces_without_an_identity_are_left_out_and_none_at_all_is_not_a_number(coloured) -> None:
    marks = FaceLandmarks(coloured[0].points_xy[0], coloured[0].depth[0], np.zeros(52, np.float32), 1.0)
    crops = list(coloured[1].rgb[:3])
    painted = [SwappedFace(rgb, Mask(np.ones((256, 256), np.float32), "predicted")) for rgb in coloured[0].rgb[:3]]
    calls: list[int] = []

    def now_and_then(rgb: np.ndarray, landmarks: FaceLandmarks) -> np.ndarray:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("no direction")
        return by_colour(rgb, landmarks)

    def never(_rgb: np.ndarray, _landmarks: FaceLandmarks) -> np.ndarray:
        raise ValueError("no direction")

    known = identity_of(coloured)
    some = cross_identity(crops, [marks] * 3, painted, known._replace(embed=now_and_then))
    assert some.margin > 0.3
    assert all(map(math.isnan, cross_identity(crops, [marks] * 3, painted, known._replace(embed=never))))
    diverged = [SwappedFace(painted[0].rgb, Mask(np.full((256, 256), np.nan, np.float32), "predicted"))] * 3
    assert all(map(math.isnan, cross_identity(crops, [marks] * 3, diverged, known)))


@FAMILIES
def test_a_diverged_model_is_scored_without_an_error_and_writes_no_nan(name, coloured) -> None:
    run = make_run(SMALL[name], coloured, device=CPU, seed=1, identity=identity_of(coloured))
    model = run.averaged if name == "swift" else run.model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(math.nan)
    row = run.score().row()
    assert all(math.isfinite(value) for value in row.values())
    assert "held_out_ssim" not in row


@FAMILIES
def test_without_an_identity_network_or_without_held_out_faces_those_scores_are_not_there(name, people) -> None:
    plain = make_run(SMALL[name], people, device=CPU, seed=1).score()
    scored = {"held_out_ssim", "held_out_performer_ssim", "trained_ssim", "trained_performer_ssim"}
    assert set(plain.row()) == scored
    few = tuple(faces.take(np.arange(9)) for faces in people)
    assert make_run(SMALL[name], few, device=CPU, seed=1, identity=identity_of(few)).score().row() == {}


def test_a_row_is_rounded_and_has_the_documented_names() -> None:
    assert HeldOut(0.1234567, 0.2, 0.3, -0.4, 0.5, 0.6).row() == {
        "held_out_ssim": 0.12346,
        "held_out_performer_ssim": 0.2,
        "held_out_lender_cosine": 0.3,
        "held_out_identity_margin": -0.4,
        "trained_ssim": 0.5,
        "trained_performer_ssim": 0.6,
    }


def test_held_out_faces_are_runs_not_single_frames() -> None:
    out = held_out(made_faces(300, 4, size=64).moment)
    starts = (out[1:] & ~out[:-1]).sum()
    assert starts == 3
    assert out.sum() == 30


def _moment(*lengths: int) -> np.ndarray:
    rows = [(source, frame) for source, length in enumerate(lengths) for frame in range(length)]
    return np.array(rows, np.int64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [((24,), 2), ((50,), 5), ((100,), 10), ((45, 45, 45, 45), 20), ((1,) * 200, 20), ((300, 30), 30), ((9,), 0)],
)
def test_about_a_tenth_is_held_out_of_short_clips_and_photos_too(lengths, expected) -> None:
    assert held_out(_moment(*lengths)).sum() == expected


def test_more_of_a_clip_does_not_change_what_is_held_out_of_its_beginning() -> None:
    assert np.array_equal(held_out(_moment(200)), held_out(_moment(260))[:200])


def test_watched_faces_are_few_and_spread_over_the_held_out_ones() -> None:
    part = split(_moment(1000))
    assert len(part.watched) == 16
    assert (part.watched[0], part.watched[-1]) == (50, 959)
    assert len(set((part.watched // 100).tolist())) == 10
    assert not set(part.watched.tolist()) & set(part.trained.tolist())
    assert evenly(3, 5).tolist() == [0, 1, 2]
    assert evenly(5, 0).tolist() == []
