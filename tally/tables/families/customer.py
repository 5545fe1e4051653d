"""Customers: one person as one business number sees them, and whether they replied.

A customer is a connected component of identifiers: phones, business-scoped ids and the messages sent to
them. The state's key is the business number and the smallest identifier.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tally.schemas.facts import CUSTOMER, Claim, Sighting
from tally.schemas.keys import RowKey, Template
from tally.tables.contribution import Part
from tally.tables.families.family import Family, ordered
from tally.tables.rules import Rules


class Customer(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one customer of one business number."""

    identifiers: list[bytes]
    """Sorted; the first one names the state."""
    sends: dict[bytes, Claim]
    """Claim by digest of the message; of several claims of one message the smallest."""
    inbound: dict[bytes, int]
    """First second by digest of each message from the customer that counts as a reply."""


_state_decoder = msgspec.msgpack.Decoder(Customer)
_fact_decoder = msgspec.msgpack.Decoder(Sighting)


class CustomerFamily(Family[Sighting, Customer]):
    """The family of customers."""

    code = CUSTOMER
    table = "customers"
    connects = True

    def decode_fact(self, body: bytes | memoryview) -> Sighting:
        return _fact_decoder.decode(body)

    def subjects(self, key: bytes, fact: Sighting) -> Sequence[bytes]:
        return [key + b"/" + identifier for identifier in fact.identifiers]

    def members(self, key: bytes, state: Customer) -> Sequence[bytes]:
        number, _, _ = key.partition(b"/")
        return [number + b"/" + identifier for identifier in state.identifiers]

    def merge(self, state: Customer | None, facts: Sequence[Sighting]) -> Customer:
        known = [_of(fact) for fact in facts]
        return _join_all(known if state is None else [state, *known])

    def join(self, left: Customer, right: Customer) -> Customer:
        return _join_all((left, right))

    def decode(self, value: bytes) -> Customer:
        return _state_decoder.decode(value)

    def contribution(self, key: bytes, state: Customer, rules: Rules) -> list[Part]:
        """Count the customer once per template and once per campaign, in row `*`."""
        sends = sorted((claim for claim in state.sends.values() if claim.campaign), key=_touch)
        replies = sorted(set(state.inbound.values()))
        window = rules.reply_window_seconds
        touched = {_rows(sends[i]) for at_s in replies if (i := _last_touch(sends, at_s, window)) is not None}
        last_touch = {row for rows in touched for row in rows}
        spans: dict[RowKey, list[int]] = defaultdict(list)
        replied: set[RowKey] = set()
        for send in sends:
            reply_s = _first_reply(replies, send.at_ms // 1000, window)
            for row in _rows(send):
                spans[row].append(send.at_ms)
                if reply_s is not None:
                    replied.add(row)
                    spans[row].append(reply_s * 1000)
        return [
            Part(
                row,
                {"contacts_accepted": 1}
                | ({"replied": 1} if row in replied else {})
                | ({"replied_last_touch": 1} if row in last_touch else {}),
                min(times),
                max(times),
            )
            for row, times in spans.items()
        ]


def _of(fact: Sighting) -> Customer:
    """Return the state of a customer of whom only this fact is known."""
    return Customer(
        fact.identifiers,
        {} if fact.send is None else {fact.send.message: fact.send.claim},
        {} if fact.inbound is None else {fact.inbound.message: fact.inbound.at_s},
    )


def _join_all(states: Sequence[Customer]) -> Customer:
    identifiers: set[bytes] = set()
    sends: dict[bytes, Claim] = {}
    inbound: dict[bytes, int] = {}
    for state in states:
        identifiers.update(state.identifiers)
        for message, claim in state.sends.items():
            mine = sends.get(message)
            sends[message] = claim if mine is None or claim.rank < mine.rank else mine
        for message, at_s in state.inbound.items():
            inbound[message] = min(at_s, inbound.get(message, at_s))
    return Customer(sorted(identifiers), ordered(sends), ordered(inbound))


def _touch(claim: Claim) -> tuple[int, str, str, str, str, Template]:
    """Order sends by who touched the customer last: by second, then by a fixed order on values."""
    return claim.at_ms // 1000, claim.tenant, claim.campaign, claim.contact, claim.attempt, claim.template


def _rows(claim: Claim) -> tuple[RowKey, RowKey]:
    return (
        RowKey(claim.tenant, claim.campaign, claim.template),
        RowKey(claim.tenant, claim.campaign, None),
    )


def _first_reply(replies: list[int], accepted_s: int, window: int) -> int | None:
    """Return the first reply within the window, both ends included."""
    at = bisect_right(replies, accepted_s - 1)
    return replies[at] if at < len(replies) and replies[at] - accepted_s <= window else None


def _last_touch(sends: list[Claim], at_s: int, window: int) -> int | None:
    """Return the index of the last send not after the reply, if the reply falls in its window."""
    at = bisect_right(sends, at_s, key=lambda claim: claim.at_ms // 1000) - 1
    return at if at >= 0 and at_s - sends[at].at_ms // 1000 <= window else None
