"""Fixtures for all tests."""

import os
from random import SystemRandom

import pytest
from hypothesis import settings

from tests.support.seeds import draw

pytest_plugins = ["tests.support.servers"]

draw(os.environ, SystemRandom())

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("tally", deadline=None)
settings.load_profile("tally")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first: else one process would end with them while the other has none left."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
