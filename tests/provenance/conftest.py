"""The fixtures of these tests."""

from provenance_world import *  # noqa: F403 - pytest finds fixtures by their names here
