"""The state of one call. Times are unix microseconds, except `at_ms`.

Places are those of first events; of what the PBX said they count from `Call.base`.
"""

from typing import NamedTuple

from msgspec import Struct

from tally.schemas.call_facts import Role
from tally.schemas.keys import Template
from tally.schemas.places import NOWHERE, First

LOCAL = "Local/"

ENTER, LEAVE, HOLD, UNHOLD, JOIN, UNJOIN, ABANDON = "elhujqa"
"""The kinds of moments; a moment's key begins with this letter."""
MOMENTS = {
    "enter": ENTER,
    "leave": LEAVE,
    "hold": HOLD,
    "unhold": UNHOLD,
    "join": JOIN,
    "unjoin": UNJOIN,
    "abandon": ABANDON,
}
"""The same by the kinds of facts."""
_UNTIMED = "\0"
"""Separates the digest of an event without Timestamp from the rest of its key."""


class MomentKey(NamedTuple):
    """What happened on a channel, and where; a digest distinguishes events without Timestamp."""

    letter: str
    where: str
    """The bridge or the queue; empty for a hold."""
    digest: str = ""
    """Digest of an event without Timestamp. Its copies have times of receipt; the earliest one holds."""

    @property
    def text(self) -> str:
        """Return the key as the state keeps it."""
        return (
            f"{self.letter}{self.where}{_UNTIMED}{self.digest}" if self.digest else self.letter + self.where
        )


def moment_key(text: str) -> MomentKey:
    """Decode a key of `Channel.moments`."""
    where, _, digest = text[1:].partition(_UNTIMED)
    return MomentKey(text[0], where, digest)


def is_untimed(text: str) -> bool:
    """Return whether a key of `Channel.moments` stands for an event without Timestamp."""
    return _UNTIMED in text


class FirstSeen(NamedTuple):
    """When a channel was first seen, and its name then; a masquerade may change the name later."""

    at_us: int
    name: str
    place: int = NOWHERE


class Hangup(NamedTuple):
    """The end of a channel, or a request for it. The cause is a Q.850 code; 0 if there is none."""

    at_us: int
    cause: int
    place: int = NOWHERE


class DialEnd(NamedTuple):
    """The end of a dial to a channel."""

    at_us: int
    status: str
    """DialStatus."""
    place: int = NOWHERE


class Offer(NamedTuple):
    """A queue's offer of a caller to an operator's channel."""

    at_us: int
    queue: str
    interface: str
    place: int = NOWHERE


class Shown(NamedTuple):
    """The value of a channel variable, and when an event showed it."""

    at_us: int
    value: str


class Whom(NamedTuple):
    """The campaign and the contact that one event showed for a channel."""

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
    place: int = NOWHERE


NO_REASON = -1
"""The Reason of an OriginateResponse that gives none."""


def response_key(name: str, reason: int) -> str:
    """Return the key of `Call.responses`: one without a Reason takes the place of none that has one."""
    return f"{name}\0" if reason == NO_REASON else name


class Result(NamedTuple):
    """One outcome of an attempt in its send results: the earliest time, and the smallest known values."""

    at_ms: int
    template: Template
    market: str = ""
    phone: str = ""
    place: int = NOWHERE
    """The whole place, of the first result that names the earliest time."""


class Channel(Struct, frozen=True, array_like=True):
    """Everything known of one channel."""

    first: FirstSeen
    listed_us: int = 0
    """When a list of the PBX's channels last showed it."""
    vanished: bool = False
    """Whether the latest resync did not find it. Facts do not say so: it is set again after each merge."""
    up: First | None = None
    rang: bool = False
    request: Hangup | None = None
    """The first HangupRequest; one of our own side has no cause."""
    hangup: Hangup | None = None
    dial_end: DialEnd | None = None
    """The first end of a dial to it."""
    callers: list[str] = []
    """Channels that dialled it."""
    agent: Offer | None = None
    """The first offer of a caller to it."""
    missed: dict[str, First] = {}
    """Queue callers for whom this leg rang without an answer, and the first event that says so."""
    variables: dict[Role, Shown] = {}
    moments: dict[str, list[int]] = {}
    """All times by `MomentKey`; the key of an event without Timestamp has only one."""
    named: Whom | None = None
    """Campaign and contact of the first event that showed both. `variables` has the first of each that came
    alone."""
    renamed: list[tuple[Role, str]] = []
    """Later campaigns and contacts that came alone. Each pair of those that came alone names the call."""
    places: dict[str, int] = {}
    """The place of the first moment of each kind, by the letter with which the keys of `moments` begin."""

    @property
    def up_us(self) -> int | None:
        """When it was first known to be up."""
        return self.up and self.up[0]

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
        """When it was last heard of, by events that say more than that it exists.

        Each such event has one time, however many copies arrive, so collectors agree. The times of other
        events (a change of state, a dial to another channel) are not kept: a list of channels shows which
        of them exist.
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
    """What send results say about one attempt."""

    results: dict[str, Result]
    """By outcome."""
    ids: list[tuple[str, str]]
    customer_is_second_leg: bool


class Call(Struct, frozen=True, array_like=True):
    """Channels of one PBX that belong together, and the attempts that they were made for."""

    identifiers: list[bytes]
    """Sorted; the first names the state. They begin with `u` (Uniqueid), `a` (ActionID) or `v` (campaign and
    contact)."""
    channels: dict[str, Channel] = {}
    asked: dict[str, Requested] = {}
    """By tenant, campaign, contact and attempt, joined as in keys."""
    responses: dict[str, Response] = {}
    """The first response by ActionID, by NUL and Uniqueid if it has no ActionID; see `response_key`."""
    is_beyond: bool = False
    """Whether it has outgrown its bound; then only its smallest identifiers are kept."""
    base: int | None = None
    """The smallest place of its PBX's events, None without any. A call's events lie close together, so that a
    place takes two or three bytes from here, and nine from nowhere."""
