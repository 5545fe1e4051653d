"""Short builders of AMI packets and voice send results for tests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
Event = tuple[str, bytes, dict[str, str]]
"""Topic, body, headers."""

NOW = 1_795_350_000  # unix seconds
PBX = "pbx01"


def send(outcome: str = "requested", at: float = -1, contact: str = "a", **fields: Any) -> Event:
    body: Body = {
        "tenant": "t1",
        "channel": "voice",
        "campaign": "c1",
        "contact": {"id": contact, "phone": "+31600000001"},
        "template": {"name": "offer"},
        "pbx": PBX,
        "call": {"action_id": f"act-{contact}", "channel_id": contact},
        "outcome": outcome,
        "time": int((NOW + at) * 1000),
        **fields,
    }
    if outcome == "failed":
        body.setdefault("error", {"source": "pbx", "code": 0})
    if outcome in ("skipped", "cancelled"):
        body.setdefault("reason", "opted_out")
    return "send-results", json.dumps(body).encode(), {}


@dataclass(frozen=True)
class Channel:
    uniqueid: str
    name: str = ""
    linkedid: str = ""

    def snapshot(
        self, prefix: str = "", state: int = 0, variables: Iterable[str] = ()
    ) -> list[tuple[str, str]]:
        lines = [
            ("Channel", self.name or f"PJSIP/{self.uniqueid}-00000001"),
            ("ChannelState", str(state)),
            ("Uniqueid", self.uniqueid),
            ("Linkedid", self.linkedid or self.uniqueid),
            *(("ChanVariable", variable) for variable in variables),
        ]
        return [(prefix + key, value) for key, value in lines]


Lines = list[tuple[str, str]]


def packet(lines: Lines, received_at: float | None = None, headers: dict[str, str] | None = None) -> Event:
    """Return a record with the packet as text."""
    body = "".join(f"{key}: {value}\r\n" for key, value in lines).encode()
    stamped = {} if received_at is None else {"received_at": str(int((NOW + received_at) * 1000))}
    return "ami-events", body, {"pbx": PBX, **stamped, **(headers or {})}


def lines_of(at: float | None, event: str, *shown: Lines, **fields: object) -> Lines:
    stamp = [] if at is None else [("Timestamp", f"{NOW + at:.6f}")]
    said = [(key.replace("_", "-"), str(value)) for key, value in fields.items()]
    return [
        ("Event", event),
        ("Privilege", "call,all"),
        *stamp,
        *(line for part in shown for line in part),
        *said,
    ]


def ami(at: float, event: str, *shown: Lines, **fields: object) -> Event:
    return packet(lines_of(at, event, *shown, **fields))


def born(at: float, one: Channel, *variables: str) -> Event:
    return ami(at, "Newchannel", one.snapshot(variables=variables))


def state(at: float, one: Channel, number: int) -> Event:
    return ami(at, "Newstate", one.snapshot(state=number))


def dial(event: str, at: float, one: Channel, by: Channel | None, status: str = "") -> Event:
    caller = [by.snapshot(state=6)] if by else []
    return ami(at, event, *caller, one.snapshot("Dest"), **({"DialStatus": status} if status else {}))


def rings(at: float, one: Channel, by: Channel | None = None) -> list[Event]:
    """Return the events of a dial up to the ringing of the other side."""
    return [
        born(at, one),
        dial("DialBegin", at + 0.01, one, by),
        dial("DialState", at + 0.02, one, by, "RINGING"),
    ]


def answers(at: float, one: Channel, by: Channel | None = None) -> list[Event]:
    return [state(at, one, 6), dial("DialEnd", at + 0.001, one, by, "ANSWER")]


def hangup(at: float, one: Channel, cause: int | str = 16) -> Event:
    return ami(at, "Hangup", one.snapshot(), Cause=cause)


def request(at: float, one: Channel) -> Event:
    return ami(at, "HangupRequest", one.snapshot())


TALKING = "simple_bridge"
WAITING = "holding_bridge"
"""Technologies of bridges."""


def enter(at: float, one: Channel, bridge: str = "b1", technology: str = TALKING) -> Event:
    return ami(at, "BridgeEnter", _of_bridge(bridge, technology), one.snapshot(state=6))


def leave(at: float, one: Channel, bridge: str = "b1", technology: str = TALKING) -> Event:
    return ami(at, "BridgeLeave", _of_bridge(bridge, technology), one.snapshot(state=6))


def _of_bridge(bridge: str, technology: str) -> Lines:
    return [("BridgeUniqueid", bridge), ("BridgeType", "basic"), ("BridgeTechnology", technology)]


def response(at: float, reason: int | str, action_id: str = "act-a", uniqueid: str = "<unknown>") -> Event:
    fields = {"ActionID": action_id, "Response": "Success" if reason == 4 else "Failure", "Reason": reason}
    return ami(at, "OriginateResponse", Channel="PJSIP/asked", Uniqueid=uniqueid, **fields)


def queue(at: float, event: str, one: Channel, name: str = "sales", **fields: object) -> Event:
    return ami(at, f"QueueCaller{event}", one.snapshot(state=6), Queue=name, **fields)


def agent(at: float, event: str, caller: Channel, one: Channel, interface: str, name: str = "sales") -> Event:
    return ami(at, f"Agent{event}", caller.snapshot(), one.snapshot("Dest"), Queue=name, Interface=interface)


def local(name: str, first: str, second: str, linkedid: str = "") -> tuple[Channel, Channel]:
    return (Channel(first, f"Local/{name};1", linkedid), Channel(second, f"Local/{name};2", linkedid))


def talk(start: float, end: float, *channels: Channel, bridge: str = "b1") -> list[Event]:
    return [event(at, one, bridge) for at, event in ((start, enter), (end, leave)) for one in channels]


def waits(start: float, end: float, *channels: Channel, room: str = "lot") -> list[Event]:
    """Return a stay in a waiting room: a parking lot, a BridgeWait, a hold queue."""
    moves = ((start, enter), (end, leave))
    return [event(at, one, room, WAITING) for at, event in moves for one in channels]


CUSTOMER = Channel("a")
OPERATOR = Channel("op", "PJSIP/201-00000007", "a")
OTHER = Channel("op2", "PJSIP/202-00000008", "a")


def answered(seconds: float = 10, one: Channel = CUSTOMER) -> list[Event]:
    """Return a requested call that is answered at 2 s and hung up at 2 s + `seconds`."""
    return [send(contact=one.uniqueid), *rings(0, one), *answers(2, one), hangup(2 + seconds, one)]


UP = {"requested": 1, "attempted": 1, "answered": 1}
"""The counters of every answered attempt with a send result."""


def queued_call(*more: Event, until: float = 40) -> list[Event]:
    return [*answered(until - 2), queue(3, "Join", CUSTOMER, Position=1), *more]


def detected(value: str, at: float = 2.5, one: Channel = CUSTOMER) -> Event:
    return ami(at, "VarSet", one.snapshot(), Variable="AMDSTATUS", Value=value)


def fully_booted(at: float, uptime: int) -> Event:
    return packet(lines_of(None, "FullyBooted", Uptime=uptime, LastReload=uptime), received_at=at)


def listed(at: float, *channels: Channel) -> list[Event]:
    return [
        *(
            packet(lines_of(None, "CoreShowChannel", one.snapshot(state=6), ActionID="list"), received_at=at)
            for one in channels
        ),
        packet(lines_of(None, "CoreShowChannelsComplete", ActionID="list", ListItems="1"), received_at=at),
    ]


def full_story() -> list[Event]:
    return queued_call(
        *(*rings(3.5, OPERATOR, by=CUSTOMER), agent(3.6, "Called", CUSTOMER, OPERATOR, "PJSIP/alice")),
        *(*talk(5, 9, CUSTOMER, OPERATOR), queue(4.9, "Leave", CUSTOMER), detected("HUMAN")),
    )


def as_json(event: Event) -> Event:
    """Return the same packet as a JSON object that also holds the values of its headers."""
    topic, body, headers = event
    if topic != "ami-events":
        return event
    fields: dict[str, Any] = {}
    for line in body.decode().splitlines():
        key, _, value = line.partition(": ")
        before = fields.get(key)
        fields[key] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    return topic, json.dumps({**fields, **headers}).encode(), {}
