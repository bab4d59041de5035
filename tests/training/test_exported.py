"""The guided model by ONNX Runtime: the same picture as torch's, to far less than a level."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from countenance.training.exported import ExportedModel
from countenance.training.model import PEOPLE, GuidedModel
from countenance.training.presets import LATENT_SIDE, PRESETS

SMALL_CINEMA = replace(PRESETS["cinema-256"], widths=(8, 8, 12, 12, 16), bottleneck=16)


@pytest.mark.parametrize("preset", [PRESETS["swift"], SMALL_CINEMA], ids=["swift", "cinema"])
@pytest.mark.parametrize("person", PEOPLE)
def test_it_paints_what_the_model_paints(preset, person: str) -> None:
    torch.manual_seed(3)
    model = GuidedModel(replace(preset, precision="float32")).eval()
    for decoder in model.decoders.values():  # the last layer starts at zero, and would hide all before it
        torch.nn.init.normal_(decoder.paint.weight, std=0.1)
        torch.nn.init.normal_(decoder.paint.bias, std=0.1)
    exported = ExportedModel(model, person)
    for count in (2, 1, 3):  # batches of any size, one after another
        side = preset.base_size
        driver = torch.rand(count, 3, preset.input_size, preset.input_size)
        reference, light, face = (torch.rand(count, channels, side, side) for channels in (3, 3, 1))
        with torch.no_grad():
            expected = model(driver, reference, light, face, person)
        got = exported(driver, reference, light, face, person)
        assert (expected.base - reference).std() > 0.02
        assert torch.allclose(got.base, expected.base, atol=2e-5)  # of [0, 1]; a level is 4e-3
        assert torch.allclose(got.mask_logits, expected.mask_logits, atol=2e-5)


@pytest.mark.parametrize(
    "preset", [one for one in PRESETS.values() if one.family == "guided"], ids=lambda one: one.name
)
def test_the_latent_fits_every_decoder_as_it_is(preset) -> None:
    """The model would enlarge it, the graph does not."""
    assert preset.base_size == LATENT_SIDE * 2 ** len(preset.widths)


def test_it_keeps_the_weights_of_when_it_was_made() -> None:
    model = GuidedModel(PRESETS["swift"]).eval()
    exported = ExportedModel(model, PEOPLE[0])
    given = [torch.rand(1, *shape) for shape in ((3, 64, 64), (3, 128, 128), (3, 128, 128), (1, 128, 128))]
    before = exported(*given, PEOPLE[0]).base
    for weights in model.parameters():
        torch.nn.init.ones_(weights)
    assert torch.equal(exported(*given, PEOPLE[0]).base, before)


def test_what_it_was_not_made_for_is_refused() -> None:
    exported = ExportedModel(GuidedModel(PRESETS["swift"]), PEOPLE[0])
    given = [torch.rand(1, *shape) for shape in ((3, 64, 64), (3, 128, 128), (3, 128, 128), (1, 128, 128))]
    with pytest.raises(ValueError, match="got 64 for the performer"):
        exported(*given, PEOPLE[1])
    with pytest.raises(ValueError, match="expected drivers of side 64 for the lender, got 32"):
        exported(torch.rand(1, 3, 32, 32), *given[1:], PEOPLE[0])
