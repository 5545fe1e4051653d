"""A running worker follows the owners of business numbers; other tenants' send results are dead letters."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tally.schemas.errors import BadEvent
from tally.schemas.numbers import UNREADABLE, Number
from tally.schemas.topics import NUMBERS
from tally.simulator.records import SEND_RESULTS, WEBHOOK_EVENTS, RawRecord
from tally.streams.operations import dead_letters
from tally.streams.operations.dead_letters import StoredDeadLetter
from tally.streams.operations.looks import Looks
from tally.streams.operations.numbers import all_numbers, remove_number, set_number
from tally.streams.operations.replay import Wanted, replay
from tally.streams.settings import Settings, load
from tests.support.judge import counted, prepare, publish, verdict
from tests.support.keys import answers_of
from tests.support.servers import Kafka
from tests.support.transport import producing
from tests.support.webhooks import body, messages, status
from tests.support.workers import WorkerProcess, environment_of, workers
from tests.unit.schemas.test_wamids import SENT

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

FOLLOWED_SECONDS = 30.0
UNREADABLE_RECORD = b'{"tenant": "b", "since": "a version that is newer"}'


def accepted(tenant: str, number_id: str, message_id: str) -> RawRecord:
    return RawRecord(
        SEND_RESULTS,
        None,
        orjson.dumps(
            {
                "tenant": tenant,
                "channel": "whatsapp",
                "campaign": "c",
                "contact": {"id": message_id, "phone": "+31600000001"},
                "template": {"name": "t", "language": "nl"},
                "phone_number_id": number_id,
                "outcome": "accepted",
                "message_id": message_id,
                "time": int(time.time() * 1000),
            }
        ),
    )


async def count_of(worker: WorkerProcess, tenant: str, counter: str = "accepted") -> int:
    async with answers_of(worker) as answers:
        found: list[dict[str, Any]] = await answers.campaigns(tenant)
    return sum(one["totals"][counter] for one in found)


async def refused(settings: Settings) -> list[str]:
    return [letter.reason for letter in await dead_letters.read(settings)]


async def test_what_another_tenant_says_of_a_number_is_a_dead_letter_until_the_number_is_anybodys_again(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    environment = environment_of(kafka.bootstrap, database, f"n{uuid4().hex[:8]}-")
    await prepare(environment)
    settings = load(environment)
    await set_number(settings, "1", Number("a", name="Sales", per_second=80, timezone="America/Sao_Paulo"))

    with workers(environment, tmp_path, "one") as (worker,):
        worker.start()
        await worker.ready()
        sent = [accepted("a", "1", "w1"), accepted("b", "1", "w1"), accepted("b", "1", "w2")]
        await publish(environment, [*sent, accepted("b", "2", "w3")])
        await counted(worker)

        assert (await count_of(worker, "a"), await count_of(worker, "b")) == (1, 1)
        assert await refused(settings) == ["foreign_number"] * 2
        assert await verdict(worker) == []
        shown = await until_paced(worker, "a", "1")
        assert (shown["name"], shown["limit_per_second"], shown["tried"]) == ("Sales", 80, 1)
        assert (shown["timezone"], shown["peak_minute"]["accepted"]) == ("America/Sao_Paulo", 1)

        await remove_number(settings, "1")
        assert await all_numbers(settings) == {}
        await until_counted_for(worker, environment, "b", "1", more_than=1)

        await set_number(settings, "2", Number("a"))
        await until_refused(settings, environment, "b", "2")
        await what_cannot_be_read_closes_its_number(settings, environment, worker)


async def what_cannot_be_read_closes_its_number(
    settings: Settings, environment: dict[str, str], worker: WorkerProcess
) -> None:
    """Until somebody mends the record, which is kept; then a replay counts what was refused meanwhile."""
    topic = settings.names.raw(NUMBERS)
    async with producing(settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(topic, UNREADABLE_RECORD, b"2", partition=0)
        await producer.send_and_wait(topic, UNREADABLE_RECORD, b"\xff", partition=0)
    await until_refused(settings, environment, "a", "2")
    letters: list[StoredDeadLetter] = []
    async with asyncio.timeout(FOLLOWED_SECONDS):
        while len(letters) < 2:
            letters = [one for one in await dead_letters.read(settings) if one.origin.startswith(topic)]
    assert sorted((one.reason, one.key, one.value) for one in letters) == [
        ("wrong_key", b"\xff", UNREADABLE_RECORD),
        ("wrong_type", b"2", UNREADABLE_RECORD),
    ]
    assert await all_numbers(settings) == {"2": UNREADABLE}

    await set_number(settings, "2", Number("a"))
    before = await count_of(worker, "a")
    await until_counted_for(worker, environment, "a", "2", more_than=before)
    counted_now = await count_of(worker, "a")
    replayed = await replay(settings, Wanted(reason="foreign_number"))
    assert replayed.by_topic["send-results"] > 0
    await counted(worker)
    assert await count_of(worker, "a") > counted_now


async def test_a_number_that_gets_another_id_goes_on_as_the_same(
    kafka: Kafka, database: str, tmp_path: Path
) -> None:
    environment = environment_of(kafka.bootstrap, database, f"n{uuid4().hex[:8]}-")
    await prepare(environment)
    settings = load(environment)
    with pytest.raises(BadEvent, match="an id that does not itself follow this one"):
        await set_number(settings, "1", Number("a", successor_of="1"))

    with workers(environment, tmp_path, "one") as (worker,):
        worker.start()
        await worker.ready()
        read = body(messages(number="2", statuses=[status(id=SENT, status="read")]))
        await publish(environment, [accepted("a", "1", SENT), RawRecord(WEBHOOK_EVENTS, None, read)])
        await counted(worker)
        assert (await count_of(worker, "a", "accepted"), await count_of(worker, "a", "read")) == (1, 0)
        assert str(await Looks(settings).moved()).startswith("1 at 2, sent at 1; ")

        await set_number(settings, "2", Number("a", successor_of="1"))
        ends_at = time.monotonic() + FOLLOWED_SECONDS
        while not await count_of(worker, "a", "read"):
            assert time.monotonic() < ends_at, "the number's second id is another number"
            await publish(environment, [RawRecord(WEBHOOK_EVENTS, None, read)])
            await counted(worker)


async def until_paced(worker: WorkerProcess, tenant: str, number_id: str) -> dict[str, Any]:
    """Return a number once it is known and looked at: Postgres is a second or two behind."""
    ends_at = time.monotonic() + FOLLOWED_SECONDS
    async with answers_of(worker) as answers:
        while True:
            numbers = (await answers.get(f"/v1/tenants/{tenant}/numbers"))["numbers"]
            known: dict[str, dict[str, Any]] = {one["number"]: one for one in numbers}
            shown = known.get(number_id, {})
            if shown.get("per_second_10s") is not None and shown["tried"] and shown["name"]:
                return shown
            assert time.monotonic() < ends_at, known
            await asyncio.sleep(0.25)


async def until_counted_for(
    worker: WorkerProcess, environment: dict[str, str], tenant: str, number_id: str, more_than: int
) -> None:
    """Publish until something counts: a worker hears of a change a moment later."""
    ends_at = time.monotonic() + FOLLOWED_SECONDS
    while await count_of(worker, tenant) <= more_than:
        assert time.monotonic() < ends_at, "the number is still another's"
        await publish(environment, [accepted(tenant, number_id, uuid4().hex)])
        await counted(worker)


async def until_refused(settings: Settings, environment: dict[str, str], tenant: str, number_id: str) -> None:
    """Publish until something is refused."""
    ends_at = time.monotonic() + FOLLOWED_SECONDS
    before = (await refused(settings)).count("foreign_number")
    while (await refused(settings)).count("foreign_number") <= before:
        assert time.monotonic() < ends_at, "the number is still anybody's"
        await publish(environment, [accepted(tenant, number_id, uuid4().hex)])
        await asyncio.sleep(0.2)
