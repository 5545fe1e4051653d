"""Records that have been read are freed before a wait for Kafka; they took 5 % of a worker's memory."""

import asyncio
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, cast
from weakref import ref

import pytest

import tally.schemas
from tally.agents.compute_gate import ComputeGate
from tally.agents.fold.partition import PartitionFold
from tally.agents.fold.ports import FoldPorts
from tally.agents.route.loop import Route
from tally.schemas.rows import Progress
from tally.tables.kafka.dead_letters import DeadLetters
from tally.tables.kafka.facts_log import Entry, FactsLog
from tally.tables.rules import Rules
from tally.tables.store.interface import Writes
from tally.tables.store.partition import PartitionStore
from tests.support.partition import MemoryPartition, record
from tests.support.stored_partition import CLAIM, Quiet
from tests.support.waiting import until

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
BAD = b"no JSON at all"
GOOD = (EXAMPLES / "send-results" / "accepted.json").read_bytes()


class Held:
    """A record, raw or a fact, that tells when nobody holds it any more."""

    timestamp = 1_795_350_900_000
    headers = ()

    def __init__(self, value: bytes, key: bytes = b"", offset: int = 0) -> None:
        self.value = value
        self.key = key
        self.offset = offset


class HeldRun:
    """A run of either kind that remembers its records no longer than it has to."""

    topic, partition, is_current, start = "send-results", 0, True, None

    def __init__(self, *records: Held) -> None:
        self.records = list(records)
        self.size_bytes = sum(len(one.value) for one in records)
        self.refs = [ref(one) for one in records]
        self.acked = False

    def release(self) -> None:
        self.records = []

    def ack(self) -> None:
        self.acked = True

    @property
    def held(self) -> list[bytes]:
        return [record.value for one in self.refs if (record := one()) is not None]


class SlowFactsLog:
    """Takes facts, and answers once the test says so."""

    partitions = 1

    def __init__(self) -> None:
        self.facts = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def append_entries(self, grouped: Mapping[int, list[Entry]]) -> Awaitable[object]:
        self.facts += sum(map(len, grouped.values()))
        return self.answer


class SlowDeadLetters:
    """Keeps letters, and ends once the test says so."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def write(self, _letters: object) -> None:
        await self.answer


class RouteQuiet:
    """Watches without looking."""

    def routed(self, source: str, run: Any) -> None: ...
    def dead_letters(self, source: str, reason: Any, count: int) -> None: ...
    def noticed(self, reading: Any) -> None: ...


class SlowStore(MemoryPartition):
    """A partition's tables in memory that say at a commit which facts are still held."""

    def __init__(self, run: HeldRun, rules: Rules) -> None:
        super().__init__()
        self.partition, self.recovered = 0, 0
        self.progress = Progress(0, "s1", rules.fingerprint)
        self.committed: list[list[bytes]] = []
        self._run = run

    async def open(self, _opening: object) -> None: ...

    async def close(self) -> None: ...

    async def commit(self, writes: Writes, progress: Progress) -> None:
        self.committed.append(self._run.held)
        self.apply(writes)
        self.progress = progress


@pytest.mark.asyncio
async def test_while_facts_are_on_their_way_route_holds_of_raw_records_only_its_dead_letters() -> None:
    facts, letters = SlowFactsLog(), SlowDeadLetters()
    failed: list[BaseException] = []
    route = Route(
        cast(FactsLog, facts), cast(DeadLetters, letters), RouteQuiet(), failed.append, ComputeGate()
    )
    run = HeldRun(Held(GOOD), Held(BAD), Held(GOOD))

    route.deliver("send-results", run)
    await until(lambda: facts.facts > 0 or bool(failed))

    assert (run.held, run.acked, failed) == ([BAD], False, [])
    facts.answer.set_result(None)
    letters.answer.set_result(None)
    await until(lambda: run.acked or bool(failed))
    assert (run.held, failed) == ([], [])


@pytest.mark.asyncio
async def test_while_a_batch_is_committed_the_fold_holds_none_of_its_facts() -> None:
    rules = Rules()
    facts = [record(offset, CLAIM) for offset in range(3)]
    run = HeldRun(*(Held(fact.value, fact.key, fact.offset) for fact in facts))
    store = SlowStore(run, rules)

    async def keep(*_: object) -> None: ...

    ports = FoldPorts(rules, Quiet(), asyncio.get_running_loop().time, keep)
    fold = PartitionFold(ports, cast(PartitionStore, store), lambda _: fold.inbox.put(run))
    running = asyncio.ensure_future(fold.run())
    await until(lambda: run.acked or running.done())
    fold.revoke()
    await running

    assert (store.committed, store.progress.next_offset) == ([[]], 3)
