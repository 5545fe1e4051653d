"""The family of customers: one person as one business number sees them, and whether they replied.

A customer is a connected component of identifiers: phones, business-scoped ids and the messages sent to them.
The state's key is the business number and the smallest identifier.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter

import msgspec

from tally.schemas.bounds import CUSTOMER as CUSTOMER_BOUND
from tally.schemas.bounds import Bound
from tally.schemas.cells import MINUTE_MS, QUARTER_MS, Cell, number_of
from tally.schemas.facts import CUSTOMER, Claim, CustomerSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.notices import Scope
from tally.schemas.places import First
from tally.tables.contribution import Counts, Moment, Part
from tally.tables.families.customer.merge import known_of
from tally.tables.families.customer.parting import parted, relieved
from tally.tables.families.customer.presses import implied_clicks, lone_presses
from tally.tables.families.customer.state import MESSAGE, Customer, Most, Person
from tally.tables.families.customer.touch import first_seen, last_touch, touch
from tally.tables.families.family import PartedFamily, Placed
from tally.tables.rules import Rules

_state_decoder = msgspec.msgpack.Decoder(Customer)
_fact_decoder = msgspec.msgpack.Decoder(CustomerSeen)


RowsOfSend = tuple[Claim, tuple[RowKey, RowKey]]
"""A campaign's send, and the rows that count it: its template's and its campaign's."""


class CustomerFamily(PartedFamily[CustomerSeen, Customer]):
    """The family of customers."""

    code = CUSTOMER
    table = "customers"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def __init__(self, most: Most | None = None) -> None:
        self.most = most or Most()

    def subjects(self, key: bytes, fact: CustomerSeen) -> Sequence[bytes]:
        return [key + b"/" + identifier for identifier in fact.identifiers]

    def members(self, key: bytes, state: Customer) -> Sequence[bytes]:
        scope = key.partition(b"/")[0] + b"/"
        if state.apart:
            return [scope + name for name in state.apart]
        messages = [scope + MESSAGE + digest for digest in state.messages]
        return [*(scope + name for name in state.people), *messages]

    def merge(self, state: Customer | None, facts: Sequence[CustomerSeen]) -> Customer:
        known = known_of(state, self.most)
        for fact in facts:
            known.see(fact)
        return known.customer()

    def join(self, states: Sequence[Customer]) -> Customer:
        first, *others = states
        if not others:
            return first
        known = known_of(first, self.most)
        for other in others:
            known.add(other)
        return known.customer()

    def parted(self, state: Customer, known: Collection[bytes]) -> Sequence[Customer]:
        return parted(state, {key.partition(b"/")[2] for key in known})

    def relieved(self, state: Customer) -> Customer | None:
        return relieved(state, self.most)

    def is_too_large(self, encoded: bytes) -> bool:
        return len(encoded) > self.most.state_bytes

    def stands_apart(self, state: Customer) -> bool:
        return bool(state.apart)

    def beyond(self, state: Customer) -> Bound | None:
        return CUSTOMER_BOUND if any(state.apart.values()) else None

    def named(self, key: bytes, fact: CustomerSeen) -> Sequence[Scope]:
        return [fact.send.claim.scope] if fact.send is not None else ()

    def places(self, state: Customer) -> Iterator[Placed]:
        for digest, sent in state.messages.items():
            if sent.claim is not None:
                yield Placed(digest.hex(), "accepted", sent.claim.at_ms * 1_000, sent.claim.place)
        replies: dict[bytes, First] = {}
        for person in state.people.values():
            for digest, first in person.inbound.items():
                replies[digest] = min(first, replies.get(digest, first))
        for digest, (at_s, place) in sorted(replies.items()):
            yield Placed(digest.hex(), "inbound", at_s * 1_000_000, place)

    def contribution(self, key: bytes, state: Customer, rules: Rules) -> list[Part]:
        """Count the customer once per template and once per campaign, in row `*`."""
        claims = [sent.claim for sent in state.messages.values()]
        sends = [(claim, _rows(claim)) for claim in claims if claim is not None and claim.campaign]
        number, people = number_of(key), state.people.values()
        replies = _replies(people)
        replied, touched = _replied(sends, replies, rules) if replies and sends else ({}, set())
        parts = [
            _part(row, claims, number, replied.get(row, ()) if replied else (), row in touched)
            for row, claims in _by_row(sends)
        ]
        presses = lone_presses(people)
        return parts + implied_clicks(state.messages.values(), presses, number, rules) if presses else parts


def _by_row(sends: Sequence[RowsOfSend]) -> Iterable[tuple[RowKey, list[Claim]]]:
    if len(sends) == 1:
        claim, rows = sends[0]
        return [(row, [claim]) for row in rows]
    claims: dict[RowKey, list[Claim]] = defaultdict(list)
    for claim, rows in sends:
        for row in rows:
            claims[row].append(claim)
    return claims.items()


def _part(
    row: RowKey, claims: Sequence[Claim], number: str, replies_ms: Sequence[int], touched: bool
) -> Part:
    """Return what a customer counts in a row, by its claims in the order of their messages."""
    first = claims[0] if len(claims) == 1 else _first(claims)
    first_ms = last_ms = first.at_ms
    happened: tuple[Moment, ...] = ()
    if len(claims) > 1:
        last_ms = max(claim.at_ms for claim in claims)
    if replies_ms:
        first_ms, last_ms = min(first_ms, *replies_ms), max(last_ms, *replies_ms)
        if row.template is None:
            happened = (("replied", min(replies_ms) // MINUTE_MS, "", 1),)
    cell = Cell(row, number, first.market, first.at_ms // QUARTER_MS)
    return Part(cell, _counts(bool(replies_ms), touched), first_ms, last_ms, "", "", happened)


def _first(claims: Sequence[Claim]) -> Claim:
    """Return the smallest claim, by rank; of equal ones the first."""
    first_ms = min(claim.at_ms for claim in claims)
    return min((claim for claim in claims if claim.at_ms == first_ms), key=attrgetter("rank"))


def _replies(people: Iterable[Person]) -> list[int]:
    """Return the unix seconds in which the customer replied, sorted."""
    return sorted(set(first_seen(people).values()))


def _replied(
    sends: Sequence[RowsOfSend], replies: list[int], rules: Rules
) -> tuple[dict[RowKey, list[int]], set[RowKey]]:
    """Return the rows that replies credit, with times in ms, and the rows that they credit by last touch."""
    sends = sorted(sends, key=_touched)
    sent_s = [send.at_ms // 1000 for send, _ in sends]
    window = rules.reply_window_seconds
    touched = {i for at_s in replies if (i := last_touch(sent_s, at_s, window)) is not None}
    replied: dict[RowKey, list[int]] = defaultdict(list)
    for at_s, (_, rows) in zip(sent_s, sends, strict=True):
        reply_s = _first_reply(replies, at_s, window)
        if reply_s is not None:
            for row in rows:
                replied[row].append(reply_s * 1000)
    return replied, {row for i in touched for row in sends[i][1]}


def _counts(has_replied: bool, has_last_touch: bool) -> Counts:
    counts = {"contacts_accepted": 1}
    if has_replied:
        counts["replied"] = 1
    if has_last_touch:
        counts["replied_last_touch"] = 1
    return counts


def _touched(send: RowsOfSend) -> tuple[int, str, str, str, str, Template]:
    return touch(send[0])


def _rows(claim: Claim) -> tuple[RowKey, RowKey]:
    return (
        RowKey(claim.tenant, claim.campaign, claim.template),
        RowKey(claim.tenant, claim.campaign, None),
    )


def _first_reply(replies: list[int], accepted_s: int, window: int) -> int | None:
    """Return the second of the first reply within a send's window, both ends included."""
    at = bisect_right(replies, accepted_s - 1)
    return replies[at] if at < len(replies) and replies[at] - accepted_s <= window else None
