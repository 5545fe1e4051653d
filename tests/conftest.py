"""Fixtures for all tests."""

from hypothesis import settings

pytest_plugins = ["tests.support.servers"]

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("tally", deadline=None)
settings.load_profile("tally")
