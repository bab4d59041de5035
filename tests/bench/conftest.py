"""The programs of bench/ and tools/ are no package: tests find them, and the training tests' made-up faces, by path."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "bench", ROOT / "tools", ROOT / "tests" / "training"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
