"""Light without features: what is measured, taken off and put on another face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from training_faces import made_faces, without_light

from countenance.training.mesh import rasterise
from countenance.training.prepare import PersonFaces
from countenance.training.shading import (
    GRID,
    NEUTRAL_SCALE,
    canonical_xy,
    light_gain,
    mean_texture,
    shading_of,
    texture_of,
)

SIDE = 256


def person(seed: int, count: int = 6, skin: float = 130.0) -> PersonFaces:
    """Faces of one person: the same brows, lips and freckles on the mesh in every crop, under even light."""
    faces = made_faces(count, seed)
    rng = np.random.default_rng(seed + 50)
    paint = np.full((SIDE, SIDE, 3), skin, np.float32)
    for x, y in rng.integers(70, 186, (60, 2)):
        cv2.circle(paint, (int(x), int(y)), 3, (60.0, 40.0, 40.0), -1)
    front = made_faces(1, seed)
    rgb = np.stack(
        [
            rasterise(points, depth, SIDE, SIDE).warp(paint.astype(np.uint8), front.points_xy[0])
            for points, depth in zip(faces.points_xy, faces.depth, strict=True)
        ]
    )
    return faces._replace(rgb=rgb)


def lit(faces: PersonFaces, gain: np.ndarray) -> PersonFaces:
    """The same faces, linear light times ``gain`` ``(S, S, 3)`` in crop pixels."""
    linear = (faces.rgb / 255.0) ** 2.2 * gain
    return faces._replace(rgb=np.clip(np.round(255.0 * linear ** (1 / 2.2)), 0, 255).astype(np.uint8))


def side_light(strength: float) -> np.ndarray:
    """Brighter towards the right, by a factor of e^strength from edge to edge."""
    ramp = np.exp(strength * (np.arange(SIDE) / (SIDE - 1) - 0.5))
    return np.broadcast_to(ramp[None, :, None], (SIDE, SIDE, 3))


def inside(faces: PersonFaces, row: int) -> np.ndarray:
    mask = rasterise(faces.points_xy[row], faces.depth[row], SIDE, SIDE).inside
    return cv2.erode(mask, np.ones((15, 15))) > 0


def test_a_face_in_its_mean_light_has_no_shading() -> None:
    faces = person(1)
    mean = mean_texture(faces)
    assert mean.shape == (GRID, GRID, 3)
    shading = shading_of(faces.rgb[2], faces.points_xy[2], mean)
    front = rasterise(faces.points_xy[0], faces.depth[0], SIDE, GRID).inside > 0
    assert np.abs(shading[front]).mean() < 0.04


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_twice_the_light_is_its_logarithm_everywhere_and_features_cancel(factor: float) -> None:
    faces = person(2)
    mean = mean_texture(faces)
    changed = lit(faces, np.full((SIDE, SIDE, 3), factor))
    shading = shading_of(changed.rgb[1], faces.points_xy[1], mean)
    front = cv2.erode(rasterise(faces.points_xy[0], faces.depth[0], SIDE, GRID).inside, np.ones((9, 9))) > 0
    assert np.median(shading[front]) == pytest.approx(np.log(factor), abs=0.12)
    assert shading[front].std() < 0.15  # dark freckles on bright skin: a plain low-pass of the picture has 0.3
    plain = cv2.GaussianBlur(texture_of(changed.rgb[1], faces.points_xy[1]), (0, 0), 2.0)
    assert shading[front].std() < 0.6 * plain[front].std()


def test_crops_of_all_lights_look_alike_without_their_light() -> None:
    faces = person(3)
    gains = [side_light(strength) for strength in (-1.2, -0.6, 0.0, 0.6, 1.2, 0.3)]
    mixed = faces._replace(
        rgb=np.stack([lit(faces.take(np.array([row])), gain).rgb[0] for row, gain in enumerate(gains)])
    )
    mean = mean_texture(mixed)
    neutral = without_light(mixed, mean)
    before, after = [], []
    for row in range(len(gains)):
        skin = inside(faces, row)
        left, right = skin.copy(), skin.copy()
        left[:, SIDE // 2 :] = False
        right[:, : SIDE // 2] = False
        for pictures, steps in ((mixed.rgb, before), (neutral[..., :3], after)):
            steps.append(np.median(pictures[row][right]) / np.median(pictures[row][left]))
    assert np.std(after) < 0.3 * np.std(before)


def test_taking_the_light_off_and_putting_it_back_is_the_picture() -> None:
    faces = lit(person(4), side_light(0.8))
    mean = mean_texture(person(4))
    neutral = without_light(faces, mean)
    for row in (0, 3):
        raster = rasterise(faces.points_xy[row], faces.depth[row], SIDE, SIDE // 2)
        gain = light_gain(shading_of(faces.rgb[row], faces.points_xy[row], mean), canonical_xy(raster))
        back = neutral[row, ..., :3] / NEUTRAL_SCALE * gain
        assert np.abs(back - faces.rgb[row])[inside(faces, row)].mean() < 2.5


def test_the_light_of_one_person_falls_on_another_who_keeps_their_features() -> None:
    performer, lender = person(5, skin=150.0), person(6, skin=110.0)
    scene = lit(performer, side_light(1.0))
    shading = shading_of(scene.rgb[0], scene.points_xy[0], mean_texture(performer))
    neutral = without_light(lender, mean_texture(lender))
    raster = rasterise(lender.points_xy[0], lender.depth[0], SIDE, SIDE // 2)
    painted = neutral[0, ..., :3] / NEUTRAL_SCALE * light_gain(shading, canonical_xy(raster))
    wanted = lit(lender, side_light(1.0)).rgb[0]
    skin = inside(lender, 0)
    assert np.abs(painted - wanted)[skin].mean() < 0.35 * np.abs(lender.rgb[0].astype(float) - wanted)[skin].mean()
    freckles = np.corrcoef(painted[skin].mean(1), wanted[skin].mean(1))[0, 1]
    assert freckles > 0.95


def test_darkness_and_white_stay_finite() -> None:
    faces = made_faces(4, 7)
    for code in (0, 255):
        flat = faces._replace(rgb=np.full_like(faces.rgb, code))
        mean = mean_texture(faces)
        assert np.isfinite(shading_of(flat.rgb[0], flat.points_xy[0], mean)).all()
        assert without_light(flat, mean).dtype == np.uint8
