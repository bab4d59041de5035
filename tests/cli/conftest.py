"""A project that went all the way once, with real networks and a tiny budget; tests work on copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import PASSPHRASE, PERFORMERS, Finished, Runs, Told, captured, cut

from countenance.cli import run


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for the signing identity and logs; the weights are the user's own, fetched if they are not there."""
    from countenance.perception.weights import fetch, weights_dir

    fetch()
    folder = tmp_path_factory.mktemp("home")
    (folder / "cache").mkdir()
    (folder / "cache" / "weights").symlink_to(weights_dir().resolve(), target_is_directory=True)
    return folder


@pytest.fixture
def countenance(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runs:
    """Runs a command line in this process."""
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))

    def call(*words: object) -> Told:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short clips of the performers, in a folder whose name has spaces and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("clips") / "rushes où 人 are"
    folder.mkdir()
    cut(PERFORMERS / "train_B.mp4", folder / "véra 1.mp4", 70)
    cut(PERFORMERS / "train_A.mp4", folder / "ivan.mp4", 70)
    cut(PERFORMERS / "test_A.mp4", folder / "scène.mp4", 10)
    cut(PERFORMERS / "train_B.mp4", folder / "three.mp4", 3, first=200)
    cut(PERFORMERS / "occl_C.mp4", folder / "somebody else.mp4", 10)
    return folder


@pytest.fixture(scope="session")
def finished(home: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The whole way as a user would go it, in folders with odd names.

    new ▸ extract ×2 ▸ enrol ▸ keygen ×2 ▸ request ▸ sign ▸ witness ▸ train ▸ swap.
    """
    root = tmp_path_factory.mktemp("film") / "mon film 映画"
    render = root / "renders" / "scène, swapped.mp4"
    secret = tmp_path_factory.mktemp("secret") / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    key, request = root.parent / "vera.key", root / "people" / "vera" / "consent-request.json"
    witness, half = root.parent / "witness.key", request.with_name("consent-unwitnessed.json")
    by = ("--witness", f"{witness}.pub", "--witness-role", "producer")
    where, pair = ("--project", root), ("--lender", "vera", "--performer", "ivan")
    steps: dict[str, tuple[object, ...]] = {
        "new": ("new", root, "--title", "Mon film", "--purpose", "research", "--json"),
        "extract": ("extract", clips / "véra 1.mp4", "--person", "vera", *where, "--json"),
        "extract-ivan": ("extract", clips / "ivan.mp4", "--person", "ivan", "--protected-witness", *where),
        "enrol": ("consent", "enrol", "vera", *where, "--json"),
        "keygen": ("consent", "keygen", key, "--passphrase-file", secret, "--json"),
        "keygen-witness": ("consent", "keygen", witness, "--passphrase-file", secret),
        "request": ("consent", "request", "vera", "--performer", "ivan", "--synthetic", *by, *where, "--json"),
        "sign": ("consent", "sign", request, "--key", key, "--passphrase-file", secret, "--yes", "--json"),
        "witness": ("consent", "witness", half, "--key", witness, "--passphrase-file", secret, "--yes", "--json"),
        "train": ("train", *pair, "--iterations", 2, *where, "--json"),
        "swap": ("swap", clips / "scène.mp4", *pair, "-o", render, *where, "--json"),
    }
    told = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTENANCE_HOME", str(home))
        for name, words in steps.items():
            told[name] = captured([str(word) for word in words])
            assert told[name].code == 0, (name, told[name])
    yield Finished(root, render, told)
    shutil.rmtree(root.parent, ignore_errors=True)


@pytest.fixture
def film(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished project, to be spoilt."""
    return Path(shutil.copytree(finished.root, tmp_path / "film"))
