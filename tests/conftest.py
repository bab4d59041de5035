"""What every test may rely on, however pytest was started."""

import atexit
import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

# The keys of the projects that tests make, which are not for the user's own folder.
os.environ["COUNTENANCE_KEYS"] = tempfile.mkdtemp(prefix="countenance-test-keys-")
atexit.register(shutil.rmtree, os.environ["COUNTENANCE_KEYS"], ignore_errors=True)

# A run in the background of a script is started with Ctrl-C switched off, and hands that on to the programs it starts;
# the tests of interruption need it as a person at a terminal has it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Shared machines stall now and then: an example that takes long is no failure.
settings.register_profile("countenance", deadline=None)
settings.load_profile("countenance")

# The files that take longest: of two processes that share the tests, one waits for what the other began last.
_LONGEST = (
    "test_evaluate.py", "test_quality.py", "test_patch_folder.py", "test_runs.py", "test_api.py", "test_held_out.py",
    "test_train.py", "test_demo_run.py", "test_render_kills.py", "test_footage_that_tells.py", "test_cli_render.py",
    "test_live.py", "test_cli_whole_way.py", "test_stored.py", "test_ablation.py", "test_cli_evaluate.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others as they were."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
