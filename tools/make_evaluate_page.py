"""Write docs/reference/evaluate.md from the table of the metrics; a test holds the page to it.

.venv/bin/python tools/make_evaluate_page.py
"""

from __future__ import annotations

from pathlib import Path

from countenance.evaluation.guide import METRICS

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "evaluate.md"

HEAD = """# Measuring a swap

This page is written by `tools/make_evaluate_page.py` from the table in `countenance.evaluation.guide`. What our own
presets reach is on [the quality page](quality.md).

```sh
countenance evaluate renders/scene.mp4 --footage scene.mp4 --lender vera.mp4
countenance evaluate SWAPPED --footage A.mp4 --truth T.mp4 --mask M.mp4 --lender L.mp4 --performer P.mp4 --json
```

Frames are matched by their order; all clips have one size and length. The same files give the same figures.

- **Against the truth** (`--truth`, `--mask`): needs the same shot with the lender's true face, which only rendered or
  staged material has. Inside the mask; what the label covers does not count.
- **Outside the face** nothing may change. The label and the watermark that the file carries are found and put on the
  footage too, which is then encoded with the conversion's settings; what that loses is taken off.
- **Identity** is judged by a network that takes no part in training, gating or alignment (dlib's, `pip install
  dlib-bin`): `--lender` and `--performer` are clips or photos of the two. Without them the truth and the footage serve.
- **Behaviour, steadiness and tone** compare the swap with the footage, and need neither truth nor consent.

No single figure says that a swap is good: each is blind to something, and its last column says to what. Read the
truth's own row, too: another person's bones, eye corners and resting face cost a few degrees even there.

## JSON
`--json` answers `{"evaluation": {...}}` with `frames`, `flicker_ratio` and the parts `truth`, `outside`, `identity`,
`behaviour` and `tone`; a part, or a figure, that could not be measured is `null`. Beside the figures below: `truth` has
`frames`, `inner_psnr_db`, `worst_frame`, `best_frame` and `ssim_by_frame`; `outside` the two maxima `largest` and
`encoder_largest` and `encoder_mean`; `identity` `frames`, `lender_distance` and `performer_distance`; `behaviour`
`frames` and `lost` (frames in which the swap shows no face where the footage does); `tone` `frames` and `footage_step`.

## The figures
| figure | JSON | range | better | how it is computed | from | what fools it |
|---|---|---|---|---|---|---|
"""

BETTER = {"higher": "higher", "lower": "lower", "one": "1 is right"}


def page() -> str:
    """The whole page."""
    rows = []
    for metric in METRICS:
        name = f"**{metric.name}**" + (f" ({metric.unit})" if metric.unit else "")
        place = f"`{metric.part}.{metric.key}`" if metric.part else f"`{metric.key}`"
        cells = (name, place, metric.range, BETTER[metric.better], metric.formula, metric.source, metric.fooled_by)
        rows.append("| " + " | ".join(cells) + " |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
