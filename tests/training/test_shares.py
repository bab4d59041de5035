"""A step's faces shared out to threads teach what they teach in one thread."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from countenance.training.presets import PRESETS
from countenance.training.runs import make_run
from countenance.training.shares import Shares, shares_of

CPU = torch.device("cpu")
SMALL = replace(PRESETS["swift"], batch_size=4)  # and two faces of the performer


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("counts", [{"lender": 8, "performer": 4}, {"lender": 2, "performer": 1}])
def test_every_face_is_in_one_share_and_the_shares_are_even(counts, threads) -> None:
    shares = shares_of(counts, threads)
    assert len(shares) == min(threads, 4, sum(counts.values()))
    faces = [(piece.person, row) for share in shares for piece in share for row in range(piece.start, piece.stop)]
    assert faces == [(person, row) for person, count in counts.items() for row in range(count)]
    sizes = [sum(piece.stop - piece.start for piece in share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture
def run(people):
    return make_run(SMALL, people, device=CPU, seed=3)


@pytest.fixture
def batches(run, monkeypatch):
    """A step's own batches, in each of which one face counts far more than another."""
    kept, backward = [], run._shares.backward
    monkeypatch.setattr(run._shares, "backward", lambda given: kept.append(given) or backward(given))
    run.step(0)
    for batch in kept[0].values():
        batch.weight[0] *= 7.0
    return kept[0]


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_gradients_and_loss_are_those_of_the_whole(run, batches, threads) -> None:
    run.model.zero_grad()
    whole = Shares(run.model, run.counts, 1).backward(batches)
    wanted = gradients(run.model)
    run.model.zero_grad()
    shares = Shares(run.model, run.counts, threads)
    for _ in range(2):  # nothing of one step is left for the next
        run.model.zero_grad()
        assert shares.backward(batches) == pytest.approx(whole, rel=1e-5)
    found = gradients(run.model)
    scale = max(float(grad.abs().max()) for grad in wanted.values())
    for name, grad in wanted.items():
        torch.testing.assert_close(
            found[name], grad, rtol=1e-3, atol=1e-5 * scale, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_the_same_bits_each_time_and_the_threads_follow_the_weights(people) -> None:
    def trained():
        run = make_run(SMALL, people, device=CPU, seed=3)
        run._shares = Shares(run.model, run.counts, 2)
        losses = [run.step(iteration).loss for iteration in range(4)]
        return losses, run.tensors()

    (losses, first), (again, second) = trained(), trained()
    assert losses == again
    assert all(torch.equal(first[name], second[name]) for name in first)
    plain = make_run(SMALL, people, device=CPU, seed=3)
    plain._shares = Shares(plain.model, plain.counts, 1)
    assert losses == pytest.approx([plain.step(iteration).loss for iteration in range(4)], rel=1e-3)
    restored = make_run(SMALL, people, device=CPU, seed=3)
    restored._shares = Shares(restored.model, restored.counts, 2)
    restored.restore(first)
    assert restored.step(4).loss == pytest.approx(plain.step(4).loss, rel=1e-3)


def test_a_thread_s_error_ends_the_step(run, batches) -> None:
    with pytest.raises(KeyError):
        Shares(run.model, run.counts, 2).backward({"lender": batches["lender"]})


def test_only_the_shares_threads_take_fewer(run, batches) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shares = Shares(run.model, run.counts, 2)
        shares.backward(batches)
        assert torch.get_num_threads() == 2
        assert [one.result() for one in [shares._pool.submit(torch.get_num_threads) for _ in range(4)]] == [1] * 4
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(threads)
