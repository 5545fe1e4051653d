"""The loop that looks at what business numbers have sent, once a second, as long as Postgres answers."""

import asyncio
from collections.abc import Callable
from itertools import takewhile

import structlog

from tally.agents.view.model import View
from tally.agents.view.number_pace import NumberOf
from tally.agents.view.queries import Queries
from tally.tables.postgres import number_counts
from tally.tables.postgres.failures import PostgresFailure

LOOK_SECONDS = 1.0

log = structlog.get_logger()


class NumberLooks:
    """Feeds the paces of numbers; while Postgres is away, or behind, there are none.

    `elapsed_s` is the monotonic clock, `unix_s` the other one.
    """

    def __init__(self, queries: Queries, elapsed_s: Callable[[], float], unix_s: Callable[[], float]) -> None:
        self._queries = queries
        self._elapsed_s = elapsed_s
        self._unix_s = unix_s
        self._is_away = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
                self._is_away = False
            except PostgresFailure as failure:
                self._queries.number_paces.forget()
                if not self._is_away:
                    log.warning("cannot look at numbers", sqlstate=failure.sqlstate, group=failure.group)
                self._is_away = True
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Take one look. Raises PostgresFailure."""
        paces = self._queries.number_paces
        window = paces.window(self._elapsed_s(), int(self._unix_s()))
        active = active_since(self._queries.view, window.former_s)
        query = number_counts.sent_query(active, window.former_s, window.since_s)
        receipt, (records,) = await self._queries.stored("", "", lambda _: [query])
        if receipt.state == "catching_up":
            paces.forget()
            return
        sent = {NumberOf(*named): found for named, found in number_counts.sent(records).items()}
        paces.saw(self._elapsed_s(), window, sent)


def active_since(view: View, since_s: int) -> list[tuple[str, str]]:
    """Return tenant and id of each campaign with activity since a moment. Pure."""
    return [
        (tenant, campaign.campaign)
        for tenant in view.tenants()
        for campaign in takewhile(lambda one: one.last_ms >= since_s * 1000, view.recent(tenant))
    ]
