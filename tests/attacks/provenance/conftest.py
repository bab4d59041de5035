"""Lets the attacks use the fixtures of the ordinary tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "provenance"))

from provenance_world import *  # noqa: F403 - pytest finds fixtures by their names here
from register_world import *  # noqa: F403
