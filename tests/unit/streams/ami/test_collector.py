"""Laws of the collector: the PBX's events reach the topic byte for byte and in order, whatever fails."""

import asyncio
import re
from itertools import count

import pytest

from tally.schemas.ami.packet import Packet, read_packet
from tally.streams.ami.session import pong_ms
from tests.support.ami_collector import Collecting, pbx_of, with_timing
from tests.support.ami_server import Plan, ami_server, events
from tests.support.transport import until

SESSION = events("ast22__queue-abandon")
BURST = events("ast22__campaign-burst-10")


@pytest.mark.asyncio
async def test_every_event_is_published_byte_for_byte_and_in_order() -> None:
    async with ami_server(Plan(BURST)) as server, Collecting([pbx_of(server)]).running() as collecting:
        await until(
            lambda: len(collecting.topic.values()) > len(BURST) and collecting.topic.values() == server.sent
        )
        await server.push(*SESSION)
        await until(lambda: collecting.topic.values() == server.sent)

        assert collecting.metric("connected") == 1
        assert collecting.metric("events_total") == collecting.metric("published_total") == len(server.sent)
        assert collecting.metric("buffer_records") == collecting.metric("buffer_bytes") == 0
        assert collecting.metric("lag_seconds") == 0
        assert collecting.collector.ready().is_ok
    assert collecting.metric("connected") == 0
    assert collecting.metric("gaps_total", reason="lost") == 0


@pytest.mark.asyncio
async def test_after_each_login_the_channels_and_queues_are_asked_for_and_published() -> None:
    plans = Plan(SESSION, is_cut=True), Plan()
    async with ami_server(*plans) as server, Collecting([pbx_of(server)]).running() as collecting:
        await until(lambda: server.connections == 2 and collecting.topic.values() == server.sent)
        await until(lambda: len(server.asked("QueueStatus")) >= 1)
        await until(lambda: collecting.topic.values() == server.sent and b"QueueStatusC" in server.sent[-1])

        asked = [action["ActionID"] for action in server.actions if "resync" in action["ActionID"]]
        assert len(set(asked)) == len(asked)
        assert all(action_id.startswith("tally-resync-") for action_id in asked)
        assert collecting.metric("gaps_total", reason="lost") == 1
        assert collecting.metric("reconnects_total") == 1


@pytest.mark.asyncio
async def test_a_list_is_of_the_moment_before_it_by_the_clock_of_the_pbx() -> None:
    clock = count(1)
    plan = Plan(before_list=SESSION[:1])
    async with (
        ami_server(plan) as server,
        Collecting([pbx_of(server)], now_ms=lambda: next(clock)).running() as collecting,
    ):
        await until(lambda: any(b"QueueStatusComplete" in value for value in collecting.topic.values()))
        records = collecting.topic.records["pbx01"]

    for action in server.asked("CoreShowChannels") + server.asked("QueueStatus"):
        mark = f"\r\nActionID: {action['ActionID']}\r\n".encode()
        times = {packet.received_at_ms for packet in records if mark in packet.value}
        # The recorded Pong's Timestamp: 1795351137.333666.
        assert times == {1_795_351_137_333}
    (between,) = [packet for packet in records if packet.value == SESSION[0]]
    assert between.received_at_ms < 1_000


def test_a_pong_without_a_time_says_none() -> None:
    assert pong_ms(Packet([("Timestamp", "1795351137.333666")])) == 1_795_351_137_333
    assert pong_ms(Packet([("Timestamp", "1795351137")])) == 1_795_351_137_000
    assert pong_ms(Packet([("Timestamp", "soon")])) is None
    assert pong_ms(Packet([("Ping", "Pong")])) is None


@pytest.mark.asyncio
async def test_channels_are_asked_for_again_and_again() -> None:
    async with ami_server() as server:
        pbx = pbx_of(server).model_copy(update={"resync_seconds": 0.02})
        async with Collecting([pbx], config=with_timing(ping_seconds=0.01)).running() as collecting:
            await until(lambda: len(server.asked("CoreShowChannels")) >= 4 and len(server.asked("Ping")) >= 4)
            assert len(server.asked("QueueStatus")) == 1
            assert server.connections == 1
            assert collecting.metric("gaps_total", reason="lost") == 0


@pytest.mark.asyncio
async def test_a_wire_that_is_cut_within_a_packet_publishes_the_packets_before_it_only() -> None:
    plans = (
        Plan(SESSION[:5], tail=b"Event: Hangup\r\nUniqueid: pbx01-17953509", is_cut=True),
        Plan(SESSION[5:9]),
    )
    async with ami_server(*plans) as server, Collecting([pbx_of(server)]).running() as collecting:
        await until(lambda: server.connections == 2 and b"QueueStatusC" in server.sent[-1])
        await until(lambda: collecting.topic.values() == server.sent)

        assert collecting.metric("gaps_total", reason="lost") == 1
        assert collecting.metric("malformed_total") == 0


@pytest.mark.asyncio
async def test_a_pbx_that_no_longer_answers_is_left_and_tried_again() -> None:
    plans = Plan(SESSION[:3], is_deaf=True), Plan(SESSION[3:6])
    config = with_timing(answer_seconds=0.05, ping_seconds=0.05, pong_seconds=0.05)
    async with (
        ami_server(*plans) as server,
        Collecting([pbx_of(server)], config=config).running() as collecting,
    ):
        await until(lambda: server.connections == 2 and b"QueueStatusC" in server.sent[-1])
        await until(lambda: collecting.topic.values() == server.sent)
        assert collecting.metric("gaps_total", reason="lost") == 1


@pytest.mark.asyncio
async def test_a_pbx_that_falls_silent_is_left_for_want_of_a_pong() -> None:
    async with ami_server() as server:
        config = with_timing(ping_seconds=0.05, pong_seconds=0.05)
        async with Collecting([pbx_of(server)], config=config).running() as collecting:
            await until(lambda: len(server.asked("Ping")) >= 1)
            server.is_silent = True
            await until(lambda: server.connections >= 2)
            assert collecting.metric("gaps_total", reason="lost") >= 1


@pytest.mark.asyncio
async def test_what_is_malformed_between_packets_is_published_as_it_is_and_marked() -> None:
    noise = (b"no field at all\r\n", b"\xff\xfe: \x00\r\n", b"Event: A\r\n" + b"x: y\r\n" * 1000)
    plan = Plan([SESSION[0], noise[0], SESSION[1], noise[1], SESSION[2], noise[2], SESSION[3]])
    async with ami_server(plan) as server, Collecting([pbx_of(server)]).running() as collecting:
        await until(lambda: len(server.sent) > 10 and collecting.topic.values() == server.sent)

        marked = {
            packet.value: packet.malformed for packet in collecting.topic.records["pbx01"] if packet.malformed
        }
        assert marked == {noise[0]: "no_fields", noise[1]: "no_event", noise[2]: "no_fields"}
        assert collecting.metric("malformed_total") == 3
        assert server.connections == 1


@pytest.mark.asyncio
async def test_answers_to_actions_are_not_published() -> None:
    plan = Plan([b"Response: Success\r\nActionID: of another\r\n", SESSION[0]])
    async with ami_server(plan) as server, Collecting([pbx_of(server)]).running() as collecting:
        await until(lambda: any(b"QueueStatusComplete" in value for value in collecting.topic.values()))
        assert all("event" in read_packet(value.decode()) for value in collecting.topic.values())


@pytest.mark.asyncio
async def test_two_collectors_publish_every_event_twice() -> None:
    async with (
        ami_server() as server,
        Collecting([pbx_of(server)]).running() as first,
        Collecting([pbx_of(server)]).running() as second,
    ):
        await until(lambda: len(server.asked("QueueStatus")) == 2 and len(server.open) == 2)
        await server.push(*SESSION)
        for collecting in (first, second):
            await until(lambda: collecting.topic.values()[-len(SESSION) :] == list(SESSION))  # noqa: B023
        tokens = {re.sub(r"-\d+$", "", action["ActionID"]) for action in server.asked("QueueStatus")}
        assert len(tokens) == 2


@pytest.mark.asyncio
async def test_a_pbx_that_is_away_refuses_or_talks_gibberish_stops_no_other() -> None:
    async with (
        ami_server(Plan(SESSION)) as good,
        ami_server(secret="another") as refusing,  # noqa: S106 - a test's
        ami_server(Plan(banner=b"HTTP/1.1 400 Bad Request\r\n\r\n")) as foreign,
        ami_server(Plan([b"gibberish\r\n"] * 50)) as mad,
    ):
        pbxs = [
            pbx_of(good),
            pbx_of(refusing, name="refusing"),
            pbx_of(foreign, name="foreign"),
            pbx_of(mad, name="mad"),
            pbx_of(good, name="away", port=1),
        ]
        async with Collecting(pbxs).running() as collecting:
            await until(lambda: len(good.sent) > len(SESSION) and collecting.topic.values() == good.sent)
            await until(lambda: collecting.metric("malformed_total", "mad") == 50)
            for pbx in ("refusing", "foreign", "away"):
                await until(lambda: collecting.metric("reconnects_total", pbx) > 1)  # noqa: B023
                assert collecting.metric("gaps_total", pbx, reason="lost") == 0
            assert collecting.metric("login_failures_total", "refusing") > 1
            await good.push(*SESSION)
            await until(lambda: collecting.topic.values() == good.sent)
            assert good.connections == 1
            reasons = collecting.collector.ready().reasons
            assert [reason.partition(":")[0] for reason in reasons] == ["refusing", "foreign", "away"]


@pytest.mark.asyncio
async def test_stopping_logs_off_and_publishes_what_is_buffered() -> None:
    async with ami_server(Plan(SESSION)) as server:
        async with Collecting([pbx_of(server)]).running() as collecting:
            collecting.topic.is_away = True
            await until(lambda: len(server.asked("QueueStatus")) == 1)
            await until(lambda: collecting.metric("buffer_records") == len(server.sent))
            asyncio.get_running_loop().call_later(0.1, setattr, collecting.topic, "is_away", False)
        assert collecting.topic.values() == server.sent
        assert len(server.asked("Logoff")) == 1


@pytest.mark.asyncio
async def test_stopping_takes_no_longer_than_its_deadline_while_kafka_is_away() -> None:
    async with ami_server(Plan(SESSION)) as server:
        async with Collecting([pbx_of(server)], drain_seconds=0.05).running() as collecting:
            collecting.topic.is_away = True
            await until(lambda: collecting.metric("buffer_records") >= len(SESSION))
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1.5
        assert collecting.topic.values() == []
