"""Repeats a comparison before a difference is reported."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

TRIES = 3
PAUSE_SECONDS = 1.0
"""Pause before the next look: events that were under way have been counted by then."""

Asked = ParamSpec("Asked")
Found = TypeVar("Found")


async def rechecked(
    look: Callable[Asked, Awaitable[list[Found]]], *args: Asked.args, **kwargs: Asked.kwargs
) -> list[Found]:
    """Repeat a look at most `TRIES` times until it finds nothing; return the findings of the last look."""
    found = await look(*args, **kwargs)
    for _ in range(TRIES - 1):
        if not found:
            break
        await asyncio.sleep(PAUSE_SECONDS)
        found = await look(*args, **kwargs)
    return found
