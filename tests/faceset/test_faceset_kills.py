"""Interrupted in every way, an extraction leaves a readable file and goes on to the same set."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faceset_world import Actor, World, contents, film, open_set, run

from countenance.errors import NoFaceError
from countenance.faceset.use import require_enough
from countenance.project import Project


@pytest.mark.parametrize(
    ("stop", "error"), [(0, RuntimeError), (24, KeyboardInterrupt), (25, KeyboardInterrupt), (61, RuntimeError)]
)
def test_going_on_after_an_interruption_gives_the_same_set(
    project: Project, tmp_path: Path, stop: int, error: type[BaseException]
) -> None:
    script = [[Actor(mouth=0.6 * n, x=140.0 + n / 2), Actor(who=1, x=40.0, height=90.0)] for n in range(80)]
    clip = film(tmp_path / "clip.mkv", script)
    whole = run(project, World(script), clip, person="whole")
    world = World(script, stop_at=stop, error=error)
    with pytest.raises(error):
        run(project, world, clip)
    path = project.faceset_path("vera")
    with open_set(path) as faceset:
        faceset.verify()
        assert faceset.counts().kept == 0
        assert faceset.sources()[0].next_frame == stop // 25 * 25
        with pytest.raises(NoFaceError, match="interrupted" if stop >= 25 else "0 usable faces"):
            require_enough(faceset)
    world.stop_at = None
    report = run(project, world, clip)
    assert report.frames_read == 80 - stop // 25 * 25
    assert contents(path) == contents(whole.path)


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from faceset_world import Actor, World
from countenance.faceset import store
from countenance.faceset.extract import extract
from countenance.project import Project

calls = 0

def fatal(self, *values, _wrapped=getattr(store.FaceSet, {method!r}), **named):
    global calls
    result = _wrapped(self, *values, **named)
    calls += 1
    if calls == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(store.FaceSet, {method!r}, fatal)
world = World([[Actor(mouth=0.6 * n, x=140.0 + n / 2)] for n in range(90)])
extract(Project.open(Path({project!r})), "vera", [Path({clip!r})], perception=world.perception())
"""


def test_killed_at_any_moment_the_file_is_readable_and_extraction_goes_on(project: Project, tmp_path: Path) -> None:
    script = [[Actor(mouth=0.6 * n, x=140.0 + n / 2)] for n in range(90)]
    clip = film(tmp_path / "clip.mkv", script)
    whole = run(project, World(script), clip, person="whole")
    path = project.faceset_path("vera")
    # One after the other, each in the middle of a transaction or just after what it names; and where to go on then.
    moments = [
        ("verify", 1, None),  # the file was made, nothing is in it
        ("add", 5, 0),
        ("add", 20, 25),  # the first chunk was written, the second was not
        ("advance_source", 2, 50),
        ("keep", 1, 90),  # everything was read, the decision was not written
        ("shrink", 1, 90),
    ]
    for method, call, next_frame in moments:
        code = KILLED.format(
            tests=str(Path(__file__).parent), project=str(project.root), clip=str(clip), method=method, call=call
        )
        process = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
        with open_set(path) as faceset:
            faceset.verify()
            assert [source.next_frame for source in faceset.sources()] == ([] if next_frame is None else [next_frame])
            assert len(faceset.load("pending")) == faceset.counts().pending
    run(project, World(script), clip)
    assert contents(path) == contents(whole.path)


def test_killed_by_the_clock_the_file_is_readable(project: Project, tmp_path: Path) -> None:
    script = [[Actor(mouth=0.6 * n, x=140.0 + n / 2)] for n in range(90)]
    clip = film(tmp_path / "clip.mkv", script)
    code = KILLED.format(
        tests=str(Path(__file__).parent), project=str(project.root), clip=str(clip), method="verify", call=0
    )
    for wait in (0.03, 0.3):
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            while not project.faceset_path("vera").exists():
                time.sleep(0.005)
            time.sleep(wait)
            process.kill()
        with open_set(project.faceset_path("vera")) as faceset:
            faceset.verify()
    run(project, World(script), clip)
