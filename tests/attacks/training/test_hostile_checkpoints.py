"""Checkpoints that somebody changed, cut or made up; each is refused with a sentence, none is executed."""

import json
import pickle
import struct

import pytest
import torch

from countenance.errors import CheckpointError
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts, load, save

FACTS = CheckpointFacts({"name": "swift"}, "vera", "ivan", "r1", "ab", "cd", ("a", "b"), 0, 7, 84, 1.5, "cpu", ())


@pytest.fixture
def path(tmp_path):
    save(tmp_path, FACTS, {"weight": torch.arange(64.0), "other": torch.ones(8)})
    return tmp_path / CHECKPOINT


def _header(data: bytes) -> tuple[dict, bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _joined(header: dict, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _with_facts(data: bytes, **changes: object) -> bytes:
    header, body = _header(data)
    facts = json.loads(header["__metadata__"]["countenance"]) | changes
    header["__metadata__"]["countenance"] = json.dumps(facts)
    return _joined(header, body)


def _with_deep_json(data: bytes) -> bytes:
    header, body = _header(data)
    header["__metadata__"]["countenance"] = "[" * 100_000
    return _joined(header, body)


def _without_facts(data: bytes) -> bytes:
    header, body = _header(data)
    del header["__metadata__"]
    return _joined(header, body)


def _flipped(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("/tmp/countenance-bomb", "w"))


_ROW = {"iteration": 1.0, "seconds": 1.0, "samples": 1.0}

ATTACKS = {
    "empty": lambda data: b"",
    "seven bytes": lambda data: data[:7],
    "text": lambda data: b"these are my weights, honest" * 10,
    "a pickle": lambda data: pickle.dumps(_Bomb()),
    "header cut": lambda data: data[:60],
    "tensors cut": lambda data: data[:-9],
    "a flipped bit in the weights": _flipped,
    "header length of 2^63": lambda data: struct.pack("<Q", 1 << 63) + data[8:],
    "header length of zero": lambda data: struct.pack("<Q", 0) + data[8:],
    "no description": _without_facts,
    "a description nested 100,000 deep": _with_deep_json,
    "another version": lambda data: _with_facts(data, version=2),
    "an unknown field": lambda data: _with_facts(data, run="rm -rf"),
    "another checksum": lambda data: _with_facts(data, tensors_sha256="00" * 32),
    "a huge description": lambda data: _with_facts(data, device="x" * 5_000_000),
    "history of the wrong kind": lambda data: _with_facts(data, history=3),
    "history rows of the wrong kind": lambda data: _with_facts(data, history=["iteration"]),
    "a history row without its time": lambda data: _with_facts(data, history=[{"iteration": 1.0}]),
    "a score in words": lambda data: _with_facts(data, history=[_ROW | {"held_out_ssim": "0.9"}]),
    "a score that is no number": lambda data: _with_facts(data, history=[_ROW | {"held_out_ssim": float("nan")}]),
    "a rollback without a reason": lambda data: _with_facts(data, rollbacks=[_ROW]),
    "a rollback in a list": lambda data: _with_facts(data, rollbacks=[[1, 2, 3]]),
    "rollbacks of the wrong kind": lambda data: _with_facts(data, rollbacks=3),
    "a learning rate that explodes": lambda data: _with_facts(data, learning_rate_factor=1e9),
    "a learning rate of none": lambda data: _with_facts(data, learning_rate_factor=0.0),
    "a learning rate in words": lambda data: _with_facts(data, learning_rate_factor="1"),
    "a curve from nowhere": lambda data: _with_facts(data, curve_start=-1),
    "a curve of the wrong kind": lambda data: _with_facts(data, curve_start=0.5),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_refused_with_a_sentence(path, name) -> None:
    path.write_bytes(ATTACKS[name](path.read_bytes()))
    with pytest.raises(CheckpointError, match="cannot be used") as caught:
        load(path)
    assert "delete the folder and train again" in str(caught.value)


def test_the_untouched_file_loads(path) -> None:
    assert load(path).facts.iteration == 7
