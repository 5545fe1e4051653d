"""Route's loop: read a run, append its facts, keep its dead letters, and only then let its offset move."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from tally.agents.route.decision import RawRecord, RoutedRun, route_run
from tally.schemas.errors import Reason
from tally.tables.dead_letters import DeadLetters, detail_of
from tally.tables.facts_log import FactsLog


class RawRun(Protocol):
    """Consecutive raw records of one partition."""

    @property
    def records(self) -> Sequence[RawRecord]: ...  # noqa: D102 - said above

    def ack(self) -> None:
        """Let the group's offset move past these records."""


class RouteWatch(Protocol):
    """Who wants to know what route does."""

    def routed(self, source: str, run: RoutedRun) -> None:
        """A run is read, its facts and dead letters are safe."""

    def dead_letter(self, source: str, reason: Reason) -> None:
        """One raw record became a dead letter."""


MAX_PASS_RECORDS = 5_000
PASSES = 2
"""While one pass waits for its acknowledgements, the next one reads."""


class Route:
    """Turns raw runs into facts, pass after pass; a pass takes all runs that have come meanwhile.

    So the fewest requests go out when there is most to do. The order of runs does not matter: merging is a
    join. How many there can be is bounded by the transport.
    """

    def __init__(
        self,
        facts: FactsLog,
        dead_letters: DeadLetters,
        watch: RouteWatch,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._facts = facts
        self._dead_letters = dead_letters
        self._watch = watch
        self._failed = failed
        self._waiting: deque[tuple[str, RawRun]] = deque()
        self._passes: set[asyncio.Task[None]] = set()

    def deliver(self, source: str, run: RawRun) -> None:
        """Take a run; it is acknowledged once its facts and dead letters are safe."""
        self._waiting.append((source, run))
        self._begin()

    def _begin(self) -> None:
        if self._waiting and len(self._passes) < PASSES:
            task = asyncio.ensure_future(self._pass())
            self._passes.add(task)
            task.add_done_callback(self._ended)

    async def _pass(self) -> None:
        runs = self._take()
        routed = [(source, run, route_run(source, run.records)) for source, run in runs]
        for source, _, found in routed:
            for record, bad in found.bad:
                reason = bad.bad[0].reason
                await self._dead_letters.keep(record, reason, detail_of(bad.bad))
                self._watch.dead_letter(source, reason)
        await self._facts.append([fact for _, _, found in routed for fact in found.facts])
        for source, run, found in routed:
            run.ack()
            self._watch.routed(source, found)

    def _take(self) -> list[tuple[str, RawRun]]:
        taken = [self._waiting.popleft()] if self._waiting else []
        records = sum(len(run.records) for _, run in taken)
        while self._waiting and records + len(self._waiting[0][1].records) <= MAX_PASS_RECORDS:
            taken.append(self._waiting.popleft())
            records += len(taken[-1][1].records)
        return taken

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._passes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
        self._begin()
