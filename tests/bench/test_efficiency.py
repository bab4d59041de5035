from dataclasses import replace

import efficiency
import pytest
import torch
from efficiency_work import pairs_of, roofline, ssim_by_convolution
from torch.utils.flop_counter import FlopCounterMode

from countenance.training.losses import ssim_map
from countenance.training.presets import PRESETS
from countenance.training.runs import make_run

CPU = torch.device("cpu")


FEW = [faces.take(list(range(10))) for faces in efficiency.PEOPLE]


@pytest.fixture(scope="module")
def run():
    with efficiency.one_thread():
        return make_run(replace(PRESETS["swift"], batch_size=2), FEW, device=CPU, seed=0)


def classic_products(batch: int) -> int:
    """FLOPs of one person's autoencoder, forwards and backwards, from the sizes of its layers."""
    convolutions = [  # places of the result, its channels, products for each
        (32 * 32, 128, 5 * 5 * 3),
        (16 * 16, 256, 5 * 5 * 128),
        (8 * 8, 512, 5 * 5 * 256),
        (4 * 4, 1024, 5 * 5 * 512),
        (1, 1024, 16384),
        (1, 16384, 1024),
        (4 * 4, 2048, 9 * 1024),
        (8 * 8, 1024, 9 * 512),
        (16 * 16, 512, 9 * 256),
        (32 * 32, 256, 9 * 128),
        (64 * 64, 3, 5 * 5 * 64),
    ]
    work = [2 * batch * places * channels * each for places, channels, each in convolutions]
    return 3 * sum(work) - work[0]  # nobody asks for the gradient of the pictures


def test_the_counter_counts_what_the_classic_layers_multiply() -> None:
    batch = PRESETS["classic"].batch_size
    counted = efficiency.flops("classic", CPU, as_written=False, people=FEW)
    assert counted == pytest.approx(2 * classic_products(batch), rel=1e-4)  # beside some matrices of the warp


def test_swift_multiplies_less_than_it_is_drawn_with(run) -> None:
    with FlopCounterMode(display=False) as counter:
        run.step(0)
    executed, written = (efficiency.flops("swift", CPU, as_written=way, people=FEW) for way in (False, True))
    assert 0.75 * written < executed < 0.85 * written
    assert counter.get_total_flops() > executed / 4  # a quarter of the batch, and the loss's own products


@pytest.mark.parametrize("shape", [(2, 3, 48, 48), (1, 1, 33, 20)])
def test_ssim_by_matrices_is_ssim_by_convolutions(shape) -> None:
    torch.manual_seed(0)
    picture = torch.rand(shape, dtype=torch.float64)
    noisy = (picture + 0.1 * torch.randn_like(picture)).requires_grad_()
    ours, theirs = ssim_map(noisy, picture), ssim_by_convolution(noisy, picture)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)
    slopes = [torch.autograd.grad(way.square().sum(), noisy)[0] for way in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=1e-8)
    single, double = ssim_map(noisy.detach().float(), picture.float()), theirs.detach()
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-4)


def test_every_variant_learns_the_same(run) -> None:
    start = {name: tensor.clone() for name, tensor in run.tensors().items()}
    losses = {}
    for name, entered in efficiency.VARIANTS["swift"].items():
        run.restore({part: tensor.clone() for part, tensor in start.items()})
        with entered(run):
            losses[name] = [run.step(iteration).loss for iteration in range(2)]
    wanted = losses[efficiency.AS_IT_IS]
    for name, found in losses.items():
        assert found == pytest.approx(wanted, rel=3e-2 if name == "bfloat16" else 1e-4), name
    assert losses["bfloat16"] != wanted  # it was really on
    run.restore(start)
    assert [run.step(iteration).loss for iteration in range(2)] == wanted  # and all of them were left again


def test_shared_layers_learn_the_same() -> None:
    losses = {}
    for name, entered in efficiency.SHARED.items():
        run = make_run(replace(PRESETS["swift"], batch_size=2), FEW, device=CPU, seed=0)
        with entered(run):
            losses[name] = [run.step(iteration).loss for iteration in range(2)]
    for found in losses.values():
        assert found == pytest.approx(losses[efficiency.AS_IT_IS], rel=1e-4)


def test_a_step_is_parted_without_a_gap(run) -> None:
    parts = efficiency.parts(run, CPU, 1)
    assert set(parts) == {
        *("batch", "forward", "loss", "backward", "clipping", "optimiser", "averaging", "rest"),
    }
    assert all(part["median"] > -0.01 for part in parts.values())
    assert sum(part["median"] for part in parts.values()) == pytest.approx(1.0, abs=0.01)
    seen = roofline(run, CPU, 1)
    assert seen["products"]["flop_per_byte"] > 10.0
    assert seen["passes"]["gflop"] == 0.0
    assert seen["copy_gigabytes_per_second"] > 0.1


def test_warped_pairs_are_counted() -> None:
    told = pairs_of(CPU, 2, 64, 2)
    assert told["bytes"] > 2 * 3 * (256 * 256 + 2 * 64 * 64 * 4)
    assert told["pairs_per_hour_cpu"] == pytest.approx(3600 * told["pairs_per_second_cpu"]["median"], rel=1e-3)
