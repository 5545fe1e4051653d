"""Mistakes of operation that end in a named error or an honest receipt, each on a separate deployment.

They cannot be part of a run that goes on afterwards: a deleted log stays deleted.
"""

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

GROUPS = "tests/faults/groups"
ROOT = Path(__file__).parents[2]
MOST_SECONDS = 3_600.0

MISTAKES = {
    "raw records deleted before they were read": f"{GROUPS}/test_receipts_raw.py",
    "logs shrunk, deleted and re-created": "tests/integration/test_partition_logs.py",
    "partitions raised, topics configured otherwise": "tests/integration/test_worker_logs.py",
    "local copies damaged, states missing": "tests/integration/test_partition_copies.py",
    "a worker of a second deployment": "tests/integration/test_deployment.py",
    "clocks that step": f"{GROUPS}/test_events_clocks.py",
    "batches that unpack to more than a bound": f"{GROUPS}/test_events_bombs.py",
    "three brokers: leaders that move, brokers killed and restarted": f"{GROUPS}/test_cluster.py",
}
"""Tests by mistake. They assert that receipts are never live while data is missing and no number is wrong."""


class Mistake(Struct, frozen=True):
    """The result of one mistake."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float

    @property
    def is_passed(self) -> bool:
        """Whether all its tests ran and passed."""
        return self.passed > 0 and not self.failed


def made(folder: Path) -> Iterator[Mistake]:
    """Make each mistake in turn, and yield its result."""
    for number, (name, tests) in enumerate(MISTAKES.items()):
        report = folder / f"mistake-{number}.xml"
        began_s = time.monotonic()
        subprocess.run(  # noqa: S603 - our own tests
            (sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", tests),
            cwd=ROOT,
            stdout=sys.stderr,
            timeout=MOST_SECONDS,
            check=False,
        )
        yield _read(name, report, time.monotonic() - began_s)


def _read(name: str, report: Path, seconds: float) -> Mistake:
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - written by pytest just now
    numbers = [
        [int(suite.get(what, "0")) for what in ("tests", "failures", "errors", "skipped")] for suite in suites
    ]
    tests, failures, errors, skipped = (sum(column) for column in zip(*numbers, strict=True))
    return Mistake(name, tests - failures - errors - skipped, failures + errors, skipped, seconds)
