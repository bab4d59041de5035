"""Faces on the disk train and convert to the very bits that faces in memory do, and hardly any of them is in memory."""

import gc
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_faces import made_faces, without_light

from countenance.memory import DiskRows, Scratch
from countenance.training import prepare
from countenance.training.painting import GuidedPainter, Look
from countenance.training.prepare import PersonFaces, evenly, prepare_guided, split, spread
from countenance.training.presets import PRESETS
from countenance.training.reference import mean_shape_cm
from countenance.training.runs import ClassicRun, make_run
from countenance.training.scores import Identity
from countenance.training.shading import mean_texture, neutral_crops
from countenance.training.stored import DiskCrops, StoredFaces, crops_to_take
from countenance.training.train import person_faces
from countenance.training.workers import in_order
from countenance.types import BLENDSHAPES, AlignedFace, FaceLandmarks

CPU = torch.device("cpu")
SWIFT = replace(PRESETS["swift"], batch_size=2, widths=(8, 8, 8, 8))
CLASSIC = replace(PRESETS["classic"], batch_size=2)


def on_disk(faces: PersonFaces, scratch: Scratch) -> PersonFaces:
    rows = scratch.rows("crops", faces.rgb.shape)
    for number, crop in enumerate(faces.rgb):
        rows[number] = crop
    return faces._replace(rgb=rows)


def someone() -> Identity:
    direction = np.ones(128, np.float32) / np.sqrt(np.float32(128))

    def embed(rgb, _landmarks):
        vector = np.resize(rgb.astype(np.float32), 128) + 1.0
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    return Identity(embed, direction, direction)


def test_faces_on_the_disk_train_swift_to_the_same_bits(tmp_path) -> None:
    people, scratch = [made_faces(12, seed) for seed in (1, 2)], Scratch(tmp_path, 0)
    stored = [on_disk(faces, scratch) for faces in people]
    runs = [
        make_run(SWIFT, people, device=CPU, seed=3, identity=someone()),
        make_run(SWIFT, stored, device=CPU, seed=3, identity=someone(), scratch=scratch),
    ]
    assert isinstance(runs[1].faces["lender"], StoredFaces)
    for run in runs:
        for iteration in range(2):
            run.step(iteration)
    expected, got = (run.tensors() for run in runs)
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name
    assert runs[0].score() == runs[1].score()
    for one, other in zip(*(run.preview() for run in runs), strict=True):
        assert all(np.array_equal(*pictures) for pictures in zip(one, other, strict=True))


def test_classic_takes_the_same_faces_from_the_disk(people, tmp_path) -> None:
    stored = on_disk(people[0], Scratch(tmp_path, 0))
    rows = torch.tensor([5, 2, 5])
    run = ClassicRun(CLASSIC, [stored, stored], device=CPU, seed=3)
    trained = split(people[0].moment).trained
    expected = crops_to_take(people[0].rgb[trained], CPU)
    got = run.faces["lender"]
    assert isinstance(got, DiskCrops)
    assert len(got) == len(expected) == len(trained)
    assert torch.equal(got[rows], expected[rows])
    assert got[rows].is_contiguous()  # as in memory: the same sums in the same order
    assert run.step(0).loss > 0.0


def test_conversion_paints_the_same_from_the_disk(people, tmp_path) -> None:
    lender, performer = people
    looks = [Look(mean_shape_cm(who.points_xy, who.depth), mean_texture(who)) for who in people]
    marks = FaceLandmarks(performer.points_xy[3], performer.depth[3], np.zeros(BLENDSHAPES, np.float32), 1.0)
    face = AlignedFace(performer.rgb[3], np.eye(2, 3), marks)
    in_memory, stored = (
        GuidedPainter(who, looks, preset=PRESETS["swift"], device=CPU).prepare([face])
        for who in (lender, on_disk(lender, Scratch(tmp_path, 0)))
    )
    assert torch.equal(in_memory.reference, stored.reference)


def test_crops_lose_their_light_when_they_are_asked_for(people) -> None:
    faces = people[0]
    mean = mean_texture(faces)
    looked_at = []

    class Noted(np.ndarray):
        def __getitem__(self, row):
            looked_at.append(row)
            return np.asarray(super().__getitem__(row))

    crops = neutral_crops(faces._replace(rgb=faces.rgb.view(Noted)), mean, keep_bytes=2 * 4 * 256 * 256)
    expected = without_light(faces, mean)
    assert (crops.shape, len(crops), looked_at) == (expected.shape, len(expected), [])
    for row in (5, 5, 7, 5, 9, 7):  # 9 takes the place of 7, which was not looked at for longer
        assert np.array_equal(crops[row], expected[row])
    assert looked_at == [5, 7, 9, 7]
    assert all(np.array_equal(*pair) for pair in zip(crops, expected, strict=True))


def test_thinning_reads_nothing(people, tmp_path) -> None:
    stored = on_disk(people[0], Scratch(tmp_path, 0))
    thin = spread(stored, 10)
    assert isinstance(thin.rgb, DiskRows)
    assert np.array_equal(thin.rgb[:], people[0].rgb[evenly(24, 10)])


def peak_of(count: int, tmp_path) -> int:
    """Most bytes that NumPy held at a time while ``count`` faces were made ready."""
    scratch = Scratch(tmp_path, 0)
    faces = on_disk(made_faces(count, 1), scratch)
    rows = np.arange(count)
    gc.collect()
    tracemalloc.start()
    try:
        texture = mean_texture(faces.take(np.arange(4)))
        prepared = prepare_guided(faces, rows, gallery_rows=rows, texture=texture, size=128, scratch=scratch)
        prepared.first(count - 1).take(torch.tensor([0, 2]))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_face_more_takes_little_more_memory(tmp_path, monkeypatch) -> None:
    """A crop has 197 kB, and what swift prepares of it as much again: none of that may be in memory.

    What may are the landmarks and what is measured of them: 20,000 faces of 60 kB are 1.2 GB.
    """
    monkeypatch.setattr(prepare, "_UNWRAPPED_BYTES", 0)  # a bounded number of crops, more than these would fill
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # or more results than there are faces may be waiting
    peak_of(4, tmp_path)  # what is drawn once and kept
    few, many = (peak_of(count, tmp_path) for count in (20, 60))
    assert (many - few) / 40 < 60_000  # 23 kB a face of many, and 65 kB a face is the least that could be kept wrongly


def test_results_come_in_order_and_never_pile_up() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        return number * number

    results = in_order(work, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(begun) < 500
    results.close()
    count = len(begun)
    assert [*in_order(work, range(100))] == [number * number for number in range(100)]
    assert len(begun) == count + 100  # what had been handed out was called off


def test_an_error_in_a_worker_comes_out() -> None:
    def work(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    with pytest.raises(ValueError, match="five"):
        list(in_order(work, range(100)))


def test_a_face_set_is_loaded_onto_the_disk(tmp_path) -> None:
    from test_train import FakePerception, _unit, fill

    from countenance.faceset.store import FaceSet
    from countenance.project import Project

    project = Project.create(tmp_path / "film", title="A test")
    fill(project, "vera", 1, FakePerception(_unit(0)))
    with FaceSet.open(project.faceset_path("vera"), project.key()) as faceset:
        in_memory = faceset.load()
        tracemalloc.start()
        try:
            stored = faceset.load(scratch=Scratch(tmp_path, 0))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(stored.rgb, DiskRows)
    assert np.array_equal(stored.rgb[:], in_memory.rgb)
    assert peak > 0
    faces = person_faces(stored)
    assert isinstance(faces.rgb, DiskRows)
    assert np.array_equal(faces.points_xy, in_memory.landmarks_xy)
