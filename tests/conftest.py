"""What every test may rely on, however pytest was started."""

import atexit
import os
import shutil
import signal
import tempfile

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
