"""The events of the campaigns that are read: given numbers of sends, statuses and replies."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import NamedTuple

from msgspec import Struct

TENANT = "reads"
NUMBERS = ("106540352200001", "106540352200002")
TEMPLATES = (("promo_nov", "pt_BR"), ("promo_nov", "en_US"), ("order_update", "en_US"))
FATES = ((72, ("sent", "delivered", "read")), (20, ("sent", "delivered")), (8, ("sent", "failed")))
SHARES = (20, 20, 15, 12, 10, 8, 6, 4, 3, 1, 1)
"""The share of each campaign in the sends, in per cent."""
CAMPAIGNS = tuple(f"5f0e2c1e-7f7a-4a59-9d0e-{nth:012d}" for nth in range(len(SHARES)))
BIG, UNCHANGED, SMALL = CAMPAIGNS[0], CAMPAIGNS[1], CAMPAIGNS[-1]
"""BIG changes all the time under load; UNCHANGED, of the same size, and SMALL never change."""

DAY_S = 86_400
START_S = 1_782_000_000
PEOPLE_PER_SEND = 0.6
"""Below 1: most people get several campaigns."""
LATE_SHARE = 0.03
LATE_S = 3_600
"""Some statuses are logged up to so much later than they happened, and hide statuses logged before."""
REPLY_OFFSETS_S = ((70, (5, 7 * DAY_S)), (15, (7 * DAY_S + 1, 20 * DAY_S)), (15, (-300 * DAY_S, -1)))


class Size(NamedTuple):
    """Numbers of events; by default those of the system that Tally replaces."""

    sends: int = 50_857
    statuses: int = 121_679
    messages: int = 49_694
    """In both directions: one for each accepted send, and the replies."""
    replies: int = 5_694

    @property
    def events(self) -> int:
        """The number of raw events."""
        return self.sends + self.statuses + self.replies

    def with_events(self, events: int) -> "Size":
        """Return the same mixture with about `events` raw events."""
        return Size(*(round(number * events / self.events) for number in self))


class Send(Struct, frozen=True):
    """One attempt to reach one contact; `message_id` None where it failed."""

    nth: int
    campaign: str
    template: tuple[str, str]
    number: str
    phone: str
    message_id: str | None
    at_s: int


class Status(Struct, frozen=True):
    """One status of a message: when it happened, and when it was logged."""

    send: Send
    status: str
    at_s: int
    logged_s: int


class Reply(Struct, frozen=True):
    """One inbound message, possibly long before the campaign."""

    nth: int
    number: str
    phone: str
    at_s: int


class Events(Struct, frozen=True):
    """All events; statuses are in the order in which they were logged."""

    sends: list[Send]
    statuses: list[Status]
    replies: list[Reply]


def events(rng: Random, size: Size, *, first_nth: int = 0, shares: Mapping[str, int] | None = None) -> Events:
    """Return exactly `size` events; a different `first_nth` gives different people and messages."""
    shares = shares or dict(zip(CAMPAIGNS, SHARES, strict=True))
    campaigns = rng.choices(list(shares), list(shares.values()), k=size.sends)
    failed = set(rng.sample(range(size.sends), size.sends - (size.messages - size.replies)))
    people = max(1, round(size.sends * PEOPLE_PER_SEND))
    sends = [
        _send(
            rng, first_nth + nth, campaign, first_nth + rng.randrange(people), is_accepted=nth not in failed
        )
        for nth, campaign in enumerate(campaigns)
    ]
    accepted = [send for send in sends if send.message_id is not None]
    replies = [_reply(rng, first_nth + nth, rng.choice(accepted)) for nth in range(size.replies)]
    return Events(sends, _statuses(rng, accepted, size.statuses), replies)


def load_shares() -> dict[str, int]:
    """Return the campaigns that a load changes."""
    return {
        name: share for name, share in zip(CAMPAIGNS, SHARES, strict=True) if name not in (UNCHANGED, SMALL)
    }


def _send(rng: Random, nth: int, campaign: str, person: int, *, is_accepted: bool) -> Send:
    phone = f"55119{person:08d}"
    raw = b"\x1d\x18" + phone.encode() + b"\x15\x02" + rng.randbytes(16)
    message_id = "wamid." + b64encode(raw).decode() if is_accepted else None
    at_s = START_S + rng.randrange(DAY_S)
    return Send(nth, campaign, rng.choice(TEMPLATES), rng.choice(NUMBERS), phone, message_id, at_s)


def _statuses(rng: Random, accepted: list[Send], count: int) -> list[Status]:
    """Return `count` statuses: some are duplicated where there are too few, and dropped where too many."""
    once = [status for send in accepted for status in _fate(rng, send)]
    again = rng.choices(once, k=max(0, count - len(once)))
    repeated = [Status(one.send, one.status, one.at_s, one.logged_s + 30) for one in again]
    found = rng.sample([*once, *repeated], count)
    return sorted(found, key=lambda status: status.logged_s)


def _fate(rng: Random, send: Send) -> Iterator[Status]:
    (path,) = rng.choices([path for _, path in FATES], [weight for weight, _ in FATES])
    moments = [send.at_s, *sorted(rng.sample(range(send.at_s + 1, send.at_s + 900), len(path)))]
    for status, (_, at_s) in zip(path, pairwise(moments), strict=True):
        late_s = rng.randrange(LATE_S) if rng.random() < LATE_SHARE else 0
        yield Status(send, status, at_s, at_s + late_s)


def _reply(rng: Random, nth: int, send: Send) -> Reply:
    (between,) = rng.choices([b for _, b in REPLY_OFFSETS_S], [weight for weight, _ in REPLY_OFFSETS_S])
    return Reply(nth, send.number, send.phone, send.at_s + rng.randint(*between))
