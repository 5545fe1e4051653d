"""One partition's tables, written by one fenced transaction a batch (architecture 3.3, 3.4)."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from tally.schemas.rows import PROGRESS_KEY, Progress, decode_progress, encode
from tally.schemas.topics import COUNTERS, Names
from tally.tables.reading import Writes
from tally.tables.store.errors import ProgressOutsideLog, StoreBroken
from tally.tables.store.local import LocalStore, Meta
from tally.tables.store.recovery import Changelogs, is_usable
from tally.tables.store.transaction import ChangelogWriter, by_topic

COMMIT_SECONDS = 12.0
"""Less than the transaction's own time-out, so that a stuck commit breaks here first."""
OPEN_SECONDS = 300.0

log = structlog.get_logger()


class StoreSettings(Struct, frozen=True):
    """What a process needs to open partitions: clients' arguments, names, folder, and its surroundings."""

    kafka: dict[str, Any]
    names: Names
    tables: tuple[str, ...]
    folder: Path
    now_ms: Callable[[], int]
    new_id: Callable[[], str]


class PartitionStore:
    """Reads and writes the tables of one partition that this process owns."""

    def __init__(self, settings: StoreSettings, partition: int) -> None:
        self._settings = settings
        self.partition = partition
        names = settings.names
        self._topics = {table: names.changelog(table) for table in settings.tables}
        self._writer = ChangelogWriter(settings.kafka, f"{names.app}/{partition}", partition)
        self._path = settings.folder / f"g{names.generation}" / f"p{partition}"
        self._broken = False
        self.recovered = 0
        """Changelog records that the opening had to read."""

    async def open(self) -> None:
        """Fence the former owner, bring the local copy up to date, and check progress against the log.

        Raises ProgressOutsideLog, TimeoutError, and what Kafka raises.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._writer.start()
                with self._opening_local():
                    await self._recover()
        except BaseException:
            await self._close_writer()
            raise

    @contextmanager
    def _opening_local(self) -> Iterator[None]:
        """Hold the files' lock only if the opening succeeds."""
        self._local = LocalStore(self._path)
        try:
            yield
        except BaseException:
            self._local.close()
            raise

    async def _recover(self) -> None:
        settings, names = self._settings, self._settings.names
        facts = TopicPartition(names.facts, self.partition)
        async with Changelogs(settings.kafka, self._topics, self.partition) as changelogs:
            ranges = await changelogs.ranges()
            store_id = await changelogs.store_id(ranges[COUNTERS])
            if not is_usable(self._local.meta, ranges, store_id, settings.now_ms()):
                self._local.wipe()
            self.recovered = await changelogs.replay(
                self._local, ranges, store_id or settings.new_id(), settings.now_ms
            )
            (log_range,) = (await changelogs.bounds(facts)).values()
        (raw,) = self._local.get_many(COUNTERS, [PROGRESS_KEY])
        self.progress = self._fresh() if raw is None else decode_progress(raw)
        if not log_range.start <= self.progress.next_offset <= log_range.end:
            raise ProgressOutsideLog(
                names.facts, self.partition, self.progress.next_offset, log_range.start, log_range.end
            )

    def _fresh(self) -> Progress:
        """Return the progress of a partition in which nothing was ever counted."""
        assert self._local.meta is not None  # noqa: S101 - replay has just written it
        return Progress(0, self._local.meta.store_id, rules="")

    def get_many(self, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return committed values, None where there is none."""
        return self._local.get_many(table, keys)

    def keys_under(
        self, table: str, prefix: bytes, begin: bytes = b"", most: int | None = None
    ) -> list[bytes]:
        """Return the committed keys that begin with this, in order; from `begin` on, and so many at most."""
        return self._local.keys_under(table, prefix, begin, most)

    def items(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the committed entries of a table; the progress record is none of them."""
        return ((key, value) for key, value in self._local.items(table) if key != PROGRESS_KEY)

    async def commit(self, writes: Writes, progress: Progress) -> None:
        """Write states, aliases, rows and progress as one transaction, and apply them here.

        A shielded unit: it either ends within COMMIT_SECONDS, or the store is broken for good and nothing
        is applied. Raises StoreBroken; a cancellation is passed on once the unit has ended.
        """
        if self._broken:
            raise StoreBroken(f"partition {self.partition} has failed before")
        unit = asyncio.ensure_future(self._commit(writes, progress))
        try:
            await asyncio.shield(unit)
        except asyncio.CancelledError:
            await asyncio.wait({unit}, timeout=COMMIT_SECONDS)
            raise
        except Exception as error:
            raise StoreBroken(f"partition {self.partition}: {type(error).__name__}: {error}") from error

    async def _commit(self, writes: Writes, progress: Progress) -> None:
        self._broken = True
        with_progress = dict(writes)
        # Last in the batch, so that a reader who has it has all rows of the transaction.
        with_progress[COUNTERS] = {**writes.get(COUNTERS, {}), PROGRESS_KEY: encode(progress)}
        async with asyncio.timeout(COMMIT_SECONDS):
            ends = await self._writer.commit(by_topic(with_progress, self._topics))
        assert self._local.meta is not None  # noqa: S101 - set by the opening
        offsets = dict(self._local.meta.offsets)
        offsets.update((table, ends[topic]) for table, topic in self._topics.items() if topic in ends)
        self._local.write(with_progress, Meta(progress.store_id, offsets, self._settings.now_ms()))
        self.progress = progress
        self._broken = False

    async def close(self) -> None:
        """Close files and connections; a broker that is away is logged, since nothing depends on it."""
        self._local.close()
        await self._close_writer()

    async def _close_writer(self) -> None:
        try:
            await self._writer.close()
        except (TimeoutError, KafkaError):
            log.warning("transactional producer did not close in time", partition=self.partition)
