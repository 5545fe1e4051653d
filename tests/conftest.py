"""Fixtures for all tests."""

import os
from random import SystemRandom

from hypothesis import settings

from tests.support.seeds import draw

pytest_plugins = ["tests.support.servers"]

draw(os.environ, SystemRandom())

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("tally", deadline=None)
settings.load_profile("tally")
