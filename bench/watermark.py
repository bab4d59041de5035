"""What the watermark survives, what it costs, and whether it is seen where there is none. JSON, and tables with --page.

- *Survival*: every clip of bench/watermark_clips.py with its own random id and the visible label, through every attack
  of bench/watermark_attacks.py. Read means: the right id with its right check tag. Recognised means: what could not be
  read is told by a register that knows 10,000 other ids beside the right one. The attacks that are not claimed to be
  survived run on every third clip.
- *False positives*: searches of unmarked clips, whole, in parts, cut and compressed, with every size and place tried.
  What decides is how high the likeliest code word stands; its distribution is fitted and carried on to the threshold.
- *Picture*: PSNR of luma at 720p of every clip; how much longer the mark makes files.
- *Cost*: of one core's time, which the neighbours on a shared machine disturb little.

    OMP_NUM_THREADS=1 .venv/bin/python bench/watermark.py [--jobs 2] [--every 1] [--result bench/results/watermark.json]
    .venv/bin/python bench/watermark.py --page         # writes the tables into docs/concepts/watermark.md

About 80 minutes of one core, saved after every clip; --jobs 2 takes two, --every 2 half of the clips. --only "x265
CRF 32,VP9 CRF 40" measures these attacks again and leaves the rest of the result as it is. --pictures DIR writes marked
frames at four times their contrast, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from itertools import repeat
from math import erfc, log10, sqrt
from pathlib import Path
from statistics import mean, median, pstdev
from time import thread_time
from typing import Any

import cv2
import numpy as np
from watermark_attacks import ATTACKS, LOSSES, Attack, Clip, cropped, recoded, x264
from watermark_clips import CASES, enlarged, performer

from countenance.atomic import write_bytes
from countenance.demo.surroundings import surroundings
from countenance.provenance import watermark_recognise, watermark_search
from countenance.provenance.label import draw_label
from countenance.provenance.watermark import Watermarker, _Finder, find_watermark
from countenance.provenance.watermark_pattern import layer_of
from countenance.provenance.watermark_recognise import recognise

RESULT = Path(__file__).parent / "results" / "watermark.json"
PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "watermark.md"
SECRET = bytes(range(32))
OTHERS = 10_000  # watermarks in the register that the right one is told from
TAG_BITS = 24


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = ((a.astype(np.float64) - b) @ [0.299, 0.587, 0.114]) ** 2
    return float(10 * log10(255.0**2 / max(error.mean(), 1e-9)))


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(median(values), 2),
        "lowest": round(min(values), 2),
        "highest": round(max(values), 2),
        "deviation": round(pstdev(values), 2),
    }


def marked_clip(number: int, every: int = 1) -> tuple[str, Clip, Clip, bytes]:
    """Name, clip with the label, the same with the mark, and its id."""
    name, make = list(CASES.items())[::every][number]
    ids = random.Random(7)
    payload = [ids.randbytes(5) for _ in range(number + 1)][-1]
    labelled = [draw_label(frame) for frame in make()]
    marker = Watermarker(payload, labelled[0].shape[:2])
    return name, labelled, [marker(frame) for frame in labelled], payload


def measured_again(path: Path, names: list[str]) -> None:
    """Replaces the rows of some attacks in a result, and notes when and with which commit."""
    facts = json.loads(path.read_bytes())
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(len(CASES)):
        name, _, marked, payload = marked_clip(number)
        for attack in names:
            rows[attack].append(tried(ATTACKS[attack](marked), payload, name)[0])
    facts["attacks"].update(rows)
    for name, row in facts["clips"].items():
        for kind, is_lost in (("unread", unread), ("lost", lost)):
            found = {attack: not is_lost(r) for attack in names for r in rows[attack] if r["clip"] == name}
            row[kind] = [a for a in ATTACKS if not found.get(a, a not in row[kind])]
    made = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": surroundings("cpu")["commit"]}
    facts["measured_again"] = {**facts.get("measured_again", {}), **dict.fromkeys(names, made)}
    write_bytes(path, json.dumps(facts, indent=1, allow_nan=False).encode())


def unread(row: dict[str, Any]) -> bool:
    return not row["found"]


def lost(row: dict[str, Any]) -> bool:
    return not row["found"] and row["recognised"] is None


def tried(clip: Clip, payload: bytes, name: str) -> tuple[dict[str, Any], bool]:
    """What a search of a marked clip found, and whether it was a wrong id."""
    began = thread_time()
    answer = find_watermark(clip)
    row = {"found": answer.payload == payload, "score": round(answer.score, 1), "wrong_bits": answer.wrong_bits}
    row |= {"clip": name, "seconds": round(thread_time() - began, 2)}
    told = None if answer.payload is not None else recognise(answer.evidence, [*others(), payload])
    row["recognised"] = None if told is None else round(told.height, 2)
    wrong = answer.payload not in (None, payload) or (told is not None and told.payload != payload)
    return row, wrong


@cache
def others() -> tuple[bytes, ...]:
    """The ids of a register that has not the right one."""
    drawn = random.Random(11)
    return tuple(drawn.randbytes(5) for _ in range(OTHERS))


def survival(every: int, jobs: int, save: Callable[[dict[str, Any]], None]) -> None:
    """The rows of every attack and every clip, saved after each clip."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (*ATTACKS, *LOSSES)}
    clips: dict[str, Any] = {}
    wrong, minutes = 0, 0.0
    with ProcessPoolExecutor(jobs, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        numbers = range(len(list(CASES)[::every]))
        for name, clip, here, is_wrong, taken in pool.map(survey, numbers, repeat(every)):
            for attack, row in here.items():
                rows[attack].append(row)
            clips[name] = clip
            wrong, minutes = wrong + is_wrong, minutes + taken
            print(f"{len(clips):2d} {name}: lost {', '.join(clip['lost']) or 'nothing'}", flush=True)
            save({"clips": clips, "attacks": rows, "wrong_ids": wrong, "survival_minutes": minutes})


def survey(number: int, every: int) -> tuple[str, dict[str, Any], dict[str, dict[str, Any]], int, float]:
    """One clip's name, its facts, what was found after each attack, how many ids were wrong, minutes of a core."""
    began = thread_time()
    name, labelled, marked, payload = marked_clip(number, every)
    chosen: dict[str, Attack] = ATTACKS | (LOSSES if number % 3 == 0 else {})
    tries = {attack: tried(change(marked), payload, name) for attack, change in chosen.items()}
    here = {attack: row for attack, (row, _) in tries.items()}
    clip = {
        "size": list(marked[0].shape[:2]),
        "psnr": round(min(psnr(a, b) for a, b in zip(labelled[::25], marked[::25], strict=True)), 2),
        "psnr_720p": round(psnr_720p(labelled, payload), 2),
        "bitrate_ratio": round(growth(labelled, marked), 3),
        "unread": [attack for attack in ATTACKS if unread(here[attack])],
        "lost": [attack for attack in ATTACKS if lost(here[attack])],
    }
    return name, clip, here, sum(is_wrong for _, is_wrong in tries.values()), (thread_time() - began) / 60


def psnr_720p(clip: Clip, payload: bytes, secret: bytes | None = None) -> float:
    height, width = clip[0].shape[:2]
    size = (720, 1280) if width > height else (1280, 720) if height > width else (720, 720)
    marker = Watermarker(payload, size, secret)
    return min(psnr(frame, marker(frame)) for frame in enlarged(clip[::37], size))


def growth(plain: Clip, marked: Clip) -> float:
    options = {"crf": "20", "preset": "veryfast"}
    return recoded(marked, "libx264", options)[1] / recoded(plain, "libx264", options)[1]


def secret_mark(every: int) -> dict[str, Any]:
    """Both marks together: is each found, and does the secret one stay when somebody takes the public one off?"""
    some = ("none", "x264 CRF 28", "cropped to 80 %", "screen recording", "the public mark taken off by who knows it")
    found: dict[str, dict[str, int]] = {name: {"public": 0, "secret": 0, "of": 0} for name in some}
    lowest, other = 99.0, 0
    for make in list(CASES.values())[:: 3 * every]:
        clip = make()
        marker = Watermarker(b"bench", clip[0].shape[:2], SECRET)
        marked = [marker(frame) for frame in clip]
        lowest = min(lowest, psnr_720p(clip, b"bench", SECRET))
        for name in some:
            answer = find_watermark({**ATTACKS, **LOSSES}[name](marked), SECRET)
            found[name]["public"] += answer.payload == b"bench"
            found[name]["secret"] += answer.secret_payload == b"bench"
            found[name]["of"] += 1
        other += find_watermark(marked[:25], bytes(32)).secret_payload is not None
    return {"found": found, "lowest_psnr_720p": round(lowest, 2), "found_with_another_secret": other}


def unmarked(every: int) -> dict[str, Any]:
    """The distribution of everything that is compared with a threshold, over unmarked footage."""
    heights, scores, aligned, readings, ids, evidence, hinted = [], [], [], [], 0, [], 0
    footage = [make() for make in list(CASES.values())[::every]]
    footage += [performer("train_A", 75 * k) for k in range(0, 6, every)]
    footage += [performer("train_B", 75 * k) for k in range(0, 4, every)]
    for clip in footage:
        squeezed = x264(30, "veryfast")(clip)
        cut = [cropped(0.87, 0.81, 0.3, 0.8)(frame) for frame in clip]
        for stretch in (clip, clip[:25], clip[25:50], clip[50:], clip[::9], clip[40:41], squeezed, cut):
            finder = _Finder([layer_of(None)])
            for frame in stretch:
                finder.add(frame)
            finder.look(aligned=True)
            heights += [reading.height for reading in finder.readings]
            scores.append(max(max(reading.score, reading.sync) for reading in finder.readings))
            aligned.append(finder.aligned_height)
            readings.append(len(finder.readings))
            finding = finder.finding()
            ids += finding.payload is not None
            hinted += finding.hinted
            evidence.append(finding.evidence)
    threshold = watermark_search.READABLE
    mu, sigma = mean(heights), pstdev(heights)
    tail = 0.5 * erfc((threshold - mu) / sigma / sqrt(2))
    # In one video: five looks, the last two of which take medians, too, and search in both; two areas; as it is and up
    # to three places.
    tried = 2 * (5 * 1 + 2 * (1 + 2 * 3))
    words = watermark_search.WORDS_TRIED
    return {
        "searches": len(scores),
        "ids_read": ids,
        "readings": len(heights),
        "word_height": spread(heights) | {"mean": round(mu, 3), "percentiles_50_90_99_99.9": percentiles(heights)},
        "threshold": threshold,
        "beyond_threshold_in_deviations": round((threshold - mu) / sigma, 2),
        "chance_of_a_reading_above_threshold": tail,
        "readings_a_video_at_most": tried,
        "false_positives_a_video_by_the_tag_alone": tried * words * 2.0**-TAG_BITS,
        "false_positives_a_video": tried * tail * words * 2.0**-TAG_BITS,
        "score": spread(scores) | {"percentiles_50_90_99_99.9": percentiles(scores)},
        "fixed_part_over_all_sizes_and_places": spread(aligned) | {"percentiles_50_90_99_99.9": percentiles(aligned)},
        "traces_threshold": 8.0,
        "histogram_of_word_height": histogram(heights),
        "recognition": recognition(evidence) | {"hinted": hinted},
    }


def recognition(searches: list[tuple[bytes, ...]]) -> dict[str, Any]:
    """How high known ids stand in footage without a mark, against the normal tail that the threshold is taken from."""
    known, bounds = [*others()], np.arange(3.0, 7.01, 0.5)
    above, compared, recognised, highest = np.zeros(len(bounds)), 0, 0, 0.0
    for evidence in searches:
        recognised += recognise(evidence, known) is not None
        heights = watermark_recognise.heights(evidence, known).ravel()
        above += (heights[:, None] >= bounds).sum(axis=0)
        compared, highest = compared + heights.size, max(highest, float(heights.max()))
    return {
        "known_ids": len(known),
        "searches": len(searches),
        "recognised": recognised,
        "words_compared": compared,
        "highest": round(highest, 2),
        "needed": round(watermark_recognise.height_needed(watermark_recognise.READINGS, len(known)), 2),
        "needed_of": {
            str(n): round(watermark_recognise.height_needed(watermark_recognise.READINGS, n), 2)
            for n in (1, 100, 10_000, 1_000_000)
        },
        "above": {f"{bound:.1f}": int(count) for bound, count in zip(bounds, above, strict=True)},
        "above_if_normal": {f"{b:.1f}": round(compared * 0.5 * erfc(b / sqrt(2)), 2) for b in bounds},
    }


def percentiles(values: list[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values, [50, 90, 99, 99.9])]


def histogram(values: list[float]) -> dict[str, int]:
    counts, edges = np.histogram(values, bins=np.arange(0.0, 10.01, 0.5))
    return {f"{low:.1f}": int(count) for low, count in zip(edges, counts, strict=False) if count}


def timed(function: Callable[[], object], times: int) -> dict[str, float]:
    """Milliseconds of this thread's processor time."""
    taken = []
    for _ in range(times):
        began = thread_time()
        function()
        taken.append(1e3 * (thread_time() - began))
    return spread(taken)


def cost() -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for height, width in ((320, 320), (720, 1280), (1080, 1920)):
        frame = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2.0)
        marker, finder = Watermarker(b"bench", (height, width)), _Finder([layer_of(None)])
        both = Watermarker(b"bench", (height, width), SECRET)
        rows[f"embed {height}p"] = timed(lambda frame=frame, marker=marker: marker(frame), 60)
        rows[f"embed {height}p with the secret mark"] = timed(lambda frame=frame, both=both: both(frame), 20)
        rows[f"label {height}p"] = timed(lambda frame=frame: draw_label(frame), 20)
        for _ in range(25):
            finder.add(frame)
        rows[f"add up a frame {height}p"] = timed(lambda frame=frame, finder=finder: finder.add(frame), 40)
    residual = watermark_search.Residual(np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32))
    layer = layer_of(None)
    rows["search all sizes and places"] = timed(lambda: watermark_search.find_alignments(residual, layer), 10)
    rows["read at one place"] = timed(lambda: watermark_search.read(residual, layer, watermark_search.AS_IT_IS), 20)
    return rows


def pictures(folder: Path) -> None:
    """A part of each clip's frame at 720p without and with the mark, at four times the contrast about its mean."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(CASES)):
        name, labelled, _, payload = marked_clip(number)
        height, width = labelled[0].shape[:2]
        size = (720, 1280) if width > height else (1280, 720) if height > width else (720, 720)
        (frame,) = enlarged(labelled[30:31], size)
        part = (slice(size[0] // 5, size[0] // 5 + 400), slice(size[1] // 4, size[1] // 4 + 360))
        plain, mark = (f[part].astype(np.float32) for f in (frame, Watermarker(payload, size)(frame)))
        around = cv2.GaussianBlur(plain, (0, 0), 60.0)
        tiles = [128 + 4 * (plain - around), 128 + 4 * (mark - around), 128 + 4 * (mark - plain)]
        sheet = np.clip(np.concatenate(tiles, axis=1), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{re.sub('[^a-zA-Z0-9_]+', '_', name)}.png"), sheet[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take every n-th clip only")
    parser.add_argument("--jobs", type=int, default=1, help="clips at once, each in a process of one thread")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument(
        "--page", action="store_true", help="write the tables of the result into the page, measure nothing"
    )
    parser.add_argument("--only", help="measure these attacks again, names with commas between, in the result there is")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.pictures is not None:
        pictures(arguments.pictures)
        return
    if arguments.page:
        from watermark_page import write_page

        write_page(PAGE, json.loads(arguments.result.read_bytes()))
        return
    if arguments.only is not None:
        measured_again(arguments.result, [name.strip() for name in arguments.only.split(",")])
        return
    began = thread_time()
    facts: dict[str, Any] = {"made_at": datetime.now(UTC).isoformat(timespec="seconds")}

    def save(part: dict[str, Any]) -> None:
        minutes = part.get("survival_minutes", facts.get("survival_minutes", 0.0)) + (thread_time() - began) / 60
        facts.update(part, minutes_of_one_core=round(minutes, 1))
        write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())

    save({"surroundings": surroundings("cpu")})
    survival(arguments.every, arguments.jobs, save)
    save({"unmarked": unmarked(arguments.every)})
    save({"secret": secret_mark(arguments.every)})
    save({"cost_ms": cost()})


if __name__ == "__main__":
    main()
