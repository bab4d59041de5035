"""Lets the attacks use the helpers beside the ordinary tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "consent"))

from consent_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with a lender whose face is enrolled; no record yet."""
    return World(tmp_path)
