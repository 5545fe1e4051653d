"""Lines come to a real Postgres, are replaced as sets, sum up to rows there, and go with the ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from tally.agents.fold.batch import fold_batch
from tally.agents.fold.rows import corrections, recount
from tally.agents.sink.opening import Ours
from tally.agents.sink.ports import SinkConfig
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.facts import RECIPIENT, AttemptResult
from tally.schemas.grains import RowKey
from tally.schemas.keys import FREE_FORM, join_parts
from tally.schemas.records import Keyed, KeyedFact, Traced
from tally.schemas.tables import CODES
from tally.schemas.topics import COUNTERS
from tally.tables.families.recipient import RecipientFamily
from tally.tables.postgres import lines as stored_lines
from tally.tables.postgres.columns import FINGERPRINT
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import Away
from tally.tables.postgres.line_kind import columns_with, lines_kind
from tally.tables.postgres.line_laws import ROWS_ARE_SUMS_OF_LINES
from tally.tables.postgres.lines import BEGINNING, Chosen, lines_query
from tally.tables.postgres.moment import MomentReader
from tally.tables.postgres.sieve import KINDS
from tally.tables.postgres.writer import Writer
from tally.tables.rules import Rules
from tests.integration.test_postgres_cells import facts, level
from tests.integration.test_postgres_sink import Process, losing_replies, process
from tests.support.lines import lines_of
from tests.support.partition import NO_ORIGIN, MemoryPartition, record
from tests.support.sink_doubles import order, progress
from tests.support.sink_logs import Partition

pytestmark = pytest.mark.asyncio

RULES = Rules()
DUMPED = ("counters", "lines", "sink_progress", "withheld")
COLUMNS = (
    "tenant, campaign, template_name, template_language, grain, number, market, of, counters, counts,"
    " at_ms, contact, attempt, message, phone, leg, error, price, kinds, kinds_at_ms, places"
)
WRONG = (
    "UPDATE tally.lines SET counts = array_fill(2, ARRAY[cardinality(counters)]) WHERE counts IS NULL",
    "DELETE FROM tally.lines WHERE 'delivered' = ANY (counters)",
    "UPDATE tally.lines SET counters = array_replace(counters, 'read', 'clicked')",
    "UPDATE tally.lines SET campaign = campaign || 'x' WHERE campaign <> ''",
    "UPDATE tally.counters SET read = read + 1",
)


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


def with_lines(
    dsn: str,
    partition: Partition | None = None,
    rules: Rules = RULES,
    with_phones: bool = True,
    generation: int = 1,
    **limits: float,
) -> AbstractAsyncContextManager[Process]:
    """Return a sink with a ledger; what it reads was counted by its rules."""
    there = partition or Partition()
    there.rules = rules.fingerprint
    columns = columns_with(FINGERPRINT, has_lines=True, with_phones=with_phones)
    config = SinkConfig(ours=Ours(columns, rules.fingerprint))
    return process(dsn, there, config, (*KINDS, lines_kind(rules, with_phones)), generation, **limits)


def fold(ours: Process, tables: MemoryPartition, some: Sequence[Keyed]) -> None:
    fold_traced(ours, tables, [(keyed, NO_ORIGIN) for keyed in some])


def fold_traced(ours: Process, tables: MemoryPartition, some: Sequence[Traced]) -> None:
    records = [record(tables.next_offset + nth, *traced) for nth, traced in enumerate(some)]
    writes = fold_batch(records, tables, RULES).writes
    tables.apply(writes)
    tables.next_offset += len(some)
    states = {
        CODES[table] + key: value
        for table, entries in writes.items()
        if table != COUNTERS
        for key, value in entries.items()
    }
    ours.partition.commit(writes.get(COUNTERS, {}), states)


async def broken(ours: Process, generation: int = 1) -> list[tuple[Any, ...]]:
    return await ours.sql(ROWS_ARE_SUMS_OF_LINES, generation)


def expected(tables: MemoryPartition, rules: Rules = RULES) -> list[tuple[Any, ...]]:
    """Return the lines of all states, as they are to stand in Postgres."""
    found = []
    for lines in lines_of(tables, rules).values():
        for line in lines:
            counters = sorted(line.part.counts)
            counts = [line.part.counts[name] for name in counters]
            found.append(
                (
                    *line.part.row.columns(),
                    *(line.part.cell.number, line.part.cell.market, line.part.of),
                    *(counters, None if set(counts) == {1} else counts),
                    *(line.at_ms, line.contact, line.attempt, line.message, line.phone, line.leg),
                    *(line.error, line.price),
                    *([event[nth] for event in line.events] for nth in range(3)),
                )
            )
    return sorted(found, key=repr)


async def held(ours: Process, generation: int = 1) -> list[tuple[Any, ...]]:
    sql = f"SELECT {COLUMNS} FROM tally.lines WHERE generation = $1"  # noqa: S608
    return sorted(await ours.sql(sql, generation), key=repr)


async def test_every_line_arrives_and_a_subjects_lines_are_replaced_as_a_set(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies of Postgres are lost on the way; the law sees whatever is wrong."""
    tables, rest = MemoryPartition(), facts()
    async with with_lines(migrated) as ours:
        fold(ours, tables, rest[:600])
        await level(ours)
        rest = rest[600:]
        with monkeypatch.context() as patched:
            patched.setattr("asyncpg.Connection.execute", losing_replies(asyncpg.Connection.execute))
            while rest:
                some, rest = rest[: len(rest) // 2 + 1], rest[len(rest) // 2 + 1 :]
                fold(ours, tables, some)
                await level(ours)
                assert await broken(ours) == []
        assert await held(ours) == expected(tables)
        connection = await asyncpg.connect(ours.dsn)
        try:
            for wrong in WRONG:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(wrong)
                assert await connection.fetch(ROWS_ARE_SUMS_OF_LINES, 1) != [], wrong
                await transaction.rollback()
        finally:
            await connection.close()


async def test_a_ledger_is_filled_when_it_is_turned_on_follows_other_rules_and_goes_when_it_is_off(
    migrated: str,
) -> None:
    tables, all_facts, narrow = MemoryPartition(), facts(), Rules(reply_window_seconds=45)
    async with process(migrated) as before:
        partition = before.partition
        fold(before, tables, all_facts[:1_000])
        await level(before)
        assert await held(before) == []
    async with with_lines(migrated, partition) as ours:
        fold(ours, tables, all_facts[1_000:1_400])
        await level(ours)
        assert await held(ours) == expected(tables)
    counted = recount(tables.states(), narrow, tables.next_offset).rows
    changed = corrections(dict(tables.rows()), counted, tables.next_offset)
    tables.apply({COUNTERS: changed})
    async with with_lines(migrated, partition, narrow, with_phones=False) as ours:
        partition.commit(changed)
        await level(ours)
        assert await broken(ours) == []
        assert expected(tables, narrow) != expected(tables)
        assert [one[:12] for one in await held(ours)] == [one[:12] for one in expected(tables, narrow)]
        assert await ours.sql("SELECT DISTINCT phone FROM tally.lines") == [("",)]
        tokens = await ours.sql("SELECT message FROM tally.lines WHERE family = 'messages'")
        assert {token.partition("/")[0] for (token,) in tokens} <= {"t", "h", ""}
    async with process(migrated, partition) as after:
        partition.commit({})
        await level(after)
        assert await held(after) == []
        assert await after.sql("SELECT sum(accepted) > 0 FROM tally.counters") == [(True,)]


@pytest.mark.parametrize("few", [0, stored_lines.FEW], ids=["walked", "found"])
async def test_a_generation_that_is_raised_shows_no_line_of_the_one_before(
    migrated: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """The new one counts in logs of its own, here half as much; the old one's lines are still there."""
    monkeypatch.setattr(stored_lines, "FEW", few)
    before, after, some = MemoryPartition(), MemoryPartition(), facts()
    async with with_lines(migrated) as ours:
        fold(ours, before, some)
        await level(ours)
    async with with_lines(migrated, generation=2) as ours:
        await ours.sql("UPDATE tally.current_generation SET generation = 2")
        fold(ours, after, some[: len(some) // 2])
        await level(ours)
        assert await broken(ours, 1) == await broken(ours, 2) == []
        assert await held(ours, 1) == expected(before) != expected(after) == await held(ours, 2)
    database = await Database.open(migrated)
    shown = 0
    try:
        for key, counts in after.counts().items():
            row = RowKey.decode(key)
            if row.template is not None and counts.get("accepted"):
                chosen = Chosen(row.tenant, row.campaign, "accepted", row.template)
                query = lines_query(chosen, BEGINNING, 1_000)
                (found,) = await MomentReader(database, 2).read(row.tenant, row.campaign, lambda _: [query])  # noqa: B023
                assert {one["n"] for one in found} == {counts["accepted"]} == {len(found)}
                shown += 1
    finally:
        await database.close()
    assert shown > 1


async def test_lines_stay_the_sums_through_a_stop_of_postgres_two_sinks_and_a_restored_dump(
    tmp_path: Path,
) -> None:
    server = LocalPostgres.start(tmp_path, port=0)
    tables, rest = MemoryPartition(), facts()
    size = len(rest) // 4 + 1
    first, second, third, fourth = (rest[start : start + size] for start in range(0, len(rest), size))
    try:
        migrate.up(server.dsn)
        async with (
            with_lines(server.dsn, deadline_seconds=2.0) as ours,
            with_lines(server.dsn, ours.partition, deadline_seconds=2.0) as theirs,
        ):
            fold(ours, tables, first)
            await level(ours)
            for table in DUMPED:
                await ours.sql(f"CREATE TABLE {table}_then AS TABLE tally.{table}")
            fold(ours, tables, second)
            await asyncio.to_thread(server.stop_immediately)
            await ours.run()
            assert ours.life.task.trouble
            await asyncio.to_thread(server.restart)
            await level(ours)
            assert (await broken(ours), await held(ours)) == ([], expected(tables))
            fold(ours, tables, third)
            await asyncio.gather(ours.run(), theirs.run())
            await level(theirs)
            assert (await broken(ours), await held(ours)) == ([], expected(tables))
            await ours.sql(f"TRUNCATE {', '.join(f'tally.{table}' for table in DUMPED)}")
            for table in DUMPED:
                await ours.sql(f"INSERT INTO tally.{table} TABLE {table}_then")
            fold(ours, tables, fourth)
            await level(ours)
            assert (await broken(ours), await held(ours)) == ([], expected(tables))
    finally:
        server.stop()


async def test_lines_that_break_our_code_or_that_postgres_refuses_are_withheld_and_numbers_go_on(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, lines = MemoryPartition(), RecipientFamily.lines

    def breaking(family: RecipientFamily, key: bytes, state: Any, rules: Rules) -> Any:
        if key.endswith(b"broken"):
            raise KeyError(key)
        return lines(family, key, state, rules)

    monkeypatch.setattr(RecipientFamily, "lines", breaking)
    result = AttemptResult("whatsapp", "1", "failed", 1_795_350_870_000, FREE_FORM)
    some = [
        KeyedFact(RECIPIENT, join_parts("t1", "c1", contact), structs.replace(result, attempt=attempt))
        for contact, attempt in (("fine", "1"), ("broken", "1"), ("strange", "\0"), ("late", "1"))
    ]
    async with with_lines(migrated) as ours:
        fold(ours, tables, some)
        await level(ours)
        assert {one[11] for one in await held(ours)} == {"fine", "late"}
        assert await ours.sql("SELECT failed_at_send FROM tally.counters") == [(4,)]
        assert await ours.sql("SELECT kind, campaign, sqlstate FROM tally.withheld ORDER BY sqlstate") == [
            ("lines", b"c1", "22021"),
            ("lines", b"c1", "code_failure"),
        ]
    row = RowKey("t1", "c1", FREE_FORM)
    assert tables.counts()[row.encode()]["failed_at_send"] == 4


async def test_a_sink_that_stands_still_while_it_copies_lines_keeps_nobody_from_its_partition(
    migrated: str,
) -> None:
    database = await Database.open(migrated, deadline_seconds=1.5, lock_seconds=0.3)
    paused = await asyncpg.connect(migrated)
    writer, cut = Writer(database, 1), order(0, [], progress(1), None)
    await writer.write(cut)
    going_on = asyncio.Event()
    copying = asyncio.create_task(_copy(paused, going_on))
    try:
        await asyncio.sleep(0.2)
        with pytest.raises(Away, match="55P03"):
            await writer.write(order(0, [], progress(2), progress(1)))
        assert not copying.done(), "within its deadline nobody ends it"
        async with asyncio.timeout(15.0):
            while True:
                with suppress(Away):
                    await writer.write(order(0, [], progress(2), progress(1)))
                    break
        going_on.set()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await copying
    finally:
        copying.cancel()
        paused.terminate()
        await database.close()


async def _copy(connection: Any, going_on: asyncio.Event) -> None:
    """Lock a partition as a writer does, begin to copy lines, and send the rest of them later."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
        await going_on.wait()
        yield b"\xff\xff"

    await connection.execute("BEGIN; SET LOCAL statement_timeout = 1500")
    await connection.execute("SELECT FROM tally.sink_progress FOR UPDATE")
    await connection.copy_to_table("lines", schema_name="tally", source=lines(), format="binary")
