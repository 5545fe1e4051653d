"""Voice campaigns as raw records: renamed recorded calls, and the send results of their dialler."""

import json
from collections.abc import Iterator
from random import Random

from tally.simulator.population import Size
from tally.simulator.recorded import Names, after, event_of, received_ms, replayed, session
from tally.simulator.records import AMI_EVENTS, SEND_RESULTS, Json, RawRecord, as_producers_write

STORIES = {
    "orig-answered-remote-hangup": 10,
    "orig-progress-then-answer": 6,
    "local-answered-optimized": 6,
    "queue-answered-second-agent": 10,
    "queue-answered-customer-hangup": 10,
    "agent-bridge-then-blind-transfer": 4,
    "answered-then-redirect": 4,
    "queue-abandon": 6,
    "queue-timeout-no-agent": 3,
    "orig-busy": 5,
    "local-busy": 4,
    "orig-noanswer-timeout": 8,
    "local-noanswer": 4,
    "orig-rejected21": 3,
    "orig-unallocated1": 2,
    "local-unallocated": 2,
    "orig-congestion": 2,
    "orig-deadtrunk": 1,
    "orig-nosuchpeer": 1,
    "hangup-by-dialer-while-ringing": 3,
}
"""Recorded sessions, and their relative frequency."""
SCRIPTS = ("offer", "survey", "")
VERDICTS = ("HUMAN", "HUMAN", "HUMAN", "MACHINE", "NOTSURE")
SPREAD_S = 1_800
LOST_SHARE = 0.03
"""The share of calls whose end is lost: the collector was down, and a later list of channels lacks them."""

Timed = tuple[int, RawRecord]


def voice(rng: Random, start_s: int, size: Size) -> list[RawRecord]:
    """Return the raw records of voice campaigns in order of arrival.

    A quarter of the events come from two collectors, and some come as JSON. `start_s` is as in `campaign`.
    """
    timed: list[Timed] = []
    for nth in range(size.tenants):
        pbx = f"pbx-{nth}"
        for campaign in range(size.voice_campaigns_per_tenant):
            timed += _campaign(rng, f"tenant-{nth}", pbx, campaign, start_s, size)
        timed += _of_pbx(rng, f"tenant-{nth}", pbx, start_s)
    if size.late_at_most_s is None:
        rng.shuffle(timed)
        return [record for _, record in timed]
    late_ms = size.late_at_most_s * 1000
    return [
        record
        for _, _, record in sorted((at + rng.uniform(0, late_ms), i, r) for i, (at, r) in enumerate(timed))
    ]


def _campaign(rng: Random, tenant: str, pbx: str, nth: int, start_s: int, size: Size) -> Iterator[Timed]:
    name = f"v{7000 + nth}"
    for contact in range(size.calls_per_campaign):
        for attempt in range(1, 3 if rng.random() < 0.15 else 2):
            serial = (nth * size.calls_per_campaign + contact) * 10 + attempt
            names = Names(pbx, serial, name, f"c{contact}", str(attempt))
            at_s = start_s + rng.randrange(SPREAD_S) + (attempt - 1) * SPREAD_S
            yield from _attempt(rng, tenant, names, at_s)


def _attempt(rng: Random, tenant: str, names: Names, at_s: int) -> Iterator[Timed]:
    fate = rng.random()
    if fate < 0.05:
        failed = {"error": {"source": "platform", "code": 503}}
        outcomes: list[tuple[str, Json]] = [
            ("skipped", {"reason": "do_not_call"}) if fate < 0.02 else ("failed", failed)
        ]
    else:
        asked: list[tuple[str, Json]] = [("queued", {}), ("requested", {}), ("accepted", {})]
        outcomes = asked[rng.randrange(2) : 2 + rng.randrange(2)]
        story = rng.choices(list(STORIES), weights=list(STORIES.values()))[0]
        yield from _published(rng, tenant, names.pbx, _events(rng, story, names, at_s))
    # Some diallers publish nothing: then only the channels' variables and the record's tenant name a call.
    if fate > 0.1 or fate < 0.05:
        script = SCRIPTS[names.serial % len(SCRIPTS)]
        for offset_ms, (outcome, more) in enumerate(outcomes):
            result = _result(tenant, names, script, outcome, at_s * 1000 + offset_ms - 500) | more
            yield at_s * 1000, RawRecord(SEND_RESULTS, None, as_producers_write(result))


def _result(tenant: str, names: Names, script: str, outcome: str, at_ms: int) -> Json:
    return {
        "tenant": tenant,
        "channel": "voice",
        "campaign": names.campaign,
        "contact": {"id": names.contact, "phone": f"+1555{names.serial:07d}"},
        "attempt": names.attempt,
        "template": {"name": script} if script else None,
        "pbx": names.pbx,
        "call": {"action_id": names.action_id},
        "outcome": outcome,
        "time": at_ms,
    }


def _events(rng: Random, story: str, names: Names, at_s: int) -> list[bytes]:
    """Return the events of one call, with added machine detection and holds, which recordings lack."""
    events: list[bytes] = []
    for packet in replayed(story, names, at_s):
        events.append(packet)
        answered = event_of(packet) == "UserEvent" and b"UserEvent: CampaignAnswered" in packet
        if answered and rng.random() < 0.7:
            verdict = rng.choice(VERDICTS)
            events.append(after(packet, 0.01, "VarSet", "Variable: AMDSTATUS", f"Value: {verdict}"))
        if event_of(packet) == "AgentConnect" and rng.random() < 0.3:
            events += [after(packet, 0.2, "Hold"), after(packet, 1.3, "Unhold"), after(packet, 1.4, "Unhold")]
    return events[: len(events) // 2] if rng.random() < LOST_SHARE else events


def _of_pbx(rng: Random, tenant: str, pbx: str, start_s: int) -> Iterator[Timed]:
    """Yield the records that concern no call: operators, and an empty list of channels at the end."""
    names = Names(pbx, 0, "", "", "")
    yield from _published(rng, tenant, pbx, replayed("queue-member-admin", names, start_s))
    listed = b"Event: CoreShowChannelsComplete\r\nActionID: list-1\r\nEventList: Complete\r\nListItems: 0"
    at_ms = (start_s + 4 * SPREAD_S) * 1000
    yield at_ms, _record(rng, tenant, pbx, listed, at_ms)


def _published(rng: Random, tenant: str, pbx: str, packets: list[bytes]) -> Iterator[Timed]:
    for packet in packets:
        at_ms = received_ms(packet)
        yield at_ms, _record(rng, tenant, pbx, packet, at_ms)
        if rng.random() < 0.25:
            yield at_ms, _record(rng, tenant, pbx, packet, at_ms + rng.randrange(50))


def _record(rng: Random, tenant: str, pbx: str, packet: bytes, received_at_ms: int) -> RawRecord:
    own = {"pbx": pbx, "received_at": str(received_at_ms), "tenant": tenant}
    if rng.random() < 0.7:
        return RawRecord(AMI_EVENTS, pbx.encode(), packet, tuple((k, v.encode()) for k, v in own.items()))
    fields: dict[str, str | list[str]] = {}
    for line in packet.decode().split("\r\n"):
        name, _, value = line.partition(":")
        known = fields.get(name)
        value = value.removeprefix(" ")
        fields[name] = value if known is None else [*([known] if isinstance(known, str) else known), value]
    return RawRecord(AMI_EVENTS, None, json.dumps(own | fields, ensure_ascii=False).encode())


def bad_packets() -> list[RawRecord]:
    """Return AMI records that cannot be counted; each becomes one dead letter."""
    newchannel = session("orig-busy")[2]
    headers = (("pbx", b"pbx-0"), ("received_at", b"1795350000000"))
    return [
        RawRecord(AMI_EVENTS, None, b"Event: Hangup\r\nthis is no field", headers),
        RawRecord(AMI_EVENTS, None, newchannel),
        RawRecord(AMI_EVENTS, None, newchannel.replace(b"Timestamp: ", b"Timestamp: x"), headers),
        RawRecord(AMI_EVENTS, None, b'{"Event": "Hangup", "pbx": "pbx-0", "Cause": 16}'),
        RawRecord(AMI_EVENTS, None, b"\x00\xff\xfe", headers),
    ]
