"""When an AMI event happened, and what tells it from another one."""

import re
from hashlib import blake2b

from msgspec import Struct

from tally.schemas.ami.packet import Packet
from tally.schemas.errors import BadEvent
from tally.schemas.fields import MAX_SECONDS

MAX_US = MAX_SECONDS * 1_000_000 + 999_999
_TIMESTAMP = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_MS = re.compile(r"\d{1,15}", re.ASCII)
_OURS = frozenset({"received_at", "pbx", "tenant"})


class Moment(Struct, frozen=True):
    """The time of an event in unix microseconds; `mark` is empty where the PBX wrote the time itself."""

    us: int
    mark: bytes


def moment_of(packet: Packet, received_at: str) -> Moment:
    """Return when the event happened: its Timestamp (timestampevents=yes), else when it was received.

    Raises BadEvent: `bad_time`, or `missing_field` where there is neither.
    """
    timestamp = packet.get("timestamp")
    if timestamp:
        found = _TIMESTAMP.fullmatch(timestamp)
        if not found:
            raise BadEvent("bad_time", "$.Timestamp")
        return Moment(_within(int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0")[:6])), b"")
    if not received_at:
        raise BadEvent("missing_field", "$.received_at")
    if not _MS.fullmatch(received_at):
        raise BadEvent("bad_time", "$.received_at")
    return Moment(_within(int(received_at) * 1000), _mark(packet))


def _within(at_us: int) -> int:
    if at_us > MAX_US:
        raise BadEvent("bad_time")
    return at_us


def _mark(packet: Packet) -> bytes:
    """Digest the content: two collectors' copies of one event differ only in when they were received."""
    fields = sorted((name, values) for name, values in packet.items() if name not in _OURS)
    return blake2b(repr(fields).encode("utf-8", "backslashreplace"), digest_size=6).digest()
