"""Measures outages of servers while events flow, of a minute or of many."""

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
"""Time before memory is measured, in which caches and buffers fill."""
MEND_SECONDS = 300.0
"""Deadline of the recovery after an outage."""
FLOW_SECONDS = 10.0
"""Least time for which events flow after a mend."""
CURRENT_SECONDS = 3.0
"""Longest wait of a row for an ordinary write, and greatest age of live numbers."""
BROKER_PER_SECOND = 100

How = Literal["cut", "stall"]


class Outage(Struct, frozen=True):
    """The figures of an outage of Postgres."""

    seconds: float
    """From the stop of Postgres until it was up again."""
    events: int
    """Number of events sent meanwhile."""
    rss_growth_bytes: int
    """Growth of the worker that grew most."""
    rebalances: int
    worst_lag_seconds: float
    """Worst lag of the live numbers."""
    calm_lag_seconds: float
    """Worst lag before the outage, which shows the share of the machine alone."""
    unwell: int
    """Number of health checks at which a worker was not ready or not alive."""
    sink_failures: int
    behind_seconds: float
    """Wait of the oldest row for Postgres at the end; proves that it was away."""
    caught_up_seconds: float
    """From the return of Postgres until no row waited longer than for an ordinary write."""


class Severed(Struct, frozen=True):
    """The figures of a cut or stalled wire between a worker and Kafka."""

    seconds: float
    how: How
    struck: int
    """Number of connections hit, including attempts made meanwhile."""
    restarts: int
    """Number of times the worker ended and was restarted by the supervisor."""
    progress_seconds: float
    """From the mend to the first fact that the worker counted."""
    live_seconds: float
    """From the mend to live numbers."""


async def postgres_away(
    stack: Stack, sender: Sender, seconds: float, per_second: float, seed: int = 31
) -> Outage:
    """Stop Postgres at once, keep it away while events flow, and start it; workers must be running."""
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
        sink_failures=_grown("tally_sink_failures_total", before, after),
        behind_seconds=min(scrape.value("tally_sink_lag_seconds") for scrape in after),
        caught_up_seconds=caught_up_s,
    )


async def broker_cut(
    stack: Stack, sender: Sender, seconds: float, how: How = "cut", seed: int = 32
) -> Severed:
    """Cut or stall the first worker's wire to Kafka while events flow, and mend it.

    It must be the only running worker: then everything counted after the mend was counted by it. The sender
    does not use the wire.
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
        return scrape.value("tally_sink_lag_seconds") < CURRENT_SECONDS

    return await until_read(worker, current, MEND_SECONDS, "Postgres is not up to date")


def _is_live(scrape: Scrape) -> bool:
    return scrape.value("tally_lag_seconds") < CURRENT_SECONDS


def _grown(name: str, before: Sequence[Scrape], after: Sequence[Scrape]) -> int:
    return round(sum(now.value(name) - then.value(name) for now, then in zip(after, before, strict=True)))
