"""The memory bench's made-up face sets must be face sets, and its stand-ins must not do less than they say."""

import memory
import numpy as np
from test_train import FakePerception, _unit, fill

from countenance.faceset.store import FaceSet
from countenance.perception.identity import FaceEmbedder
from countenance.project import Project
from countenance.training import prepare


def test_a_made_up_face_set_is_whole_and_like_the_real_one(tmp_path) -> None:
    project = Project.create(tmp_path / "film", title="A test")
    fill(project, "vera", 1, FakePerception(_unit(0)))
    path = tmp_path / "many.sqlite"
    memory.multiply(project.faceset_path("vera"), path, 60, 512, project.key())
    with FaceSet.open(project.faceset_path("vera"), project.key()) as real, FaceSet.open(path, project.key()) as made:
        made.verify()
        before, after = real.load(), made.load()
        assert made.embedder_id() == real.embedder_id()
    assert after.rgb.shape == (60, 512, 512, 3)
    assert np.array_equal(after.embeddings[:24], before.embeddings)
    assert np.diff(after.frame_index).min() == 3
    first = after.landmarks_xy[::24] / 2 - before.landmarks_xy[0]  # one real face, shifted and noisy each time
    assert np.ptp(first.mean(1), axis=0).max() > 1.5
    assert 0.1 < first.std(1).mean() < 0.5


def test_stand_ins_do_every_so_manieth_face(monkeypatch) -> None:
    done = []
    for owner, name in ((prepare, "_one"), (prepare, "neutral_crop"), (FaceEmbedder, "__call__")):
        monkeypatch.setattr(owner, name, lambda *given: done.append(given[-1]) or np.full(3, given[-1]))
    memory.thin(5)
    results = [prepare._one("faces", number) for number in range(11)]
    assert done == [0, 5, 10]
    assert [int(result[0]) for result in results] == [0] * 5 + [5] * 5 + [10]
    assert results[0] is not results[1]
