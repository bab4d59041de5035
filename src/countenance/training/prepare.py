"""A face set as training sees it: decoded once, references painted once, everything else made per batch.

What is there for every face may lie on the disk (see :mod:`countenance.memory`); a batch is gathered from it by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from countenance.geometry import resize_matrix
from countenance.memory import DiskRows, MadeRows, Scratch
from countenance.training.mesh import EYE_LEFT, EYE_RIGHT, LIPS, filled, frontalise
from countenance.training.reference import Gallery, Geometry, describe, want
from countenance.training.shading import NEUTRAL_SCALE, laid_over, light_and_clear, light_gain, neutral_crop
from countenance.training.stored import GuidedFaces, StoredFaces
from countenance.training.workers import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.memory import Rows
    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = [
    "HELD_OUT_EVERY",
    "PersonFaces",
    "Split",
    "evenly",
    "held_out",
    "prepare_guided",
    "shrink",
    "split",
    "spread",
]

_UNWRAPPED_BYTES = 16 * 2**20  # of the gallery's crops, kept from one target to the next
HELD_OUT_EVERY = 10
"""One run of frames in this many is never trained on."""

_RUN = 10  # frames in a run: neighbours look alike, so whole runs are held out, not single frames
_WATCHED_FACES = 16  # held-out faces of a person that are scored: more cost time, and neighbours look alike
_FINEST_GRID = 256  # side of the mesh's grid: on twice as fine a one a crop of 512 takes twice as long
_MIN_APART_FRAMES = (8, 25)  # of each variant: how far in time a reference must be from its target


class PersonFaces(NamedTuple):
    """The kept faces of one person, as the face set stores them.

    ``rgb`` uint8 ``(N, 256, 256, 3)``; ``points_xy`` float32 ``(N, 478, 2)``; ``depth`` float32 ``(N, 478)``;
    ``person_mask`` uint8 ``(N, 64, 64)``; ``moment`` int64 ``(N, 2)``: source and frame index.
    """

    rgb: Rows
    points_xy: Float32
    depth: Float32
    person_mask: UInt8
    moment: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp]) -> PersonFaces:
        """Some of the faces; crops on the disk stay there."""
        rgb = self.rgb.take(rows) if isinstance(self.rgb, DiskRows) else self.rgb[rows]
        return PersonFaces(rgb, self.points_xy[rows], self.depth[rows], self.person_mask[rows], self.moment[rows])


class Split(NamedTuple):
    """Rows of one person's faces, int ``(N,)`` each: ``trained``, and ``watched``, at most 16 of the held-out ones."""

    trained: NDArray[np.intp]
    watched: NDArray[np.intp]


def evenly(count: int, limit: int) -> NDArray[np.intp]:
    """At most ``limit`` of ``count`` rows, evenly spread from the first to the last: int ``(min(count, limit),)``."""
    if count <= limit:
        return np.arange(count, dtype=np.intp)
    return np.linspace(0, count - 1, limit).round().astype(np.intp)


def spread(faces: PersonFaces, limit: int) -> PersonFaces:
    """At most ``limit`` faces, evenly over time, so that memory has a bound however long the material is."""
    count = len(faces.rgb)
    if count <= limit:
        return faces
    return faces.take(evenly(count, limit))


def held_out(moment: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which faces are never trained on: every tenth run of ten kept faces of a source, bool ``(N,)``.

    Sources too short for that, photos above all, are counted on as if they were one. Where even that holds nothing
    out, the middle tenth of all faces is held out; fewer than ten faces have none to spare.
    """
    chosen = np.zeros(len(moment), bool)
    sources = [np.flatnonzero(moment[:, 0] == source) for source in np.unique(moment[:, 0])]
    enough = _RUN * (HELD_OUT_EVERY // 2)
    short = [rows for rows in sources if len(rows) <= enough]
    for rows in [*(rows for rows in sources if len(rows) > enough), *([np.concatenate(short)] if short else [])]:
        run = np.arange(len(rows)) // _RUN
        chosen[rows[run % HELD_OUT_EVERY == HELD_OUT_EVERY // 2]] = True
    if not chosen.any():
        count = len(moment) // HELD_OUT_EVERY
        start = (len(moment) - count) // 2
        chosen[start : start + count] = True
    return chosen


def split(moment: NDArray[np.int64]) -> Split:
    """Part the faces into those that are trained on and those that are only watched."""
    out = held_out(moment)
    aside = np.flatnonzero(out)
    return Split(np.flatnonzero(~out), aside[evenly(len(aside), _WATCHED_FACES)])


def _weights(points_xy: Float32, face: UInt8) -> UInt8:
    """How much each pixel counts, in 64ths: the face once, eyes and mouth about four times."""
    size = face.shape[0]
    reach = round(3 * size / 128)
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    wide = cv2.dilate(255 * filled(points_xy, (EYE_RIGHT, EYE_LEFT, LIPS), size), kernel)
    soft = cv2.GaussianBlur(wide, (0, 0), 2.0 * size / 128).astype(np.float32) / 255.0
    return np.clip(np.round(64.0 * (face / 255.0) * (1.0 + 2.9 * soft)), 0, 255).astype(np.uint8)


def shrink(faces: PersonFaces, size: int) -> PersonFaces:
    """The same faces in crops of another side, averaged, with their landmarks scaled; all in memory."""
    small = _scaled(faces, size)
    rgb = np.empty(small.rgb.shape, np.uint8)
    for row, crop in enumerate(small.rgb):
        rgb[row] = crop
    return small._replace(rgb=rgb)


def _scaled(faces: PersonFaces, size: int) -> PersonFaces:
    """The same with crops that are shrunk when they are looked at."""

    def shrunk(row: int) -> UInt8:
        return np.asarray(cv2.resize(faces.rgb[row], (size, size), interpolation=cv2.INTER_AREA), np.uint8)

    matrix = resize_matrix(faces.rgb.shape[1], size)
    points = (faces.points_xy * matrix[0, 0] + matrix[0, 2]).astype(np.float32)
    depth = (faces.depth * matrix[0, 0]).astype(np.float32)
    rgb = MadeRows((len(faces.rgb), size, size, 3), shrunk)
    return PersonFaces(rgb, points, depth, faces.person_mask, faces.moment)


class _Prepared(NamedTuple):
    """One face of :class:`GuidedFaces`, as NumPy's arrays; ``reference`` ``(V, 3, S, S)``."""

    target: UInt8
    reference: UInt8
    face: UInt8
    mask: UInt8
    weight: UInt8


def _one(faces: PersonFaces, gallery: Gallery, texture: Float32, row: int) -> _Prepared:
    """Everything of one target, its references in its own light."""
    picture, points_xy = faces.rgb[row], faces.points_xy[row]
    size = len(picture)
    seen = Geometry(points_xy, faces.depth[row])
    wanted = want(seen, size, min(size, _FINEST_GRID))
    frontal = frontalise(*seen)
    by_eyes, by_mouth = gallery.distances(*describe(frontal, frontal.shape_cm - gallery.mean_cm))
    same = gallery.moment[:, 0] == faces.moment[row, 0]
    apart = np.abs(gallery.moment[:, 1] - faces.moment[row, 1])
    shading, clear = light_and_clear(picture, points_xy, texture)
    gain = light_gain(shading, wanted.canonical) / np.float32(NEUTRAL_SCALE)
    references = []
    for minimum in _MIN_APART_FRAMES:
        near = same & (apart < minimum)
        if near.all():  # a very short clip: anything but the face itself
            near = same & (apart == 0)
        distances = np.where(near, np.inf, by_eyes), np.where(near, np.inf, by_mouth)
        neutral = gallery.paint(wanted, *distances)
        references.append(np.clip(np.round(neutral * gain), 0, 255).astype(np.uint8))
    inside = cv2.resize(wanted.raster.inside, (size, size), interpolation=cv2.INTER_LINEAR)
    face = np.round(inside * 255.0).astype(np.uint8)
    person = cv2.resize(faces.person_mask[row], (size, size), interpolation=cv2.INTER_LINEAR)
    mask = np.minimum(face, person).astype(np.uint8)
    return _Prepared(
        picture.transpose(2, 0, 1),
        np.stack(references).transpose(0, 3, 1, 2),
        face[None],
        mask[None],
        np.round(_weights(points_xy, face) * laid_over(clear, wanted.canonical)).astype(np.uint8)[None],
    )


def prepare_guided(
    faces: PersonFaces,
    rows: Sequence[int] | NDArray[np.intp],
    *,
    gallery_rows: NDArray[np.intp],
    texture: Float32,
    size: int,
    progress: Progress | None = None,
    note: str = "",
    scratch: Scratch | None = None,
    device: torch.device | None = None,
) -> GuidedFaces | StoredFaces:
    """Paint each face's references from the person's other faces and stack everything.

    Args:
        faces: all faces of the person.
        rows: which of them to prepare as targets.
        gallery_rows: which of them references may come from; a held-out face among them would be trained on after all.
        texture: the person's mean texture, of those faces as well.
        size: side of the crops in pixels (S).
        progress: called per face of the gallery and per target.
        note: passed on to ``progress``.
        scratch: where everything is kept; None is memory alone.
        device: where the faces are wanted; None is the CPU.

    Returns:
        On ``device`` when the scratch gave memory for all of them, otherwise to be taken from there.

    Raises:
        OutputError: the disk is full.
    """
    scratch = Scratch() if scratch is None else scratch
    device = torch.device("cpu") if device is None else device
    small = _scaled(faces, size)
    count, in_all = len(rows), len(gallery_rows) + len(rows)

    def told(done: int) -> None:
        if progress is not None:
            progress(done, in_all, note)

    def neutral_of(row: np.intp) -> UInt8:
        return neutral_crop(small.rgb[row], small.points_xy[row], small.depth[row], texture)

    shapes = {"reference": (len(_MIN_APART_FRAMES), 3, size, size), "target": (3, size, size)}
    parts = [scratch.rows(note, (count, *shapes.get(name, (1, size, size)))) for name in _Prepared._fields]
    neutral = scratch.rows(f"{note}: crops without light", (len(gallery_rows), size, size, 4))
    for number, crop in enumerate(in_order(neutral_of, gallery_rows)):
        neutral[number] = crop
        told(number + 1)
    moment = small.moment[gallery_rows]
    points, depth = small.points_xy[gallery_rows], small.depth[gallery_rows]
    gallery = Gallery.build(neutral, points, depth, moment, keep_bytes=_UNWRAPPED_BYTES)
    colour = torch.empty((count, 2, 3))
    for number, one in enumerate(in_order(lambda row: _one(small, gallery, texture, int(row)), rows)):
        for part, values in zip(parts, one, strict=True):
            part[number] = values
        colour[number] = _colour(one.target, one.face)
        told(len(gallery_rows) + number + 1)
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        target, reference, face, mask, weight = (torch.from_numpy(array) for array in arrays)
        return GuidedFaces(target, reference, face, mask, weight, colour).to(device)
    return StoredFaces(parts, colour, device)


def _colour(target: UInt8, face: UInt8) -> Tensor:
    """Mean and deviation of RGB inside the face, ``(2, 3)``."""
    picture = torch.from_numpy(np.ascontiguousarray(target)).float().div(255.0)
    pixels = picture[:, torch.from_numpy(face)[0] > 127]  # (3, K)
    if pixels.shape[1] < 2:
        pixels = picture.flatten(1)
    return torch.stack([pixels.mean(1), pixels.std(1).clamp_min(1e-3)])
