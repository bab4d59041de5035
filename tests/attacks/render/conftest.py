"""Lets the attacks use the fixtures of the ordinary tests of renders."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[3] / folder)
    for folder in ("bench", "tests/faceset", "tests/render", "tests/conversion", "tests/perception")
]

from render_case import allowed_project, footage, home, project, strict_project  # noqa: E402, F401 - fixtures
