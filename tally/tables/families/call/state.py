"""What is known of one call; times are unix microseconds."""

from msgspec import Struct

from tally.schemas.call_facts import Role
from tally.schemas.keys import Template

LOCAL = "Local/"

ENTER, LEAVE, HOLD, UNHOLD, JOIN, UNJOIN, ABANDON = "elhujqa"
"""First letters of the keys of `moments`."""
UNTIMED = "\0"
"""Parts the mark of events without Timestamp from the key."""


class Channel(Struct, frozen=True, array_like=True):
    """Everything known of one channel."""

    first: tuple[int, str]
    """When it was first seen, and its name then: a masquerade changes names later."""
    listed_us: int = 0
    """When a list of the PBX's channels last showed it."""
    gone: bool = False
    """Whether the latest sweep did not find it. No fact says so: it is set anew after each merge."""
    up_us: int | None = None
    rang: bool = False
    request: tuple[int, int] | None = None
    """The first HangupRequest: when, and its cause; 0 where it has none, as when our own side hangs up."""
    hangup: tuple[int, int] | None = None
    """When, and by which cause (Q.850)."""
    dial_end: tuple[int, str] | None = None
    """The first end of a dial of it, with its DialStatus."""
    callers: list[str] = []
    """Channels that dialled it."""
    agent: tuple[int, str, str] | None = None
    """When a queue first offered a caller to it, the queue, and the operator's interface."""
    missed: list[str] = []
    """Callers of queues whom this leg let ring."""
    variables: dict[Role, tuple[int, str]] = {}
    moments: dict[str, list[int]] = {}
    """Times by letter and bridge or queue. A key with a mark (`\\0` and digest) is of events without
    Timestamp: of their times of receipt the smallest holds; a key without one has all its times."""
    named: tuple[int, str, str] | None = None
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
        return (campaign[1], contact[1]) if campaign and contact else ()

    @property
    def name(self) -> str:
        """Its first name."""
        return self.first[1]

    @property
    def last_us(self) -> int:
        """When it was last heard of, by the events that say more than that it is there.

        Each of them has one time, however many copies there are, so that collectors agree. The rest (a
        change of state, a dial of another) is not kept: a list of channels shows who is there.
        """
        times = [self.first[0], self.listed_us, self.up_us or 0]
        times += [at[0] for at in (self.request, self.hangup, self.dial_end, self.agent) if at]
        return max(times + [moments[-1] for moments in self.moments.values()])

    @property
    def is_local(self) -> bool:
        """Whether it is one half of a Local channel, which leads to no phone itself."""
        return self.first[1].startswith(LOCAL)

    @property
    def is_over(self) -> bool:
        """Whether it has hung up, or is gone without our seeing it."""
        return self.hangup is not None or self.gone


Response = tuple[int, str, int, str]
"""An OriginateResponse: when, Uniqueid, Reason, and the tenant that the PBX is bound to."""


class Asked(Struct, frozen=True, array_like=True):
    """What send results say of one attempt."""

    results: dict[str, tuple[int, Template]]
    """By outcome: first time in ms and smallest template."""
    ids: list[tuple[str, str]]
    second: bool


class Call(Struct, frozen=True, array_like=True):
    """Channels of one PBX that belong together, and the attempts that they were made for."""

    identifiers: list[bytes]
    """Sorted; the first one names the state: `u` Uniqueid, `a` ActionID, `v` campaign and contact."""
    channels: dict[str, Channel] = {}
    asked: dict[str, Asked] = {}
    """By tenant, campaign, contact and attempt, joined as in keys."""
    responses: dict[str, Response] = {}
    """The first one by ActionID, else by NUL and Uniqueid."""
    is_beyond: bool = False
    """Whether more was known of it than its bound: then only its first identifiers are kept."""
