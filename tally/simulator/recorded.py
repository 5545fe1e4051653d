"""Recorded calls of a real Asterisk, replayed as other calls (sources: recordings/SOURCES.md)."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

CRLF = b"\r\n"
_UNIQUE = re.compile(rb"pbx01-(\d+)\.(\d+)")
_TIMESTAMP = re.compile(rb"(?m)^Timestamp: (\d+)\.(\d+)")
_BRIDGE = re.compile(rb"(?m)^(BridgeUniqueid: )[0-9a-f]{8}")
_LOCAL = re.compile(rb"(Local/[^;\r]*-)[0-9a-f]{8}(;[12])")
_ACTION = re.compile(rb"(?m)^ActionID: [^\r]+")
_VARIABLE = re.compile(rb"(?m)^([A-Za-z]*ChanVariable(?:\([^)]*\))?: (CAMPAIGN|CONTACT)_ID=)[^\r]+")
_SET = re.compile(rb"(Variable: (?:__)?(CAMPAIGN|CONTACT|ATTEMPT)_ID\r\nValue: )[^\r]+")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a replayed call."""

    pbx: str
    serial: int
    campaign: str
    contact: str
    attempt: str

    @property
    def action_id(self) -> str:
        """The ActionID of the call's Originate."""
        return f"call-{self.campaign}-{self.contact}-{self.attempt}"


@cache
def session(name: str) -> tuple[bytes, ...]:
    """Return a recorded session's events that have a Timestamp, in order."""
    body = (files(__package__) / "recordings" / f"{name}.ami").read_bytes()
    return tuple(packet for packet in body.split(CRLF * 2) if b"\nTimestamp: " in packet)


def replayed(name: str, names: Names, start_s: int) -> list[bytes]:
    """Return a recorded call's events with another time, PBX and other ids."""
    packets = session(name)
    first = _TIMESTAMP.search(packets[0])
    shift_s = start_s - int(first[1] if first else 0)
    return [_replayed(packet, names, shift_s) for packet in packets]


def _replayed(packet: bytes, names: Names, shift_s: int) -> bytes:
    pbx, own = names.pbx.encode(), {b"CAMPAIGN": names.campaign, b"CONTACT": names.contact}
    own[b"ATTEMPT"] = names.attempt
    packet = _UNIQUE.sub(
        lambda m: b"%b-%d.%d" % (pbx, int(m[1]) + shift_s, int(m[2]) + 1000 * names.serial), packet
    )
    packet = _TIMESTAMP.sub(lambda m: b"Timestamp: %d.%b" % (int(m[1]) + shift_s, m[2]), packet)
    packet = _BRIDGE.sub(lambda m: m[1] + b"%08x" % names.serial, packet)
    packet = _LOCAL.sub(lambda m: m[1] + b"%08x" % names.serial + m[2], packet)
    packet = _ACTION.sub(b"ActionID: " + names.action_id.encode(), packet)
    packet = _VARIABLE.sub(lambda m: m[1] + own[m[2]].encode(), packet)
    packet = _SET.sub(lambda m: m[1] + own[m[2]].encode(), packet)
    return packet.replace(b"SystemName: pbx01", b"SystemName: " + pbx)


def after(packet: bytes, seconds: float, event: str, *fields: str) -> bytes:
    """Return another event of the same channel: the packet's snapshot, a later time, and further fields."""
    kept = [line for line in packet.split(CRLF) if line.split(b":")[0].decode() in SNAPSHOT]
    stamped = _TIMESTAMP.search(packet)
    at_us = (int(stamped[1]) * 1_000_000 + int(stamped[2]) if stamped else 0) + round(seconds * 1_000_000)
    head = (f"Event: {event}", f"Timestamp: {at_us // 1_000_000}.{at_us % 1_000_000:06d}")
    return CRLF.join([*(line.encode() for line in head), *kept, *(field.encode() for field in fields)])


SNAPSHOT = frozenset(
    {
        *("SystemName", "Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName"),
        *("ConnectedLineNum", "ConnectedLineName", "Language", "AccountCode", "Context", "Exten"),
        *("Priority", "Uniqueid", "Linkedid", "ChanVariable"),
    }
)


def received_ms(packet: bytes) -> int:
    """Return when a collector beside the PBX receives an event, in unix ms."""
    stamped = _TIMESTAMP.search(packet)
    return int(stamped[1]) * 1000 + int(stamped[2]) // 1000 + 1 if stamped else 0


def event_of(packet: bytes) -> str:
    """Return an event's name."""
    return packet[7 : packet.index(CRLF)].decode()
