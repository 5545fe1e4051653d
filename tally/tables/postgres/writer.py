"""The Postgres writer: one transaction writes what changed in a partition, and moves its progress."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from time import monotonic
from typing import Any

from msgspec import Struct, field

from tally.tables.pieces import give_way, in_pieces
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import LOCK_NOT_AVAILABLE, Away, Unacceptable, named
from tally.tables.postgres.kind import Entry, Kind, Replacement, Statement
from tally.tables.postgres.progress import (
    BEGIN_PROGRESS,
    COMPARED,
    FIELDS,
    NOTE_EMPTY,
    READ_PROGRESS,
    SWAP_PROGRESS,
    ProgressMoved,
    SinkProgress,
)
from tally.tables.postgres.sieve import BY_NAME
from tally.tables.postgres.withheld import RELEASE, WITHHOLD, digest, release_list, withhold_list

Key = tuple[str, bytes]
"""The name of a kind, and a key of its log."""
Entries = Mapping[Key, bytes | None]
Statements = Sequence[Statement]
Prepared = dict[str, list[tuple[list[Entry], Statements]]]
"""Pieces of entries with their statements, by kind."""

STATEMENT_ENTRIES = 2_000
"""How many entries one statement writes at most."""
PRUNED_AT_ONCE = 10_000
MOST_WITHHELD = 10_000
"""So much refused of a partition is no bad value but a fault of the table: nothing is written until it is
mended. A sink knows all that is withheld, so that no old value comes back after a newer one."""
FOUND_AT_ONCE = 16
"""A search for what Postgres refuses stops after so many entries of a statement: all others of it are
withheld without one, so that a transaction meets its deadline."""

READ_WITHHELD = """
SELECT kind, key FROM tally.withheld WHERE generation = $1 AND partition = $2 AND epoch = $3 LIMIT $4
"""
READ_VALUES = """
SELECT kind, key, value FROM tally.withheld
WHERE generation = $1 AND partition = $2 AND digest = ANY ($3::bytea[])
"""
PRUNE_WITHHELD = "DELETE FROM tally.withheld WHERE generation = $1 AND partition = $2 AND epoch <> $3"


class Order(Struct, frozen=True):
    """What one transaction is to write."""

    partition: int
    entries: Entries
    progress: SinkProgress
    seen: SinkProgress | None
    """What Postgres must still hold."""
    withheld: Set[Key] = frozenset()
    """Entries that `tally.withheld` holds: what is accepted of them is taken from there."""
    untried: Set[Key] = frozenset()
    """Those of them that go there again without being tried."""
    most_withheld: int = MOST_WITHHELD
    """Where more would be withheld of the partition, nothing is written."""
    is_pruning: bool = False


class Written(Struct):
    """What one transaction has written."""

    changed: dict[str, int] = field(default_factory=dict)
    """Rows that are other than before, by kind."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long the statements took, by kind."""
    refused: dict[Key, str] = field(default_factory=dict)
    """The SQLSTATE of what Postgres has refused in it."""
    unsearched: set[Key] = field(default_factory=set)
    """Entries among the refused ones of which nobody knows whether they were the cause."""
    pruned: int = 0


class Writer:
    """The writer of one generation of so many partitions.

    Its database role needs SELECT, INSERT, UPDATE and DELETE on the tables of all kinds and on withheld, and
    SELECT, INSERT and UPDATE on sink_progress, partitions and current_generation.
    """

    def __init__(
        self,
        database: Database,
        generation: int,
        partitions: int = 1,
        between: Callable[[], Awaitable[None]] = give_way,
        kinds: Mapping[str, Kind] = BY_NAME,
    ) -> None:
        self._database = database
        self._generation = generation
        self._partitions = partitions
        self._between = between
        self._kinds = kinds

    async def read_progress(self, partitions: Sequence[int]) -> dict[int, SinkProgress]:
        """Return the progress of those partitions that have one.

        Makes this generation the readers' current one if there is none, and tells them how many partitions
        it has. Raises Away, Refused.
        """
        async with self._database.transaction() as connection:
            held = await connection.fetch(READ_PROGRESS, self._generation, list(partitions), self._partitions)
        return {found["partition"]: SinkProgress(*(found[name] for name in FIELDS)) for found in held}

    async def note_empty(self, partition: int) -> None:
        """Tell readers that nothing was ever counted in a partition: there is nothing to read.

        Raises Away, Refused.
        """
        async with self._database.transaction() as connection:
            await connection.execute(NOTE_EMPTY, self._generation, partition)

    async def read_withheld(self, partition: int, epoch: int, most: int) -> list[Key]:
        """Return what an epoch has withheld of a partition, at most so many. Raises Away, Refused."""
        async with self._database.transaction() as connection:
            held = await connection.fetch(READ_WITHHELD, self._generation, partition, epoch, most)
        return [(found["kind"], found["key"]) for found in held]

    async def withheld_values(self, partition: int, keys: Iterable[Key]) -> dict[Key, bytes]:
        """Return the values that are withheld under keys. Raises Away, Refused."""
        digests = [digest(*key) for key in keys]
        async with self._database.transaction() as connection:
            held = await connection.fetch(READ_VALUES, self._generation, partition, digests)
        return {(found["kind"], found["key"]): found["value"] for found in held}

    async def write(self, order: Order, search: bool = False) -> Written:
        """Write an order and move progress; with `search` find and withhold what Postgres refuses.

        Raises ProgressMoved, Refused, and Unacceptable without `search` or where too much would be withheld,
        after which nothing is written. After Away nobody knows whether it is.
        """
        prepared = await self._prepared(order, search)
        try:
            return await self._write(order, prepared, search)
        except Away as failure:
            if failure.sqlstate == LOCK_NOT_AVAILABLE:
                await self._database.end_stalled_copies()
            raise

    async def _write(self, order: Order, prepared: Prepared, search: bool) -> Written:
        written = Written()
        async with self._database.transaction() as connection:
            # The swap comes first: it serialises a partition's writers before any of them locks a row.
            await self._swap(connection, order)
            for kind, pieces in prepared.items():
                clock = _Clock(written, kind)
                with clock:
                    for piece, statements in pieces:
                        if search:
                            await self._search(connection, order, kind, piece, written)
                        else:
                            await self._execute(connection, order, kind, statements, written)
            await self._withhold(connection, order, written)
            if order.is_pruning:
                written.pruned = await self._prune(connection, order)
        return written

    async def _prepared(self, order: Order, search: bool) -> Prepared:
        """Return the entries to be tried, by kind in pieces, with their statements unless it is a search."""
        of_kinds: dict[str, list[Entry]] = {}
        for (kind, key), value in sorted(order.entries.items(), key=lambda entry: entry[0]):
            if (kind, key) not in order.untried or value is None:
                of_kinds.setdefault(kind, []).append((key, value))
        prepared: Prepared = {}
        for kind, entries in of_kinds.items():
            for start in range(0, len(entries), STATEMENT_ENTRIES):
                piece = entries[start : start + STATEMENT_ENTRIES]
                statements = [] if search else await self._statements(kind, piece)
                prepared.setdefault(kind, []).append((piece, statements))
        return prepared

    async def _statements(self, kind: str, entries: Sequence[Entry]) -> Statements:
        return await in_pieces(self._kinds[kind].statements(entries), self._between)

    async def _execute(
        self, connection: Any, order: Order, kind: str, statements: Statements, written: Written
    ) -> None:
        place = (self._generation, order.partition)
        for one in statements:
            if isinstance(one, Replacement):
                status = await _replace(connection, one, *place, order.progress.epoch)
            else:
                status = await connection.execute(one.sql, *place, order.progress.epoch, one.listed)
            written.changed[kind] = written.changed.get(kind, 0) + _changed(status)

    async def _search(
        self, connection: Any, order: Order, kind: str, piece: Sequence[Entry], written: Written
    ) -> None:
        """Write a piece by halves, and note in `refused` what Postgres cannot store."""
        suspected, found = [piece], 0
        while suspected:
            part = suspected.pop()
            sqlstate = await self._try(connection, order, kind, part, written)
            if sqlstate is None:
                continue
            if len(part) == 1 or found >= FOUND_AT_ONCE:
                # What cannot be named cannot be there: it needs no deletion.
                keys = [(kind, key) for key, value in part if value is not None]
                written.refused.update(dict.fromkeys(keys, sqlstate))
                written.unsearched.update(keys if len(part) > 1 else ())
                found += 1
            else:
                middle = len(part) // 2
                suspected += [part[middle:], part[:middle]]

    async def _try(
        self, connection: Any, order: Order, kind: str, part: Sequence[Entry], written: Written
    ) -> str | None:
        """Write entries, or none of them; return the SQLSTATE if they are unacceptable, else None."""
        await connection.execute("SAVEPOINT part")
        try:
            await self._execute(connection, order, kind, await self._statements(kind, part), written)
        except Exception as error:
            failure = error if isinstance(error, Unacceptable) else named(error)
            if not isinstance(failure, Unacceptable):
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT part")
            return failure.sqlstate
        await connection.execute("RELEASE SAVEPOINT part")
        return None

    async def _withhold(self, connection: Any, order: Order, written: Written) -> None:
        """Keep as bytes what is refused, and give up what is accepted or gone."""
        values = order.entries
        kept = {key: "" for key in order.untried & values.keys() if values[key] is not None} | written.refused
        gone = [key for key in order.withheld & values.keys() if key not in kept]
        if written.refused and len(order.withheld | kept.keys()) - len(gone) > order.most_withheld:
            sqlstate = next(iter(written.refused.values()))
            reason = f"Postgres refuses more than {order.most_withheld} entries"
            raise Unacceptable(sqlstate[:2], sqlstate, reason)
        if gone:
            await connection.execute(RELEASE, self._generation, order.partition, release_list(gone))
        if kept:
            listed = withhold_list(
                (key, values[key], sqlstate, self._kinds[key[0]].whose(key[1]))
                for key, sqlstate in sorted(kept.items())
            )
            await connection.execute(
                WITHHOLD, self._generation, order.partition, order.progress.epoch, listed
            )

    async def _prune(self, connection: Any, order: Order) -> int:
        place = (self._generation, order.partition, order.progress.epoch)
        pruned = _changed(await connection.execute(PRUNE_WITHHELD, *place))
        for sql in (sql for kind in self._kinds.values() for sql in kind.prunes):
            pruned += _changed(await connection.execute(sql, *place, PRUNED_AT_ONCE))
        return pruned

    async def _swap(self, connection: Any, order: Order) -> None:
        key, fields = (self._generation, order.partition), _values(order.progress, FIELDS)
        if order.seen is None:
            status = await connection.execute(BEGIN_PROGRESS, *key, *fields)
        else:
            status = await connection.execute(SWAP_PROGRESS, *key, *fields, *_values(order.seen, COMPARED))
        if not _changed(status):
            raise ProgressMoved


async def _replace(connection: Any, one: Replacement, generation: int, partition: int, epoch: int) -> str:
    """Replace the rows of subjects; return the status of what was written, or else deleted."""
    status: str = await connection.execute(one.sql, generation, partition, one.subjects)
    if not one.records:
        return status
    columns = ("generation", "partition", "epoch", *one.columns)
    records = [(generation, partition, epoch, *record) for record in one.records]
    copied: str = await connection.copy_records_to_table(
        one.table, schema_name="tally", columns=columns, records=records
    )
    return copied


class _Clock:
    """Adds the time of its body to a kind's."""

    def __init__(self, written: Written, kind: str) -> None:
        self._written = written
        self._kind = kind

    def __enter__(self) -> None:
        self._began_s = monotonic()

    def __exit__(self, *_: object) -> None:
        seconds = self._written.seconds
        seconds[self._kind] = seconds.get(self._kind, 0.0) + monotonic() - self._began_s


def _values(progress: SinkProgress, names: Sequence[str]) -> list[Any]:
    return [getattr(progress, name) for name in names]


def _changed(status: str) -> int:
    """Return the number of rows in a command's status, such as `INSERT 0 12`."""
    return int(status.rpartition(" ")[2])
