"""What a real Asterisk sends about a campaign's calls; each test leaves its recording in its `tmp_path`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tally.deploy.local.ports import LOOPBACK
from tally.streams.ami.pbx import Pbx as CollectedPbx
from tests.asterisk.calls import BUSY, CONGESTED, HANGS_UP, LOCAL, REJECTS, RINGS, WAITS, Call
from tests.asterisk.conftest import Judge
from tests.asterisk.instance import Pbx
from tests.asterisk.session import END_OF_PACKET, AmiSession, logged_in
from tests.support.ami_collector import Collecting

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

SHORT_MS = 1_500


@pytest_asyncio.fixture
async def session(pbx: Pbx, tmp_path: Path) -> AsyncIterator[AmiSession]:
    async with logged_in(pbx) as session:
        yield session
    session.write_recording(tmp_path / "session.ami")


async def make(pbx: Pbx, session: AmiSession, *calls: Call) -> list[bytes]:
    """Make calls at the same time, wait until all are over, and return their send results."""
    sends = [call.requested(pbx) for call in calls]
    for call in calls:
        await call.originate(session)
    for call in calls:
        await call.over(session)
    return sends


def ends(session: AmiSession, call: Call) -> tuple[list[str], list[str], list[str]]:
    """Return how the contact's leg ended: DialStatus, Cause, and the Reason of the Originate."""
    return (
        [event["DialStatus"] for event in session.named("DialEnd", DestUniqueid=call.contact)],
        [event["Cause"] for event in session.named("Hangup", Uniqueid=call.contact)],
        [event["Reason"] for event in session.named("OriginateResponse", ActionID=call.action_id)],
    )


OUTCOMES = {
    "answered": (Call(WAITS), (["ANSWER"], {"16"}, ["4"])),
    "answered, the contact hangs up": (
        Call(HANGS_UP, context="campaign-listening"),
        (["ANSWER"], {"16"}, ["4"]),
    ),
    "busy": (Call(BUSY), (["BUSY"], {"17"}, ["0"])),
    "congestion": (Call(CONGESTED), (["CONGESTION"], {"34"}, ["0"])),
    # No DialEnd, and a cause since 22.8 only.
    "no answer": (Call(RINGS, timeout_ms=SHORT_MS), ([], {"0", "19"}, ["3"])),
    "rejected": (Call(REJECTS), (["NOANSWER"], {"21"}, ["0"])),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
async def test_a_call_over_the_trunk_ends_as_the_carrier_ended_it(
    outcome: str, pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    call, (statuses, causes, reasons) = OUTCOMES[outcome]
    sends = await make(pbx, session, call)
    seen_statuses, seen_causes, seen_reasons = ends(session, call)
    assert (seen_statuses, seen_reasons) == (statuses, reasons)
    assert len(seen_causes) == 1
    assert causes.issuperset(seen_causes)
    judge(session.events, sends, **{"attempted": 1, outcome.partition(",")[0].replace(" ", "_"): 1})


async def test_a_call_hung_up_while_it_rings_is_told_as_not_answered(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    call = Call(RINGS)
    sends = [call.requested(pbx)]
    await call.originate(session)
    await session.send("Hangup", [("Channel", await call.ringing(session))])
    await call.over(session)
    assert ends(session, call) == (["NOANSWER"], ["0"], ["0"])
    judge(session.events, sends, attempted=1, call_cancelled=1)


async def test_through_a_local_channel_the_inner_leg_tells_what_the_originate_does_not(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    call = Call(BUSY, via=LOCAL)
    sends = await make(pbx, session, call)
    assert [event["DialStatus"] for event in session.named("DialEnd")] == ["BUSY", "BUSY"]
    assert [event["Cause"] for event in session.named("Hangup")] == ["17", "17", "17"]
    assert ends(session, call)[2] == ["0"]
    judge(session.events, sends, attempted=1, busy=1)


async def test_an_attempt_that_named_no_channel_is_known_by_its_action_and_its_variables(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    call = Call(BUSY, by_channel_id=False)
    sends = await make(pbx, session, call)
    assert session.named("OriginateResponse")[0]["Uniqueid"] == "<unknown>"
    dial_ends = [packet for _, packet in session.events if packet.startswith(b"Event: DialEnd\r\n")]
    assert len(dial_ends) == 1
    assert f"\r\nDestChanVariable: CONTACT_ID={call.contact}\r\n".encode() in dial_ends[0]
    judge(session.events, sends, attempted=1, busy=1)


async def test_a_queue_connects_a_contact_to_an_operator(pbx: Pbx, session: AmiSession, judge: Judge) -> None:
    call = Call(HANGS_UP, context="campaign-queue")
    sends = await make(pbx, session, call)
    assert len(session.named("QueueCallerJoin", Uniqueid=call.contact, Queue="sales")) == 1
    (connect,) = session.named("AgentConnect", Uniqueid=call.contact)
    assert (connect["MemberName"], connect["Interface"]) == (
        "Operator Seven",
        "Local/15555550107@operators/n",
    )
    assert len(session.named("AgentComplete", Uniqueid=call.contact, Reason="caller")) == 1
    assert not session.named("QueueCallerAbandon")
    assert {event["Linkedid"] for event in session.named("Hangup")} == {call.contact}
    judge(session.events, sends, attempted=1, answered=1, queue_joins=1, connects=1)


async def test_a_contact_who_hangs_up_in_a_queue_has_abandoned_it(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    call = Call(HANGS_UP, context="campaign-unstaffed")
    sends = await make(pbx, session, call)
    assert len(session.named("QueueCallerAbandon", Uniqueid=call.contact, Queue="unstaffed")) == 1
    assert len(session.named("QueueCallerLeave", Uniqueid=call.contact)) == 1
    assert not session.named("AgentConnect")
    judge(session.events, sends, attempted=1, answered=1, queue_joins=1, queue_abandoned=1)


async def test_calls_at_the_same_time_end_each_in_its_own_way(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    numbers = (WAITS, BUSY, CONGESTED, REJECTS, HANGS_UP) * 4
    calls = [Call(number) for number in numbers]
    sends = await make(pbx, session, *calls)
    statuses = [ends(session, call)[0] for call in calls]
    assert statuses == [["ANSWER"], ["BUSY"], ["CONGESTION"], ["NOANSWER"], ["ANSWER"]] * 4
    judge(session.events, sends, attempted=20, answered=8, busy=4, congestion=4, rejected=4)


async def test_every_event_of_a_call_has_a_time_and_the_name_of_its_pbx(
    pbx: Pbx, session: AmiSession
) -> None:
    await make(pbx, session, Call(WAITS))
    told = [packet for _, packet in session.events if not packet.startswith(b"Event: FullyBooted\r\n")]
    assert told
    assert all(b"\r\nTimestamp: " in packet for packet in told)
    assert all(f"\r\nSystemName: {pbx.name}\r\n".encode() in packet for packet in told)


async def test_the_collector_publishes_what_a_session_sees_and_tells_the_same_story(
    pbx: Pbx, session: AmiSession, judge: Judge
) -> None:
    known = {"name": pbx.name, "host": LOOPBACK, "port": pbx.ami_port, "username": "dialer"}
    settings = CollectedPbx.model_validate({**known, "secret": pbx.secret, "auth": "md5", "events": "on"})
    collecting = Collecting([settings])
    async with collecting.running():
        await eventually(lambda: collecting.metric("connected", pbx.name) == 1.0)
        sends = await make(pbx, session, Call(HANGS_UP), Call(BUSY))
        hangups = len(session.named("Hangup"))
        await eventually(
            lambda: sum(b"Event: Hangup\r" in v for v in collecting.topic.values(pbx.name)) >= hangups
        )
    packet = collecting.topic.records[pbx.name]
    told = {packet.removesuffix(END_OF_PACKET) for _, packet in session.events if b"\r\nUniqueid: " in packet}

    assert told <= {event.value.removesuffix(b"\r\n") for event in packet}
    judge([(event.received_at_ms, event.value) for event in packet], sends, attempted=2, answered=1, busy=1)


async def eventually(holds: Callable[[], bool], deadline_seconds: float = 20.0) -> None:
    async with asyncio.timeout(deadline_seconds):
        while not holds():
            await asyncio.sleep(0.05)
