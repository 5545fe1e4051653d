"""The log of answers that were slow or failed: so many lines a second, then one that says how many more.

A line costs as much as a webhook. With one for each answer, a server that is too slow would get slower.
"""

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct

SECOND = 1.0
MOST_A_SECOND = 50

log = structlog.get_logger()


class Answered(Struct, frozen=True):
    """An answer as its line names it: no parameter, no address, no person."""

    method: str
    route: str
    status: int
    ms: int
    request_id: str
    key_id: str


class SlowAnswers:
    """Writes down what it is told, a line each, and sums up what is beyond `MOST_A_SECOND`."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._since_s = float("-inf")
        self._said = self._more = self._failed = self._slowest_ms = 0

    def note(self, answer: Answered) -> None:
        """Write an answer down, or add it to the sum of this second."""
        now_s = self._now_s()
        if now_s - self._since_s >= SECOND:
            self._sum_up()
            self._since_s, self._said = now_s, 0
        if self._said < MOST_A_SECOND:
            self._said += 1
            log.info(
                "answered",
                method=answer.method,
                route=answer.route,
                status=answer.status,
                ms=answer.ms,
                request_id=answer.request_id,
                key_id=answer.key_id,
            )
            return
        if not self._more:
            asyncio.get_running_loop().call_later(self._since_s + SECOND - now_s, self._sum_up)
        self._more += 1
        self._failed += answer.status >= 500
        self._slowest_ms = max(self._slowest_ms, answer.ms)

    def _sum_up(self) -> None:
        if self._more:
            log.info("answered more", more=self._more, failed=self._failed, slowest_ms=self._slowest_ms)
            self._more = self._failed = self._slowest_ms = 0
