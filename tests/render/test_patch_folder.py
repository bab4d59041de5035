"""The folder of patches of a whole render: what is in it, its marks, and that it survives an interruption."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from render_case import COUNT, Patches, holds, names, rendered, renders_logged

from countenance.atomic import kept_folder
from countenance.conversion.segments import SegmentWriter
from countenance.errors import OutputError
from countenance.media.probe import probe
from countenance.media.read import read_frames
from countenance.project import Project
from countenance.provenance.register import Register
from countenance.provenance.verify import verify_file
from countenance.render.patches import PatchFolder


@pytest.mark.parametrize("form", ["png", "exr"])
def test_each_patch_is_signed_and_all_of_them_give_the_render(
    form: str, project: Project, footage: Path, tmp_path: Path
) -> None:
    if form == "exr":
        pytest.importorskip("OpenEXR")
    folder = tmp_path / "patches"
    folder.mkdir()  # an empty one is as good as none
    report = rendered(project, footage, patches=folder, form=form, leave_out_label=True)
    assert report.patches is not None
    assert report.patches.folder == folder
    found = Patches.of(folder)
    layers = [layer for row in found.listed["frames"] for layer in row["layers"]]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    beside = {layer["credentials"] for layer in layers if "credentials" in layer}
    assert files == {"README.txt", "patches.json"} | {layer["file"] for layer in layers} | beside
    assert len(beside) == (len(layers) if form == "exr" else 0)
    assert report.patches.files == len(layers) > COUNT // 2
    assert {layer["kind"] for layer in layers} == {"face", "veil"}
    for layer in layers[::9]:
        path = folder / layer["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == layer["sha256"]
        holds(path)
    rows = renders_logged(project)
    assert [row.get("patches") for row in rows] == [len(layers), None]
    listed = hashlib.sha256((folder / "patches.json").read_bytes()).hexdigest()
    assert rows[0]["patches_sha256"] == listed == report.patches.sha256
    assert {one.watermark for one in Register(project.root).entries()} == {row["watermark"] for row in rows}

    veiled = [row for row in found.listed["frames"] if row["veiled"]]
    assert veiled
    assert all(len(face["ellipse"]) == 4 and face["reason"] for row in veiled for face in row["veiled"])
    assert [row["pts"] for row in found.listed["frames"]] == sorted(row["pts"] for row in found.listed["frames"])
    rendering = list(read_frames(report.output))
    for row, shown, frame in zip(range(COUNT), found.over(footage), rendering, strict=True):
        # The render has its watermark and was encoded; the patches have theirs.
        assert np.abs(shown - frame.rgb).mean() < 2.0, row
    text = (folder / "README.txt").read_text("utf-8")
    assert "STRAIGHT" in text if form == "png" else "PREMULTIPLIED" in text
    assert all(program in text for program in ("NUKE", "FUSION", "AFTER EFFECTS", "BLENDER"))
    assert folder.stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert names(project.renders_dir) == {"out.mp4"}


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_single_patch_tells_its_watermark(project: Project, footage: Path, tmp_path: Path) -> None:
    report = rendered(project, footage, patches=tmp_path / "patches")
    assert report.patches is not None
    assert report.patches.watermark != report.watermark
    found = [verify_file(path) for path in sorted((tmp_path / "patches").glob("face_*/*.png"))[::4]]
    assert {one.claim.watermark_id.hex() for one in found if one.claim and one.claim.watermark_id} == {
        report.patches.watermark
    }
    states = {one.layers["watermark"].state for one in found}
    assert "matches" in states
    assert not states & {"differs", "unreadable"}  # these faces are small and of plain paint, which hides little


def _interrupted(project: Project, footage: Path, folder: Path, at: int) -> None:
    real, count = SegmentWriter.write, [0]

    def write(self: SegmentWriter, frame: object) -> None:
        count[0] += 1
        if count[0] == at:
            raise KeyboardInterrupt
        real(self, frame)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentWriter, "write", write)
        with pytest.raises(KeyboardInterrupt):
            rendered(project, footage, patches=folder)
    assert not folder.exists()


def test_an_interrupted_render_keeps_the_patches_of_its_segments(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    whole, folder, told = tmp_path / "whole", tmp_path / "patches", list[str]()
    rendered(project, footage, "whole.mp4", patches=whole)
    _interrupted(project, footage, folder, 22)
    [private] = tmp_path.glob(".countenance-patches-*")
    assert private.stat().st_mode & 0o077 == 0
    kept = {path.name: path.stat().st_mtime_ns for path in private.rglob("*.png")}
    report = rendered(project, footage, patches=folder, note=told.append)
    assert report.convert.resumed_at_frame == 16
    assert "after 16 finished frames" in told[0]
    assert not private.exists()
    one, other = Patches.of(whole), Patches.of(folder)
    for mine, theirs in zip(other.listed["frames"], one.listed["frames"], strict=True):
        assert len(mine["layers"]) == len(theirs["layers"])
        for layer, known in zip(mine["layers"], theirs["layers"], strict=True):
            assert np.array_equal(other.rgba(layer), one.rgba(known)), layer["file"]
    again = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    early = [name for name in kept if int(name.split(".")[1]) < 16]
    assert early
    assert all(again[name] == kept[name] for name in early)  # not made again


def test_without_its_patches_a_render_begins_anew(project: Project, footage: Path, tmp_path: Path) -> None:
    folder, told = tmp_path / "patches", list[str]()
    _interrupted(project, footage, folder, 22)
    [private] = tmp_path.glob(".countenance-patches-*")
    [segments] = project.renders_dir.glob(".countenance-render-*")
    sealed = json.loads((segments / "state.json").read_text("utf-8").partition("\n")[2])["memory"]
    memory = json.loads(project.key().unseal(sealed.encode(), "unfinished render"))["patches"]
    for harm in ("none", "changed", "index", "gone"):
        copy = tmp_path / harm
        shutil.copytree(private, copy)
        victim = copy / "index-000000.jsonl" if harm == "index" else sorted(copy.rglob("*.png"))[0]
        if harm in ("index", "changed"):
            victim.write_bytes(victim.read_bytes() + b"\n")
        elif harm == "gone":
            victim.unlink()
        there = PatchFolder(copy / "patches", "png", probe(footage), "0" * 64, None)  # type: ignore[arg-type]
        assert there.take_up(memory) is (harm == "none"), harm
    sorted(private.rglob("*.png"))[0].unlink()
    report = rendered(project, footage, patches=folder, note=told.append)
    assert report.convert.resumed_at_frame == 0
    assert "has lost its patches, so it begins anew" in told[0]
    assert report.patches is not None
    assert report.patches.files == len(list(folder.rglob("*.png")))


def test_a_folder_that_another_run_works_in_costs_nothing_that_is_finished(
    project: Project, footage: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "patches"
    _interrupted(project, footage, folder, 22)
    [private] = tmp_path.glob(".countenance-patches-*")
    with kept_folder(tmp_path, ".countenance-patches-", private.name.removeprefix(".countenance-patches-")) as held:
        with pytest.raises(OutputError, match="Another run is working"):
            rendered(project, footage, patches=folder)
        held.keep = True
    assert rendered(project, footage, patches=folder).convert.resumed_at_frame == 16
