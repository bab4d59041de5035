import cv2
import numpy as np
import pytest

from countenance import geometry
from countenance.training.closing import expression
from countenance.training.mesh import frontalise, outline, rasterise
from countenance.training.reference import (
    Gallery,
    Geometry,
    describe,
    fitted_shape_cm,
    mean_shape_cm,
    soft_neighbours,
    transfer,
    want,
)
from countenance.training.shading import features, laid_over
from countenance.training.skin import own_skin


def test_the_outline_is_the_36_points_around_the_face() -> None:
    loop = outline()
    assert len(loop) == len(set(loop.tolist())) == 36
    assert {10, 152, 234, 454} <= set(loop.tolist())  # forehead, chin, both sides


def _small(error: np.ndarray) -> None:
    """Next to nothing moves at all, and the few pixels beside a triangle seen edge-on move by a few pixels at most."""
    assert np.percentile(error, 99) < 0.05
    assert error.max() < 5.0


def test_warping_a_face_to_itself_changes_nothing(people) -> None:
    faces = people[0]
    raster = rasterise(faces.points_xy[0], faces.depth[0], size=256, grid=256)
    here = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)
    _small(np.linalg.norm(raster.sampling_map(faces.points_xy[0]) - here, axis=2)[raster.triangle >= 0])
    moved = raster.warp(faces.rgb[0], faces.points_xy[0])
    assert np.abs(moved.astype(int) - faces.rgb[0].astype(int)).mean() < 0.1


def test_a_triangle_seen_edge_on_fetches_nothing_from_afar(people) -> None:
    faces = people[0]
    points = faces.points_xy[0].copy()
    points[[1, 44, 274], 0] = points[4, 0]  # the nose's triangles fold into slivers
    mapping = rasterise(points, faces.depth[0], size=256, grid=256).sampling_map(faces.points_xy[0])
    x, y = np.round(points[1]).astype(int)
    around = mapping[y - 20 : y + 20, x - 20 : x + 20].reshape(-1, 2)
    assert np.linalg.norm(around - faces.points_xy[0][1], axis=1).max() < 40.0


def test_half_a_grid_loses_less_than_a_tenth_of_a_pixel(people) -> None:
    faces = people[0]
    fine = rasterise(faces.points_xy[0], faces.depth[0], size=256, grid=256)
    coarse = rasterise(faces.points_xy[0], faces.depth[0], size=256, grid=128)
    enlarged = cv2.resize(coarse.sampling_map(faces.points_xy[1]), (256, 256))
    inside = cv2.erode(fine.inside, np.ones((5, 5))) > 0
    error = np.linalg.norm(enlarged - fine.sampling_map(faces.points_xy[1]), axis=2)[inside]
    assert np.median(error) < 0.1


def test_the_warp_follows_a_known_similarity(people) -> None:
    faces = people[0]
    matrix = np.array([[0.9, -0.1, 20.0], [0.1, 0.9, 5.0]])
    moved_points = geometry.apply(matrix, faces.points_xy[0])
    raster = rasterise(moved_points, faces.depth[0], size=256, grid=256)
    mapping = raster.sampling_map(faces.points_xy[0])
    rows, columns = np.nonzero(raster.inside > 0)
    back = geometry.apply(geometry.invert(matrix), np.stack([columns, rows], 1))
    _small(np.linalg.norm(mapping[rows, columns] - back, axis=1))


def test_what_is_nearer_hides_what_is_behind(people) -> None:
    faces = people[0]
    points, depth = faces.points_xy[0].copy(), faces.depth[0].copy()
    tip = np.array([1, 4, 5, 195])
    points[tip, 0] += 60  # a nose over the cheek
    number = rasterise(points, depth, size=256, grid=256).triangle
    x, y = np.round(points[1]).astype(int)
    near = geometry.canonical_face().triangles.astype(int)
    covering = number[y, x] - 72  # the ring's triangles come first
    assert set(near[covering]) & set(tip.tolist())


def test_frontalise_undoes_pose(people) -> None:
    faces = people[0]
    still = frontalise(faces.points_xy[0], faces.depth[0])
    yaw = np.radians(20)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    solid = np.column_stack([faces.points_xy[0], faces.depth[0]]) @ turn.T
    turned = frontalise(solid[:, :2].astype(np.float32), solid[:, 2].astype(np.float32))
    np.testing.assert_allclose(turned.shape_cm, still.shape_cm, atol=1e-3)


def test_transfer_to_ones_own_shape_is_the_identity(people) -> None:
    faces = people[0]
    mean = mean_shape_cm(faces.points_xy, faces.depth)
    seen = Geometry(faces.points_xy[3], faces.depth[3])
    frontal = frontalise(*seen)
    there_and_back = transfer(frontal, expression(frontal, mean, mean), mean)
    np.testing.assert_allclose(there_and_back.points_xy, seen.points_xy, atol=1e-3)


def test_the_outline_stays_the_performers_and_the_features_become_the_lenders(people) -> None:
    performer = mean_shape_cm(people[1].points_xy, people[1].depth)
    lender = performer.copy()
    lender[[13, 14], 1] += 0.5  # lips lower than the performer's
    lender[outline(), 0] *= 1.2  # and a wider face
    fitted = fitted_shape_cm(lender, performer)
    np.testing.assert_allclose(fitted[outline()], performer[outline()], atol=1e-9)
    assert 0.3 < fitted[13, 1] - performer[13, 1] < 0.6


def test_neighbours_weights_are_continuous_where_one_replaces_another() -> None:
    def weights_at(d: float) -> np.ndarray:
        distances = np.array([0.5, 0.8, 1.0, d], np.float32)
        order, weights = soft_neighbours(distances, 3)
        full = np.zeros(4)
        full[order] = weights
        return full

    before, after = weights_at(1.0 + 1e-4), weights_at(1.0 - 1e-4)
    np.testing.assert_allclose(before, after, atol=1e-3)
    assert weights_at(1.5)[:3].sum() > 0.999


def test_a_face_that_may_not_be_used_is_not_used() -> None:
    order, weights = soft_neighbours(np.array([np.inf, 2.0, np.inf, 1.0], np.float32), 4)
    assert set(order.tolist()) == {1, 3}
    np.testing.assert_allclose(weights.sum(), 1.0, atol=1e-6)


def test_a_gallery_paints_its_own_face_back(people) -> None:
    faces = people[0]
    opaque = np.full((*faces.rgb.shape[:3], 1), 255, np.uint8)
    rgba = np.concatenate([faces.rgb, opaque], 3)
    gallery = Gallery.build(rgba, faces.points_xy, faces.depth, faces.moment)
    seen = Geometry(faces.points_xy[5], faces.depth[5])
    wanted = want(seen, 256, 128)
    frontal = frontalise(*seen)
    by_eyes, by_mouth = gallery.distances(*describe(frontal, frontal.shape_cm - gallery.mean_cm))
    assert by_eyes.argmin() == by_mouth.argmin() == 5
    painted = gallery.paint(wanted, by_eyes, by_mouth, count=1).astype(float)
    own = faces.rgb[5].astype(float)
    moving = laid_over(features(), wanted.canonical) > 0.99
    assert np.abs(painted - own)[moving].mean() < 2.0
    # The skin is half of it the crop's, half what all crops agree on.
    skin = (cv2.resize(wanted.raster.inside, (256, 256)) > 0.99) & (laid_over(features(), wanted.canonical) < 0.01)
    agreed = laid_over(own_skin(rgba, faces.points_xy, gallery.areas), wanted.canonical)
    assert np.abs(painted - 0.5 * (own + agreed))[skin].mean() < 2.0


def _with_irises(picture: np.ndarray, points: np.ndarray, colour: int) -> np.ndarray:
    marked = picture.copy()
    for iris in (468, 473):
        x, y = np.round(points[iris]).astype(int)
        cv2.circle(marked, (int(x), int(y)), 3, (colour,) * 3, -1)
    return marked


def _looking(faces, row: int, shift: float, lids: float = 5.0) -> np.ndarray:
    """Landmarks with open eyes whose irises are moved to the side by so many pixels."""
    points = faces.points_xy[row].copy()
    for upper, lower, iris in ((159, 145, 468), (386, 374, 473)):
        points[upper, 1] -= lids / 2
        points[lower, 1] += lids / 2
        middle = (points[upper] + points[lower]) / 2
        points[iris : iris + 5] = middle + np.array([shift, 0.0])
    return points


def test_the_irises_come_to_their_places(people) -> None:
    faces = people[0]
    source, wanted = _looking(faces, 0, -3.0), _looking(faces, 1, 3.0)
    picture = _with_irises(np.full((256, 256, 3), 200, np.uint8), source, 0)
    moved = rasterise(wanted, faces.depth[1], size=256, grid=256).warp(picture, source)
    for iris in (468, 473):
        x, y = np.round(wanted[iris]).astype(int)
        part = 255.0 - moved[y - 8 : y + 9, x - 8 : x + 9, 0]
        part = np.where(part > 80, part, 0)
        rows, columns = np.indices(part.shape)
        found = np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum() - 8
        assert np.linalg.norm(found) < 1.2
    corner = moved[int(wanted[33, 1]) - 30, int(wanted[33, 0])]
    assert (corner == 200).all()


def test_a_closed_eye_keeps_its_lids_where_they_are(people) -> None:
    faces = people[0]
    source, wanted = _looking(faces, 0, -3.0, lids=-3.0), _looking(faces, 0, 3.0, lids=-3.0)
    for points in (source, wanted):
        for upper, lower in ((159, 145), (386, 374)):
            points[upper] = points[lower]  # shut
    raster = rasterise(wanted, faces.depth[0], size=256, grid=256)
    still = rasterise(source, faces.depth[0], size=256, grid=256)
    assert np.array_equal(raster.warp(faces.rgb[0], source), still.warp(faces.rgb[0], source))


def test_irises_outside_the_crop_are_left_alone(people) -> None:
    faces = people[0]
    points = faces.points_xy[0].copy()
    points[468:] = -500.0
    moved = rasterise(points, faces.depth[0], size=256, grid=128).warp(faces.rgb[0], faces.points_xy[0])
    assert moved.shape == (256, 256, 3)


@pytest.mark.parametrize(("size", "grid"), [(256, 128), (128, 128)])
def test_a_part_of_a_warp_is_part_of_the_whole(people, size: int, grid: int) -> None:
    faces = people[0]
    matrix = geometry.resize_matrix(256, size)
    points = (faces.points_xy * matrix[0, 0] + matrix[0, 2]).astype(np.float32)
    picture = np.asarray(cv2.resize(faces.rgb[1], (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    raster = rasterise(points[0], faces.depth[0], size, grid)
    whole, each = raster.warp(picture, points[1]), size // grid
    # In the second one lies a part of the bend around an iris only.
    for rows, columns in (
        (slice(0, 10), slice(0, grid)),
        (slice(35, 46), slice(41, 66)),
        (slice(9, grid), slice(20, grid)),
    ):
        part = raster.warp(picture, points[1], (rows, columns))
        inside = slice(rows.start * each, rows.stop * each), slice(columns.start * each, columns.stop * each)
        assert np.array_equal(part, whole[inside])
    cut = raster.warp(picture[4:, 2:], points[1], (slice(35, 46), slice(41, 66)), (2, 4))
    assert np.abs(cut.astype(int) - whole[35 * each : 46 * each, 41 * each : 66 * each]).max() <= 1
