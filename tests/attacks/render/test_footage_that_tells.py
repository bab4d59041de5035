"""A protected witness: a word planted wherever footage can hold one must be in nothing that a render gives out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import av
import planted
import pytest
import render_world
from render_case import names, rendered, renders_logged

from countenance.project import Project


@pytest.fixture(scope="session")
def double_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces are lent to hide witnesses."""
    made = render_world.make_project(tmp_path_factory.mktemp("double"), label_required=False, purpose="double")
    return Path(made.root)


@pytest.fixture
def double(double_project: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))
    shutil.copytree(double_project, tmp_path / "double")
    return Project.open(tmp_path / "double")


@pytest.mark.parametrize(
    ("camera", "suffix", "form"),
    [("mov", ".mp4", "png"), ("mp4", ".mov", "exr"), ("mkv", ".webm", ""), ("webm", ".mkv", "")],
)
def test_nothing_beside_picture_and_sound_gets_out(
    camera: str, suffix: str, form: str, double: Project, footage: Path, tmp_path: Path
) -> None:
    folder = tmp_path / planted.WORD
    folder.mkdir()
    source = planted.plant(footage, folder / f"{planted.WORD}.{camera}")
    assert {planted.WORD, "43.3180", "Fruitphone"} <= set(planted.telling(source.read_bytes()))
    patches = tmp_path / "patches" if form else None
    if form == "exr":
        pytest.importorskip("OpenEXR")
    report = rendered(double, source, f"out{suffix}", review=True, patches=patches, form=form or "png")

    made = [*double.renders_dir.iterdir(), *(patches.rglob("*") if patches else ())]
    kinds = {path.suffix for path in made if path.is_file()}
    assert {suffix, ".mp4"} | ({".json"} if form else set()) | (
        {".c2pa"} if suffix in (".mkv", ".webm") else set()
    ) <= kinds
    assert names(double.renders_dir) >= {f"out{suffix}", "out.review.mp4"}
    for path in made:
        if path.is_file():
            assert planted.telling(path.read_bytes()) == [], path
    said = json.dumps(dataclasses.asdict(report), default=str) + json.dumps(renders_logged(double))
    assert planted.telling(said.encode()) == []
    assert "subtitle track" in said
    assert "footage_sha256" not in said + ((patches / "patches.json").read_text("utf-8") if patches else "")

    with av.open(str(report.output)) as container:
        streams = list(container.streams)
        assert {stream.type for stream in streams} == {"video", "audio"}
        assert container.chapters() == []
        tags = [container.metadata, *(stream.metadata for stream in streams)]
        assert all(set(map(str.lower, tag)) <= _OURS for tag in tags), tags
        assert streams[1].metadata["language"] == "ces"  # for those who listen


_OURS = {
    *("language", "encoder", "duration", "major_brand", "minor_version", "compatible_brands"),
    *("handler_name", "vendor_id", "creation_time"),
}
"""Keys that FFmpeg makes up when it reads a file or writes one."""


def test_for_other_purposes_titles_chapters_and_timecode_come_along(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    """What the test above finds missing is there without the rule."""
    source = planted.plant(footage, tmp_path / "scene.mov")
    report = rendered(project, source, "out.mov")
    found = planted.telling(report.output.read_bytes())
    assert planted.WORD in found
    assert "43.3180" in found  # in the subtitles
    with av.open(str(report.output)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == [
            f"{planted.WORD} at +43.3180+045.6949/"
        ] * 2
        told = [stream.metadata.get("timecode") for stream in container.streams]
    assert planted.TIMECODE in told
