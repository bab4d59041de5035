"""Lets the attacks use the helpers beside the ordinary tests."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "consent"))
sys.path.append(str(Path(__file__).parent))

from consent_world import PASSPHRASE, World
from status_world import PLACE, URI, Listed

from countenance.consent.keys import SigningKey, generate_key
from countenance.consent.terms import StatusPointer
from countenance.project import Project


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with a lender whose face is enrolled; no record yet."""
    return World(tmp_path)


@pytest.fixture
def other_key(tmp_path: Path) -> SigningKey:
    """A key that the project does not know."""
    return generate_key(tmp_path / "other.pem", PASSPHRASE)


@pytest.fixture
def listed(world: World, other_key: SigningKey) -> Listed:
    pointer = StatusPointer(URI, PLACE, other_key.key_id)
    config = dataclasses.replace(world.project.config, status_list="lists/status.jws")
    world.project = Project(world.project.root, config)
    world.accept(status=pointer)
    file = world.project.root / "lists" / "status.jws"
    file.parent.mkdir()
    made = Listed(world, other_key, file, pointer)
    made.publish()
    return made
