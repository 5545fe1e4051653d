"""Waiting for a condition with a deadline."""

import asyncio
from collections.abc import Callable

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], bool], deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(deadline_seconds):
        while not condition():
            await asyncio.sleep(0.002)
