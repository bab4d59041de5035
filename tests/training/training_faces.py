"""Faces that need no network: the canonical mesh, bent a little, over smooth random pictures."""

import cv2
import numpy as np

from countenance.geometry import canonical_face, template
from countenance.training.prepare import PersonFaces
from countenance.training.shading import neutral_crop


def made_faces(count: int, seed: int, size: int = 256) -> PersonFaces:
    rng = np.random.default_rng(seed)
    scale = 12.0 / 256.0 * size
    mesh = template(size)
    irises = np.concatenate([np.repeat(mesh[[159]], 5, 0), np.repeat(mesh[[386]], 5, 0)])
    neutral = np.concatenate([mesh, irises])
    z = -canonical_face().vertices_cm[:, 2] * scale
    depth = np.concatenate([z, np.repeat(z[159], 5), np.repeat(z[386], 5)]).astype(np.float32)
    mouth = neutral[:, 1] > size * 0.65
    points, pictures = [], []
    for _ in range(count):
        moved = neutral.copy()
        moved[mouth, 1] += rng.uniform(0, 0.04 * size)
        points.append(moved + rng.normal(0, 0.2, moved.shape))
        coarse = rng.integers(40, 216, (8, 8, 3)).astype(np.uint8)
        pictures.append(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))
    moment = np.stack([np.zeros(count, np.int64), np.arange(count) * 3], axis=1)
    return PersonFaces(
        np.stack(pictures),
        np.stack(points).astype(np.float32),
        np.tile(depth, (count, 1)),
        np.full((count, 64, 64), 255, np.uint8),
        moment,
    )


def without_light(faces: PersonFaces, mean: np.ndarray) -> np.ndarray:
    """Every crop as ``neutral_crop`` makes it: uint8 ``(N, S, S, 4)``."""
    rows = zip(faces.rgb, faces.points_xy, faces.depth, strict=True)
    return np.stack([neutral_crop(rgb, points_xy, depth, mean) for rgb, points_xy, depth in rows])
