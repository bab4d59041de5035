"""A protected witness: a word planted wherever footage can hold one must be in nothing that a render gives out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import planted
import pytest
import render_world
from render_case import names, rendered, renders_logged

from countenance.project import Project
from countenance.render.names import default_output


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


def test_no_name_path_or_user_leads_back(
    double: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted and finished: not in a name, not in a byte of what lies in renders/ or in the patches' folder."""
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, planted.WORD)
    folder = tmp_path / f"{planted.WORD} 2019-05-06"
    folder.mkdir()
    source = folder / f"{planted.WORD} at home 13:57:24.mov"
    shutil.copy(footage, source)
    digest = hashlib.sha256(source.read_bytes())
    output, patches = default_output(double, source, "vera", "ivan"), tmp_path / "patches"
    made = {"review": True, "patches": patches}

    def interrupt(done: int, *_: object) -> None:
        if done > 20:
            raise KeyboardInterrupt

    def search() -> list[Path]:
        paths = [*double.renders_dir.rglob("*"), *tmp_path.glob(".countenance-patches-*/**/*"), *patches.rglob("*")]
        telling = [*planted.TELLING, source.stem, str(tmp_path), digest.hexdigest()]
        for path in paths:
            read = path.read_bytes() if path.is_file() else b""
            assert not [word for word in telling if word in path.name], path
            coded = [code(word) for word in telling for code in (str.encode, lambda word: word.encode("utf-16-le"))]
            assert not [word for word in [*coded, digest.digest()] if word in read], path
        return paths

    with pytest.raises(KeyboardInterrupt):
        rendered(double, source, output.name, progress=interrupt, **made)
    assert {".json", ".nut"} <= {path.suffix for path in search()}
    said: list[str] = []
    again = default_output(Project.open(double.root), source, "vera", "ivan")
    report = rendered(double, source, again.name, note=said.append, **made)
    assert [sentence for sentence in said if "Goes on with" in sentence]
    assert not [sentence for sentence in said if "contains" in sentence]
    assert {report.output, report.review, patches / "patches.json"} <= set(search())


def test_patches_of_a_hidden_witness_count_time_from_their_first_frame(
    double: Project, project: Project, footage: Path, tmp_path: Path
) -> None:
    """Recorders that run on write the time of day into it."""
    source, hour = tmp_path / "late.mkv", 3600
    with av.open(str(footage)) as clean, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(clean.streams.video[0])
        for packet in clean.demux(video=0):
            if packet.dts is not None:
                ticks = int(hour / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, stream
                out.mux(packet)
    rows = {}
    for name, one in (("hidden", double), ("film", project)):
        patches = tmp_path / f"{name} patches"
        rendered(one, source, "out.mkv", patches=patches)
        told = json.loads((patches / "patches.json").read_text("utf-8"))
        rows[name] = [(row["index"], row["pts"] * float(Fraction(told["time_base"]))) for row in told["frames"]]
    assert rows["hidden"][0] == (0, 0.0)
    assert rows["film"][0][1] >= hour
    for (index, seconds), (same_index, later) in zip(rows["hidden"], rows["film"], strict=True):
        assert index == same_index
        assert seconds == pytest.approx(later - rows["film"][0][1])


def test_names_do_not_collide_and_need_the_key(double: Project, project: Project, tmp_path: Path) -> None:
    source = tmp_path / f"{planted.WORD}.MKV"
    source.write_bytes(b"one")
    name = default_output(double, source, "vera", "ivan")
    assert (name.parent, name.suffix) == (double.renders_dir, ".mkv")
    assert planted.WORD.casefold() not in name.name.casefold()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / source.name
    other.write_bytes(b"other footage")
    elsewhere = Project.create(tmp_path / "elsewhere", purpose="double")
    others = {
        default_output(double, other, "vera", "ivan"),
        default_output(double, source, "nora", "ivan"),
        default_output(elsewhere, source, "vera", "ivan"),
        name,
    }
    assert len({path.name for path in others}) == 4
    assert default_output(project, source, "vera", "ivan") == project.renders_dir / f"{planted.WORD}.mkv"
    assert default_output(project.protect("kay"), source, "vera", "kay").stem.startswith("render-")


def test_a_name_of_ones_own_that_tells_is_said_once(double: Project, project: Project, footage: Path) -> None:
    said: list[str] = []
    rendered(double, footage, "Scene 1.mp4", review=True, note=said.append)
    (sentence,) = said
    assert sentence.startswith("Scene 1.mp4: the name contains that of the footage")
    assert (double.renders_dir / "Scene 1.mp4").exists()  # the name is theirs
    rendered(project, footage, "scene.mp4", review=True, note=said.append)
    assert len(said) == 1  # nobody is hidden in a film


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
