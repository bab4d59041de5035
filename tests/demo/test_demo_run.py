"""The demo from end to end on cut-down clips, with real networks; then again, when everything is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import islice
from pathlib import Path

import pytest

from countenance import api
from countenance.demo.run import DemoResult, run_demo
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.media.write import VideoWriter
from countenance.progress import Progress

PERFORMERS = Path(str(files("countenance") / "data" / "performers"))
FRAMES = {"train_A": 60, "train_B": 60, "test_A": 8, "test_gt_matched": 8, "test_gt_matched_mask": 8}


@contextmanager
def _no_bar(_name: str) -> Iterator[Progress]:
    yield lambda _done, _total, _note="": None


class _Runs:
    """Runs the demo in one folder and remembers what it said."""

    def __init__(self, folder: Path) -> None:
        self.out, self.clips = folder / "dé mo", folder / "clips"
        self.clips.mkdir()
        for name, frames in FRAMES.items():
            source = PERFORMERS / f"{name}.mp4"
            with VideoWriter(self.clips / f"{name}.mp4", probe(source), crf=8, preset="veryfast") as writer:
                for frame in islice(read_frames(source), frames):
                    writer.write(frame)

    def __call__(self, minutes: float = 0.01) -> DemoResult:
        self.said: list[str] = []
        return run_demo(self.out, minutes=minutes, bar=_no_bar, say=self.said.append, clips=self.clips)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Runs]:
    from countenance.perception.weights import fetch, weights_dir

    fetch()
    home = tmp_path_factory.mktemp("home")
    (home / "cache").mkdir()
    (home / "cache" / "weights").symlink_to(weights_dir().resolve(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTENANCE_HOME", str(home))
        yield _Runs(tmp_path_factory.mktemp("demo"))


def test_the_demo_leaves_its_results_and_uses_them_again(runs: _Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    first = runs()
    assert {path.name for path in runs.out.iterdir()} == {
        *("project", "timings.json"),
        *(f"{who}.key{half}" for who in ("vera", "ivan", "witness") for half in ("", ".pub")),
        *("swapped.mp4", "contact_sheet.png", "report.html", "result.json"),
    }
    facts = json.loads((runs.out / "result.json").read_text(encoding="utf-8"))
    assert facts == json.loads(json.dumps(first.facts))
    assert [stage["reused"] for stage in facts["stages"]] == [False] * 8
    assert facts["render"]["frames"] == 8
    assert facts["verification"]["verdict"] == "holds"
    assert facts["consent"]["synthetic"] is True
    assert facts["quality"]["footage"]["ssim"] == pytest.approx(0.726, abs=0.03)
    assert facts["quality"]["swap"]["frames"] == 8
    assert (runs.out / "contact_sheet.png").read_bytes()[:4] == b"\x89PNG"
    assert "SSIM" in first.text

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the render is made again although nothing changed")

    render = (runs.out / "swapped.mp4").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(api, "swap", never)
        second = runs()
    reused = {stage["name"]: stage["reused"] for stage in second.facts["stages"]}
    assert [name for name, again in reused.items() if not again] == ["verify", "measure"]
    assert (runs.out / "swapped.mp4").read_bytes() == render
    assert sum("[used again]" in sentence for sentence in runs.said) == 6
    made_in = {stage["name"]: stage["made_in_seconds"] for stage in second.facts["stages"]}
    assert made_in["swap"] == pytest.approx(facts["stages"][5]["seconds"])  # how long it took when it was made

    # A render that was changed since is no result to use again.
    data = bytearray((runs.out / "swapped.mp4").read_bytes())
    data[-50] ^= 1
    (runs.out / "swapped.mp4").write_bytes(data)
    third = runs()
    assert third.facts["stages"][5]["reused"] is False
    assert third.facts["verification"]["verdict"] == "holds"

    # A larger budget goes on training, and a new model makes a new render.
    more = runs(minutes=third.facts["training"]["seconds"] / 60.0 + 0.01)
    assert more.facts["training"]["resumed"] is True
    assert more.facts["training"]["iterations"] > third.facts["training"]["iterations"]
    assert more.facts["stages"][5]["reused"] is False
