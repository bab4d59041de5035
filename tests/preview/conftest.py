from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "conversion"))  # fake_world

from preview_clips import *  # noqa: F403 - pytest finds fixtures by their names here
