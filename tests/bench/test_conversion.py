"""The page on speed says what was measured, and the measuring measures."""

import json
import time
from itertools import islice

import conversion
import numpy as np
import pytest
from conversion_footage import Shot, write_shot
from conversion_work import ProcessWatch

from countenance.media.probe import probe
from countenance.media.read import read_frames


def test_the_page_says_what_was_measured() -> None:
    result = json.loads(conversion.RESULT.read_text(encoding="utf-8"))
    page = conversion.PAGE.read_text(encoding="utf-8")
    assert page.split("<!-- table -->\n")[1].split("<!-- end -->")[0] == conversion.tables(result)
    assert set(result["rows"]) == set(conversion.shots(1))
    for row in result["rows"].values():
        assert 0 < row["replaced"] <= row["frames"] == row["shot"]["frames"]
    assert result["goal"] == conversion.goal_of(result["rows"][conversion.GOAL_SHOT])


def _run(cpu_ms: float) -> dict:
    return {
        "frames": 10,
        "wall_fps": 500.0 / cpu_ms,
        "two_cores_fps": 2000.0 / cpu_ms,
        "cpu_ms": cpu_ms,
        "stage_cpu_ms": dict.fromkeys(conversion.STAGES, cpu_ms / 5) | {"paint": cpu_ms / 2},
    }


def test_runs_are_summed_by_their_medians() -> None:
    told = conversion.summed([_run(50.0), _run(60.0), _run(100.0)])
    assert told["frames"] == 10
    assert told["cpu_ms"] == {"median": 60.0, "least": 50.0, "most": 100.0}
    assert told["stage_cpu_ms"]["paint"] == 30.0
    assert conversion.goal_of(told)["met_if_both_cores_were_ours"]
    assert not conversion.goal_of(told)["met_by_the_clock"]
    assert not conversion.goal_of(conversion.summed([_run(67.0)]))["met_if_both_cores_were_ours"]
    assert conversion.bound_of(told).startswith("paint (38 %")


@pytest.mark.parametrize("faces", [1, 4])
def test_the_footage_holds_whole_faces_in_a_moving_picture(faces, tmp_path) -> None:
    shot = Shot(360, faces, 180, 3)
    for x, y in shot.places():
        assert 0 <= x <= shot.width - shot.side
        assert 0 <= y <= shot.height - shot.side
    path = write_shot(shot, tmp_path)
    info, (first, second) = probe(path), islice(read_frames(path), 2)
    assert (info.width, info.height, info.frame_count) == (640, 360, 3)
    assert np.abs(first.rgb.astype(int) - second.rgb).mean() > 0.5
    stamp = path.stat().st_mtime_ns
    assert write_shot(shot, tmp_path).stat().st_mtime_ns == stamp


def test_the_shots_keep_the_face_where_only_the_frame_grows() -> None:
    shots = conversion.shots(5)
    assert {shots[name].side for name in ("720p_1", "1080p_same", "2160p_same")} == {360}
    assert shots["2160p_4"].side == 1080


def test_the_watch_counts_the_processs_own_time() -> None:
    watch = ProcessWatch()
    with watch("sleep"):
        time.sleep(0.05)
    with watch("work"):
        sum(range(300_000))
    assert watch.seconds["sleep"] < 0.03 < 0.05
    assert watch.seconds["work"] > 0.0
