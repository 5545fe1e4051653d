"""`tally rates` loads a card whole or not at all, and says what is wrong with it by line."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from tally.deploy import migrate
from tally.schemas.rates.card import Card
from tally.streams.cli.main import application
from tally.streams.settings import variable
from tally.tables.postgres.rates import HELD, rate_of
from tests.support.servers import execute
from tests.unit.schemas.rates.test_reading import EUROS, META, SIMPLE

OCTOBER = date(2026, 10, 1)


@pytest.fixture
def dsn(database: str) -> str:
    migrate.up(database)
    return database


@pytest.fixture
def run(dsn: str, tmp_path: Path) -> Any:
    def _run(command: str, text: str, *more: str) -> tuple[int, str]:
        file = tmp_path / "card.csv"
        file.write_text(text, newline="")
        found = CliRunner().invoke(
            application(), ["rates", command, str(file), *more], env={variable("postgres_dsn"): dsn}
        )
        return found.exit_code, found.stdout + found.stderr

    return _run


async def held(dsn: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch("SELECT * FROM tally.rates")]
    finally:
        await connection.close()


async def card(dsn: str, currency: str) -> Card:
    connection = await asyncpg.connect(dsn)
    try:
        return Card(currency, map(rate_of, await connection.fetch(HELD, [currency])))
    finally:
        await connection.close()


@pytest.mark.asyncio
async def test_cards_of_two_currencies_and_two_quarters_load_and_load_again(run: Any, dsn: str) -> None:
    load = [("load", META, "--from", "2026-07-01"), ("load", EUROS, "--from", "2026-07-01")]
    later = META.replace("0.0625", "0.0700").replace("Argentina,USD,0.0618,0.0260,0.0260,n/a,n/a\n", "")
    codes = [await asyncio.to_thread(run, *one) for one in [*load, ("load", later, "--from", "2026-10-01")]]
    assert [code for code, _ in codes] == [0, 0, 0]
    assert "30 rates in USD, 6 markets, from 2026-07-01 on; 30 rates added" in codes[0][1]

    dollars, euros = await card(dsn, "USD"), await card(dsn, "EUR")
    assert dollars.micros("BR", "marketing", date(2026, 9, 30)) == 62_500
    assert dollars.micros("BR", "marketing", OCTOBER) == 70_000
    assert dollars.micros("AR", "marketing", date(2026, 9, 30)) == 61_800
    assert dollars.micros("AR", "marketing", OCTOBER) == 60_400  # no longer named: Other
    assert euros.micros("BR", "marketing", OCTOBER) == 53_300

    before = await held(dsn)
    code, said = await asyncio.to_thread(run, "load", later, "--from", "2026-10-01")
    assert (code, "0 rates added, 25 are there already" in said) == (0, True)
    assert await held(dsn) == before

    await execute(dsn, "DELETE FROM tally.rates WHERE currency = 'USD' AND effective_from = '2026-10-01'")
    mended = later.replace("0.0700", "0.0725")
    code, said = await asyncio.to_thread(run, "load", mended, "--from", "2026-10-01")
    assert (code, "25 rates added" in said) == (0, True)
    dollars = await card(dsn, "USD")
    days = (date(2026, 9, 30), OCTOBER)
    assert [dollars.micros("BR", "marketing", day) for day in days] == [62_500, 72_500]
    assert [dollars.micros("AR", "marketing", day) for day in days] == [61_800, 60_400]


DAYS = [date(2026, month, 1) for month in range(6, 13)] + [date(2027, month, 1) for month in (1, 7)]
ENDING = """\
effective_from,effective_until,currency,market,category,rate
2026-07-01,,USD,BR,marketing,0.06
2026-09-01,2026-10-01,USD,BR,marketing,0.05
2026-07-01,,USD,BR,marketing_lite,0.03
2026-08-01,2026-09-01,USD,BR,marketing_lite,0.02
2026-11-01,2027-07-01,USD,BR,utility,0.01
2026-07-01,,USD,Rest of Latin America,marketing,0.04
2026-07-01,,USD,Rest of Western Europe,utility,0.07
2026-10-01,,USD,Rest of Western Europe,utility,0.08
2026-07-01,,USD,AT,utility,n/a
"""


@pytest.mark.asyncio
async def test_sql_finds_the_rate_of_every_day_that_the_api_finds_also_behind_one_that_ended(
    run: Any, dsn: str
) -> None:
    """Worked out by hand for Brazil; whatever else is asked for, both say the same."""

    async def by_sql(market: str, category: str) -> list[int | None]:
        connection = await asyncpg.connect(dsn)
        try:
            one = "SELECT micros FROM tally.rate('USD', $1, $2, $3)"
            return [await connection.fetchval(one, market, category, day) for day in DAYS]
        finally:
            await connection.close()

    assert (await asyncio.to_thread(run, "load", ENDING))[0] == 0
    # From October on the rate of September has ended, and the one before it had ended with its beginning.
    assert await by_sql("BR", "marketing") == [None, 60_000, 60_000, 50_000, *[None] * 5]
    code, said = await asyncio.to_thread(run, "load", META, "--from", "2027-01-01")
    assert (code, "30 rates added" in said) == (0, True), said
    dollars = await card(dsn, "USD")
    for market in ("BR", "BO", "AT", "US", "KR", ""):
        for category in ("marketing", "marketing_lite", "utility", "service"):
            right = [dollars.micros(market, category, day) for day in DAYS]
            assert await by_sql(market, category) == right, (market, category)
    assert (await by_sql("BR", "utility"))[-4:] == [10_000, 10_000, 6_800, 6_800]
    assert await by_sql("BE", "utility") == [None, *[70_000] * 3, *[80_000] * 3, *[17_100] * 2]


@pytest.mark.asyncio
async def test_nothing_of_a_card_with_a_fault_is_loaded(run: Any, dsn: str) -> None:
    for text, said in (
        (META.replace("0.0625", '"0,0625"'), "line 6: rate 0,0625: a decimal comma"),
        ("\ufeff" + META, "line 1: begins with a byte-order mark"),
        (META.replace("India", "Indja"), "line 7: unknown market Indja"),
    ):
        for command in ("check", "load"):
            code, output = await asyncio.to_thread(run, command, text, "--from", "2026-10-01")
            assert (code, output.startswith(said)) == (1, True), output
    assert await held(dsn) == []


@pytest.mark.asyncio
async def test_what_overlaps_a_loaded_card_is_refused_by_line_and_changes_nothing(run: Any, dsn: str) -> None:
    assert (await asyncio.to_thread(run, "load", SIMPLE))[0] == 0
    before = await held(dsn)

    other = SIMPLE.replace("0.0625", "0.0700").replace("2026-07-01,USD,BR", "2026-07-02,USD,AR")
    code, output = await asyncio.to_thread(run, "load", other)
    assert code == 1
    assert output == "line 3: BR marketing USD from 2026-10-01 overlaps what is loaded from 2026-10-01 on\n"
    code, output = await asyncio.to_thread(run, "load", META, "--from", "2026-08-01")
    assert (code, "line 1: USD is loaded from 2026-10-01 on: load cards in the order" in output) == (1, True)
    assert await held(dsn) == before


STATED = """\
effective_from,effective_until,currency,market,category,rate
2026-07-01,2026-12-01,USD,BR,marketing,0.06
2026-07-01,,USD,BR,group_utility,0.01
"""


@pytest.mark.asyncio
async def test_a_card_that_a_whole_one_has_ended_earlier_changes_nothing_when_it_is_loaded_again(
    run: Any, dsn: str
) -> None:
    for command in (("load", STATED), ("load", META, "--from", "2026-10-01")):
        assert (await asyncio.to_thread(run, *command))[0] == 0
    before = await held(dsn)

    code, said = await asyncio.to_thread(run, "load", STATED)
    assert (code, said.endswith("0 rates added, 2 are there already\n")) == (0, True), said
    assert await held(dsn) == before
    dollars = await card(dsn, "USD")
    days = (date(2026, 9, 30), OCTOBER, date(2026, 12, 1))
    assert [dollars.micros("BR", "marketing", day) for day in days] == [60_000, 62_500, 62_500]
    assert [dollars.micros("BR", "group_utility", day) for day in days] == [10_000, None, None]

    for other in ("2027-01-01", "2026-10-01", ""):  # no other end is taken for the same
        code, said = await asyncio.to_thread(run, "load", STATED.replace("2026-12-01", other))
        where = "line 2: BR marketing USD from 2026-07-01 overlaps what is loaded from 2026-07-01 on"
        assert (code, said.startswith(where)) == (1, True), said
    assert await held(dsn) == before


def test_a_day_that_is_none_is_said(run: Any) -> None:
    code, output = run("check", META, "--from", "October")
    assert (code, output) == (2, "--from October: expected a day such as 2026-10-01\n")
    assert run("check", META)[1].startswith("line 1: Meta's cards do not say from when on they hold")


@pytest.mark.asyncio
async def test_a_card_that_says_its_days_itself_takes_no_other(run: Any, dsn: str) -> None:
    for command in ("check", "load"):
        code, output = await asyncio.to_thread(run, command, SIMPLE, "--from", "2026-12-01")
        assert (code, output.startswith("--from is for Meta's cards")) == (2, True), output
    assert await held(dsn) == []
