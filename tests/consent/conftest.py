"""The world that the consent tests share."""

from pathlib import Path

import pytest
from consent_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with a lender whose face is enrolled; no record yet."""
    return World(tmp_path)
