from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faceset_world import Actor, World, contents, film, open_set, photo, run, talk

from countenance.errors import FaceSetError, MediaError, MinorError, NoFaceError, SexualContentError
from countenance.faceset.extract import extract
from countenance.faceset.records import Reason
from countenance.faceset.use import reembed, require_enough
from countenance.project import Project


def test_every_face_of_a_talking_head_is_kept_with_all_its_arrays(project: Project, tmp_path: Path) -> None:
    world = World(talk(60))
    report = run(project, world, film(tmp_path / "çlip one.mkv", world.script))
    assert (report.kept, report.rejected, report.frames_read) == (60, {}, 60)
    assert [path.name for path in report.path.parent.iterdir()] == ["faces.sqlite"]
    with open_set(report.path) as faceset:
        arrays = faceset.load()
        (source,) = faceset.sources()
        records = faceset.records()
        assert np.array_equal(reembed(faceset, world.perception().embedder), arrays.embeddings)  # type: ignore[arg-type]
    assert (source.name, source.state, source.next_frame) == ("çlip one.mkv", "done", 60)
    assert arrays.frame_index.tolist() == list(range(60)) == [record.frame_index for record in records]
    assert [float(record.pts * record.time_base) for record in records] == pytest.approx([n / 25 for n in range(60)])
    assert arrays.rgb.shape == (60, 256, 256, 3)
    # The crop's landmarks are the frame's through the stored matrix.
    truth = world.script[7][0].points()
    matrix = arrays.aligned_from_frame[7]
    assert np.allclose(arrays.landmarks_xy[7], truth[:, :2] @ matrix[:, :2].T + matrix[:, 2], atol=1e-3)
    assert np.allclose(arrays.depth[7], truth[:, 2] * np.sqrt(np.linalg.det(matrix[:, :2])), atol=1e-3)
    assert arrays.person_mask[:, 32, 32].min() > 250
    assert sum(record.apparent_age is not None for record in records) == 32
    assert all(record.sharpness > 0.7 and record.face_pixels > 64 for record in records)


def test_the_person_mask_covers_the_person_in_the_crop(project: Project, tmp_path: Path) -> None:
    world = World([[Actor(height=80.0, margin=0.0, x=150.0)]])
    report = run(project, world, photo(tmp_path / "a.png", world.script[0]))
    with open_set(report.path) as faceset:
        arrays = faceset.load()
    painted = arrays.rgb[0].max(axis=2).astype(int) - arrays.rgb[0].min(axis=2) > 20
    small = painted.reshape(64, 4, 64, 4).mean(axis=(1, 3)) > 0.5
    agree = (arrays.person_mask[0] > 127) == small
    assert 0.2 < small.mean() < 0.9
    assert agree.mean() > 0.97


def test_each_flaw_is_rejected_with_its_reason_and_a_thumbnail(project: Project, tmp_path: Path) -> None:
    flaws = {
        Reason.NEAR_DUPLICATE: Actor(mouth=0.3),
        Reason.TOO_SMALL: Actor(height=50.0),
        Reason.CUT: Actor(x=-5.0),
        Reason.EXTREME_POSE: Actor(yaw=80.0),
        Reason.BLURRED: Actor(sharp=False),
        Reason.LOW_PRESENCE: Actor(presence=0.2),
        Reason.WRONG_PERSON: Actor(who=1),
    }
    # One flaw at the start of each chunk, where faces are searched afresh.
    script: list[list[Actor]] = [[Actor(mouth=3.0 * n)] for n in range(3)] + [[]] * 22
    for flaw in flaws.values():
        script += [[flaw]] + [[]] * 24
    world = World(script)
    report = run(project, world, film(tmp_path / "clip.mkv", script))
    assert dict(report.rejected) == {reason.value: 1 for reason in flaws}
    assert report.kept == 3
    assert any("turned away" in note for note in report.notes)
    with open_set(report.path) as faceset:
        rejected = faceset.records("rejected")
        thumbnails = faceset.thumbnails([record.id for record in rejected])
        stored = faceset._database.execute(
            "SELECT count(crop), count(embedding), count(landmarks) FROM faces"
        ).fetchone()
    assert [thumbnail.shape for thumbnail in thumbnails] == [(64, 64, 3)] * 7
    assert stored == (3, 3, 3)  # nothing of the other person but a thumbnail


def test_blinks_and_mouths_are_no_duplicates_but_stillness_is(project: Project, tmp_path: Path) -> None:
    world = World([[Actor(mouth=4.0 * (n // 20))] for n in range(60)])
    report = run(project, world, film(tmp_path / "clip.mkv", world.script))
    assert (report.kept, dict(report.rejected)) == (3, {"near-duplicate": 57})


def test_a_finished_source_is_skipped_by_content(project: Project, tmp_path: Path) -> None:
    world = World(talk(30))
    clip = film(tmp_path / "clip.mkv", world.script)
    report = run(project, world, clip)
    before = contents(report.path)
    again = run(project, world, clip.rename(tmp_path / "other name.mkv"))
    assert (again.frames_read, again.kept, again.sources[0].skipped) == (0, 30, True)
    assert contents(report.path) == before


def test_the_same_content_twice_in_one_call_is_read_once(project: Project, tmp_path: Path) -> None:
    world = World(talk(10))
    clip = film(tmp_path / "clip.mkv", world.script)
    (tmp_path / "copy.mkv").write_bytes(clip.read_bytes())
    report = run(project, world, tmp_path)
    assert (report.kept, report.frames_read) == (10, 10)
    assert any("same content" in note for note in report.notes)


TWO = [
    [Actor(x=90.0, mouth=2.0 * n, height=90), Actor(who=2, x=230.0, mouth=2.0 * min(n, 7), height=90)]
    for n in range(12)
]
LIKE = [[Actor(who=2)], [Actor(who=1)], []]  # frames 12, 13 and 14 of the world: photos


def test_the_largest_identity_is_the_person_and_the_report_says_that_there_is_another(
    project: Project, tmp_path: Path
) -> None:
    report = run(project, World(TWO), film(tmp_path / "clip.mkv", TWO))
    assert report.kept == 12
    assert any("More than one person" in note and "8 of another" in note for note in report.notes)
    with open_set(report.path) as faceset:
        assert faceset.load().rgb[:, 60:200, 60:200, 0].mean() > 100  # the red one


def test_a_photo_says_who_is_meant(project: Project, tmp_path: Path) -> None:
    world, clip = World(TWO + LIKE), film(tmp_path / "clip.mkv", TWO)
    report = run(project, world, clip, like=photo(tmp_path / "blue.png", LIKE[0], 12))
    assert report.kept == 8
    assert dict(report.rejected) == {"wrong person": 12, "near-duplicate": 4}
    with open_set(report.path) as faceset:
        assert faceset.load().rgb[:, 60:200, 60:200, 2].mean() > 100  # the blue one
    with pytest.raises(NoFaceError, match="somebody else"):
        run(project, world, clip, like=photo(tmp_path / "green.png", LIKE[1], 13))
    assert contents(report.path)  # and that harmed nothing


def test_a_photo_of_somebody_who_is_not_there_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    world, clip = World(TWO + LIKE), film(tmp_path / "clip.mkv", TWO)
    with pytest.raises(NoFaceError, match=r"None of the 20 faces in clip\.mkv is vera's"):
        run(project, world, clip, like=photo(tmp_path / "green.png", LIKE[1], 13))
    with pytest.raises(NoFaceError, match="--like photo"):
        run(project, world, clip, like=photo(tmp_path / "empty.png", LIKE[2], 14))
    assert project.people() == []


def test_a_second_source_is_held_against_the_person_of_the_first(project: Project, tmp_path: Path) -> None:
    script = [*talk(10), *talk(20, who=1)]
    world = World(script)
    first, second = film(tmp_path / "a.mkv", script[:10]), tmp_path / "b"
    second.mkdir()
    for index in range(8, 14):
        photo(second / f"{index}.png", script[index], index)
    run(project, world, first)
    report = run(project, world, second)
    assert report.kept == 12
    assert report.rejected["wrong person"] == 4
    assert any("No usable face of vera was found in 10.png, 11.png, 12.png, 13.png" in note for note in report.notes)
    with open_set(report.path) as faceset:
        assert set(faceset.load().source_index.tolist()) == {0, 5, 6}  # 8.png and 9.png, by name after 13.png


def test_no_face_and_useless_faces_say_what_to_film(project: Project, tmp_path: Path) -> None:
    empty = film(tmp_path / "empty.mkv", [[]] * 5)
    with pytest.raises(NoFaceError, match=r"No face was found in empty.mkv\. Film"):
        run(project, World([[]] * 5), empty)
    small = [[Actor(height=40.0 + n)] for n in range(5)]
    with pytest.raises(NoFaceError, match=r"5 too small"):
        run(project, World(small), film(tmp_path / "far.mkv", small))
    assert project.people() == []


def test_three_faces_in_all_are_not_enough(project: Project, tmp_path: Path) -> None:
    world = World(talk(3))
    report = run(project, world, film(tmp_path / "clip.mkv", world.script))
    with (
        open_set(report.path) as faceset,
        pytest.raises(NoFaceError, match=r"There are 3 usable faces of vera and at least 20 are needed.*Film about"),
    ):
        require_enough(faceset)


def test_sexual_content_refuses_the_source_and_keeps_nothing_of_it(project: Project, tmp_path: Path) -> None:
    script = talk(40)
    clean, flagged = film(tmp_path / "a.mkv", script[:30]), film(tmp_path / "b.mkv", script)
    world = World(script, sexual=frozenset([38]))
    with pytest.raises(SexualContentError, match=r"b\.mkv"):
        run(project, world, flagged)
    assert project.people() == []
    with pytest.raises(SexualContentError):
        run(project, world, clean, flagged)
    with open_set(project.faceset_path("vera")) as faceset:
        faceset.verify()
        assert [source.name for source in faceset.sources()] == ["a.mkv"]
    assert run(project, world, clean).kept == 30


def test_frames_are_screened_every_half_second_and_the_last_one(project: Project, tmp_path: Path) -> None:
    world = World(talk(40))
    report = run(project, world, film(tmp_path / "clip.mkv", world.script))
    with open_set(report.path) as faceset:
        # 25 frames a second; each chunk of 25 begins with a look, so that an interrupted one makes the same looks.
        assert [index for index, _ in faceset.screens(1)] == [0, 13, 25, 38, 39]


def test_a_face_that_looks_under_age_is_refused_and_nothing_is_left(project: Project, tmp_path: Path) -> None:
    script = [*talk(20), *talk(20, who=1)]
    world = World(script, ages=(15.0, 40.0, 40.0))
    clip = film(tmp_path / "clip.mkv", script[:20])
    with pytest.raises(MinorError, match=r"clip\.mkv"):
        run(project, world, clip)
    assert project.people() == []


def test_a_young_clip_does_not_hide_in_an_adult_face_set(project: Project, tmp_path: Path) -> None:
    script = talk(60)
    world = World(script)
    report = run(project, world, film(tmp_path / "now.mkv", script[:50]))
    world.ages = (12.0, 12.0, 12.0)
    with pytest.raises(MinorError, match=r"then\.mkv"):
        run(project, world, film(tmp_path / "then.mkv", script[50:]))
    with open_set(report.path) as faceset:
        assert faceset.counts().kept == 50
        assert [source.name for source in faceset.sources()] == ["now.mkv"]


def test_bystanders_ages_are_nobodys_business(project: Project, tmp_path: Path) -> None:
    world = World(TWO, ages=(40.0, 40.0, 9.0))
    assert run(project, world, film(tmp_path / "clip.mkv", TWO)).kept == 12
    assert world.calls["age"] == 12


@pytest.mark.parametrize("damage", ["text", "zero", "missing", "cut"])
def test_a_damaged_video_is_refused_and_leaves_nothing(project: Project, tmp_path: Path, damage: str) -> None:
    world = World(talk(60))
    clip = film(tmp_path / "clip.mkv", world.script)
    if damage == "text":
        clip.write_bytes(b"this is text, not a film\n" * 50)
    elif damage == "zero":
        clip.write_bytes(b"")
    elif damage == "missing":
        clip.unlink()
    else:
        clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 7 // 10])
    with pytest.raises(MediaError, match=r"clip\.mkv"):
        run(project, world, clip)
    assert world.calls.get("mesh", 0) == 0 or damage == "cut"
    assert project.people() == []


def test_the_network_that_made_the_vectors_must_be_the_same(project: Project, tmp_path: Path) -> None:
    world = World(talk(5))
    clip = film(tmp_path / "clip.mkv", world.script)
    report = run(project, world, clip)
    with open_set(report.path) as faceset, faceset.transaction():
        faceset.set_identity(None, "another network")
    with pytest.raises(FaceSetError, match="another identity network"):
        run(project, world, clip)


def test_progress_is_in_frames_and_ends_at_its_total(project: Project, tmp_path: Path) -> None:
    world = World(talk(30))
    calls: list[tuple[float, float | None, str]] = []
    extract(
        project,
        "vera",
        [film(tmp_path / "clip.mkv", world.script)],
        perception=world.perception(),  # type: ignore[arg-type]
        progress=lambda done, total, note="": calls.append((done, total, note)),
    )
    assert [done for done, _, _ in calls][:30] == list(range(1, 31))
    assert calls[-1][0] == calls[-1][1] == 30
    assert calls[0][2] == "clip.mkv"


def test_two_extractions_at_once_do_not_mix(project: Project, tmp_path: Path) -> None:
    world = World(talk(60))
    clip = film(tmp_path / "clip.mkv", world.script)
    path = project.faceset_path("vera")

    def meddle(done: float, total: float | None, note: str = "") -> None:
        if done == 30:  # another process has gone on meanwhile
            with open_set(path) as other, other.transaction():
                other.advance_source(other.sources()[0], next_frame=50, without_face=0, finished=False)

    with pytest.raises(FaceSetError, match="Another extraction"):
        extract(project, "vera", [clip], perception=world.perception(), progress=meddle)  # type: ignore[arg-type]


# -- the real networks ------------------------------------------------------------------------------------------------


def test_real_faces_of_two_people_are_told_apart_by_a_photo(project: Project) -> None:
    resources = Path(__file__).resolve().parents[1] / "resources"
    clip, like = resources / "two_faces.mp4", resources / "photo_turned.jpg"
    report = extract(project, "anna", [clip, like], like=like)
    assert report.kept >= 5
    assert report.rejected["wrong person"] >= 3
    with open_set(report.path) as faceset:
        arrays = faceset.load()
        assert arrays.embeddings @ arrays.embeddings.mean(axis=0) == pytest.approx(0.9, abs=0.15)
        # Everybody who was kept stands in the left half of the picture.
        in_clip = arrays.source_index == 0
        frame_x = [
            np.linalg.inv(np.vstack([m, [0, 0, 1]]))[:2] @ [127.5, 127.5, 1.0] for m in arrays.aligned_from_frame
        ]
        assert all(x < 320 for (x, _), inside in zip(frame_x, in_clip, strict=True) if inside)
        assert arrays.person_mask[:, 20:50, 20:44].mean() > 200
