"""A world of faces that are known exactly, and networks that see them: no weights, no pictures of anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from countenance import geometry
from countenance.conversion.settings import ConvertSettings
from countenance.perception.identity import Impression
from countenance.types import AlignedFace, Detection, FaceLandmarks, Frame, Mask, SwappedFace

PERFORMER = np.zeros(128, np.float32)
PERFORMER[0] = 1.0
RATE = 25


@dataclass
class Face:
    """A face in one frame: its middle and height in pixels, and what the networks will say of it."""

    x: float
    y: float
    height: float = 80.0
    cosine: float = 0.9
    score: float = 0.95
    presence: float = 1.0
    yaw: float = 0.0
    age: float = 40.0
    clarity: float = 14.0
    squeeze: float = 1.0
    found_near: bool = False
    found_wide: bool = False

    def points(self) -> np.ndarray:
        shape = geometry.canonical_face().vertices_cm.astype(np.float64) * [1.0, -1.0, -1.0]
        turn = np.radians(self.yaw)
        turned = shape @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        turned *= self.height / np.ptp(shape[:, 1])
        turned[:, 0] *= self.squeeze
        turned[:, :2] += [self.x, self.y]
        return np.concatenate([turned, np.repeat(turned[:1], 10, axis=0)])

    def box(self) -> np.ndarray:
        points = self.points()
        return np.concatenate([points[:, :2].min(0), points[:, :2].max(0)]).astype(np.float32)


@dataclass
class Search:
    """Finds a face again where ``found_near`` says so, and ``wide`` where ``found_wide`` does."""

    world: World

    def near(self, rgb: np.ndarray, box_xyxy: np.ndarray, degrees: float, min_score: float) -> Detection | None:
        x, y = box_xyxy.reshape(2, 2).mean(0)
        face = self.world.nearest(self.world.index(rgb, "near"), float(x), float(y))
        found = face is not None and face.found_near and np.hypot(face.x - x, face.y - y) < face.height
        return Detection(face.box(), face.score, np.zeros((5, 2), np.float32)) if found and face else None

    def wide(self, rgb: np.ndarray, min_score: float, *, turned: bool, empty: bool) -> list[Detection]:
        faces = self.world.script.get(self.world.index(rgb, "wide"), [])
        assert empty == all(face.score < ConvertSettings().weak_score for face in faces)  # what the detector said
        return [Detection(f.box(), 0.9, np.zeros((5, 2), np.float32)) for f in faces if f.found_wide]


@dataclass
class World:
    """``script`` maps a frame's index to its faces; the index is read from the picture itself."""

    script: dict[int, list[Face]]
    fail_at: dict[str, int] = field(default_factory=dict)
    sexual: dict[int, float] = field(default_factory=dict)
    noise: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)

    def index(self, rgb: np.ndarray, part: str) -> int:
        self.calls[part] = self.calls.get(part, 0) + 1
        index = round(float(rgb[:16, :16].mean()) / 8.0)
        if self.fail_at.get(part) == index:
            raise RuntimeError(f"{part} broke")
        return index

    def nearest(self, index: int, x: float, y: float) -> Face | None:
        faces = [face for face in self.script.get(index, []) if np.hypot(face.x - x, face.y - y) < face.height]
        return min(faces, key=lambda face: np.hypot(face.x - x, face.y - y), default=None)

    def detector(self, rgb: np.ndarray, *, min_score: float = 0.6) -> list[Detection]:
        faces = self.script.get(self.index(rgb, "detector"), [])
        seen = sorted((face for face in faces if face.score >= min_score), key=lambda face: -face.height)
        return [Detection(face.box(), face.score, np.zeros((5, 2), np.float32)) for face in seen]

    def mesh(self, rgb: np.ndarray, near: Detection | FaceLandmarks, *, expression: bool = True) -> FaceLandmarks:
        index = self.index(rgb, "mesh")
        if isinstance(near, Detection):
            x, y = near.box_xyxy.reshape(2, 2).mean(0)
        else:
            x, y = near.points_xy[:468].mean(0)
        face = self.nearest(index, float(x), float(y))
        points = (face or Face(float(x), float(y))).points()
        jitter = np.random.default_rng(index).normal(0, self.noise, (478, 2)) if self.noise else 0.0
        return FaceLandmarks(
            (points[:, :2] + jitter).astype(np.float32),
            points[:, 2].astype(np.float32),
            np.zeros(52, np.float32),
            face.presence if face else 0.0,
        )

    def _of(self, rgb: np.ndarray, landmarks: FaceLandmarks, part: str) -> Face:
        x, y = landmarks.points_xy[:468].mean(0)
        face = self.nearest(self.index(rgb, part), float(x), float(y))
        assert face is not None
        return face

    def embedder(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> np.ndarray:
        cosine = self._of(rgb, landmarks, "embedder").cosine
        vector = np.zeros(128, np.float32)
        vector[:2] = cosine, np.sqrt(1.0 - cosine**2)
        return vector

    def look(self, rgb: np.ndarray, face: Detection | FaceLandmarks) -> Impression:
        if isinstance(face, Detection):
            face = self.mesh(rgb, face)
        return Impression(self.embedder(rgb, face), self._of(rgb, face, "clarity").clarity)

    @property
    def search(self) -> Search:
        return Search(self)

    def age(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> float:
        return self._of(rgb, landmarks, "age").age

    def screen(self, rgb: np.ndarray) -> float:
        return self.sexual.get(self.index(rgb, "screen"), 0.01)

    def occlusion(self, face: AlignedFace) -> Mask:
        self.calls["occlusion"] = self.calls.get("occlusion", 0) + 1
        return Mask(np.ones((128, 128), np.float32), "occlusion")


def picture(index: int, height: int = 180, width: int = 320, scene: int = 0) -> np.ndarray:
    """A textured frame that carries its index (0..31) in its corner; scenes look different."""
    y, x = np.mgrid[:height, :width]
    base = 110 + 40 * np.sin(x / (9.0 + 5 * scene) + scene) + 30 * np.cos(y / (7.0 + 3 * scene))
    rgb = np.stack([base, np.roll(base, 9 + 40 * scene, 1), 255 - base if scene else base], -1)
    rgb = np.clip(rgb - 60 * scene, 0, 255).astype(np.uint8)
    rgb[:20, :20] = index * 8
    return rgb


def frame(index: int, **look: int) -> Frame:
    return Frame(picture(index, **look), index, index * 512, Fraction(1, 512 * RATE))


def swap_identity(faces) -> list[SwappedFace]:
    return [SwappedFace(face.rgb, Mask(np.ones((face.size, face.size), np.float32), "predicted")) for face in faces]


def swap_black(faces) -> list[SwappedFace]:
    return [SwappedFace(np.zeros_like(face.rgb), swap_identity([face])[0].mask) for face in faces]
