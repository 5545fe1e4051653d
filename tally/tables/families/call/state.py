"""What is known of one call; times are unix microseconds."""

from typing import NamedTuple

from msgspec import Struct

from tally.schemas.call_facts import Role
from tally.schemas.keys import Template

LOCAL = "Local/"

ENTER, LEAVE, HOLD, UNHOLD, JOIN, UNJOIN, ABANDON = "elhujqa"
"""What a moment was: the first letter of its key."""
_UNTIMED = "\0"
"""Parts the digest of an event without Timestamp from its key."""


class MomentKey(NamedTuple):
    """What happened on a channel, and where; events without Timestamp are told apart by a digest."""

    letter: str
    place: str
    """The bridge or the queue; empty for a hold."""
    digest: str = ""
    """Of an event without Timestamp: copies of it have times of receipt, of which the smallest holds."""

    @property
    def text(self) -> str:
        """Return the key as the state keeps it."""
        return (
            f"{self.letter}{self.place}{_UNTIMED}{self.digest}" if self.digest else self.letter + self.place
        )


def moment_key(text: str) -> MomentKey:
    """Return what a key of `Channel.moments` says."""
    place, _, digest = text[1:].partition(_UNTIMED)
    return MomentKey(text[0], place, digest)


def is_untimed(text: str) -> bool:
    """Return whether a key of `Channel.moments` is of an event without Timestamp."""
    return _UNTIMED in text


class FirstSeen(NamedTuple):
    """When a channel was first seen, and its name then: a masquerade changes names later."""

    at_us: int
    name: str


class Hangup(NamedTuple):
    """The end of a channel, or a request for it; its cause is one of Q.850, 0 where there is none."""

    at_us: int
    cause: int


class DialEnd(NamedTuple):
    """The end of a dial of a channel."""

    at_us: int
    status: str
    """DialStatus."""


class Offer(NamedTuple):
    """A queue's offer of a caller to an operator's channel."""

    at_us: int
    queue: str
    interface: str


class Shown(NamedTuple):
    """The value of a channel variable, and when an event showed it."""

    at_us: int
    value: str


class Whom(NamedTuple):
    """The campaign and the contact that one event showed of a channel."""

    at_us: int
    campaign: str
    contact: str


class Response(NamedTuple):
    """An OriginateResponse."""

    at_us: int
    unique: str
    reason: int
    bound: str
    """The tenant that the PBX is bound to."""


class Result(NamedTuple):
    """An outcome of an attempt in send results: the first time, and the smallest template."""

    at_ms: int
    template: Template


class Channel(Struct, frozen=True, array_like=True):
    """Everything known of one channel."""

    first: FirstSeen
    listed_us: int = 0
    """When a list of the PBX's channels last showed it."""
    vanished: bool = False
    """Whether the latest resync did not find it. No fact says so: it is set anew after each merge."""
    up_us: int | None = None
    rang: bool = False
    request: Hangup | None = None
    """The first HangupRequest; our own side's has no cause."""
    hangup: Hangup | None = None
    dial_end: DialEnd | None = None
    """The first end of a dial of it."""
    callers: list[str] = []
    """Channels that dialled it."""
    agent: Offer | None = None
    """The first offer of a caller to it."""
    missed: list[str] = []
    """Callers of queues whom this leg let ring."""
    variables: dict[Role, Shown] = {}
    moments: dict[str, list[int]] = {}
    """Times by `MomentKey`; a key of events without Timestamp has one time, every other one all of its."""
    named: Whom | None = None
    """The first event that showed campaign and contact: when, and both. `variables` has the first ones that
    came alone."""
    renamed: list[tuple[Role, str]] = []
    """Campaigns and contacts that came alone and later: each pair of what came alone connects calls."""

    @property
    def whom(self) -> tuple[str, ...]:
        """Campaign and contact: those of the first event that shows both, else the first of each."""
        if self.named:
            return self.named[1:]
        campaign, contact = self.variables.get("campaign"), self.variables.get("contact")
        return (campaign.value, contact.value) if campaign and contact else ()

    @property
    def name(self) -> str:
        """Its first name."""
        return self.first.name

    @property
    def last_us(self) -> int:
        """When it was last heard of, by the events that say more than that it is there.

        Each of them has one time, however many copies there are, so that collectors agree. The rest (a
        change of state, a dial of another) is not kept: a list of channels shows who is there.
        """
        times = [self.first.at_us, self.listed_us, self.up_us or 0]
        times += [one.at_us for one in (self.request, self.hangup, self.dial_end, self.agent) if one]
        return max(times + [moments[-1] for moments in self.moments.values()])

    @property
    def is_local(self) -> bool:
        """Whether it is one half of a Local channel, which leads to no phone itself."""
        return self.first.name.startswith(LOCAL)

    @property
    def is_over(self) -> bool:
        """Whether it has hung up, or has vanished."""
        return self.hangup is not None or self.vanished


class Requested(Struct, frozen=True, array_like=True):
    """What send results say of one attempt."""

    results: dict[str, Result]
    """By outcome."""
    ids: list[tuple[str, str]]
    customer_is_second_leg: bool


class Call(Struct, frozen=True, array_like=True):
    """Channels of one PBX that belong together, and the attempts that they were made for."""

    identifiers: list[bytes]
    """Sorted; the first one names the state: `u` Uniqueid, `a` ActionID, `v` campaign and contact."""
    channels: dict[str, Channel] = {}
    asked: dict[str, Requested] = {}
    """By tenant, campaign, contact and attempt, joined as in keys."""
    responses: dict[str, Response] = {}
    """The first one by ActionID, else by NUL and Uniqueid."""
    is_beyond: bool = False
    """Whether more was known of it than its bound: then only its first identifiers are kept."""
