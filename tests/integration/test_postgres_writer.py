"""The writer on a real Postgres: compare-and-swap, what is refused, epochs, and deadlines of every wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog

from tally.deploy import migrate
from tally.schemas.grains import RowKey
from tally.schemas.keys import FREE_FORM, Template
from tally.schemas.rows import Row, encode
from tally.tables.postgres.database import Database
from tally.tables.postgres.failures import Away, PostgresFailure, Refused, Unacceptable
from tally.tables.postgres.progress import ProgressMoved
from tally.tables.postgres.writer import FOUND_AT_ONCE, Writer
from tests.support.sink_doubles import key, order, progress, row, write


@pytest.fixture
def migrated(database: str) -> str:
    migrate.up(database)
    return database


@asynccontextmanager
async def opened(dsn: str, **limits: Any) -> AsyncIterator[Database]:
    database = await Database.open(dsn, **limits)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def fetch(dsn: str, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with connected(dsn) as connection:
        return [tuple(found) for found in await connection.fetch(query, *arguments)]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


HELD = "SELECT campaign, next_offset, accepted FROM tally.counters ORDER BY campaign"


@pytest.mark.asyncio
async def test_a_row_arrives_with_everything_that_is_known_of_it(migrated: str) -> None:
    counts = {"accepted": 3, "errors.meta:131026": 2, "time_to_read.35": 1, "time_to_read.negative": 4}
    sent = Row(7, 1_795_350_870_001, 1_795_350_870_002, ['a"b', "7"], counts)
    async with opened(migrated) as database:
        assert await write(Writer(database, 2), 5, [(key("é/%"), sent)], progress(7), None) == 1
    found = await fetch(
        migrated,
        "SELECT generation, partition, tenant, campaign, template_name, template_language, grain,"
        " next_offset, first_ms, last_ms, labels, accepted, delivered, errors::text, time_to_read::text,"
        " pricing::text, now() - updated_at < '1 minute' FROM tally.counters",
    )
    assert found[0][:7] == (2, 5, "t1", "é/%", "promo_nov", "pt_BR", "template")
    assert found[0][7:11] == (7, 1_795_350_870_001, 1_795_350_870_002, ['a"b', "7"])
    assert found[0][11:] == (3, 0, '{"meta:131026": 2}', '{"35": 1, "negative": 4}', "{}", True)


@pytest.mark.asyncio
async def test_the_campaigns_own_row_and_the_free_form_row_are_two(migrated: str) -> None:
    async with opened(migrated) as database:
        rows = [(key(template=None), row(1, replied=1)), (key(template=FREE_FORM), row(1, accepted=1))]
        await write(Writer(database, 1), 0, rows, progress(1), None)
    found = await fetch(migrated, "SELECT grain, replied, accepted FROM tally.counters ORDER BY 1")
    assert found == [("campaign", 1, 0), ("template", 0, 1)]


@pytest.mark.asyncio
async def test_an_equal_row_is_left_alone_and_a_recounted_one_of_the_same_progress_wins(
    migrated: str,
) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        await write(writer, 0, [(key(), row(20, accepted=20))], progress(20), None)
        before = await fetch(migrated, "SELECT ctid, xmin, updated_at FROM tally.counters")
        assert await write(writer, 0, [(key(), row(20, accepted=20))], progress(20, 2), progress(20)) == 0
        assert [at for *_, at in await fetch(migrated, "SELECT updated_at FROM tally.counters")] == [
            at for *_, at in before
        ]
        assert await write(writer, 0, [(key(), row(20, accepted=19))], progress(20, 3), progress(20, 2)) == 1
    assert await fetch(migrated, HELD) == [("c1", 20, 19)]


@pytest.mark.asyncio
async def test_a_row_that_lost_everything_is_written_as_zeros(migrated: str) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        await write(writer, 0, [(key(), row(20, accepted=20, **{"errors.other": 1}))], progress(20), None)
        await write(writer, 0, [(key(), row(30))], progress(30, 2), progress(20))
    assert await fetch(migrated, "SELECT accepted, errors::text FROM tally.counters") == [(0, "{}")]


@pytest.mark.asyncio
async def test_partitions_and_generations_have_rows_and_progress_of_their_own(migrated: str) -> None:
    async with opened(migrated) as database:
        for generation in (1, 2):
            for partition in (0, 1):
                rows = [(key(), row(20, accepted=20))]
                await write(Writer(database, generation), partition, rows, progress(20), None)
        assert set(await Writer(database, 2).read_progress([0, 1, 5])) == {0, 1}
        assert await Writer(database, 3).read_progress([0, 1]) == {}
    assert await fetch(migrated, "SELECT count(*) FROM tally.counters") == [(4,)]


@pytest.mark.asyncio
async def test_nothing_is_written_where_progress_is_not_what_was_seen(migrated: str) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        rows = [(key(), row(20, accepted=20))]
        with pytest.raises(ProgressMoved):
            await write(writer, 0, rows, progress(20, 2), progress(10))
        await write(writer, 0, rows, progress(20), None)
        newer = [(key(), row(30, accepted=30))]
        others = ({"writer": "v"}, {"writes": 2}, {"columns": ""}, {"epoch": 2})
        for seen in (None, *(progress(20, **one) for one in others)):
            with pytest.raises(ProgressMoved):
                await write(writer, 0, newer, progress(30, 2), seen)
        assert await writer.read_progress([0]) == {0: progress(20)}
    assert await fetch(migrated, HELD) == [("c1", 20, 20)]


@pytest.mark.asyncio
async def test_progress_moves_without_rows(migrated: str) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        assert await write(writer, 0, [], progress(20), None) == 0
        assert await writer.read_progress([0]) == {0: progress(20)}


@pytest.mark.asyncio
async def test_readers_are_pointed_at_the_first_generation_and_moved_by_nobody_else(migrated: str) -> None:
    async with opened(migrated) as database:
        await Writer(database, 3).read_progress([0])
        await Writer(database, 4).read_progress([0])
    assert await fetch(migrated, "SELECT generation FROM tally.current_generation") == [(3,)]


BAD_ROWS = {
    "U+0000": (key("nul\0"), row(1, accepted=1)),
    "more than a bigint": (key("big"), row(1, accepted=2**63)),
    "longer than an index entry": (
        RowKey("t1", "c1", Template("".join(map(chr, range(0x4E00, 0x4E00 + 1200))), "zh")),
        row(1, accepted=1),
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", BAD_ROWS)
async def test_what_is_refused_among_a_thousand_is_withheld_as_bytes_with_whose_it_is(
    migrated: str, bad: str
) -> None:
    name, refused = BAD_ROWS[bad]
    rows: list[tuple[RowKey, Row | None]] = [(key(f"c{n}"), row(1, accepted=1)) for n in range(999)]
    wanted = order(0, [*rows[:617], (name, refused), *rows[617:]], progress(1), None)
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        with pytest.raises(Unacceptable):
            await writer.write(wanted)
        assert await writer.read_progress([0]) == {}
        written = await writer.write(wanted, search=True)
        assert set(written.refused) == {("rows", name.encode())}
        assert written.changed == {"rows": 999}
        assert await writer.read_withheld(0, 1, 10) == [("rows", name.encode())]
        values = await writer.withheld_values(0, [("rows", name.encode())])
        assert values == {("rows", name.encode()): encode(refused)}
        assert await writer.read_progress([0]) == {0: progress(1)}
    found = await fetch(migrated, "SELECT kind, tenant, campaign, sqlstate, epoch FROM tally.withheld")
    assert found[0][:3] == ("rows", b"t1", name.campaign.encode())
    assert found[0][3][:2] in ("22", "54")
    assert await fetch(migrated, "SELECT count(*) FROM tally.counters") == [(999,)]


@pytest.mark.asyncio
async def test_the_search_for_what_is_refused_is_bounded_and_the_rest_is_withheld_with_it(
    migrated: str,
) -> None:
    rows = [(key(f"c{n:03}\0" if n % 2 else f"c{n:03}"), row(1, accepted=1)) for n in range(200)]
    async with opened(migrated) as database:
        written = await Writer(database, 1).write(order(0, rows, progress(1), None), search=True)
        found = {key for key, _ in written.refused.items() if key not in written.unsearched}
        assert len(found) == FOUND_AT_ONCE
        assert len(written.refused) + written.changed["rows"] == 200
        assert len(await Writer(database, 1).read_withheld(0, 1, 1_000)) == len(written.refused)


@pytest.mark.asyncio
async def test_what_is_withheld_is_given_up_once_it_is_accepted_or_gone(migrated: str) -> None:
    bad, gone, untried = key("bad"), key("gone\0"), key("untried\0")
    names = [("rows", one.encode()) for one in (bad, gone, untried)]
    async with opened(migrated) as database, connected(migrated) as owner:
        writer = Writer(database, 1)
        await owner.execute("ALTER TABLE tally.counters ADD CONSTRAINT strange CHECK (campaign <> 'bad')")
        rows = [(one, row(1, accepted=1)) for one in (bad, gone, untried)]
        assert len((await writer.write(order(0, rows, progress(1), None), search=True)).refused) == 3
        # Somebody mends what was wrong with the first; the third is not tried, and has a newer value.
        await owner.execute("ALTER TABLE tally.counters DROP CONSTRAINT strange")
        changes = [(bad, row(1, accepted=1)), (gone, None), (untried, row(2, accepted=2))]
        wanted = order(0, changes, progress(2, 2), progress(1), withheld=set(names), untried={names[2]})
        written = await writer.write(wanted, search=True)
        assert written.refused == {}
        assert await fetch(migrated, "SELECT campaign FROM tally.counters") == [("bad",)]
        assert await writer.withheld_values(0, names) == {names[2]: encode(row(2, accepted=2))}
        assert await fetch(migrated, "SELECT sqlstate FROM tally.withheld") == [("22P05",)]


@pytest.mark.asyncio
async def test_where_too_much_is_refused_nothing_is_written(migrated: str) -> None:
    rows = [(key(f"c{n}\0"), row(1, accepted=1)) for n in range(4)]
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        wanted = order(0, [*rows, (key("good"), row(1))], progress(1), None, most_withheld=3)
        with pytest.raises(Unacceptable, match="22P05: Postgres refuses more than 3 entries"):
            await writer.write(wanted, search=True)
        assert await writer.read_progress([0]) == {}
        await writer.write(order(0, rows[:3], progress(1), None, most_withheld=3), search=True)
        held = set(await writer.read_withheld(0, 1, 9))
        assert len(held) == 3
        assert await writer.read_withheld(0, 2, 9) == [], "of another epoch"
        # One is mended while another is refused.
        changes = [(rows[0][0], None), rows[3]]
        wanted = order(0, changes, progress(2, 2), progress(1), withheld=held, most_withheld=3)
        await writer.write(wanted, search=True)
        assert len(await writer.read_withheld(0, 1, 9)) == 3
    assert await fetch(migrated, "SELECT campaign FROM tally.counters") == []


@pytest.mark.asyncio
async def test_a_row_that_is_gone_is_deleted(migrated: str) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        rows = [(key(), row(1, accepted=1)), (key("c2", None), row(1, replied=1)), (key("c3"), row(1))]
        await write(writer, 0, rows, progress(1), None)
        gone = [(key(), None), (key("c2", None), None), (key("never"), None)]
        assert await write(writer, 0, gone, progress(2, 2), progress(1)) == 2
    assert await fetch(migrated, "SELECT campaign FROM tally.counters") == [("c3",)]


@pytest.mark.asyncio
async def test_a_pruning_deletes_what_other_epochs_wrote_of_its_partition_alone(migrated: str) -> None:
    async with opened(migrated) as database:
        writer = Writer(database, 1)
        rows = [(key(name), row(1, accepted=1)) for name in ("a", "b", "c\0")]
        for partition in (0, 1):
            await writer.write(order(partition, rows, progress(1), None), search=True)
        again = [(key("a"), row(1, accepted=1))]
        assert await write(writer, 0, again, progress(1, 2, epoch=2), progress(1)) == 1
        prune = order(0, [], progress(1, 3, epoch=2), progress(1, 2, epoch=2), is_pruning=True)
        assert (await writer.write(prune)).pruned == 2
    left = "SELECT partition, campaign FROM tally.counters ORDER BY 1, 2"
    assert await fetch(migrated, left) == [(0, "a"), (1, "a"), (1, "b")]
    assert await fetch(migrated, "SELECT partition FROM tally.withheld") == [(1,)]


@pytest.mark.alone
@pytest.mark.asyncio
async def test_a_thousand_rows_are_one_statement(migrated: str) -> None:
    seconds = [f"time_to_read.{n}" for n in range(5)] + [f"time_to_deliver.{n}" for n in range(5)]
    counts = dict.fromkeys(
        ("accepted", "sent", "delivered", "read", *seconds, "pricing.marketing/regular"), 3
    )
    async with opened(migrated) as database:
        writer, took = Writer(database, 1), []
        seen = None
        for offset in range(1, 8):
            rows = [(key(f"0b5e2c1e-7f7a-4a59-9d0e-{n:012}"), row(offset, **counts)) for n in range(1000)]
            began = time.perf_counter()
            assert await write(writer, 0, rows, progress(offset, offset), seen) == 1000
            took.append(time.perf_counter() - began)
            seen = progress(offset, offset)
    structlog.get_logger().info("a thousand rows", milliseconds=[round(1000 * one, 1) for one in took])
    assert sorted(took)[3] < 1.0


@pytest.mark.asyncio
async def test_writers_that_meet_in_one_partition_never_deadlock_and_one_of_them_wins(migrated: str) -> None:
    async with opened(migrated, connections=4) as database:
        writer = Writer(database, 1)

        async def attempt(offset: int) -> bool:
            names = [f"c{(n * (offset % 7 + 1)) % 97}" for n in range(97)]
            rows = [(key(name), row(offset, accepted=offset)) for name in dict.fromkeys(names)]
            seen = (await writer.read_progress([0])).get(0)
            try:
                await write(writer, 0, rows, progress(offset, offset), seen)
            except ProgressMoved:
                return False
            return True

        won = await asyncio.gather(*map(attempt, range(1, 30)))
        assert any(won)
    deadlocks = await fetch(
        migrated, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert deadlocks == [(0,)]


@pytest.mark.asyncio
async def test_a_lock_that_somebody_holds_is_waited_for_no_longer_than_its_limit(migrated: str) -> None:
    async with opened(migrated, lock_seconds=0.2) as database, connected(migrated) as other:
        writer = Writer(database, 1)
        await write(writer, 0, [(key(), row(20, accepted=20))], progress(20), None)
        async with other.transaction():
            await other.execute("UPDATE tally.counters SET accepted = 0")
            with within(1.5), pytest.raises(Away) as raised:
                await write(writer, 0, [(key(), row(30, accepted=30))], progress(30, 2), progress(20))
        assert raised.value.sqlstate == "55P03"
        assert await writer.read_progress([0]) == {0: progress(20)}


@pytest.mark.asyncio
async def test_a_paused_writer_loses_its_locks(migrated: str) -> None:
    async with opened(migrated, deadline_seconds=0.3) as database, opened(migrated) as other:
        writer = Writer(other, 1)
        await write(writer, 0, [], progress(20), None)
        async with connected(migrated) as paused:
            await paused.execute(database._begin)
            await paused.execute("UPDATE tally.sink_progress SET seq = 1")
            with within(1.9):
                await write(writer, 0, [], progress(30, 2), progress(20))


@pytest.mark.asyncio
async def test_a_pool_that_is_used_up_ends_in_a_named_error_and_not_in_a_hang(migrated: str) -> None:
    async with opened(migrated, connections=2, deadline_seconds=0.3) as database:

        async def hold() -> None:
            async with database.transaction() as connection:
                await connection.execute("SELECT pg_sleep(10)")

        with within(1.5):
            ends = await asyncio.gather(*(hold() for _ in range(50)), return_exceptions=True)
        assert {type(end) for end in ends} == {Away}
        await Writer(database, 1).read_progress([0])


@pytest.mark.asyncio
async def test_a_server_without_free_connections_is_away(migrated: str) -> None:
    name = urlsplit(migrated).path[1:]
    async with connected(migrated) as only, opened(migrated) as database:
        await only.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 1")
        with pytest.raises(Away) as raised:
            await Writer(database, 1).read_progress([0])
        assert raised.value.group == "53"
        await only.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        assert await Writer(database, 1).read_progress([0]) == {}


def changed(dsn: str, **parts: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(**parts))


@pytest.mark.asyncio
async def test_nobody_listening_is_away(migrated: str) -> None:
    async with opened("postgresql://u:secret-word@127.0.0.1:1/x") as database:
        with pytest.raises(Away) as raised:
            await Writer(database, 1).read_progress([0])
    assert raised.value.group == "connection"


@pytest.mark.asyncio
async def test_a_missing_right_is_refused_by_name_and_heals_when_granted(migrated: str) -> None:
    rows = [(key(), row(20, accepted=20))]
    async with opened(migrated) as database, connected(migrated) as owner:
        await owner.execute("REVOKE UPDATE ON tally.counters FROM CURRENT_USER")
        with pytest.raises(Refused, match="42501: permission denied for table counters"):
            await write(Writer(database, 1), 0, rows, progress(20), None)
        await owner.execute("GRANT UPDATE ON tally.counters TO CURRENT_USER")
        assert await write(Writer(database, 1), 0, rows, progress(20), None) == 1


@pytest.mark.asyncio
async def test_a_database_that_is_not_migrated_or_not_there_is_refused_by_name(database: str) -> None:
    async with opened(database) as unmigrated:
        with pytest.raises(Refused, match=r"42P01: relation .* does not exist"):
            await Writer(unmigrated, 1).read_progress([0])
    async with opened(changed(database, path="/missing")) as missing:
        with pytest.raises(Refused, match="3D000"):
            await Writer(missing, 1).read_progress([0])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "netloc", ["nobody:secret-word@{}", "tally:secret-word/with-slash@{}", "tally:secret-word@{}:x"]
)
async def test_no_error_ever_shows_the_password(migrated: str, netloc: str) -> None:
    host = urlsplit(migrated).netloc.rpartition("@")[2]
    async with opened(changed(migrated, netloc=netloc.format(host))) as database:
        with pytest.raises(PostgresFailure) as raised:
            await Writer(database, 1).read_progress([0])
    error: BaseException | None = raised.value
    assert "secret-word" not in f"{error} {error!r}"
    assert error is not None
    assert error.__suppress_context__
    assert error.__cause__ is None
