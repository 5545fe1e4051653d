"""The budget of an event: where its time goes, stage by stage, from the broker to an answer."""

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from bench import marks
from bench.figures import percentile
from bench.freshness import COUNTED_SECONDS, MOST_SECONDS
from bench.in_memory import Raw
from bench.load import Size
from bench.marks import ACKED, COMMITTED, COMPUTED, FETCHED, SEEN, TAKEN, Mark
from bench.plain_count import check_plainly
from bench.probes import SEEN_SECONDS, TO_VIEW, Probe, Prober
from bench.servers import Servers, own_database
from bench.steady_load import SteadyLoad, WarmUp
from bench.worker import TWO, Worker, running
from tally.agents.route.decision import route_records
from tally.schemas.facts import MESSAGE
from tally.schemas.keys import partition_of
from tally.simulator.records import SEND_RESULTS
from tally.streams.settings import Settings
from tests.support.judge import counted, prepare

STAGES = (
    "fetched by route",
    "read by route",
    "its facts acknowledged by the broker",
    "fetched by the fold",
    "taken up by the fold, whose turn has come",
    "computed",
    "committed",
    "seen by the view",
    "answered",
)
"""What happens at the end of each stage; it begins with the end of the one before."""
READ_SECONDS = 60.0
POLL_MS = 200


class Plan(Struct, frozen=True):
    """Load and number of probes."""

    events_per_second: float = 3_300.0
    probes: int = 300
    warm_up: WarmUp = WarmUp()
    settle_seconds: float = 6.0
    seed: int = 5

    @property
    def size(self) -> Size:
        """The size of a load that lasts as long as the probes."""
        probed_s = self.settle_seconds + MOST_SECONDS + SEEN_SECONDS + 5.0
        return Size.of_events(self.warm_up.events + self.events_per_second * probed_s)


class Share(Struct, frozen=True):
    """The part of one stage in the time of a probe."""

    p50_ms: float
    p99_ms: float


class Budget(Struct, frozen=True):
    """The time of each stage, in order, and of all together."""

    wanted_per_second: float
    carried_per_second: float
    probes: int
    stages: Mapping[str, Share]
    whole: Share


class Passed:
    """When each record of a partition passed each stage."""

    def __init__(self, found: Iterable[Mark]) -> None:
        by_place: dict[tuple[str, str, int], list[tuple[int, float]]] = defaultdict(list)
        for mark in found:
            by_place[mark.stage, mark.topic, mark.partition].append((mark.next_offset, mark.at_s))
        self._places = {place: sorted(marks) for place, marks in by_place.items()}

    def at_s(self, stage: str, topic: str, partition: int, offset: int) -> float:
        """Return when a record passed a stage. Raises AssertionError if it did not.

        Marks may come out of order: the one with the smallest end behind the record is that of its own run.
        """
        marks = self._places.get((stage, topic, partition), [])
        nth = bisect_right(marks, (offset, float("inf")))
        assert nth < len(marks), f"no mark {stage} of {topic}[{partition}] is beyond {offset}"
        return marks[nth][1]


def moments(probe: Probe, fact: tuple[int, int], passed: Passed, raw: str, facts: str) -> list[float]:
    """Return when a probe reached the end of each stage, after when it was acknowledged. Pure.

    `fact` is the partition and offset of the fact that counts it. Two processes may note in either order
    what happens at the same time, such as that facts were acknowledged and fetched; then the later stage took
    no time.
    """
    of_raw = (raw, probe.partition, probe.offset)
    of_fact = (facts, *fact)
    found = [
        probe.acked_s,
        passed.at_s(FETCHED, *of_raw),
        passed.at_s(TAKEN, *of_raw),
        passed.at_s(ACKED, *of_raw),
        *(passed.at_s(stage, *of_fact) for stage in (FETCHED, TAKEN, COMPUTED, COMMITTED)),
        passed.at_s(SEEN, "-", *fact),
        probe.seen_s,
    ]
    for nth in range(1, len(found)):
        found[nth] = max(found[nth], found[nth - 1])
    return found


def budget(probes: Sequence[Sequence[float]], wanted: float, carried: float) -> Budget:
    """Return the figures of the moments of all probes. Pure."""
    stages = zip(*([later - before for before, later in pairwise(one)] for one in probes), strict=True)
    shares = {name: _share(each) for name, each in zip(STAGES, stages, strict=True)}
    return Budget(wanted, carried, len(probes), shares, _share([one[-1] - one[0] for one in probes]))


def _share(seconds: Sequence[float]) -> Share:
    return Share(*(percentile(seconds, share) * 1000 for share in (0.5, 0.99)))


async def measure_budget(there: Servers, plan: Plan) -> Budget:
    """Probe a worker that notes when records pass. Raises AssertionError where it counts wrong."""
    async with own_database(there.environment("budget-")) as environment:
        await prepare(environment)
        worker = Worker(environment, there.folder, "budget", TWO)
        noted = there.folder / "marks"
        worker.command = marks.command(noted)
        flow = SteadyLoad(environment, plan.size, plan.seed)
        async with running(worker), Prober(worker) as prober, flow:
            await plan.warm_up.run(flow)
            flow.at(plan.events_per_second)
            await asyncio.sleep(plan.settle_seconds)
            mark = flow.mark()
            probes = await prober.probed(TO_VIEW, plan.probes, MOST_SECONDS)
            carried = flow.per_second_since(mark)
            await flow.ended()
            await counted(worker, COUNTED_SECONDS)
            await check_plainly(worker, await flow.right())
        found = await _moments(worker.settings, probes, noted)
    return budget(found, plan.events_per_second, carried)


async def _moments(settings: Settings, probes: Sequence[Probe], noted: Path) -> list[list[float]]:
    passed = Passed(await asyncio.to_thread(marks.read_marks, noted))
    raw, facts = settings.names.raw(SEND_RESULTS), settings.names.facts
    keys = {fact_key(probe): probe for probe in probes}
    places = await _facts_with(settings, facts, set(keys))
    return [moments(probe, places[key], passed, raw, facts) for key, probe in keys.items()]


def fact_key(probe: Probe) -> bytes:
    """Return the key of the fact that counts a probe as accepted: that of its message. Pure."""
    ((facts, _),) = route_records(SEND_RESULTS, [Raw(probe.value, None, timestamp=0)]).facts
    (key,) = {fact.key for fact in facts if fact.family == MESSAGE}
    return key


async def _facts_with(settings: Settings, topic: str, keys: set[bytes]) -> dict[bytes, tuple[int, int]]:
    """Return partition and offset of the first fact with each key."""
    places = {partition_of(key, settings.partitions) for key in keys}
    found: dict[bytes, tuple[int, int]] = {}
    consumer: Any = AIOKafkaConsumer(**settings.kafka.client(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, place) for place in places])
        async with asyncio.timeout(READ_SECONDS):
            while len(found) < len(keys):
                for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
                    for record in records:
                        if record.key in keys:
                            found.setdefault(record.key, (tp.partition, record.offset))
    finally:
        await consumer.stop()
    return found
