"""Computations of one event loop come one after the other, and I/O goes on between their pieces."""

import asyncio
from collections.abc import Callable

TURN_SECONDS = 0.02
"""How long one turn lasts at most, but for the step that it ends with."""
HOLD_SECONDS = 0.3
"""How long one computation goes on, turn after turn, before the next one has its turns.

Computations that alternate after each turn are all under way at once: each holds what it has read, the caches
hold nothing of it when its turn comes, and each ends late. With a turn each, eight partitions under load made
a third more transactions for the same facts, and an event took a sixth more CPU.
"""
YIELDS_BETWEEN = 4
"""Rounds of the event loop between two turns.

A commit takes some sixteen steps, and most of them only hand something on. With one round between, each
step waited for a computation of its own; with four a commit took three quarters of the time under load.
"""


class ComputeGate:
    """Keeps computations that are ready together from running in a row.

    Otherwise every answer of Kafka waits for all of them, at each of the dozen steps of a commit: with eight
    partitions under load a commit took half as long again.
    """

    def __init__(self, yields: int = YIELDS_BETWEEN) -> None:
        self._yields = yields
        self._lock = asyncio.Lock()

    async def enter(self) -> None:
        """Wait for a turn, first come, first served; it lasts until the next await."""
        await self.acquire()
        self.release()

    async def acquire(self) -> None:
        """Wait for a turn, first come, first served; it lasts until `release`."""
        await self._lock.acquire()

    def release(self) -> None:
        """Let the next one have its turn, after all that is ready by then and what that sets off."""
        asyncio.get_running_loop().call_soon(self._pass_on, self._yields)

    async def yield_to_io(self) -> None:
        """Let all that is ready run, and what that sets off."""
        for _ in range(self._yields):
            await asyncio.sleep(0)

    def _pass_on(self, yields: int) -> None:
        if yields > 1:
            asyncio.get_running_loop().call_soon(self._pass_on, yields - 1)
        else:
            self._lock.release()


class Computation:
    """One computation: I/O goes on between its turns, and others have theirs now and then.

    The clock decides only when it pauses. A caller that begins must end, also after an exception.
    """

    def __init__(self, gate: ComputeGate, monotonic: Callable[[], float]) -> None:
        self._gate = gate
        self._monotonic = monotonic
        self._holds = False
        self._until = self._holds_until = 0.0

    async def begin(self) -> None:
        """Wait for the turn of this computation."""
        await self._gate.acquire()
        self._holds = True
        began = self._monotonic()
        self._until, self._holds_until = began + TURN_SECONDS, began + HOLD_SECONDS

    async def pause(self) -> None:
        """Between two steps: let I/O go on where the turn has lasted long enough, and others have theirs."""
        now = self._monotonic()
        if now < self._until:
            return
        if now >= self._holds_until:
            self.end()
            await self.begin()
            return
        await self._gate.yield_to_io()
        self._until = self._monotonic() + TURN_SECONDS

    def end(self) -> None:
        """Let others have their turns; harmless twice."""
        if self._holds:
            self._holds = False
            self._gate.release()
