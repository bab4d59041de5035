"""A small project, its footage, and renders of it with review and patches."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import render_world

from countenance.consent.ledger import Ledger
from countenance.media.read import read_frames
from countenance.project import Project
from countenance.provenance.verify import verify_file
from countenance.render import Extras, SwapReport

COUNT = 30
LOST = (4, 5)
"""Frames, and those in which the landmarks are lost; a segment has eight."""


def script(*lost: int) -> list[list[Any]]:
    """What the networks see."""
    told = render_world.script_of(COUNT)
    return [[replace(actor, presence=float(at not in lost)) for actor in row] for at, row in enumerate(told)]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the signing identity."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_world.write_footage(tmp_path_factory.mktemp("footage") / "scene.mov", COUNT)


@pytest.fixture(scope="session")
def allowed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lender allows to leave out the label."""
    return Path(render_world.make_project(tmp_path_factory.mktemp("allowed"), label_required=False).root)


@pytest.fixture(scope="session")
def strict_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lender requires the label."""
    return Path(render_world.make_project(tmp_path_factory.mktemp("strict")).root)


@pytest.fixture
def project(allowed_project: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy, to be spoilt."""
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))
    monkeypatch.setattr("countenance.render.job.secrets", render_world.SimpleNamespace(token_bytes=bytes))
    shutil.copytree(allowed_project, tmp_path / "film")
    return Project.open(tmp_path / "film")


def rendered(
    project: Project,
    footage: Path,
    name: str = "out.mp4",
    *,
    review: bool = False,
    patches: Path | None = None,
    form: str = "png",
    **more: Any,
) -> SwapReport:
    """Render into the project's renders/; segments of a second."""
    report: SwapReport = render_world.render(
        project,
        footage,
        project.renders_dir / name,
        count=COUNT,
        extras=Extras(review, patches, form),
        **{"script": script(*LOST), "segment_seconds": 0.3, **more},
    )
    return report


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def renders_logged(project: Project) -> list[dict[str, Any]]:
    return [dict(row.facts) for row in Ledger(project.ledger_path).entries() if row.kind == "render"]


def holds(path: Path) -> None:
    """The file is signed, by us, and says whose consent it was made under."""
    assert verify_file(path, search_watermark=False).verdict == "holds", path


@dataclass(frozen=True)
class Patches:
    """A folder of patches, read back."""

    folder: Path
    listed: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Patches:
        return cls(folder, json.loads((folder / "patches.json").read_text("utf-8")))

    def rgba(self, layer: dict[str, Any]) -> np.ndarray:
        """A layer in the frame's size, float32: straight RGB in 8-bit codes and alpha in [0, 1]."""
        size = (self.listed["height"], self.listed["width"])
        path = self.folder / layer["file"]
        if path.suffix == ".png":
            bgra = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32)
            return np.concatenate([bgra[..., 2::-1], bgra[..., 3:] / 255.0], axis=2)
        import OpenEXR

        with OpenEXR.File(str(path)) as file:
            (left, top), _ = file.header()["dataWindow"]
            part = file.channels()["RGBA"].pixels.astype(np.float32)
        whole = np.zeros((*size, 4), np.float32)
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        alpha = whole[..., 3:]
        whole[..., :3] = np.where(alpha > 0, whole[..., :3] / np.maximum(alpha, 1e-6) * 255.0, 0.0)
        assert layer["frame_from_patch"] == [[1, 0, left], [0, 1, top]]
        return whole

    def over(self, footage: Path) -> list[np.ndarray]:
        """All frames of the footage with the patches laid over it, float32."""
        pictures = [frame.rgb.astype(np.float32) for frame in read_frames(footage)]
        for row in self.listed["frames"]:
            below = pictures[row["index"]]
            for layer in row["layers"]:
                rgba = self.rgba(layer)
                below += rgba[..., 3:] * (rgba[..., :3] - below)
        return pictures
