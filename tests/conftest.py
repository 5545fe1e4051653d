"""Fixtures for all tests."""

import os
from collections.abc import Generator
from pathlib import Path
from random import SystemRandom

import pytest
from hypothesis import settings

from tests.support.seeds import draw

LOG_END = 6_000
"""How many characters of a process's log are shown with a test that failed."""

pytest_plugins = ["tests.support.servers"]

draw(os.environ, SystemRandom())

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("tally", deadline=None)
settings.load_profile("tally")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first: else one process would end with them while the other has none left."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a test that failed how the logs of the processes end that it started in its folder."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and report.failed and isinstance(folder, Path):
        for log in sorted(folder.glob("*.log")):
            report.sections.append((f"the end of {log.name}", log.read_text(errors="replace")[-LOG_END:]))
    return report
