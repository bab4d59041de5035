import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from countenance.errors import CheckpointError, OutputError
from countenance.training import checkpoint as module
from countenance.training.checkpoint import CHECKPOINT, PREVIOUS, CheckpointFacts, load, read_facts, save, sweep
from countenance.training.presets import PRESETS
from countenance.training.train import _continued

FACTS = CheckpointFacts(
    preset={"name": "swift", "widths": [1, 2]},
    lender="vera",
    performer="ivan",
    record_id="r1",
    record_sha256="ab" * 32,
    ledger_entry="cd" * 32,
    faces_sha256=("a", "b"),
    seed=3,
    iteration=7,
    samples_seen=84,
    seconds=1.5,
    device="cpu",
    history=({"iteration": 0.0, "seconds": 0.0, "held_out_ssim": 0.5},),
)


def tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    channels_last = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    return {"a": torch.full((3, 2), value), "step": torch.tensor(7.0), "conv": channels_last}


def test_what_was_saved_comes_back_bit_for_bit(tmp_path) -> None:
    stored = tensors()
    save(tmp_path, FACTS, stored)
    loaded = load(tmp_path / CHECKPOINT)
    assert replace(loaded.facts, tensors_sha256="") == FACTS
    assert loaded.tensors.keys() == stored.keys()
    for name, tensor in stored.items():
        assert torch.equal(loaded.tensors[name], tensor), name
    assert read_facts(tmp_path / CHECKPOINT) == loaded.facts


def test_the_one_before_is_kept(tmp_path) -> None:
    save(tmp_path, FACTS, tensors(1.0))
    save(tmp_path, replace(FACTS, iteration=8), tensors(2.0))
    assert read_facts(tmp_path / CHECKPOINT).iteration == 8
    assert load(tmp_path / PREVIOUS).facts.iteration == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, PREVIOUS]


def test_a_full_disk_leaves_the_old_checkpoint_and_no_debris(tmp_path, monkeypatch) -> None:
    save(tmp_path, FACTS, tensors())

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match="disk is full"):
        save(tmp_path, replace(FACTS, iteration=9), tensors())
    assert load(tmp_path / CHECKPOINT).facts.iteration == 7
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_without_hard_links_the_one_before_is_copied(tmp_path, monkeypatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    save(tmp_path, FACTS, tensors())
    save(tmp_path, replace(FACTS, iteration=8), tensors())
    assert load(tmp_path / PREVIOUS).facts.iteration == 7


def test_a_missing_checkpoint_says_so(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load(tmp_path / CHECKPOINT)


def test_a_checkpoint_from_before_rollbacks_loads(tmp_path) -> None:
    path = save(tmp_path, FACTS, tensors())
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    old = json.loads(header["__metadata__"]["countenance"])
    for name in ("learning_rate_factor", "rollbacks", "curve_start"):
        del old[name]
    header["__metadata__"]["countenance"] = json.dumps(old)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    facts = load(path).facts
    assert (facts.learning_rate_factor, facts.rollbacks, facts.curve) == (1.0, (), FACTS.history)


def test_what_a_killed_save_left_behind_goes_after_an_hour(tmp_path) -> None:
    save(tmp_path, FACTS, tensors())
    old, new = (tmp_path / f".checkpoint.{name}.part.safetensors" for name in ("0a", "0b"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, CHECKPOINT]


@pytest.mark.parametrize(("name", "goes_on"), [("classic", True), ("swift", False)])
def test_a_checkpoint_from_before_recipes_had_versions_is_of_the_first(
    tmp_path: Path, name: str, goes_on: bool
) -> None:
    recipe = PRESETS[name].to_json()
    fresh = replace(FACTS, preset=recipe)
    old = replace(fresh, preset={key: value for key, value in recipe.items() if key != "version"}, iteration=7)
    if goes_on:
        assert _continued(fresh, old, tmp_path).iteration == 7
    else:
        with pytest.raises(CheckpointError, match="another recipe"):
            _continued(fresh, old, tmp_path)
