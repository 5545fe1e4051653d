"""The sink's reader of both logs of a partition, on real Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from tally.agents.sink.logs import PartitionLogs
from tally.agents.sink.ports import Arrived
from tally.schemas.rows import PROGRESS_KEY, Progress, encode
from tally.schemas.topics import CHANGELOGS, COUNTERS, STATES, Changelog
from tally.streams.operations import topics
from tally.streams.settings import Settings, load
from tally.tables.kafka.layouts import present_layouts
from tests.support.servers import Kafka

pytestmark = pytest.mark.asyncio

Values = Mapping[Changelog, Mapping[bytes, bytes]]


class Fold:
    """Commits and aborts transactions over both logs of partition 1, as a fold does."""

    def __init__(self, settings: Settings, producer: Any) -> None:
        self.settings = settings
        self._producer = producer
        self.seq = 0

    async def commit(self, values: Values) -> None:
        self.seq += 1
        async with self._producer.transaction():
            await self._send(values)
            progress = encode(Progress(self.seq, "s1", "r1", seq=self.seq))
            await self._send({log: {PROGRESS_KEY: progress} for log in CHANGELOGS})

    async def abort(self, values: Values) -> None:
        await self._producer.begin_transaction()
        await self._send(values)
        await self._producer.flush()
        await self._producer.abort_transaction()

    async def _send(self, values: Values) -> None:
        for log, entries in values.items():
            for key, value in entries.items():
                topic = self.settings.names.changelog(log)
                await self._producer.send(topic, value, key=key, partition=1)


@asynccontextmanager
async def fold(kafka: Kafka) -> AsyncIterator[Fold]:
    settings = load(
        {},
        kafka_bootstrap=kafka.bootstrap,
        topic_prefix=f"sink-{uuid4().hex[:8]}-",
        partitions=2,
        replication_factor=1,
    )
    await topics.declare(settings)
    producer = settings.kafka.transactional_producer(uuid4().hex)
    await producer.start()
    try:
        yield Fold(settings, producer)
    finally:
        await producer.stop()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[PartitionLogs]:
    logs = PartitionLogs(settings.kafka, settings.names, 1)
    try:
        yield logs
    finally:
        await logs.close()


async def read_until_end(logs: PartitionLogs) -> dict[Changelog, list[Arrived]]:
    """Read on until both logs have said that they end, now."""
    found: dict[Changelog, list[Arrived]] = {log: [] for log in CHANGELOGS}
    began = time.monotonic()
    while not all(arrived and arrived[-1].is_at_end for arrived in found.values()):
        assert time.monotonic() - began < 20.0
        for arrived in await logs.read(CHANGELOGS, 0.2):
            found[arrived.log].append(arrived)
    return found


def keys(found: dict[Changelog, list[Arrived]], log: Changelog) -> list[bytes]:
    return [record.key for arrived in found[log] for record in arrived.records]


async def test_an_opening_says_what_there_is_and_reading_says_where_it_ends(kafka: Kafka) -> None:
    async with fold(kafka) as ours, reading(ours.settings) as logs:
        await ours.commit({STATES: {b"m1": b"1"}, COUNTERS: {b"r1": b"1"}})
        await ours.commit({STATES: {b"m2": b"2"}, COUNTERS: {}})
        found = await logs.open()
        assert found.progress is not None
        assert (found.progress.seq, found.progress.store_id) == (2, "s1")
        assert (found.starts, found.ends) == ({STATES: 0, COUNTERS: 0}, {STATES: 6, COUNTERS: 5})
        names = [ours.settings.names.changelog(log) for log in CHANGELOGS]
        layouts = await present_layouts(logs._consumers[COUNTERS]._client, names)
        assert list(found.topics.values()) == [layouts[name].topic_id.hex() for name in names]
        logs.seek(found.starts)
        arrived = await read_until_end(logs)
        assert keys(arrived, STATES) == [b"m1", PROGRESS_KEY, b"m2", PROGRESS_KEY]
        assert keys(arrived, COUNTERS) == [b"r1", PROGRESS_KEY, PROGRESS_KEY]
        assert {log: one[-1].position for log, one in arrived.items()} == found.ends


async def test_of_a_log_from_which_nothing_is_written_only_the_ends_of_transactions_are_read(
    kafka: Kafka,
) -> None:
    async with fold(kafka) as ours:
        logs = PartitionLogs(ours.settings.kafka, ours.settings.names, 1, frozenset({COUNTERS}))
        try:
            for n in range(3):
                states = {b"m%d-%d" % (n, m): PROGRESS_KEY * m for m in range(50)}
                await ours.commit({STATES: states, COUNTERS: {b"r%d" % n: b"1"}})
            await ours.abort({STATES: {b"m": b"1"}, COUNTERS: {b"r": b"1"}})
            found = await logs.open()
            logs.seek(found.starts)
            arrived = await read_until_end(logs)
        finally:
            await logs.close()
        assert keys(arrived, STATES) == [PROGRESS_KEY] * 3
        assert keys(arrived, COUNTERS) == [b"r0", PROGRESS_KEY, b"r1", PROGRESS_KEY, b"r2", PROGRESS_KEY]
        assert {log: one[-1].position for log, one in arrived.items()} == found.ends


async def test_where_nothing_was_committed_there_is_no_progress(kafka: Kafka) -> None:
    async with fold(kafka) as ours, reading(ours.settings) as logs:
        await ours.abort({STATES: {b"m1": b"1"}, COUNTERS: {b"r1": b"1"}})
        assert (await logs.open()).progress is None


async def test_an_aborted_transaction_is_passed_over_to_the_end_of_the_log(kafka: Kafka) -> None:
    async with fold(kafka) as ours, reading(ours.settings) as logs:
        await ours.commit({STATES: {b"m1": b"1"}, COUNTERS: {b"r1": b"1"}})
        await ours.abort({STATES: {b"m2": b"2", b"m3": b"3"}, COUNTERS: {b"r2": b"2"}})
        found = await logs.open()
        logs.seek(found.starts)
        arrived = await read_until_end(logs)
        assert keys(arrived, STATES) == [b"m1", PROGRESS_KEY]
        assert {log: one[-1].position for log, one in arrived.items()} == found.ends


async def test_only_the_logs_that_are_wanted_are_read_and_the_other_goes_on_later(kafka: Kafka) -> None:
    async with fold(kafka) as ours, reading(ours.settings) as logs:
        await ours.commit({STATES: {b"m1": b"1"}, COUNTERS: {b"r1": b"1"}})
        found = await logs.open()
        logs.seek(found.starts)
        began = time.monotonic()
        seen: list[bytes] = []
        while seen != [b"r1", PROGRESS_KEY]:
            assert time.monotonic() - began < 20.0
            for arrived in await logs.read([COUNTERS], 0.2):
                assert arrived.log == COUNTERS or not arrived.records
                seen += [record.key for record in arrived.records]
        assert keys(await read_until_end(logs), STATES) == [b"m1", PROGRESS_KEY]


async def test_a_log_of_which_nobody_has_answered_for_a_minute_says_nothing_of_its_end(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fold(kafka) as ours, reading(ours.settings) as logs:
        await ours.commit({STATES: {b"m1": b"1"}, COUNTERS: {b"r1": b"1"}})
        logs.seek((await logs.open()).starts)
        await read_until_end(logs)
        later_ms = time.time_ns() // 1_000_000 + 100_000
        monkeypatch.setattr("tally.agents.sink.logs.unix_ms", lambda: later_ms)
        assert not any(arrived.is_at_end for arrived in await logs.read(CHANGELOGS, 0.0))
        await asyncio.sleep(0)
