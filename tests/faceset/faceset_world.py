"""A world of painted people that are known exactly, and networks that see them: no weights, nobody's picture."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from countenance import geometry
from countenance.config import CONFIG_NAME
from countenance.faceset import layout
from countenance.faceset.extract import ExtractReport, extract
from countenance.faceset.store import FaceSet
from countenance.perception.identity import Impression
from countenance.project import Project
from countenance.types import AlignedFace, Detection, FaceLandmarks, Mask
from countenance.vault import ProjectKey

WIDTH, HEIGHT, RATE = 320, 240, 25
KEY = ProjectKey("0" * 32, bytes(range(32)))
LIPS = [13, 14, 0, 17, 37, 267, 84, 314, 82, 312, 87, 317]
NOSE_TIP = 4


@dataclass(frozen=True)
class Actor:
    """A face in one frame: whose it is (0 red, 1 green, 2 blue), where, and what the networks will say of it."""

    who: int = 0
    x: float = 160.0
    y: float = 120.0
    height: float = 110.0
    mouth: float = 0.0
    yaw: float = 0.0
    presence: float = 1.0
    sharp: bool = True
    margin: float = 20.0  # pixels of the person around the landmarks' box

    def points(self) -> np.ndarray:
        """``(478, 3)`` x, y and depth in frame pixels."""
        shape = geometry.canonical_face().vertices_cm.astype(np.float64) * [1.0, -1.0, -1.0]
        turn = np.radians(self.yaw)
        turned = shape @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        turned *= self.height / np.ptp(shape[:, 1])
        turned[:, :2] += [self.x, self.y]
        turned[LIPS, 1] += self.mouth
        return np.concatenate([turned, np.repeat(turned[[33, 263]], 5, axis=0)])

    def box(self) -> np.ndarray:
        xy = self.points()[:468, :2]
        return np.concatenate([xy.min(0), xy.max(0)]).astype(np.float32)

    def paint(self, rgb: np.ndarray) -> None:
        rng = np.random.default_rng(self.who)
        noise = rng.integers(0, 120, (64, 64)).astype(np.float32) if self.sharp else np.full((64, 64), 60.0, np.float32)
        left, top, right, bottom = (round(float(v)) for v in self.box() + self.margin * np.array([-1, -1, 1, 1]))
        noise = cv2.resize(noise, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        patch = np.repeat(noise[:, :, None], 3, axis=2)
        patch[:, :, self.who] += 120.0
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, rgb.shape[1]), min(bottom, rgb.shape[0])
        if x1 > x0 and y1 > y0:
            rgb[y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.uint8)


def talk(count: int, **facts: object) -> list[list[Actor]]:
    """``count`` frames of one actor whose every frame is new: the mouth opens wider and wider."""
    return [[Actor(mouth=1.2 * index, **facts)] for index in range(count)]  # type: ignore[arg-type]


def paint(index: int, actors: list[Actor]) -> np.ndarray:
    """A frame; its index stands in two blocks of grey at the top."""
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for actor in actors:
        actor.paint(rgb)
    rgb[:8, :8], rgb[:8, 8:16] = (index % 50) * 5, (index // 50) * 5
    return rgb


def index_of(rgb: np.ndarray) -> int:
    return round(float(rgb[1:7, 1:7].mean()) / 5.0) + 50 * round(float(rgb[1:7, 9:15].mean()) / 5.0)


def film(path: Path, script: list[list[Actor]]) -> Path:
    """Write a script as a lossless video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        stream.codec_context.time_base = Fraction(1, RATE)
        for index, actors in enumerate(script):
            frame = av.VideoFrame.from_ndarray(paint(index, actors), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def photo(path: Path, actors: list[Actor], index: int = 0) -> Path:
    assert cv2.imwrite(str(path), paint(index, actors)[:, :, ::-1])
    return path


def who_of(crop: np.ndarray) -> int:
    return int(np.argmax(crop[60:200, 60:200].reshape(-1, 3).mean(axis=0)))


@dataclass
class World:
    """The script that a frame's index refers to, and everything that the networks say."""

    script: list[list[Actor]]
    ages: tuple[float, float, float] = (40.0, 35.0, 50.0)
    sexual: frozenset[int] = frozenset()
    stop_at: int | None = None
    error: type[BaseException] = KeyboardInterrupt
    delay: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)

    def perception(self) -> FakePerception:
        return FakePerception(self)

    def actors(self, rgb: np.ndarray, part: str) -> list[Actor]:
        self.calls[part] = self.calls.get(part, 0) + 1
        index = index_of(rgb)
        if part == "mesh" and index == self.stop_at:
            raise self.error(f"stopped at {index}")
        return self.script[index]


class NoSearch:
    """Finds nothing more than the detector."""

    def near(self, *_: object) -> None:
        return None

    def wide(self, *_: object, turned: bool, empty: bool) -> list[Detection]:
        return []


class FakePerception:
    """Has what ``Perception`` has, as the extraction uses it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def occlusion(self, face: AlignedFace) -> Mask:
        return Mask(np.ones((128, 128), np.float32), "occlusion")  # nothing is in front of anybody

    def detector(self, rgb: np.ndarray, *, min_score: float = 0.6) -> list[Detection]:
        boxes = [actor.box() for actor in self.world.actors(rgb, "detector")]
        boxes.sort(key=lambda box: -float((box[2:] - box[:2]).prod()))
        return [Detection(box, 0.9, np.repeat(box[None, :2], 5, axis=0)) for box in boxes]

    def mesh(self, rgb: np.ndarray, near: Detection | FaceLandmarks, *, expression: bool = True) -> FaceLandmarks:
        box = (
            near.box_xyxy
            if isinstance(near, Detection)
            else np.concatenate([near.points_xy.min(0), near.points_xy.max(0)])
        )
        centre = (box[:2] + box[2:]) / 2
        time.sleep(self.world.delay)
        actors = self.world.actors(rgb, "mesh")
        middles = [(actor.box()[:2] + actor.box()[2:]) / 2 for actor in actors]
        distances = [float(np.linalg.norm(middle - centre)) for middle in middles]
        best = int(np.argmin(distances)) if distances else -1
        if best < 0 or distances[best] > 40.0:
            points = np.random.default_rng(0).normal(centre, 30.0, (478, 2))
            return FaceLandmarks(points.astype(np.float32), np.zeros(478, np.float32), np.zeros(52, np.float32), 0.01)
        xyz = actors[best].points().astype(np.float32)
        coefficients = self.expression(xyz[:, :2]) if expression else np.zeros(52, np.float32)
        return FaceLandmarks(xyz[:, :2].copy(), xyz[:, 2].copy(), coefficients, actors[best].presence)

    def expression(self, points_xy: np.ndarray) -> np.ndarray:
        coefficients = np.zeros(52, np.float32)
        coefficients[25] = np.clip((points_xy[LIPS[0], 1] - points_xy[NOSE_TIP, 1]) / 100.0, 0.0, 1.0)
        return coefficients

    def embedder(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> np.ndarray:
        vector = np.full(128, 0.01, np.float32)
        vector[who_of(rgb)] = 1.0
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def look(self, rgb: np.ndarray, face: Detection | FaceLandmarks) -> Impression:
        return Impression(self.embedder(rgb, face), 14.0)  # type: ignore[arg-type]

    @property
    def search(self) -> NoSearch:
        return NoSearch()

    def segmenter(self, rgb: np.ndarray) -> Mask:
        return Mask((np.ptp(rgb, axis=2) > 20).astype(np.float32), "occlusion")

    def screen(self, rgb: np.ndarray) -> float:
        return 0.99 if index_of(rgb) in self.world.sexual else 0.01

    def age(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> float:
        self.world.calls["age"] = self.world.calls.get("age", 0) + 1
        return self.world.ages[who_of(rgb)]


def key_of(path: Path) -> ProjectKey:
    """The key of the project that a file lies in; outside of one, :data:`KEY`."""
    inside = any((folder / CONFIG_NAME).is_file() for folder in path.parents)
    return Project.find(path.parent).key() if inside else KEY


def open_set(path: Path, **options: object) -> FaceSet:
    return FaceSet.open(path, key_of(path), **options)  # type: ignore[arg-type]


def connect(path: Path) -> layout.sqlite3.Connection:
    """The database in a face set's file, as somebody who has the key can open it."""
    return layout.connect(path, key_of(path))


def contents(path: Path) -> list[tuple[object, ...]]:
    """Everything that a face set holds, digests included."""
    with open_set(path) as faceset:
        faceset.verify()
        database = faceset._database
        return [
            row
            for table in ("meta", "sources", "screens", "faces")
            for row in database.execute(f"SELECT * FROM {table}")
        ]


def run(
    project: Project, world: World, *sources: Path, person: str = "vera", like: Path | None = None
) -> ExtractReport:
    return extract(project, person, sources, like=like, perception=world.perception())  # type: ignore[arg-type]
