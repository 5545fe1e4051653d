"""The sink of one partition: opens it, reads both logs, and writes cuts and chunks."""

import asyncio

import structlog
from msgspec import structs

from tally.agents.sink.cuts import Cuts, Write
from tally.agents.sink.opening import Begun, Found, begin
from tally.agents.sink.ports import Arrived, Logs, SinkConfig, SinkPorts
from tally.agents.sink.withholding import Withheld
from tally.schemas.topics import COUNTERS, STATES
from tally.tables.postgres.failures import Unacceptable
from tally.tables.postgres.kind import NotOurs
from tally.tables.postgres.progress import ProgressMoved, SinkProgress
from tally.tables.postgres.writer import PRUNED_AT_ONCE, Order, Written
from tally.tables.store.errors import ForeignRecord

READ_SECONDS = 0.2
"""How long a read waits for records."""
EMPTY_SECONDS = 1.0
"""How often a partition in which nothing was ever counted is looked at."""

log = structlog.get_logger()


class Moved(Exception):
    """What is in memory is void: the partition is opened again, where Postgres says."""


def pause_seconds(interval_seconds: float, took_seconds: float) -> float:
    """Return the pause after a write: one write begins each interval.

    After a write longer than a third of the interval the pause is twice its duration, two intervals at most.
    This gives a slow Postgres a break, and during catch-up rows that change all the time are not written each
    second.
    """
    return max(interval_seconds - took_seconds, 2 * min(took_seconds, interval_seconds))


class PartitionSink:
    """One partition from its opening on; after any exception another begins where Postgres says."""

    def __init__(
        self, partition: int, ports: SinkPorts, config: SinkConfig, at_once: asyncio.Semaphore
    ) -> None:
        self.partition = partition
        self.seen: SinkProgress | None = None
        """What Postgres held after the last write or look."""
        self.withheld = Withheld()
        self.has_written = False
        self.is_void = False
        """Set where Postgres was seen to hold something else than what was last written."""
        self.due_s = 0.0
        """When the next write is due, by the monotonic clock."""
        self._ports = ports
        self._config = config
        self._at_once = at_once
        self._token = ports.token()
        self._logs: Logs = ports.logs(partition)
        self._cuts: Cuts | None = None
        self._is_writing = False
        self._log = log.bind(partition=partition)

    @property
    def dirty(self) -> int:
        """How many entries are read and not written."""
        return self._cuts.dirty if self._cuts is not None else 0

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and writes nothing at this moment."""
        return self._cuts is not None and not self._is_writing

    @property
    def is_cut(self) -> bool:
        """Whether Postgres holds one moment of the partition."""
        return self.seen is not None and self.seen.is_cut

    @property
    def is_behind(self) -> bool:
        """Whether there may be a later moment than the one that Postgres shows."""
        return self._cuts is None or self._is_writing or not self._cuts.is_level

    async def open(self, held: SinkProgress | None, is_anew: bool) -> bool:
        """Decide where to begin; return False where nothing was ever counted.

        Raises SinkStopped, KafkaError, TimeoutError, PostgresFailure, ProgressMoved.
        """
        asked_s = self._ports.clock()
        found = await self._logs.open()
        bounds = self._config.bounds
        now_ms = self._ports.unix_ms()
        begun = begin(held, found, self._config.ours, now_ms, bounds.tombstones_ms, is_anew)
        if begun is None:
            return False
        self._begun, self._found, self.seen = begun, found, held
        # What another epoch withheld may be gone since: this one reads its own value of it, or deletes it.
        held_back = await self._ports.writer.read_withheld(self.partition, begun.epoch, Withheld.MOST)
        self.withheld = Withheld.of(held_back, self._ports.clock())
        self._cuts = Cuts(
            self._ports.sieve,
            bounds,
            places=begun.places,
            ends=found.ends,
            asked_s=asked_s,
            rules=begun.rules,
            since_ms=0 if begun.is_new else begun.since_ms,
            is_pruned=begun.is_pruned,
            is_cut=begun.is_cut,
        )
        self._logs.seek(begun.places)
        self.due_s = self._ports.clock()
        if held is None:
            # Views say from now on that this partition is not whole.
            await self._write(self._cuts, Write({}, begun.places))
        self._log.info(
            "partition opened for Postgres",
            seq=held.seq if held else 0,
            epoch=begun.epoch,
            is_new_epoch=held is None or begun.epoch != held.epoch,
            offsets_behind=sum(found.ends[name] - place for name, place in begun.places.items()),
        )
        return True

    async def step(self) -> None:
        """Read what there is, and write if that is due.

        Raises Moved, ProgressMoved, KafkaError, PostgresFailure, ForeignRecord.
        """
        cuts = self._cuts
        assert cuts is not None  # noqa: S101 - it was opened
        if self.is_void:
            raise ProgressMoved
        left_s = self.due_s - self._ports.clock()
        for arrived in await self._logs.read(cuts.wanted(), min(max(left_s, 0.0), READ_SECONDS)):
            self._apply(cuts, arrived)
            cuts.reached(arrived.log, arrived.position, self._ports.clock(), arrived.is_at_end)
        if cuts.reopen:
            raise Moved(cuts.reopen)
        if cuts.is_full or self._ports.clock() >= self.due_s:
            await self._write_all(cuts)

    def _apply(self, cuts: Cuts, arrived: Arrived) -> None:
        try:
            cuts.apply(arrived.log, arrived.records, self._ports.clock())
        except (TypeError, ValueError, AttributeError) as error:
            what = f"no key or no progress, there or soon after: {type(error).__name__}"
            raise ForeignRecord(arrived.log, self.partition, arrived.records[0].offset, what) from error

    async def close(self) -> None:
        """Disconnect from Kafka."""
        await self._logs.close()

    async def _write_all(self, cuts: Cuts) -> None:
        began_s = self._ports.clock()
        while (write := cuts.next_write()) is not None:
            await self._write(cuts, write)
            if write.cut is not None:
                break
        took_s = self._ports.clock() - began_s
        self.due_s = self._ports.clock() + pause_seconds(self._config.interval_seconds, took_s)

    async def _write(self, cuts: Cuts, write: Write) -> None:
        progress = _after(write, self._begun, self._found, self.seen, self._config.ours.columns, self._token)
        self._is_writing = True
        try:
            async with self._at_once:
                began_s = self._ports.clock()
                written = await self._send(write, progress)
        finally:
            self._is_writing = False
        self.seen, self.has_written = progress, True
        seconds = self._ports.clock() - began_s
        self._ports.observer.written(written.changed, seconds, written.seconds)
        if write.is_pruning and written.pruned < PRUNED_AT_ONCE:
            cuts.pruned()
            self._begun = structs.replace(self._begun, is_pruned=True)
        if write.cut is not None:
            self._begun = structs.replace(
                self._begun, rules=write.cut.rules, since_ms=write.cut.at_ms, places=write.places
            )
        self._log.debug("written", entries=len(write.entries), changed=written.changed, seconds=seconds)

    async def _send(self, write: Write, progress: SinkProgress) -> Written:
        now_s, writer = self._ports.clock(), self._ports.writer
        entries = write.entries
        if due := self.withheld.due(now_s):
            entries = {**await writer.withheld_values(self.partition, due), **entries}
        order = Order(
            self.partition,
            entries,
            progress,
            self.seen,
            self.withheld.keys,
            self.withheld.untried(now_s),
            self.withheld.MOST,
            write.is_pruning,
        )
        try:
            written = await writer.write(order)
        except NotOurs as error:
            log_name, offset = next(iter(self._begun.places.items()))
            raise ForeignRecord(log_name, self.partition, offset, f"{error}, there or later") from error
        except Unacceptable as failure:
            self._log.warning("Postgres refuses something", sqlstate=failure.sqlstate)
            written = await writer.write(order, search=True)
        self._note(order, written, now_s)
        return written

    def _note(self, order: Order, written: Written, now_s: float) -> None:
        self.withheld.note(order, written, now_s)
        for (kind, _), sqlstate in written.refused.items():
            self._ports.observer.sink_failed(sqlstate[:2])
            self._log.error("withheld", kind=kind, sqlstate=sqlstate)


def _after(
    write: Write, begun: Begun, found: Found, seen: SinkProgress | None, columns: str, writer: str
) -> SinkProgress:
    """Return the progress that a write leaves."""
    cut, topics = write.cut, found.topics
    assert found.progress is not None  # noqa: S101 - else nothing is begun
    return SinkProgress(
        store_id=found.progress.store_id,
        states_topic=topics[STATES],
        counters_topic=topics[COUNTERS],
        seq=cut.seq if cut else seen.seq if seen else 0,
        rules=cut.rules if cut else begun.rules,
        columns=columns,
        states_offset=write.places[STATES],
        counters_offset=write.places[COUNTERS],
        cut_at_ms=cut.at_ms if cut else begun.since_ms,
        facts_offset=cut.facts_offset if cut else seen.facts_offset if seen else 0,
        is_cut=cut is not None,
        epoch=begun.epoch,
        is_pruned=begun.is_pruned,
        writer=writer,
        writes=seen.writes + 1 if seen else 1,
    )
