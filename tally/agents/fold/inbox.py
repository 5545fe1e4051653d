"""Runs of one partition that wait to be folded."""

import asyncio
from collections import deque
from contextlib import suppress

from tally.agents.fold.intake import Run


class Inbox:
    """Takes runs without waiting and hands them out together; the transport bounds how many there are."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()
        self._changed = asyncio.Event()
        self._records = 0
        self.closed = False

    def put(self, run: Run) -> None:
        """Add a run."""
        self._runs.append(run)
        self._records += len(run.records)
        self._changed.set()

    def clear(self) -> None:
        """Drop what waits: it will be delivered again."""
        self._runs.clear()
        self._records = 0

    def close(self) -> None:
        """End the partition's loop: it was revoked."""
        self.closed = True
        self.clear()
        self._changed.set()

    async def gather(self, timeout_seconds: float, enough_records: int) -> None:
        """Let runs gather, until there are enough, or the time is over, or the partition is revoked."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._records < enough_records and not self.closed:
                    self._changed.clear()
                    await self._changed.wait()

    async def take(self, max_records: int) -> list[Run]:
        """Wait for runs and return as many as fit; none at all once closed.

        Waits without a deadline: an idle partition is healthy.
        """
        while not self._runs and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        taken: list[Run] = []
        size = 0
        while self._runs and (not taken or size + len(self._runs[0].records) <= max_records):
            run = self._runs.popleft()
            size += len(run.records)
            taken.append(run)
        self._records -= size
        return taken
