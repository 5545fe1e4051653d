"""Computations in pieces: a generator that yields where it may be interrupted stays pure."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A computation that returns a T; between two of its steps others may run, and what it reads may change."""

PIECE_SECONDS = 0.01
"""How long one piece of a long computation lasts: nothing else of the event loop runs meanwhile."""


async def give_way() -> None:
    """Let everything else that is ready run once."""
    await asyncio.sleep(0)


async def in_pieces(
    steps: Steps[T],
    between: Callable[[], Awaitable[None]] = give_way,
    piece_seconds: float = PIECE_SECONDS,
    now_s: Callable[[], float] = monotonic,
) -> T:
    """Run a computation piece by piece, each of at least one step, and call `between` after each piece.

    An exception of `between` ends the computation and is raised.
    """
    try:
        while True:
            ends = now_s() + piece_seconds
            next(steps)
            while now_s() < ends:
                next(steps)
            await between()
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()


def at_once(steps: Steps[T]) -> T:
    """Run a computation to its end at once, where nothing else waits."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
