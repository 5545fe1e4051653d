"""An independent model of which identifiers form one customer, computed as a graph from all facts at once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import strategies as st

from tally.schemas.facts import CUSTOMER, Claim, CustomerSeen, Inbound, Send
from tally.schemas.records import Keyed, KeyedFact
from tally.tables.families.customer.family import CustomerFamily
from tally.tables.families.customer.state import Most
from tally.tables.families.registry import BY_KIND
from tests.support.facts import CLAIMS, SECONDS

NUMBER = b"106540352242922"
FAMILY = BY_KIND[CUSTOMER + b"1"]
assert isinstance(FAMILY, CustomerFamily)
WINDOW_SECONDS = 7 * 86_400


@contextmanager
def bounds(most: Most) -> Iterator[None]:
    """Patch the fold with smaller bounds of customers."""
    assert isinstance(FAMILY, CustomerFamily)
    before, FAMILY.most = FAMILY.most, most
    try:
        yield
    finally:
        FAMILY.most = before


def keyed(seen: CustomerSeen) -> Keyed:
    return KeyedFact(CUSTOMER, NUMBER, seen)


PLACEHOLDERS = [b"p000", b"uUnknown"]
PEOPLE = [b"p%d" % n for n in range(1, 7)] + [b"uBR.%d" % n for n in range(1, 6)] + PLACEHOLDERS
DIGESTS = [b"%012d" % n for n in range(8)]
NAMES = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3, unique=True)


def _sent(digest: bytes, names: list[bytes], claim: Claim | None) -> CustomerSeen:
    return CustomerSeen([b"w" + digest, *names], None if claim is None else Send(digest, claim))


def _heard(names: list[bytes], inbound: Inbound | None) -> CustomerSeen:
    return CustomerSeen(names, None, inbound)


SEEN = st.builds(_sent, st.sampled_from(DIGESTS), NAMES, CLAIMS | st.none()) | st.builds(
    _heard,
    NAMES,
    st.none() | st.builds(Inbound, st.sampled_from([b"in%010d" % n for n in range(8)]), SECONDS),
)
"""Facts of one business number that connect few identifiers in many ways."""


def linked(facts: Sequence[CustomerSeen]) -> dict[bytes, set[bytes]]:
    """Return the identifiers linked with each identifier, including the messages that it wrote (`i`)."""
    found: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for fact in facts:
        for one in fact.identifiers:
            found[one].update(other for other in fact.identifiers if other != one)
            if fact.inbound is not None:
                found[one].add(b"i" + fact.inbound.message)
    return found


def refused(facts: Sequence[CustomerSeen], most: Most) -> set[bytes]:
    """Return the identifiers that identify no customer."""

    def count(names: set[bytes], kinds: bytes) -> int:
        return sum(name[0] in kinds for name in names)

    return {
        one
        for one, names in linked(facts).items()
        if one in PLACEHOLDERS
        or count(names, b"p") > most.links
        or count(names, b"u") > most.links
        or (one[:1] != b"w" and count(names, b"wi") > most.messages)
    }


def customers(facts: Sequence[CustomerSeen], most: Most) -> list[set[bytes]]:
    """Return the connected components of identifiers, without those that identify no customer."""
    links, gone = linked(facts), refused(facts, most)
    rest = {one for one in links if one not in gone}
    found = []
    while rest:
        one = {rest.pop()}
        while more := {near for name in one for near in links[name] if near in rest}:
            one |= more
            rest -= more
        found.append(one)
    return found


def expected_counts(facts: Sequence[CustomerSeen], most: Most) -> dict[tuple[str, str], dict[str, int]]:
    """Return contacts_accepted and replied by tenant and campaign."""
    claims: dict[bytes, Claim] = {}
    for fact in facts:
        if fact.send is not None:
            known = claims.setdefault(fact.send.message, fact.send.claim)
            claims[fact.send.message] = min(known, fact.send.claim, key=lambda claim: claim.rank)
    lone = [{one} for one in refused(facts, most) if one[:1] == b"w"]
    counts: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for names in [*customers(facts, most), *lone]:
        sends = [claims[name[1:]] for name in names if name[:1] == b"w" and name[1:] in claims]
        first: dict[bytes, int] = {}
        for fact in facts:
            if fact.inbound is not None and names.intersection(fact.identifiers):
                message, at_s = fact.inbound.message, fact.inbound.at_s
                first[message] = min(at_s, first.get(message, at_s))
        reached = {(claim.tenant, claim.campaign) for claim in sends if claim.campaign}
        answered = {
            (claim.tenant, claim.campaign)
            for claim in sends
            if claim.campaign
            and any(0 <= at_s - claim.at_ms // 1000 <= WINDOW_SECONDS for at_s in first.values())
        }
        for campaign in reached:
            counts[campaign]["contacts_accepted"] = counts[campaign].get("contacts_accepted", 0) + 1
        for campaign in answered:
            counts[campaign]["replied"] = counts[campaign].get("replied", 0) + 1
    return dict(counts)
