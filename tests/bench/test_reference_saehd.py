"""The reference must be what its docstring says, or the comparison with it is worth nothing."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import reference_saehd
import torch
from reference_saehd import AdaBelief, Painted, SaehdModel, SaehdRecipe, SaehdRun, SaehdSwapper, face_masks
from reference_saehd import saehd_batch as make_batch
from reference_saehd import saehd_loss as loss_of
from training_faces import made_faces

from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, load, save
from countenance.training.loop import Budget, loop
from countenance.training.model import PEOPLE, parameter_count
from countenance.training.runs import Run
from countenance.training.scores import Identity
from countenance.types import BLENDSHAPES, AlignedFace, FaceLandmarks

CPU = torch.device("cpu")
SMALL = {
    name: SaehdRecipe(
        name, resolution=32, e_dims=8, ae_dims=32, d_dims=8, d_mask_dims=4, batch_size=4, learning_rate=1e-3
    )
    for name in ("df", "liae")
}
both = pytest.mark.parametrize("name", ["df", "liae"])


@pytest.fixture(scope="module")
def faces():
    return made_faces(24, 1, size=64), made_faces(24, 2, size=64)


def facts_of(recipe: SaehdRecipe) -> CheckpointFacts:
    return CheckpointFacts(recipe.to_json(), "vera", "ivan", "r", "s", "e", ("a", "b"), 5, 0, 0, 0.0, "cpu", ())


def crops(count: int) -> list[AlignedFace]:
    made = made_faces(count, 3)
    unknown = np.zeros(BLENDSHAPES, np.float32)
    return [
        AlignedFace(rgb, np.eye(2, 3), FaceLandmarks(points, depth, unknown, 1.0))
        for rgb, points, depth in zip(made.rgb, made.points_xy, made.depth, strict=True)
    ]


@both
def test_the_docstring_counts_the_parameters(name) -> None:
    with torch.device("meta"):
        model = SaehdModel(SaehdRecipe(name))
    assert f"{parameter_count(model):,} parameters" in " ".join(reference_saehd.__doc__.split())


@both
def test_what_is_shared_is_shared(name) -> None:
    model = SaehdModel(SMALL[name])
    model(torch.rand(1, 3, 32, 32), PEOPLE[0]).rgb.sum().backward()
    touched = {key.rsplit(".", 1)[0] for key, value in model.named_parameters() if value.grad is not None}
    assert any(key.startswith("encoder") for key in touched)
    if name == "df":
        assert not any(key.startswith("decoders.performer") for key in touched)
    else:
        assert not any(key.startswith("inters.B.") for key in touched)
        assert list(model.decoders) == ["shared"]


def test_the_published_defaults_give_the_published_shapes() -> None:
    with torch.device("meta"):
        for name, code in (("df", (1, 256, 16, 16)), ("liae", (1, 512, 16, 16))):
            model = SaehdModel(SaehdRecipe(name))
            features = model.encoder(torch.empty(1, 3, 128, 128))
            assert features.shape == (1, 512 * 8 * 8)
            assert next(iter(model.inters.values()))(features).shape == code
            painted = model(torch.empty(2, 3, 128, 128), PEOPLE[1])
            assert (painted.rgb.shape, painted.mask.shape) == ((2, 3, 128, 128), (2, 1, 128, 128))


def test_a_resolution_that_cannot_be_halved_four_times_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        SaehdModel(replace(SMALL["df"], resolution=40))


@both
def test_it_learns(name, faces) -> None:
    one_picture = [person._replace(rgb=np.repeat(person.rgb[:1], len(person.rgb), 0)) for person in faces]
    run = SaehdRun(SMALL[name], one_picture, device=CPU, seed=0)
    before = run.score()
    steps = [run.step(iteration) for iteration in range(30)]
    losses = [step.loss for step in steps]
    assert {step.samples for step in steps} == {8}
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    after = run.score()
    assert after.performer_reconstruction > before.performer_reconstruction + 0.02
    assert after.reconstruction > before.reconstruction + 0.02
    assert math.isnan(after.lender_cosine)


def test_liae_swaps_through_inter_ab_alone() -> None:
    recipe = SMALL["liae"]
    torch.manual_seed(3)
    model = SaehdModel(recipe)
    weights = {f"model.{key}": value.clone() for key, value in model.state_dict().items()}
    driver = torch.rand(2, 3, 32, 32)

    def changed(prefix: str) -> dict[str, torch.Tensor]:
        return {key: value + 0.05 if key.startswith(prefix) else value for key, value in weights.items()}

    def swap(tensors: dict[str, torch.Tensor]) -> list[np.ndarray]:
        results = SaehdSwapper(facts_of(recipe), tensors, CPU)(crops(2))
        return [array for result in results for array in (result.rgb, result.mask.values)]

    plain = swap(weights)
    assert all(np.array_equal(a, b) for a, b in zip(plain, swap(changed("model.inters.B.")), strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(plain, swap(changed("model.inters.AB.")), strict=True))

    own = model(driver, PEOPLE[1]).rgb
    with torch.no_grad():
        for parameter in model.inters["B"].parameters():
            parameter.add_(0.05)
    assert not torch.equal(own, model(driver, PEOPLE[1]).rgb)


def test_adabelief_does_what_its_paper_says() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0], dtype=torch.float64))
    still = torch.nn.Parameter(torch.ones(1))
    optimiser = AdaBelief([weight, still], lr=0.1)
    # By hand, for gradients 0.5 and -0.25: m = 0.05, s = 0.001 * 0.45², step 0.1 * 0.5 / 0.45; then
    # m = 0.02, s = 0.999 * 0.0002025 + 0.001 * 0.27² = 0.0002751975, step 0.1 * (0.02 / 0.19) / sqrt(s / 0.001999).
    weight.grad = torch.tensor([0.5, 0.0], dtype=torch.float64)
    optimiser.step()
    assert weight.tolist() == pytest.approx([1.0 - 0.1111111, 1.0], abs=1e-7)
    weight.grad = torch.tensor([-0.25, 0.0], dtype=torch.float64)
    optimiser.step()
    assert weight.tolist() == pytest.approx([1.0 - 0.1111111 - 0.0283701, 1.0], abs=1e-7)
    assert still.tolist() == [1.0]


@both
def test_resuming_is_exact_to_the_last_bit(name, faces, tmp_path) -> None:
    whole = SaehdRun(SMALL[name], faces, device=CPU, seed=5)
    for iteration in range(3):
        whole.step(iteration)
        whole.score()  # scoring must not disturb

    first = SaehdRun(SMALL[name], faces, device=CPU, seed=5)
    for iteration in range(2):
        first.step(iteration)
    save(tmp_path, facts_of(SMALL[name]), first.tensors())
    second = SaehdRun(SMALL[name], faces, device=CPU, seed=6)
    second.seed = 5
    second.restore(load(tmp_path / CHECKPOINT).tensors)
    second.step(2)

    expected, got = whole.tensors(), second.tensors()
    assert expected.keys() == got.keys()
    for key, tensor in expected.items():
        assert torch.equal(tensor, got[key]), key


def test_the_loop_drives_it_and_conversion_can_use_what_it_leaves(tmp_path) -> None:
    lender, performer = made_faces(100, 4), made_faces(30, 5)
    me = np.eye(1, 128, dtype=np.float32)[0]
    identity = Identity(lambda rgb, landmarks: me, me, -me)
    run: Run = SaehdRun(SMALL["liae"], (lender, performer), device=CPU, seed=0, identity=identity)
    assert list(inspect.signature(run.step).parameters) == ["iteration"]
    loop(run, facts_of(SMALL["liae"]), Budget(iterations=2), tmp_path)
    stored = load(tmp_path / CHECKPOINT)
    assert stored.facts.history[-1]["held_out_identity_margin"] == pytest.approx(2.0)

    swapper = SaehdSwapper(stored.facts, stored.tensors, CPU)
    assert swapper.facts is stored.facts
    assert swapper([]) == []
    results = swapper(crops(3))
    assert [result.rgb.shape for result in results] == [(256, 256, 3)] * 3
    for result in results:
        assert result.mask.kind == "predicted"
        assert 0.0 <= result.mask.values.min() <= result.mask.values.max() <= 1.0


def test_the_held_out_tenth_is_never_trained_on() -> None:
    made = made_faces(100, 4, size=64)
    run = SaehdRun(SMALL["df"], (made, made), device=CPU, seed=0)
    trained = {picture.numpy().tobytes() for picture in run.faces["lender"][0]}
    watched = {picture.numpy().tobytes() for picture in run.watched["lender"][0]}
    assert (len(trained), len(watched)) == (90, 10)
    assert not trained & watched


def test_the_mask_is_the_hull_where_it_is_person() -> None:
    made = made_faces(1, 0, size=128)
    made.person_mask[:, :, 32:] = 0
    mask = face_masks(made)[0]
    assert mask[64, 55] == 255
    assert mask[64, 75] == 0  # inside the hull, but something is in front
    assert mask[2].max() == mask[:, 2].max() == 0


def test_target_and_mask_stay_in_register_and_only_the_input_is_bent() -> None:
    mask = torch.zeros(6, 1, 64, 64, dtype=torch.uint8)
    mask[:, :, 20:44, 20:44] = 255
    batch = make_batch(mask.expand(6, 3, 64, 64), mask, torch.Generator().manual_seed(0))
    assert torch.equal(batch.target, batch.mask.expand(6, 3, 64, 64))
    bent = (batch.warped - batch.target).abs().mean((1, 2, 3))
    assert (bent > 0.002).all()
    assert (bent < 0.05).all()
    corners = {tuple(torch.nonzero(one[0] > 0.5)[0].tolist()) for one in batch.mask}
    assert len(corners) > 3  # every face is turned its own way


def test_the_loss_looks_inside_the_mask_only() -> None:
    target, mask = torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    mask[:, :, 8:24, 8:24] = 1.0
    elsewhere = target * mask + (1 - mask) * torch.rand(2, 3, 32, 32)
    assert float(loss_of(Painted(elsewhere, mask), target, mask)) == pytest.approx(0.0, abs=1e-5)
    # A wrong mask alone: 10 · MSE.
    assert float(loss_of(Painted(target, mask * 0.0), target, mask)) == pytest.approx(10.0 * 0.25, rel=1e-4)
    # A wrong picture alone: nothing of the same structure, 10 · DSSIM of it, and 10 · MSE.
    grey = torch.full_like(target, 0.5)
    worse = float(loss_of(Painted(grey, mask), target, mask))
    assert worse > 10.0 * float(((grey - target) * mask).square().mean()) + 0.5
