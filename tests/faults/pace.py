"""Keeps events flowing while faults strike: slice after slice, with a trickle in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tally.simulator.records import RawRecord
from tests.faults.oracle import Sender

STEP_SECONDS = 0.1
SLICE_SECONDS = 2.0
TRICKLE_PER_SECOND = 50


class Pace:
    """Sends the records of the present slice within some seconds, then only a trickle."""

    def __init__(self, sender: Sender, records: Sequence[RawRecord]) -> None:
        self._sender = sender
        self._records = records
        self._slice_end = 0
        self._step = 1
        self._is_over = False
        self.sent = 0

    def begin(self, slice_end: int) -> None:
        """Begin the slice that ends at a record."""
        self._step = max(1, round((slice_end - self.sent) * STEP_SECONDS / SLICE_SECONDS))
        self._slice_end = slice_end

    async def slice_sent(self, timeout_seconds: float) -> None:
        """Wait until the present slice is sent. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while self.sent < self._slice_end:
                await asyncio.sleep(STEP_SECONDS)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Send while the block lasts, then the rest at once."""
        sending = asyncio.ensure_future(self._keep())
        try:
            yield
            assert not sending.done(), "the events ran out"
        finally:
            self._is_over = True
            await sending
        await self._sender.send(self._records[self.sent :])

    async def _keep(self) -> None:
        trickle = round(TRICKLE_PER_SECOND * STEP_SECONDS)
        while self.sent < len(self._records) and not self._is_over:
            step = self._step if self.sent < self._slice_end else trickle
            records = self._records[self.sent : self.sent + step]
            await self._sender.send(records)
            self.sent += len(records)
            await asyncio.sleep(STEP_SECONDS)
