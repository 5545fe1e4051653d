"""`python -m bench.query_times`: how long the questions about a year take in Postgres, beside their bounds.

A year of a campaign that sends in every quarter hour, with 50 templates, 5 numbers and 20 markets, and of a
tenant with 500 campaigns. Asked as the read API asks, and by the functions of SQL.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from bench.figures import percentile
from bench.processes import thread_cpu_seconds
from bench.table import ms, table
from bench.year import ALWAYS_ON, TENANT, Year, fill
from tally.deploy import migrate
from tally.deploy.local import LocalPostgres
from tally.streams.web.breakdown import queries as breakdown_queries
from tally.streams.web.breakdown import read_breakdown
from tally.streams.web.series_parameters import read_series_query
from tally.tables.postgres import same_age, series
from tally.tables.postgres.breakdown import WAYS, By
from tally.tables.postgres.database import Database
from tally.tables.postgres.moment import MomentReader
from tally.tables.postgres.series import Wanted

FIRST = date(2025, 1, 1)
ZONES = ("America/Sao_Paulo", "Asia/Kolkata", "Europe/Amsterdam", "Asia/Kathmandu", "UTC")
"""Asked in turn; two of them lie beside the hour."""
WARM = 3
AMONG_OTHERS = "campaign-1"
"""Others began before it."""

SIZES = """
SELECT relname AS name, reltuples::bigint AS n, pg_total_relation_size(oid) AS bytes
FROM pg_class WHERE relnamespace = 'tally'::regnamespace AND relkind = 'r' AND reltuples >= 1000
ORDER BY relname
"""

Ask = Callable[[str], Awaitable[int]]
"""Asks in a zone, and returns the number of days or groups that were told."""


class Question(Struct, frozen=True):
    """What is asked, and how long it may take at the 99th percentile."""

    name: str
    most_ms: float | None
    """None where nothing is promised."""
    ask: Ask
    least: int = 0
    """It tells so many groups at least; 0 where it tells days."""


class Answered(Struct, frozen=True):
    """How long a question took, and how long the server computed for it."""

    question: Question
    took_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    """Beside others who work it says more than the time that passes."""

    @property
    def p99_ms(self) -> float:
        """The 99th percentile by nearest rank."""
        return percentile(self.took_ms, 0.99)

    @property
    def holds(self) -> bool:
        """Whether it is within its bound."""
        return self.question.most_ms is None or self.p99_ms <= self.question.most_ms


def questions(database: Database, year: Year) -> list[Question]:
    """Return what is asked of a year."""
    reader, last = MomentReader(database, 1), FIRST + timedelta(days=year.days - 1)
    now_ms = int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp() * 1_000)

    def of_api(campaign: str = "", **more: str) -> Ask:
        async def ask(zone: str) -> int:
            query = {"timezone": [zone], "from": [FIRST.isoformat()], "to": [last.isoformat()]}
            asked = read_series_query(query | {name: [one] for name, one in more.items()}, 0)
            wanted = Wanted(TENANT, asked.attribution, asked.counters, campaign, group_by=asked.group_by)
            (records,) = await reader.read(
                TENANT, wanted.campaign, lambda _: series.queries(wanted, [asked.buckets])
            )
            return len(series.points(records, wanted))

        return ask

    def of_sql(call: str, *named: str) -> Ask:
        async def ask(zone: str) -> int:
            async with database.transaction() as connection:
                return len(await connection.fetch(f"SELECT * FROM tally.{call}", *named, zone, FIRST, last))  # noqa: S608 - names of ours

        return ask

    def of_breakdown(by: By) -> Ask:
        async def ask(zone: str) -> int:
            asked = read_breakdown({"by": [by], **({"timezone": [zone]} if by == "hour" else {})})
            wanted = breakdown_queries(TENANT, ALWAYS_ON, asked, now_ms)
            found = await reader.read(TENANT, ALWAYS_ON, lambda _: wanted)
            return sum(map(len, found))

        return ask

    async def same_ages(_: str) -> int:
        wanted = [same_age.query(TENANT, AMONG_OTHERS, now_ms)]
        (records,) = await reader.read(TENANT, AMONG_OTHERS, lambda _: wanted)
        return len(same_age.ages(records))

    return [
        Question("a campaign's year by day, API", 100.0, of_api(ALWAYS_ON)),
        Question(
            "a campaign's year by day, SQL",
            100.0,
            of_sql("campaign_days($1, $2, $3, $4, $5)", TENANT, ALWAYS_ON),
        ),
        Question("a tenant's year by day, API", 500.0, of_api()),
        Question("a tenant's year by day, SQL", 500.0, of_sql("tenant_days($1, $2, $3, $4)", TENANT)),
        *(Question(f"a campaign's breakdown by {by}", 50.0, of_breakdown(by), 2) for by in WAYS),
        Question("a campaign's year by month, API", None, of_api(ALWAYS_ON, interval="month"), 1),
        Question("a campaign's year by day and number, API", None, of_api(ALWAYS_ON, group_by="number")),
        Question("a campaign's year by day and market, API", None, of_api(ALWAYS_ON, group_by="market")),
        Question("shares at the same age, beside 20 campaigns", None, same_ages, 2),
    ]


async def measured(database: Database, year: Year, times: int) -> list[Answered]:
    """Ask each question so many times, in all zones in turn; the first few times do not count."""
    found = []
    async with database.transaction() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    for question in questions(database, year):
        took_ms, cpu_ms = [], []
        for nth in range(WARM + times):
            began_s, cpu_s = time.perf_counter(), thread_cpu_seconds(pid)
            told = await question.ask(ZONES[nth % len(ZONES)])
            took_ms.append((time.perf_counter() - began_s) * 1_000)
            cpu_ms.append((thread_cpu_seconds(pid) - cpu_s) * 1_000)
            assert told >= (question.least or year.days), (question.name, told)
        found.append(Answered(question, tuple(took_ms[WARM:]), tuple(cpu_ms[WARM:])))
    return found


def shown(answered: Sequence[Answered]) -> str:
    """Return the figures as a table."""
    rows = [
        (
            one.question.name,
            ms(percentile(one.took_ms, 0.5)),
            ms(one.p99_ms),
            ms(percentile(one.cpu_ms, 0.5)),
            ms(percentile(one.cpu_ms, 0.99)),
            "-" if one.question.most_ms is None else ms(one.question.most_ms),
            "-" if one.question.most_ms is None else "yes" if one.holds else "NO",
        )
        for one in answered
    ]
    return table(("question", "p50", "p99", "p50 of CPU", "p99 of CPU", "bound", "holds"), rows)


@asynccontextmanager
async def filled(folder: Path, year: Year) -> Any:
    """Start a Postgres with the settings of the embedded one, and fill it."""
    server = LocalPostgres.start(folder, port=0)
    try:
        migrate.up(server.dsn)
        database = await Database.open(server.dsn, connections=1, deadline_seconds=900.0)
        try:
            began_s = time.monotonic()
            cells = await fill(database, year)
            took_s = time.monotonic() - began_s
            sys.stderr.write(f"{cells:,} cells made in {took_s:.0f} s\n")
            yield database
        finally:
            await database.close()
    finally:
        server.stop()


async def sizes(database: Database) -> str:
    """Return how many rows there are in each table, and what they take with their indexes, as a table."""
    async with database.transaction() as connection:
        found = await connection.fetch(SIZES)
    rows = [
        (f"`{one['name']}`", f"{one['n']:,}", f"{one['bytes'] / 1e6:,.1f}", f"{one['bytes'] / one['n']:,.0f}")
        for one in found
    ]
    return table(("table", "rows", "MB", "bytes a row"), rows)


async def _run(year: Year, times: int) -> bool:
    with TemporaryDirectory(prefix="tally-bench-") as name:
        async with filled(Path(name), year) as database:
            answered, taken = await measured(database, year, times), await sizes(database)
    sys.stdout.write(f"{shown(answered)}\n\n{taken}\n")
    return all(one.holds for one in answered)


def main() -> int:
    """Fill, ask, print; return 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.query_times", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="how often each question is asked")
    parser.add_argument("--days", type=int, default=Year().days, help="how many days are made")
    asked = parser.parse_args()
    return 0 if asyncio.run(_run(Year(days=asked.days), asked.times)) else 1


if __name__ == "__main__":
    sys.exit(main())
