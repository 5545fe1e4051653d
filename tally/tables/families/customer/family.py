"""The family of customers: one person as one business number sees them, and whether they replied.

A customer is a connected component of identifiers: phones, business-scoped ids and the messages sent to them.
The state's key is the business number and the smallest identifier.
"""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from tally.schemas.bounds import CUSTOMER as CUSTOMER_BOUND
from tally.schemas.bounds import Bound
from tally.schemas.cells import number_of
from tally.schemas.facts import CUSTOMER, CustomerSeen
from tally.schemas.notices import Scope
from tally.schemas.places import First
from tally.tables.contribution import Part
from tally.tables.families.customer.counting import by_row, part_of, replied, replies_of, sends_of
from tally.tables.families.customer.lines import lines_of
from tally.tables.families.customer.merge import known_of
from tally.tables.families.customer.parting import parted, relieved
from tally.tables.families.customer.presses import implied_clicks, lone_presses
from tally.tables.families.customer.state import MESSAGE, Customer, Most
from tally.tables.families.family import PartedFamily, Placed
from tally.tables.line import Line
from tally.tables.rules import Rules

_state_decoder = msgspec.msgpack.Decoder(Customer)
_fact_decoder = msgspec.msgpack.Decoder(CustomerSeen)


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
        sends, number, people = sends_of(state), number_of(key), state.people.values()
        replies = replies_of(state)
        credited, touched = replied(sends, replies, rules) if replies and sends else ({}, set())
        parts = [
            part_of(row, claims, number, credited.get(row, ()) if credited else (), row in touched)
            for row, claims in by_row(sends)
        ]
        presses = lone_presses(people)
        return parts + implied_clicks(state.messages, presses, number, rules) if presses else parts

    def lines(self, key: bytes, state: Customer, rules: Rules) -> list[Line]:
        parts = self.contribution(key, state, rules)
        return list(lines_of(state, parts, rules)) if parts else []
