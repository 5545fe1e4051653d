"""When an AMI event happened, and what tells it from another one."""

import re
from hashlib import blake2b

from msgspec import Struct

from tally.schemas.ami.packet import Packet
from tally.schemas.errors import BadEvent
from tally.schemas.fields import is_plausible

POSSIBLE = "a time from 2009 on that is not a day ahead of the record's own"
_TIMESTAMP = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_MS = re.compile(r"\d{1,15}", re.ASCII)
_OURS = frozenset({"received_at", "pbx", "tenant", "tenants"})


class Moment(Struct, frozen=True):
    """The time of an event in unix microseconds; `digest` is empty where the PBX wrote the time itself."""

    us: int
    digest: bytes


def moment_of(packet: Packet, received_at: str, published_ms: int | None) -> Moment:
    """Return when the event happened: its Timestamp (timestampevents=yes), else when it was received.

    Raises BadEvent: `bad_time`, also where Kafka's time of the record says that it cannot have been then, or
    `missing_field` where there is neither.
    """
    timestamp = packet.get("timestamp")
    if timestamp:
        found = _TIMESTAMP.fullmatch(timestamp)
        if not found:
            raise BadEvent("bad_time", "$.Timestamp", "unix seconds, with or without a fraction")
        at_us = int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])
        return Moment(_plausible(at_us, published_ms, "$.Timestamp"), b"")
    if not received_at:
        raise BadEvent("missing_field", "$.received_at", "unix ms, where the event has no Timestamp")
    if not _MS.fullmatch(received_at):
        raise BadEvent("bad_time", "$.received_at", "unix ms")
    return Moment(_plausible(int(received_at) * 1000, published_ms, "$.received_at"), _mark(packet))


def _plausible(at_us: int, published_ms: int | None, path: str) -> int:
    if not is_plausible(at_us // 1000, published_ms):
        raise BadEvent("bad_time", path, POSSIBLE)
    return at_us


def _mark(packet: Packet) -> bytes:
    """Digest the content: two collectors' copies of one event differ only in when they were received."""
    fields = sorted((name, values) for name, values in packet.items() if name not in _OURS)
    return blake2b(repr(fields).encode("utf-8", "backslashreplace"), digest_size=6).digest()
