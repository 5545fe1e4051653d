"""The definitions of the counters, one by one, as the recount in SQL implements them.

Every expected number here was worked out by hand from docs/counters.md.
"""

import asyncio

import pytest

from tests.integration.recount.judge import Recount, Recounted, recounted
from tests.support.whatsapp_events import Event


@pytest.fixture
def recount(recount_database: str) -> Recount:
    """Count send results and webhooks by the recount in SQL."""

    def run(*events: Event) -> Recounted:
        return asyncio.run(recounted(recount_database, list(events)))

    return run
