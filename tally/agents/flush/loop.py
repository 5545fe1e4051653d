"""The flush loop: writes changed rows to Postgres every second, or earlier when many are dirty."""

import asyncio

import structlog

from tally.agents.flush.partition import Outage, PartitionFlush, Searches, note_failure
from tally.agents.flush.ports import FlushConfig, FlushPorts
from tally.schemas.grains import RowKey
from tally.tables.postgres.failures import PostgresFailure

log = structlog.get_logger()


def pause_seconds(interval_seconds: float, took_seconds: float) -> float:
    """Return the pause after a flush: one flush begins each interval.

    After a flush longer than a third of the interval the pause is twice its duration, two intervals at most.
    This gives a slow Postgres a break, and during catch-up rows that change all the time are not written each
    second.
    """
    return max(interval_seconds - took_seconds, 2 * min(took_seconds, interval_seconds))


class Flush:
    """Flushes the partitions of this process while `run` runs; no failure of Postgres ends it.

    A failure of Postgres is logged, counted, reported by `troubles` and retried. Any other exception is a
    defect of ours and ends `run`.
    """

    def __init__(self, ports: FlushPorts, config: FlushConfig) -> None:
        self._ports = ports
        self._config = config
        self._flushed: dict[int, PartitionFlush] = {}
        self._outage = Outage()
        self._searches = Searches()
        self._full = asyncio.Event()
        self._never = asyncio.Event()
        self._at_once = asyncio.Semaphore(config.partitions_at_once)
        ports.source.listeners.append(self._changed)

    def troubles(self) -> list[str]:
        """Return the reasons why rows do not reach Postgres; empty is well."""
        found = [
            f"partition {n}: {flushed.trouble}" for n, flushed in self._flushed.items() if flushed.trouble
        ]
        return [self._outage.trouble, *found] if self._outage.trouble else found

    async def run(self) -> None:
        """Flush until cancelled."""
        took_seconds = 0.0
        while True:
            if self._outage.failures:
                await self._ports.pause(self._never, self._outage.until_seconds - self._ports.clock())
            else:
                rest_seconds = pause_seconds(self._config.interval_seconds, took_seconds)
                await self._ports.pause(self._full, rest_seconds)
            began_seconds = self._ports.clock()
            await self.tick()
            took_seconds = self._ports.clock() - began_seconds

    async def tick(self) -> None:
        """Read flush progress from Postgres, and flush every partition that is due."""
        self._full.clear()
        ours = sorted(self._ports.partitions())
        self._flushed = {n: self._flushed.get(n) or self._opened(n) for n in ours}
        try:
            held = await self._ports.writer.read_progress(ours) if ours else {}
        except PostgresFailure as failure:
            note_failure(failure, self._outage, self._ports, log)
        else:
            self._outage.succeeded()
            async with asyncio.TaskGroup() as tasks:
                for partition, flushed in self._flushed.items():
                    if await flushed.prepare(held.get(partition)):
                        tasks.create_task(self._flush(flushed))
        self._tell()

    async def _flush(self, flushed: PartitionFlush) -> None:
        async with self._at_once:
            await flushed.flush()

    def _opened(self, partition: int) -> PartitionFlush:
        return PartitionFlush(partition, self._ports, self._config, self._searches)

    def _changed(self, partition: int, key: RowKey) -> None:
        flushed = self._flushed.get(partition)
        if flushed is not None and flushed.changed(key):
            self._full.set()

    def _tell(self) -> None:
        owed = [flushed.dirty for flushed in self._flushed.values()]
        oldest = [since.at_seconds for rows in owed if (since := rows.dirty_since) is not None]
        if self._outage.since_seconds is not None:
            # The rows that were dirty when Postgres went away may not be known yet.
            oldest.append(self._outage.since_seconds)
        self._ports.observer.unflushed(
            sum(rows.dirty_rows for rows in owed),
            sum(len(rows.withheld) for rows in owed),
            self._ports.clock() - min(oldest) if oldest else 0.0,
        )
