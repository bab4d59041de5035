"""How well the gate tells the lender's faces from others', on the synthetic performers. Writes JSON to standard output.

Claims: consent/match.py (floor, tolerance, median) and consent/template.py (ONE_PERSON_COSINE), quoted in
docs/reference/consent-record.md. About a minute on one core.

    python bench/consent_faces.py [--every 3] > consent_faces.json
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np

from countenance.consent.match import FLOOR_MARGIN, OUTLIER_SHARE, TYPICAL_MARGIN, match_faces
from countenance.consent.template import ONE_PERSON_COSINE, enrol
from countenance.errors import NoFaceError
from countenance.media.read import read_frames
from countenance.perception.identity import EMBEDDER_ID, SAME_PERSON_COSINE
from countenance.perception.perceive import Perception

CLIPS = Path(str(files("countenance") / "data" / "performers"))
NAMES = ("train_A", "train_B", "test_A", "occl_C")
TRIES = 200


def embeddings(name: str, every: int, perception: Perception) -> np.ndarray:
    rows = []
    for frame in read_frames(CLIPS / f"{name}.mp4"):
        found = perception.detector(frame.rgb) if frame.index % every == 0 else []
        if found:
            rows.append(perception.embedder(frame.rgb, perception.mesh(frame.rgb, found[0])))
    return np.array(rows)


def spread(cosines: np.ndarray) -> dict[str, float]:
    low, percent, middle, high = np.percentile(cosines, [0, 1, 50, 100])
    return {"lowest": round(low, 3), "1 %": round(percent, 3), "median": round(middle, 3), "highest": round(high, 3)}


def refused(own: np.ndarray, foreign: np.ndarray, share: float, template: np.ndarray) -> float:
    """Share of tries in which a random mixture of that share of foreign faces is refused."""
    random, count = np.random.default_rng(0), max(1, round(share * len(own)))
    picks = [random.choice(len(foreign), min(count, len(foreign)), replace=False) for _ in range(TRIES)]
    problems = [match_faces(np.concatenate([own, foreign[p]]), template, SAME_PERSON_COSINE).problem for p in picks]
    return sum(problem is not None for problem in problems) / TRIES


def enrols(*parts: np.ndarray) -> bool:
    try:
        enrol(np.concatenate(parts), [30.0])
    except NoFaceError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=3)
    every = parser.parse_args().every
    perception = Perception()
    faces = {name: embeddings(name, every, perception) for name in NAMES}
    result: dict[str, object] = {
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        "machine": platform.processor() or platform.machine(),
        "embedder": EMBEDDER_ID,
        "rules": [SAME_PERSON_COSINE, FLOOR_MARGIN, OUTLIER_SHARE, TYPICAL_MARGIN, ONE_PERSON_COSINE],
        "faces": {name: len(rows) for name, rows in faces.items()},
    }
    for lender, foreigners in (("train_A", ("train_B", "occl_C")), ("train_B", ("train_A", "occl_C"))):
        template = enrol(faces[lender], [30.0]).embedding
        result[f"template of {lender}"] = {
            "cosines": {name: spread(rows @ template) for name, rows in faces.items()},
            "passes alone": match_faces(faces[lender], template, SAME_PERSON_COSINE).problem is None,
            "refused": {
                f"{share:.0%} of {name}": refused(faces[lender], faces[name], share, template)
                for name in foreigners
                for share in (0.01, 0.05, 0.2)
            },
            "all of another refused": {
                name: match_faces(faces[name], template, SAME_PERSON_COSINE).problem is not None for name in foreigners
            },
        }
    a, b, c = faces["train_A"], faces["train_B"], faces["occl_C"]
    result["enrols"] = {
        "A": enrols(a),
        "B": enrols(b),
        "A and B": enrols(a, b),
        "A and 3 % B": enrols(a, b[::33]),
        "A and look-alike C": enrols(a, c),
        "A and 3 % C": enrols(a, c[::5]),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
