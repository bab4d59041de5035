"""Draws what may be in front of a face: nobody real, nothing photographed, all from a seeded generator.

Each kind returns a :class:`drawing.Layer` of the crop's size. ``TRAINED`` is what tools/train_occlusion.py learns from;
``HELD_OUT`` is drawn by bench/occlusion.py only.
"""

# ruff: noqa: I001 - the imports exploded would make this file too long
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from drawing import (
    CROP, SUBPIXEL_BITS, Layer, Scene, capsule, circle, colour_of, curve, hair_colour, light_of, line_of, lit,
    noise, polygon, rounded, skin_colour, stroke, texture, turned,
)  # fmt: skip

if TYPE_CHECKING:
    from drawing import Array, Rng

__all__ = ["HELD_OUT", "TRAINED"]

_SEGMENTS = ((0.46, 0.30, 0.24), (0.45, 0.31, 0.24), (0.45, 0.31, 0.24), (0.45, 0.29, 0.26))


def _bent(base: Array, direction: float, lengths: Array, curl: float) -> Array:
    """Joints of a finger that bends out of the picture's plane: seen from the front its parts grow short, then turn."""
    points, bend = [base], 0.0
    for length in lengths:
        step = length * np.cos(bend)
        points.append(points[-1] + step * np.array([np.sin(direction), np.cos(direction)]))
        bend += curl
    return np.asarray(points, np.float32)


def _limbs(rng: Rng) -> tuple[list[tuple[Array, Array]], Array]:
    """Thumb and fingers as (joints, widths) and the palm's outline, in centimetres; fingers point to +y."""
    spread, curl = rng.uniform(-0.1, 1.4), rng.choice([0.0, 0.25, 0.6, 1.1]) + rng.uniform(0, 0.3)
    thick = rng.uniform(0.9, 1.15)
    limbs = []
    for x, y, length, width, fan, parts in zip(
        (-3.2, -1.1, 1.1, 3.1), (9.0, 9.5, 9.2, 8.3), (7.2, 8.0, 7.4, 5.8), (1.9, 1.9, 1.85, 1.6),
        (-0.2, -0.06, 0.07, 0.22), _SEGMENTS, strict=True,
    ):  # fmt: skip
        own = curl if rng.random() < 0.85 else rng.uniform(0, 1.4)  # one may point while the others are closed
        joints = _bent(np.array([x, y - 0.8]), fan * spread + rng.normal(0, 0.04), length * np.array(parts), own)
        limbs.append((joints, width * thick * np.array([1.1, 1.0, 0.93, 0.75])))
    thumb = _bent(np.array([-2.8, 3.2]), -rng.uniform(0.1, 0.95), np.array([3.6, 3.0, 2.4]), rng.uniform(0, 0.5))
    limbs.insert(0, (thumb, thick * np.array([3.0, 2.3, 2.1, 1.6])))
    palm = np.array([[-2.6, 0], [-4.0, 3.5], [-4.2, 8.6], [-1.1, 9.9], [1.1, 9.7], [4.0, 8.2], [3.6, 2.5], [2.6, 0]])
    return limbs, palm.astype(np.float32)


def hand(rng: Rng, scene: Scene, tip: Array | None = None) -> Layer:
    """A hand, open, spread, pointing or closed, with its forearm; bare, gloved or in a sleeve."""
    target = scene.somewhere(rng) if tip is None else tip
    scale = 12.0 * rng.uniform(0.75, 1.3)
    turn = rng.normal(np.pi, 0.9)  # up in the picture, mostly
    flip = rng.choice([-1.0, 1.0])
    limbs, palm = _limbs(rng)
    reach = np.array([0.0, rng.uniform(6, 16)])
    rotation = scale * np.array([[np.cos(turn) * flip, np.sin(turn)], [-np.sin(turn) * flip, np.cos(turn)]])

    def placed(points: Array) -> Array:
        return np.asarray((points - reach) @ rotation.T + target, np.float32)

    bare = skin_colour(rng, scene) if rng.random() < 0.88 else colour_of(rng)
    skin = np.broadcast_to(bare, (CROP, CROP, 3)) * (0.9 + 0.2 * noise(rng, int(rng.integers(2, 6))))[..., None]
    light, ambient = light_of(rng)
    forearm = placed(np.array([[0, 1.5], [0, -30.0]], np.float32))
    arm = capsule(forearm, scale * np.array([5.4, 7.5]))
    sleeve = texture(rng, scene) if rng.random() < 0.5 else skin
    layer = Layer(lit(sleeve, rounded(arm, 2.8 * scale), light, ambient), arm)
    palm_mask = cv2.GaussianBlur(polygon(placed(palm)), (0, 0), 0.35 * scale)
    palm_mask = np.clip((palm_mask - 0.5) * scale * 0.8 + 0.5, 0, 1)
    back = rng.random() < 0.5
    parts = [(palm_mask, 1.6 * scale, None)]
    for joints, widths in limbs:
        chain = placed(joints)
        parts.append((capsule(chain, scale * widths), float(scale * widths[1] / 2), chain if back else None))
    if back:
        parts = parts[1:] + parts[:1] if rng.random() < 0.5 else parts
    for mask, radius, chain in parts:
        rgb = lit(skin, rounded(mask, radius), light, ambient)
        if chain is not None:
            _nail(rng, rgb, chain, radius)
        layer = Layer(rgb, mask).over(layer)
    layer.shadow = float(rng.uniform(0.2, 0.8))
    return layer


def _nail(rng: Rng, rgb: Array, chain: Array, radius: float) -> None:
    along = chain[-1] - chain[-2]
    if np.hypot(*along) < 0.6 * radius:
        return
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    where = np.zeros((CROP, CROP), np.float32)
    middle = tuple(float(v) for v in chain[-1])
    cv2.ellipse(where, (middle, (1.3 * radius, 0.9 * radius), angle), 0.7, -1, cv2.LINE_AA)
    painted = np.array([0.85, 0.65, 0.6]) if rng.random() < 0.7 else colour_of(rng)
    rgb += where[..., None] * (painted * (rgb.mean() + 0.4) - rgb) * 0.6


def microphone(rng: Rng, scene: Scene) -> Layer:
    """A ball of foam or wire on a stick, a cube with a sign, or a headset's small one; now and then held by a hand."""
    mouth = scene.points_xy[[13, 14]].mean(0)
    kind = rng.choice(["ball", "cube", "headset"], p=[0.65, 0.15, 0.2])
    light, ambient = light_of(rng)
    if kind == "headset":
        side = scene.points_xy[int(rng.choice([234, 454]))]
        end = mouth + (side - mouth) * rng.uniform(0.15, 0.4) + rng.normal(0, 5, 2)
        knee = (side + end) / 2 + [0, rng.uniform(4, 20)]
        mask = line_of(np.stack([side, knee, end]).astype(np.float32), rng.uniform(2, 5))
        mask = np.maximum(mask, polygon(circle(end, rng.uniform(4, 9))))
        return Layer(np.broadcast_to(colour_of(rng) * 0.5, (CROP, CROP, 3)).astype(np.float32), mask, 0.3)
    radius = rng.uniform(14, 42)
    middle = mouth + rng.normal(0, [26, 22]) + [0, 0.7 * radius]
    away = rng.normal(0, 0.7)
    tail = middle + 300 * np.array([np.sin(away), np.cos(away)])
    stick = capsule(np.stack([middle, tail]).astype(np.float32), radius * rng.uniform(0.6, 1.3) * np.array([1, 0.7]))
    dark = colour_of(rng) * (0.4 if rng.random() < 0.7 else 1.0)
    body = Layer(lit(np.broadcast_to(dark, (CROP, CROP, 3)), rounded(stick, 0.6 * radius), light, ambient), stick)
    if kind == "cube":
        corners = circle(middle, radius * 1.1, 4)
        mask = polygon(corners)
        head = Layer(texture(rng, scene), mask)
    else:
        ball = circle(np.zeros(2), radius) * [1.0, rng.uniform(0.9, 1.35)] + middle
        mask = polygon(ball.astype(np.float32))
        foam = (0.6 + 0.8 * noise(rng, int(rng.choice([0, 1]))))[..., None] * colour_of(rng)
        head = Layer(lit(foam.astype(np.float32), rounded(mask, radius), light, ambient), mask)
    layer = head.over(body)
    if rng.random() < 0.35:
        layer = hand(rng, scene, (middle + (tail - middle) * rng.uniform(0.2, 0.4)).astype(np.float32)).over(layer)
    layer.shadow = float(rng.uniform(0.1, 0.7))
    return layer


def glasses(rng: Rng, scene: Scene) -> Layer:
    """Frames round, square or winged, rimless or half-rimmed; lenses clear (then not in front) or tinted."""
    points = scene.points_xy
    sides = ((33, 133, 127), (263, 362, 356))
    thick, power = rng.choice([rng.uniform(1.0, 3.0), rng.uniform(3.0, 9.0)]), rng.uniform(2.0, 6.0)
    wide, high, drop = rng.uniform(0.85, 1.3), rng.uniform(0.55, 1.1), rng.uniform(-0.1, 0.3)
    upper_only, rimless = rng.random() < 0.15, rng.random() < 0.12
    frame, lens = np.zeros((CROP, CROP), np.uint8), np.zeros((CROP, CROP), np.float32)
    along = points[263] - points[33]
    along = along / max(float(np.hypot(*along)), 1.0)
    down = np.array([-along[1], along[0]])
    inner = []
    tall = 0.55 * float(np.hypot(*(points[263] - points[33]))) * 0.5 * high
    turn = np.arange(48) * (2 * np.pi / 48)
    wing = rng.uniform(-0.3, 0.3)
    for number, (outer_corner, inner_corner, temple) in enumerate(sides):
        a, b = points[outer_corner], points[inner_corner]
        half = max(float(np.hypot(*(a - b))) * 0.5 * 1.5 * wide, 6.0)
        middle = (a + b) / 2 + drop * tall * down
        u = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * half
        v = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * tall
        v = v - wing * tall * (u / half) * (-1 if number == 0 else 1) * (v < 0)
        rim = (middle + u[:, None] * along + v[:, None] * down).astype(np.float32)
        lens = np.maximum(lens, polygon(rim))
        if not rimless:
            part = rim[24:] if upper_only else rim
            stroke(frame, part, thick, closed=not upper_only)
        outward = -1.0 if number == 0 else 1.0
        hinge = (middle + outward * half * along - 0.4 * tall * down).astype(np.float32)
        ear = points[temple] + 0.6 * (points[temple] - points[outer_corner]) * [1, 0.2]
        stroke(frame, np.stack([hinge, ear]).astype(np.float32), max(1.0, thick * rng.uniform(0.6, 1.4)))
        inner.append(middle - outward * half * along)
    bow = sum(inner) / 2 - rng.uniform(0.1, 0.5) * tall * down
    stroke(frame, np.stack([inner[0], bow, inner[1]]).astype(np.float32), max(1.0, thick * rng.uniform(0.6, 1.3)))
    drawn = frame.astype(np.float32) / 255.0
    base = np.broadcast_to(colour_of(rng) * (0.35 if rng.random() < 0.6 else 1.0), (CROP, CROP, 3))
    rgb = base * (0.7 + 0.6 * noise(rng, int(rng.choice([2, 3, 4]))))[..., None]
    layer = Layer(np.clip(rgb + 0.3 * (noise(rng, 3)[..., None] > 0.93), 0, 1).astype(np.float32), drawn, 0.3)
    if rng.random() < 0.35:
        tint = (
            rng.uniform(0.5, 1.0)
            * lens
            * (1 - rng.uniform(0, 0.4) * np.linspace(0, 1, CROP, dtype=np.float32)[:, None])
        )
        shine = 0.35 * rng.random() * np.clip(noise(rng, 5) * 2 - 1, 0, 1)[..., None]
        layer = layer.over(
            Layer(np.clip(colour_of(rng) * 0.4 + shine, 0, 1).astype(np.float32), tint.astype(np.float32))
        )
        layer.shadow = 0.3
    return layer


def hair(rng: Rng, scene: Scene) -> Layer:
    """A fringe, a lock or a few strands, from the head's top or side."""
    top, chin = scene.points_xy[10], scene.points_xy[152]
    tall = float(np.hypot(*(chin - top)))
    root = scene.points_xy[int(rng.choice([10, 109, 338, 103, 332, 54, 284, 21, 251, 127, 356]))]
    middle = scene.points_xy[:468].mean(0)
    root = root + (root - middle) * rng.uniform(-0.05, 0.3)
    tip = root + (middle - root) * rng.uniform(0, 0.9) + np.array([rng.normal(0, 0.3), rng.uniform(0.0, 0.7)]) * tall
    knee = (root + tip) / 2 + rng.normal(0, 0.15, 2) * tall
    strands = int(rng.choice([rng.integers(2, 12), rng.integers(20, 80), rng.integers(80, 260)]))
    width = tall * rng.uniform(0.01, 0.3) * min(1.0, 0.3 + strands / 100)
    colour = hair_colour(rng)
    rgb, alpha = np.zeros((CROP, CROP, 3), np.uint8), np.zeros((CROP, CROP), np.uint8)
    rgb[:] = np.clip(colour * 255, 0, 255)
    for _ in range(strands):
        at = rng.normal(0, 1)
        line = curve(
            root + np.array([at * width, rng.normal(0, 4)]),
            knee + at * width * np.array([1.0, 0.3]) + rng.normal(0, 3, 2),
            tip + at * width * rng.uniform(0.3, 1.1) + rng.normal(0, 8, 2),
        )
        shade = np.clip(colour * 255 * rng.uniform(0.5, 1.6), 0, 255)
        thick = int(rng.choice([1, 1, 2, 3]))
        whole = [np.rint(line * (1 << SUBPIXEL_BITS)).astype(np.int32)]
        cv2.polylines(rgb, whole, False, tuple(float(v) for v in shade), thick + 1, cv2.LINE_8, SUBPIXEL_BITS)
        cv2.polylines(alpha, whole, False, 255, thick, cv2.LINE_AA, SUBPIXEL_BITS)
    return Layer(rgb.astype(np.float32) / 255.0, alpha.astype(np.float32) / 255.0, 0.2)


def cup(rng: Rng, scene: Scene) -> Layer:
    """A cup, can or bottle before the mouth, sometimes held."""
    mouth = scene.points_xy[13]
    upper, lower, tall = rng.uniform(25, 60), rng.uniform(18, 55), rng.uniform(60, 160)
    angle = rng.normal(0, 0.5)
    shape = np.array([[-upper, 0], [upper, 0], [lower, tall], [-lower, tall]])
    middle = mouth + rng.normal(0, [18, 12])
    mask = polygon(turned(shape, middle, angle))
    light, ambient = light_of(rng)
    layer = Layer(lit(texture(rng, scene), rounded(mask, min(upper, lower)), light, ambient), mask)
    if rng.random() < 0.4:
        ring = circle(np.zeros(2), tall * 0.3) * [0.7, 1.0] + [rng.choice([-1, 1]) * upper, tall * 0.45]
        handle = line_of(turned(ring, middle, angle), rng.uniform(6, 14), closed=True)
        layer = layer.over(Layer(layer.rgb * 0.9, handle))
    if rng.random() < 0.5:
        grip = turned(np.array([[rng.choice([-1, 1]) * lower * 0.8, tall * 0.5]]), middle, angle)[0]
        layer = hand(rng, scene, grip).over(layer)
    layer.shadow = float(rng.uniform(0.2, 0.7))
    return layer


def sheet(rng: Rng, scene: Scene) -> Layer:
    """Paper, a card or a book's cover at any slant, blank, printed or written on."""
    half = rng.uniform(25, 110, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half * rng.uniform(0.75, 1.25, (4, 2))
    middle = scene.somewhere(rng) + rng.normal(0, 30, 2)
    angle = rng.uniform(-np.pi, np.pi)
    mask = polygon(turned(corners, middle, angle))
    rgb = texture(rng, scene) if rng.random() < 0.5 else np.full((CROP, CROP, 3), rng.uniform(0.6, 1.0), np.float32)
    if rng.random() < 0.5:
        ink = np.zeros((CROP, CROP), np.uint8)
        for row in np.arange(-half[1] + 8, half[1] - 6, rng.uniform(7, 16)):
            ends = np.array([[-half[0] * 0.8, row], [half[0] * rng.uniform(0, 0.8), row]])
            stroke(ink, turned(ends, middle, angle), rng.uniform(1, 4))
        broken = ink.astype(np.float32) / 255.0 * (noise(rng, 1) > 0.4)
        rgb = rgb + (colour_of(rng) * 0.4 - rgb) * broken[..., None]
    shade = 0.75 + 0.4 * noise(rng, 5)[..., None]
    return Layer(np.clip(rgb * shade, 0, 1).astype(np.float32), mask, float(rng.uniform(0.1, 0.7)))


def cloth(rng: Rng, scene: Scene) -> Layer:
    """A surgical or fabric mask, a scarf from below, or a hat's brim or a hood from above."""
    points = scene.points_xy
    kind = rng.choice(["mask", "scarf", "brim"])
    if kind == "mask":
        low = points[[234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454]]
        bridge = points[6] + (points[4] - points[6]) * rng.uniform(0.1, 0.9)
        inset = rng.uniform(0.0, 0.2)
        low = low + (points[164] - low) * np.where(np.arange(15) % 14 == 0, inset, -0.05)[:, None]
        outline = np.concatenate([low, [(bridge * 2 + low[-1]) / 3, bridge, (bridge * 2 + low[0]) / 3]])
        mask = polygon(outline.astype(np.float32))
        if rng.random() < 0.6:
            loops = np.zeros((CROP, CROP), np.uint8)
            for number, ear in ((0, 127), (14, 356)):
                stroke(loops, np.stack([low[number], points[ear]]).astype(np.float32), rng.uniform(1, 4))
            mask = np.maximum(mask, loops.astype(np.float32) / 255.0)
    else:
        upper, lower = points[10], points[152]
        share = rng.uniform(0.45, 1.0) if kind == "scarf" else rng.uniform(0.0, 0.33)
        height = upper[1] + (lower[1] - upper[1]) * share
        x = np.linspace(-10, CROP + 10, 9)
        y = (
            height
            + rng.normal(0, 7, 9)
            + rng.normal(0, 0.15) * (x - points[4, 0])
            + rng.uniform(-0.002, 0.002) * (x - points[4, 0]) ** 2
        )
        edge = np.stack([x, y], 1)
        far = CROP + 20 if kind == "scarf" else -20
        mask = polygon(np.concatenate([edge, [[CROP + 10, far], [-10, far]]]).astype(np.float32))
    rgb = texture(rng, scene)
    if rng.random() < 0.5:
        rgb = rgb * 0.2 + 0.8 * (colour_of(rng) if rng.random() < 0.6 else np.array([0.75, 0.85, 0.92]))
    folds = 0.55 + 0.7 * noise(rng, int(rng.choice([4, 5, 7, 8, 14])))[..., None]
    return Layer(np.clip(rgb * folds, 0, 1).astype(np.float32), mask, float(rng.uniform(0.1, 0.7)))


def blob(rng: Rng, scene: Scene) -> Layer:
    """A smooth lump of any surface, now and then of the face's own skin."""
    count, size = 64, rng.uniform(12, 70)
    turn = np.arange(count) * (2 * np.pi / count)
    radius = np.ones(count)
    for wave in range(2, 6):
        radius += rng.normal(0, 0.3 / wave) * np.cos(wave * turn + rng.uniform(0, 6.3))
    shape = (
        np.stack([np.cos(turn), np.sin(turn) * rng.uniform(0.4, 1.0)], 1) * (size * np.maximum(radius, 0.3))[:, None]
    )
    mask = polygon(turned(shape, scene.somewhere(rng), rng.uniform(0, 6.3)))
    light, ambient = light_of(rng)
    rgb = texture(rng, scene)
    if rng.random() < 0.7:
        rgb = lit(rgb, rounded(mask, size * rng.uniform(0.2, 1)), light, ambient)
    return Layer(rgb, mask, float(rng.uniform(0.0, 0.8)))


def bar(rng: Rng, scene: Scene) -> Layer:
    """Poles, straws, pens, cables and ropes across the face."""
    mask = np.zeros((CROP, CROP), np.uint8)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        through, angle, width = scene.somewhere(rng), rng.uniform(0, np.pi), rng.choice([2, 4, 8, 16, 30])
        ray = 300 * np.array([np.cos(angle), np.sin(angle)])
        bent = rng.normal(0, 40, 2) if rng.random() < 0.4 else np.zeros(2)
        start = through - ray if rng.random() < 0.6 else through
        stroke(mask, curve(start, through + bent, through + ray, 20), width * rng.uniform(0.7, 1.3))
    drawn = mask.astype(np.float32) / 255.0
    light, ambient = light_of(rng)
    return Layer(lit(texture(rng, scene), rounded(drawn, 10), light, ambient), drawn, float(rng.uniform(0.0, 0.7)))


def phone(rng: Rng, scene: Scene) -> Layer:
    """A telephone with its cameras, held by fingers."""
    angle, middle = rng.normal(0, 0.6), scene.somewhere(rng) + rng.normal(0, 15, 2)
    half = np.array([rng.uniform(38, 48), rng.uniform(75, 95)])
    shape = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    mask = cv2.GaussianBlur(polygon(turned(shape, middle, angle)), (0, 0), 5)
    mask = np.clip((mask - 0.5) * 8 + 0.5, 0, 1)
    rgb = np.broadcast_to(colour_of(rng), (CROP, CROP, 3)) * (0.8 + 0.4 * noise(rng, 5))[..., None]
    for x, y in ((-0.6, -0.8), (-0.6, -0.55), (-0.2, -0.7)):
        lens = polygon(circle(turned(np.array([[x, y]]) * half, middle, angle)[0], 9))
        rgb = rgb * (1 - 0.8 * lens[..., None])
    body = Layer(np.clip(rgb, 0, 1).astype(np.float32), mask.astype(np.float32))
    grip = turned(np.array([[rng.choice([-1, 1]) * half[0], half[1] * 0.4]]), middle, angle)[0]
    layer = hand(rng, scene, grip).over(body) if rng.random() < 0.7 else body
    layer.shadow = 0.4
    return layer


def plant(rng: Rng, scene: Scene) -> Layer:
    """Leaves on a twig."""
    start, end = scene.somewhere(rng) + rng.normal(0, 90, 2), scene.somewhere(rng)
    stem = curve(start, (start + end) / 2 + rng.normal(0, 20, 2), end, 10)
    green = np.array([rng.uniform(0.15, 0.5), rng.uniform(0.35, 0.65), rng.uniform(0.1, 0.3)])
    layer = Layer(np.full((CROP, CROP, 3), (0.3, 0.22, 0.12), np.float32), line_of(stem, 3))
    light, ambient = light_of(rng)
    for root in stem[1:]:
        long, wide, angle = rng.uniform(18, 42), rng.uniform(6, 14), rng.uniform(0, 6.3)
        t = np.linspace(0, np.pi, 16)
        upper = np.stack([(1 - np.cos(t)) * long / 2, np.sin(t) * wide], 1)
        mask = polygon(turned(np.concatenate([upper, upper[::-1] * [1, -1]]), root, angle))
        rgb = np.broadcast_to(green * rng.uniform(0.6, 1.3), (CROP, CROP, 3)) * (0.8 + 0.4 * noise(rng, 2))[..., None]
        leaf = lit(np.clip(rgb, 0, 1).astype(np.float32), rounded(mask, wide) * 0.5, light, ambient)
        layer = Layer(leaf, mask).over(layer)
    layer.shadow = 0.4
    return layer


def chain(rng: Rng, scene: Scene) -> Layer:
    """The links of a chain across the face, of bright or dark metal."""
    middle, angle, size = scene.somewhere(rng), rng.uniform(0, np.pi), rng.uniform(9, 20)
    mask = np.zeros((CROP, CROP), np.uint8)
    ray = np.array([np.cos(angle), np.sin(angle)])
    for number, at in enumerate(np.arange(-260, 260, size * 1.3)):
        flat = 0.6 if number % 2 else 0.25
        stroke(mask, turned(circle(np.zeros(2), size) * [1.0, flat], middle + at * ray, angle), size * 0.3, closed=True)
    drawn = mask.astype(np.float32) / 255.0
    light, ambient = light_of(rng)
    metal = np.broadcast_to(np.float32(rng.uniform(0.3, 0.9)) * np.array([1, 0.97, 0.9], np.float32), (CROP, CROP, 3))
    return Layer(lit(metal, rounded(drawn, size * 0.15), light, ambient), drawn, 0.3)


Kind = Callable[[np.random.Generator, Scene], Layer]
TRAINED: dict[str, Kind] = {
    "hand": hand, "microphone": microphone, "glasses": glasses, "hair": hair, "cup": cup, "sheet": sheet,
    "cloth": cloth, "blob": blob, "bar": bar,
}  # fmt: skip
HELD_OUT: dict[str, Kind] = {"phone": phone, "plant": plant, "chain": chain}
