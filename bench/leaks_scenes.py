"""Scenes of which it is known where every face is: the synthetic performers placed into larger frames.

Each person is cut out with the person segmenter and laid over a background by a known transform, so the face's visible
part (the clips' own truth masks, less what passes before them) and its landmarks are known in every frame.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from countenance import geometry
from countenance.media.read import read_frames
from countenance.types import FaceLandmarks, Frame

if TYPE_CHECKING:
    from countenance.perception.perceive import Perception

CLIPS = Path(str(files("countenance") / "data" / "performers"))
SIDE = 320
RATE = 25
PERFORMER = "A"
FILES = {"A": "test_A", "B": "train_B", "C": "occl_C", "O": "test_gt_own"}
"""A is the performer (enrolled from ``train_A``); B is somebody else, a sibling of A by make; C a bearded look-alike;
O is B's face on A's own head."""
_START = {"B": 100}  # a part of train_B that is evenly lit
_FACE_HEIGHT = 165.0  # of the clips' faces, landmarks from forehead to chin


@dataclass(frozen=True)
class Source:
    """One frame of a clip: picture, the person's matte, the face's truth mask, its landmarks."""

    rgb: np.ndarray
    matte: np.ndarray
    face: np.ndarray
    landmarks: FaceLandmarks


@dataclass(frozen=True)
class Put:
    """Who is where: the clip's frame, the face's middle and height in pixels, the turn in degrees, the squeeze."""

    who: str
    at: int
    x: float
    y: float
    height: float = 100.0
    turn: float = 0.0
    squeeze: float = 1.0
    mirrored: bool = False


@dataclass(frozen=True, eq=False)
class TrueFace:
    """A face of a scene: its visible mask, float32 ``(H, W)``, and its landmarks in the frame."""

    who: str
    visible: np.ndarray
    landmarks: FaceLandmarks


@dataclass(frozen=True, eq=False)
class SceneFrame:
    frame: Frame
    faces: tuple[TrueFace, ...]


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame's plan: who stands where, back to front, on which background; a bar may cross it."""

    puts: Sequence[Put]
    background: int = 0
    bar: tuple[int, int] | None = None
    treat: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Scene:
    """A scenario: its plans, what it is, how often the frames come, and how they are stored (CRF; None: not at all)."""

    name: str
    what: str
    plans: Sequence[Shot]
    size_hw: tuple[int, int] = (360, 640)
    crf: int | None = None
    steps: tuple[int, ...] = (1,)
    rate: int = RATE


@dataclass
class Cast:
    """The people of the scenes, cut out once."""

    perception: Perception
    _kept: dict[tuple[str, int], Source] = field(default_factory=dict)

    def __call__(self, who: str, at: int) -> Source:
        start = _START.get(who, 0)
        if (who, at) not in self._kept:
            self._kept[who, at] = self._cut_out(*_pair(FILES[who], start + at))
        return self._kept[who, at]

    def _cut_out(self, rgb: np.ndarray, face: np.ndarray) -> Source:
        landmarks = self.perception.mesh(rgb, self.perception.detector(rgb)[0])
        person = self.perception.segmenter(rgb).values
        edge = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / 24.0  # shoulders fade out at the clip's border
        fade = np.clip(np.minimum(edge[:, None], edge[None, :]), 0.0, 1.0)
        closed = cv2.morphologyEx(face[..., 0], cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).astype(np.float32) / 255.0
        return Source(rgb, np.maximum(person * fade, closed).astype(np.float32), closed, landmarks)

    def template(self) -> np.ndarray:
        """The performer's embedding, enrolled from another clip than the scenes are made of."""
        looks = []
        for frame in islice(read_frames(CLIPS / "train_A.mp4"), 0, 400, 50):
            looks.append(
                self.perception.embedder(
                    frame.rgb, self.perception.mesh(frame.rgb, self.perception.detector(frame.rgb)[0])
                )
            )
        mean = np.mean(looks, axis=0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)


@cache
def _clip(name: str) -> list[np.ndarray]:
    return [frame.rgb for frame in islice(read_frames(CLIPS / f"{name}.mp4"), 250)]


def _pair(name: str, at: int) -> tuple[np.ndarray, np.ndarray]:
    pictures, masks = _clip(name), _clip(f"{name}_mask")
    there = at % (2 * len(pictures) - 2)  # to and fro, without a jump
    there = min(there, 2 * len(pictures) - 2 - there)
    return pictures[there], masks[there]


@cache
def background(number: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Soft shapes and some texture, uint8 ``(H, W, 3)``; numbers look different."""
    height, width = size_hw
    random = np.random.default_rng(number + 11)
    coarse = random.uniform(40, 200, (6, 9, 1)) + random.uniform(-25, 25, (6, 9, 3))
    large = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(random.normal(0, 25, (height, width, 1)).astype(np.float32), (0, 0), 1.2)
    return np.clip(large + fine[..., None], 0, 255).astype(np.uint8)


def _matrix(put: Put, source: Source) -> np.ndarray:
    middle = source.landmarks.points_xy[:468]
    middle = (middle.min(0) + middle.max(0)) / 2.0
    scale, turn = put.height / _FACE_HEIGHT, np.radians(put.turn)
    across = np.diag([scale * put.squeeze * (-1.0 if put.mirrored else 1.0), scale])
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ across
    return np.column_stack([linear, np.array([put.x, put.y]) - linear @ middle])


# A mirrored face's landmarks by name: each point's counterpart on the other side, from the canonical mesh.
@cache
def _mirror() -> np.ndarray:
    mesh = geometry.canonical_face().vertices_cm
    other = mesh * np.array([-1.0, 1.0, 1.0], np.float32)
    pairs = np.argmin(((mesh[None] - other[:, None]) ** 2).sum(-1), axis=1)
    return np.concatenate([pairs, np.arange(473, 478), np.arange(468, 473)])


def _landmarks(source: Source, matrix: np.ndarray, mirrored: bool) -> FaceLandmarks:
    known = source.landmarks
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    order = _mirror() if mirrored else np.arange(478)
    return FaceLandmarks(
        geometry.apply(matrix, known.points_xy)[order], (known.depth * scale).astype(np.float32)[order],
        known.blendshapes, known.presence,
    )  # fmt: skip


def _picture(cast: Cast, plan: Shot, size_hw: tuple[int, int]) -> tuple[np.ndarray, tuple[TrueFace, ...]]:
    rgb = background(plan.background, size_hw).astype(np.float32)
    faces: list[TrueFace] = []
    for put in plan.puts:
        source = cast(put.who, put.at)
        matrix = _matrix(put, source)
        matte = _laid(source.matte, matrix, size_hw)
        laid = geometry.warp(source.rgb, matrix, size_hw).astype(np.float32)
        rgb += matte[..., None] * (laid - rgb)
        faces = [replace(face, visible=face.visible * (1.0 - matte)) for face in faces]
        visible = _laid(source.face, matrix, size_hw)
        faces.append(TrueFace(put.who, visible, _landmarks(source, matrix, put.mirrored)))
    picture = np.rint(np.clip(rgb, 0, 255)).astype(np.uint8)
    if plan.bar is not None:
        left, right = plan.bar
        picture[:, max(left, 0) : max(right, 0)] = (92, 74, 58)
        for face in faces:
            face.visible[:, max(left, 0) : max(right, 0)] = 0.0
    return picture if plan.treat is None else plan.treat(picture), tuple(faces)


def _laid(mask: np.ndarray, matrix: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    padded = np.pad(mask, 2)  # the border is repeated: let it be empty
    moved = geometry.compose(matrix, np.array([[1.0, 0.0, -2.0], [0.0, 1.0, -2.0]]))
    laid = geometry.warp(np.rint(padded * 255).astype(np.uint8), moved, size_hw)
    return laid.astype(np.float32) / np.float32(255.0)


def play(cast: Cast, scene: Scene) -> Iterator[SceneFrame]:
    """The scene's frames, with the truth; stored and read again when it has a CRF."""
    made = [_picture(cast, plan, scene.size_hw) for plan in scene.plans]
    pictures = [rgb for rgb, _ in made]
    if scene.crf is not None:
        pictures = _stored(pictures, scene.crf)
    pts = 0
    for index, (rgb, (_, faces)) in enumerate(zip(pictures, made, strict=True)):
        yield SceneFrame(Frame(rgb, index, pts, Fraction(1, scene.rate)), faces)
        pts += scene.steps[index % len(scene.steps)]


def _stored(pictures: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """What is left after H.264 at a constant rate factor, without a look at the program's own writer."""
    memory = io.BytesIO()
    height, width = pictures[0].shape[:2]
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for rgb in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
