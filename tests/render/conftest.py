"""Whole renders in seconds: the world of ``bench/render_world.py``, with real gate, ledger, marks and signatures."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / folder) for folder in ("bench", "tests/faceset")]

from render_case import allowed_project, footage, home, project, strict_project  # noqa: E402, F401 - fixtures
