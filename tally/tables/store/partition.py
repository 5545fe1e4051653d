"""The tables of one partition, written in one fenced transaction of both changelogs per batch (E3, E4)."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct, structs

from tally.schemas.missing import NO_ROW
from tally.schemas.rows import PROGRESS_KEY, LogMark, Progress, decode_progress, encode
from tally.schemas.topics import CHANGELOGS, COUNTERS, Changelog, Names
from tally.tables.families.registry import FAMILIES
from tally.tables.kafka.clients import KafkaClients
from tally.tables.store.copy import Copy
from tally.tables.store.errors import ProgressLost, ProgressOutsideLog, Rebuilt, StoreBroken, StoreError
from tally.tables.store.interface import Entries, Writes, by_changelog
from tally.tables.store.known_states import KnownStates
from tally.tables.store.local import SMALL_BUDGET, MemoryBudget, Meta
from tally.tables.store.marks import agreed, check, check_witness, log_topics, moved
from tally.tables.store.recovery import Changelogs, OnProgress, Range, has_slept, lacks, unfit
from tally.tables.store.transaction import ChangelogWriter, Committed

COMMIT_SECONDS = 12.0
"""Shorter than the timeout of the transaction itself: a stuck commit fails here first."""
STEP_SECONDS = 60.0
"""The limit of each step of an opening, except reading records, which may last while records arrive."""

log = structlog.get_logger()


class StoreConfig(Struct, frozen=True):
    """What a process needs to open partitions: clients, names, folder and callbacks."""

    kafka: KafkaClients
    names: Names
    folder: Path
    new_id: Callable[[], str]
    rebuilt: Callable[[Rebuilt], None] = lambda _: None
    """Called with the reason when a local copy is wiped and read again."""
    budget: MemoryBudget = SMALL_BUDGET
    """Shared by the local copies of all partitions."""


class PartitionStore:
    """Reads and writes the tables of one partition that this process owns."""

    def __init__(self, config: StoreConfig, partition: int) -> None:
        self._config = config
        self.partition = partition
        names = config.names
        self._topics = {log: names.changelog(log) for log in CHANGELOGS}
        self._copy = Copy(config.folder / names.app / f"p{partition}", config.budget, config.rebuilt)
        self._states = KnownStates(frozenset(family.table for family in FAMILIES))
        self._logs: Mapping[str, LogMark] = {}
        self._broken = False
        self.recovered = 0
        """How many changelog records the opening read."""

    async def open(self, on_progress: OnProgress = lambda *_: None) -> None:
        """Fence the former owner, bring the local copy up to date, and check progress against the logs.

        A closed store may be opened again. `on_progress` is called as the reading advances. Raises a
        StoreError that says what to do, TimeoutError if Kafka does not answer, and Kafka's own errors.
        """
        self._broken = False
        self._states.forget()
        kafka, names = self._config.kafka, self._config.names
        self._writer = ChangelogWriter(kafka, f"{names.app}/{self.partition}", self.partition)
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await self._writer.start()
            with self._copy.opening() as self._local:
                await self._recover(on_progress)
        except BaseException:
            await self._close_writer()
            raise

    async def _recover(self, on_progress: OnProgress) -> None:
        names = self._config.names
        facts = TopicPartition(names.facts, self.partition)
        async with Changelogs(self._config.kafka, self._topics, self.partition) as changelogs:
            async with asyncio.timeout(STEP_SECONDS):
                ranges = await changelogs.ranges()
                self._logs = await changelogs.marks(names.facts, ranges)
            newest = self._checked(await changelogs.newest(ranges))
            if await self._must_rebuild(newest, ranges):
                self._local = self._copy.remade()
            ranges = await changelogs.ranges()
            store_id = newest.store_id if newest else self._config.new_id()
            self.recovered = await changelogs.replay(self._local, ranges, store_id, on_progress)
            (log_range,) = (await changelogs.bounds(facts)).values()
        if newest is None and self.recovered:
            raise ProgressLost(self._named(COUNTERS), f"the changelogs hold {self.recovered} records")
        self._logs = moved(self._logs, {log: found.end for log, found in ranges.items()})
        self.progress = self._held() or Progress(0, store_id, rules="")
        if not log_range.start <= self.progress.next_offset <= log_range.end:
            raise ProgressOutsideLog(
                names.facts, self.partition, self.progress.next_offset, log_range.start, log_range.end
            )

    def _checked(self, found: Mapping[Changelog, Progress]) -> Progress | None:
        """Return the newest progress, if the logs are what it and that of the local copy know of them."""
        witness = self._held()
        named = {log: self._named(log) for log in self._logs}
        for progress in (*found.values(), witness):
            if progress is not None:
                check(progress.logs, self._logs, named)
        newest = agreed(found, named)
        check_witness(self._named(COUNTERS), newest, witness)
        return newest

    async def _must_rebuild(self, newest: Progress | None, ranges: Mapping[Changelog, Range]) -> bool:
        """Return whether the local copy has to be rebuilt; False if there is none."""
        meta = self._local.meta
        if meta is None:
            return False
        why = unfit(meta, ranges, newest.store_id if newest else None)
        if why is None and newest is not None and lacks(meta, ranges):
            async with asyncio.timeout(STEP_SECONDS):
                if has_slept(meta, await self._broker_now_ms(newest)):
                    why = "slept"
        if why is not None and self._held() is not None:
            self._copy.note_rebuilt(why)
        return why is not None

    async def _broker_now_ms(self, newest: Progress) -> int:
        """Return the brokers' time. It comes only with a written record, so progress is written once more."""
        changes = by_changelog({})
        self._end(changes, structs.replace(newest, raw_at_ms=0), newest.seq + 1)
        return (await self._write(changes)).at_ms

    def _held(self) -> Progress | None:
        """Return the progress that the local copy holds."""
        (raw,) = self._local.get_many(COUNTERS, [PROGRESS_KEY])
        return None if raw is None else decode_progress(raw)

    def _named(self, log: str) -> str:
        return f"{log_topics(self._config.names)[log]}[{self.partition}]"

    @property
    def facts(self) -> str:
        """The facts log that this partition is counted from."""
        return self._config.names.facts

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return committed values; None for a key without one. Raises CopyUnfit, as every read does."""
        values = self._local.get_many(table, keys)
        self._states.read(table, keys, values)
        return values

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the committed keys with a prefix, in order, from `begin` on, `most` at most."""
        return self._local.keys_under(table, prefix, begin, most)

    def items(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the committed entries of a table, without those that stand beside rows (`NO_ROW`)."""
        return ((key, value) for key, value in self._local.items(table) if not key.startswith(NO_ROW))

    async def commit(self, writes: Writes, progress: Progress) -> None:
        """Write states, aliases, rows and progress in one transaction, and apply them to the local copy.

        It is shielded from cancellation, which is passed on once it has ended. It ends within COMMIT_SECONDS,
        or nothing is applied and the store stays broken until it is opened again. What progress says of logs
        and states is filled in here. Raises StoreBroken, or CopyUnfit if the transaction was committed and
        the copy could not apply it.
        """
        if self._broken:
            raise StoreBroken(f"partition {self.partition} has failed before")
        unit = asyncio.ensure_future(self._commit(writes, progress))
        try:
            await asyncio.shield(unit)
        except asyncio.CancelledError:
            await asyncio.wait({unit}, timeout=COMMIT_SECONDS)
            raise
        except StoreError:
            raise
        except Exception as error:
            raise StoreBroken(f"partition {self.partition}: {type(error).__name__}: {error}") from error

    async def _commit(self, writes: Writes, progress: Progress) -> None:
        """Commit a batch in four steps; an error in any of them leaves the store broken (E3).

        1. Fill in progress: its number, where each log will end, and how many states there will be.
        2. Commit everything to the brokers in one transaction, progress last. From here on it is durable.
        3. Apply it to the local copy, with the offsets that the brokers assigned.
        4. Note where the logs end now, behind their markers, and allow the next batch.
        """
        self._broken = True
        # 1
        states = self._states.after(self.progress.states, writes, self._local)
        changes = by_changelog(writes)
        progress = self._end(changes, structs.replace(progress, states=states), self.progress.seq + 1)
        # 2
        async with asyncio.timeout(COMMIT_SECONDS):
            done = await self._write(changes)
        # 3
        assert self._local.meta is not None  # noqa: S101 - set by the opening
        ends = {log: done.ends[topic] for log, topic in self._topics.items()}
        touched_ms = max(self._local.meta.touched_ms, done.at_ms)
        self._local.apply(changes, Meta(progress.store_id, dict(ends), touched_ms))
        # 4: each log has a transaction marker behind its records.
        self._logs = moved(progress.logs, {log: end + 1 for log, end in ends.items()})
        self._states.forget()
        self.progress = progress
        self._broken = False

    def _end(self, changes: Mapping[Changelog, Entries], progress: Progress, seq: int) -> Progress:
        """End the changes of both changelogs with progress, which tells where that is; return it.

        It is the last record of a transaction: a reader that has it has the whole transaction of that log.
        """
        # There is one writer, so the next records directly follow the log's end: their offsets are known.
        reached = {log: self._logs[log].end + len(entries) + 1 for log, entries in changes.items()}
        progress = structs.replace(progress, seq=seq, logs=moved(self._logs, reached))
        for entries in changes.values():
            entries[PROGRESS_KEY] = encode(progress)
        return progress

    async def _write(self, changes: Mapping[Changelog, Entries]) -> Committed:
        return await self._writer.commit({self._topics[log]: entries for log, entries in changes.items()})

    def doubt(self, why: Rebuilt) -> None:
        """Remove the local copy of a closed store; the next opening reads its changelogs again."""
        self._copy.note_rebuilt(why)
        self._copy.remove()

    async def close(self) -> None:
        """Close files and connections. An unavailable broker is only logged: nothing depends on it."""
        self._local.close()
        await self._close_writer()

    async def _close_writer(self) -> None:
        try:
            await self._writer.close()
        except (TimeoutError, KafkaError):
            log.warning("transactional producer did not close in time", partition=self.partition)
