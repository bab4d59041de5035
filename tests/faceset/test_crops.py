"""Face sets of larger crops: the side is in the file, all are alike, and what needs 256 averages down."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from faceset_world import Actor, World, contents, film, photo

from countenance import geometry
from countenance.errors import ConfigError, FaceSetError
from countenance.faceset import reading
from countenance.faceset.coverage import measure
from countenance.faceset.crops import averaged
from countenance.faceset.extract import ExtractReport, extract
from countenance.faceset.gather import align
from countenance.faceset.sheet import contact_sheet
from countenance.faceset.store import FaceSet
from countenance.faceset.use import reembed, require_crops
from countenance.project import Project


def run(project: Project, world: World, *sources: Path, person: str = "vera", crop: int | None) -> ExtractReport:
    return extract(project, person, sources, crop=crop, perception=world.perception())  # type: ignore[arg-type]


def test_an_averaged_face_shows_the_same_at_the_same_places() -> None:
    frame = cv2.resize(np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8), (1200, 1200))
    marks = World([[Actor(x=600.0, y=600.0, height=500.0)]]).perception().mesh(paint_index(frame), _near())
    large = align(frame, marks, 512)
    small = averaged(large, 256)
    direct = align(frame, marks)
    assert averaged(large, 512) is large
    assert np.allclose(small.aligned_from_frame, direct.aligned_from_frame, atol=1e-6)
    assert np.allclose(small.landmarks.points_xy, direct.landmarks.points_xy, atol=1e-3)
    assert np.allclose(small.landmarks.depth, direct.landmarks.depth, atol=1e-3)
    assert np.abs(small.rgb.astype(int) - direct.rgb).mean() < 1.5
    middle = large.rgb[100:102, 200:202].reshape(4, 3).mean(axis=0)
    assert np.abs(small.rgb[50, 100] - middle).max() <= 0.5 + 1e-6
    with pytest.raises(ValueError, match="at most 256"):
        averaged(small, 512)


def paint_index(frame: np.ndarray) -> np.ndarray:
    frame[:8, :16] = 0  # the world's frame number 0
    return frame


def _near():
    from countenance.types import Detection

    box = Actor(x=600.0, y=600.0, height=500.0).box()
    return Detection(box, 0.9, np.repeat(box[None, :2], 5, axis=0))


def talking(count: int) -> list[list[Actor]]:
    """A large face, whose mouth opens too far from frame to frame for a near-duplicate."""
    return [[Actor(mouth=2.4 * index, height=200.0)] for index in range(count)]


@pytest.fixture
def world() -> World:
    return World(talking(20))


def test_crops_of_512_are_stored_and_everything_else_is_as_with_256(
    project: Project, world: World, tmp_path: Path
) -> None:
    clip = film(tmp_path / "clip.mkv", world.script)
    usual = run(project, world, clip, person="usual", crop=None)
    large = run(project, world, clip, person="large", crop=512)
    assert (usual.kept, large.kept) == (20, 20)
    with FaceSet.open(usual.path) as small_set, FaceSet.open(large.path) as large_set:
        assert (small_set.crop_size, large_set.crop_size) == (256, 512)
        small, stored, brought = small_set.load(), large_set.load(), large_set.load(crop_size=256)
        records = [(record.yaw_pitch, record.sharpness) for record in map(_Facts, large_set.records())]
        expected = [(record.yaw_pitch, record.sharpness) for record in map(_Facts, small_set.records())]
        again = reembed(large_set, world.perception().embedder)  # type: ignore[arg-type]
        some = large_set.load_some([int(stored.ids[3])], crop_size=256)
    assert stored.rgb.shape == (20, 512, 512, 3)
    assert brought.rgb.shape == (20, 256, 256, 3)
    # Landmarks are in pixels of the crops that they come with.
    for arrays in (stored, brought):
        truth, matrix = world.script[7][0].points(), arrays.aligned_from_frame[7]
        assert np.allclose(arrays.landmarks_xy[7], truth[:, :2] @ matrix[:, :2].T + matrix[:, 2], atol=2e-3)
        assert np.allclose(arrays.depth[7], truth[:, 2] * np.sqrt(np.linalg.det(matrix[:, :2])), atol=2e-3)
    assert np.allclose(brought.landmarks_xy, small.landmarks_xy, atol=2e-3)
    assert np.allclose(stored.landmarks_xy, geometry.template(512).mean(), atol=256.0)
    exact = cv2.resize(stored.rgb[7], (256, 256), interpolation=cv2.INTER_AREA)
    assert np.array_equal(brought.rgb[7], exact)
    assert np.array_equal(some.rgb[0], brought.rgb[3])
    assert np.abs(brought.rgb.astype(int) - small.rgb).mean() < 2.0
    assert np.array_equal(brought.person_mask, small.person_mask)
    # Embeddings are of the averaged crops, in the file as at the gate.
    assert np.array_equal(again, stored.embeddings)
    assert np.array_equal(reembed(stored, world.perception().embedder), again)  # type: ignore[arg-type]
    assert [pose for pose, _ in records] == [pose for pose, _ in expected]
    assert np.allclose([sharp for _, sharp in records], [sharp for _, sharp in expected], rtol=0.15)


class _Facts:
    def __init__(self, record) -> None:
        self.yaw_pitch, self.sharpness = record.pose_degrees[:2], record.sharpness


def test_coverage_thumbnails_and_sheet_come_from_averaged_crops(project: Project, world: World, tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mkv", world.script)
    found = {}
    for person, crop in (("usual", 256), ("large", 512)):
        with FaceSet.open(run(project, world, clip, person=person, crop=crop).path) as faceset:
            ids = [record.id for record in faceset.records("kept")]
            found[person] = measure(faceset, "vera"), np.stack(faceset.thumbnails(ids))
            if crop == 512:
                contact_sheet(faceset, tmp_path / "sheet.png", bytes)
    (usual, small), (large, thumbnails) = found["usual"], found["large"]
    assert thumbnails.shape == (20, 64, 64, 3)
    assert np.abs(thumbnails.astype(int) - small).mean() < 2.0
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (1300, 1500, 3)
    assert np.allclose(large.luma, usual.luma, atol=1.5)
    assert np.allclose(large.balance, usual.balance, atol=0.02)


def test_sides_are_not_mixed_and_the_set_keeps_its_own(project: Project, world: World, tmp_path: Path) -> None:
    clip, more = film(tmp_path / "a.mkv", world.script), film(tmp_path / "b.mkv", world.script[:9])
    path = run(project, world, clip, crop=512).path
    before = contents(path)
    with pytest.raises(FaceSetError, match=r"holds crops of 512 pixels.* with --crop 256\.") as refused:
        run(project, world, more, crop=256)
    assert "\n" not in str(refused.value)
    assert contents(path) == before
    assert run(project, world, more, crop=None).kept == 29
    with FaceSet.open(path) as faceset:
        assert faceset.load().rgb.shape[1:] == (512, 512, 3)

    small = run(project, world, clip, person="ivan", crop=None).path
    with pytest.raises(FaceSetError, match="holds crops of 256 pixels"):
        run(project, world, more, person="ivan", crop=512)
    with FaceSet.open(small) as faceset, pytest.raises(FaceSetError, match=r"extract a\.mkv --person ivan --crop 512"):
        require_crops(faceset, 512)
    with FaceSet.open(path) as faceset:
        require_crops(faceset, 512)
        require_crops(faceset, 256)


def test_another_side_is_refused_before_anything_is_made(project: Project, world: World, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", world.script[:2])
    with pytest.raises(ConfigError, match=r"no crops of 300 pixels\. Choose 256 or 512"):
        run(project, world, clip, crop=300)
    assert not project.faceset_path("vera").parent.exists()


def test_a_face_set_from_before_sides_were_noted_holds_256(project: Project, world: World, tmp_path: Path) -> None:
    clip, more = film(tmp_path / "a.mkv", world.script[:9]), film(tmp_path / "b.mkv", world.script)
    path = run(project, world, clip, crop=None).path
    _rewrite(path, "DELETE FROM meta WHERE key = 'crop_size'")
    with FaceSet.open(path) as faceset:
        faceset.verify()
        assert faceset.crop_size == 256
        assert faceset.load().rgb.shape == (9, 256, 256, 3)
    with pytest.raises(FaceSetError, match="holds crops of 256 pixels"):
        run(project, world, more, crop=512)
    assert run(project, world, more, crop=256).kept == 29


def _rewrite(path: Path, statement: str) -> None:
    """Change a face set and its digest, as somebody would who knows how."""
    database = sqlite3.connect(path)
    database.execute(statement)
    database.execute("UPDATE meta SET value = ? WHERE key = 'digest'", (reading.set_digest(database),))
    database.commit()
    database.close()


@pytest.mark.parametrize("side", [b"512", b"0", b"x", b"99999999999"])
def test_a_forged_side_is_damage(project: Project, world: World, tmp_path: Path, side: bytes) -> None:
    path = run(project, world, film(tmp_path / "a.mkv", world.script[:3]), crop=None).path
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'crop_size'", (side,))
    database.close()
    with FaceSet.open(path) as faceset, pytest.raises(FaceSetError, match="changed by something other"):
        faceset.verify()
    _rewrite(path, "SELECT 1")
    with FaceSet.open(path) as faceset, pytest.raises(FaceSetError, match="damaged"):
        faceset.load()


def test_an_interrupted_extraction_of_512_goes_on_to_the_same_set(project: Project, tmp_path: Path) -> None:
    world = World(talking(30))
    clip = film(tmp_path / "clip.mkv", world.script)
    whole = contents(run(project, world, clip, person="whole", crop=512).path)
    world.stop_at = 27
    with pytest.raises(KeyboardInterrupt):
        run(project, world, clip, person="parts", crop=512)
    world.stop_at = None
    assert contents(run(project, world, clip, person="parts", crop=None).path) == whole


def test_large_crops_of_small_faces_are_said_to_add_nothing(project: Project, world: World, tmp_path: Path) -> None:
    near = run(project, world, film(tmp_path / "a.mkv", world.script[:3]), person="far", crop=512)
    assert any("about 200 pixels high in the footage, as much as a crop of 24" in note for note in near.notes)
    usual = run(project, world, film(tmp_path / "b.mkv", world.script[:3]), person="usual", crop=256)
    assert not any("high in the footage" in note for note in usual.notes)


def test_a_crop_of_another_side_than_the_sets_is_a_bug(tmp_path: Path) -> None:
    from test_faceset_store import a_face

    with FaceSet.open(tmp_path / "faces.sqlite", create=True, crop_size=512) as faceset, faceset.transaction():
        source = faceset.begin_source("clip.mp4", "0" * 64, "video")
        with pytest.raises(ValueError, match="expected a crop of side 512, got 256"):
            faceset.add(source, a_face(0))


def test_a_photo_with_like_fills_a_large_set(project: Project, tmp_path: Path) -> None:
    world = World([[Actor(height=200.0)]])
    picture = photo(tmp_path / "vera.png", world.script[0])
    report = extract(project, "vera", [picture], like=picture, crop=512, perception=world.perception())  # type: ignore[arg-type]
    assert report.kept == 1
