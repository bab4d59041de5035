"""Clips of a scripted face, and networks that see what the script says; no weights are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from consent_world import World, direction, faces_at

from countenance import geometry
from countenance.consent.capture import Capture, capture
from countenance.consent.challenge import LIFETIME, Action, Challenge, write_challenge
from countenance.media.probe import VideoInfo
from countenance.media.write import VideoWriter
from countenance.perception.blendshapes import BLENDSHAPE_NAMES
from countenance.types import Detection, FaceLandmarks, Frame

RATE = 12
SIDE = 64  # of the pictures; where the face is in them is the script's affair
DIGITS = Action("digits", digits="402917")
ACTIONS = (Action("turn_left"), Action("blink", times=2), DIGITS, Action("look_up"), Action("turn_right"))
EYES = [BLENDSHAPE_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]


@dataclass(frozen=True)
class Look:
    """One frame: what the networks say of it, and how bright its picture is."""

    yaw: float = 0.0
    pitch: float = 0.0
    blink: float = 0.1
    mouth: float = 0.0  # gap between the lips, in parts of the face's height
    person: int = 1
    age: float = 35.0
    x: float = 300.0
    height: float = 200.0
    thickness: float = 1.0  # 0 is a photograph
    others: tuple[float, ...] = ()  # heights of further faces
    presence: float = 1.0
    light: int = 110

    def points(self) -> np.ndarray:
        shape = geometry.canonical_face().vertices_cm.astype(np.float64) * [1.0, -1.0, -1.0]
        shape = np.concatenate([shape, np.repeat(shape[:1], 10, axis=0)])
        height = np.ptp(shape[:, 1])
        shape[14, 1] += self.mouth * height
        shape[:, 2] *= self.thickness
        a, b = np.radians(self.yaw), np.radians(self.pitch)
        about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
        return shape @ about_x.T @ about_y.T * (self.height / height) + [self.x, 300.0, 0.0]


def ramp(seconds: float, axis: str, top: float, start: Look) -> list[Look]:
    """There and back, smoothly."""
    count = round(seconds * RATE)
    return [replace(start, **{axis: top * np.sin(np.pi * (i + 1) / (count + 1))}) for i in range(count)]


def rest(seconds: float, look: Look = Look()) -> list[Look]:
    return [look] * round(seconds * RATE)


def act(action: Action, look: Look = Look()) -> list[Look]:
    """The frames of one action."""
    turns = {"turn_left": ("yaw", 30.0), "turn_right": ("yaw", -30.0), "look_up": ("pitch", 20.0)}
    turns["look_down"] = ("pitch", -20.0)
    if action.do in turns:
        return ramp(1.5, *turns[action.do], look)
    if action.do == "blink":
        return (rest(0.7, replace(look, blink=0.9)) + rest(0.4, look)) * action.times
    if action.do == "open_mouth":
        return rest(0.8, replace(look, mouth=0.3))
    return [replace(look, mouth=0.03 + 0.03 * np.sin(2.0 * i)) for i in range(3 * RATE)]


def clip_of(actions: Iterable[Action], look: Look = Look()) -> list[Look]:
    """A good clip: a second ahead, each action, a second ahead after it."""
    looks = rest(1.0, look)
    for action in actions:
        looks += act(action, look) + rest(0.8, look)
    return looks


@dataclass
class Networks:
    """In place of Perception: follows a script, one frame each time the detector is asked."""

    script: Sequence[Look]
    at: int = -1
    seed: int = 0

    @property
    def look(self) -> Look:
        return self.script[self.at]

    def detector(self, rgb: np.ndarray, *, min_score: float = 0.6) -> list[Detection]:
        self.at += 1
        points = self.look.points()[:, :2]
        boxes = [np.concatenate([points.min(0), points.max(0)])] if self.look.presence >= min_score else []
        boxes += [np.array([600.0, 0.0, 600.0 + h, h]) for h in self.look.others]
        return [Detection(box.astype(np.float32), 0.9, np.zeros((5, 2), np.float32)) for box in boxes]

    def mesh(self, rgb: np.ndarray, near: object) -> FaceLandmarks:
        points = self.look.points()
        expression = np.zeros(52, np.float32)
        expression[EYES] = self.look.blink
        depth = points[:, 2]
        if self.look.thickness < 1.0:  # a network always sees a face's relief, also in a photograph
            depth = replace(self.look, thickness=1.0).points()[:, 2]
        return FaceLandmarks(points[:, :2].astype(np.float32), depth.astype(np.float32), expression, self.look.presence)

    def embedder(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> np.ndarray:
        self.seed += 1
        centre = direction(self.look.person)
        return faces_at(centre, [0.85 + 0.1 * (self.seed % 2)], self.seed)[0]

    def age(self, rgb: np.ndarray, landmarks: FaceLandmarks) -> float:
        return self.look.age


def write_clip(path: Path, lights: Sequence[int], rate: int = RATE) -> Path:
    """A film whose pictures are grey, each as light as it is told."""
    tick = Fraction(1, 1000)
    like = VideoInfo(
        path, SIDE, SIDE, 0, Fraction(rate), tick, 0, None, None, False, "yuv420p", 8, False,
        1, 1, 1, 1, Fraction(1), (), "matroska", "h264",
    )  # fmt: skip
    with VideoWriter(path, like, crf=10, preset="ultrafast") as writer:
        for index, light in enumerate(lights):
            rgb = np.full((SIDE, SIDE, 3), light, np.uint8)
            writer.write(Frame(rgb, index, round(index * 1000 / rate), tick))
    return path


def frames_of(looks: Sequence[Look]) -> list[Frame]:
    """The same without a file."""
    pictures = [np.full((SIDE, SIDE, 3), look.light, np.uint8) for look in looks]
    return [Frame(rgb, index, index, Fraction(1, RATE)) for index, rgb in enumerate(pictures)]


def challenge_in(world: World, actions: Sequence[Action] = ACTIONS, number: int = 1) -> Challenge:
    """A challenge of these actions, entered into the world's ledger as a drawn one is, and its file."""
    now = world.now
    made = Challenge(f"{number:032x}", world.lender, now, now + LIFETIME, tuple(actions))
    facts = {"lender": world.lender, "challenge_id": made.id, "challenge_sha256": made.sha256}
    world.ledger.append("challenge", facts)
    write_challenge(world.project, made)
    return made


def hand_in(world: World, looks: Sequence[Look], clip: Path | None = None, **options: Any) -> Capture:
    """Film the script (unless there is a clip of it already), and hand it in two minutes later."""
    world.now += timedelta(minutes=2)
    if clip is None:
        clip = write_clip(world.folder / "clip.mkv", [look.light for look in looks])
    given: dict[str, Any] = {"again": True, "perception": Networks(looks), "clock": world.clock, **options}
    return capture(world.project, world.lender, clip, **given)
