"""One run: events flow, faults strike, a watcher polls the numbers, and plain SQL judges the counts."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from msgspec import Struct

from tally.simulator.campaign import past_start_s
from tally.simulator.mixed import mixed
from tally.simulator.population import Size
from tally.simulator.records import RawRecord
from tests.faults.actions import FAULTS
from tests.faults.events import troubled
from tests.faults.hostile import day_without_hangups, hostile
from tests.faults.judging import Verdict, verdict
from tests.faults.nemesis import nemesis
from tests.faults.oracle import Sender
from tests.faults.pace import Pace
from tests.faults.plan import Strike, plan
from tests.faults.stack import READY_SECONDS, SESSION_SECONDS, Stack, stack
from tests.faults.watching import Watcher, contested, tenants_of
from tests.support.keys import answers_of

PROGRESS_SECONDS = SESSION_SECONDS + 3.0
"""Deadline for progress of a worker after another one was killed."""
SLICE_DEADLINE_SECONDS = 120.0
VOID_SHARE = 0.1
"""A fault must strike while more than this share of the work is left; the plan leaves twice as much."""
RECORDS_PER_CONTACT = 7
"""Approximate number of raw events that the simulator makes for each WhatsApp contact."""


class Outcome(Struct, frozen=True):
    """The result of a run."""

    seed: int
    events: int
    faults: dict[str, int]
    exits: dict[str, int]
    verdict: Verdict
    fallen: list[str]
    """Decreases of numbers that the watcher has seen."""
    looks: int
    progress_seconds: list[float]
    """Seconds from each measured kill, in an otherwise healthy deployment, until all partitions were live."""
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether every counter equals plain SQL's and was never shown higher before."""
        return self.verdict.is_exact and not self.fallen

    @property
    def is_passed(self) -> bool:
        """Whether everything is exact, and the other worker made progress in time after each kill."""
        return self.is_exact and self.longest_seconds <= PROGRESS_SECONDS

    @property
    def longest_seconds(self) -> float:
        """The longest time to progress after a kill."""
        return max(self.progress_seconds, default=0.0)


async def run(
    folder: Path, seed: int, events: int, faults: int, kills: int, kinds: frozenset[str] = FAULTS
) -> Outcome:
    """Send about `events` events under `faults` faults, and compare everything."""
    began = time.monotonic()
    rng = Random(seed)
    records = simulated(rng, events)
    strikes = plan(rng, len(records), faults, kills, kinds)
    async with stack(folder) as deployment:
        await deployment.start()
        async with Sender(deployment.settings) as sender:
            watcher = Watcher(contested(records))
            watching = asyncio.ensure_future(watcher.watch(deployment.workers, tenants_of(records)))
            pace = Pace(sender, records)
            async with pace.kept():
                struck, progress_seconds = await _under_faults(deployment, pace, len(records), strikes)
            await deployment.ready(deployment.workers[0])
            found = await verdict(deployment, deployment.workers[0], sender.sent)
            watching.cancel()
            await asyncio.wait({watching})
    return Outcome(
        seed=seed,
        events=len(records),
        faults=dict(struck),
        exits=dict(Counter(str(code) for _, code in deployment.exits)),
        verdict=found,
        fallen=watcher.fallen,
        looks=watcher.answers,
        progress_seconds=progress_seconds,
        seconds=time.monotonic() - began,
    )


def simulated(rng: Random, events: int) -> list[RawRecord]:
    """Return about `events` raw records of WhatsApp and voice campaigns, with trouble among them."""
    size = Size(
        contacts_per_campaign=max(events // (8 * RECORDS_PER_CONTACT), 10),
        calls_per_campaign=max(events // 400, 10),
        late_at_most_s=600,
    )
    now_s = int(time.time())
    records = troubled(rng, mixed(rng, past_start_s(now_s, size), size))
    others = [*hostile(rng, now_s - 3600), *day_without_hangups(now_s - 7200)]
    places = sorted(rng.randrange(len(records)) for _ in others)
    # Inserted from the end, so the remaining places stay valid.
    for place, record in zip(reversed(places), reversed(others), strict=True):
        records.insert(place, record)
    return records


async def _under_faults(
    deployment: Stack, pace: Pace, records: int, strikes: Sequence[Strike]
) -> tuple[Counter[str], list[float]]:
    """Do one action in each slice of the events; return the faults, and seconds to progress after kills."""
    struck: Counter[str] = Counter()
    progress_seconds = []
    doing = nemesis(deployment)
    for strike in strikes:
        if strike.is_measured:
            await asyncio.gather(*(deployment.ready(worker) for worker in deployment.workers))
        pace.begin(strike.last)
        await asyncio.sleep(strike.after_seconds)
        assert pace.sent <= records * (1 - VOID_SHARE), "the fault came when little was left: the run is void"
        try:
            await doing[strike.action.kind](strike)
        except Exception as error:
            what = f"{strike.action.kind} {strike.point} at {strike.action.worker or 'a server'}"
            raise AssertionError(f"{what}: {error}") from error
        if strike.is_measured:
            progress_seconds.append(await _progress_seconds(deployment, strike))
        await pace.slice_sent(SLICE_DEADLINE_SECONDS)
        if strike.action.role == "fault":
            struck[strike.action.kind] += 1
    return struck, progress_seconds


async def _progress_seconds(deployment: Stack, strike: Strike) -> float:
    """Return the seconds until the surviving worker shows live numbers from after the kill."""
    (living,) = (worker for worker in deployment.workers if worker.name != strike.action.worker)
    async with answers_of(living) as answers:
        return await answers.wait_until_counted(time.time() * 1000, READY_SECONDS)
