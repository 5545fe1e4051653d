"""Which campaigns fail too much, judged again when rows have changed: a metric tells how many."""

import asyncio
from collections.abc import Callable

from tally.agents.view.campaign import Campaign
from tally.agents.view.queries import Queries
from tally.schemas.grains import RowKey

JUDGE_SECONDS = 15.0
ACTIVE_MS = 86_400_000
"""A campaign without activity for longer is of the past: nobody can stop it any more."""

Scope = tuple[str, str]
"""Tenant and campaign."""


class FailingCampaigns:
    """The campaigns of the view whose share of failures is surely too high."""

    def __init__(self, queries: Queries, now_ms: Callable[[], int]) -> None:
        self._queries = queries
        self._now_ms = now_ms
        self._changed: set[Scope] = set()
        self._failing: dict[Scope, int] = {}
        """Each with the time of its last activity."""
        queries.view.listeners.append(self._note)

    def __len__(self) -> int:
        """Return how many fail of those that were active within a day."""
        since_ms = self._now_ms() - ACTIVE_MS
        return sum(last_ms >= since_ms for last_ms in self._failing.values())

    async def run(self) -> None:
        """Judge for ever what has changed."""
        while True:
            await asyncio.sleep(JUDGE_SECONDS)
            await self.judge()

    async def judge(self) -> None:
        """Judge the campaigns whose rows have changed since this was last called, and that are of today."""
        since_ms = self._now_ms() - ACTIVE_MS
        changed, self._changed = self._changed, set()
        for scope in {*changed, *self._failing}:
            found = self._queries.campaign(*scope)
            if found is None or found.last_ms < since_ms:
                self._failing.pop(scope, None)
            elif scope in changed:
                await self._judge(scope, found)

    async def _judge(self, scope: Scope, found: Campaign) -> None:
        if await self._queries.is_failing(found):
            self._failing[scope] = found.last_ms
        else:
            self._failing.pop(scope, None)

    def _note(self, _: int, key: RowKey) -> None:
        if key.campaign:
            self._changed.add((key.tenant, key.campaign))
