"""Looking again before anything is called wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

TRIES = 3
PAUSE_SECONDS = 1.0
"""A copy is read changelog by changelog while transactions go on: one that is torn is whole the next time."""

Asked = ParamSpec("Asked")
Found = TypeVar("Found")


async def rechecked(
    look: Callable[Asked, Awaitable[list[Found]]], *args: Asked.args, **kwargs: Asked.kwargs
) -> list[Found]:
    """Look until nothing is found any more, a few times; return what the last look found."""
    found = await look(*args, **kwargs)
    for _ in range(TRIES - 1):
        if not found:
            break
        await asyncio.sleep(PAUSE_SECONDS)
        found = await look(*args, **kwargs)
    return found
