"""Write docs/reference/quality.md, its curves and its pictures from a run of ``bench/quality.py``.

    .venv/bin/python bench/quality_page.py [--result bench/results/quality.json] [--out out/quality]

Without the run's clips (``--out``) the pictures stay as they are and the text is written anew; a test holds it to that.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from quality_cases import CASES, CLIPS

from countenance.atomic import write_bytes
from countenance.demo.pictures import Row, contact_sheet, jpeg_bytes, pick_frames
from countenance.evaluation.guide import METRICS, Metric, value_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "quality.md"
PICTURES = PAGE.parent / "quality"
BASELINES = ("footage", "truth", "affine paste", "mesh paste")
TITLES = {
    "footage": "no swap (floor)",
    "truth": "truth, encoded (ceiling)",
    "saehd-df": "our reference, df",
    "saehd-liae": "our reference, liae",
}
# Okabe and Ito's palette: told apart by people who see colours differently.
COLOURS = {"swift": "#D55E00", "classic": "#0072B2", "saehd-df": "#009E73", "saehd-liae": "#CC79A7"}
DASHES = {"footage": ":", "truth": "-", "affine paste": "-.", "mesh paste": "--"}

Rows = Sequence[Mapping[str, Any]]


def title(row: Mapping[str, Any]) -> str:
    name = TITLES.get(row["system"], row["system"])
    return name if row["minutes"] is None else f"{name}, {row['minutes']:g} min"


def cell(row: Mapping[str, Any], metric: Metric) -> str:
    value = value_of(row["evaluation"], metric)
    if value is None:
        return "equal" if metric.key == "psnr_db" and row["evaluation"]["truth"] is not None else "–"
    return f"{value:.{metric.digits}f}"


def table(rows: Rows, metrics: Sequence[Metric]) -> str:
    """Systems down, figures across."""
    marks = {"higher": "↑", "lower": "↓", "one": "→1"}
    heads = " | ".join(
        f"{m.name}{f' ({m.unit})' if m.unit in ('dB', 'degrees') else ''} {marks[m.better]}" for m in metrics
    )
    lines = [f"| system | {heads} |", "|---" * (len(metrics) + 1) + "|"]
    lines += [f"| {title(row)} | " + " | ".join(cell(row, metric) for metric in metrics) + " |" for row in rows]
    return "\n".join(lines)


def cost_table(rows: Rows) -> str:
    lines = [
        "| system | training | iterations | faces seen | render of the shot | SSIM, median frame | SSIM, worst 5 % |"
    ]
    lines.append("|---" * 7 + "|")
    for row in rows:
        if row["iterations"] is None:
            continue
        spread = row.get("ssim_spread", {"median": float("nan"), "p5": float("nan")})
        lines.append(
            f"| {title(row)} | {row['seconds'] / 60.0:.1f} min | {row['iterations']:,} | {row['samples']:,} | "
            f"{row['render_seconds']:.0f} s | {spread['median']:.3f} | {spread['p5']:.3f} |"
        )
    return "\n".join(lines)


def losses(rows: Rows) -> str:
    """Where the best-trained swift is not the best of what competes, and how far the ceiling is, in words."""
    last = {row["system"]: row for row in rows}  # the longest budget of each
    swift, truth = last["swift"], last["truth"]
    rivals = [row for name, row in last.items() if name not in ("swift", "footage", "truth") and _shows_lender(row)]
    lost, far = [], []
    for metric in METRICS:
        mine, ceiling = value_of(swift["evaluation"], metric), value_of(truth["evaluation"], metric)
        if mine is None:
            continue
        ahead = []
        for rival in rivals:
            theirs = value_of(rival["evaluation"], metric)
            if theirs is not None and _better(theirs, mine, metric):
                ahead.append(f"{title(rival)} ({theirs:.{metric.digits}f})")
        if ahead:
            lost.append(f"- **{metric.name}**: swift {mine:.{metric.digits}f}; better: {', '.join(ahead)}.")
        if ceiling is not None and metric.part in ("truth", "identity", "tone"):
            far.append(f"{metric.name} {mine:.{metric.digits}f} against {ceiling:.{metric.digits}f}")
    floor = [
        f"{metric.name} ({cell(swift, metric)} against {cell(last['footage'], metric)})"
        for metric in METRICS
        if metric.part == "truth" and _worse_than_floor(swift, last["footage"], metric)
    ]
    text = [
        "Figures in which another system that shows the lender (identity top-1 above one half; a clip that still shows"
    ]
    text += ["the performer behaves like the performer) is ahead of swift at its longest budget:", "", *lost, ""]
    text.append(f"And from the ceiling, the truth itself through the same encoder and marks: {'; '.join(far)}.")
    if floor:
        text.append(f"Worse than doing nothing: {'; '.join(floor)}.")
    return "\n".join(text)


def _shows_lender(row: Mapping[str, Any]) -> bool:
    identity = row["evaluation"]["identity"]
    return identity is not None and identity["top1"] > 0.5


def _better(theirs: float, mine: float, metric: Metric) -> bool:
    if metric.better == "one":
        theirs, mine = -abs(theirs - 1.0), -abs(mine - 1.0)
    elif metric.better == "lower":
        theirs, mine = -theirs, -mine
    return theirs > mine + 0.5 * 10.0**-metric.digits  # a difference that the table does not show is none


def _worse_than_floor(row: Mapping[str, Any], floor: Mapping[str, Any], metric: Metric) -> bool:
    mine, nothing = value_of(row["evaluation"], metric), value_of(floor["evaluation"], metric)
    return mine is not None and nothing is not None and _better(nothing, mine, metric)


def _trained(rows: Rows) -> dict[tuple[str, str], list[float]]:
    """Minutes of training of each model at each budget."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["seconds"]:
            found.setdefault((row["case"], row["system"]), []).append(row["seconds"] / 60.0)
    return found


def page(facts: Mapping[str, Any]) -> str:
    """The whole page of a run."""
    rows: Rows = facts["rows"]
    by_case = {name: [row for row in rows if row["case"] == name] for name in CASES}
    forward, where = by_case["forward"], facts["surroundings"]
    pixel = [metric for metric in METRICS if metric.part == "truth"]
    other = [metric for metric in METRICS if metric.part != "truth"]
    versions = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    occluder = "\n".join(
        f"| {title(row)} | {row['occluder']['changed']:.1f} | "
        + " | ".join(cell(row, metric) for metric in other)
        + " |"
        for row in by_case["occlusion"]
    )
    share = by_case["occlusion"][0]["occluder"]["share"]
    heads = " | ".join(metric.name for metric in other)
    peak = max(row["peak_rss_mb"] for row in rows)
    machine = f"{where['cpu_cores']} CPU cores ({where['system']}), {where['torch_threads']} threads, {versions}"
    made = sorted({f"`{(row['commit'] or 'unknown')[:12]}`" for row in rows})
    days = sorted({row["made_at"][:10] for row in rows})
    training = sum(max(minutes, default=0.0) for minutes in _trained(rows).values())
    painted = {row["system"]: row["occluder"]["changed"] for row in by_case["occlusion"]}
    return f"""# How good a swap is

This page is written by `bench/quality_page.py` from `bench/results/quality.json`, one run of `bench/quality.py`.

*Machine: {machine}.*

*Commit {" and ".join(made)}, {" and ".join(days)}, {training:.0f} minutes of training in all, peak memory of the run
{peak / 1024:.1f} GB (our reference's).*

Rows were made at the commit that the JSON names for each, all on this machine on one day; it is shared, so compare rows
of one run, not runs. Each row is one training. What each figure means, how it
is computed and what fools it: [measuring a swap](evaluate.md).

Nobody here exists: the performers are rendered, so the true picture of every swap is known. All clips went the
product's own way: gate, conversion, label, watermark, encoder.

- **no swap** is the footage, **truth** the true picture, both through the same marks and encoder: floor and ceiling.
- **affine paste** and **mesh paste** lay the lender's single most similar frame over the face, by a similarity or
  warped by the 478-point mesh. No network at all; what does not beat them has learned nothing.
- **classic** is the 2017 recipe, **swift** ours ([training](../concepts/training.md)).
- **our reference** is of the SAEHD family, written by us from its published description (df and liae, 128 px,
  10·DSSIM + 10·MSE, AdaBelief-like). It is made for graphics cards and days: on these two cores its few iterations say
  what such a network gives in the same minutes here, not what it can become.

## B lends a face to A: against the truth
{table(forward, pixel)}

## The same clips: identity, behaviour, steadiness, surroundings
{table(forward, other)}

![curves](quality/curves.png)

*Quality against minutes of training and against faces seen. Lines without points are the anchors.*

The truth's own excess outside the face is the renderer's: footage and truth are two renders, whose noise differs.

## What it cost
{cost_table(forward)}

## The pictures
Of each system at its longest budget the best and the worst frame by SSIM, beside the truth of that frame.

![best and worst frames](quality/frames.jpg)

## The other direction: A lends a face to B
The truth of the first direction is footage of the second: B's face in A's shot, whose true face under A is the first
footage.

{table(by_case["reverse"], pixel)}

{table(by_case["reverse"], other)}

## Something in front of the face
B lends a face to C, who wears glasses and has a microphone pass before the mouth. There is no truth for this clip; the
first column is how much was painted on what lies in front of the face ({100 * share:.1f} % of it): the mean change
there in grey levels. The row of the untouched footage is the encoder's and the marks' part of it.

| system | change on the occluder ↓ | {heads} |
{"|---" * (len(other) + 2)}|
{occluder}

![the occluded case](quality/occlusion.jpg)

## Where we lose
{losses(forward)}

On what is in front of the face swift changes {painted["swift"]:.1f} grey levels, where the untouched footage changes
{painted["footage"]:.1f}: it paints over glasses and microphone.
"""


def curves(rows: Rows) -> bytes:
    """Six figures over minutes, and SSIM over faces seen, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    wanted = ("ssim", "delta_e", "seam", "margin", "expression", "gaze_degrees")
    chosen = [metric for key in wanted for metric in METRICS if metric.key == key]
    figure, axes = plt.subplots(2, 4, figsize=(15, 7), layout="constrained")
    panels = [(metric, "minutes", axes.flat[number]) for number, metric in enumerate(chosen)]
    panels += [(chosen[0], "samples", axes.flat[6]), (chosen[3], "samples", axes.flat[7])]
    for metric, across, axis in panels:
        for system, dash in DASHES.items():
            value = next((value_of(row["evaluation"], metric) for row in rows if row["system"] == system), None)
            if value is not None:
                axis.axhline(value, color="#666666", linestyle=dash, linewidth=1.2, label=TITLES.get(system, system))
        for system, colour in COLOURS.items():
            points = [
                (row[across] if across == "samples" else row["seconds"] / 60.0, value_of(row["evaluation"], metric))
                for row in rows
                if row["system"] == system
            ]
            if points:
                x, y = zip(*sorted(points), strict=True)
                axis.plot(x, y, marker="o", color=colour, label=TITLES.get(system, system))
        better = {"higher": "higher is better", "lower": "lower is better", "one": "1 is right"}[metric.better]
        axis.set_title(f"{metric.name} ({better})", fontsize=10)
        axis.set_xlabel("minutes of training" if across == "minutes" else "faces seen")
        axis.set_xscale("log")
        if across == "minutes":
            ticks = sorted({row["minutes"] for row in rows if row["minutes"] is not None})
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_xticks([], minor=True)
        axis.grid(alpha=0.25, which="both")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    plt.close(figure)
    return buffer.getvalue()


def frames(rows: Rows, out: Path, clips: Path) -> bytes:
    """Best and worst frames of each system at its longest budget, beside the truth."""
    last = {row["system"]: row for row in rows if row["system"] not in ("footage", "truth")}
    truth = clips / f"{CASES['forward'].truth}.mp4"
    found = []
    for row in last.values():
        best, worst = (row["evaluation"]["truth"][key] for key in ("best_frame", "worst_frame"))
        clip = out / row["clip"]
        pictures = [pick_frames(path, [index])[0] for index in (best, worst) for path in (clip, truth)]
        found.append(Row(f"{title(row)}: frames {best} and {worst}", pictures))
    return jpeg_bytes(contact_sheet(found, ["best frame", "its truth", "worst frame", "its truth"]))


def occluded(rows: Rows, out: Path, clips: Path, count: int = 4) -> bytes:
    """The occluded case: the same frames of the footage and of each system."""
    footage = clips / f"{CASES['occlusion'].footage}.mp4"
    total = rows[0]["evaluation"]["frames"]
    indexes = [int(index) for index in np.linspace(2, total - 3, count)]
    found = [Row("footage", pick_frames(footage, indexes))]
    found += [Row(title(row), pick_frames(out / row["clip"], indexes)) for row in rows if row["system"] != "footage"]
    return jpeg_bytes(contact_sheet(found, [f"frame {index}" for index in indexes]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result", type=Path, default=Path(__file__).parent / "results" / "quality.json")
    parser.add_argument("--out", type=Path, default=None, help="the folder of the run's clips")
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    facts = json.loads(arguments.result.read_bytes())
    pictures = arguments.page.parent / "quality"
    pictures.mkdir(parents=True, exist_ok=True)
    write_bytes(arguments.page, page(facts).encode())
    by_case = {name: [row for row in facts["rows"] if row["case"] == name] for name in CASES}
    write_bytes(pictures / "curves.png", curves(by_case["forward"]))
    if arguments.out is not None:
        clips = arguments.out / "clips" if facts["frames"] else CLIPS
        write_bytes(pictures / "frames.jpg", frames(by_case["forward"], arguments.out, clips))
        write_bytes(pictures / "occlusion.jpg", occluded(by_case["occlusion"], arguments.out, clips))
    print(arguments.page)


if __name__ == "__main__":
    main()
