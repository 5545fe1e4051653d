"""The family of customers: one person as one business number sees them, and whether they replied.

A customer is a connected component of identifiers: phones, business-scoped ids and the messages sent to them.
The state's key is the business number and the smallest identifier.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import msgspec

from tally.schemas.bounds import CUSTOMER as CUSTOMER_BOUND
from tally.schemas.bounds import Bound
from tally.schemas.facts import CUSTOMER, Claim, CustomerSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.schemas.notices import Scope
from tally.tables.contribution import Counts, Part
from tally.tables.families.customer.merge import known_of
from tally.tables.families.customer.parting import parted, relieved
from tally.tables.families.customer.presses import implied_clicks, lone_presses
from tally.tables.families.customer.state import MESSAGE, Customer, Most, Person
from tally.tables.families.customer.touch import first_seen, last_touch, touch
from tally.tables.families.family import PartedFamily
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

    def contribution(self, key: bytes, state: Customer, rules: Rules) -> list[Part]:
        """Count the customer once per template and once per campaign, in row `*`."""
        claims = [sent.claim for sent in state.messages.values()]
        sends = [(claim, _rows(claim)) for claim in claims if claim is not None and claim.campaign]
        times: dict[RowKey, list[int]] = defaultdict(list)
        for send, rows in sends:
            for row in rows:
                times[row].append(send.at_ms)
        people = state.people.values()
        replies = _replies(people)
        replied, touched = _replied(sends, replies, rules) if replies and sends else ({}, set())
        parts = []
        for row, sent_ms in times.items():
            known = [*sent_ms, *replied.get(row, ())]
            parts.append(Part(row, _counts(row in replied, row in touched), min(known), max(known)))
        presses = lone_presses(people)
        return parts + implied_clicks(state.messages.values(), presses, rules) if presses else parts


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
