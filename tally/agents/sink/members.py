"""The group by which sinks share partitions: it subscribes to `counters` alone, and reads nothing.

Its consumer only says which partitions are this process's. Reading is done by others, so that nothing slow
runs in a rebalance, and what stays here through one is not read again. Until this process hears that it has
lost a partition two sinks may write it: progress in Postgres decides.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from tally.agents.clock import Backoff
from tally.tables.kafka.clients import KafkaClients

START_SECONDS = 60.0
STOP_SECONDS = 5.0
POLL_MS = 1_000
RETRY_SECONDS = (0.2, 5.0)

log = structlog.get_logger()


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """This process's part of the group; `partitions` is what it has now.

    `assigned` is called with the number of partitions after each assignment.
    """

    def __init__(
        self,
        consumer: Callable[[], Any],
        topic: str,
        assigned: Callable[[int], None],
        random: Callable[[], float],
    ) -> None:
        self._new_consumer = consumer
        self._topic = topic
        self._assigned = assigned
        self._random = random
        self._consumer: Any = None
        self.partitions: frozenset[int] = frozenset()

    async def run(self) -> None:
        """Stay in the group until cancelled; while Kafka is unavailable partitions stay what they were."""
        backoff = Backoff(*RETRY_SECONDS)
        while True:
            self._consumer = self._new_consumer()
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self._consumer.start()
                self._consumer.subscribe([self._topic], listener=self)
                while True:
                    # The client leaves the group if nobody asks for records. They stay where they are.
                    await self._consumer.getmany(timeout_ms=POLL_MS)
                    backoff.succeeded()
            except (KafkaError, TimeoutError, OSError) as error:
                pause_s = backoff.failed(self._random())
                log.warning("cannot be in the sinks' group", error=repr(error), retry_in_s=round(pause_s, 1))
            finally:
                await self._stop()
            await asyncio.sleep(pause_s)

    async def _stop(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._consumer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("left the sinks' group without a word", error=repr(error))

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Go on: most of them come back, and what does not is fenced by progress in Postgres."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Note what this process has from now on."""
        self._consumer.pause(*assigned)
        self.partitions = frozenset(one.partition for one in assigned)
        self._assigned(len(assigned))


def group_consumer(kafka: KafkaClients, group: str, session_timeout_ms: int) -> Any:
    """Return a consumer that is in a group, and fetches next to nothing before it is paused."""
    return kafka.member(
        group_id=group,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 4,
        max_partition_fetch_bytes=1,
        fetch_max_bytes=1,
    )
