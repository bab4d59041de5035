from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from countenance.geometry import (
    CROP_SIZE,
    RIGID_POINTS,
    aligned_from_frame,
    apply,
    canonical_face,
    compose,
    face_hull,
    head_pose_degrees,
    invert,
    resize_matrix,
    smoothstep,
    template,
    umeyama,
    warp,
)

Matrix = NDArray[np.float64]


@st.composite
def similarities(draw: st.DrawFn) -> Matrix:
    """Any turn, scales from 1/20 to 20, shifts of up to 5000 pixels."""
    angle = draw(st.floats(-math.pi, math.pi))
    scale = math.exp(draw(st.floats(-3, 3)))
    x, y = draw(st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)))
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


@st.composite
def point_sets(draw: st.DrawFn, least: int = 2) -> Matrix:
    count = draw(st.integers(least, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.uniform(-1, 1, (count, 2)) * math.exp(draw(st.floats(-2, 8))) + rng.uniform(-1000, 1000, 2)


def mapped(b_from_a: Matrix, points: Matrix) -> Matrix:
    return points @ b_from_a[:, :2].T + b_from_a[:, 2]


def extent(points: Matrix) -> float:
    return float(np.ptp(points, axis=0).max())


@given(similarities(), point_sets())
def test_umeyama_recovers_a_known_similarity(known: Matrix, points: Matrix) -> None:
    assume(extent(points) > 1e-3)
    found = umeyama(points, mapped(known, points))
    scale = math.hypot(known[0, 0], known[1, 0])
    assert np.abs(mapped(found, points) - mapped(known, points)).max() < 1e-6 * (1 + scale * extent(points))
    np.testing.assert_allclose(found[:, :2], known[:, :2], atol=1e-6 * scale * (1 + 1000 / extent(points)))


@given(similarities(), point_sets(3), st.integers(0, 2**32 - 1))
def test_umeyama_is_the_least_squares_fit(known: Matrix, points: Matrix, seed: int) -> None:
    assume(extent(points) > 1)
    rng = np.random.default_rng(seed)
    scale = math.hypot(known[0, 0], known[1, 0])
    target = mapped(known, points) + rng.normal(0, 0.02 * scale * extent(points), points.shape)
    found = umeyama(points, target)

    def cost(matrix: Matrix) -> float:
        return float(((mapped(matrix, points) - target) ** 2).sum())

    best = cost(found)
    for _ in range(8):  # a step to any neighbouring similarity makes it worse
        turn, grow = rng.normal(0, 0.01, 2)
        c, s = (1 + grow) * math.cos(turn), (1 + grow) * math.sin(turn)
        centre = points.mean(0)
        step = np.array([[c, -s, 0.0], [s, c, 0.0]])
        step[:, 2] = centre - step[:, :2] @ centre + rng.normal(0, 0.01 * extent(points), 2)
        assert cost(compose(found, step)) >= best * (1 - 1e-9)


@given(similarities(), point_sets(3))
def test_umeyama_never_mirrors(known: Matrix, points: Matrix) -> None:
    assume(extent(points) > 1)
    mirrored = mapped(known, points * [-1.0, 1.0])
    try:
        found = umeyama(points, mirrored)
    except ValueError:
        return  # the best turn of points that lie in a circle may shrink them to nothing
    assert np.linalg.det(found[:, :2]) > 0


@given(st.integers(0, 2**32 - 1))
def test_umeyama_in_three_dimensions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 5, (20, 3))
    rotation, _ = np.linalg.qr(rng.normal(0, 1, (3, 3)))
    rotation *= np.linalg.det(rotation)
    shift = rng.normal(0, 100, 3)
    found = umeyama(points, 2.5 * points @ rotation.T + shift)
    np.testing.assert_allclose(found[:, :3], 2.5 * rotation, atol=1e-9)
    np.testing.assert_allclose(found[:, 3], shift, atol=1e-7)


@given(st.integers(0, 40), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_umeyama_raises_on_coincident_points(count: int, x: float, y: float) -> None:
    same = np.full((count, 2), (x, y))
    spread = np.random.default_rng(count).normal(0, 10, (count, 2))
    with pytest.raises(ValueError, match="at least two distinct"):
        umeyama(same, spread)
    if count > 1:
        with pytest.raises(ValueError, match="at least two distinct"):
            umeyama(spread, same)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_umeyama_raises_on_what_is_no_number(bad: float) -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [bad, 1.0]])
    with pytest.raises(ValueError, match="umeyama"):
        umeyama(points, np.eye(3, 2))


def test_umeyama_raises_on_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="one shape"):
        umeyama(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="one shape"):
        umeyama(np.zeros(4), np.zeros(4))


@given(similarities(), similarities(), point_sets())
def test_invert_and_compose_agree_with_the_points(b_from_a: Matrix, c_from_b: Matrix, points: Matrix) -> None:
    there = mapped(b_from_a, points)
    size = 1 + np.abs(points).max()
    # Undoing divides the rounding of numbers as large as the shift by the scale.
    scale = math.hypot(b_from_a[0, 0], b_from_a[1, 0])
    back = mapped(invert(b_from_a), there)
    assert np.abs(back - points).max() < 1e-11 * (size + (5000 + size * scale) / scale)
    np.testing.assert_allclose(compose(invert(b_from_a), b_from_a)[:, :2], np.eye(2), atol=1e-9)
    np.testing.assert_allclose(
        mapped(compose(c_from_b, b_from_a), points), mapped(c_from_b, there), rtol=1e-8, atol=1e-4
    )


def test_apply_is_float32_and_the_same_map() -> None:
    matrix = np.array([[0.0, -2.0, 10.0], [2.0, 0.0, 5.0]])
    result = apply(matrix, np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[10, 7], [8, 5]])


def test_invert_refuses_a_flat_matrix() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        invert(np.zeros((2, 3)))


@given(st.integers(2, 512), st.integers(2, 512))
def test_resizing_keeps_the_edges(from_size: int, to_size: int) -> None:
    corners = np.array([[-0.5, -0.5], [from_size - 0.5, from_size - 0.5]])
    np.testing.assert_allclose(
        mapped(resize_matrix(from_size, to_size), corners), [[-0.5, -0.5], [to_size - 0.5, to_size - 0.5]], atol=1e-9
    )


def smooth_picture(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 17 + y / 29), np.cos(y / 13 - x / 31), np.sin((x + y) / 23)]
    return np.stack([127 + 120 * wave for wave in waves], axis=2).astype(np.uint8)


@settings(max_examples=25)
@given(angle=st.floats(-180, 180), log_scale=st.floats(-0.4, 1.0), x=st.floats(-20, 20), y=st.floats(-20, 20))
def test_warp_and_its_inverse_give_the_picture_back(angle: float, log_scale: float, x: float, y: float) -> None:
    picture = smooth_picture(120, 160)
    scale, radians = math.exp(log_scale), math.radians(angle)
    c, s = scale * math.cos(radians), scale * math.sin(radians)
    linear = np.array([[c, -s], [s, c]])
    centre, middle = np.array([80.0 + x, 60.0 + y]), np.array([300.0, 300.0])
    b_from_a = np.column_stack([linear, middle - linear @ centre])
    there = warp(picture, b_from_a, (600, 600))
    back = warp(there, invert(b_from_a), (120, 160))
    inside = (slice(8, -8), slice(8, -8))  # the border reflects
    assert np.abs(back[inside].astype(int) - picture[inside]).mean() < 1.5


def test_warp_by_nothing_changes_nothing() -> None:
    picture = smooth_picture(40, 50)
    np.testing.assert_array_equal(warp(picture, np.eye(2, 3), (40, 50)), picture)


def test_warp_shifts_in_the_right_direction() -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    picture[2, 3] = 255  # x = 3, y = 2
    moved = warp(picture, np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 4.0]]), (9, 9))
    assert moved[6, 5].min() == 255


def test_shrinking_averages_instead_of_skipping() -> None:
    board = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)
    small = warp(np.repeat(board[..., None].astype(np.uint8), 3, 2), resize_matrix(256, 32), (32, 32))
    assert abs(float(small.mean()) - 127.5) < 2
    assert small.std() < 6  # sampling without a low-pass gives stripes or a flat black


def test_warp_takes_masks_too() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 5:15] = 255
    assert warp(mask, resize_matrix(20, 40), (40, 40)).shape == (40, 40)


def test_template_is_a_centred_upright_face_with_a_margin() -> None:
    points = template(CROP_SIZE)
    assert points.shape == (468, 2)
    assert points.dtype == np.float32
    assert points.min() > 0.05 * CROP_SIZE
    assert points.max() < 0.95 * CROP_SIZE
    nose, chin, forehead, right_eye, left_eye = points[[4, 152, 10, 33, 263]]
    assert forehead[1] < right_eye[1] < nose[1] < chin[1]
    assert right_eye[0] < nose[0] < left_eye[0]  # the person's right is at the picture's left
    assert abs(nose[0] - (CROP_SIZE - 1) / 2) < 1
    assert abs(right_eye[1] - left_eye[1]) < 1


@given(st.integers(32, 1024))
def test_template_grows_with_the_crop(size: int) -> None:
    scaled = apply(resize_matrix(CROP_SIZE, size), template(CROP_SIZE))
    np.testing.assert_allclose(template(size), scaled, atol=1e-3 * size / 32)


@given(similarities())
def test_alignment_undoes_any_pose_in_the_plane(frame_from_template: Matrix) -> None:
    face = apply(frame_from_template, template(CROP_SIZE))
    assume(extent(face.astype(np.float64)) > 20)
    aligned = apply(aligned_from_frame(face, CROP_SIZE), face)
    assert np.abs(aligned - template(CROP_SIZE)).max() < 0.25


def test_rigid_points_are_landmarks_and_unique() -> None:
    assert len(set(RIGID_POINTS.tolist())) == len(RIGID_POINTS)
    assert RIGID_POINTS.max() < 468
    lips_and_jaw = {0, 13, 14, 17, 61, 291, 78, 308, 152, 148, 377}
    assert not lips_and_jaw & set(RIGID_POINTS.tolist())


def test_hull_holds_every_landmark() -> None:
    import cv2

    points = template(CROP_SIZE)
    hull = face_hull(points)
    assert hull.dtype == np.float32
    assert hull.shape[1] == 2
    assert 8 < len(hull) < 100
    for x, y in points[::7].tolist():
        assert cv2.pointPolygonTest(hull, (x, y), measureDist=False) >= 0


def turned_face(yaw: float, pitch: float, roll: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The canonical mesh, turned, as a camera without perspective sees it: x right, y down, smaller depth is nearer."""
    points = canonical_face().vertices_cm.astype(np.float64) * [1, -1, -1]
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned = 10 * points @ (about_z @ about_x @ about_y).T + [320, 240, 0]
    padded = np.vstack([turned, np.zeros((10, 3))])
    return padded[:, :2].astype(np.float32), padded[:, 2].astype(np.float32)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 25), (0, 0, -25)]
)
def test_head_pose_has_the_right_sign_and_size(yaw: float, pitch: float, roll: float) -> None:
    assert head_pose_degrees(*turned_face(yaw, pitch, roll)) == pytest.approx((yaw, pitch, roll), abs=0.01)


def test_head_pose_signs_as_a_viewer_sees_them() -> None:
    front, _ = turned_face(0, 0, 0)
    nose, chin, forehead = 4, 152, 10

    def nose_moves(points: NDArray[np.float32]) -> NDArray[np.float32]:
        return (points[nose] - points[[chin, forehead]].mean(0)) - (front[nose] - front[[chin, forehead]].mean(0))

    assert nose_moves(turned_face(25, 0, 0)[0])[0] > 3  # positive yaw: to the picture's right
    assert nose_moves(turned_face(0, 15, 0)[0])[1] < -1  # positive pitch: up
    leaning = turned_face(0, 0, 20)[0]
    assert leaning[forehead, 0] > leaning[chin, 0]  # positive roll: clockwise, the forehead goes right


@given(st.floats(-60, 60), st.floats(-40, 40))
def test_head_pose_of_yaw_and_pitch_together(yaw: float, pitch: float) -> None:
    points, depth = turned_face(yaw, 0, 0)
    assert head_pose_degrees(points, depth)[0] == pytest.approx(yaw, abs=0.01)
    points, depth = turned_face(0, pitch, 0)
    assert head_pose_degrees(points, depth)[1] == pytest.approx(pitch, abs=0.01)


def test_head_pose_does_not_depend_on_place_or_size() -> None:
    points, depth = turned_face(20, 10, 5)
    assert head_pose_degrees(points * 3 + 100, depth * 3) == pytest.approx(head_pose_degrees(points, depth), abs=0.01)


def test_smoothstep_is_flat_at_both_ends_and_keeps_its_dtype() -> None:
    ramp = smoothstep(np.array([-3.0, 0.0, 0.25, 0.5, 1.0, 9.0], np.float32))
    np.testing.assert_allclose(ramp, [0.0, 0.0, 0.15625, 0.5, 1.0, 1.0])
    assert ramp.dtype == np.float32
