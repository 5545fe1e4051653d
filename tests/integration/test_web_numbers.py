"""How fast business numbers send: events, cells in Postgres, looks at them, and the answer over HTTP."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tally.agents.view.number_looks import NumberLooks, active_since
from tally.agents.view.number_pace import WINDOW_SECONDS
from tally.deploy import migrate
from tally.schemas.numbers import Number, numbers_of
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS
from tally.tables.postgres.failures import Away
from tests.integration.test_postgres_cells import fold, level
from tests.integration.test_postgres_sink import Process, process
from tests.support.partition import MemoryPartition
from tests.support.web_api import Api, serving
from tests.support.whatsapp_events import send, status

pytestmark = pytest.mark.asyncio

PATH = "/v1/tenants/t1/numbers"
Event = tuple[str, bytes | None]


class Running:
    """A partition, its sink, the read API over both, and who looks at the numbers, each second of a clock."""

    def __init__(self, ours: Process, api: Api) -> None:
        self._ours = ours
        self.api = api
        self._partition = MemoryPartition()
        self.now_s = time.time()
        self._looks = NumberLooks(api.served, lambda: self.now_s, lambda: self.now_s)

    async def counted(self, *events: Event) -> None:
        """Fold events, until Postgres and view have them."""
        fold(
            self._ours, self._partition, [fact for topic, one in events for fact in READERS[topic](one).facts]
        )
        await level(self._ours)
        for key, value in self._partition.tables[COUNTERS].items():
            self.api.view.apply(0, key, value)
        self.api.catch_up()

    async def look(self, seconds: float = 1.0) -> None:
        self.now_s += seconds
        await self._looks.look()

    async def answer(self) -> dict[str, Any]:
        response, body = await self.api.ask(PATH)
        assert response.status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    async def number(self, number: str = "n1") -> dict[str, Any]:
        (found,) = [one for one in (await self.answer())["numbers"] if one["number"] == number]
        return dict(found)


@asynccontextmanager
async def running(dsn: str) -> AsyncIterator[Running]:
    migrate.up(dsn)
    async with (
        process(dsn) as ours,
        serving(debug=False, partitions=1, dsn=dsn, generation=1) as api,
    ):
        yield Running(ours, api)


def sends(count: int, at_s: float, number: str = "n1", since: int = 0, **more: Any) -> list[Event]:
    who = [{"id": f"{number}-{nth}", "phone": f"+5511999{nth:06}"} for nth in range(since, since + count)]
    return [
        send(message_id=f"w{one['id']}", at=at_s, contact=one, phone_number_id=number, **more) for one in who
    ]


async def test_a_number_has_a_pace_a_peak_and_its_share_of_a_limit_that_is_set(database: str) -> None:
    async with running(database) as ours:
        ours.api.served.numbers = numbers_of(
            {"n1": Number("t1", name="Sales", per_second=80), "n2": Number("t1"), "n3": Number("t2")}
        )
        assert [one["number"] for one in (await ours.answer())["numbers"]] == ["n1", "n2"]
        minute_s = int(ours.now_s) - int(ours.now_s) % 60 - 60
        await ours.counted(*sends(5, minute_s - 1), *sends(4, minute_s, since=5))
        await ours.look()
        assert (await ours.number())["per_second_10s"] is None
        await ours.counted(*sends(36, minute_s + 59, since=9), *sends(7, minute_s, "n9"))
        await ours.look(2.0)
        await ours.counted(*sends(39, minute_s + 60, since=45))
        await ours.look(3.0)
        found = await ours.number()
        peak = {"at": _told(minute_s), "accepted": 40, "per_second": 40 / 60, "limit_share": 0.0083}
        assert found["peak_minute"] == peak
        assert (found["per_second_10s"], found["per_second_1m"]) == (15.0, 15.0)
        assert (found["limit_per_second"], found["limit_share"], found["name"]) == (80, 0.1875, "Sales")
        assert (found["tried"], found["rate_limited"], found["rate_limited_share"]) == (84, 0, 0.0)
        other = await ours.number("n9")
        assert (other["tried"], other["limit_per_second"], other["limit_share"]) == (7, None, None)
        assert [one["number"] for one in (await ours.answer())["numbers"]] == ["n1", "n2", "n9"]


def _told(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_messages_that_were_too_many_a_second_are_a_share_of_what_was_tried(database: str) -> None:
    async with running(database) as ours:
        limited: dict[str, Any] = {"error": {"source": "meta", "code": 130429}}
        refused = [
            send("failed", at=ours.now_s, contact={"id": f"f{nth}", "phone": f"+5511988{nth:06}"}, **limited)
            for nth in range(2)
        ]
        late = status("wn1-0", "failed", int(ours.now_s), errors=[{"code": 130429}])
        other = status("wn1-1", "failed", int(ours.now_s), errors=[{"code": 131026}])
        old = sends(3, ours.now_s - 2 * 86_400, since=100)
        await ours.counted(*sends(8, ours.now_s), *refused, late, other, *old)
        found = await ours.number()
        assert (found["tried"], found["rate_limited"], found["rate_limited_share"]) == (10, 3, 0.3)


async def test_only_campaigns_with_activity_within_the_window_are_looked_at(database: str) -> None:
    async with running(database) as ours:
        long_ago_s = ours.now_s - WINDOW_SECONDS - 3_600
        await ours.counted(
            *sends(1, ours.now_s, campaign="now"), *sends(1, long_ago_s, since=1, campaign="then")
        )
        assert active_since(ours.api.view, int(ours.now_s) - WINDOW_SECONDS) == [("t1", "now")]


async def test_while_postgres_is_away_there_is_no_pace_and_the_answer_is_a_503() -> None:
    async with serving(debug=False) as api:
        with pytest.raises(Away):
            await NumberLooks(api.served, time.monotonic, time.time).look()
        response, body = await api.ask(PATH)
    assert (response.status, json.loads(body)["error"]["code"]) == (503, "postgres_away")


async def test_a_walk_sees_each_of_10_000_numbers_once_while_others_come(database: str) -> None:
    known = {f"n{number * 7_919 % 99_991}": Number("t1") for number in range(10_000)}
    async with running(database) as here:
        await here.counted(*sends(1, here.now_s))
        seen, cursor = list[str](), ""
        for added in range(100):
            here.api.served.numbers = numbers_of({**known, f"m{added}": Number("t1")})
            answer = json.loads((await here.api.ask(f"{PATH}?limit=1000{cursor}"))[1])
            seen += [one["number"] for one in answer["numbers"]]
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"
    assert len(seen) == len(set(seen))
    assert known.keys() <= set(seen)
