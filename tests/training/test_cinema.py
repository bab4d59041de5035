"""The cinema presets: one network that a record shapes, and 512 pixels from the face set to the painted face."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_faces import made_faces

from countenance.errors import CheckpointError
from countenance.training import model as module
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, load, save
from countenance.training.guided import GuidedBatch, finish, guided_step
from countenance.training.model import PEOPLE, GuidedModel, parameter_count
from countenance.training.painting import GuidedPainter, Look
from countenance.training.presets import PRESETS, Preset, completed
from countenance.training.reference import mean_shape_cm
from countenance.training.runs import GuidedRun, make_run
from countenance.training.scores import Identity
from countenance.training.shading import mean_texture
from countenance.training.train import _continued
from countenance.types import AlignedFace, FaceLandmarks

CPU = torch.device("cpu")
NARROW = {"batch_size": 1, "encoder_widths": (4,) * 4, "bottleneck": 8, "latent_channels": 4}
TINY = replace(PRESETS["cinema-512"], widths=(4,) * 6, **NARROW)
TINY_256 = replace(PRESETS["cinema-256"], widths=(4,) * 5, **NARROW)
PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "training.md"

SWIFT_SHAPES = "2685be02cccf858d2061efb08416e65dcfaf09e408c15cbcd84930de8ccf1701"
SWIFT_SUMS = {
    "encoder.down.1.0.weight": 246.96976071272002,
    "encoder.spread.weight": 16384.829617753625,
    "decoders.lender.down16.0.weight": 1877.359001293636,
    "decoders.performer.up2.1.0.weight": 273.6837271993518,
}


def kept_bytes(model: GuidedModel) -> int:
    """What lies in memory for good: weights, gradients, AdamW's two moments, the averaged weights."""
    return 5 * sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


@pytest.mark.parametrize(("name", "count"), [("cinema-256", 19_393_632), ("cinema-512", 29_201_760)])
def test_the_page_has_the_parameters_and_the_memory(name: str, count: int) -> None:
    model = GuidedModel(PRESETS[name])
    assert parameter_count(model) == count
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |"))
    assert f"| {count:,} |" in row
    assert f"| {kept_bytes(model) / 1e6:.0f} MB |" in row
    run = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    run.step()
    moments = [slot[part] for slot in run.state.values() for part in ("exp_avg", "exp_avg_sq")]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    held = [*model.parameters(), *gradients, *moments, *model.parameters()]  # and once more, averaged
    assert sum(tensor.numel() * tensor.element_size() for tensor in held) == kept_bytes(model)


def test_the_network_of_swift_is_the_one_of_its_old_checkpoints() -> None:
    torch.manual_seed(0)
    state = GuidedModel(PRESETS["swift"]).state_dict()
    shapes = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    assert hashlib.sha256(shapes.encode()).hexdigest() == SWIFT_SHAPES
    for name, expected in SWIFT_SUMS.items():  # a layer made sooner or later would have drawn other numbers
        assert float(state[name].double().abs().sum()) == pytest.approx(expected, rel=1e-6), name


def test_an_old_recipe_goes_on_and_a_changed_one_does_not(tmp_path: Path) -> None:
    added = {"encoder_widths", "bottleneck", "precision"}
    for name in ("swift", "classic"):
        recipe = PRESETS[name].to_json()
        before = {key: value for key, value in recipe.items() if key not in added}
        assert completed(before) == recipe
        fresh = CheckpointFacts(recipe, "vera", "ivan", "r", "s", "e", ("a", "b"), 5, 0, 0, 0.0, "cpu", ())
        old = replace(fresh, preset=before, iteration=7)
        assert _continued(fresh, old, tmp_path).iteration == 7
        with pytest.raises(CheckpointError, match="another recipe"):
            _continued(fresh, replace(old, preset={**before, "bottleneck": 128}), tmp_path)
    assert completed(PRESETS["cinema-512"].to_json()) == PRESETS["cinema-512"].to_json()


def test_nothing_in_the_model_asks_for_a_name() -> None:
    assert not re.search(r"\.name\b", Path(module.__file__).read_text())
    renamed = GuidedModel(replace(TINY, name="something else"))
    assert [tuple(p.shape) for p in renamed.parameters()] == [tuple(p.shape) for p in GuidedModel(TINY).parameters()]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"input_size": 64}, "encoder levels"),
        ({"widths": (4,) * 10}, "decoder levels"),
        ({"widths": (4, 4)}, "decoder levels"),
        ({"output_size": 2048}, "output_size"),
        ({"base_size": 128, "output_size": 128}, "output_size"),
    ],
)
def test_sizes_that_do_not_fit_make_no_recipe(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(TINY, **change)


@pytest.mark.parametrize(
    ("recipe", "side"),
    [
        (PRESETS["classic"], 256),
        (PRESETS["swift"], 256),
        (TINY_256, 256),
        (TINY, 512),
        (replace(TINY, base_size=256, widths=(4,) * 5), 512),
    ],
    ids=lambda value: f"{value.base_size}-{value.output_size}" if isinstance(value, Preset) else str(value),
)
def test_crops_are_as_large_as_the_face_that_is_painted(recipe: Preset, side: int) -> None:
    assert recipe.crop_size == side


def test_a_base_of_the_faces_own_side_is_finished() -> None:
    reference = np.array([[90, 10], [20, 200]], np.uint8)[..., None].repeat(3, axis=2)
    base = np.array([[-128.0, 63.8], [127.6, 390.0]], np.float32)[..., None].repeat(3, axis=2)
    assert finish(base - reference, reference)[..., 0].tolist() == [[0, 64], [128, 255]]


def test_a_smaller_base_keeps_the_references_detail() -> None:
    reference = np.random.default_rng(0).integers(60, 190, (8, 8, 3), np.uint8)
    brighter = finish(np.full((4, 4, 3), 20.4, np.float32), reference)
    assert np.array_equal(brighter, reference + 20)


def _given(size: int, count: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    driver, reference, light = (torch.rand(count, 3, size, size, generator=generator) for _ in range(3))
    return driver, reference, light, torch.ones(count, 1, size, size)


def test_in_bfloat16_the_layers_are_rounded_and_the_picture_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = GuidedModel(replace(TINY_256, widths=(16,) * 5, encoder_widths=(16,) * 4, bottleneck=32))
    for person in PEOPLE:  # the last layer starts at zero, and would hide every difference
        torch.nn.init.normal_(model.decoders[person].paint.weight, std=0.1)
    seen: list[torch.dtype] = []
    model.decoders["lender"].paint.register_forward_hook(lambda _module, _given, made: seen.append(made.dtype))
    exact = model(*_given(256), "lender")
    monkeypatch.setattr(module, "_AUTOCAST_ON", ("cpu",))  # what a CUDA device gets
    near = model(*_given(256), "lender")
    assert seen == [torch.float32, torch.bfloat16]
    assert near.base.dtype == near.mask_logits.dtype == torch.float32
    error = (near.base - exact.base).detach().abs()
    assert 0.0 < float(error.max()) < 0.004  # a code of 8 bits; 0.0008 when it was measured
    assert float(error.mean()) < 0.0005

    model.precision = "float32"
    again = model(*_given(256), "lender")
    assert torch.equal(again.base, exact.base)


def test_gradients_in_bfloat16_point_where_exact_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = GuidedModel(replace(TINY_256, widths=(16,) * 5))
    torch.nn.init.normal_(model.decoders["lender"].paint.weight, std=0.05)
    driver, reference, light, whole = _given(256)
    batch = GuidedBatch(reference.roll(3, 2), reference, driver, light, whole, whole, whole)

    def gradient() -> torch.Tensor:
        model.zero_grad()
        loss, _ = guided_step(model, batch, "lender")
        assert loss.dtype == torch.float32
        loss.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    exact = gradient()
    monkeypatch.setattr(module, "_AUTOCAST_ON", ("cpu",))
    near = gradient()
    assert not torch.equal(near, exact)
    assert float(torch.nn.functional.cosine_similarity(near, exact, dim=0)) > 0.99


@pytest.fixture(scope="module")
def people_512():
    return made_faces(11, 1, 512), made_faces(11, 2, 512)


@pytest.fixture(scope="module")
def run(people_512) -> GuidedRun:
    """After one step."""
    axis = np.eye(128, dtype=np.float32)
    made = make_run(
        TINY, people_512, device=CPU, seed=5, identity=Identity(lambda _rgb, _marks: axis[0], axis[0], axis[1])
    )
    assert isinstance(made, GuidedRun)
    made.step(0)
    return made


def test_a_small_cinema_steps_and_resumes_to_the_last_bit(run: GuidedRun, people_512, tmp_path: Path) -> None:
    facts = CheckpointFacts(TINY.to_json(), "vera", "ivan", "r", "s", "e", ("a", "b"), 5, 1, 2, 0.0, "cpu", ())
    save(tmp_path, facts, run.tensors())
    before = {name: tensor.clone() for name, tensor in run.tensors().items()}
    run.step(1)
    whole = {name: tensor.clone() for name, tensor in run.tensors().items()}
    assert not torch.equal(whole["model.encoder.squeeze.weight"], before["model.encoder.squeeze.weight"])

    resumed = make_run(TINY, people_512, device=CPU, seed=5)
    resumed.restore(load(tmp_path / CHECKPOINT).tensors)
    resumed.step(1)
    got = resumed.tensors()
    assert whole.keys() == got.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, got[name]), name


def test_a_small_cinema_paints_512_pixels(run: GuidedRun, people_512) -> None:
    lender, performer = people_512
    looks = [Look(mean_shape_cm(of.points_xy, of.depth), mean_texture(of)) for of in people_512]
    painter = GuidedPainter(lender, looks, preset=TINY, device=CPU)
    marks = FaceLandmarks(performer.points_xy[0], performer.depth[0], np.zeros(52, np.float32), 1.0)
    drawn = painter.prepare([AlignedFace(performer.rgb[0], np.eye(2, 3), marks)])
    assert drawn.reference.shape[-1] == drawn.light.shape[-1] == drawn.face.shape[-1] == 512
    assert drawn.driver.shape[-1] == 128
    assert np.abs(drawn.landmarks[0].points_xy - marks.points_xy).max() < 40.0  # in pixels of the crop
    (painted,) = painter.paint(run.averaged, drawn)
    assert painted.rgb.shape == (512, 512, 3)
    assert painted.mask.values.shape == (512, 512)
    assert painted.mask.values[256, 256] > 0.8
    assert painted.mask.values[4, 4] < 0.2
    # One step has hardly changed it: it is the reference under the footage's light, not a smaller picture enlarged.
    inside = drawn.face[0, 0].numpy() > 0.9
    reference = np.round(255.0 * drawn.reference[0].permute(1, 2, 0).numpy())
    detail = np.abs(np.diff(painted.rgb.astype(float), axis=1))[:, :-1][inside[:, 2:]].mean()
    assert detail == pytest.approx(np.abs(np.diff(reference, axis=1))[:, :-1][inside[:, 2:]].mean(), rel=0.2)
    pairs = run.preview()
    assert {picture.shape for pair in pairs for picture in pair} == {(512, 512, 3)}
    assert run.score().lender_cosine == pytest.approx(1.0)


def test_crops_of_another_side_are_refused_by_the_painter() -> None:
    faces = made_faces(3, 1, 256)
    look = Look(mean_shape_cm(faces.points_xy, faces.depth), mean_texture(faces))
    with pytest.raises(ValueError, match="crops of side 512, got 256"):
        GuidedPainter(faces, [look, look], preset=TINY, device=CPU)
