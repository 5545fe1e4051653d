"""Route's loop: read a run, append its facts, keep its dead letters, and only then let its offset move."""

import asyncio
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


class Route:
    """Turns raw runs into facts; several runs wait for their acknowledgements side by side.

    The transport bounds how many runs are under way. Their order does not matter: merging is a join.
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
        self._under_way: set[asyncio.Task[None]] = set()

    def deliver(self, source: str, run: RawRun) -> None:
        """Read a run at once and see to its acknowledgement in a task of its own."""
        task = asyncio.ensure_future(self._route(source, run))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    async def _route(self, source: str, run: RawRun) -> None:
        routed = route_run(source, run.records)
        for record, found in routed.bad:
            reason = found.bad[0].reason
            await self._dead_letters.keep(record, reason, detail_of(found.bad))
            self._watch.dead_letter(source, reason)
        await self._facts.append(routed.facts)
        run.ack()
        self._watch.routed(source, routed)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
