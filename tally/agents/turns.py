"""Turns: long computations of one event loop come one at a time, and who waits for an answer runs between."""

import asyncio
from collections.abc import Callable

TURN_SECONDS = 0.02
"""How long one turn lasts at most, but for the step that it ends with."""
BREATHS = 4
"""Rounds of the event loop between two computations.

A commit takes some sixteen steps, and most of them only hand something on. With one round between, each
step waited for a computation of its own; with four a commit took three quarters of the time under load.
"""


class Turns:
    """Keeps computations that are ready together from running in a row.

    Every answer of Kafka would wait for all of them, at each of the dozen steps of a commit: with eight
    partitions under load a commit took half as long again.
    """

    def __init__(self, breaths: int = BREATHS) -> None:
        self._breaths = breaths
        self._last: asyncio.Future[None] | None = None

    async def take(self) -> None:
        """Wait for one's turn, first come, first served; it lasts until the next await."""
        loop = asyncio.get_running_loop()
        before, mine = self._last, loop.create_future()
        self._last = mine
        try:
            if before is not None and not before.done():
                await before
        finally:
            # Not now: what is ready by then goes first. And whoever was cancelled holds up nobody.
            loop.call_soon(_pass_on, mine, self._breaths)


class Pace:
    """One computation that takes turn after turn; only when it pauses depends on the clock."""

    def __init__(self, turns: Turns, monotonic: Callable[[], float]) -> None:
        self._turns = turns
        self._monotonic = monotonic
        self._until = 0.0

    async def begin(self) -> None:
        """Take a turn."""
        await self._turns.take()
        self._until = self._monotonic() + TURN_SECONDS

    async def pause(self) -> None:
        """Between two steps: take another turn where this one has lasted long enough."""
        if self._monotonic() >= self._until:
            await self.begin()


def _pass_on(turn: "asyncio.Future[None]", breaths: int) -> None:
    if breaths > 1:
        turn.get_loop().call_soon(_pass_on, turn, breaths - 1)
    elif not turn.done():
        turn.set_result(None)
