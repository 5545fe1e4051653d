"""How long numbers from Postgres take: a year of cells of 50 templates, 5 numbers and 20 markets.

`python -m bench.stored_year` starts a Postgres of its own, fills it as the sink does, and prints the 50th and
99th percentile of each answer, as the read API makes it, without HTTP.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import orjson

from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.schemas.cells import QUARTER_SECONDS
from tally.streams.web import breakdown as breakdown_of
from tally.streams.web import same_age as same_age_of
from tally.streams.web.series import answered
from tally.streams.web.series_parameters import read_series_query
from tally.tables.postgres import breakdown, same_age, series
from tally.tables.postgres.breakdown import WAYS
from tally.tables.postgres.columns import CELLED, SUMMED
from tally.tables.postgres.database import Database
from tally.tables.postgres.kind import columns_of
from tally.tables.postgres.moment import MomentReader
from tally.tables.postgres.rollups import OF_CELLS, Rollup

TEMPLATES, NUMBERS, MARKETS = 50, 5, 20
PARTITIONS = 2
CELLS_A_QUARTER = 2
QUARTERS = 365 * 24 * 4
EARLIER = 30
TENANT, CAMPAIGN = "t1", "always-on"
ZONE = "Europe/Amsterdam"
NOW_S = int(time.time())
A_YEAR_AGO = (datetime.fromtimestamp(NOW_S, UTC) - timedelta(days=365)).date().isoformat()
ROUNDS = 100
COUNTED = (
    *("contacts", "attempts", "accepted", "sent", "delivered", "read", "failed_after_send"),
    *("contacts_accepted", "replied", "replied_last_touch", "replied_quoted", "clicked", "delivered_implied"),
    *("duplicates", "claimed_elsewhere", "failed_at_send", "delivered_late", "read_late", "skipped"),
)

FILL_CELLS = f"""
INSERT INTO tally.cells (
    generation, tenant, campaign, quarter, template_name, template_language, grain, number, market, partition,
    {columns_of(COUNTED)}, pricing, errors, time_to_deliver, time_to_read
)
SELECT 1, $1, $2, to_timestamp(($3::bigint + quarter) * {QUARTER_SECONDS}),
    CASE WHEN grain = 'template' THEN 'template-' || template ELSE '' END,
    CASE WHEN grain = 'template' THEN 'en_US' ELSE '' END,
    grain, 'number-' || number, chr(65 + market) || chr(66 + market), part,
    {columns_of([f"{nth + 1}" for nth, _ in enumerate(COUNTED)])},
    '{{"marketing/regular": 3}}', '{{"meta:131026": 1, "meta:131049": 2}}',
    '{{"2": 1, "3": 1, "40": 1, "310": 1}}', '{{"25": 1, "90": 1, "4000": 1}}'
FROM (
    SELECT DISTINCT quarter, part, grain, hash % {TEMPLATES} * (grain = 'template')::int AS template,
        hash / 64 % {NUMBERS} AS number, hash / 1024 % {MARKETS} AS market
    FROM generate_series(0, $4::integer - 1) AS quarter,
        generate_series(0, {PARTITIONS - 1}) AS part,
        unnest(ARRAY['template', 'campaign']) AS grain,
        generate_series(1, $5::integer) AS nth,
        LATERAL (SELECT abs(hashint4(quarter * 1000 + part * 100 + nth)) / 2) AS hashed (hash)
) AS drawn
"""  # noqa: S608 - names of the registry

_NESTED = [name for name, kind in CELLED.items() if kind == "jsonb"]
FILL_ROWS = f"""
INSERT INTO tally.counters (
    generation, tenant, campaign, template_name, template_language, grain, partition,
    next_offset, first_ms, last_ms, {columns_of(SUMMED)}, {columns_of(_NESTED)}
)
SELECT generation, tenant, campaign, template_name, template_language, grain, partition, 0, 0, 0,
    {columns_of([f"coalesce(sum({name}), 0)" for name in SUMMED])},
    {columns_of([f"tally.sum_entries(jsonb_agg(coalesce({name}, '{{}}')))" for name in _NESTED])}
FROM tally.cells GROUP BY generation, tenant, campaign, template_name, template_language, grain, partition
"""  # noqa: S608


def _sums(rollup: Rollup) -> str:
    """Return the SQL that makes a roll-up of the cells that are there."""
    by_number = f"(extract(epoch FROM quarter)::bigint / {QUARTER_SECONDS})"
    parts = columns_of([sql.replace("quarter", by_number) for sql in rollup.key.values()])
    return f"""
INSERT INTO {rollup.name} (
    generation, partition, {columns_of(tuple(rollup.key))}, {columns_of(tuple(rollup.values))}
)
SELECT generation, partition, {parts}, {columns_of(tuple(rollup.values.values()))}
FROM tally.cells GROUP BY generation, partition, {parts}
"""  # noqa: S608


FILLS = (FILL_ROWS, *map(_sums, OF_CELLS), "ANALYZE")


async def fill(postgres: asyncpg.Connection) -> None:
    """Write a year of cells of one campaign, a day of each of others before it, and all sums of them."""
    now = NOW_S // QUARTER_SECONDS
    await postgres.execute(FILL_CELLS, TENANT, CAMPAIGN, now - QUARTERS, QUARTERS, CELLS_A_QUARTER)
    for nth in range(EARLIER):
        begins = now - QUARTERS - 400 - 100 * nth
        await postgres.execute(FILL_CELLS, TENANT, f"earlier-{nth}", begins, 96, 20)
    for sql in FILLS:
        await postgres.execute(sql)


async def answer(reader: MomentReader, by: breakdown.By) -> bytes:
    """Make a breakdown as the read API does."""
    asked = breakdown_of.read_breakdown({"by": [by], **({"timezone": [ZONE]} if by == "hour" else {})})
    wanted = breakdown_of.queries(TENANT, CAMPAIGN, asked, NOW_S * 1000)
    found = await reader.read(TENANT, CAMPAIGN, lambda _: wanted)
    return orjson.dumps(breakdown_of.told(asked, found))


async def same_ages(reader: MomentReader) -> bytes:
    """Make shares by age as the read API does."""
    (found,) = await reader.read(TENANT, CAMPAIGN, lambda _: [same_age.query(TENANT, CAMPAIGN, NOW_S * 1000)])
    return orjson.dumps(same_age_of.answered(CAMPAIGN, same_age.ages(found)))


async def over_time(reader: MomentReader, interval: str, campaign: str = CAMPAIGN) -> bytes:
    """Make the numbers of a year as the read API does."""
    asked = read_series_query({"interval": [interval], "timezone": [ZONE], "from": [A_YEAR_AGO]}, NOW_S)
    wanted = series.Wanted(TENANT, asked.attribution, asked.counters, campaign)
    (found,) = await reader.read(TENANT, campaign, lambda _: series.queries(wanted, [asked.buckets]))
    return orjson.dumps(answered(asked, [series.points(found, wanted)], None))


async def measure(dsn: str) -> None:
    """Print how long each answer takes."""
    database = await Database.open(dsn, connections=1, deadline_seconds=60.0)
    reader = MomentReader(database, 1)
    try:
        async with database.transaction() as connection:
            cpu = partial(cpu_seconds, await connection.fetchval("SELECT pg_backend_pid()"))
        for by in WAYS:
            await timed(cpu, f"breakdown by {by}", partial(answer, reader, by))
        await timed(cpu, "shares at the same age", partial(same_ages, reader))
        for interval in ("day", "month"):
            await timed(cpu, f"the year by {interval}", partial(over_time, reader, interval))
    finally:
        await database.close()


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def timed(cpu: Callable[[], float], name: str, make: Callable[[], Awaitable[bytes]]) -> None:
    """Make an answer many times, and print the percentiles of how long it took."""
    took_ms, size = [], 0
    began_cpu_s = cpu()
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        size = len(await make())
        took_ms.append((time.perf_counter() - began_s) * 1000)
    took_ms.sort()
    cpu_ms = (cpu() - began_cpu_s) * 1000 / ROUNDS
    told = f"p50 {took_ms[ROUNDS // 2]:7.1f} ms  p99 {took_ms[-1]:7.1f} ms  CPU {cpu_ms:6.1f} ms"
    say(f"{name:26} {told}  {size:8,} bytes")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of this process and of the backend that answers it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main(dsn: str) -> None:
    """Fill an empty database and measure."""
    postgres = await asyncpg.connect(dsn)
    try:
        began_s = time.monotonic()
        await fill(postgres)
        for table in ("cells", "cell_sums", "cells_by_market", "cells_by_hour", "counters"):
            ((rows, size),) = await postgres.fetch(
                f"SELECT count(*), pg_size_pretty(pg_total_relation_size('tally.{table}')) FROM tally.{table}"  # noqa: S608
            )
            say(f"tally.{table:16} {rows:10,} rows {size:>10}")
        say(f"filled in {time.monotonic() - began_s:.0f} s")
    finally:
        await postgres.close()
    await measure(dsn)


if __name__ == "__main__":
    with TemporaryDirectory(prefix="tally-year-") as folder:
        server = LocalPostgres.start(Path(folder), port=0)
        try:
            migrate.up(server.dsn)
            asyncio.run(main(server.dsn))
        finally:
            server.stop()
