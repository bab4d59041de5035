"""The fixtures of these tests."""

from attest_world import *  # noqa: F403
from provenance_world import *  # noqa: F403 - pytest finds fixtures by their names here
from register_world import *  # noqa: F403
