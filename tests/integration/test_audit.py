"""The audit finds every wrong counter, and reports no correct one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from tally.schemas.places import place_of
from tally.streams.audit.copies import copies
from tally.streams.audit.examine import Audit, examine
from tally.streams.audit.raw import counted_from_raw, partitions_of_facts
from tally.streams.settings import load
from tally.tables.families.registry import FAMILIES
from tests.support.judge import counted, prepare, publish, simulated
from tests.support.servers import Kafka
from tests.support.workers import WorkerProcess, environment_of, said, workers

pytestmark = [pytest.mark.long, pytest.mark.asyncio, pytest.mark.timeout(240)]


@pytest.fixture
def environment(kafka: Kafka, database: str) -> dict[str, str]:
    return environment_of(kafka.bootstrap, database, f"a{uuid4().hex[:8]}-", ledger="true")


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[WorkerProcess]:
    with workers(environment, tmp_path, "a") as (made,):
        yield made


async def change(database: str, sql: str) -> None:
    connection = await asyncpg.connect(database, timeout=10)
    try:
        assert (await connection.execute(sql)).endswith(" 1")
    finally:
        await connection.close()


async def audited(environment: dict[str, str], with_raw: bool) -> Audit:
    """Audit until Postgres has all rows."""
    for _ in range(20):
        found = await examine(load(environment), with_raw)
        if not found.behind:
            return found
        await asyncio.sleep(0.5)
    raise AssertionError(f"{found.behind} rows are not in Postgres")


async def differing_states(environment: dict[str, str]) -> list[tuple[str, bytes]]:
    """Return the states that are not, byte for byte, with all places, what the raw topics come to."""
    settings = load(environment)
    differing = []
    with copies(settings) as kept:
        stores = await counted_from_raw(settings, kept, await partitions_of_facts(settings))
        for partition, store in stores.items():
            held = await kept.refreshed(partition)
            for family in FAMILIES:
                ours, theirs = dict(held.items(family.table)), dict(store.items(family.table))
                assert all(
                    place_of(placed.place) is not None
                    for state in map(family.decode, ours.values())
                    for placed in family.places(state)
                )
                differing += [
                    (family.table, key) for key in ours | theirs if ours.get(key) != theirs.get(key)
                ]
            store.close()
    return differing


async def test_rows_are_what_states_postgres_and_raw_events_say_and_a_wrong_one_is_found(
    environment: dict[str, str], worker: WorkerProcess, database: str, tmp_path: Path
) -> None:
    await prepare(environment)
    worker.start()
    await worker.ready()
    await publish(environment, simulated(seed=601, contacts_per_campaign=40))
    await counted(worker)

    found = await audited(environment, with_raw=True)
    assert (found.drift, found.raw) == ([], "counted again")
    assert found.compared == ["states", "cells", "lines", "postgres", "raw"]
    assert found.rows > 50
    assert await differing_states(environment) == []

    one = "(SELECT ctid FROM tally.counters WHERE attempts > 0 AND campaign = 'v7000' LIMIT 1)"
    await change(database, f"UPDATE tally.counters SET attempts = attempts + 7 WHERE ctid = {one}")  # noqa: S608
    wrong, uncelled, unlined = (await examine(load(environment), with_raw=False)).drift
    assert (wrong.source, wrong.counter, wrong.counted - wrong.held) == ("postgres", "attempts", 7)
    assert (uncelled.source, uncelled.row, uncelled.held - uncelled.counted) == ("cells", wrong.row, 7)
    assert (unlined.source, unlined.row, unlined.held - unlined.counted) == ("lines", wrong.row, 7)

    log = tmp_path / "log"
    exit_code, output = await said(environment, log, "audit", "--campaign", "v7000")
    assert exit_code == 1, output
    assert "3 counters differ" in output
    exit_code, output = await said(environment, log, "audit", "--campaign", "4001")
    assert exit_code == 0, output
