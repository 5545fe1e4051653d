"""No turn of the event loop takes more than 50 ms of CPU in route, whatever it reads."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from tally.agents.compute_gate import ComputeGate
from tally.agents.route.loop import Route
from tally.agents.route.pieces import LONG_BYTES, LONG_ELEMENTS, PIECE_BYTES
from tally.schemas.bounds import ELEMENTS, MIB, RECORD
from tally.schemas.topics import FACT_LIMIT_BYTES
from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, as_producers_write
from tally.streams.runtime.run import COLLECT_AFTER
from tally.tables.kafka import clients
from tally.tables.kafka.clients import KafkaClients
from tally.tables.kafka.dead_letters import DeadLetters
from tally.tables.kafka.facts_log import FactsLog
from tests.support.cpu import slowness
from tests.support.turns import measured_turns
from tests.support.waiting import until

MOST_SECONDS = 0.05
TRIES = 5
"""The least of so many is asserted: what else this machine does now and then is no part of a law."""
AT_MS = 1_795_000_000_000


class Raw:
    """A raw record."""

    timestamp = AT_MS
    key = None
    headers = ()
    offset = 0

    def __init__(self, value: bytes) -> None:
        self.value = value


class RawRun:
    """A run of raw records."""

    topic, partition, is_current, start = "raw", 0, True, None

    def __init__(self, values: list[bytes]) -> None:
        self.records = [Raw(value) for value in values]
        self.size_bytes = sum(map(len, values))
        self.acked = False

    def release(self) -> None:
        self.records = []

    def ack(self) -> None:
        self.acked = True


class Producer:
    """Takes everything at once."""

    def __init__(self, **_: Any) -> None: ...

    async def start(self) -> None: ...

    async def partitions_for(self, _: str) -> set[int]:
        return set(range(8))

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(FACT_LIMIT_BYTES // 2, 0)

    async def send_batch(self, _batch: BatchBuilder, _topic: str, **_: int) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class Quiet:
    """An observer that records nothing."""

    def routed(self, source: str, run: Any) -> None: ...
    def dead_letters(self, source: str, reason: Any, count: int) -> None: ...
    def noticed(self, reading: Any) -> None: ...


def status(number: int) -> dict[str, Any]:
    return {
        "id": f"wamid.{number:040d}",
        "status": "delivered",
        "timestamp": "1795350874",
        "recipient_id": f"3160{number:08d}",
    }


def webhook(statuses: list[Any], **more: list[Any]) -> bytes:
    value = {"metadata": {"phone_number_id": "106540352242922"}, "statuses": statuses, **more}
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return orjson.dumps(body)


def full(one: Callable[[int], Any], list_of: Callable[[list[Any]], bytes], most: int = RECORD.most) -> bytes:
    """Return a body with as many elements as fit."""
    spare = len(list_of([]))
    count = (most - spare) // (len(orjson.dumps(one(0))) + 1)
    return list_of([one(number) for number in range(count)])


def elements(count: int) -> bytes:
    """Return the body that takes any reader longest: each element is bad in a place of its own."""
    return webhook([{}] * (count // 2))


def send(number: int) -> bytes:
    return as_producers_write(send_result(message_id=f"wamid.{number}", contact={"id": number}))


RUNS: dict[str, Callable[[], list[tuple[str, list[bytes]]]]] = {
    "ordinary send results": lambda: [(SEND_RESULTS, [send(n) for n in range(1_000)])] * 8,
    "one body full of statuses": lambda: [(WEBHOOK_EVENTS, [full(status, webhook, 2 * MIB)])],
    "one body full of elements": lambda: [(WEBHOOK_EVENTS, [elements(ELEMENTS.most - 20)])],
    "bodies of statuses a little below what is read in a thread": lambda: [
        (WEBHOOK_EVENTS, [full(status, webhook, LONG_BYTES * 3 // 4)] * 16)
    ],
    "bodies of elements a little below what is read in a thread": lambda: [
        (WEBHOOK_EVENTS, [elements(LONG_ELEMENTS - 20)] * 40)
    ],
    "pieces of garbage": lambda: [(WEBHOOK_EVENTS, [elements(PIECE_BYTES // 3 - 200)] * 40)],
    "small records of garbage": lambda: [(SEND_RESULTS, [b"{" * 100] * 1_000)] * 5,
    "long records of garbage": lambda: [(SEND_RESULTS, [b"x" * RECORD.most])] * 16,
    "records beyond the bound": lambda: [(SEND_RESULTS, [b" " * (2 * RECORD.most - MIB)])] * 4,
}


@pytest.fixture(autouse=True)
def _collecting_as_a_worker() -> Iterator[None]:
    """A worker leaves out of its collections what it has at the start; this process has far more."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.asyncio
@pytest.mark.parametrize("what", RUNS)
async def test_no_turn_of_route_takes_longer(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "AIOKafkaProducer", Producer)
    longest = [await _longest(RUNS[what]()) for _ in range(TRIES)]

    assert min(longest)[0] <= MOST_SECONDS, min(longest)


async def _longest(made: list[tuple[str, list[bytes]]]) -> tuple[float, str]:
    facts, letters = (
        FactsLog(KafkaClients(()), "facts"),
        DeadLetters(KafkaClients(()), "dead-letters", lambda: AT_MS),
    )
    await facts.start()
    await letters.start()
    failed: list[BaseException] = []
    route = Route(facts, letters, Quiet(), failed.append, ComputeGate())
    runs = [(source, RawRun(values)) for source, values in made]
    with measured_turns() as turned:
        for source, run in runs:
            route.deliver(source, run)
        await until(lambda: bool(failed) or all(run.acked for _, run in runs))
    assert failed == []
    return turned.longest_seconds / slowness(), turned.of
