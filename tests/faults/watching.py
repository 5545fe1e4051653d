"""A polling dashboard: no number shown may decrease except by a named correction."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import aiohttp
import orjson
from msgspec import Struct, field

from tally.simulator.records import SEND_RESULTS, RawRecord
from tests.faults.hooked_worker import HookedWorker
from tests.support.keys import answers_of

POLL_SECONDS = 0.5
PAGE = 500
GROWING = ("contacts", "attempts", "accepted", "sent", "delivered", "read")
"""Counters that new facts can only raise, unless one fact supersedes another.

Counters of calls are excluded: a late event may show that two attempts were one, or that another leg
answered, and corrects them (docs/calls.md).
"""

Campaign = tuple[str, str]
Shown = dict[tuple[Campaign, str], int]


class Watcher(Struct):
    """The numbers that each worker has shown last, across its restarts."""

    contested: Mapping[Campaign, int]
    """Number of messages that another campaign claims too; each may move to that campaign once."""
    shown: dict[str, Shown] = field(default_factory=dict)
    lost: Counter[tuple[str, Campaign, str]] = field(default_factory=Counter)
    fallen: list[str] = field(default_factory=list)
    """Decreases beyond contested messages: worker, campaign, counter, from and to."""
    answers: int = 0

    async def watch(self, workers: Sequence[HookedWorker], tenants: Iterable[str]) -> None:
        """Poll all workers until cancelled; a worker that does not answer shows no number."""
        while True:
            for worker in workers:
                for tenant in tenants:
                    await self._look(worker, tenant)
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, worker: HookedWorker, tenant: str) -> None:
        try:
            async with answers_of(worker) as answers, asyncio.timeout(2.0):
                answer = await answers.get(f"/v1/tenants/{tenant}/campaigns?limit={PAGE}")
        except (aiohttp.ClientError, TimeoutError):
            return
        partitions = answer["receipt"]["partitions"]
        if partitions["ready"] < partitions["of"]:
            return  # after a start the receipt says that numbers may be low
        self.answers += 1
        for campaign in answer["campaigns"]:
            totals = campaign["totals"]
            for counter in GROWING:
                self.note(worker.name, (tenant, campaign["campaign"]), counter, totals.get(counter) or 0)

    def note(self, worker: str, campaign: Campaign, counter: str, number: int) -> None:
        """Record a number that a worker shows, and any decrease."""
        shown = self.shown.setdefault(worker, {})
        before = shown.get((campaign, counter), 0)
        shown[campaign, counter] = number
        if number >= before:
            return
        self.lost[worker, campaign, counter] += before - number
        if self.lost[worker, campaign, counter] > self.contested.get(campaign, 0):
            self.fallen.append(f"{worker}: {' '.join(campaign)} {counter} from {before} to {number}")


def contested(records: Iterable[RawRecord]) -> dict[Campaign, int]:
    """Return how many messages of each campaign are claimed by send results of another campaign too.

    A message belongs to the smallest claim (docs/counters.md); the other campaign loses it when that claim
    arrives.
    """
    claims: dict[str, set[Campaign]] = defaultdict(set)
    for record in records:
        if record.topic == SEND_RESULTS and (claim := _claim(record.value)):
            claims[claim[1]].add(claim[0])
    return Counter(campaign for of in claims.values() if len(of) > 1 for campaign in of)


def _claim(body: bytes | None) -> tuple[Campaign, str] | None:
    try:
        sent = orjson.loads(body or b"")
        return (str(sent["tenant"]), str(sent["campaign"])), str(sent["message_id"])
    except (ValueError, TypeError, KeyError):
        return None


def tenants_of(records: Iterable[RawRecord]) -> set[str]:
    """Return the tenants named in send results of messages."""
    claims = (_claim(record.value) for record in records if record.topic == SEND_RESULTS)
    return {claim[0][0] for claim in claims if claim is not None}
