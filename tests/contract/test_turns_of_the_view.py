"""Laws of cost: no turn of the event loop takes view or sink more than 50 ms of CPU."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from tally.agents.view.model import View
from tally.schemas.bounds import TEMPLATES_SHOWN
from tally.schemas.counters import PLAIN
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.rows import Row, encode
from tally.tables.pieces import in_pieces
from tally.tables.postgres.row_kind import ROWS
from tally.tables.postgres.writer import Order, Written
from tests.support.sink_doubles import DEFAULT, Hands, Life, MemoryPostgres
from tests.support.sink_logs import Partition
from tests.support.steps import STEP_SECONDS, Steps, least, watched_steps
from tests.support.view_rows import put_operator
from tests.support.web_api import Api, serving

PARTITIONS = 8
TIMES = 3
DEADLINE_SECONDS = 60.0
FEW = {"contacts": 1, "attempts": 1, "accepted": 1, "sent": 1, "delivered": 1}
MANY = dict.fromkeys(PLAIN[:22], 7) | {f"time_to_read.{bucket}": 3 for bucket in range(26)}
"""As many counts as a busy campaign has in one partition."""

Asked = Callable[[Api], Awaitable[object]]


class Writer(MemoryPostgres):
    """As the real one, which makes records of rows and waits for an answer."""

    async def write(self, order: Order, search: bool = False) -> Written:
        await in_pieces(ROWS.statements([(key, value) for (_, key), value in order.entries.items()]))
        await asyncio.sleep(0)
        return await super().write(order, search)


def fill(view: View, campaigns: int, templates: int, counts: dict[str, int], partitions: int) -> None:
    value = encode(Row(1, 1_795_000_000_000, 1_795_000_001_000, ["77"], counts, ["whatsapp"]))
    for campaign in range(campaigns):
        for template in range(templates):
            key = RowKey(
                "t1", f"c{campaign}", Template(f"promo_{template * 7919 % templates}", "pt_BR")
            ).encode()
            for partition in range(partitions):
                view.apply(partition, key, value)


async def get(api: Api, target: str) -> bytes:
    response, body = await api.ask(target)
    assert response.status == 200
    return body


def measured(ask: Asked, prepare: Callable[[View], None], times: int = 1) -> Steps:
    """Ask a worker that has just started, so that nothing is kept of what was answered before."""

    async def asked() -> Steps:
        async with asyncio.timeout(DEADLINE_SECONDS), serving(debug=False, partitions=PARTITIONS) as api:
            prepare(api.view)
            with watched_steps() as steps:
                await ask(api)
            return steps

    return least(times, lambda: asyncio.run(asked()))


@pytest.mark.alone
def test_a_campaign_of_20000_templates_in_8_partitions_is_answered_in_half_a_second() -> None:
    bodies: list[bytes] = []

    async def ask(api: Api) -> None:
        bodies.append(await get(api, "/v1/tenants/t1/campaigns/c0"))

    steps = measured(ask, lambda view: fill(view, 1, 20_000, FEW, PARTITIONS), TIMES)
    answer = orjson.loads(bodies[-1])
    assert answer["totals"]["contacts"] == 160_000
    assert len(answer["templates"]) == TEMPLATES_SHOWN.most
    assert answer["templates_more"]["templates"] == 19_000
    assert steps.seconds < 0.5
    assert steps.largest_seconds < STEP_SECONDS


@pytest.mark.parametrize(
    "target", ["campaigns?limit=500", "campaigns/c7", "operators", "operators?state=in_call"]
)
def test_no_answer_keeps_others_waiting(target: str) -> None:
    def prepare(view: View) -> None:
        fill(view, 500, 20, MANY, 4)
        for n in range(20_000):
            put_operator(view, "t1", f"PJSIP/{n * 7919 % 20_000}", {"connects": 1, "memberships.q/status": 1})

    steps = measured(lambda api: get(api, f"/v1/tenants/t1/{target}"), prepare)
    assert steps.largest_seconds < STEP_SECONDS


def test_a_hundred_thousand_rows_come_to_postgres_without_keeping_anybody_waiting() -> None:
    async def written() -> Steps:
        partition, postgres = Partition(), Writer()
        value = encode(Row(1, 1_795_000_000_000, 1_795_000_001_000, ["77"], MANY, ["whatsapp"]))
        for campaign in range(20):
            names = [RowKey("t1", f"c{campaign}", Template(f"promo_{n}", "pt_BR")) for n in range(5_000)]
            partition.commit({name.encode(): value for name in names})
        life = Life(Hands({0: partition}, postgres), config=DEFAULT)
        with watched_steps() as steps:
            await life.run(lambda: len(postgres.rows) == 100_000, 0.01, 100_000)
        return steps

    assert asyncio.run(written()).largest_seconds < STEP_SECONDS
