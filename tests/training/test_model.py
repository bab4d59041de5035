import pytest
import torch
from torch.nn import functional

from countenance.errors import ConfigError
from countenance.training.model import PEOPLE, ClassicModel, GuidedModel, build_model, low_pass, parameter_count
from countenance.training.presets import PRESETS, preset


def test_classic_has_exactly_the_parameters_of_2017() -> None:
    model = ClassicModel()
    assert parameter_count(model) == 82_062_470
    assert parameter_count(model.encoder) == 69_662_976
    assert parameter_count(model.decoders["lender"]) == 6_199_747


def test_classic_layers_are_the_published_ones() -> None:
    model = ClassicModel()
    kernels = [tuple(m.weight.shape) for m in model.encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kernels == [(128, 3, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1024, 512, 5, 5), (2048, 1024, 3, 3)]
    dense = [tuple(m.weight.shape) for m in model.encoder.modules() if isinstance(m, torch.nn.Linear)]
    assert dense == [(1024, 16384), (16384, 1024)]
    painted = [tuple(m.weight.shape) for m in model.decoders["lender"].modules() if isinstance(m, torch.nn.Conv2d)]
    assert painted == [(1024, 512, 3, 3), (512, 256, 3, 3), (256, 128, 3, 3), (3, 64, 5, 5)]


def test_classic_paints_64_pixels_in_range() -> None:
    picture = ClassicModel()(torch.rand(2, 3, 64, 64), "performer").detach()
    assert picture.shape == (2, 3, 64, 64)
    assert 0.0 <= float(picture.min()) <= float(picture.max()) <= 1.0


def test_same_padding_is_tensorflows_one_before_two_after() -> None:
    layer = ClassicModel().encoder.down[0]
    x = torch.rand(1, 3, 64, 64)
    # TensorFlow, "same", stride 2, kernel 5, even side: output i reads inputs 2i − 1 … 2i + 3.
    patch = functional.pad(x, (1, 2, 1, 2))[:, :, 6:11, 10:15]
    by_hand = (layer.conv.weight * patch).sum((1, 2, 3)) + layer.conv.bias
    expected = functional.leaky_relu(by_hand, 0.1)
    torch.testing.assert_close(layer(x)[0, :, 3, 5], expected, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_shared_and_the_decoders_are_not() -> None:
    torch.manual_seed(0)
    model = GuidedModel(PRESETS["swift"])
    with torch.no_grad():
        for person in PEOPLE:  # the last layer starts at zero, where all decoders agree
            torch.nn.init.normal_(model.decoders[person].paint.weight, std=0.1)
    args = [torch.rand(1, 3, 128, 128) for _ in range(3)]
    face = torch.ones(1, 1, 128, 128)
    lender, performer = (model(*args, face, person).base for person in PEOPLE)
    assert (lender - performer).detach().abs().max() > 1e-3
    lender.sum().backward()
    assert model.encoder.squeeze.weight.grad is not None
    assert model.decoders["performer"].paint.weight.grad is None


def test_guided_starts_from_the_reference_under_the_footages_light() -> None:
    model = GuidedModel(PRESETS["swift"])
    reference, light = torch.rand(1, 3, 128, 128), torch.full((1, 3, 128, 128), 0.25)
    face = torch.ones(1, 1, 128, 128)
    base = model(torch.rand(1, 3, 64, 64), reference, light, face, "lender").base.detach()
    torch.testing.assert_close(base, reference + light - low_pass(reference, face))
    half = face.clone()
    half[..., :64] = 0.0
    mask = torch.sigmoid(model(torch.rand(1, 3, 64, 64), reference, light, half, "lender").mask_logits.detach())
    assert float(mask[..., 64:].min()) > 0.95
    assert float(mask[..., :64].max()) < 0.05
    assert abs(float(base.mean()) - 0.25) < 0.02


def test_low_pass_is_not_bled_into_by_what_is_outside_the_face() -> None:
    face = torch.zeros(1, 1, 128, 128)
    face[..., 32:96, 32:96] = 1.0
    picture = torch.full((1, 3, 128, 128), 0.9)
    picture[..., 32:96, 32:96] = 0.3
    light = low_pass(picture, face)
    torch.testing.assert_close(light[..., 32:96, 32:96], torch.full((1, 3, 64, 64), 0.3), atol=1e-4, rtol=0)


def test_swift_paints_at_least_128_pixels_and_a_mask() -> None:
    recipe = preset("swift")
    assert recipe.base_size >= 128
    output = build_model(recipe)(*[torch.rand(1, 3, 128, 128)] * 3, torch.ones(1, 1, 128, 128), "lender")
    assert output.base.shape == (1, 3, 128, 128)
    assert output.mask_logits.shape == (1, 1, 128, 128)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="classic, swift"):
        preset("magic")
