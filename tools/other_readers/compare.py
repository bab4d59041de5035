"""Hold another C2PA reader against `countenance verify` on whole and changed MP4, PNG and JPEG files.

    cd tools/other_readers && npm install --ignore-scripts
    ../../.venv/bin/python compare.py

The files are those of the tamper matrix: bits flipped in each part, cut off, appended, inserted. A row says how many
files of a kind were tried, for how many state and failure codes are the same, how many neither reader can read, and for
how many both find fault but only the other one says by which code. What is left differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "tests" / folder) for folder in ("provenance", "attacks/provenance")]

import tamper_cases  # noqa: E402 - after the path
from tamper_world import World  # noqa: E402

from countenance.provenance.verify import verify_file  # noqa: E402

TYPES = {".mp4": "video/mp4", ".png": "image/png", ".jpg": "image/jpeg"}
CHANGES = (
    "mp4 boxes",
    "store",
    "png chunks",
    "jpeg segments",
    "cut off",
    "appended",
    "inserted",
    "stripped",
    "swapped",
)


def files(world: World) -> Iterator[tuple[str, str, bytes]]:
    """What was done, the file's name and its bytes."""
    yield from (("nothing", name, data) for name, data in world.untouched())
    for case in tamper_cases.CASES:
        if case.name in CHANGES:
            for made in case.make(world):
                name, data = next(iter(made.items()))
                if len(made) == 1 and Path(name).suffix in TYPES:
                    yield case.name, name, data


def other(path: Path, authority: Path) -> tuple[str, tuple[str, ...]]:
    """State and failure codes by the other reader; ``Unreadable`` where it finds no credentials that it can read."""
    words = ["node", "read.mjs", str(path), TYPES[path.suffix], str(authority)]
    told = json.loads(subprocess.run(words, cwd=HERE, capture_output=True, text=True, check=True).stdout)
    return told["state"], tuple(told["failures"])


def main() -> int:
    """Print the table; 1 where the readers differ."""
    same, unread, worded, count = (Counter[str]() for _ in range(4))
    differ = list[str]()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        authority = Path(folder) / "authority.crt"
        authority.write_text(world.identity.authority_pem)
        for what, name, data in files(world):
            path = Path(folder) / name
            path.write_bytes(data)
            kind = path.suffix + (" whole" if what == "nothing" else " changed")
            count[kind] += 1
            state, failures = other(path, authority)
            ours = verify_file(path, trusted_pem=world.identity.authority_pem, search_watermark=False)
            expected = {"holds": "Trusted", "broken": "Invalid"}.get(ours.verdict, "")
            if state == "Unreadable" and ours.verdict != "holds" and not ours.codes:
                unread[kind] += 1
            elif (state, ours.verdict) == ("Invalid", "broken") and not ours.codes:
                worded[kind] += 1
            elif (state, failures) == (expected, tuple(sorted(ours.codes))):
                same[kind] += 1
            else:
                differ.append(f"{what}, {name}: {state} {failures}, ours {ours.verdict} {sorted(ours.codes)}")
    for kind in sorted(count):
        print(
            f"{kind}: {count[kind]} tried, {same[kind]} the same, {unread[kind]} read by neither, {worded[kind]} found "
            "by both, with codes of the other reader only"
        )
    print(f"{len(differ)} differ")
    print("\n".join(differ))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
