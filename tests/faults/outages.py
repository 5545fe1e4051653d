"""Servers that are away for some time while events flow, in figures: for a minute or for many."""

import asyncio
import time
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from tests.faults.flow import enough, flowing
from tests.faults.hooked_worker import HookedWorker
from tests.faults.oracle import Sender
from tests.faults.scrapes import Scrape, read, until_read, watching
from tests.faults.stack import Stack

WARM_SECONDS = 15.0
"""Before memory is measured: caches and buffers fill first."""
MEND_SECONDS = 300.0
"""How long it may take until all is well again; whoever takes longer has failed."""
FLOW_SECONDS = 10.0
"""How long events flow after a mend at least."""
CURRENT_SECONDS = 3.0
"""A row that waits no longer than this only waits for the next flush; live numbers are no older."""
BROKER_PER_SECOND = 100

How = Literal["cut", "stall"]


class Outage(Struct, frozen=True):
    """What Postgres being away came to."""

    seconds: float
    """From its end to its being up again."""
    events: int
    """How many were sent meanwhile."""
    rss_growth_bytes: int
    """Of the worker that grew most."""
    rebalances: int
    worst_lag_seconds: float
    """Of the live numbers."""
    calm_lag_seconds: float
    """The same before it went away: tells what the machine alone made of it."""
    unwell: int
    """How often a worker was asked for its health, and was not ready or not alive."""
    flush_failures: int
    unflushed_seconds: float
    """How long the oldest row had waited for Postgres at the end: shows that it was away."""
    caught_up_seconds: float
    """From its being up to no row waiting for longer than always."""


class Severed(Struct, frozen=True):
    """What a worker's wire to Kafka being cut or stalled came to."""

    seconds: float
    how: How
    struck: int
    """How many connections it hit, those that were tried meanwhile included."""
    restarts: int
    """How often the worker ended, and was started again as its supervisor does."""
    progress_seconds: float
    """From the mend to the first fact that the worker counted."""
    live_seconds: float
    """From the mend to live numbers."""


async def postgres_away(
    stack: Stack, sender: Sender, seconds: float, per_second: float, seed: int = 31
) -> Outage:
    """Stop Postgres at once, keep it away while events flow, and start it; workers have to be running."""
    running = [worker for worker in stack.workers if worker.is_running]
    records = enough(seed, WARM_SECONDS + seconds + FLOW_SECONDS, per_second)
    async with flowing(sender, records, per_second) as flow:
        async with watching(running) as calm:
            await asyncio.sleep(WARM_SECONDS)
        before = [await read(worker) for worker in running]
        began, sent = time.monotonic(), len(sender.sent)
        async with watching(running) as worst:
            await asyncio.to_thread(stack.postgres.stop_immediately)
            await asyncio.sleep(seconds)
            after, events = [await read(worker) for worker in running], len(sender.sent) - sent
            await asyncio.to_thread(stack.postgres.restart)
            assert not flow.done(), "nothing was left to do: the run is void"
            away_s = time.monotonic() - began
            caught_up_s = max(await asyncio.gather(*map(_current, running)))
    return Outage(
        seconds=away_s,
        events=events,
        rss_growth_bytes=worst.rss_growth_bytes,
        rebalances=_grown("tally_rebalances_total", before, after),
        worst_lag_seconds=worst.lag_seconds,
        calm_lag_seconds=calm.lag_seconds,
        unwell=worst.unready + worst.dead,
        flush_failures=_grown("tally_flush_failures_total", before, after),
        unflushed_seconds=min(scrape.value("tally_flush_lag_seconds") for scrape in after),
        caught_up_seconds=caught_up_s,
    )


async def broker_cut(
    stack: Stack, sender: Sender, seconds: float, how: How = "cut", seed: int = 32
) -> Severed:
    """Cut or stall the first worker's wire to Kafka while events flow, and mend it.

    It has to be the only one that runs, so that what is counted after the mend it has counted. The sender
    has another way to Kafka.
    """
    worker, wire = stack.workers[0], stack.kafka_wires[0]
    assert [one for one in stack.workers if one.is_running] == [worker]
    exits, struck = len(stack.exits), wire.struck
    records = enough(seed, seconds + FLOW_SECONDS, BROKER_PER_SECOND)
    async with flowing(sender, records, BROKER_PER_SECOND) as flow:
        await asyncio.sleep(1.0)
        (wire.cut if how == "cut" else wire.stall)()
        await asyncio.sleep(seconds)
        hit = wire.struck - struck
        wire.mend()
        assert not flow.done(), "nothing was left to do: the run is void"
        mended_s = time.monotonic()
        progress_s = await _counts_again(worker, time.time())
        await until_read(worker, _is_live, MEND_SECONDS, "the numbers are not live")
        live_s = time.monotonic() - mended_s
    return Severed(seconds, how, hit, len(stack.exits) - exits, progress_s, live_s)


async def _counts_again(worker: HookedWorker, since_unix_s: float) -> float:
    def counted(scrape: Scrape) -> bool:
        return scrape.value("tally_last_progress_timestamp_seconds", role="fold") > since_unix_s

    return await until_read(worker, counted, MEND_SECONDS, "nothing is counted after the mend")


async def _current(worker: HookedWorker) -> float:
    def current(scrape: Scrape) -> bool:
        return scrape.value("tally_flush_lag_seconds") < CURRENT_SECONDS

    return await until_read(worker, current, MEND_SECONDS, "Postgres is not up to date")


def _is_live(scrape: Scrape) -> bool:
    return scrape.value("tally_lag_seconds") < CURRENT_SECONDS


def _grown(name: str, before: Sequence[Scrape], after: Sequence[Scrape]) -> int:
    return round(sum(now.value(name) - then.value(name) for now, then in zip(after, before, strict=True)))
