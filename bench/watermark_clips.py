"""Twenty-nine varied clips of three seconds for bench/watermark.py: the synthetic performers, and drawn ones.

Drawn ones are there for what faces have not: text, plain surfaces, darkness, pans, cuts, grain, things that never move.
Each is a pure function of its number, so that the figures can be made again anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np

FRAMES = 75  # three seconds
CLIPS = Path(str(files("countenance") / "data" / "performers"))
WIDE = (360, 640)

Clip = list[np.ndarray]


def performer(name: str, start: int = 0, frames: int = FRAMES) -> Clip:
    with av.open(str(CLIPS / f"{name}.mp4")) as container:
        taken = [frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(start + frames))]  # noqa: B905
    return taken[start:]


def enlarged(clip: Clip, size_hw: tuple[int, int]) -> Clip:
    """The middle of each frame in another shape and size."""
    height, width = size_hw
    out = []
    for frame in clip:
        scale = max(height / frame.shape[0], width / frame.shape[1])
        big = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        top, left = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
        out.append(np.ascontiguousarray(big[top : top + height, left : left + width]))
    return out


def clouds(size_hw: tuple[int, int], seed: int, roughness: float = 0.5, octaves: int = 7) -> np.ndarray:
    """Noise of several finenesses, float32 in [0, 1]; each octave is ``roughness`` times as strong as the coarser."""
    rng, height, width = np.random.default_rng(seed), *size_hw
    total, strength = np.zeros(size_hw, np.float32), 1.0
    for octave in range(octaves):
        cells = (3 * 2**octave * height // width + 2, 3 * 2**octave + 2)
        grid = rng.standard_normal(cells).astype(np.float32)
        total += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        strength *= roughness
    low, high = np.percentile(total, [0.5, 99.5])
    return np.clip((total - low) / (high - low), 0.0, 1.0)


def tinted(grey: np.ndarray, dark: tuple[int, int, int], light: tuple[int, int, int]) -> np.ndarray:
    rgb = np.asarray(dark) + grey[..., None] * (np.asarray(light, np.float32) - np.asarray(dark))
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def noisy(frame: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    grain = np.random.default_rng(seed).standard_normal(frame.shape[:2])[..., None]
    return np.clip(np.rint(frame + sigma * grain), 0, 255).astype(np.uint8)


def panorama(seed: int, roughness: float) -> np.ndarray:
    return tinted(clouds((400, 2400), seed, roughness, 8), (40, 50, 30), (210, 190, 160))


def sky(seed: int) -> Clip:
    """Plain gradient, and clouds that drift slowly."""
    wide = clouds((360, 760), seed, 0.45, 5)
    rise = np.linspace(0.0, 1.0, 360, dtype=np.float32)[:, None]
    return [
        tinted(np.clip(0.35 + 0.5 * rise + 0.15 * wide[:, t : t + 640], 0, 1), (70, 120, 200), (225, 235, 250))
        for t in range(FRAMES)
    ]


def gradient(seed: int) -> Clip:
    """Nothing but a gradient."""
    ramp = np.linspace(0, 1, 640, dtype=np.float32)[None, :] + np.linspace(0, 0.6, 360, dtype=np.float32)[:, None]
    return [tinted(ramp / 1.6, (30, 30, 60), (200, 180, 150 + seed))] * FRAMES


def night(seed: int) -> Clip:
    """Dark street: lamps, a moving car's lights, sensor noise."""
    ground = tinted(clouds(WIDE, seed, 0.6), (4, 4, 8), (38, 34, 40))
    out = []
    for t in range(FRAMES):
        frame = ground.copy()
        for x in (80, 260, 470):
            cv2.circle(frame, (x, 90), 5, (250, 220, 160), -1, cv2.LINE_AA)
        cv2.circle(frame, (40 + 7 * t, 260), 7, (240, 240, 220), -1, cv2.LINE_AA)
        out.append(noisy(cv2.GaussianBlur(frame, (0, 0), 1.2), 2.5, 1000 * seed + t))
    return out


def cartoon(seed: int) -> Clip:
    """Plain colours with hard outlines, moving."""
    out = []
    for t in range(FRAMES):
        frame = np.full((*WIDE, 3), (150, 205, 240), np.uint8)
        cv2.rectangle(frame, (0, 250), (640, 360), (110, 180, 90), -1)
        cv2.circle(frame, (540, 70), 40, (255, 225, 90), -1, cv2.LINE_AA)
        x = 60 + 5 * t + seed
        for centre, radius, colour in (((x, 210), 46, (230, 90, 80)), ((x + 8, 140), 32, (250, 210, 180))):
            cv2.circle(frame, centre, radius, colour, -1, cv2.LINE_AA)
            cv2.circle(frame, centre, radius, (20, 20, 20), 3, cv2.LINE_AA)
        out.append(frame)
    return out


def text(seed: int, paper: int, ink: int, speed: int) -> Clip:
    """Lines of letters that scroll."""
    rng = np.random.default_rng(seed)
    page = np.full((360 + speed * FRAMES + 40, 640, 3), paper, np.uint8)
    for y in range(30, page.shape[0] - 10, 26):
        words = "".join(rng.choice(list("abcdefghijklmnopqrstuvw    "), 44))
        cv2.putText(page, words, (24, y), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (ink,) * 3, 1, cv2.LINE_AA)
    return [np.ascontiguousarray(page[speed * t : speed * t + 360]) for t in range(FRAMES)]


def pan(seed: int, roughness: float, step: int) -> Clip:
    wide = panorama(seed, roughness)
    return [np.ascontiguousarray(wide[20:380, t * step : t * step + 640]) for t in range(FRAMES)]


def still(seed: int, roughness: float, grain: float = 0.0, size_hw: tuple[int, int] = WIDE) -> Clip:
    """A picture that stands, with the camera's noise where there is some."""
    picture = tinted(clouds(size_hw, seed, roughness, 8), (25, 35, 20), (200, 190, 170))
    return [noisy(picture, grain, 1000 * seed + t) if grain else picture for t in range(FRAMES)]


def zoom(seed: int) -> Clip:
    picture = tinted(clouds((720, 1280), seed, 0.6, 8), (50, 30, 20), (230, 210, 180))
    out = []
    for t in range(FRAMES):
        half = 0.5 - 0.003 * t
        top, left = round(720 * (0.5 - half)), round(1280 * (0.5 - half))
        out.append(cv2.resize(picture[top : 720 - top, left : 1280 - left], (640, 360), interpolation=cv2.INTER_AREA))
    return out


def shaken(seed: int) -> Clip:
    """A hand-held camera before a wall of bricks."""
    wall = tinted(clouds((420, 700), seed, 0.7, 8), (120, 60, 40), (190, 120, 90))
    for y in range(0, 420, 28):
        cv2.line(wall, (0, y), (700, y), (200, 195, 185), 3)
        for x in range((y // 28 % 2) * 30, 700, 60):
            cv2.line(wall, (x, y), (x, y + 28), (200, 195, 185), 3)
    path = np.cumsum(np.random.default_rng(seed).normal(0, 1.5, (FRAMES, 2)), axis=0)
    path = np.clip(np.rint(path - path.mean(axis=0)), -28, 28).astype(int) + 29
    return [np.ascontiguousarray(wall[y : y + 360, x : x + 640]) for y, x in path]


def water(seed: int) -> Clip:
    y, x = np.mgrid[0:360, 0:640].astype(np.float32)
    rng = np.random.default_rng(seed)
    waves = [(rng.uniform(0.02, 0.4), rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5)) for _ in range(12)]
    out = []
    for t in range(FRAMES):
        parts = [np.sin(k * (x * np.cos(a) + 2 * y * np.sin(a)) + s * t) / (1 + 6 * k) for k, a, s in waves]
        out.append(tinted(np.clip(0.5 + 0.12 * np.sum(parts, axis=0), 0, 1), (10, 40, 70), (170, 210, 220)))
    return out


def cuts(seed: int) -> Clip:
    """A new picture every 15 frames."""
    return [frame for part in range(5) for frame in still(seed + part, 0.45 + 0.05 * part, 1.5)[:15]]


def stripes(seed: int) -> Clip:
    """Regular lines that move: fences, blinds, woven cloth."""
    x, y = np.arange(640, dtype=np.float32)[None, :], np.arange(360, dtype=np.float32)[:, None]
    return [
        tinted(
            0.5 + 0.25 * np.sin((x + 0.7 * t) / 2.3) + 0.25 * np.sin((y + x / 3 - t) / (3.1 + seed)),
            (40,) * 3,
            (220,) * 3,
        )
        for t in range(FRAMES)
    ]


def bright(seed: int) -> Clip:
    """Overexposed: most of it is white."""
    return [np.clip(3 * frame.astype(np.int16) - 90, 0, 255).astype(np.uint8) for frame in pan(seed, 0.5, 3)]


def fog(seed: int) -> Clip:
    """Hardly any contrast."""
    wide = clouds((360, 760), seed, 0.6, 8)
    return [noisy(tinted(wide[:, t : t + 640], (150, 152, 155), (180, 182, 185)), 1.0, t) for t in range(FRAMES)]


def grain(seed: int) -> Clip:
    """Film grain over plain grey, nothing else."""
    return [noisy(np.full((*WIDE, 3), 110, np.uint8), 8.0, 1000 * seed + t) for t in range(FRAMES)]


def photograph() -> Clip:
    """A photograph that comes slowly nearer (Grace Hopper, by the US Navy, public domain; it comes with matplotlib)."""
    path = files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    picture = cv2.imread(str(path))[..., ::-1]
    out = []
    for t in range(FRAMES):
        cut = 0.4 * t
        matrix = np.array([[1.0, 0.0, cut], [0.0, 1.0, cut]]) * ((512 - 2 * cut) / 512)
        matrix[:, 2] = cut
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out.append(cv2.warpAffine(picture, matrix, (512, 600), flags=how))
    return out


def studio(seed: int) -> Clip:
    """A face before a plain wall, wide: most of the picture never moves."""
    out = []
    for face in performer("train_B", seed):
        frame = np.full((*WIDE, 3), (176, 178, 182), np.uint8)
        frame[20:340, 300:620] = face
        out.append(frame)
    return out


CASES: dict[str, Callable[[], Clip]] = {
    "performer test_A": lambda: performer("test_A"),
    "performer occl_C": lambda: performer("occl_C"),
    "performer train_A": lambda: performer("train_A", 150),
    "performer train_B": lambda: performer("train_B", 75),
    "performer test_A, wide": lambda: enlarged(performer("test_A", 75), WIDE),
    "performer train_A, 720p": lambda: enlarged(performer("train_A", 300), (720, 1280)),
    "studio": lambda: studio(150),
    "photograph": photograph,
    "sky": lambda: sky(1),
    "gradient": lambda: gradient(2),
    "night": lambda: night(3),
    "cartoon": lambda: cartoon(4),
    "credits, white on black": lambda: text(5, 8, 235, 2),
    "page, black on white": lambda: text(6, 245, 20, 1),
    "pan, soft": lambda: pan(7, 0.45, 4),
    "pan, rough and fast": lambda: pan(8, 0.75, 22),
    "still, soft": lambda: still(9, 0.45),
    "still, rough": lambda: still(10, 0.8),
    "still, with noise": lambda: still(11, 0.6, 3.0),
    "still, upright": lambda: still(12, 0.6, 1.5, (640, 360)),
    "zoom": lambda: zoom(13),
    "hand-held": lambda: shaken(14),
    "water": lambda: water(15),
    "cuts": lambda: cuts(16),
    "stripes": lambda: stripes(1),
    "overexposed": lambda: bright(18),
    "fog": lambda: fog(19),
    "film grain": lambda: grain(20),
    "pan, 720p": lambda: enlarged(pan(21, 0.6, 6), (720, 1280)),
}
