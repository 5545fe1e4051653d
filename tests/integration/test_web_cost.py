"""What a campaign costs, worked out by hand: events, cells in Postgres, a loaded card, answers over HTTP."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tally.deploy import migrate
from tally.schemas.numbers import Number, numbers_of
from tally.schemas.rates.reading import read_card
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS
from tally.streams.operations import rates
from tests.integration.test_postgres_cells import fold, level
from tests.integration.test_postgres_sink import process
from tests.support.partition import MemoryPartition
from tests.support.web_api import Api, serving
from tests.support.whatsapp_events import PHONE, hook, send, status

pytestmark = pytest.mark.asyncio

DOCS = Path(__file__).parents[2] / "docs" / "money.md"
CARD = """\
effective_from,currency,market,category,rate
2026-07-01,USD,BR,marketing,0.06
2026-10-01,USD,BR,marketing,0.062501
2026-07-01,USD,North America,utility,0.004
2026-07-01,EUR,BR,marketing,0.05
"""
NETHERLANDS = b"2026-07-01,EUR,NL,marketing,0.1\n"
BRAZIL, INDIA, CANADA = "+5511999990001", "+919999900001", "+14165550101"
PATH = "/v1/tenants/t1/campaigns/c1/cost"
Event = tuple[str, bytes | None]
Answer = dict[str, Any]


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]  # year to minute


class World:
    """Events of campaigns; every message has a contact of its own."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ids: Iterator[int] = count()

    def message(
        self,
        at_s: int,
        priced_as: tuple[str, str] | None = ("marketing", "regular"),
        phone: str = BRAZIL,
        last: str = "delivered",
        template: str = "promo",
        number: str = "n1",
        campaign: str = "c1",
    ) -> None:
        """Send a message, and let its status come at once and again at the end of a long night."""
        named = f"w{next(self._ids)}"
        who = {"id": named, "phone": phone[:-5] + f"{int(phone[-5:]) + next(self._ids):05}"}
        sent: Answer = {
            "contact": who,
            "template": {"name": template, "language": "nl"},
            "phone_number_id": number,
        }
        self.events.append(send(message_id=named, at=at_s, campaign=campaign, **sent))
        priced: Answer = {}
        if priced_as is not None:
            priced = {"pricing": dict(zip(("category", "type"), priced_as, strict=True))}
        for one in ("sent", "delivered", "read")[: ("sent", "delivered", "read").index(last) + 1]:
            self.events += [status(named, one, at_s + 40_000, number=number, **priced)] * 2


def world() -> World:
    """Return what the answers below are worked out of."""
    made = World()
    # Midnight of 1 October is 03:00 UTC in São Paulo, and 11:00 UTC of 30 September in Auckland.
    before, auckland = at(2026, 9, 30, 10, 59), at(2026, 9, 30, 11, 0)
    late, sao_paulo = at(2026, 10, 1, 2, 59), at(2026, 10, 1, 3, 0)
    for moment, times in ((before, 3), (auckland, 2), (late, 2), (sao_paulo, 1)):
        for _ in range(times):
            made.message(moment)
    made.message(before, last="read", template="news", number="n2")
    made.message(before, ("marketing", "free_entry_point"), template="news", number="n2")
    made.message(before, ("utility", "regular"), CANADA, template="news", number="n2")
    made.message(before, ("marketing", "regular"), INDIA)  # no rate
    made.message(before, ("marketing", "tomorrow"))  # a type that nobody knows
    made.message(before, None)  # no price
    made.message(at(2026, 6, 29, 12, 0))  # before the card
    made.message(before, last="sent")  # not delivered, so not billed
    made.message(before, campaign="c2")
    made.events.append(hook(messages=[_reply(before + 60)]))
    return made


def _reply(at_s: int) -> Answer:
    return {"id": "in-1", "type": "text", "timestamp": str(at_s), "from": "5511999990002"}


@asynccontextmanager
async def answering(dsn: str, made: World, known: Mapping[str, Number] | None = None) -> AsyncIterator[Api]:
    """Fold events, write their cells to Postgres, load the card, and serve the read API over both."""
    migrate.up(dsn)
    partition = MemoryPartition()
    async with process(dsn) as ours:
        facts = [fact for topic, value in made.events for fact in READERS[topic](value).facts]
        fold(ours, partition, facts)
        await level(ours)
    async with serving(debug=False, partitions=1, dsn=dsn, generation=1) as api:
        api.served.numbers = numbers_of(known or {})
        for key, value in partition.tables[COUNTERS].items():
            api.view.apply(0, key, value)
        api.catch_up()
        yield api


async def told(api: Api, query: str, path: str = PATH) -> Answer:
    response, body = await api.ask(f"{path}?{query}")
    answer: Answer = json.loads(body)
    assert response.status == 200, answer
    assert answer["receipt"]["partitions"] == {"ready": 1, "of": 1}
    return answer


def brief(one: Answer) -> tuple[int, ...]:
    return tuple(one[name] for name in ("cost_micros", "priced", "free", "unpriced"))


def groups(answer: Answer) -> dict[Any, tuple[int, ...]]:
    grouped = {}
    for one in answer["groups"]:
        name = next(iter(one.values()))
        grouped[tuple(name.values()) if isinstance(name, dict) else name] = brief(one)
    assert tuple(map(sum, zip(*grouped.values(), strict=True))) == brief(answer["total"])
    return grouped


async def test_a_campaign_over_midnight_of_a_change_worked_out_by_hand(database: str) -> None:
    async with answering(database, world()) as api:
        await rates.load(database, read_card(CARD.encode()))
        # 7 of promo and 1 of news before the change, 1 after it; 1 to Canada.
        answer = await told(api, "currency=USD&timezone=America/Sao_Paulo")
        micros = 8 * 60_000 + 62_501 + 4_000
        assert answer["total"] == {
            **{"cost": "0.546501", "cost_micros": micros, "priced": 10, "free": 1, "unpriced": 4},
            **{"delivered": 15, "read": 1, "replied": 1},
            "micros_per_delivered": 36_433,
            **{"micros_per_read": micros, "micros_per_replied": micros},
        }
        # 3 of promo, 1 of news before it, 5 after.
        answer = await told(api, "currency=USD&timezone=Pacific/Auckland")
        assert brief(answer["total"]) == (4 * 60_000 + 5 * 62_501 + 4_000, 10, 1, 4)
        # A card that begins before has no change between: in euros both zones are the same.
        euros = [
            brief((await told(api, f"currency=EUR&timezone={zone}"))["total"])
            for zone in ("America/Sao_Paulo", "Pacific/Auckland")
        ]
        assert euros == [(9 * 50_000, 9, 1, 5)] * 2


async def test_a_cost_is_split_by_template_number_market_and_rate_and_by_days(database: str) -> None:
    async with answering(database, world()) as api:
        await rates.load(database, read_card(CARD.encode()))
        query = "currency=USD&timezone=America/Sao_Paulo"
        promo, news = (7 * 60_000 + 62_501, 8, 0, 4), (64_000, 2, 1, 0)
        assert groups(await told(api, f"{query}&group_by=template")) == {
            ("news", "nl"): news,
            ("promo", "nl"): promo,
        }
        assert groups(await told(api, f"{query}&group_by=number")) == {"n1": promo, "n2": news}
        assert groups(await told(api, f"{query}&group_by=market")) == {
            "BR": (8 * 60_000 + 62_501, 9, 1, 3),
            "CA": (4_000, 1, 0, 0),
            "IN": (0, 0, 0, 1),
        }
        assert groups(await told(api, f"{query}&group_by=rate")) == {
            ("BR", "", "", None, None): (0, 0, 0, 1),
            ("BR", "marketing", "free_entry_point", None, None): (0, 0, 1, 0),
            ("BR", "marketing", "other", None, None): (0, 0, 0, 1),
            ("BR", "marketing", "regular", None, None): (0, 0, 0, 1),
            ("BR", "marketing", "regular", "2026-07-01", 60_000): (480_000, 8, 0, 0),
            ("BR", "marketing", "regular", "2026-10-01", 62_501): (62_501, 1, 0, 0),
            ("CA", "utility", "regular", "2026-07-01", 4_000): (4_000, 1, 0, 0),
            ("IN", "marketing", "regular", None, None): (0, 0, 0, 1),
        }
        days = [
            brief((await told(api, f"{query}&from={first}&to={last}"))["total"])
            for first, last in (
                ("2009-01-01", "2026-06-30"),
                ("2026-07-01", "2026-09-30"),
                ("2026-10-01", "9998-12-31"),
            )
        ]
        assert days == [(0, 0, 0, 1), (484_000, 9, 1, 3), (62_501, 1, 0, 0)]
        tenant = await told(api, f"{query}&group_by=campaign", "/v1/tenants/t1/cost")
        assert groups(tenant) == {"c1": (546_501, 10, 1, 4), "c2": (60_000, 1, 0, 0)}
        nobody = await told(api, query, "/v1/tenants/t2/cost")
        assert brief(nobody["total"]) == (0, 0, 0, 0)
        assert nobody["total"]["micros_per_delivered"] is None


async def test_a_customer_who_replied_to_two_templates_is_one_in_every_total(database: str) -> None:
    made, sent_s = World(), at(2026, 10, 2, 9, 0)
    for nth, template in enumerate(("promo", "news")):
        named = {"name": template, "language": "nl"}
        made.events.append(send(message_id=f"w{nth}", at=sent_s + nth, template=named))
        priced = {"category": "marketing", "type": "regular"}
        made.events.append(status(f"w{nth}", "delivered", sent_s + 60, pricing=priced))
    reply = {"id": "in-1", "type": "text", "timestamp": str(sent_s + 120), "from": PHONE}
    made.events.append(hook(messages=[reply]))
    async with answering(database, made) as api:
        await rates.load(database, read_card(b"effective_from,currency,market,category,rate\n" + NETHERLANDS))
        whole = (await told(api, ""))["total"]
        assert (whole["cost_micros"], whole["delivered"], whole["replied"]) == (200_000, 2, 1)
        for group in ("template", "number", "market", "campaign"):
            path = PATH if group != "campaign" else "/v1/tenants/t1/cost"
            answer = await told(api, f"group_by={group}", path)
            assert (answer["total"], answer["total"]["micros_per_replied"]) == (whole, 200_000)
        by_template = (await told(api, "group_by=template"))["groups"]
        assert [(one["cost_micros"], one["replied"]) for one in by_template] == [(100_000, 1)] * 2


async def test_each_numbers_days_are_those_of_its_own_account(database: str) -> None:
    made = World()
    for number in ("n1", "n2", "n3"):
        # São Paulo has 30 September still, Auckland 1 October, and so has UTC.
        made.message(at(2026, 10, 1, 2, 59), number=number)
    known = {
        "n1": Number("t1", timezone="America/Sao_Paulo"),
        "n2": Number("t1", timezone="Pacific/Auckland"),
        "n3": Number("t2", timezone="America/Sao_Paulo"),
    }
    async with answering(database, made, known) as api:
        await rates.load(database, read_card(CARD.encode()))
        answer = await told(api, "currency=USD&group_by=number")
        assert groups(answer) == {
            "n1": (60_000, 1, 0, 0),
            "n2": (62_501, 1, 0, 0),
            "n3": (62_501, 1, 0, 0),
        }
        assert answer["timezones"] == {"n1": "America/Sao_Paulo", "n2": "Pacific/Auckland"}
        answer = await told(api, "currency=USD&from=2026-10-01&group_by=number")
        assert groups(answer) == {"n2": (62_501, 1, 0, 0), "n3": (62_501, 1, 0, 0)}
        answer = await told(api, "currency=USD&timezone=America/Sao_Paulo")
        assert (brief(answer["total"]), answer["timezones"]) == ((180_000, 3, 0, 0), {})


async def test_what_cannot_be_priced_says_why_and_what_can(database: str) -> None:
    made = World()
    made.message(at(2026, 10, 1, 3, 0))
    async with answering(database, made) as api:

        async def refused(query: str, path: str = PATH) -> tuple[int, str]:
            response, body = await api.ask(f"{path}?{query}")
            return response.status, json.loads(body)["error"]["message"]

        unknown = PATH.replace("c1", "c9")
        assert await refused("currency=USD", unknown) == (404, "nothing is counted for this campaign")
        tenant = "/v1/tenants/t1/cost"
        assert await refused("", tenant) == (422, "no rate card is loaded: expected tally rates load")
        await rates.load(database, read_card(CARD.encode()))
        assert await refused("", tenant) == (400, "currency must be one of EUR, USD")
        assert await refused("currency=GBP", tenant) == (422, "currency=GBP has no rates: EUR, USD have")
        untold = "group_by=campaign is told of a tenant; template, number, market and rate are here"
        assert await refused("currency=USD&group_by=campaign") == (422, untold)
        for query, said in (
            ("currency=usd", "currency must be three capital letters, such as USD"),
            ("currency=USD&currency=EUR", "currency must be given once"),
            ("timezone=CEST", "timezone must be an IANA name"),
            ("timezone=", "timezone must be an IANA name"),
            ("from=2026-10-02&to=2026-10-01", "from must not be after to"),
            ("from=2026-10-01T00:00:00Z", "from must be a date from 2009 on"),
            ("to=2008-12-31", "to must be a date from 2009 on"),
            ("to=2026-02-30", "to must be a date from 2009 on"),
            ("to=20261001", "to must be a date from 2009 on"),
            ("group_by=hour", "group_by must be one of template, number, market, campaign, rate"),
            ("colour=red", "unknown parameter 'colour'"),
        ):
            code, message = await refused(query, tenant)
            assert (code, message.startswith(said)) == (400, True), message


async def test_while_postgres_is_away_the_answer_is_a_503_that_says_what_goes_on() -> None:
    async with serving(debug=False) as api:
        response, body = await api.ask("/v1/tenants/t1/cost")
    assert (response.status, json.loads(body)["error"]["code"]) == (503, "postgres_away")


async def test_the_query_of_the_docs_comes_to_the_same(database: str) -> None:
    queries = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (query,) = [one for one in queries if "FROM tally.cells" in one]
    query = query.replace("'acme'", "'t1'").replace("'spring'", "'c1'")
    async with answering(database, world()) as api:
        await rates.load(database, read_card(CARD.encode()))
        connection = await asyncpg.connect(database)
        try:
            found = await connection.fetch(query)
        finally:
            await connection.close()
        answer = await told(api, "currency=USD&timezone=America/Sao_Paulo&group_by=rate")
    by_sql = {
        (one["market"], one["category"], one["type"], one["effective_from"], one["micros"]): one["messages"]
        for one in found
    }
    ours = {
        (*list(one["rate"].values())[:3], _day(one["rate"]["effective_from"]), one["rate"]["micros"]): one[
            "priced"
        ]
        for one in answer["groups"]
        if one["priced"]
    }
    assert by_sql == ours
    assert sum(one["cost_micros"] for one in found) == answer["total"]["cost_micros"]


def _day(text: str) -> date:
    return date.fromisoformat(text)
