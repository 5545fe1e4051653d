"""One run: events flow, faults strike, and plain SQL judges what was counted."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from msgspec import Struct

from tally.deploy import migrate
from tally.deploy.local import LocalServers
from tally.streams import topics
from tally.streams.audit.examine import examine
from tally.streams.demo.answers import Answers
from tally.streams.demo.comparison import Difference
from tally.streams.demo.judgement import judge
from tally.streams.demo.publisher import Publisher
from tally.streams.settings import load
from tally.streams.simulator.mixed import mixed
from tally.streams.simulator.records import RawRecord
from tally.streams.simulator.world import Size
from tests.faults.nemesis import Nemesis
from tests.faults.plan import Strike, plan
from tests.support.workers import WorkerProcess, environment_of, workers

COUNTED_SECONDS = 180.0
READY_SECONDS = 90.0
SESSION_SECONDS = 4
SLICE_SECONDS = 2.5
RECORDS_PER_CONTACT = 7
"""About how many raw events the simulator makes of each WhatsApp contact."""


class Outcome(Struct, frozen=True):
    """What a run came to."""

    seed: int
    events: int
    faults: dict[str, int]
    campaigns: int
    lost: int
    doubled: int
    differences: list[Difference]
    drift: int
    counted_seconds: float
    """From the last event to everything counted."""
    seconds: float
    restarts: int

    @property
    def is_exact(self) -> bool:
        """Whether every counter is what plain SQL says."""
        return not self.differences and not self.drift


async def run(folder: Path, seed: int, events: int, faults: int, kills: int) -> Outcome:
    """Publish about so many events under so many faults, and compare everything."""
    began = time.monotonic()
    with LocalServers.start(folder / "servers") as servers:
        dsn = servers.postgres.dsn
        environment = environment_of(
            servers.kafka.bootstrap, dsn, f"f{seed}-", session_timeout_seconds=str(SESSION_SECONDS)
        )
        settings = load(environment)
        await asyncio.to_thread(migrate.up, dsn)
        await topics.declare(settings)
        with workers(environment, folder, "a", "b") as pair:
            for worker in pair:
                worker.start()
            await pair[0].ready()
            records = _records(seed, events)
            nemesis = Nemesis(pair, servers)
            strikes = plan(Random(seed), len(records), faults, kills, len(pair))
            struck = await _under_faults(environment, records, nemesis, strikes)
            counted_s, answering = await _counted(pair)
            async with Answers(answering.url) as answers:
                found = await judge(answering.settings, answers)
            assert found.raw_events == len(records), (found.raw_events, len(records))
            audited = await examine(settings, with_raw=False)
    return Outcome(
        seed=seed,
        events=len(records),
        faults=dict(struck),
        campaigns=sum(len(key) == 2 for key in found.recounted),
        lost=found.drift.lost,
        doubled=found.drift.doubled,
        differences=[*found.in_view, *found.in_postgres],
        drift=len(audited.drift),
        counted_seconds=counted_s,
        seconds=time.monotonic() - began,
        restarts=nemesis.restarts,
    )


def _records(seed: int, events: int) -> list[RawRecord]:
    size = Size(
        contacts_per_campaign=max(events // (8 * RECORDS_PER_CONTACT), 10),
        calls_per_campaign=max(events // 400, 10),
        late_at_most_s=600,
    )
    return mixed(Random(seed), int(time.time()) - 3600, size)


async def _under_faults(
    environment: dict[str, str], records: Sequence[RawRecord], nemesis: Nemesis, strikes: Sequence[Strike]
) -> Counter[str]:
    """Publish slice by slice, each under one fault; the rest of the work follows the last one."""
    struck: Counter[str] = Counter()
    async with Publisher(load(environment)) as publisher:
        for strike in strikes:
            slice_ = records[strike.first : strike.last]
            # So slowly that the fault strikes in the middle of it.
            per_second = len(slice_) / SLICE_SECONDS
            publishing = asyncio.ensure_future(publisher.publish(slice_, lambda _: None, per_second))
            await asyncio.sleep(strike.after_seconds)
            assert not publishing.done(), "the fault came when nothing was left to do: the run is void"
            await nemesis.strike(strike)
            await publishing
            struck[strike.kind] += 1
        await publisher.publish(records[strikes[-1].last :], lambda _: None)
    return struck


async def _counted(pair: Sequence[WorkerProcess]) -> tuple[float, WorkerProcess]:
    """Wait until a worker has counted everything; return how long it took, and that worker."""
    at_ms = time.time() * 1000
    async with Answers(pair[0].url) as answers:
        ready_s = await answers.wait_until_ready(READY_SECONDS)
        return ready_s + await answers.wait_until_counted(at_ms, COUNTED_SECONDS), pair[0]
