"""A plain count of events in Python, for loads whose recount in SQL would take the better part of an hour."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson

from bench.oracle import PEER_COUNTERS, PeerRows, peer_rows
from bench.peers import job
from bench.worker import Worker
from tally.oracle.judgement import Table, view_table
from tally.oracle.recount import connect, fetch
from tally.simulator.records import SEND_RESULTS, RawRecord
from tests.support.keys import answers_of

KEY = ("tenant", "campaign", "template_name", "template_language")
POSTGRES_SECONDS = 20.0
"""How long Postgres may take for what the view has."""
POLL_SECONDS = 0.2


def plain_count(records: Iterable[RawRecord]) -> PeerRows:
    """Count with the peers' job, in one pass in memory; throughput checks that job against plain SQL."""
    states: dict[tuple[str, str], job.Json] = {}
    rows: dict[str, job.Delta] = {}
    for fact in _facts(records):
        place = fact["of"], fact["key"]
        count = job.count_message if fact["of"] == "message" else job.count_customer
        if change := count(states.get(place), fact):
            states[place] = change.state
            for delta in change.deltas:
                rows[delta["row"]] = job.added(rows.get(delta["row"]), delta["add"])
    return {tuple(orjson.loads(key)): tuple(row) for key, row in rows.items()}


def _facts(records: Iterable[RawRecord]) -> Iterator[job.Json]:
    for record in records:
        facts = job.send_facts if record.topic == SEND_RESULTS else job.webhook_facts
        yield from facts(orjson.loads(record.value or b"null"))


async def check_plainly(worker: Worker, right: PeerRows) -> None:
    """Compare the rows of templates in view and Postgres with a plain count. Raises AssertionError.

    Rows of other tenants, such as that of the probes, are left out.
    """
    tenants = {key[0] for key in right}
    async with answers_of(worker) as answers:
        _same("view", peer_rows(await view_table(answers, tenants)), right)
    connection = await connect(worker.settings.postgres_dsn.get_secret_value())
    try:
        ends_s = time.monotonic() + POSTGRES_SECONDS
        while (held := await _held(connection, tenants)) != right and time.monotonic() < ends_s:
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await connection.close()
    _same("Postgres", held, right)


async def _held(connection: Any, tenants: Collection[str]) -> PeerRows:
    rows = await fetch(connection, "tally.campaign_template_stats")
    found: Table = {tuple(row[part] for part in KEY): row for row in rows if row["tenant"] in tenants}
    return peer_rows(found)


def _same(where: str, found: PeerRows, right: PeerRows) -> None:
    wrong = {key: (found.get(key), row) for key, row in right.items() if found.get(key) != row}
    assert not wrong, f"{where}, {PEER_COUNTERS}: {list(wrong.items())[:5]}"
    assert len(found) == len(right), f"{where} has rows too many: {list(found.keys() - right.keys())[:5]}"
