"""Lets the attacks use the fixtures of the ordinary tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "provenance"))

from provenance_world import *  # noqa: F403 - pytest finds fixtures by their names here
from register_world import *  # noqa: F403
from tamper_world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Small signed files of every kind."""
    return World(tmp_path_factory.mktemp("tamper"))
