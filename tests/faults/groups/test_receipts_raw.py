"""Group B, receipts and the raw topics: open transactions, records that are gone, topics made anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete

from tally.oracle.api import Answers
from tally.schemas.fields import unix_ms
from tally.simulator.poison import send_result
from tally.simulator.records import SEND_RESULTS, as_producers_write
from tally.streams.operations import topics
from tests.faults.scrapes import read
from tests.faults.stack import Stack, stack
from tests.support.keys import answers_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]

TENANT, CAMPAIGN = "tenant-r", "receipts"
FETCH_OVER_SECONDS = 1.0
"""Much longer than a fetch waits at the broker for records."""
WAIT_SECONDS = 60.0
NOT_LIVE_SECONDS = 8.0
POLL_SECONDS = 0.05


class Told(list[tuple[float, dict[str, Any], int]]):
    """What answers said: when they were asked for, their receipts, and what was accepted."""

    def false(self, acknowledged: Sequence[tuple[float, int]]) -> list[Any]:
        """Return live answers that have less than was acknowledged before their `as_of`."""
        return [
            (receipt, accepted)
            for _, receipt, accepted in self
            if receipt["state"] == "live"
            and accepted < max((n for at_ms, n in acknowledged if at_ms < _ms(receipt["as_of"])), default=0)
        ]


def _ms(rfc_3339: str | None) -> float:
    return float(unix_ms(rfc_3339, "as_of")) if rfc_3339 else 0.0


@asynccontextmanager
async def asking(whole: Stack) -> AsyncIterator[Told]:
    """Ask a worker for the campaign all the time."""
    told = Told()
    task = asyncio.create_task(_ask(whole, told))
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _ask(whole: Stack, told: Told) -> None:
    async with answers_of(whole.workers[0]) as answers:
        while True:
            began = time.time() * 1000
            with suppress(aiohttp.ClientConnectionError, TimeoutError):
                told.append((began, *await _answer(answers)))
            await asyncio.sleep(POLL_SECONDS)


async def _answer(answers: Answers) -> tuple[dict[str, Any], int]:
    page = await answers.get(f"/v1/tenants/{TENANT}/campaigns")
    return page["receipt"], sum(campaign["totals"]["accepted"] for campaign in page["campaigns"])


async def _until(told: Told, state: str, accepted: int) -> dict[str, Any]:
    """Wait for an answer, asked for from now on, of a state and with so many accepted; return its receipt."""
    from_ms = time.time() * 1000
    while time.time() * 1000 < from_ms + WAIT_SECONDS * 1000:
        for at_ms, receipt, counted in reversed(told):
            if at_ms < from_ms:
                break
            if (receipt["state"], counted) == (state, accepted) and _ms(receipt["as_of"]) > from_ms:
                return receipt
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"not {state} with {accepted}, but {told[-1]}")


def _send(number: int) -> bytes:
    result = send_result(
        tenant=TENANT,
        campaign=CAMPAIGN,
        contact={"id": f"c{number}", "phone": f"+31600{number:06}"},
        phone_number_id="106540352242922",
        message_id=f"wamid.receipts{number}",
    )
    body = as_producers_write(result)
    assert body is not None
    return body


@asynccontextmanager
async def producing(whole: Stack, **more: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**whole.settings.kafka.client(), **more)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _publish(
    whole: Stack, producer: AIOKafkaProducer, first: int, last: int, partition: int = 0
) -> float:
    """Publish accepted sends; return the moment by which the brokers had acknowledged all of them."""
    topic = whole.settings.names.raw(SEND_RESULTS)
    sent = [await producer.send(topic, _send(n), partition=partition) for n in range(first, last)]
    await asyncio.gather(*sent)
    return time.time() * 1000


async def _delete_records(whole: Stack, before: int) -> None:
    place = TopicPartition(whole.settings.names.raw(SEND_RESULTS), 0)
    async with topics.admin(whole.settings) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=before)})


async def _stop(whole: Stack) -> None:
    (worker,) = whole.workers
    whole.held.add(worker)
    worker.kill()


async def test_no_answer_is_live_while_an_open_transaction_hides_what_others_were_told_is_safe(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, ("a",)) as whole, producing(whole) as producer:
        await whole.start()
        topic = whole.settings.names.raw(SEND_RESULTS)
        async with asking(whole) as told, producing(whole, transactional_id="hangs") as hanging:
            acknowledged = [(await _publish(whole, producer, 0, 10), 10)]
            await _until(told, "live", 10)
            await hanging.begin_transaction()
            await hanging.send_and_wait(topic, _send(900), partition=0)
            acknowledged.append((await _publish(whole, producer, 10, 60), 60))
            await asyncio.sleep(NOT_LIVE_SECONDS)
            newest = told[-1][1]
            await hanging.abort_transaction()
            await _until(told, "live", 60)
        assert newest["state"] == "catching_up"
        assert told.false(acknowledged) == []
        assert whole.exits == []


async def test_raw_records_that_are_gone_before_they_were_read_are_told_for_ever_and_never_live(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, ("a",)) as whole, producing(whole) as producer:
        await whole.start()
        async with asking(whole) as told:
            await _publish(whole, producer, 0, 30)
            await _until(told, "live", 30)
            await _stop(whole)
            lost_at_ms = await _publish(whole, producer, 30, 130)
            await _delete_records(whole, 100)
            await whole.start()
            receipt = await _until(told, "incomplete", 60)
            counted = await read(whole.workers[0])
            await _stop(whole)
            await whole.start()
            again = await _until(told, "incomplete", 60)
        late = [one for at_ms, one, _ in told if at_ms > lost_at_ms and one["state"] == "live"]

    assert receipt["incomplete"] == again["incomplete"] == 70
    assert receipt["incomplete_by"] == {"lost_records": 70}
    assert counted.value("tally_incomplete", kind="lost_records") == 70
    assert counted.value("tally_lost_raw_records_total", topic=SEND_RESULTS) == 70
    assert [one for one in late if _ms(one["as_of"]) > lost_at_ms] == []
    assert whole.exits == []


async def test_records_that_go_while_a_worker_is_behind_are_told_as_well(tmp_path: Path) -> None:
    """A worker that reads all the time loses nothing; one that is stopped in the middle is passed by."""
    async with stack(tmp_path, ("a",)) as whole, producing(whole) as producer:
        await whole.start()
        async with asking(whole) as told:
            await _publish(whole, producer, 0, 30)
            await _until(told, "live", 30)
            whole.kafka_wire("a").stall()
            # Else the fetch that is at the broker is answered with what is published now, once it can be.
            await asyncio.sleep(FETCH_OVER_SECONDS)
            await _publish(whole, producer, 30, 80)
            await _delete_records(whole, 80)
            whole.kafka_wire("a").mend()
            receipt = await _until(told, "incomplete", 30)

    assert receipt["incomplete_by"] == {"lost_records": 50}


async def test_what_is_gone_before_the_first_start_of_all_was_read_by_nobody(tmp_path: Path) -> None:
    async with stack(tmp_path, ("a",)) as whole, producing(whole) as producer:
        await _publish(whole, producer, 0, 30)
        await _delete_records(whole, 20)
        await whole.start()
        async with asking(whole) as told:
            receipt = await _until(told, "incomplete", 10)

    assert receipt["incomplete_by"] == {"lost_records": 20}


async def test_a_raw_topic_that_is_deleted_and_made_anew_is_read_from_its_start_and_told(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, ("a",)) as whole, producing(whole) as producer:
        await whole.start()
        async with asking(whole) as told:
            await _publish(whole, producer, 0, 30)
            await _until(told, "live", 30)
            async with topics.admin(whole.settings) as client:
                await client.delete_topics([whole.settings.names.raw(SEND_RESULTS)])
            await asyncio.sleep(1.0)
            await topics.declare(whole.settings)
            new_at_ms = time.time() * 1000
            async with producing(whole) as anew:
                await _publish(whole, anew, 100, 140)
            receipt = await _until(told, "incomplete", 70)
        late = [one for at_ms, one, _ in told if at_ms > new_at_ms and one["state"] == "live"]

    partitions = whole.settings.partitions
    assert receipt["incomplete_by"] == {"replaced_topic": partitions}
    assert [one for one in late if _ms(one["as_of"]) > new_at_ms] == []
