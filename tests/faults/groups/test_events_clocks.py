"""D4: clocks that are wrong, those of producers and the worker's own."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import asyncpg
import pytest

from tally.schemas.fields import MAX_SECONDS
from tally.schemas.tables import table_of
from tally.schemas.topics import STATES
from tally.simulator.calls import voice
from tally.simulator.campaign import campaign
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tally.tables.kafka.read_to_end import read_to_end
from tests.faults.events import wrong_clocks
from tests.faults.flow import enough, flowing
from tests.faults.groups.faketime import WallClock, library
from tests.faults.groups.letters import as_kept, kept, unreadable
from tests.faults.judging import assert_exact
from tests.faults.oracle import Sender
from tests.faults.parts import DAY_S, parts_of
from tests.faults.scrapes import read
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

NOW_S = 1_795_350_000
SMALL = Size(tenants=2, campaigns_per_tenant=2, contacts_per_campaign=20, calls_per_campaign=8)
STARTS = {
    "epoch 0": 0,
    "a day slow": NOW_S - DAY_S,
    "right": NOW_S,
    "a day fast": NOW_S + DAY_S,
    "year 9999": MAX_SECONDS - 60 * DAY_S,
}
"""Where the producers' clocks begin: what the first and the last one say happened at no time at all."""
KEYS_OVER_ORACLE = 1.01
DEADLINE_SECONDS = 60.0
SUBJECTS = """
SELECT (SELECT count(*) FROM (
        SELECT number_id, message_id FROM recount.send WHERE outcome = 'accepted' AND channel = 'whatsapp'
        UNION SELECT number_id, message_id FROM recount.status
        UNION SELECT number_id, quoted_id FROM recount.inbound WHERE quoted_id <> ''
    ) AS message) AS messages,
    (SELECT count(DISTINCT (tenant, campaign, contact)) FROM recount.send WHERE campaign IS NOT NULL)
        AS recipients,
    (SELECT count(DISTINCT customer) FROM recount.identifier) AS customers
"""
ZONE = "America/New_York"
"""In which the clock goes back an hour in November."""
HOUR_S = 3_600
PER_SECOND = 150
JUMP_SECONDS = 4.0


def of_all_clocks() -> Iterator[RawRecord]:
    """Yield events of the same tenants by clocks that are thousands of years apart."""
    for nth, start_s in enumerate(STARTS.values()):
        rng = Random(540 + nth)
        records = [*campaign(rng, start_s, SMALL), *voice(rng, start_s, SMALL)]
        parts = [part for place, record in enumerate(records) for part in parts_of(place, record)]
        yield from records
        yield from (record for _, record in wrong_clocks(rng, parts, len(parts) // 4))


async def test_clocks_of_producers_from_epoch_0_to_the_year_9999_make_no_state_and_no_number_more(
    tmp_path: Path,
) -> None:
    records = list(of_all_clocks())
    Random(541).shuffle(records)
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        whole.workers[0].environment["TZ"] = ZONE
        await whole.start()
        await sender.send(records)
        await assert_exact(whole, whole.workers[0], sender.sent)
        held = {table: await keys(whole, table) for table in ("messages", "recipients", "customers")}
        subjects, letters = await counted_subjects(whole.dsn), as_kept(await kept(whole))
        exits = whole.exits

    assert exits == []
    assert letters == unreadable(records)
    assert "bad_time" in {reason for _, reason in letters}
    assert all(held.values())
    for table, count in subjects.items():
        assert held[table] <= KEYS_OVER_ORACLE * count, (held, subjects)


async def keys(whole: Stack, table: str) -> int:
    """Return how many states a table has, by the changelog of states."""
    settings, states = whole.settings, dict[bytes, bytes | None]()
    topic = settings.names.changelog(STATES)
    async for record in read_to_end(settings.kafka, [topic], DEADLINE_SECONDS):
        states[record.key] = record.value
    return sum(value is not None for key, value in states.items() if table_of(key) == table)


async def counted_subjects(dsn: str) -> dict[str, int]:
    """Return how many subjects plain SQL finds in the raw events."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=60)
    try:
        found: dict[str, int] = dict(*await connection.fetch(SUBJECTS))
        return found
    finally:
        await connection.close()


async def test_a_worker_whose_clock_jumps_an_hour_ahead_and_back_while_events_flow_counts_exactly(
    tmp_path: Path,
) -> None:
    if (found := library(tmp_path)) is None:
        pytest.skip("no libfaketime: neither installed, nor does apt bring it")
    async with stack(tmp_path, ("a",)) as whole, Sender(whole.settings) as sender:
        clock = WallClock(whole.workers[0], found, tmp_path)
        await whole.start()
        async with flowing(sender, enough(542, 20, PER_SECOND), PER_SECOND) as flow:
            for offset_s in (HOUR_S, -HOUR_S, 0):
                clock.jump(offset_s)
                await asyncio.sleep(JUMP_SECONDS)
                assert not flow.done(), "the clock jumped when nothing was left to do: the run is void"
                assert abs(await ahead_seconds(whole) - offset_s) < HOUR_S / 2
        await assert_exact(whole, whole.workers[0], sender.sent)
        exits = whole.exits

    assert exits == []


async def ahead_seconds(whole: Stack) -> float:
    """Return how far a worker's clock is ahead of ours, by what it says of its last work."""
    told = (await read(whole.workers[0])).value("tally_last_progress_timestamp_seconds", role="fold")
    return told - time.time()
