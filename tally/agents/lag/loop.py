"""The lag loop: reads end offsets and committed offsets from Kafka, in the order that the tracker needs."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError

from tally.agents.lag.tracker import LagTracker, Moment, RawPartition

log = structlog.get_logger()

DEADLINE_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Offsets(Protocol):
    """Source of the end offsets of the pipeline's topics and of route's committed offsets."""

    async def raw_ends(self) -> Mapping[RawPartition, int]:
        """Return the end offset of each partition of the raw topics."""

    async def committed(self) -> Mapping[RawPartition, int]:
        """Return route's committed offsets; a partition that it has not begun to read is missing."""

    async def facts_ends(self) -> Mapping[int, int]:
        """Return the end offset of each partition of the facts log."""


class LagLoop:
    """Feeds a tracker with readings; while Kafka is unavailable there are none, and lag grows.

    `connect` opens a source of offsets. `progress` returns the view's next facts offset of each partition.
    `measured` is called with the number of waiting records of each topic. `now` reads both clocks. `random`,
    from 0 to 1, spreads the pauses after failures.
    """

    def __init__(
        self,
        tracker: LagTracker,
        connect: Callable[[], AbstractAsyncContextManager[Offsets]],
        progress: Callable[[], Mapping[int, int]],
        measured: Callable[[Mapping[str, int]], None],
        now: Callable[[], Moment],
        random: Callable[[], float],
        interval_seconds: float = 0.1,
    ) -> None:
        self._tracker = tracker
        self._connect = connect
        self._progress = progress
        self._measured = measured
        self._now = now
        self._random = random
        self._interval_seconds = interval_seconds
        self._is_away = False

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            try:
                await self._measure_until_it_fails()
            except (KafkaError, TimeoutError, OSError) as error:
                if not self._is_away:
                    log.warning("cannot measure lag", error=repr(error))
                self._is_away = True
            await asyncio.sleep(RETRY_SECONDS * (0.5 + self._random()))

    async def _measure_until_it_fails(self) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS) as deadline, self._connect() as offsets:
            while True:
                deadline.reschedule(asyncio.get_running_loop().time() + DEADLINE_SECONDS)
                await self.measure(offsets)
                if self._is_away:
                    log.info("lag is measured again")
                    self._is_away = False
                await asyncio.sleep(self._interval_seconds)

    async def measure(self, offsets: Offsets) -> None:
        """Take one reading of everything. `as_of` is correct only because of the order of these lines."""
        asked_at = self._now()
        self._tracker.note_ends(asked_at, await offsets.raw_ends())
        self._tracker.note_committed(await offsets.committed())
        self._tracker.note_facts_ends(await offsets.facts_ends())
        self._measured(self._tracker.lag_records(self._progress()))
