"""How long verification takes, and how much memory, for small and large files.

    python bench/verify.py [OUT.json]

Claims: docs/reference/verification.md (under a second for 20 MB without the watermark search; large files in parts).
Each figure is a fresh process, as on the command line, import and all. The files are a real clip and zeros (sparse on
the disk) in a box of the wanted size: the hash goes over every byte all the same. ``user_seconds`` is processor time,
which hardly depends on what else the machine does; wall time does.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from countenance import __version__
from countenance.demo.surroundings import commit
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.manifest import RenderClaim
from countenance.provenance.sign import sign_file

CLIP = Path(str(files("countenance") / "data" / "performers" / "test_gt_matched.mp4"))
SIZES_MB = (20, 300, 1500)
REPEATS = 3


def signed(folder: Path, megabytes: int, identity: SigningIdentity) -> Path:
    """A signed video of that size."""
    draft, final = folder / f"draft-{megabytes}.mp4", folder / f"signed-{megabytes}.mp4"
    shutil.copy(CLIP, draft)
    size = megabytes * 10**6 - draft.stat().st_size
    with draft.open("r+b") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(size.to_bytes(4, "big") + b"mdat")
        stream.truncate(megabytes * 10**6)
    claim = RenderClaim(
        record_id="urn:uuid:3f0e9bb2-6e5a-4d8b-9f27-5f1c2f6f2b11",
        record_sha256="9f" * 32,
        purpose="double",
        made_at=datetime.now(UTC),
        preset="swift",
        label_text="Face replaced with consent",
        watermark_id=b"bench",
    )
    sign_file(draft, final, parent=CLIP, claim=claim, identity=identity)
    return final


# Linux keeps the peak of all resident pages only (VmHWM); anonymous ones, which the system cannot drop and read again,
# are looked at every two milliseconds. ru_maxrss would be the parent's, which has signed large files.
_CHILD = """
import sys, threading, time
done, peak = threading.Event(), {"RssAnon": 0, "RssFile": 0, "VmHWM": 0}
def look():
    while True:
        with open("/proc/self/status") as stream:
            for line in stream:
                name, _, rest = line.partition(":")
                if name in peak:
                    peak[name] = max(peak[name], int(rest.split()[0]))
        if done.wait(0.002):
            return
watcher = threading.Thread(target=look)
watcher.start()
from countenance.cli import run
code = run(sys.argv[1:])
done.set()
watcher.join()
print(*peak.values(), file=sys.stderr)
sys.exit(code)
"""


def measured(path: Path, *words: str, expect: int) -> dict[str, float]:
    """One run of the program: seconds and peak memory of the process."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, "verify", str(path), *words], capture_output=True, text=True, check=False
    )
    if done.returncode != expect:
        raise SystemExit(f"verify gave {done.returncode}, not {expect}: {done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    anonymous, of_files, whole = (int(pages) * 1024 / 1e6 for pages in done.stderr.split()[-3:])
    return {
        "wall_seconds": time.perf_counter() - began,
        "user_seconds": user,
        "peak_mb": whole,
        "peak_anonymous_mb": anonymous,
        "peak_of_files_mb": of_files,
    }


def spread(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        key: {
            "median": round(median(run[key] for run in runs), 3),
            "lowest": round(min(run[key] for run in runs), 3),
            "highest": round(max(run[key] for run in runs), 3),
        }
        for key in runs[0]
    }


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "results" / "verify.json"
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["COUNTENANCE_HOME"] = name
        identity = SigningIdentity.load_or_create(folder / "data")
        for megabytes in SIZES_MB:
            path = signed(folder, megabytes, identity)
            runs = [measured(path, "--no-watermark", expect=0) for _ in range(REPEATS)]
            figures[f"signed_{megabytes}_mb"] = spread(runs)
            path.unlink()
        path = signed(folder, 20, identity)
        figures["signed_20_mb_with_the_watermark_search"] = spread([measured(path, expect=0) for _ in range(REPEATS)])
        plain = folder / "plain.mp4"
        shutil.copy(CLIP, plain)
        os.truncate(plain, 300 * 10**6)
        figures["unsigned_300_mb"] = spread([measured(plain, "--no-watermark", expect=1) for _ in range(REPEATS)])
    result = {
        "schema": 1,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "countenance": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "c2pa_python": version("c2pa-python"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "repeats": REPEATS,
        "frames_in_the_clip": 150,
        "figures": figures,
    }
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
