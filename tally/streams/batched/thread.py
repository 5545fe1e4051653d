"""The thread in which aiokafka's consumer lives, with our arguments instead of Faust's."""

from collections.abc import Mapping
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from tally.streams.batched.options import Options

REBALANCE_TIMEOUT_MS = 60_000
MAX_POLL_INTERVAL_MS = 300_000


class BatchedThread(AIOKafkaConsumerThread):
    """Creates the consumer and fetches from it."""

    options: Options
    positions: Mapping[TP, int]
    """Where the reader stood right after the last fetch."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002 - Faust's
        # Without tables and standbys Faust silently falls back to round robin.
        self._assignor = self.app.assignor
        options = self.options
        return AIOKafkaConsumer(
            **options.client,
            client_id=self.app.conf.broker_client_id,
            group_id=self.app.conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # Producers may be transactional: what they aborted was never published.
            isolation_level="read_committed",
            # Faust's 1,500 ms would let a fetch of idle partitions hold back a busy one.
            fetch_max_wait_ms=options.fetch_wait_ms,
            max_partition_fetch_bytes=options.fetch_bytes,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            session_timeout_ms=options.session_timeout_ms,
            heartbeat_interval_ms=options.session_timeout_ms // 4,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            request_timeout_ms=max(40_000, options.session_timeout_ms + 1_000),
        )

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's
        max_records: int | None = None,
    ) -> Any:
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        # Read here, in the consumer's own thread with nothing in between: later it may be ahead of `records`.
        self.positions = _positions(consumer, active_partitions)
        return records


def _positions(consumer: AIOKafkaConsumer, partitions: set[TP]) -> dict[TP, int]:
    subscription = consumer._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    if assignment is None:
        return {}
    found = {}
    for tp in partitions & set(assignment.tps):
        state = assignment.state_value(tp)
        if state is not None and state.has_valid_position:
            found[tp] = cast(int, state.position)
    return found
