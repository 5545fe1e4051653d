"""The sink's loop: a task for each partition that the group gives to this process, and one for all."""

import asyncio
from contextlib import suppress

import structlog
from aiokafka.errors import KafkaError

from tally.agents.clock import Backoff
from tally.agents.sink.opening import SinkStopped
from tally.agents.sink.partition import EMPTY_SECONDS, Moved, PartitionSink
from tally.agents.sink.ports import SinkConfig, SinkPorts, SinkState
from tally.tables.postgres.failures import PostgresFailure
from tally.tables.postgres.progress import ProgressMoved

FIRST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
"""Short: rows move again soon after Postgres is back."""
TELL_SECONDS = 1.0

log = structlog.get_logger()


class Task:
    """The sink of one partition over all its openings; no failure of Postgres or Kafka ends it.

    A failure is logged, counted, reported by `trouble` and followed by another opening. Any other exception
    is a defect of ours and ends `run`.
    """

    def __init__(
        self, partition: int, ports: SinkPorts, config: SinkConfig, at_once: asyncio.Semaphore
    ) -> None:
        self.partition = partition
        self.trouble = ""
        """Why nothing reaches Postgres; empty is well."""
        self.is_waiting = False
        """Whether it cannot go on until somebody does something."""
        self.current: PartitionSink | None = None
        self._ports = ports
        self._config = config
        self._at_once = at_once
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS)
        self._failed_s: float | None = None
        self._cut_at_ms = 0
        self._is_anew = False
        self._log = log.bind(partition=partition)

    async def run(self) -> None:
        """Open and write until cancelled."""
        while True:
            pause_s = await self.run_once()
            await asyncio.sleep(pause_s)

    async def run_once(self) -> float:
        """Open the partition and write it until something fails; return how many seconds to wait then."""
        current = self.current = PartitionSink(self.partition, self._ports, self._config, self._at_once)
        try:
            held = (await self._ports.writer.read_progress([self.partition])).get(self.partition)
            is_anew, self._is_anew = self._is_anew, False
            if not await current.open(held, is_anew):
                await self._ports.writer.note_empty(self.partition)
                return EMPTY_SECONDS
            while True:
                await current.step()
                self._succeeded(current)
        except Moved as moved:
            self._is_anew = str(moved) == "slept"
            self._log.info("partition is opened again for Postgres", reason=str(moved))
            return 0.0
        except ProgressMoved:
            self._ports.observer.sink_failed("moved")
            self._log.warning("another sink has written, or a dump was restored")
            return self._config.interval_seconds
        except SinkStopped as stopped:
            self.is_waiting = True
            return self._failed(stopped.group, str(stopped))
        except PostgresFailure as failure:
            return self._failed(failure.group, str(failure))
        except (KafkaError, TimeoutError, OSError) as error:
            return self._failed("kafka", f"cannot read the logs: {type(error).__name__}")
        finally:
            await self._closed(current)

    @property
    def lag_seconds(self) -> float:
        """The age of what Postgres shows, where there may be something later; else 0."""
        current = self.current
        if current is not None and current.seen is not None:
            self._cut_at_ms = current.seen.cut_at_ms
        since_failure = 0.0 if self._failed_s is None else self._ports.clock() - self._failed_s
        if current is not None and not current.is_behind:
            return since_failure
        age_seconds = (self._ports.unix_ms() - self._cut_at_ms) / 1000 if self._cut_at_ms else 0.0
        return max(since_failure, age_seconds)

    def _succeeded(self, current: PartitionSink) -> None:
        if self.trouble and (current.has_written or not current.is_behind):
            self.trouble, self.is_waiting, self._failed_s = "", False, None
            self._backoff.succeeded()

    def _failed(self, group: str, trouble: str) -> float:
        self._failed_s = self._ports.clock() if self._failed_s is None else self._failed_s
        pause_s = self._backoff.failed(self._ports.jitter())
        self._ports.observer.sink_failed(group)
        # The same again is not news.
        tell = self._log.debug if trouble == self.trouble else self._log.warning
        tell(
            "sink failed",
            group=group,
            reason=trouble,
            failures=self._backoff.failures,
            retry_in_seconds=round(pause_s, 3),
        )
        self.trouble = trouble
        return pause_s

    async def _closed(self, current: PartitionSink) -> None:
        try:
            await current.close()
        except (KafkaError, TimeoutError, OSError) as error:
            self._log.warning("a reader did not close", error=repr(error))


class Sink:
    """Writes the partitions of this process to Postgres while `run` runs."""

    def __init__(self, ports: SinkPorts, config: SinkConfig) -> None:
        self.tasks: dict[int, Task] = {}
        self._ports = ports
        self._config = config
        self._at_once = asyncio.Semaphore(config.partitions_at_once)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._looked_s = ports.clock()

    def troubles(self) -> list[str]:
        """Return the reasons why something does not reach Postgres; empty is well."""
        return [f"partition {n}: {task.trouble}" for n, task in sorted(self.tasks.items()) if task.trouble]

    async def run(self) -> None:
        """Write until cancelled. Raises whatever is a defect of ours."""
        try:
            while True:
                await self._share_out()
                await self._look()
                self._ports.observer.sinking(self.state())
                await asyncio.sleep(TELL_SECONDS)
        finally:
            await self._stop(set(self._running))

    def state(self) -> SinkState:
        """Return what there is to do."""
        tasks = list(self.tasks.values())
        current = [task.current for task in tasks if task.current is not None]
        return SinkState(
            dirty=sum(one.dirty for one in current),
            withheld=sum(len(one.withheld) for one in current),
            lag_seconds=max((task.lag_seconds for task in tasks), default=0.0),
            catching_up=sum(not one.is_cut for one in current),
            waiting=sum(task.is_waiting for task in tasks),
        )

    async def _share_out(self) -> None:
        """Begin with partitions that are new, and leave those that are another's now."""
        ours = set(self._ports.partitions())
        await self._stop(self._running.keys() - ours)
        for partition, running in self._running.items():
            if running.done():
                running.result()
                raise RuntimeError(f"the sink of partition {partition} ended")
        for partition in sorted(ours - self._running.keys()):
            task = self.tasks[partition] = Task(partition, self._ports, self._config, self._at_once)
            self._running[partition] = asyncio.create_task(task.run(), name=f"sink of partition {partition}")

    async def _look(self) -> None:
        """Read progress of all partitions now and then: an idle one would miss a dump that is restored."""
        if self._ports.clock() - self._looked_s < self._config.look_seconds:
            return
        quiet = {n: one for n, task in self.tasks.items() if (one := task.current) and one.is_quiet}
        seen = {n: one.seen for n, one in quiet.items()}
        if not quiet:
            return
        # An outage is noticed by those who write.
        with suppress(PostgresFailure):
            held = await self._ports.writer.read_progress(sorted(quiet))
            for n, one in quiet.items():
                if one.is_quiet and one.seen == seen[n] and held.get(n) != seen[n]:
                    one.is_void = True
        self._looked_s = self._ports.clock()

    async def _stop(self, partitions: set[int]) -> None:
        running = [self._running.pop(partition) for partition in partitions]
        for task in running:
            task.cancel()
        for partition in partitions:
            del self.tasks[partition]
        await asyncio.gather(*running, return_exceptions=True)
