"""What each term of swift's loss gives: train once without it, measure against the truth, compare with seeds' spread.

Every row is swift on the embedded pair (B lends a face to A) for the same number of iterations. Rows of one seed start
from the same weights and see the same faces in the same order; only what the row's name says differs from the first
variant, the loss without its detail term. Measured is every fourth frame of ``test_A``, as conversion paints it
(tracking, colours, mask, blend) before marks and encoder, by ``countenance.evaluation``; eyes and mouth by themselves
besides. Nothing unmarked is written: frames stay in memory.

    .venv/bin/python bench/ablation.py [--iterations 200] [--seeds 3] [--out out/ablation]
    .venv/bin/python bench/ablation.py --table      # of the published run, for docs/concepts/training.md

Each row is a file in ``--out``; what is there already is used again, so an interrupted run goes on, and ``--only`` lets
several processes share the work. Iterations and not minutes are counted, since other programs share the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

from ablation_measure import Shot, Swapper
from quality_cases import CASES, LENDER, PERFORMER, World, core_seconds

from countenance.atomic import write_bytes
from countenance.consent.gate import require_consent
from countenance.demo.surroundings import commit, program_sha256, surroundings
from countenance.evaluation.judge import DlibJudge
from countenance.faceset.use import reembed
from countenance.training import runs, shares
from countenance.training.guided import guided_batch
from countenance.training.losses import LossTerms, Part, detail_band, guided_loss, masked_l1
from countenance.training.model import GuidedModel
from countenance.training.painting import GuidedPainter, Look
from countenance.training.presets import preset
from countenance.training.runs import PEOPLE, GuidedRun
from countenance.training.train import load_faces, person_faces

RESULT = Path(__file__).parent / "results" / "ablation.json"
SCHEMA = 1
BASE = "structure, colour, mask"
PLAIN = LossTerms(detail=0.0)


@dataclass(frozen=True)
class Variant:
    """One row's recipe; the defaults are swift's own.

    ``laplacian`` weighs the term that was tried for detail and is not used; ``weighted``: eyes and mouth count four
    times; ``recoloured``: half of the faces take the other person's colours, else those of the same person's faces.
    """

    name: str
    terms: LossTerms = PLAIN
    laplacian: float = 0.0
    weighted: bool = True
    averaged: bool = True
    recoloured: bool = True
    trained: bool = True


LAST = Variant("without averaged weights", averaged=False)  # measured in the runs of the first variant
VARIANTS = (
    Variant(BASE),
    Variant("no training", trained=False),
    Variant("without structure", replace(PLAIN, structure=0.0)),
    Variant("without colour", replace(PLAIN, colour=0.0)),
    Variant("eyes and mouth not weighted", weighted=False),
    Variant("with a Laplacian L1", laplacian=3.0),
    Variant("with detail", replace(PLAIN, detail=8.0)),
    Variant("without the mask's cross-entropy", replace(PLAIN, mask=0.0)),
    LAST,
    Variant("without the other's colours", recoloured=False),
)


def laplacian_l1(base: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """L1 of three Laplacian bands under the landmarks' weight, summed: the detail must be in its place."""
    difference, total = base - target, base.new_zeros(())
    for _ in range(3):
        band = detail_band(difference)
        total = total + masked_l1(band, torch.zeros_like(band), weight)
        difference, weight = functional.avg_pool2d(difference, 2), functional.avg_pool2d(weight, 2)
    return total


@contextmanager
def steps_of(variant: Variant) -> Iterator[None]:
    """Within it a run takes its steps as ``variant`` says; the product has no switch for that."""

    def batch(faces: Any, other_colour: Tensor, size: int, generator: torch.Generator) -> Any:
        made = guided_batch(faces, other_colour if variant.recoloured else faces.colour, size, generator)
        return made if variant.weighted else made._replace(weight=made.face)

    def step(model: GuidedModel, made: Any, person: str, *, part: Part) -> tuple[Tensor, dict[str, float]]:
        output = model(made.driver, made.reference, made.light, made.face, person)
        loss, values = guided_loss(output, made.target, made.weight, made.mask, terms=variant.terms, part=part)
        if variant.laplacian:
            loss = loss + part.counted * variant.laplacian * laplacian_l1(output.base, made.target, made.weight)
        return loss, values

    with mock.patch.object(runs, "guided_batch", batch), mock.patch.object(shares, "guided_step", step):
        yield


class Bench:
    """The pair, prepared once; every row begins with fresh weights."""

    def __init__(self, world: World, every: int) -> None:
        arrays = [load_faces(world.project, name) for name in (LENDER, PERFORMER)]
        lender, performer = (reembed(of, world.see.embedder) for of in arrays)
        for act in ("train", "swap"):
            require_consent(
                world.project,
                LENDER,
                PERFORMER,
                act=act,  # type: ignore[arg-type]
                embeddings=lender,
                performer_embeddings=performer,
            )
        people = person_faces(arrays[0]), person_faces(arrays[1])
        self.recipe, self.device = preset("swift"), torch.device("cpu")
        self.run = GuidedRun(self.recipe, people, device=self.device, seed=0)
        looks = [
            Look(*(self.run.tensors()[f"{what}.{who}"].numpy() for what in ("shape", "texture"))) for who in PEOPLE
        ]
        painter = GuidedPainter(people[0], looks, preset=self.recipe, device=self.device)
        self.swapper, self.shot = Swapper(painter), Shot(world, every, DlibJudge())

    def begin(self, seed: int) -> GuidedRun:
        """The run at its start, as a new one of this seed would be."""
        torch.manual_seed(seed)
        weights = GuidedModel(self.recipe).state_dict()
        self.run.restore({f"{kind}.{name}": w.clone() for kind in ("model", "averaged") for name, w in weights.items()})
        self.run.seed = seed
        return self.run

    def rows(self, variant: Variant, seed: int, iterations: int) -> Iterator[tuple[dict[str, Any], GuidedModel]]:
        """Train and measure; the first variant's run gives the row of its last, not averaged weights as well."""
        run, began = self.begin(seed), core_seconds()
        steps = iterations if variant.trained else 0
        history = []
        with steps_of(variant):
            for iteration in range(steps + 1):
                if iteration % max(steps // 2, 1) == 0:
                    history.append({"iteration": iteration, **run.score().row()})
                if iteration < steps:
                    run.step(iteration)
        trained = core_seconds() - began
        last = [(LAST, run.model)] if variant is VARIANTS[0] else []
        for shown, model in (*last, (variant, run.averaged)):  # the run's own row at the end: it says that all is there
            self.swapper.model = model
            frames = self.shot.frames(self.swapper)
            yield (
                {
                    "variant": shown.name,
                    "recipe": asdict(shown),
                    "seed": seed,
                    "iterations": steps,
                    "core_seconds": round(trained, 1),
                    "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
                    "commit": commit(),
                    "program_sha256": program_sha256(),
                    "torch_threads": torch.get_num_threads(),
                    "history": history,
                    "scores": self.shot.scores(frames) | {"mask_error": self.shot.mask_error(self.swapper.masks)},
                },
                model,
            )


class Column(NamedTuple):
    """One figure of the table: key, head, digits."""

    key: str
    head: str
    digits: int


COLUMNS = (
    Column("ssim", "SSIM ↑", 4),
    Column("psnr_db", "PSNR ↑", 2),
    Column("delta_e", "ΔE00 ↓", 2),
    Column("margin", "margin ↑", 3),
    Column("seam", "seam ↓", 2),
    Column("mask_error", "mask ↓", 4),
    Column("mouth_correlation", "mouth ↑", 3),
    Column("blink_correlation", "blinks ↑", 3),
    Column("gaze_degrees", "gaze ↓", 1),
    Column("eyes_ssim", "SSIM, eyes ↑", 4),
    Column("eyes_sharpness", "sharpness, eyes →1", 3),
    Column("mouth_ssim", "SSIM, mouth ↑", 4),
    Column("mouth_sharpness", "sharpness, mouth →1", 3),
)

Rows = Sequence[Mapping[str, Any]]


def spread(rows: Rows, key: str) -> float:
    """Largest less smallest of the first variant over its seeds."""
    values = [row["scores"][key] for row in rows if row["variant"] == BASE]
    return max(values) - min(values)


def difference(rows: Rows, variant: str, key: str) -> float:
    """A variant less the first: the mean over the seeds that both have."""
    full = {row["seed"]: row["scores"][key] for row in rows if row["variant"] == BASE}
    return float(np.mean([row["scores"][key] - full[row["seed"]] for row in rows if row["variant"] == variant]))


def table(facts: Mapping[str, Any]) -> str:
    """The first variant and its spread, then each variant's difference; those within the spread are called equal."""
    rows = facts["rows"]
    lines = ["| | " + " | ".join(column.head for column in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]

    def line(name: str, cells: Sequence[str]) -> None:
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    full = [row["scores"] for row in rows if row["variant"] == BASE]
    line(
        f"**{BASE}**, mean of {len(full)} seeds",
        [f"{np.mean([scores[key] for scores in full]):.{digits}f}" for key, _, digits in COLUMNS],
    )
    line("spread of its seeds", [f"{spread(rows, key):.{digits}f}" for key, _, digits in COLUMNS])
    for variant in VARIANTS[1:]:
        if any(row["variant"] == variant.name for row in rows):
            differences = [
                (difference(rows, variant.name, key), spread(rows, key), digits) for key, _, digits in COLUMNS
            ]
            line(variant.name, [f"{d:+.{n}f}" if abs(d) > s else "=" for d, s, n in differences])
    return "\n".join(lines)


def collected(folder: Path, iterations: int) -> list[dict[str, Any]]:
    """The rows that are there, in the variants' order."""
    rows = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    order = [variant.name for variant in VARIANTS]
    rows = [row for row in rows if row["variant"] in order and row["iterations"] in (0, iterations)]
    return sorted(rows, key=lambda row: (order.index(row["variant"]), row["seed"]))


def wanted(seeds: int, other_seeds: int) -> list[tuple[Variant, int]]:
    """Trainings in the order in which they are made; without training there is no chance."""
    full, untrained, *others = (variant for variant in VARIANTS if variant is not LAST)
    first = [(full, seed) for seed in range(seeds)] + [(untrained, 0)]
    return first + [(variant, seed) for seed in range(other_seeds) for variant in others]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3, help="of the first variant")
    parser.add_argument("--other-seeds", type=int, default=1, help="of each variant")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of VARIANTS to make, to share the work")
    parser.add_argument("--every", type=int, default=4, help="measure every so many frames")
    parser.add_argument("--out", type=Path, default=Path("out/ablation"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--table", action="store_true", help="print the result's table and do nothing else")
    arguments = parser.parse_args(words)
    if arguments.table:
        print(table(json.loads(arguments.result.read_bytes())))
        return
    folder = arguments.out / f"rows_{arguments.iterations}_{arguments.every}"
    folder.mkdir(parents=True, exist_ok=True)
    bench: Bench | None = None
    for variant, seed in wanted(arguments.seeds, arguments.other_seeds):
        number = VARIANTS.index(variant)
        path = folder / f"{number}_{seed}.json"
        if path.exists() or (arguments.only is not None and number not in arguments.only):
            continue
        if bench is None:
            bench = Bench(World(CASES["forward"], arguments.out / "forward"), arguments.every)
        for row, model in bench.rows(variant, seed, arguments.iterations):
            name = f"{[known.name for known in VARIANTS].index(row['variant'])}_{seed}"
            save_file({key: w.contiguous() for key, w in model.state_dict().items()}, folder / f"{name}.safetensors")
            write_bytes(folder / f"{name}.json", json.dumps(row, allow_nan=False).encode())
            print(f"{datetime.now(UTC):%H:%M:%S} {row['variant']}, seed {seed}", file=sys.stderr, flush=True)
    rows = collected(folder, arguments.iterations)
    facts = {
        "schema": SCHEMA,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "iterations": arguments.iterations,
        "every": arguments.every,
        "load_average": os.getloadavg(),
        "surroundings": surroundings("cpu"),
        "rows": rows,
    }
    write_bytes(arguments.result, json.dumps(facts, indent=1, allow_nan=False).encode())
    print(table(facts))


if __name__ == "__main__":
    main()
