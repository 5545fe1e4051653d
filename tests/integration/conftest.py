"""Fixtures of tests that two judges have to pass."""

import asyncio

import pytest

from tests.support.call_judges import Recount, Recounted, by_fold, by_sql
from tests.support.call_packets import Event


@pytest.fixture(params=["fold", "plain sql"])
def recount(request: pytest.FixtureRequest) -> Recount:
    """Count calls as Tally does, and by the recount in plain SQL: both have to give the same."""
    if request.param == "fold":
        return lambda *events: by_fold(list(events))
    dsn = request.getfixturevalue("database")

    def run(*events: Event) -> Recounted:
        return asyncio.run(by_sql(dsn, list(events)))

    return run
