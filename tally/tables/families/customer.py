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
from tally.tables.contribution import Counts, Part
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
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def subjects(self, key: bytes, fact: Sighting) -> Sequence[bytes]:
        return [key + b"/" + identifier for identifier in fact.identifiers]

    def members(self, key: bytes, state: Customer) -> Sequence[bytes]:
        number, _, _ = key.partition(b"/")
        return [number + b"/" + identifier for identifier in state.identifiers]

    def merge(self, state: Customer | None, facts: Sequence[Sighting]) -> Customer:
        known = (
            _Known() if state is None else _Known(set(state.identifiers), {**state.sends}, {**state.inbound})
        )
        for fact in facts:
            known.identifiers.update(fact.identifiers)
            if (send := fact.send) is not None:
                known.take_send(send.message, send.claim)
            if (inbound := fact.inbound) is not None:
                known.take_inbound(inbound.message, inbound.at_s)
        return known.customer()

    def join(self, states: Sequence[Customer]) -> Customer:
        first, *others = states
        known = _Known(set(first.identifiers), {**first.sends}, {**first.inbound})
        for other in others:
            known.identifiers.update(other.identifiers)
            for message, claim in other.sends.items():
                known.take_send(message, claim)
            for message, at_s in other.inbound.items():
                known.take_inbound(message, at_s)
        return known.customer()

    def contribution(self, key: bytes, state: Customer, rules: Rules) -> list[Part]:
        """Count the customer once per template and once per campaign, in row `*`."""
        sends = [claim for claim in state.sends.values() if claim.campaign]
        times: dict[RowKey, list[int]] = defaultdict(list)
        for send in sends:
            for row in _rows(send):
                times[row].append(send.at_ms)
        replied, touched = _replied(sends, state.inbound, rules) if state.inbound else ({}, set())
        parts = []
        for row, sent_ms in times.items():
            known = [*sent_ms, *replied.get(row, ())]
            parts.append(Part(row, _counts(row in replied, row in touched), min(known), max(known)))
        return parts


class _Known(Struct, gc=False):
    """A state in the making."""

    identifiers: set[bytes] = set()
    sends: dict[bytes, Claim] = {}
    inbound: dict[bytes, int] = {}

    def take_send(self, message: bytes, claim: Claim) -> None:
        mine = self.sends.get(message)
        self.sends[message] = claim if mine is None or claim.rank < mine.rank else mine

    def take_inbound(self, message: bytes, at_s: int) -> None:
        self.inbound[message] = min(at_s, self.inbound.get(message, at_s))

    def customer(self) -> Customer:
        return Customer(sorted(self.identifiers), ordered(self.sends), ordered(self.inbound))


def _replied(
    sends: Sequence[Claim], inbound: dict[bytes, int], rules: Rules
) -> tuple[dict[RowKey, list[int]], set[RowKey]]:
    """Return the rows that replies credit, with the times in ms, and those that they credit by last touch."""
    sends = sorted(sends, key=_touch)
    replies = sorted(set(inbound.values()))
    window = rules.reply_window_seconds
    touched = {_rows(sends[i]) for at_s in replies if (i := _last_touch(sends, at_s, window)) is not None}
    replied: dict[RowKey, list[int]] = defaultdict(list)
    for send in sends:
        reply_s = _first_reply(replies, send.at_ms // 1000, window)
        if reply_s is not None:
            for row in _rows(send):
                replied[row].append(reply_s * 1000)
    return replied, {row for rows in touched for row in rows}


def _counts(has_replied: bool, has_last_touch: bool) -> Counts:
    counts = {"contacts_accepted": 1}
    if has_replied:
        counts["replied"] = 1
    if has_last_touch:
        counts["replied_last_touch"] = 1
    return counts


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
