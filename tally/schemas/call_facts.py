"""Facts about calls and operators, as route makes them from AMI events and from voice send results.

Times are unix microseconds: events of one call follow each other within less than a millisecond.
"""

from typing import Literal

from msgspec import Struct

from tally.schemas.keys import Template
from tally.schemas.places import NOWHERE

CALL = b"v"
OPERATOR = b"o"

Kind = Literal[
    "seen",
    "listed",
    "request",
    "hangup",
    "dial",
    "dial_end",
    "enter",
    "leave",
    "hold",
    "unhold",
    "join",
    "unjoin",
    "abandon",
    "agent",
    "ring_no_answer",
]
"""What an event says beyond that its channels exist; the fold knows no event by Asterisk's name."""

VariableRole = Literal["campaign", "contact", "attempt", "script", "tenant", "amd"]
"""What a channel variable is to us."""
Role = VariableRole | Literal["tenant_bound", "tenant_field", "tenant_header"]
"""A tenant may also come from the channel's own field, and from the record's header: bound where no other
may be named, as it is unless the header `tenants` says so."""

UP = 6
RINGING = 5


class ChannelSnapshot(Struct, frozen=True, array_like=True):
    """A channel as one event shows it."""

    unique: str
    linked: str
    name: str
    state: int = -1
    """ChannelState; -1 where the event does not say."""
    variables: dict[Role, str] = {}


class ChannelsSeen(Struct, frozen=True, array_like=True, tag=1):
    """An event showed these channels: first its own, then the Dest of a dial or an operator."""

    at_us: int
    kind: Kind
    channels: list[ChannelSnapshot]
    detail: str = ""
    """Bridge, queue or DialStatus."""
    interface: str = ""
    cause: int = 0
    digest: bytes = b""
    """Digest of the event's content where it has no Timestamp of its own: copies of it are one event."""
    place: int = NOWHERE


class Originated(Struct, frozen=True, array_like=True, tag=2):
    """The PBX told how an Originate ended (OriginateResponse)."""

    at_us: int
    action_id: str
    unique: str
    """Empty where Asterisk says `<unknown>`."""
    reason: int
    """-1 where it gives none, and so says nothing of an outcome."""
    bound: str = ""
    """The tenant that the PBX is bound to."""
    place: int = NOWHERE


class Dialled(Struct, frozen=True, array_like=True, tag=3):
    """A producer told of an attempt, and by which ids its channels can be known."""

    tenant: str
    campaign: str
    contact: str
    attempt: str
    outcome: str
    at_ms: int
    template: Template
    ids: list[tuple[str, str]]
    """(name of the id in send results, value)."""
    customer_is_second_leg: bool
    """Whether the customer is the second leg (click-to-call)."""
    market: str = ""
    """The market of the customer (schemas/markets.py); empty if unknown."""
    phone: str = ""
    """The customer's phone, in digits; empty if unknown."""
    place: int = NOWHERE


class Resynced(Struct, frozen=True, array_like=True, tag=4):
    """Whatever of this PBX was last heard of before this moment is over."""

    at_us: int
    place: int = NOWHERE


CallFact = ChannelsSeen | Originated | Dialled | Resynced


class MemberSeen(Struct, frozen=True, array_like=True, tag=1):
    """An operator's membership of a queue, as the PBX described it at that moment; the latest holds."""

    interface: str
    queue: str
    at_us: int
    tenant: str
    name: str
    status: int
    """Asterisk's device state: 0 unknown, 1 not in use, 2 in use, 3 busy, 4 invalid, 5 unavailable,
    6 ringing, 7 ringing and in use, 8 on hold."""
    paused: bool
    reason: str
    in_call: bool
    last_call_s: int
    wrapup_s: int
    removed: bool
    place: int = NOWHERE


OperatorFact = MemberSeen | Resynced
