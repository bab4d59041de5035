"""The tables of docs/concepts/watermark.md from a result of bench/watermark.py, each between its two comments."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from watermark_attacks import ATTACKS, LOSSES
from watermark_clips import CASES

SMALL = 350  # pixels of the longer side up to which a clip counts as small


def write_page(page: Path, facts: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    for name, table in (
        ("survives", attacks(facts, list(ATTACKS))),
        ("losses", attacks(facts, list(LOSSES))),
        ("unmarked", unmarked(facts["unmarked"])),
        ("recognition", recognition(facts["unmarked"]["recognition"])),
        ("secret", secret(facts["secret"])),
        ("clips", clips(facts)),
        ("cost", cost(facts)),
    ):
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->\n")
        if not begin or not end:
            raise ValueError(f"{page} lacks the comments of the table {name!r}")
        text = before + begin + table + end + after
    page.write_text(text, encoding="utf-8")


def attacks(facts: dict[str, Any], names: list[str]) -> str:
    small = {name for name, row in facts["clips"].items() if max(row["size"]) <= SMALL}
    lines = [
        "| what happened | read, clips of 360p and more | read or recognised | read, 320 × 320 | read or recognised | "
        "bits of 127 corrected: median, most |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        rows = facts["attacks"][name]
        cells = []
        for part in ([r for r in rows if r["clip"] not in small], [r for r in rows if r["clip"] in small]):
            read = sum(r["found"] for r in part)
            known = sum(r["recognised"] is not None for r in part)
            cells += [f"{read} of {len(part)}" if part else "–", f"{read + known}" if part else "–"]
        bits = [r["wrong_bits"] for r in rows if r["found"]]
        cells.append(f"{median(bits):.0f}, {max(bits)}" if bits else "–")
        again = " †" if name in facts.get("measured_again", {}) else ""
        lines.append(f"| {name}{again} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def unmarked(row: dict[str, Any]) -> str:
    height, score, fixed = row["word_height"], row["score"], row["fixed_part_over_all_sizes_and_places"]
    lines = [
        "| | |",
        "|---|---|",
        f"| searches of unmarked stretches; code words read in them | {row['searches']}; {row['readings']} |",
        f"| ids found | {row['ids_read']} |",
        f"| height of the likeliest word, in standard deviations: mean ± deviation | {height['mean']:.2f} ± "
        f"{height['deviation']:.2f} |",
        f"| its median, 90 %, 99 %, 99.9 % and highest | {numbers(height)} |",
        f"| height from which the check tag is looked at | {row['threshold']:.1f}, "
        f"{row['beyond_threshold_in_deviations']:.1f} deviations above the mean |",
        f"| chance that a reading of unmarked footage reaches it, by the normal fit | "
        f"{row['chance_of_a_reading_above_threshold']:.1e} |",
        f"| words whose 24-bit tag is checked in one video, at most | {row['readings_a_video_at_most']} readings × "
        f"{watermark_words()} |",
        f"| **false positives a video**, by the tag alone | {row['false_positives_a_video_by_the_tag_alone']:.1e} |",
        f"| **false positives a video**, from none of {row['readings']} at the threshold (95 % sure) | "
        f"{row['false_positives_a_video_by_the_tag_alone'] * 3 / row['readings']:.1e} |",
        f"| **false positives a video**, with the normal fit | {row['false_positives_a_video']:.1e} |",
        f"| highest score of any reading (same figures); 8 counts as traces | {numbers(score)} |",
        f"| highest the fixed part reaches over all sizes and places, likewise | {numbers(fixed)} |",
    ]
    histogram = row["histogram_of_word_height"]
    most = max(histogram.values())
    bars = [f"{low:>5}  {'█' * round(40 * count / most):<40} {count}" for low, count in histogram.items()]
    return "\n".join(lines) + "\n\n```text\nheight  readings of unmarked footage\n" + "\n".join(bars) + "\n```\n"


def recognition(row: dict[str, Any]) -> str:
    lines = [
        f"{row['searches']} searches of unmarked stretches, each against {row['known_ids']:,} known ids: "
        f"{row['recognised']} recognised; {row['words_compared']:,} heights, the highest {row['highest']:.1f}. Needed: "
        + ", ".join(f"{height:.1f} among {int(n):,}" for n, height in row["needed_of"].items())
        + f". Part of a mark seemed to show in {row['hinted']} of them, so that a served register would be asked.\n",
        "| height | so many stood above it | expected of a normal distribution |",
        "|---|---|---|",
    ]
    for bound, count in row["above"].items():
        lines.append(f"| {bound} | {count:,} | {row['above_if_normal'][bound]:,} |")
    return "\n".join(lines) + "\n"


def watermark_words() -> int:
    from countenance.provenance.watermark_search import WORDS_TRIED

    return WORDS_TRIED


def numbers(row: dict[str, Any]) -> str:
    return ", ".join(f"{value:.1f}" for value in [*row["percentiles_50_90_99_99.9"], row["highest"]])


def secret(row: dict[str, Any]) -> str:
    lines = ["| both marks, then | public mark found | secret mark found |", "|---|---|---|"]
    for name, found in row["found"].items():
        lines.append(f"| {name} | {found['public']} of {found['of']} | {found['secret']} of {found['of']} |")
    lines.append(
        f"\nLowest PSNR at 720p with both: {row['lowest_psnr_720p']:.1f} dB. Found with another secret: "
        f"{row['found_with_another_secret']}."
    )
    return "\n".join(lines) + "\n"


def clips(facts: dict[str, Any]) -> str:
    lines = [
        "| clip | size | PSNR of luma, dB: as it is, at 720p | file size × | recognised only after | lost after |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in facts["clips"].items():
        height, width = row["size"]
        lines.append(
            f"| {name} | {width} × {height} | {row['psnr']:.1f}, {row['psnr_720p']:.1f} | {row['bitrate_ratio']:.2f} | "
            f"{'; '.join(a for a in row['unread'] if a not in row['lost']) or '–'} | {'; '.join(row['lost']) or '–'} |"
        )
    return "\n".join(lines) + "\n"


def cost(facts: dict[str, Any]) -> str:
    lines = ["| step | milliseconds of one core: median, least, most |", "|---|---|"]
    for name, row in facts["cost_ms"].items():
        lines.append(f"| {name} | {row['median']:.1f}, {row['lowest']:.1f}, {row['highest']:.1f} |")
    seconds = [r["seconds"] for rows in facts["attacks"].values() for r in rows]
    lost = [r["seconds"] for rows in facts["attacks"].values() for r in rows if not r["found"]]
    made = facts["surroundings"]
    lines.append(
        f"\nA search of three seconds took {median(seconds):.2f} s of one core in the middle, {max(seconds):.1f} s at "
        f"most; in vain {median(lost):.2f} s. {made['system']}, Python {made['python']}, commit "
        f"{(made['commit'] or 'none')[:12]}, {facts['made_at'][:10]}; the whole run took "
        f"{facts['minutes_of_one_core']:.0f} minutes of one busy core, for {len(facts['clips'])} of {len(CASES)} clips."
    )
    return "\n".join(lines) + "\n"
