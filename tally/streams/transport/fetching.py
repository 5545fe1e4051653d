"""The thread that runs aiokafka's consumer: its client options, and fetches that report their end position.

All code here except Faust's coroutines runs in the consumer's own event loop. Nothing can run between taking
records and noting positions.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from tally.agents.clock import Backoff
from tally.schemas.bounds import BATCH
from tally.schemas.starts import Start
from tally.streams.transport.beginning import Beginnings
from tally.streams.transport.config import TransportConfig
from tally.streams.transport.runs import sizes_of
from tally.tables.kafka.away import ASKED, is_away
from tally.tables.kafka.fetched_batches import Budget

log = logging.getLogger(__name__)

MAX_POLL_INTERVAL_MS = 300_000
REQUEST_TIMEOUT_MS = 40_000
TRICKLE_RECORDS = 2
"""Records flow where a fetch brings more: then the next one may linger at the broker."""
RETRY_SECONDS = (0.2, 5.0)
"""The shortest and the longest pause before a client is started again."""
METADATA_AGE_MS = 3_000
"""Interval at which topic metadata is refreshed.

A broker that has just started may not know a topic yet. The group then assigns it to no member, and all
members are healthy and idle until the next refresh, five minutes later by default.
"""


class Piece(NamedTuple):
    """The part of a fetch that concerns one partition."""

    records: Sequence[Any]
    position: int
    epoch: int
    """Number of seeks of the partition in this assignment when its records were taken."""
    paused: bool
    sizes: Sequence[int] | None = None
    """Bytes of memory that each record takes, if known. Half a million tiny records can arrive at once; they
    are measured in this thread to keep the main event loop free."""
    start: Start | None = None
    """Where the records start, if reading began or records were lost before them."""


class Fetched(NamedTuple):
    """The result of one fetch over all partitions, with the group's generation."""

    generation: int
    pieces: Mapping[TP, Piece]


class Ours(Protocol):
    """The main thread's view of the partitions; read here without a lock, one attribute at a time."""

    generation: int | None

    @property
    def partitions(self) -> Mapping[TP, object]: ...  # noqa: D102 - the owned partitions
    @property
    def topic_ids(self) -> Mapping[TP, str]: ...  # noqa: D102 - topic ids of the offsets being committed

    def is_full_with(self, tp: TP, further_records: int) -> bool:
        """Return whether `further_records` more records would fill a partition's backlog."""


class AsParsed(dict[TopicPartition, Any]):
    """The client's fetched partitions; their records are handed out as its parser made them.

    The client would create a second object of each record only to add topic and partition, which a run
    knows. That takes longer than parsing. One budget bounds what all partitions unpack at once.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:
            records = result._partition_records
            records._consumer_record = _as_it_is
            records._records.budget = self._budget
        super().__setitem__(tp, result)


def _hand_out_as_parsed(fetcher: Any, budget: Budget) -> None:
    """Replace the client's map of fetched partitions by ours, once; it also takes later ones."""
    if type(fetcher._records) is not AsParsed:
        before, fetcher._records = fetcher._records, AsParsed(budget)
        for tp, result in before.items():
            fetcher._records[tp] = result


def _as_it_is(_: TopicPartition, record: Any) -> Any:
    return record


class NotedCommits(AIOKafkaConsumer):  # type: ignore[misc]
    """A client that commits each offset with the id of its topic: a recreated topic has other offsets."""

    def __init__(self, ours: Ours, **options: Any) -> None:
        super().__init__(**options)
        self._ours = ours

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit offsets. Raises as the client does."""
        ids = self._ours.topic_ids
        await super().commit(
            {
                tp: OffsetAndMetadata(at.offset, ids.get(TP(tp.topic, tp.partition), ""))
                for tp, at in offsets.items()
            }
        )


class FetchThread(AIOKafkaConsumerThread):
    """Creates the client and fetches from all partitions whose backlog has room."""

    config: TransportConfig
    ours: Ours
    _epochs: dict[TP, int]
    _budget: Budget
    _beginnings: Beginnings
    _is_flowing = False

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002 - Faust's
        config = self.config
        # Set explicitly: without tables and standbys Faust silently falls back to round robin.
        self._assignor = self.app.assignor
        self._epochs = {}
        self._budget = Budget(BATCH.most)
        self._beginnings = Beginnings(lambda: time.time_ns() // 1_000_000, time.monotonic)
        client = config.kafka.group_reader_options(
            client_id=self.app.conf.broker_client_id,
            group_id=self.app.conf.id,
            partition_assignment_strategy=[self._assignor],
            fetch_max_wait_ms=config.fetch_wait_ms,
            max_partition_fetch_bytes=config.fetch_bytes,
            fetch_max_bytes=config.fetch_all_bytes,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=config.session_timeout_ms // 4,
            metadata_max_age_ms=METADATA_AGE_MS,
            rebalance_timeout_ms=config.rebalance_timeout_ms,
            request_timeout_ms=max(REQUEST_TIMEOUT_MS, config.session_timeout_ms + 1_000),
        )
        return NotedCommits(self.ours, **client)

    async def on_start(self) -> None:
        """Start the client; while brokers are away, a new one after each pause, until the app stops."""
        backoff = Backoff(*RETRY_SECONDS)
        while not self.should_stop:
            try:
                return await super().on_start()
            except ASKED as error:
                if not is_away(error):
                    raise
                pause_s = backoff.failed(self.config.random())
                log.warning("cannot join %s yet, again in %.1f s: %r", self.app.conf.id, pause_s, error)
                await self._ensure_consumer().stop()
            await self.sleep(pause_s)
        return None

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget seeks of the former assignment."""
        self._epochs.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def fetch(self, timeout_seconds: float) -> Fetched:
        """Return the next records of all partitions that have room. Raises ConsumerStoppedError."""
        fetched: Fetched = await self.call_thread(self._fetch, timeout_seconds)
        return fetched

    async def _fetch(self, timeout_seconds: float) -> Fetched:
        consumer = self._ensure_consumer()
        _hand_out_as_parsed(consumer._fetcher, self._budget)
        known = consumer._coordinator.generation
        if self.config.tells_starts and known == self.ours.generation:
            await self._beginnings.look(consumer, known, self.ours.partitions)
        self._budget.renew()
        records = await consumer.getmany(timeout_ms=round(timeout_seconds * 1000))
        if consumer._closed:
            raise ConsumerStoppedError
        self._linger_while_records_flow(consumer, sum(map(len, records.values())))
        generation = consumer._coordinator.generation
        if generation != self.ours.generation:
            # The main thread does not know this assignment yet and cannot take its records. Without this
            # seek back they would be skipped.
            for tp, taken in records.items():
                consumer.seek(tp, taken[0].offset)
            return Fetched(generation, {})
        # Pause before anything else runs in this loop: the next request would ask for these partitions
        # again, and their unread response would block all other partitions of the same broker.
        full = [tp for tp, taken in records.items() if self.ours.is_full_with(tp, len(taken))]
        consumer.pause(*full)
        pieces = self._pieces(consumer, records)
        if not self.config.tells_starts:
            return Fetched(generation, pieces)
        taken = {tp: (piece.records, piece.position) for tp, piece in pieces.items()}
        starts = await self._beginnings.started(consumer, generation, taken)
        for tp in pieces.keys() - starts.keys():  # read again once their start is known
            self._resume(tp, generation)
        return Fetched(generation, {tp: pieces[tp]._replace(start=start) for tp, start in starts.items()})

    def _linger_while_records_flow(self, consumer: AIOKafkaConsumer, records: int) -> None:
        """Let fetches linger at the broker while records flow; otherwise a single record ends one."""
        self._is_flowing = flows(self._is_flowing, records)
        fetcher, config = consumer._fetcher, self.config
        fetcher._fetch_min_bytes = config.linger_bytes if self._is_flowing else 1
        fetcher._fetch_max_wait_ms = config.linger_ms if self._is_flowing else config.fetch_wait_ms

    def _pieces(self, consumer: AIOKafkaConsumer, records: Mapping[Any, Sequence[Any]]) -> dict[TP, Piece]:
        assignment = consumer._subscription.subscription.assignment
        pieces = {}
        for tp in assignment.tps:
            state = assignment.state_value(tp)
            if state.has_valid_position:
                key = TP(tp.topic, tp.partition)
                taken = records.get(tp, ())
                pieces[key] = Piece(
                    taken, state.position, self._epochs.get(key, 0), state.paused, sizes_of(taken)
                )
        return pieces

    def resume_soon(self, tp: TP, generation: int) -> None:
        """Resume fetching a paused partition; called from the main thread, does not wait."""
        self.thread_loop.call_soon_threadsafe(self._resume, tp, generation)

    def _resume(self, tp: TP, generation: int) -> None:
        consumer = self._ensure_consumer()
        if consumer._coordinator.generation == generation:
            with suppress(IllegalStateError):  # revoked meanwhile
                consumer.resume(TopicPartition(*tp))

    def seek_soon(self, tp: TP, offset: int, epoch: int, generation: int) -> None:
        """Read a partition from an offset on; called from the main thread, does not wait."""
        self.thread_loop.call_soon_threadsafe(self._seek_to, tp, offset, epoch, generation)

    def _seek_to(self, tp: TP, offset: int, epoch: int, generation: int) -> None:
        consumer = self._ensure_consumer()
        if consumer._coordinator.generation == generation:
            with suppress(IllegalStateError):  # revoked meanwhile
                consumer.seek(TopicPartition(*tp), offset)
                consumer.resume(TopicPartition(*tp))
                self._epochs[tp] = epoch


def flows(before: bool, records: int) -> bool:
    """Return whether records flow after a fetch that brought so many; one or two change nothing. Pure."""
    return records > TRICKLE_RECORDS or (before and records > 0)
