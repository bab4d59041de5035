"""Crops on the canonical mesh: unwrapped, blended there, and what of eyes and mouth is kept beside them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from countenance.training.mesh import frontalise, rasterise
from countenance.training.reference import Gallery, Geometry, describe, want
from countenance.training.shading import canonical_xy, features, laid_over
from countenance.training.unwrapped import (
    CELLS,
    FEATURES,
    blend,
    feature_box,
    feature_masks,
    finer,
    unwrap,
    unwrapped_bytes,
)


def opaque(rgb: np.ndarray) -> np.ndarray:
    return np.concatenate([rgb, np.full((*rgb.shape[:-1], 1), 255, np.uint8)], axis=-1)


def smooth(rgb: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(one, (0, 0), 2.0) for one in rgb])


@pytest.mark.parametrize("size", [128, 256])
def test_what_is_unwrapped_and_laid_over_again_is_the_crop(people, size: int) -> None:
    faces = people[0]
    scale = size / 256
    points = ((faces.points_xy[4] + 0.5) * scale - 0.5).astype(np.float32)
    rgb = cv2.resize(smooth(faces.rgb)[4], (size, size), interpolation=cv2.INTER_AREA)
    texture = unwrap(opaque(rgb), points).texture
    assert texture.shape == (finer(size), finer(size), 4)
    raster = rasterise(points, faces.depth[4] * np.float32(scale), size, size // 2)
    canonical = canonical_xy(raster)
    again = laid_over(texture.astype(np.float32), canonical)[..., :3]
    inside = cv2.resize(raster.inside, (size, size)) > 0.99
    skin = inside & (laid_over(features(), canonical) < 0.01)
    assert np.abs(again - rgb)[skin].mean() < 2.0


def test_a_texture_is_dark_where_the_crop_is_not_the_persons_own(people) -> None:
    faces = people[0]
    rgba = opaque(np.full_like(faces.rgb[0], 200))
    rgba[:, :128, 3] = 51
    texture = unwrap(rgba, faces.points_xy[0]).texture
    colours, counts = np.unique(texture.reshape(-1, 4), axis=0, return_counts=True)
    often = colours[counts > texture.shape[0]]
    assert often.tolist() == [[40, 40, 40, 51], [200, 200, 200, 255]]


def test_blending_is_the_weighted_mean_and_the_base_fills_what_nothing_shows() -> None:
    side = finer(256)
    base = np.zeros((side, side, 4), np.float32)
    base[:] = np.array([10, 10, 10, 255]) * 255.0 * 0.5
    bright, dark = (np.full((side, side, 4), (level, level, level, 255), np.uint8) for level in (200, 100))
    left = np.zeros((CELLS, CELLS), np.float32)
    left[:, : CELLS // 2] = 1.0
    total = blend(base, [(bright, 0.3 * left), (dark, 0.2 * left), (bright, -0.05 * left)])
    mean = total[..., :3] / total[..., 3:] * 255.0
    expected = (0.5 * 10 + 0.3 * 200 + 0.2 * 100) / 1.0
    quarter, edge = side // 4, 2 * side // CELLS
    np.testing.assert_allclose(mean[:, :quarter], expected, atol=0.5)  # weights have 8 bits
    np.testing.assert_allclose(mean[:, side // 2 + edge :], 10.0, atol=1e-3)
    np.testing.assert_array_equal(base[0, 0], np.float32([10, 10, 10, 255]) * 127.5)  # is left as it was


def test_rows_that_a_crop_does_not_count_in_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    side = finer(128)
    texture = rng.integers(0, 256, (side, side, 4), np.uint8)
    counts = np.zeros((CELLS, CELLS), np.float32)
    counts[20:30, 7:9] = 1.0
    base = np.ones((side, side, 4), np.float32)
    large = cv2.resize(255.0 * counts, (side, side), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(blend(base, [(texture, counts)]), 1.0 + texture * large[..., None], atol=255.0)
    assert np.array_equal(blend(base, [(texture, 0.001 * counts)]), base)  # under half a level of a weight


def test_a_feature_lies_inside_its_box_and_its_patch(people) -> None:
    faces = people[0]
    crop = unwrap(opaque(faces.rgb[2]), faces.points_xy[2])
    raster = rasterise(faces.points_xy[2], faces.depth[2], 256, 128)
    canonical = canonical_xy(raster)
    for mask, feature, patch in zip(feature_masks(), FEATURES, crop.patches, strict=True):
        rows, columns = np.nonzero(laid_over(mask, canonical) > 0.004)
        box = feature_box(faces.points_xy[2][list(feature.contour)], 256, 128)
        assert box[0].start * 2 <= rows.min() <= rows.max() < box[0].stop * 2
        assert box[1].start * 2 <= columns.min() <= columns.max() < box[1].stop * 2
        (x, y), (height, width) = patch.corner, patch.rgba.shape[:2]
        assert x <= columns.min() <= columns.max() < x + width
        assert y <= rows.min() <= rows.max() < y + height
        assert np.array_equal(patch.rgba[..., :3], faces.rgb[2, y : y + height, x : x + width])


def test_no_more_unwrapped_crops_are_kept_than_were_allowed(people) -> None:
    faces = people[0]
    rgba = opaque(faces.rgb)
    crop = unwrap(rgba[0], faces.points_xy[0])
    held = crop.texture.nbytes + sum(patch.rgba.nbytes for patch in crop.patches)
    assert 0.8 * held < unwrapped_bytes(256) < 1.3 * held
    gallery = Gallery.build(rgba, faces.points_xy, faces.depth, faces.moment, keep_bytes=15 * unwrapped_bytes(256))
    wanted = want(Geometry(faces.points_xy[0], faces.depth[0]), 256, 128)
    for row in range(len(rgba)):
        gallery.paint(wanted, *gallery.distances(gallery.eyes[row], gallery.mouth[row]))
    assert gallery.unwrapped.cache_info().currsize == 15


def test_crops_for_the_eyes_are_seen_above_the_nose_only(people) -> None:
    """And those for the mouth below it; whichever crop is bright shows where it counts."""
    faces = people[0]
    rgb = np.full_like(faces.rgb, 80)
    rgb[3] = 220
    gallery = Gallery.build(opaque(rgb), faces.points_xy, faces.depth, faces.moment)
    seen = Geometry(faces.points_xy[0], faces.depth[0])
    wanted = want(seen, 256, 128)
    far = np.full(len(rgb), 9.0, np.float32)
    own, other = far.copy(), far.copy()
    own[3], other[5] = 0.1, 0.1
    by_eyes = gallery.paint(wanted, own, other, count=1).astype(int)[..., 0]
    by_mouth = gallery.paint(wanted, other, own, count=1).astype(int)[..., 0]
    points = np.round(seen.points_xy).astype(int)
    for place in (9, 33, 386):  # forehead, eyes
        x, y = points[place]
        assert by_eyes[y, x] > by_mouth[y, x] + 40
    for place in (13, 199):  # lip, chin
        x, y = points[place]
        assert by_mouth[y, x] > by_eyes[y, x] + 40
    assert describe(frontalise(*seen), gallery.mean_cm)[0].shape == gallery.eyes[0].shape
