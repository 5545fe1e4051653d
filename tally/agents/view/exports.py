"""Exports of the lines behind a number: each of one moment of Postgres, and few at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from tally.agents.view.freshness import Freshness
from tally.agents.view.receipt import Receipt
from tally.tables.postgres.line_exports import Form, export_query
from tally.tables.postgres.lines import BEGINNING, Chosen, lines_query
from tally.tables.postgres.moment import Moment, MomentReader, Records, Sink

MOST = 2
"""Exports at once in a process: each holds a connection of their pool, a snapshot and a core of Postgres."""
OPENING_SECONDS = 5.0
"""Until the number and the first line are known; after that the deadline of the database holds."""
# The other cores are for counting.
_ALONE = "SET LOCAL max_parallel_workers_per_gather = 0"


class Export(Struct, frozen=True):
    """The lines behind a number while their moment is held."""

    chosen: Chosen
    receipt: Receipt
    first: Records
    """What `lines_query` finds of the number and its first line."""
    moment: Moment

    @property
    def number(self) -> int:
        """What all lines add up to."""
        return int(self.first[0]["n"])

    async def copy(self, form: Form, sink: Sink) -> int:
        """Pass all lines to `sink` in a form of files; return how many. Raises PostgresFailure."""
        query = export_query(self.chosen, self.number, form)
        return await self.moment.copy(query, sink, **form.copied_as)


class Exports:
    """What runs exports, over a database of `MOST` connections whose deadline ends each."""

    def __init__(self, postgres: MomentReader, freshness: Freshness) -> None:
        self._postgres = postgres
        self._freshness = freshness
        self._running = 0

    @property
    def is_full(self) -> bool:
        """Whether as many run as may."""
        return self._running >= MOST

    @asynccontextmanager
    async def open(self, chosen: Chosen) -> AsyncIterator[Export]:
        """Hold a moment for the body. Raises PostgresFailure, also when the deadline passes."""
        self._running += 1
        try:
            async with self._postgres.open(chosen.tenant, chosen.campaign) as moment:
                async with asyncio.timeout(OPENING_SECONDS):
                    await moment.execute(_ALONE)
                    first = await moment.fetch(lines_query(chosen, BEGINNING, 1))
                receipt = self._freshness.written_receipt(moment.held, chosen.tenant, chosen.campaign)
                yield Export(chosen, receipt, first, moment)
        finally:
            self._running -= 1
