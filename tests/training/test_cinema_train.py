"""``train`` and conversion on face sets of 512 pixels: cinema at that side, swift averaged down, and refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_train import FakePerception, Story, _unit, consent, fill
from training_faces import made_faces

from countenance.consent.keys import generate_key
from countenance.errors import CheckpointError, FaceSetError
from countenance.project import Project
from countenance.training.checkpoint import CHECKPOINT, load, save
from countenance.training.presets import PRESETS
from countenance.training.swapper import load_swapper
from countenance.training.train import load_faces
from countenance.types import AlignedFace, FaceLandmarks


def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = {"batch_size": 1, "bottleneck": 8, "latent_channels": 4}
    for name, recipe in PRESETS.items():
        if recipe.family == "guided":
            widths, encoder = (4,) * len(recipe.widths), (4,) * len(recipe.encoder_widths)
            monkeypatch.setitem(PRESETS, name, replace(recipe, widths=widths, encoder_widths=encoder, **narrow))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Both people in crops of 512."""
    folder = tmp_path_factory.mktemp("cinema")
    project = Project.create(folder / "film", title="A test")
    perception = FakePerception(_unit(0))
    embeddings = fill(project, "vera", 1, perception, count=20, size=512)
    fill(project, "ivan", 2, FakePerception(_unit(1)), count=20, size=512)
    consent(project, embeddings, generate_key(folder / "vera.key", "correct horse battery"))
    return Story(project, perception)


def faces_to_swap(size: int) -> list[AlignedFace]:
    faces = made_faces(2, 2, size)
    return [
        AlignedFace(rgb, np.eye(2, 3), FaceLandmarks(points, depth, np.zeros(52, np.float32), 1.0))
        for rgb, points, depth in zip(faces.rgb, faces.points_xy, faces.depth, strict=True)
    ]


@pytest.mark.parametrize(("preset", "side"), [("cinema-512", 512), ("swift", 256)])
def test_a_face_set_of_512_trains_and_swaps(
    filmed: Story, monkeypatch: pytest.MonkeyPatch, preset: str, side: int
) -> None:
    small_presets(monkeypatch)
    report = filmed.train(preset=preset, iterations=1)
    assert (report.iteration, report.preset) == (1, preset)
    assert {"held_out_ssim", "held_out_lender_cosine"} <= set(report.history[-1])
    swapper = load_swapper(filmed.project, "vera", "ivan", preset=preset, device="cpu")
    assert swapper.crop_size == side
    painted = swapper(faces_to_swap(side))
    assert [(face.rgb.shape, face.mask.values.shape) for face in painted] == [((side, side, 3), (side, side))] * 2
    assert all(face.mask.values[side // 2, side // 2] > 0.8 for face in painted)

    folder = filmed.project.model_dir("vera", "ivan", preset)
    stored = load(folder / CHECKPOINT)
    other = {**stored.facts.preset, "widths": [8] * len(stored.facts.preset["widths"])}
    save(folder, replace(stored.facts, preset=other), stored.tensors)
    with pytest.raises(CheckpointError, match="another recipe"):
        filmed.train(preset=preset, iterations=2)


def test_faces_come_at_the_side_that_is_asked_for(filmed: Story) -> None:
    small, large = (load_faces(filmed.project, "vera", side) for side in (256, 512))
    assert (small.rgb.shape[1], large.rgb.shape[1]) == (256, 512)
    assert np.allclose(small.landmarks_xy, (large.landmarks_xy + 0.5) / 2.0 - 0.5, atol=1e-3)
    assert np.allclose(small.depth, large.depth / 2.0, atol=1e-3)


def test_cinema_512_says_which_command_makes_its_crops(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "film", title="A test")
    perception = FakePerception(_unit(0))
    fill(project, "vera", 1, perception, count=20)
    fill(project, "ivan", 2, FakePerception(_unit(1)), count=20, size=512)
    story = Story(project, perception)
    with pytest.raises(FaceSetError, match="crops of 256 pixels, and this model needs 512") as refused:
        story.train(preset="cinema-512")
    assert str(refused.value).endswith("run: countenance extract vera.mp4 --person vera --crop 512")
    assert not project.model_dir("vera", "ivan", "cinema-512").exists()
