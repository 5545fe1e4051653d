"""Fixtures: two judges of calls, one partition of a facts log with its stores, and a running read API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tally.streams.operations import topics
from tally.streams.settings import Settings, load
from tally.tables.kafka.facts_log import FactsLog
from tally.tables.store.partition import PartitionStore
from tests.support.call_judges import Recount, Recounted, by_fold, by_sql
from tests.support.call_packets import Event
from tests.support.servers import Kafka
from tests.support.stored_partition import Opener, store_settings
from tests.support.web_api import Api, serving


@pytest.fixture(params=["fold", "plain sql"])
def recount(request: pytest.FixtureRequest) -> Recount:
    """Count calls as Tally does, and by the recount in plain SQL: both have to give the same."""
    if request.param == "fold":
        return lambda *events, **more: by_fold(list(events), **more)
    dsn = request.getfixturevalue("recount_database")

    def run(*events: Event, **more: Any) -> Recounted:
        return asyncio.run(by_sql(dsn, list(events), **more))

    return run


@pytest.fixture
def settings(kafka: Kafka) -> Settings:
    """Return settings of topics that nobody else uses, with one partition each."""
    prefix = f"s{uuid4().hex[:8]}-"
    return load({}, kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix, partitions=1, replication_factor=1)


@pytest_asyncio.fixture
async def facts(settings: Settings) -> AsyncIterator[FactsLog]:
    """Declare the topics of `settings` and yield their facts log."""
    await topics.declare(settings)
    log = FactsLog(settings.kafka, settings.names.facts)
    await log.start()
    yield log
    await log.close()


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> Opener:
    """Return how to open the partition with its files in a named folder."""

    async def open_(folder: str) -> PartitionStore:
        store = PartitionStore(store_settings(settings, tmp_path / folder), 0)
        await store.open()
        return store

    return open_


@pytest_asyncio.fixture(params=[False, True], ids=["production", "debug"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """Serve the read API over an empty view."""
    async with serving(debug=request.param) as running:
        yield running
