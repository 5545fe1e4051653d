"""Checks that brokers and database belong together: a worker of another environment must not join.

Both hold the id of the deployment: Postgres in `tally.deployment`, the brokers in the compacted topic
`deployment`, whose first record without a tombstone is valid. The first sink draws the id.
"""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

import structlog
from aiokafka.errors import KafkaError

from tally.agents.sink.ports import SinkWriter
from tally.schemas.topics import DEPLOYMENT
from tally.streams.settings import Settings
from tally.tables.kafka.read_to_end import read_to_end
from tally.tables.postgres.database import Database
from tally.tables.postgres.deployment import (
    Holds,
    Verdict,
    database_id,
    judge,
    keep_id,
    put_id,
    whose_counters,
)
from tally.tables.postgres.failures import Away
from tally.tables.postgres.progress import SinkProgress
from tally.tables.postgres.writer import Key, Order, Written

DEADLINE_SECONDS = 30.0
ID = re.compile(rb"[0-9a-f]{32}")
AGAIN_SECONDS = 60.0
"""How often a worker checks again: its DSN may come to name another database."""

log = structlog.get_logger()


class ForeignDatabase(Exception):
    """The brokers and the database belong to different deployments."""

    def __init__(self, of_brokers: str | None, of_database: str | None) -> None:
        super().__init__(
            f"foreign_database: these brokers are of deployment {of_brokers or '(none yet)'}, and"
            f" TALLY_POSTGRES_DSN names a database of {of_database or '(none yet)'}, or one with others'"
            " counters: name the right brokers, prefix or database; if they are to belong together, run"
            " `tally deployment adopt`"
        )


class Deployment:
    """Checks whether the counters on these brokers belong in the database of the settings."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store_ids: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._store_ids = store_ids

    async def check(self) -> None:
        """Return if brokers and database belong together; join them if the brokers have no id yet.

        Raises ForeignDatabase if they do not. After Away, Refused, KafkaError or TimeoutError the answer is
        unknown.
        """
        known, held, verdict = await self._judged()
        if verdict == "claim":
            held = await keep_id(self._database, uuid4().hex)
            await _write(self._settings, {held: _now()})
            # Another worker with another database may have been first.
            known = await of_brokers(self._settings)
            verdict = judge(known, held, "nothing")
        elif verdict == "foreign":
            # The database may have been adopted between the two reads.
            known, held, verdict = await self._judged()
        if verdict == "foreign":
            raise ForeignDatabase(known, held)
        if verdict == "restore" and known is not None:
            await keep_id(self._database, known)
            log.warning("the database had lost the id of its deployment", deployment=known)

    async def _judged(self) -> tuple[str | None, str | None, Verdict]:
        """Return the ids of brokers and database, and the verdict on them.

        The brokers are read first: a worker that claims a database writes the id there before it writes it to
        the brokers.
        """
        known = await of_brokers(self._settings)
        held = await database_id(self._database)
        has_both = known is not None and held is not None
        return known, held, judge(known, held, "ours" if has_both else await self._whose())

    async def _whose(self) -> Holds:
        return await whose_counters(self._database, await self._store_ids())


class OwnWriter:
    """A SinkWriter that checks, before it reads progress, that the database belongs to this deployment."""

    def __init__(
        self, writer: SinkWriter, check: Callable[[], Awaitable[None]], monotonic: Callable[[], float]
    ) -> None:
        self._writer = writer
        self._check = check
        self._monotonic = monotonic
        self._again_at_s = monotonic()
        self._is_known = False

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, SinkProgress]:
        """Check the database if that is due, then read progress.

        Raises ForeignDatabase besides the writer's own errors.
        """
        if self._monotonic() >= self._again_at_s:
            await self.check()
        return await self._writer.read_progress(partitions)

    async def check(self) -> None:
        """Check which deployment the database belongs to. Raises ForeignDatabase, Away, Refused."""
        try:
            await self._check()
            self._is_known = True
        except (KafkaError, TimeoutError) as error:
            if not self._is_known:
                raise Away("connection", "", "the brokers do not say whose database this is") from error
            log.warning("cannot look whose database this is", error=repr(error))
        self._again_at_s = self._monotonic() + AGAIN_SECONDS

    async def note_empty(self, partition: int) -> None:
        """Tell readers that a partition is empty, as the wrapped writer does."""
        await self._writer.note_empty(partition)

    async def read_withheld(self, partition: int, epoch: int, most: int) -> list[Key]:
        """Return what is withheld as the wrapped writer does."""
        return await self._writer.read_withheld(partition, epoch, most)

    async def withheld_values(self, partition: int, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Return withheld values as the wrapped writer does."""
        return await self._writer.withheld_values(partition, keys)

    async def write(self, order: Order, search: bool = False) -> Written:
        """Write as the wrapped writer does."""
        return await self._writer.write(order, search)


async def of_brokers(settings: Settings) -> str | None:
    """Return the deployment id on the brokers; None before the first sink has begun. Raises KafkaError.

    A record whose key is not such an id was written by another producer. It is logged by its offset and
    ignored.
    """
    living: dict[bytes, None] = {}
    topic = settings.names.raw(DEPLOYMENT)
    async for record in read_to_end(settings.kafka, [topic], DEADLINE_SECONDS):
        if record.key is None or not ID.fullmatch(record.key):
            place = {"topic": topic, "partition": record.partition, "offset": record.offset}
            log.warning("a record of others in our topic", **place)
            continue
        living.pop(record.key, None) if record.value is None else living.setdefault(record.key)
    return next((key.decode() for key in living), None)


async def shown(settings: Settings) -> tuple[str | None, str | None]:
    """Return the deployment ids of the brokers and the database. Raises KafkaError, Away, Refused."""
    database = await Database.open(settings.postgres_dsn.get_secret_value(), connections=1)
    try:
        return await of_brokers(settings), await database_id(database)
    finally:
        await database.close()


async def adopt(settings: Settings) -> str:
    """Join these brokers with the database of the settings; return the new deployment id.

    The id is new, so workers with the former database end. Raises KafkaError, Away, Refused.
    """
    database = await Database.open(settings.postgres_dsn.get_secret_value(), connections=1)
    try:
        known, made = await of_brokers(settings), uuid4().hex
        await put_id(database, made)
        await _write(settings, {made: _now(), **({known: None} if known else {})})
        return made
    finally:
        await database.close()


def _now() -> bytes:
    return str(time.time_ns() // 1_000_000).encode()


async def _write(settings: Settings, entries: dict[str, bytes | None]) -> None:
    producer = settings.kafka.producer()
    try:
        await producer.start()
        for key, value in entries.items():
            await producer.send_and_wait(settings.names.raw(DEPLOYMENT), key=key.encode(), value=value)
    finally:
        await producer.stop()
