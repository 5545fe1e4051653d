"""Laws of the buffer between a PBX and Kafka: no received packet is lost, and none is dropped silently."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.streams.ami.buffer import Buffer, ReceivedPacket
from tally.streams.ami.pbx import Pbx
from tally.streams.ami.sink import Sink, headers_of
from tests.support.ami_collector import Collecting, pbx_of
from tests.support.ami_server import Plan, ami_server, events
from tests.support.transport import until

SESSION = events("ast22__queue-abandon")
ROOM = 20


@given(
    steps=st.lists(st.one_of(st.integers(0, 30), st.none()), max_size=60),
    max_records=st.integers(1, 8),
    max_bytes=st.integers(30, 100),
)
def test_a_buffer_gives_back_what_it_took_in_order_and_holds_no_more_than_it_may(
    steps: list[int | None], max_records: int, max_bytes: int
) -> None:
    buffer, packet, given_back = Buffer(max_records, max_bytes), [], []
    for number, size in enumerate(steps):
        if size is None:
            head = buffer.head(2)
            given_back += head
            buffer.drop(len(head))
        elif buffer.put(record := ReceivedPacket(b"x" * size, number)):
            packet.append(record)
        assert len(buffer) <= max_records
        assert buffer.bytes == sum(len(record.value) for record in buffer.head(100)) <= max_bytes
    assert given_back + buffer.head(100) == packet
    assert buffer.oldest_at_ms == (packet[len(given_back)].received_at_ms if buffer else None)


@pytest.mark.asyncio
async def test_a_buffer_that_was_full_has_room_once_it_is_half_empty() -> None:
    buffer = Buffer(max_records=4)
    assert all(buffer.put(ReceivedPacket(b"x", 0)) for _ in range(4))
    assert await buffer.wait_for_room(0.01)
    assert not buffer.put(ReceivedPacket(b"x", 0))
    buffer.drop(1)
    assert not await buffer.wait_for_room(0.01)
    buffer.drop(1)
    assert await buffer.wait_for_room(0.01)


@pytest.mark.asyncio
@pytest.mark.parametrize("limits", [{"max_records": ROOM}, {"max_bytes": sum(map(len, SESSION[:ROOM]))}])
async def test_a_full_buffer_closes_the_connection_until_kafka_has_taken_half(limits: dict[str, Any]) -> None:
    async with (
        ami_server(Plan(SESSION), Plan()) as server,
        Collecting([pbx_of(server)], **limits).running() as collecting,
    ):
        collecting.topic.is_away = True
        await until(lambda: collecting.metric("gaps_total", reason="buffer_full") == 1)
        first = list(server.sent)
        held = int(collecting.metric("buffer_records"))
        assert ROOM - 5 <= held <= ROOM + 5
        assert collecting.metric("connected") == 0
        tries = collecting.topic.tries
        await until(lambda: collecting.topic.tries > tries + 5)
        assert server.connections == 1

        collecting.topic.is_away = False
        await until(lambda: any(b"QueueStatusComplete" in value for value in collecting.topic.values()))
        assert collecting.topic.values()[:held] == first[:held]
        assert collecting.topic.values()[held:] == server.sent[len(first) :]
        assert collecting.metric("gaps_total", reason="lost") == 0


@pytest.mark.asyncio
async def test_while_kafka_is_away_the_session_goes_on_and_nothing_is_lost() -> None:
    async with ami_server(Plan(SESSION)) as server, Collecting([pbx_of(server)]).running() as collecting:
        collecting.topic.is_away = True
        await until(lambda: collecting.metric("publish_failures_total") >= 3)
        await server.push(*SESSION)
        await until(lambda: collecting.metric("buffer_records") == len(server.sent))
        await until(lambda: collecting.metric("lag_seconds") > 0.01)
        assert collecting.collector.ready().reasons == (
            "pbx01: KafkaConnectionError: KafkaConnectionError: no broker",
        )

        collecting.topic.is_away = False
        await until(lambda: collecting.topic.values() == server.sent)
        await until(lambda: collecting.collector.ready().is_ok)
        assert server.connections == 1


class FailingSink:
    """Takes a part and then fails, or never answers, in turn."""

    def __init__(self, values: list[bytes]) -> None:
        self.values = values
        self.calls = 0

    async def publish(self, events: Sequence[ReceivedPacket]) -> int:
        self.calls += 1
        self.values += [packet.value for packet in events[:3]]
        if self.calls % 2:
            raise RuntimeError("not even one of Kafka's errors")
        return len(events[:3])

    async def close(self) -> None:
        return


@pytest.mark.asyncio
async def test_what_was_not_acknowledged_is_published_again_and_first_copies_keep_their_order() -> None:
    values: list[bytes] = []
    opened = 0

    async def open_sink(_: Pbx) -> Sink:
        nonlocal opened
        opened += 1
        if opened % 3 == 2:
            raise OSError("no broker")
        sink = FailingSink(values)
        sink.calls = opened
        return sink

    async with (
        ami_server(Plan(SESSION)) as server,
        Collecting([pbx_of(server)], open_sink=open_sink).running() as collecting,
    ):
        await until(lambda: len(server.asked("QueueStatus")) == 1)
        await until(
            lambda: len(set(values)) == len(set(server.sent)) and not collecting.metric("buffer_records")
        )
        assert list(dict.fromkeys(values)) == list(dict.fromkeys(server.sent))
        assert len(values) > len(server.sent)


@pytest.mark.asyncio
async def test_two_pbxs_do_not_wait_for_each_other_at_kafka() -> None:
    stuck = asyncio.Event()
    async with ami_server(Plan(SESSION)) as server, ami_server(Plan(SESSION)) as other:
        collecting = Collecting([pbx_of(server)])

        async def open_sink(pbx: Pbx) -> Sink:
            if pbx.name == "stuck":
                await stuck.wait()
            return await collecting.topic.open(pbx)

        both = Collecting(
            [pbx_of(server), pbx_of(other, name="stuck")], open_sink=open_sink, drain_seconds=0.05
        )
        async with both.running():
            await until(lambda: len(server.sent) > len(SESSION) and collecting.topic.values() == server.sent)
            # The second PBX is read by itself: wait for it before looking at what it holds.
            await until(lambda: len(other.sent) > len(SESSION))
            await until(lambda: both.metric("buffer_records", "stuck") == len(other.sent))


def test_headers_name_the_pbx_the_time_and_the_tenant_where_there_is_one() -> None:
    given = {"name": "pbx01", "host": "h", "username": "u", "secret": "s", "tenant": "t1"}
    pbx = Pbx.model_validate(given)
    assert headers_of(ReceivedPacket(b"", 1795350870000), pbx) == [
        ("pbx", b"pbx01"),
        ("received_at", b"1795350870000"),
        ("tenant", b"t1"),
    ]
    assert headers_of(ReceivedPacket(b"", 1), pbx.model_copy(update={"tenants": "any"}))[2:] == [
        ("tenant", b"t1"),
        ("tenants", b"any"),
    ]
    anyone = pbx.model_copy(update={"tenant": None})
    assert headers_of(ReceivedPacket(b"", 1, "too_large"), anyone)[1:] == [
        ("received_at", b"1"),
        ("malformed", b"too_large"),
    ]
