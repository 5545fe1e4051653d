"""When a customer wrote, and which of several sends an inbound message goes to: the last touch."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from tally.schemas.facts import Claim
from tally.schemas.keys import Template
from tally.tables.families.customer.state import Person

Touch = tuple[int, str, str, str, str, Template]


def first_seen(people: Iterable[Person]) -> dict[bytes, int]:
    """Return the unix second of each inbound message, by digest: the first that any copy of it names."""
    first: dict[bytes, int] = {}
    for inbound in [person.inbound for person in people if person.inbound]:
        for digest, (at_s, _) in inbound.items():
            first[digest] = min(at_s, first.get(digest, at_s))
    return first


def touch(claim: Claim) -> Touch:
    """Return the sort key of sends by touch: by second, then by a fixed order on values."""
    return claim.at_ms // 1000, claim.tenant, claim.campaign, claim.contact, claim.attempt, claim.template


def last_touch(sent_s: Sequence[int], at_s: int, window: int) -> int | None:
    """Return the index of the last of the sorted sends not after a second, if that falls in its window."""
    at = bisect_right(sent_s, at_s) - 1
    return at if at >= 0 and at_s - sent_s[at] <= window else None
