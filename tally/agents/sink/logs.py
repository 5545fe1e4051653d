"""The two logs of one partition at the brokers, each read by a consumer without a group."""

import asyncio
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any

from aiokafka import TopicPartition

from tally.agents.clock import unix_ms
from tally.agents.sink.opening import Found
from tally.agents.sink.ports import Arrived
from tally.schemas.rows import PROGRESS_KEY
from tally.schemas.topics import CHANGELOGS, COUNTERS, Changelog, Names
from tally.tables.kafka.awaited import only
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.layouts import present_layouts
from tally.tables.store.recovery import Changelogs

DEADLINE_SECONDS = 30.0
CLOSE_SECONDS = 5.0
FETCH_WAIT_MS = 200
"""How long the broker gathers records for one answer. Fewer answers cost less, and nobody waits for less than
a second's worth."""
FETCH_MIN_BYTES = 1 << 20
FETCH_BYTES = 2 << 20
ANSWER_MS = 60_000
"""For how long an answer says where a log ends."""
READ_RECORDS = 1_000
"""Of one read: taking them occupies the event loop for a millisecond."""


class PartitionLogs:
    """A reader of the committed records of both logs of one partition.

    Of a log that is not in `whole` it reads the ends of transactions alone.
    """

    def __init__(
        self, kafka: KafkaClients, names: Names, partition: int, whole: Set[Changelog] = frozenset(CHANGELOGS)
    ) -> None:
        self._kafka = kafka
        self._whole = whole
        self._partition = partition
        self._topics = {log: names.changelog(log) for log in CHANGELOGS}
        self._places = {log: TopicPartition(topic, partition) for log, topic in self._topics.items()}
        self._consumers: dict[Changelog, Any] = {}

    async def open(self) -> Found:
        """Connect, and return what there is. Raises KafkaError, TimeoutError, ForeignRecord."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            async with Changelogs(self._kafka, self._topics, self._partition) as changelogs:
                ranges = await changelogs.ranges()
                newest = await changelogs.newest(ranges)
            for log in CHANGELOGS:
                await self._connect(log)
            client = self._consumers[COUNTERS]._client
            layouts = await present_layouts(client, list(self._topics.values()))
        return Found(
            newest[COUNTERS] if len(newest) == len(CHANGELOGS) else None,
            {log: layouts[topic].topic_id.hex() for log, topic in self._topics.items()},
            {log: place.start for log, place in ranges.items()},
            {log: place.end for log, place in ranges.items()},
        )

    async def _connect(self, log: Changelog) -> None:
        # A consumer for each: of a log from which nothing is written it reads the ends of transactions alone.
        consumer = self._consumers[log] = self._kafka.reader(
            # Missing offsets mean that the log is not the one read so far: fail, do not reset.
            "none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_min_bytes=FETCH_MIN_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
        )
        with nullcontext() if log in self._whole else only(PROGRESS_KEY):
            await consumer.start()
        consumer.assign([self._places[log]])

    def seek(self, places: Mapping[Changelog, int]) -> None:
        """Begin to read there."""
        for log, offset in places.items():
            self._consumers[log].seek(self._places[log], offset)

    async def read(self, logs: Sequence[Changelog], timeout_seconds: float) -> list[Arrived]:
        """Return what arrives of logs within the time, or what is there at once. Raises KafkaError."""
        found: dict[Changelog, Sequence[Any]] = {}
        for log in logs:
            is_last = log == logs[-1]
            wait_ms = round(timeout_seconds * 1000) if is_last and not any(found.values()) else 0
            arrived = await self._consumers[log].getmany(timeout_ms=wait_ms, max_records=READ_RECORDS)
            found[log] = arrived.get(self._places[log], ())
        await asyncio.sleep(0)  # what is fetched already is handed out without a turn for others
        return [await self._arrived(log, found.get(log, ())) for log in CHANGELOGS]

    async def _arrived(self, log: Changelog, records: Sequence[Any]) -> Arrived:
        place, consumer = self._places[log], self._consumers[log]
        position: int = await consumer.position(place)
        stable = consumer.last_stable_offset(place)
        # What an answer says of the end is old once this process was stopped, or the brokers do not answer.
        age_ms = unix_ms() - (consumer.last_poll_timestamp(place) or 0)
        is_at_end = stable is not None and position >= stable and 0 <= age_ms <= ANSWER_MS
        return Arrived(log, records, position, is_at_end)

    async def close(self) -> None:
        """Disconnect."""
        consumers, self._consumers = list(self._consumers.values()), {}
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*(consumer.stop() for consumer in consumers))
