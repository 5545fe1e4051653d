"""Long computations in pieces: a pure generator yields wherever other tasks may run."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A computation that returns a T. Other tasks may run between two steps, and change what it reads."""

PIECE_SECONDS = 0.01
"""How long one piece of a long computation blocks the event loop."""


async def give_way() -> None:
    """Let all other ready callbacks run once."""
    await asyncio.sleep(0)


async def in_pieces(
    steps: Steps[T],
    between: Callable[[], Awaitable[None]] = give_way,
    piece_seconds: float = PIECE_SECONDS,
    now_s: Callable[[], float] = monotonic,
) -> T:
    """Run a computation in pieces of at least one step, and await `between` after each piece.

    An exception of `between` ends the computation and propagates.
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
    """Run a computation to its end without interruption."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
