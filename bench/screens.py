"""False alarms of the two screens on harmless pictures, and what screening costs.

Looked at: the synthetic performers' clips as they are; the same people before drawn places (beach, dunes, a pitch, a
clinic, a sauna); their faces and cheeks blown up until skin fills the picture; and all of it spoilt (casts, black and
white, dark, bright, blurred, compressed). No sexual material is used or made, so what is measured is only how often
harmless pictures are refused, never how much is found.

    .venv/bin/python bench/screens.py [--every 10]    # some minutes; writes bench/results/screens.json
    .venv/bin/python bench/screens.py --tables        # of the published run: docs/concepts/screens.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any, NamedTuple

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from screens_pictures import PLACES, SPOILT, Mask, Picture, before, zoomed

from countenance.conversion.screens import AGES_TO_JUDGE
from countenance.demo.surroundings import surroundings
from countenance.media.read import read_frames
from countenance.perception.perceive import Perception
from countenance.perception.screen import ATTESTED_AGE, MINIMUM_AGE, SEXUAL_CONTENT_LIMIT
from countenance.perception.session import NetworkSessions
from countenance.types import FaceLandmarks

RESULT = Path(__file__).parent / "results" / "screens.json"
CLIPS = Path(str(files("countenance") / "data" / "performers"))
NAMES = ("train_A", "train_B", "test_A", "test_gt_own", "test_gt_matched", "occl_C")
RATE = 25
_NOSE, _CHEEK, _BROW = 4, 50, 151


class Seen(NamedTuple):
    """A frame, its face, and the person in it, float32 in [0, 1]."""

    rgb: Picture
    face: FaceLandmarks
    person: Mask


def faces(name: str, see: Perception) -> Iterator[tuple[int, Picture, FaceLandmarks]]:
    """Every frame of a clip with the landmarks in it, followed from frame to frame."""
    marks: FaceLandmarks | None = None
    for frame in read_frames(CLIPS / f"{name}.mp4"):
        marks = marks and see.mesh(frame.rgb, marks)
        if marks is None or marks.presence < 0.7:
            found = see.detector(frame.rgb)
            marks = see.mesh(frame.rgb, found[0]) if found else None
        if marks is not None:
            yield frame.index, frame.rgb, marks


def harmless(seen: Seen, number: int) -> Iterator[tuple[str, Picture]]:
    """All the pictures that are made of one frame, and their kinds."""
    yield "as it is", seen.rgb
    for name, place in PLACES.items():
        yield f"before a {name}", before(place(number), seen.rgb, seen.person, 0.95 if number % 2 else 0.5)
    points, height = seen.face.points_xy, float(np.ptp(seen.face.points_xy[:468, 1]))
    for name, point, share in (
        ("the face fills it", _NOSE, 0.9), ("the cheek fills it", _CHEEK, 0.3), ("the brow fills it", _BROW, 0.3),
    ):  # fmt: skip
        x, y = points[point]
        yield name, zoomed(seen.rgb, (float(x), float(y)), share * height)
    for name, spoil in SPOILT.items():
        yield name, spoil(seen.rgb)


def bound(alarms: int, count: int) -> float:
    """Upper 95 % bound of a rate: the rule of three where nothing was flagged, Wilson's bound otherwise."""
    if count == 0:
        return 1.0
    if alarms == 0:
        return min(1.0, 3.0 / count)
    z, share = 1.6449, alarms / count
    middle = share + z * z / (2 * count)
    return (middle + z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count**2)))) / (1 + z * z / count)


def facts_of(scores: Sequence[float]) -> dict[str, Any]:
    """Counts, the bound, and quantiles of scores."""
    alarms = sum(not score < SEXUAL_CONTENT_LIMIT for score in scores)
    at = ("0.5", "0.9", "0.99", "1")
    quantiles = dict(zip(at, np.quantile(scores, [float(q) for q in at]).round(3).tolist(), strict=True))
    return {
        "pictures": len(scores), "flagged": alarms, "rate_at_most": round(bound(alarms, len(scores)), 4),
        "quantiles": quantiles,
    }  # fmt: skip


def sexual_content(see: Perception, every: int) -> dict[str, Any]:
    """Scores by kind and by clip, and whole clips that would be refused."""
    by_kind: dict[str, list[float]] = {}
    material: dict[tuple[str, str], list[float]] = {}
    for name in NAMES:
        for index, rgb, face in faces(name, see):
            if index % every:
                continue
            seen = Seen(rgb, face, see.segmenter(rgb).values)
            for kind, picture in harmless(seen, index):
                score = see.screen(picture)
                by_kind.setdefault(kind, []).append(score)
                material.setdefault((name, kind), []).append(score)
        print(f"sexual content: {name}", flush=True)
    refused = {f"{name}: {kind}": scores for (name, kind), scores in material.items() if max(scores) >= 0.8}
    return {
        "limit": SEXUAL_CONTENT_LIMIT,
        "all": facts_of([score for scores in by_kind.values() for score in scores]),
        "by_kind": {kind: facts_of(scores) for kind, scores in by_kind.items()},
        "by_clip": {name: facts_of(material[name, "as it is"]) for name in NAMES},
        "materials": len(material),
        "materials_refused": {
            what: {"flagged": sum(s >= 0.8 for s in scores), "of": len(scores), "longest_run": longest(scores)}
            for what, scores in refused.items()
        },
    }


def longest(scores: Sequence[float]) -> int:
    """The most flagged pictures one after another."""
    best = run = 0
    for score in scores:
        run = run + 1 if score >= SEXUAL_CONTENT_LIMIT else 0
        best = max(best, run)
    return best


def ages(see: Perception) -> dict[str, Any]:
    """Estimates of every frame, and how often a short track would be refused by its own median."""
    rows = {}
    for name in NAMES:
        spoilt: dict[str, list[float]] = {}
        years = []
        for index, rgb, face in faces(name, see):
            years.append(see.age(rgb, face))
            for kind, spoil in SPOILT.items() if index % 10 == 0 else ():
                spoilt.setdefault(kind, []).append(see.age(spoil(rgb), face))
        shown = np.quantile(years, [0.0, 0.05, 0.5, 0.95, 1.0]).round(1).tolist()
        rows[name] = {
            "frames": len(years),
            "quantiles": dict(zip(("0", "0.05", "0.5", "0.95", "1"), shown, strict=True)),
            "single_frames_under_18": sum(age < MINIMUM_AGE for age in years),
            "short_tracks": {
                "in a row": short_tracks(years, 1),
                "a tenth of a second apart": short_tracks(years, RATE // 10),
                "half a second apart": short_tracks(years, RATE // 2),
            },
            "median_when": {kind: round(median(values), 1) for kind, values in spoilt.items()},
        }
        print(f"age: {name}", flush=True)
    medians = [row["quantiles"]["0.5"] for row in rows.values()]
    return {
        "minimum": MINIMUM_AGE,
        "attested": ATTESTED_AGE,
        "clips": rows,
        "clips_refused": sum(value < MINIMUM_AGE for value in medians),
        "clips_that_need_the_attestation": sum(value < ATTESTED_AGE for value in medians),
    }


def short_tracks(years: Sequence[float], step: int) -> dict[str, Any]:
    """Medians of so many estimates as a track is judged by, from every frame on."""
    span = AGES_TO_JUDGE * step
    middles = [median(years[at : at + span : step]) for at in range(len(years) - span + 1)]
    if not middles:
        return {"tracks": 0}
    return {
        "tracks": len(middles),
        "refused": sum(value < MINIMUM_AGE for value in middles),
        "need_the_attestation": sum(value < ATTESTED_AGE for value in middles),
        "lowest_median": round(min(middles), 1),
    }


def cost() -> dict[str, Any]:
    """Processor time of the screens for a minute of 1280 × 720 at 25 frames a second, one face, one shot; one thread.

    Before this rule, footage was looked at every 13th frame and at no other place, and the output not at all.
    """
    see = Perception(NetworkSessions(threads=1))
    _, rgb, _ = next(iter(faces("test_A", see)))
    large = np.asarray(cv2.resize(rgb, (720, 720), interpolation=cv2.INTER_CUBIC), np.uint8)
    picture = np.ascontiguousarray(np.pad(large, ((0, 0), (280, 280), (0, 0)), mode="reflect"))
    face = see.mesh(picture, see.detector(picture)[0])
    spent = {}
    for name, call in (("screen", lambda: see.screen(picture)), ("age", lambda: see.age(picture, face))):
        call()
        times = []
        for _ in range(15):
            began = thread_time()
            call()
            times.append(1000.0 * (thread_time() - began))
        spent[name] = median(times)
    looks, ages_each = looks_of_a_minute(), ages_of_a_minute()
    old_looks = 1 + 60 * RATE // 13
    old = 0.001 * old_looks * (spent["screen"] + spent["age"])
    new = 0.001 * 2 * (looks * spent["screen"] + ages_each * spent["age"])
    return {
        "milliseconds_a_look": {name: round(value, 1) for name, value in spent.items()},
        "looks_a_minute": {"before": [old_looks, old_looks], "now": [2 * looks, 2 * ages_each]},
        "seconds_a_minute_before": round(old, 1),
        "seconds_a_minute_now": round(new, 1),
        "seconds_a_minute_now_without_a_face": round(0.001 * looks * spent["screen"], 1),
        "ratio": round(new / old, 2),
    }


def looks_of_a_minute() -> int:
    """Pictures that the rule looks at in a minute without a cut."""
    from countenance.conversion.screens import FrameScreen
    from countenance.types import Frame

    asked: list[int] = []
    tiny = np.zeros((2, 2, 3), np.uint8)
    screen = FrameScreen(lambda _: float(asked.append(1) or 0.0), lambda _: "", Fraction(1, 2))
    for index in range(60 * RATE):
        screen(Frame(tiny, index, index, Fraction(1, RATE)), 0)
    screen.end()
    return len(asked)


def ages_of_a_minute() -> int:
    """Estimates of one track in a minute."""
    dense = (AGES_TO_JUDGE - 1) * 0.1
    return AGES_TO_JUDGE + int((60.0 - dense) / 0.5)


def tables(result: dict[str, Any]) -> str:
    """The page's tables."""
    lines = [
        "| harmless pictures | looked at | flagged | 95 % bound of the rate | median | 99 % below | highest |",
        "|---|---|---|---|---|---|---|",
    ]
    content = result["sexual_content"]
    for kind, row in [*content["by_kind"].items(), ("all", content["all"])]:
        at = row["quantiles"]
        lines.append(
            f"| {kind} | {row['pictures']} | {row['flagged']} | {100 * row['rate_at_most']:.1f} % | {at['0.5']:.2f} | "
            f"{at['0.99']:.2f} | {at['1']:.2f} |"
        )
    lines += [
        "",
        "| clip | frames | median | 5 % to 95 % | frames under 18 | tracks refused: in a row | spread over 0.4 s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["age"]["clips"].items():
        at, short = row["quantiles"], row["short_tracks"]
        close, spread = short["in a row"], short["a tenth of a second apart"]
        lines.append(
            f"| {name} | {row['frames']} | {at['0.5']:.1f} | {at['0.05']:.1f} to {at['0.95']:.1f} | "
            f"{row['single_frames_under_18']} | {close['refused']} of {close['tracks']} | {spread['refused']} of "
            f"{spread['tracks']} |"
        )
    return "\n".join(lines)


def cost_sentence(cost: dict[str, Any]) -> str:
    """The page's sentence about the cost."""
    each = cost["milliseconds_a_look"]
    return (
        f"On one core of the machine that measured, a look takes {each['screen']:.0f} ms and an estimate of an age "
        f"{each['age']:.0f} ms.\n"
        f"A minute of 720p footage with one face throughout takes {cost['seconds_a_minute_now']} s; before the render "
        f"was looked\nat, too, it was {cost['seconds_a_minute_before']} s (ratio {cost['ratio']}). Without a face that "
        f"is replaced it is {cost['seconds_a_minute_now_without_a_face']} s."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=10, help="every so many-th frame of each clip")
    parser.add_argument("--tables", action="store_true", help="print the published figures as the page has them")
    arguments = parser.parse_args()
    if arguments.tables:
        published = json.loads(RESULT.read_text())
        print(tables(published), cost_sentence(published["cost"]), sep="\n\n")
        return
    see = Perception(NetworkSessions(threads=1))
    result = {
        "surroundings": surroundings("cpu"),
        "every": arguments.every,
        "cost": cost(),
        "age": ages(see),
        "sexual_content": sexual_content(see, arguments.every),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["cost"], indent=1))
    print(json.dumps(result["sexual_content"]["all"], indent=1))


if __name__ == "__main__":
    main()
