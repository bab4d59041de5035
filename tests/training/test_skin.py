"""What of a crop is the person's own: hair beside the cheek is not painted, and skin is what many crops agree on."""

from __future__ import annotations

import cv2
import numpy as np
from test_shading import SIDE, inside, lit, person, side_light
from training_faces import without_light

from countenance.training.mesh import frontalise, rasterise, vertex_areas
from countenance.training.reference import Gallery, Geometry, describe, want
from countenance.training.shading import (
    NEUTRAL_SCALE,
    canonical_xy,
    features,
    laid_over,
    light_and_clear,
    mean_texture,
)
from countenance.training.skin import own_skin

HAIR = 12


def with_hair(faces, rows: list[int]):
    """The same faces with a dark strand over the outer quarter of the right cheek in some crops, and where it lies."""
    rgb, strands = faces.rgb.copy(), np.zeros((len(faces.rgb), SIDE, SIDE), bool)
    for row in rows:
        face = rasterise(faces.points_xy[row], faces.depth[row], SIDE, SIDE).inside > 0
        x = np.nonzero(face.any(0))[0]
        strands[row, :, int(x[0] + 0.8 * np.ptp(x)) :] = True
        rgb[row][strands[row]] = HAIR
        strands[row] &= face
    return faces._replace(rgb=rgb), strands


def test_hair_over_a_cheek_is_seen_and_light_is_not_taken_for_hair() -> None:
    faces, strands = with_hair(person(11), [2])
    mean = mean_texture(person(11))
    canonical = canonical_xy(rasterise(faces.points_xy[2], faces.depth[2], SIDE, SIDE // 2))
    moving = laid_over(features(), canonical) > 0.01
    _, clear = light_and_clear(faces.rgb[2], faces.points_xy[2], mean)
    seen = laid_over(clear, canonical)
    core = cv2.erode(strands[2].astype(np.uint8), np.ones((9, 9))) > 0
    assert np.median(seen[core & ~moving]) < 0.2
    assert np.median(seen[inside(faces, 2) & ~strands[2] & ~moving]) > 0.9
    strong = lit(person(11), side_light(1.2))
    _, clear = light_and_clear(strong.rgb[2], strong.points_xy[2], mean)
    assert np.median(laid_over(clear, canonical)[inside(faces, 2)]) > 0.9


def test_hair_does_not_pass_for_darkness() -> None:
    """Taken for shade, it would be lifted to skin in the lender's crops and darken the performer's cheek."""
    faces, strands = with_hair(person(12), [1])
    mean = mean_texture(person(12))
    canonical = canonical_xy(rasterise(faces.points_xy[1], faces.depth[1], SIDE, SIDE // 2))
    shading, _ = light_and_clear(faces.rgb[1], faces.points_xy[1], mean)
    core = cv2.erode(strands[1].astype(np.uint8), np.ones((9, 9))) > 0
    naive = np.log((HAIR / 255.0) ** 2.2 + 0.02) - np.log((130 / 255.0) ** 2.2 + 0.02)
    assert np.median(laid_over(shading, canonical)[core]) > 0.25 * naive  # a shade of nothing is 0, the hair's is below


def test_hair_of_the_nearest_crop_is_not_painted() -> None:
    plain = person(13)
    faces, strands = with_hair(plain, [2])
    mean = mean_texture(plain)
    seen = Geometry(faces.points_xy[2], faces.depth[2])
    wanted = want(seen, SIDE, SIDE // 2)
    painted = []
    for some in (plain, faces):
        gallery = Gallery.build(without_light(some, mean), some.points_xy, some.depth, some.moment)
        frontal = frontalise(*seen)
        found = gallery.distances(*describe(frontal, frontal.shape_cm - gallery.mean_cm))
        painted.append(gallery.paint(wanted, *found, count=1).astype(float) / NEUTRAL_SCALE)
    core = cv2.erode(strands[2].astype(np.uint8), np.ones((9, 9))) > 0
    assert np.abs(painted[1] - painted[0])[core].mean() < 20.0  # of the 118 between skin and hair


def test_a_crop_that_sees_a_cheek_edge_on_leaves_it_to_the_others() -> None:
    faces = person(14)
    seen = Geometry(faces.points_xy[0], faces.depth[0])
    wanted = want(seen, SIDE, SIDE // 2)
    narrow = faces.points_xy.copy()
    middle = seen.points_xy[:, 0].mean()
    right = narrow[1, :, 0] > middle
    narrow[1, right, 0] = middle + 0.15 * (narrow[1, right, 0] - middle)  # that half is nearly seen from the side
    rgba = np.full((*faces.rgb.shape[:3], 4), 255, np.uint8)
    rgba[..., :3] = 200
    rgba[1, ..., :3] = 40
    gallery = Gallery.build(rgba, narrow, faces.depth, faces.moment)
    near = np.array([1e3, 1e-3] + [1e3] * (len(rgba) - 2), np.float32)
    painted = gallery.paint(wanted, near, near, count=1).astype(float)[..., 0]
    face = inside(faces, 0)
    far_side = face & (np.arange(SIDE)[None, :] > middle + 20)
    near_side = face & (np.arange(SIDE)[None, :] < middle - 20)
    assert np.median(painted[near_side]) < 140.0
    assert np.median(painted[far_side]) > 150.0


def test_own_skin_is_what_the_crops_agree_on() -> None:
    faces = person(15, count=8)
    rgba = np.concatenate([faces.rgb, np.full((*faces.rgb.shape[:3], 1), 255, np.uint8)], axis=3)
    areas = np.stack([vertex_areas(points) for points in faces.points_xy])
    skin = own_skin(rgba, faces.points_xy, areas)
    noisy = rgba.copy()
    noisy[3, ..., :3] = 0
    noisy[3, ..., 3] = 0  # a crop that shows nothing of the person
    without = own_skin(noisy, faces.points_xy, areas)
    canonical = canonical_xy(rasterise(faces.points_xy[0], faces.depth[0], SIDE, SIDE // 2))
    face = inside(faces, 0)
    assert np.abs(laid_over(without, canonical) - laid_over(skin, canonical))[face].mean() < 3.0
    assert np.abs(laid_over(skin, canonical) - faces.rgb[0])[face].mean() < 8.0
