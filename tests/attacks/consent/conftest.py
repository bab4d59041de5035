"""Lets the attacks use the helpers beside the ordinary tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "consent"))

from consent_world import PASSPHRASE, World

from countenance.consent.keys import SigningKey, generate_key


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project with a lender whose face is enrolled; no record yet."""
    return World(tmp_path)


@pytest.fixture
def other_key(tmp_path: Path) -> SigningKey:
    """A key that the project does not know."""
    return generate_key(tmp_path / "other.pem", PASSPHRASE)
