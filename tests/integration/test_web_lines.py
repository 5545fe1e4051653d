"""The lists behind numbers: over all pages they add up to the number, for each counter and filter."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from structlog.testing import capture_logs

from bench.load import Size, load
from tally.deploy import migrate
from tally.schemas.grains import RowKey
from tally.schemas.sources import READERS
from tally.streams.keys.key import Key, Presented, Scope, digest_of
from tally.streams.web.cursors import of_line, read_line
from tally.streams.web.lines import check_held
from tally.streams.web.parameters import BadParameter, NotTold
from tally.tables.postgres import lines as stored_lines
from tests.integration.test_postgres_cells import level
from tests.integration.test_postgres_lines import fold, with_lines
from tests.support.keys import PRESENTED
from tests.support.partition import MemoryPartition
from tests.support.view_rows import put
from tests.support.web_api import Api, campaign_target, serving

TENANT, CAMPAIGN = "tenant-0", "campaign-0"
TARGET = campaign_target(TENANT, CAMPAIGN) + "/lines"
RECIPIENTS = campaign_target(TENANT, CAMPAIGN) + "/recipients"
READER, INGEST = Presented("fedcba987654", "r" * 43), Presented("abcdef012345", "i" * 43)
IDENTIFIERS = ("subject", "contact", "attempt", "message", "leg")
PAGE = 30
HELD = """
SELECT coalesce(sum(n), 0)::bigint FROM tally.lines CROSS JOIN LATERAL (
    SELECT coalesce(each.n, 1) AS n FROM unnest(counters, counts) AS each (counter, n) WHERE counter = $1
) AS counted
WHERE tenant = $2 AND campaign = $3 AND grain = $4 AND ($5 = '' OR market = $5)
"""


async def walked(
    api: Api, target: str = TARGET, listed: str = "lines", key: Presented = PRESENTED, **query: Any
) -> tuple[int, list[dict[str, Any]]]:
    """Return the number, and its lines over all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    number = -1
    while True:
        asked = f"{target}?{urlencode({**query, **cursor, 'limit': str(PAGE)})}"
        response, body = await api.ask(asked, headers=shown(key))
        assert response.status == 200, body
        answer = orjson.loads(body)
        assert number in (-1, answer["number"])
        number = answer["number"]
        found += answer[listed]
        if answer["next_cursor"] is None:
            return number, found
        assert len(answer[listed]) == PAGE
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
                where: dict[str, Any] = {"market": market} if market else {}
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
        await attempts(api, counted)
        if few:
            await masked(api)
            await refused(api)


async def attempts(api: Api, counted: Mapping[str, int]) -> None:
    """Each attempt has a line; where one adds more than 1 the answer says how many lines there are."""
    number, found = await walked(api, RECIPIENTS, "recipients")
    assert number == len(found) == len({(one["contact"], one["attempt"]) for one in found})
    assert number == sum(one["counters"]["attempts"] for one in found)
    for counter in ("duplicates", "read"):
        number, found = await walked(api, RECIPIENTS, "recipients", counter=counter)
        _, body = await api.ask(f"{RECIPIENTS}?counter={counter}&limit=1")
        answer = orjson.loads(body)
        assert answer["number"] == number == sum(one["adds"] for one in found)
        expected = len(found) if counter == "read" or len(found) <= stored_lines.FEW else None
        assert answer["lines"] == expected
        assert all(one["counters"][counter] == one["adds"] for one in found)


def shown(key: Presented) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def let_in(api: Api, presented: Presented, scope: Scope) -> None:
    key = Key(digest_of(presented.secret), (scope,), (TENANT,), 1_790_000_000_000)
    api.keyring.put(presented.key_id, key)


async def masked(api: Api) -> None:
    """Who may see numbers alone walks the same lists, and finds nobody; each other use is logged."""
    let_in(api, READER, "read")
    for target, listed in ((TARGET, "lines"), (RECIPIENTS, "recipients")):
        with capture_logs() as logged:
            number, found = await walked(api, target, listed, READER, counter="read")
        assert not [one for one in logged if one["event"] == "people shown"]
        with capture_logs() as logged:
            assert (number, len(found)) == (
                len(found),
                len((await walked(api, target, listed, counter="read"))[1]),
            )
        used = [one for one in logged if one["event"] == "people shown"]
        assert sum(one["lines"] for one in used) == number
        assert {one["key_id"] for one in used} == {PRESENTED.key_id}
        assert {one[name] for one in found for name in IDENTIFIERS} == {""}
        assert {one["phone"].strip("*")[2:] for one in found} == {""}
        assert {event["offset"] for one in found for event in one["events"]} == {None}
        plain = of_line(b"s" * 16, b"l" * 16)
        response, _ = await api.ask(f"{target}?counter=read&cursor={plain}", headers=shown(READER))
        assert response.status == 400


async def refused(api: Api) -> None:
    """Ask for what is no number, and with a key that may see none."""
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
    let_in(api, INGEST, "ingest")
    for target in (TARGET, RECIPIENTS):
        response, _ = await api.ask(f"{target}?counter=accepted", headers=shown(INGEST))
        assert response.status == 403


def test_a_cursor_is_the_line_behind_which_a_page_begins() -> None:
    assert read_line(of_line(b"s" * 16, b"l" * 16)) == (b"s" * 16, b"l" * 16)
    with pytest.raises(BadParameter):
        read_line("A" * 42)


def test_a_number_without_anybody_behind_it_is_no_list() -> None:
    check_held(0, [])
    check_held(2, [{"adds": 2}])
    with pytest.raises(NotTold, match="TALLY_LEDGER"):
        check_held(2, [])
