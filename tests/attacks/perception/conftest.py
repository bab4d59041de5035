"""Lets the attacks use the helpers beside the ordinary tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "perception"))
