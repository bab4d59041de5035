"""Counts frames in which the performer can be seen: the real networks on scenes of which the truth is known.

Claim: no frame shows the performer's face, neither replaced nor veiled, wherever the identity network could recognise
it, and nobody else is replaced. Stages Tracker, Decider and Painter run as in a render; the swapper paints a flat
colour, since the question is what is covered. About four minutes on one core.

    python bench/leaks.py [--only NAME ...] [--pictures FOLDER] [--output bench/results/leaks.json]
    python bench/leaks.py --page    (only writes the result's table into docs/concepts/fail-closed.md)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from leaks_scenarios import scenarios
from leaks_scenes import PERFORMER, Cast, Scene, SceneFrame, TrueFace, play

from countenance import geometry
from countenance.conversion.decide import DecidedFace, DecidedFrame, Decider
from countenance.conversion.mask import landmark_mask
from countenance.conversion.settings import ConvertSettings
from countenance.conversion.swap import Painter
from countenance.conversion.track import Tracker, box_of, overlap
from countenance.conversion.veil import veil_alpha
from countenance.perception.identity import SAME_PERSON_COSINE
from countenance.perception.perceive import Perception
from countenance.types import Mask, SwappedFace

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "leaks.json"
PAGE = ROOT / "docs" / "concepts" / "fail-closed.md"
BEGIN, END = "<!-- table: bench/leaks.py --page -->\n", "<!-- end of the table -->\n"
LOOK_ALIKE_ALONE = "only_c"  # the identity network takes C for the performer: 0.63 to 0.70
FLAT = (200, 70, 150)
SETTINGS = ConvertSettings(color_strength=0.0)
COVERED = 0.5  # of the face's core: below, it counts as shown
VISIBLE_SHARE = 0.2  # of the face inside the frame and uncovered by others: below, there is no face to hide
VISIBLE_PIXELS = 40
_CORE = 0.08  # of the face's height is eroded from its mask


class FlatSwapper:
    """Paints every face in one colour."""

    def __call__(self, faces: Sequence[Any]) -> list[SwappedFace]:
        return [
            SwappedFace(np.full_like(face.rgb, FLAT), Mask(np.ones(face.rgb.shape[:2], np.float32), "predicted"))
            for face in faces
        ]


@dataclass
class Tally:
    """What is counted in one scenario."""

    frames: int = 0
    with_performer: int = 0
    recognisable: int = 0
    leaks: int = 0
    recognised_after: int = 0
    shown_unrecognisable: int = 0
    replaced: int = 0
    veiled: int = 0
    others: int = 0
    others_replaced: int = 0
    others_veiled: int = 0
    least_covered: float = 1.0
    highest_cosine_after: float = -1.0
    leaking_frames: list[int] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)


def cover(decided: DecidedFrame, action: str) -> np.ndarray:
    """How much of each pixel is hidden by one kind of action, float32 ``(H, W)`` in [0, 1]."""
    hidden = np.zeros(decided.frame.size_hw, np.float32)
    for face in decided.faces:
        alpha = _replaced(face, hidden.shape) if action == "replace" else _veiled(face, hidden.shape)
        np.maximum(hidden, alpha, out=hidden)
    return hidden


def _replaced(face: DecidedFace, size_hw: tuple[int, ...]) -> np.ndarray:
    if face.aligned_from_frame is None or face.landmarks is None:
        return np.zeros(size_hw, np.float32)
    inside = geometry.apply(face.aligned_from_frame, face.landmarks.points_xy)
    mask = landmark_mask(inside, geometry.CROP_SIZE).values
    back = geometry.invert(face.aligned_from_frame)
    return np.asarray(cv2.warpAffine(mask, back, (size_hw[1], size_hw[0])), np.float32)


def _veiled(face: DecidedFace, size_hw: tuple[int, ...]) -> np.ndarray:
    return face.veil_amount * veil_alpha((size_hw[0], size_hw[1]), face.ellipse)


class Judge:
    """Knows where every face is, and asks the identity network whether the performer is left in the picture."""

    def __init__(self, perception: Perception, template: np.ndarray) -> None:
        self._see, self._template = perception, template

    def cosine(self, rgb: np.ndarray, face: TrueFace) -> float:
        """Of the face at its true place to the performer's template."""
        return float(self._see.embedder(rgb, face.landmarks) @ self._template)

    def found(self, rgb: np.ndarray, face: TrueFace) -> float:
        """The highest cosine of what the detector finds there; −1 when it finds nothing."""
        place, cosines = box_of(face.landmarks.points_xy), [-1.0]
        for detection in self._see.detector(rgb, min_score=0.5):
            if overlap(detection.box_xyxy, place) > 0.3:
                cosines.append(float(self._see.embedder(rgb, self._see.mesh(rgb, detection)) @ self._template))
        return max(cosines)

    def __call__(self, tally: Tally, seen: SceneFrame, decided: DecidedFrame, out: np.ndarray) -> None:
        """Count one frame."""
        replaced, veiled = cover(decided, "replace"), cover(decided, "veil")
        tally.frames += 1
        for face in decided.faces:
            if face.reason:
                tally.reasons[face.reason] = tally.reasons.get(face.reason, 0) + 1
        shown = [face for face in seen.faces if _is_visible(face)]
        for other in (face for face in shown if face.who != PERFORMER):
            tally.others += 1
            tally.others_replaced += _share(other, replaced * (1.0 - veiled)) >= COVERED
            tally.others_veiled += _share(other, veiled) >= COVERED
        performers = [face for face in shown if face.who == PERFORMER]
        if not performers:
            return
        tally.with_performer += 1
        tally.veiled += any(_share(face, veiled) >= COVERED for face in performers)
        tally.replaced += all(_share(face, veiled) < COVERED <= _share(face, replaced) for face in performers)
        known = shows = left = False
        for face in performers:
            recognisable = self.cosine(seen.frame.rgb, face) >= SAME_PERSON_COSINE
            covered = _share(face, np.maximum(replaced, veiled))
            after = max(self.cosine(out, face), self.found(out, face))
            tally.least_covered = min(tally.least_covered, covered)
            tally.highest_cosine_after = max(tally.highest_cosine_after, after)
            known |= recognisable
            left |= after >= SAME_PERSON_COSINE
            shows |= covered < COVERED and not recognisable
            if after >= SAME_PERSON_COSINE or (recognisable and covered < COVERED):
                tally.leaking_frames.append(seen.frame.index)
        tally.recognisable += known
        tally.recognised_after += left
        tally.shown_unrecognisable += shows
        tally.leaking_frames = sorted(set(tally.leaking_frames))
        tally.leaks = len(tally.leaking_frames)


def _is_visible(face: TrueFace) -> bool:
    hull = geometry.face_hull(face.landmarks.points_xy)
    whole = 0.75 * float(cv2.contourArea(hull))  # the truth masks leave out hair and part of the forehead
    area = float(face.visible.sum())
    return area >= VISIBLE_PIXELS and area >= VISIBLE_SHARE * whole


def _share(face: TrueFace, hidden: np.ndarray) -> float:
    """How much of the face's core is hidden."""
    height = float(np.ptp(face.landmarks.points_xy[:468, 1]))
    size = max(1, round(_CORE * height)) * 2 + 1
    core = cv2.erode(face.visible, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    if core.sum() < 0.2 * face.visible.sum():
        core = face.visible
    return float((core * hidden).sum() / max(float(core.sum()), 1e-6))


def convert_scene(
    cast: Cast, scene: Scene, template: np.ndarray, settings: ConvertSettings = SETTINGS
) -> list[tuple[SceneFrame, DecidedFrame, np.ndarray]]:
    """Every frame with the truth, what was decided, and the picture that a render would mark and encode."""
    tracker = Tracker(cast.perception, template, settings)
    decider = Decider(settings, SAME_PERSON_COSINE, look_back=tracker.look_back)
    painter = Painter(FlatSwapper(), settings)
    frames = list(play(cast, scene))
    rows = []
    for seen, decided in zip(frames, decider(tracker(seen.frame) for seen in frames), strict=True):
        (painted,) = painter([decided])
        rows.append((seen, decided, painted.frame.rgb))
    return rows


def measure(cast: Cast, scene: Scene, template: np.ndarray, pictures: Path | None = None) -> Tally:
    """Convert one scenario and count."""
    judge, tally = Judge(cast.perception, template), Tally()
    rows = convert_scene(cast, scene, template)
    for seen, decided, out in rows:
        judge(tally, seen, decided, out)
    if pictures is not None:
        _picture(pictures / f"{scene.name}.png", rows)
    return tally


def _picture(path: Path, rows: list[tuple[SceneFrame, DecidedFrame, np.ndarray]]) -> None:
    tiles = []
    for seen, _, out in rows[:: max(1, len(rows) // 24)][:24]:
        pair = np.concatenate([seen.frame.rgb, out], axis=0)
        tiles.append(cv2.resize(pair, (320, 360), interpolation=cv2.INTER_AREA))
    while len(tiles) % 6:
        tiles.append(np.zeros_like(tiles[0]))
    sheet = np.concatenate([np.concatenate(tiles[i : i + 6], axis=1) for i in range(0, len(tiles), 6)])
    cv2.imwrite(str(path), sheet[..., ::-1])


def row_of(scene: Scene, tally: Tally) -> dict[str, Any]:
    """The JSON row of a scenario."""
    return {
        "what": scene.what,
        "frames": tally.frames,
        "with_performer": tally.with_performer,
        "recognisable": tally.recognisable,
        "leaks": tally.leaks,
        "leaking_frames": tally.leaking_frames,
        "recognised_after": tally.recognised_after,
        "shown_unrecognisable": tally.shown_unrecognisable,
        "replaced": tally.replaced,
        "veiled": tally.veiled,
        "others": tally.others,
        "others_replaced": tally.others_replaced,
        "others_veiled": tally.others_veiled,
        "least_covered": round(tally.least_covered, 3),
        "highest_cosine_after": round(tally.highest_cosine_after, 3),
        "reasons": tally.reasons,
    }


def table(facts: dict[str, Any]) -> str:
    """The scenarios as the Markdown table of docs/concepts/fail-closed.md."""
    lines = [
        "| scenario | frames with the performer | recognisable | leaks | shown, unrecognisable | replaced | veiled "
        "| others: replaced, veiled |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in facts["scenarios"].items():
        others = f"{row['others_replaced']}, {row['others_veiled']} of {row['others']}" if row["others"] else ""
        cells = [row[key] for key in ("with_performer", "recognisable", "leaks", "shown_unrecognisable", "replaced")]
        numbers = " | ".join(str(cell) for cell in [*cells, row["veiled"]])
        lines.append(f"| {name.replace('_', ' ')}: {row['what']} | {numbers} | {others} |")
    return "\n".join(lines) + "\n"


def write_page(facts: dict[str, Any], page: Path = PAGE) -> None:
    """Put the table into the document, between its two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + table(facts) + END + after, encoding="utf-8")


def good(facts: dict[str, Any]) -> bool:
    """Whether the claim holds: no leak, nobody else replaced but the look-alike alone, the plain clip not veiled."""
    rows = facts["scenarios"]
    whole = all(row["leaks"] == 0 for row in rows.values())
    others = sum(row["others_replaced"] for name, row in rows.items() if name != LOOK_ALIKE_ALONE)
    return whole and others == 0 and rows["plain"]["veiled"] == 0


def main() -> None:
    from countenance.demo.surroundings import surroundings

    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--pictures", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    if arguments.page:
        write_page(json.loads(RESULT.read_text(encoding="utf-8")))
        return
    cv2.setNumThreads(1)
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    cast = Cast(Perception())
    template = cast.template()
    rows = {}
    for scene in scenarios():
        if arguments.only and scene.name not in arguments.only:
            continue
        rows[scene.name] = row = row_of(scene, measure(cast, scene, template, arguments.pictures))
        print(
            f"{scene.name:18} n {row['frames']:3} perf {row['with_performer']:3} recog {row['recognisable']:3} "
            f"LEAK {row['leaks']:3} after {row['recognised_after']:3} shown {row['shown_unrecognisable']:3} "
            f"repl {row['replaced']:3} veil {row['veiled']:3} | others {row['others']:3} "
            f"r {row['others_replaced']:3} v {row['others_veiled']:3} "
            f"cov {row['least_covered']:.2f} {row['leaking_frames'][:12]} {row['reasons']}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
    facts = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "surroundings": surroundings("cpu"),
        "recognised_from_cosine": SAME_PERSON_COSINE,
        "covered_from_share": COVERED,
        "visible_from_share": VISIBLE_SHARE,
        "visible_from_pixels": VISIBLE_PIXELS,
        "scenarios": rows,
    }
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if not arguments.only:
        print("good" if good(facts) else "NOT GOOD")


if __name__ == "__main__":
    main()
