"""Laws of the batched transport on a real broker."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sized
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from faust.types import TP

from tally.streams.transport.config import RunLimits
from tally.streams.transport.runs import Run
from tests.support.servers import Kafka
from tests.support.transport import (
    consuming,
    group_client,
    lags,
    new_topic,
    producing,
    publish,
    until,
    until_lags,
)

SMALL = RunLimits(max_records=5, max_outstanding=2)


def has(things: Callable[..., Sized], count: int, *arguments: int) -> Callable[[], bool]:
    """Ask whether there are so many of them."""
    return lambda: len(things(*arguments)) >= count


@pytest.mark.asyncio
async def test_runs_are_delivered_and_committed_to_the_end_and_no_folder_is_left(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    topic = await new_topic(kafka.bootstrap, 2)
    async with producing(kafka.bootstrap) as producer, consuming(kafka.bootstrap, topic) as subject:
        subject.on_run = Run.ack
        await publish(producer, topic, 0, 30)
        await publish(producer, topic, 1, 7)

        async with group_client(kafka.bootstrap, subject.app.conf.id) as client:
            await until_lags(client, topic, [0, 0])

        assert subject.offsets(0) == list(range(30))
        assert subject.offsets(1) == list(range(7))
        assert subject.failures == []
    assert os.listdir(tmp_path) == []


@pytest.mark.asyncio
async def test_nothing_is_committed_past_a_run_that_is_not_done(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 1)
    limits = RunLimits(max_records=5, max_outstanding=4)
    async with producing(kafka.bootstrap) as producer:
        await publish(producer, topic, 0, 20)
        async with consuming(kafka.bootstrap, topic, limits=limits) as subject:
            await until(lambda: len(subject.runs) == 4)
            for run in (subject.runs[3], subject.runs[1]):
                run.ack()
            await asyncio.sleep(0.5)
            async with group_client(kafka.bootstrap, subject.app.conf.id) as client:
                assert await lags(client, topic, 1) == [None]
                subject.runs[0].ack()
                await until_lags(client, topic, [10])
                subject.runs[2].ack()
                await until_lags(client, topic, [0])


@pytest.mark.alone
@pytest.mark.asyncio
async def test_a_partition_that_is_stuck_stops_no_other_and_holds_few_runs(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 2)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, topic, limits=SMALL) as subject,
    ):
        subject.on_run = lambda run: run.ack() if run.partition == 1 else None
        await publish(producer, topic, 0, 500)
        await until(lambda: len(subject.offsets(0)) == 10)
        await publish(producer, topic, 1, 500)
        await until(lambda: len(subject.offsets(1)) == 500)

        delays = []
        for _ in range(20):
            sent = time.perf_counter()
            count = len(subject.offsets(1))
            await publish(producer, topic, 1, 1)
            await until(has(subject.offsets, count + 1, 1))
            delays.append(time.perf_counter() - sent)

        assert subject.offsets(0) == list(range(10))
        assert sorted(delays)[-2] < 0.1


@pytest.mark.alone
@pytest.mark.asyncio
async def test_acknowledging_delivers_the_next_run_at_once(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 2)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, topic, limits=SMALL) as subject,
    ):
        await publish(producer, topic, 0, 200)
        delays = []
        for done in range(38):
            await until(has(lambda: subject.runs, done + 2))
            acked = time.perf_counter()
            subject.runs[done].ack()
            await until(has(lambda: subject.runs, done + 3))
            delays.append(time.perf_counter() - acked)

        assert max(delays) < 0.1
        assert subject.offsets() == list(range(200))[: len(subject.offsets())]


@pytest.mark.alone
@pytest.mark.asyncio
@pytest.mark.parametrize("busy", [False, True])
async def test_a_single_record_arrives_soon_whether_other_topics_are_idle_or_busy(
    kafka: Kafka, busy: bool
) -> None:
    single, other = await new_topic(kafka.bootstrap, 1), await new_topic(kafka.bootstrap, 2)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, single, other, limits=SMALL) as subject,
    ):
        arrived: dict[int, float] = {}

        def on_run(run: Run) -> None:
            if run.topic == single:
                arrived.update(dict.fromkeys((r.offset for r in run.records), time.perf_counter()))
            run.ack()

        subject.on_run = on_run

        async def keep_busy() -> None:
            while busy:
                for partition in (0, 1):
                    await publish(producer, other, partition, 20)
                await asyncio.sleep(0.01)

        background = asyncio.ensure_future(keep_busy())
        delays = []
        for number in range(100):
            sent = time.perf_counter()
            await producer.send(single, b"x", partition=0)
            await until(has(lambda: arrived, number + 1))
            delays.append(arrived[number] - sent)
        background.cancel()

        assert sorted(delays)[98] < 0.05


@pytest.mark.asyncio
async def test_a_seek_delivers_again_from_there_and_drops_nothing(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 1)
    tp = TP(topic, 0)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, topic, limits=SMALL) as subject,
    ):
        await publish(producer, topic, 0, 100)
        await until(lambda: len(subject.runs) == 2)
        before = list(subject.runs)
        subject.runs.clear()
        subject.on_run = Run.ack

        subject.consumer.seek_to(tp, 3)
        before[1].ack()

        await until(lambda: len(subject.offsets()) == 97)
        assert subject.offsets() == list(range(3, 100))
        assert not any(run.is_current for run in before)

        subject.runs.clear()
        subject.consumer.seek_to(tp, 90)
        subject.consumer.seek_to(tp, 40)
        await until(lambda: len(subject.offsets()) == 60)
        assert subject.offsets() == list(range(40, 100))
        async with group_client(kafka.bootstrap, subject.app.conf.id) as client:
            await until_lags(client, topic, [0])


@pytest.mark.asyncio
async def test_the_commit_reaches_the_end_of_a_partition_with_transactions(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 3)
    async with (
        producing(kafka.bootstrap, transactional_id=topic) as producer,
        consuming(kafka.bootstrap, topic) as subject,
    ):
        subject.on_run = Run.ack
        async with producer.transaction():
            for partition in (0, 1):
                await producer.send(topic, b"kept", partition=partition)
        await producer.begin_transaction()
        for partition in (1, 2):
            await producer.send_and_wait(topic, b"aborted", partition=partition)
        await producer.abort_transaction()

        async with group_client(kafka.bootstrap, subject.app.conf.id) as client:
            await until_lags(client, topic, [0, 0, 0])
            assert await client.committed(TopicPartition(topic, 2)) == 2
        assert [record.value for run in subject.runs for record in run.records] == [b"kept", b"kept"]


@pytest.mark.asyncio
async def test_ownership_is_told_and_acknowledgements_after_it_change_nothing(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 2)
    everything = {TP(topic, 0), TP(topic, 1)}
    async with producing(kafka.bootstrap) as producer:
        async with consuming(kafka.bootstrap, topic) as first:
            await publish(producer, topic, 0, 10)
            await until(lambda: len(first.offsets(0)) == 10)
            group = first.app.conf.id
            async with consuming(kafka.bootstrap, topic, group=group) as second:
                await until(lambda: len(first.heard) >= 3 and first.heard[-1][0] == "assigned")
                assert first.heard[:2] == [("assigned", everything), ("revoked", everything)]
                assert first.heard[-1][1] | second.heard[-1][1] == everything
                assert all(first.consumer.owns(tp) != second.consumer.owns(tp) for tp in everything)
                owner = second if second.consumer.owns(TP(topic, 0)) else first
                for run in first.runs[:1]:
                    run.ack()
                await asyncio.sleep(0.5)
                async with group_client(kafka.bootstrap, group) as client:
                    assert (await lags(client, topic, 1))[0] in (10, None)
                    await until(lambda: owner.offsets(0)[-10:] == list(range(10)))
                    owner.runs[-1].ack()
                    await until_lags(client, topic, [0])
        assert first.heard[-1][0] == "revoked"


@pytest.mark.asyncio
async def test_two_apps_in_one_loop_do_not_disturb_each_other(kafka: Kafka) -> None:
    raw, facts = await new_topic(kafka.bootstrap, 2), await new_topic(kafka.bootstrap, 2)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, raw) as route,
        consuming(kafka.bootstrap, facts) as fold,
    ):
        forwarding: set[asyncio.Task[object]] = set()

        async def forward(run: Run) -> None:
            for record in run.records:
                await producer.send_and_wait(facts, record.value, partition=run.partition)
            run.ack()

        route.on_run = lambda run: forwarding.add(asyncio.ensure_future(forward(run)))
        fold.on_run = Run.ack
        await publish(producer, raw, 0, 50)
        await until(lambda: len(fold.offsets(0)) == 50)

        async with consuming(kafka.bootstrap, raw, group=route.app.conf.id) as joined:
            joined.on_run = route.on_run
            await publish(producer, raw, 1, 50)
            await until(lambda: len(fold.offsets(1)) == 50)

        assert Counter(event for event, _ in fold.heard) == {"assigned": 1}
        assert (route.failures, fold.failures) == ([], [])


@pytest.mark.asyncio
async def test_an_agent_that_raises_is_told_and_its_run_is_not_committed(kafka: Kafka) -> None:
    topic = await new_topic(kafka.bootstrap, 1)
    async with (
        producing(kafka.bootstrap) as producer,
        consuming(kafka.bootstrap, topic, limits=SMALL) as subject,
    ):

        def on_run(_: object) -> None:
            raise ZeroDivisionError

        subject.on_run = on_run
        await publish(producer, topic, 0, 3)
        await until(lambda: bool(subject.failures))
        await asyncio.sleep(0.5)

        assert isinstance(subject.failures[0][1], ZeroDivisionError)
        async with group_client(kafka.bootstrap, subject.app.conf.id) as client:
            assert await lags(client, topic, 1) == [None]


@pytest.mark.asyncio
async def test_a_topic_that_a_broker_did_not_know_for_a_moment_is_soon_somebodys(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As right after a broker's start: the group's leader finds no partitions and gives none to anybody."""
    topic, is_missing = await new_topic(kafka.bootstrap, 2), True
    known = ClusterMetadata.partitions_for_topic

    def partitions_for_topic(cluster: ClusterMetadata, name: str) -> set[int] | None:
        found: set[int] | None = known(cluster, name)
        return None if is_missing and name == topic else found

    async with producing(kafka.bootstrap) as producer:
        await publish(producer, topic, 0, 5)
    monkeypatch.setattr(ClusterMetadata, "partitions_for_topic", partitions_for_topic)
    async with consuming(kafka.bootstrap, topic) as subject:
        subject.on_run = Run.ack
        await asyncio.sleep(1)
        assert subject.runs == []
        is_missing = False
        await until(lambda: subject.offsets(0) == list(range(5)))
