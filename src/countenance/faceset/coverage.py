"""What a face set covers: poses, expressions, light; and what is missing, in sentences, before anybody trains.

The lender's set is compared with the performer's: a pose or closed eyes that the performer shows and the lender never
does is what will look bad. Nothing here refuses; too few faces are refused by :mod:`countenance.faceset.use`.

Thresholds were set on the embedded performers, 20 seconds each (266 and 276 kept faces): one second of them spreads by
1.5 to 3.1, the whole by 3.1 and 3.9; they blink in 12 and 14 % of the faces, open the mouth (0.1) in 3 and 4 %; no
frontal face is lit unevenly by more than 0.14, and a ramp of light from 1.3 to 0.7 gives a median of 0.17.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from countenance.geometry import CROP_SIZE
from countenance.perception.blendshapes import BLENDSHAPE_NAMES

if TYPE_CHECKING:
    from countenance.faceset.records import FaceArrays
    from countenance.faceset.store import FaceSet
    from countenance.types import Float32, UInt8

__all__ = ["CLOSED_EYES", "OPEN_MOUTH", "SMILE", "Coverage", "gaps", "measure", "shortcomings"]

CLOSED_EYES, OPEN_MOUTH, SMILE = 0.5, 0.1, 0.4
"""From these values of the expression network on, eyes (the more open one) count as closed, a mouth as open, a smile as
one."""

_SAMPLED = 120  # faces whose pixels are looked at: light changes slowly, and decoding takes 2.5 ms a face
_FEW, _PLENTY = 100, 250  # faces; 20 seconds of talking give the latter
_ALIKE_BELOW = 1.5  # of the spread
_SOFT_BELOW = 0.85  # median sharpness; untouched clips have 1.17, below 0.7 each face is rejected
_DARK_BELOW, _BURNT_ABOVE = 50.0, 0.05  # median luma in levels; median share of the face at 250 and more
_FRONTAL_DEGREES, _FRONTAL_FACES = 15.0, 8  # a turned face is lit unevenly by any light
_ONE_SIDED, _ONE_SIDED_SHARE = 0.15, 0.9
_NARROW_YAW, _NARROW_PITCH = 30.0, 8.0  # degrees from the 2nd to the 98th percentile
_MARGIN_DEGREES = 5.0  # beyond the lender's furthest: about what the pose is off by
_HOLE_DEGREES, _HOLE_SHARE = 10.0, 0.05
_WORTH_SAYING = 0.02  # share of the performer's faces
_FURTHER = 0.1, 0.25  # by how much a mouth opens wider, a smile goes further

_CHEEKS = [50, 101, 118, 187, 205], [280, 330, 347, 411, 425]  # picture's left and right in an aligned crop


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """What the kept faces of one person show.

    ``yaw`` and ``pitch`` float32 ``(N,)`` degrees (the picture's right and up are positive); ``mouth``, ``eyes`` and
    ``smile`` float32 ``(N,)`` in [0, 1]: how far the mouth is open, the more open eye closed, and the mouth's corners
    up; ``sharpness`` float32 ``(N,)``, see ``curate.sharpness``; ``spread`` root mean square distance of poses and
    expressions from their mean (see ``FaceSet.traits``). Of at most 120 faces, evenly: ``luma`` float32 ``(M,)``, mean
    of the face in levels; ``balance`` float32 ``(M,)`` in [−1, 1], the right cheek's luma against the left's, above 0
    when the light comes from the picture's right; ``burnt`` float32 ``(M,)``, share of clipped pixels; ``turned``
    float32 ``(M,)``, the yaw of these.
    """

    person: str
    yaw: Float32
    pitch: Float32
    mouth: Float32
    eyes: Float32
    smile: Float32
    sharpness: Float32
    spread: float
    luma: Float32
    balance: Float32
    burnt: Float32
    turned: Float32

    def __len__(self) -> int:
        return len(self.yaw)

    @property
    def light_balance(self) -> Float32:
        """The balance of the frontal faces, ``(K,)``; empty when they are too few to tell."""
        frontal = self.balance[np.abs(self.turned) < _FRONTAL_DEGREES]
        return frontal if len(frontal) >= _FRONTAL_FACES else frontal[:0]


def measure(faceset: FaceSet, person: str) -> Coverage:
    """Measure an open face set: about 0.4 seconds, whatever its size.

    Args:
        faceset: with kept faces or without.
        person: the name for the sentences.

    Raises:
        FaceSetError: a face cannot be decoded.
    """
    records = faceset.records("kept")
    ids = [record.id for record in records]
    rows = np.linspace(0, max(len(ids) - 1, 0), min(len(ids), _SAMPLED)).round().astype(np.intp)
    some = faceset.load_some([ids[row] for row in rows], crop_size=CROP_SIZE)
    traits = faceset.traits(ids)
    expression = traits[:, 2:] * 0.25
    if ids:  # traits come about their mean; any face that is known as such tells where the mean is
        expression += some.blendshapes[0] - expression[rows[0]]
    poses = np.array([record.pose_degrees for record in records], np.float32).reshape(-1, 3)
    luma, balance, burnt = _light(some)
    return Coverage(
        person=person,
        yaw=poses[:, 0],
        pitch=poses[:, 1],
        mouth=_shape(expression, "jawOpen"),
        eyes=np.minimum(_shape(expression, "eyeBlinkLeft"), _shape(expression, "eyeBlinkRight")),
        smile=(_shape(expression, "mouthSmileLeft") + _shape(expression, "mouthSmileRight")) / 2.0,
        sharpness=np.array([record.sharpness for record in records], np.float32),
        spread=float(np.sqrt((traits.astype(np.float64) ** 2).sum(axis=1).mean())) if ids else 0.0,
        luma=luma,
        balance=balance,
        burnt=burnt,
        turned=poses[rows, 0],
    )


def _shape(expression: Float32, name: str) -> Float32:
    return np.asarray(expression[:, BLENDSHAPE_NAMES.index(name)], np.float32)


def _light(faces: FaceArrays) -> tuple[Float32, Float32, Float32]:
    """Mean luma, balance of the cheeks, and clipped share of each face, float32 ``(M,)``."""
    found = np.zeros((len(faces), 3), np.float32)
    for row, (rgb, points) in enumerate(zip(faces.rgb, faces.landmarks_xy, strict=True)):
        luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
        inside = np.zeros(luma.shape, np.uint8)
        hull = cv2.convexHull(np.ascontiguousarray(points[:468], np.float32))[:, 0]
        cv2.fillConvexPoly(inside, np.round(hull).astype(np.int32), 1)
        left, right = (_at(luma, points[part]) for part in _CHEEKS)
        face: UInt8 = rgb[inside > 0]
        if len(face):
            burnt = float((face.max(axis=1) >= 250).mean())
            found[row] = luma[inside > 0].mean(), (right - left) / max(right + left, 1.0), burnt
    return found[:, 0], found[:, 1], found[:, 2]


def _at(luma: Float32, points_xy: Float32) -> float:
    """Mean luma of small squares about some points."""
    means = cv2.blur(luma, (13, 13))
    x, y = np.clip(np.round(points_xy), 0, CROP_SIZE - 1).astype(int).T
    return float(means[y, x].mean())


def shortcomings(coverage: Coverage) -> tuple[str, ...]:
    """What is wrong with one face set by itself, each in a sentence that says what to film; nothing when it is good."""
    return (*_quality(coverage), *_variety(coverage)) if len(coverage) else ()


def gaps(lender: Coverage, performer: Coverage) -> tuple[str, ...]:
    """What will look bad in a pair: the shortcomings of both sets, and what the performer shows and the lender never.

    Args:
        lender: whose face is shown.
        performer: whose face is replaced.
    """
    if not (len(lender) and len(performer)):
        return ()
    return (
        *_quality(lender),
        *_quality(performer),
        *_poses(lender, performer),
        *_expressions(lender, performer),
        *_lights(lender, performer),
    )


def _quality(of: Coverage) -> list[str]:
    name, said = of.person, []
    if len(of) < _FEW:
        said.append(
            f"There are few faces of {name} ({len(of)}): film more. {_FEW} are the least for a good likeness, "
            f"{_PLENTY} (20 seconds of talking) are better."
        )
    if of.spread < _ALIKE_BELOW:
        said.append(f"Nearly all faces of {name} look alike: film {name} talking, blinking and looking around.")
    if np.median(of.sharpness) < _SOFT_BELOW:
        said.append(f"Most faces of {name} are soft: film from nearer by, in focus, with a faster shutter.")
    if np.median(of.luma) < _DARK_BELOW:
        said.append(f"Most faces of {name} are dark: film in more light.")
    if np.median(of.burnt) > _BURNT_ABOVE:
        said.append(f"Most faces of {name} are overexposed: film with less light or a smaller aperture.")
    side = _side(of)
    if side:
        said.append(f"The faces of {name} are all lit from the picture's {side}: film {name} in even light, too.")
    return said


def _side(of: Coverage) -> str:
    """Where all the light comes from, or "" when it does not come from one side."""
    balance = of.light_balance
    if not len(balance) or abs(float(np.median(balance))) < _ONE_SIDED:
        return ""
    from_right = float((balance > 0).mean())
    return "right" if from_right > _ONE_SIDED_SHARE else "left" if from_right < 1.0 - _ONE_SIDED_SHARE else ""


def _variety(of: Coverage) -> list[str]:
    """What a lender's set should have, whoever the performer will be."""
    name, said = of.person, []
    closed = int((of.eyes >= CLOSED_EYES).sum())
    if closed < 3:
        said.append(f"{_count(closed, name)} closed eyes: film {name} blinking.")
    talking = int((of.mouth >= OPEN_MOUTH).sum())
    if talking < 3:
        said.append(f"{_count(talking, name)} an open mouth: film {name} talking.")
    for values, least, how in ((of.yaw, _NARROW_YAW, "left and right"), (of.pitch, _NARROW_PITCH, "up and down")):
        low, high = np.percentile(values, [2, 98])
        if high - low < least:
            said.append(f"{name} hardly looks {how} ({low:+.0f}° to {high:+.0f}°): film {name} looking {how}.")
    return said


def _count(number: int, name: str) -> str:
    return {0: f"No face of {name} has", 1: f"Only 1 face of {name} has"}.get(
        number, f"Only {number} faces of {name} have"
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _poses(lender: Coverage, performer: Coverage) -> list[str]:
    """Directions in which the performer goes further, and poses in between that the lender leaves out."""
    said, explained = [], np.zeros(len(performer), bool)
    for values, needed, sign, how in (
        (lender.yaw, performer.yaw, 1.0, "to the picture's right"),
        (lender.yaw, performer.yaw, -1.0, "to the picture's left"),
        (lender.pitch, performer.pitch, 1.0, "up"),
        (lender.pitch, performer.pitch, -1.0, "down"),
    ):
        reach = float((sign * values).max())
        beyond = sign * needed > reach + _MARGIN_DEGREES
        explained |= beyond
        if beyond.mean() >= _WORTH_SAYING:
            furthest = "never looks" if reach <= 0.0 else f"never looks further {how} than {reach:.0f}°"
            said.append(
                f"{lender.person} {furthest}{f' {how}' if reach <= 0.0 else ''}, {performer.person} does in "
                f"{_percent(float(beyond.mean()))} of the faces: film {lender.person} looking {how}."
            )
    offered = np.stack([lender.yaw, lender.pitch], axis=1)
    wanted = np.stack([performer.yaw, performer.pitch], axis=1)
    nearest = np.array([np.hypot(*(offered - pose).T).min() for pose in wanted])
    hole = (nearest > _HOLE_DEGREES) & ~explained
    if hole.mean() >= _HOLE_SHARE:
        yaw, pitch = np.median(wanted[hole], axis=0)
        said.append(
            f"{_percent(float(hole.mean()))} of {performer.person}'s faces are in poses that {lender.person} never "
            f"shows, about yaw {yaw:+.0f}° and pitch {pitch:+.0f}°: film {lender.person} looking there."
        )
    return said


def _expressions(lender: Coverage, performer: Coverage) -> list[str]:
    name, other, said = lender.person, performer.person, []
    closed = float((performer.eyes >= CLOSED_EYES).mean())
    if not (lender.eyes >= CLOSED_EYES).any() and closed >= 0.5 * _WORTH_SAYING:
        said.append(f"No face of {name} has closed eyes, {_percent(closed)} of {other}'s have: film {name} blinking.")
    for offered, needed, further, how, what in (
        (lender.mouth, performer.mouth, _FURTHER[0], "opens the mouth as far as", "talking and laughing"),
        (lender.smile, performer.smile, _FURTHER[1], "smiles as broadly as", "smiling"),
    ):
        beyond = float((needed > offered.max() + further).mean())
        if beyond >= _WORTH_SAYING:
            said.append(f"{name} never {how} {other} does in {_percent(beyond)} of the faces: film {name} {what}.")
    return said


def _lights(lender: Coverage, performer: Coverage) -> list[str]:
    sides = _side(lender), _side(performer)
    if all(sides) and sides[0] != sides[1]:
        return [
            f"{lender.person} is lit from the picture's {sides[0]}, {performer.person} from its {sides[1]}: shadows "
            "will be on the wrong side of nose and chin."
        ]
    return []
