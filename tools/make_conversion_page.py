"""Write docs/reference/conversion.md from the settings, this table, and bench/results/conversion_qualities.json.

.venv/bin/python tools/make_conversion_page.py                       the page; a test holds it to the settings
.venv/bin/python tools/make_conversion_page.py --pictures PROJECT    its pictures, too (tools/conversion_pictures.py)
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from countenance.conversion.quality import QUALITIES
from countenance.conversion.settings import _BOUNDS, ConvertSettings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "conversion.md"
PICTURES = PAGE.with_suffix("")
MEASURED = ROOT / "bench" / "results" / "conversion_qualities.json"


@dataclass(frozen=True)
class Knob:
    """What the page says of a setting; ``picture`` is what its picture shows, empty where nothing is to be seen."""

    name: str
    effect: str
    cost: str
    picture: str = ""
    range: str = ""


GROUPS: dict[str, tuple[Knob, ...]] = {
    "The picture": (
        Knob(
            "blend",
            "How the face is laid into the footage. `feather` mixes by the mask alone; `pyramid` mixes coarse colours "
            "over a wide rim and fine detail over a narrow one, which hides the seam of a face whose colour is off.",
            "the pyramid costs a few milliseconds a frame more, by the face's area",
            "the cheek in blue light, with color_strength 0.4 so that there is something to hide"
            ": feather, pyramid, difference",
            "pyramid, feather",
        ),
        Knob(
            "color_strength",
            "How far the face's colours are moved to the footage's. 0 leaves the model's own.",
            "none",
            "blue light, unlike any that the model was trained on: 0, 1 and their difference"
            "; the model itself does most of it",
        ),
        Knob(
            "color_seconds",
            "Time constant of that match. Short follows flickering light, long is calm.",
            "none",
            "the cheek under a lamp that jumps every six frames: its warmth (red less blue) less the footage's",
        ),
        Knob(
            "occlusion",
            "Leaves hands, hair and microphones in front of the face where they are ([how](../concepts/occlusion.md)).",
            "a small network a face",
            "a microphone before the mouth: off and on",
            "on, off",
        ),
        Knob(
            "texture",
            "Gives the painted face the footage's sharpness, motion blur and grain.",
            "a few milliseconds a frame",
            "grainy footage: off and on",
            "on, off",
        ),
    ),
    "Tracking": (
        Knob(
            "smoothing_frames",
            "Frames on either side that a face's place is steadied over; as many before as after, so it does not lag.",
            "none; it needs as many frames of lookahead",
            "a still face under changing grain, and how much its render moves (12 times as bright): 0 and the default",
        ),
        Knob(
            "lookahead_frames",
            "How many frames ahead a decision may look: a face that is recognised late is then replaced from its first "
            "frame on.",
            "memory: so many frames",
        ),
        Knob("strong_score", "The detector's score of a face.", "none"),
        Knob(
            "weak_score",
            "The detector's score of something that may be a face: what the performer may be hidden in is veiled.",
            "none",
        ),
        Knob(
            "least_presence",
            "How sure the landmarks' network must be that there is a face below its points.",
            "none",
        ),
        Knob(
            "performer_cosine",
            "Similarity to the performer's faces from which a track is the performer. None is the recogniser's own. "
            "Too high, nobody is recognised: all faces are veiled, and a film without a replaced face is refused.",
            "none",
        ),
        Knob("other_cosine", "Similarity below which a track is somebody else, who is left alone.", "none"),
    ),
    "Failing closed": (
        Knob(
            "smallest_face",
            "A face lower than so many pixels is veiled.",
            "none",
            "a performer who comes nearer: the default, and a value under which this frame is too small",
        ),
        Knob(
            "largest_yaw_degrees",
            "A face turned farther to the side is veiled.",
            "none",
            "the default and a strict value",
        ),
        Knob(
            "largest_pitch_degrees",
            "A face turned farther up or down is veiled.",
            "none",
            "the default and a strict value",
        ),
        Knob(
            "largest_misfit_cm",
            "A face whose landmarks lie farther from every head's shape is veiled: motion blur, mostly.",
            "none",
            "the default and a value so strict that it doubts a good picture",
        ),
        Knob(
            "fade_frames",
            "Frames over which a face passes into a veil that is to come, and out of it.",
            "none; it needs as many frames of lookahead",
            "every second frame while a face turns back to the camera (largest_yaw_degrees 15): 0 and the default",
        ),
        Knob(
            "hold_seconds",
            "How long the place stays veiled where a face was last seen.",
            "none",
            "every second frame; in 18 to 23 the face cannot be made out: 0 and the default",
        ),
        Knob(
            "screen_seconds",
            "How often at least a frame of footage and render passes the screens; cuts and the last frame always do.",
            "two small networks each time",
        ),
    ),
    "Work": (
        Knob("batch_frames", "So many frames' faces go to the model together; fast on a GPU.", "memory"),
        Knob("queue_frames", "Frames that may wait between two steps of the work.", "memory"),
        Knob("segment_seconds", "What is lost at most when the work is killed.", "a keyframe a segment"),
    ),
    "The file": (
        Knob(
            "codec",
            "Form of the picture data, see [film hand-over](../guides/film.md).",
            "see there",
            range="by container",
        ),
        Knob("encoder", "One of FFmpeg's encoders by name, for hardware.", "see there", range="what opens here"),
        Knob(
            "crf",
            "Constant rate factor of the encoder: lower is better and larger.",
            "file size",
            "the default and 36",
        ),
        Knob(
            "preset",
            "The encoder's speed, in x264's words: slower makes smaller files of the same look.",
            "time",
            range="ultrafast to veryslow",
        ),
    ),
}

HEAD = """# Conversion settings

This page is written by `tools/make_conversion_page.py` from the settings themselves. The defaults need no turning.
Three words choose for you: `countenance swap … --quality draft|good|film`; in Python
`countenance.swap(…, quality="film")`. Single knobs are for Python, and win over the word:
`countenance.swap(…, quality="draft", knobs={"crf": 12})`.

Nothing on this page turns a rule off: consent, screens and marks have no knob, and a face in doubt is veiled.

The pictures show synthetic people, and are marked and signed like every output.
"""


def shown(value: Any) -> str:
    """A value as the page words it."""
    return {True: "on", False: "off", None: "None"}[value] if value is None or isinstance(value, bool) else f"{value}"


def qualities() -> str:
    """The table of the three words, with what each costs as measured."""
    default = ConvertSettings()
    names = sorted({name for changes in QUALITIES.values() for name in changes})
    lines = [
        "## Qualities",
        f"| quality | {' | '.join(f'`{name}`' for name in names)} |",
        f"|---{'|---' * len(names)}|",
    ]
    for word, changes in QUALITIES.items():
        values = " | ".join(shown(changes.get(name, getattr(default, name))) for name in names)
        lines.append(f"| {word} | {values} |")
    measured = json.loads(MEASURED.read_text("utf-8"))
    lines += [
        "",
        f"Measured by `bench/conversion_qualities.py` ({measured['frames']} frames, {measured['cpu']}; processor time "
        "a frame in milliseconds, all threads; the model's own part, which no quality changes, is in it; median of "
        f"{measured['rounds']} rounds):",
        "",
        "| quality | " + " | ".join(f"{size}: ms a frame | kB" for size in measured["sizes"]) + " |",
        "|---" + "|---|---" * len(measured["sizes"]) + "|",
    ]
    for word in QUALITIES:
        cells = [measured["rows"][size][word] for size in measured["sizes"]]
        lines.append(
            f"| {word} | " + " | ".join(f"{cell['cpu_ms']:.0f} | {cell['bytes'] // 1000}" for cell in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def knob(entry: Knob) -> str:
    """One setting's part of the page."""
    low, high = _BOUNDS.get(entry.name, (None, None))
    reach = entry.range or (f"{low} to {high}" if low is not None else "")
    default = shown(getattr(ConvertSettings(), entry.name))
    lines = [f"### {entry.name}", f"Default {default}; range {reach}; cost: {entry.cost}.", "", entry.effect]
    if entry.picture:
        lines += [
            "",
            f"![{entry.picture}](conversion/{entry.name}.jpg)",
            "",
            f"*{entry.picture[0].upper()}{entry.picture[1:]}.*",
        ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    known = {field.name for field in fields(ConvertSettings)}
    told = [entry.name for entries in GROUPS.values() for entry in entries]
    if set(told) != known or len(told) != len(known):
        raise SystemExit(f"The table and the settings differ: {sorted(known.symmetric_difference(told))}")
    parts = [HEAD, qualities()]
    for title, entries in GROUPS.items():
        parts += [f"## {title}\n", *(knob(entry) for entry in entries)]
    return "\n".join(parts)


if __name__ == "__main__":
    if "--pictures" in sys.argv:
        from conversion_pictures import make_pictures

        make_pictures(Path(sys.argv[sys.argv.index("--pictures") + 1]), PICTURES)
    PAGE.write_text(page(), encoding="utf-8")
