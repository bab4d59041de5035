"""A face set as training sees it: decoded once, references painted once, everything else made per batch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from countenance.geometry import resize_matrix
from countenance.training.mesh import EYE_LEFT, EYE_RIGHT, LIPS, filled, frontalise
from countenance.training.reference import Gallery, Geometry, describe, want
from countenance.training.shading import NEUTRAL_SCALE, light_gain, shading_of, without_light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from countenance.progress import Progress
    from countenance.types import Float32, UInt8

__all__ = [
    "HELD_OUT_EVERY",
    "GuidedFaces",
    "PersonFaces",
    "Split",
    "evenly",
    "held_out",
    "prepare_guided",
    "shrink",
    "split",
    "spread",
]

HELD_OUT_EVERY = 10
"""One run of frames in this many is never trained on."""

_RUN = 10  # frames in a run: neighbours look alike, so whole runs are held out, not single frames
_WATCHED_FACES = 16  # held-out faces of a person that are scored: more cost time, and neighbours look alike
_MIN_APART_FRAMES = (8, 25)  # of each variant: how far in time a reference must be from its target


class PersonFaces(NamedTuple):
    """The kept faces of one person, as the face set stores them.

    ``rgb`` uint8 ``(N, 256, 256, 3)``; ``points_xy`` float32 ``(N, 478, 2)``; ``depth`` float32 ``(N, 478)``;
    ``person_mask`` uint8 ``(N, 64, 64)``; ``moment`` int64 ``(N, 2)``: source and frame index.
    """

    rgb: UInt8
    points_xy: Float32
    depth: Float32
    person_mask: UInt8
    moment: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp]) -> PersonFaces:
        """Some of the faces."""
        return PersonFaces(
            self.rgb[rows], self.points_xy[rows], self.depth[rows], self.person_mask[rows], self.moment[rows]
        )


class GuidedFaces(NamedTuple):
    """Tensors of one person for the guided family, uint8.

    ``target`` ``(N, 3, S, S)``; ``reference`` ``(N, V, 3, S, S)``; ``face`` ``(N, 1, S, S)``, 255 inside the outline;
    ``mask`` ``(N, 1, S, S)``, what the mask must predict; ``weight`` ``(N, 1, S, S)``, in 64ths.
    ``colour`` float ``(N, 2, 3)``: mean and deviation of the face's RGB in [0, 1].
    """

    target: Tensor
    reference: Tensor
    face: Tensor
    mask: Tensor
    weight: Tensor
    colour: Tensor

    def to(self, device: torch.device) -> GuidedFaces:
        """Everything on ``device``."""
        return GuidedFaces(*(tensor.to(device) for tensor in self))

    def take(self, rows: slice | NDArray[np.intp]) -> GuidedFaces:
        """Some of the faces; a slice shares their memory."""
        return GuidedFaces(*(tensor[rows] for tensor in self))


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
    wide = cv2.dilate(255 * filled(points_xy, (EYE_RIGHT, EYE_LEFT, LIPS), size), np.ones((7, 7), np.uint8))
    soft = cv2.GaussianBlur(wide, (0, 0), 2.0).astype(np.float32) / 255.0
    return np.clip(np.round(64.0 * (face / 255.0) * (1.0 + 2.9 * soft)), 0, 255).astype(np.uint8)


def shrink(faces: PersonFaces, size: int) -> PersonFaces:
    """The same faces in crops of another side, averaged, with their landmarks scaled."""
    matrix = resize_matrix(faces.rgb.shape[1], size)
    rgb = np.stack([cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) for picture in faces.rgb])
    points = (faces.points_xy * matrix[0, 0] + matrix[0, 2]).astype(np.float32)
    depth = (faces.depth * matrix[0, 0]).astype(np.float32)
    return PersonFaces(rgb.astype(np.uint8), points, depth, faces.person_mask, faces.moment)


def _one(faces: PersonFaces, gallery: Gallery, texture: Float32, row: int) -> tuple[list[UInt8], UInt8, UInt8, UInt8]:
    """References in the target's own light, face, mask and weight of one target."""
    size = faces.rgb.shape[1]
    seen = Geometry(faces.points_xy[row], faces.depth[row])
    wanted = want(seen, size, size)
    by_eyes, by_mouth = gallery.distances(*describe(frontalise(*seen), gallery.mean_cm))
    same = gallery.moment[:, 0] == faces.moment[row, 0]
    apart = np.abs(gallery.moment[:, 1] - faces.moment[row, 1])
    shading = shading_of(faces.rgb[row], faces.points_xy[row], texture)
    gain = light_gain(shading, wanted.raster) / np.float32(NEUTRAL_SCALE)
    references = []
    for minimum in _MIN_APART_FRAMES:
        near = same & (apart < minimum)
        if near.all():  # a very short clip: anything but the face itself
            near = same & (apart == 0)
        neutral = gallery.paint(wanted, np.where(near, np.inf, by_eyes), np.where(near, np.inf, by_mouth))
        references.append(np.clip(np.round(neutral * gain), 0, 255).astype(np.uint8))
    face = np.round(wanted.raster.inside * 255.0).astype(np.uint8)
    person = cv2.resize(faces.person_mask[row], (size, size), interpolation=cv2.INTER_LINEAR)
    return references, face, np.minimum(face, person).astype(np.uint8), _weights(faces.points_xy[row], face)


def prepare_guided(
    faces: PersonFaces,
    rows: Sequence[int] | NDArray[np.intp],
    *,
    gallery_rows: NDArray[np.intp],
    texture: Float32,
    size: int,
    progress: Progress | None = None,
    note: str = "",
) -> GuidedFaces:
    """Paint each face's references from the person's other faces and stack everything.

    Args:
        faces: all faces of the person.
        rows: which of them to prepare as targets.
        gallery_rows: which of them references may come from; a held-out face among them would be trained on after all.
        texture: the person's mean texture, of those faces as well.
        size: side of the crops in pixels (S).
        progress: called per face.
        note: passed on to ``progress``.
    """
    small = shrink(faces, size)
    usable = small.take(gallery_rows)
    neutral = without_light(usable, texture)
    gallery = Gallery.build(neutral, usable.points_xy, usable.depth, usable.moment)
    count = len(rows)
    reference = torch.empty((count, len(_MIN_APART_FRAMES), 3, size, size), dtype=torch.uint8)
    planes = torch.empty((3, count, 1, size, size), dtype=torch.uint8)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for number, (pictures, *flat) in enumerate(pool.map(lambda row: _one(small, gallery, texture, int(row)), rows)):
            reference[number] = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
            planes[:, number, 0] = torch.from_numpy(np.stack(flat))
            if progress is not None:
                progress(number + 1, count, note)
    target = torch.from_numpy(np.ascontiguousarray(small.rgb[np.asarray(rows)].transpose(0, 3, 1, 2)))
    face, mask, weight = planes
    return GuidedFaces(target, reference, face, mask, weight, _colour(target, face))


def _colour(target: Tensor, face: Tensor) -> Tensor:
    """Mean and deviation of RGB inside the face, ``(N, 2, 3)``."""
    result = torch.empty((len(target), 2, 3))
    for number, (picture, inside) in enumerate(zip(target, face, strict=True)):
        pixels = picture.float().div(255.0)[:, inside[0] > 127]  # (3, K)
        if pixels.shape[1] < 2:
            pixels = picture.float().div(255.0).flatten(1)
        result[number] = torch.stack([pixels.mean(1), pixels.std(1).clamp_min(1e-3)])
    return result
