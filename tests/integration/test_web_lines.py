"""The lists behind numbers: over all pages they add up to the number, for each counter and filter."""

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from bench.load import Size, load
from tally.deploy import migrate
from tally.schemas.grains import RowKey
from tally.schemas.sources import READERS
from tally.streams.keys.key import Key, Presented, digest_of
from tally.streams.web.cursors import of_line, read_line
from tally.streams.web.lines import check_held
from tally.streams.web.parameters import BadParameter, NotTold
from tally.tables.postgres import lines as stored_lines
from tests.integration.test_postgres_cells import level
from tests.integration.test_postgres_lines import fold, with_lines
from tests.support.partition import MemoryPartition
from tests.support.view_rows import put
from tests.support.web_api import Api, campaign_target, serving

TENANT, CAMPAIGN = "tenant-0", "campaign-0"
TARGET = campaign_target(TENANT, CAMPAIGN) + "/lines"
READER = Presented("fedcba987654", "r" * 43)
PAGE = 30
HELD = """
SELECT coalesce(sum(n), 0)::bigint FROM tally.lines CROSS JOIN LATERAL (
    SELECT coalesce(each.n, 1) AS n FROM unnest(counters, counts) AS each (counter, n) WHERE counter = $1
) AS counted
WHERE tenant = $2 AND campaign = $3 AND grain = $4 AND ($5 = '' OR market = $5)
"""


async def walked(api: Api, **query: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the number, and its lines over all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    number = -1
    while True:
        response, body = await api.ask(f"{TARGET}?{urlencode({**query, **cursor, 'limit': str(PAGE)})}")
        assert response.status == 200, body
        answer = orjson.loads(body)
        assert number in (-1, answer["number"])
        number = answer["number"]
        found += answer["lines"]
        if answer["next_cursor"] is None:
            return number, found
        assert len(answer["lines"]) == PAGE
        cursor = {"cursor": answer["next_cursor"]}


@pytest.mark.asyncio
@pytest.mark.parametrize("few", [0, stored_lines.FEW], ids=["walked", "found"])
async def test_lines_over_all_pages_add_up_to_the_number_by_either_way_to_find_them(
    database: str, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(stored_lines, "FEW", few)
    migrate.up(database)
    facts = [
        keyed for one in load(Size(400, tenants=1), seed=3) for keyed in READERS[one.topic](one.value).facts
    ]
    tables = MemoryPartition()
    async with (
        with_lines(database) as ours,
        serving(debug=False, dsn=database, generation=1, partitions=1) as api,
    ):
        fold(ours, tables, facts)
        await level(ours)
        for key, counts in tables.counts().items():
            put(api.view, RowKey.decode(key), counts)
        api.catch_up()
        counted = tables.counts()[RowKey(TENANT, CAMPAIGN, None).encode()]
        for counter in ("read", "duplicates", "errors.meta:131026", "replied"):
            grain = "campaign" if counter == "replied" else "template"
            for market in ("", "BR"):
                where = {"market": market} if market else {}
                number, lines = await walked(api, counter=counter, **where)
                ((expected,),) = await ours.sql(HELD, counter, TENANT, CAMPAIGN, grain, market)
                assert sum(line["adds"] for line in lines) == number == expected, (counter, market)
                assert all(line["adds"] for line in lines)
        assert (await walked(api, counter="replied"))[0] == counted["replied"] > 0
        failed, lines = await walked(api, counter="failed")
        assert failed == sum(line["adds"] for line in lines) == len(lines) > 0
        flying, lines = await walked(api, counter="in_flight")
        assert flying == len(lines)
        of_template, lines = await walked(api, counter="accepted", template="promo_nov", language="pt_BR")
        assert 0 < of_template == len(lines) < (await walked(api, counter="accepted"))[0]
        assert {line["template"]["language"] for line in lines} == {"pt_BR"}
        assert {event["topic"] for line in lines for event in line["events"]} == {None}
        if few:
            await refused(api)


async def refused(api: Api) -> None:
    """Ask for what is no number, and with a key that may see numbers alone."""
    for query, status in (
        ("", 400),
        ("counter=nonsuch", 422),
        ("counter=errors", 422),
        ("counter=accepted.x", 422),
        ("counter=accepted&language=pt_BR", 400),
        ("counter=accepted&cursor=AAAA", 400),
    ):
        response, _ = await api.ask(f"{TARGET}?{query}")
        assert response.status == status, query
    api.keyring.put(READER.key_id, Key(digest_of(READER.secret), ("read",), (TENANT,), 1_790_000_000_000))
    response, _ = await api.ask(
        f"{TARGET}?counter=accepted", headers={"Authorization": f"Bearer {READER.text}"}
    )
    assert response.status == 403


def test_a_cursor_is_the_line_behind_which_a_page_begins() -> None:
    assert read_line(of_line(b"s" * 16, b"l" * 16)) == (b"s" * 16, b"l" * 16)
    with pytest.raises(BadParameter):
        read_line("A" * 42)


def test_a_number_without_anybody_behind_it_is_no_list() -> None:
    check_held({"number": 0, "lines": []})
    check_held({"number": 2, "lines": [{"adds": 2}]})
    with pytest.raises(NotTold, match="TALLY_LEDGER"):
        check_held({"number": 2, "lines": []})
