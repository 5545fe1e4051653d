"""What a customer counts: once in each row of the sends to it, and whether it replied (docs/counters.md)."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter

from tally.schemas.cells import MINUTE_MS, QUARTER_MS, Cell
from tally.schemas.facts import Claim
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template
from tally.tables.contribution import Counts, Moment, Part
from tally.tables.families.customer.state import Customer
from tally.tables.families.customer.touch import first_seen, last_touch, touch
from tally.tables.rules import Rules

RowsOfSend = tuple[Claim, tuple[RowKey, RowKey]]
"""A campaign's send, and the rows that count it: its template's and its campaign's."""


def sends_of(state: Customer) -> list[RowsOfSend]:
    """Return the campaigns' sends to a customer, in the order of their messages."""
    claims = [sent.claim for sent in state.messages.values()]
    return [(claim, _rows(claim)) for claim in claims if claim is not None and claim.campaign]


def by_row(sends: Sequence[RowsOfSend]) -> Iterable[tuple[RowKey, list[Claim]]]:
    """Return the claims of each row."""
    if len(sends) == 1:
        claim, rows = sends[0]
        return [(row, [claim]) for row in rows]
    claims: dict[RowKey, list[Claim]] = defaultdict(list)
    for claim, rows in sends:
        for row in rows:
            claims[row].append(claim)
    return claims.items()


def part_of(
    row: RowKey, claims: Sequence[Claim], number: str, replies_ms: Sequence[int], touched: bool
) -> Part:
    """Return what a customer counts in a row, by its claims in the order of their messages."""
    first = first_of(claims)
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


def first_of(claims: Sequence[Claim]) -> Claim:
    """Return the smallest claim, by rank; of equal ones the first."""
    if len(claims) == 1:
        return claims[0]
    first_ms = min(claim.at_ms for claim in claims)
    return min((claim for claim in claims if claim.at_ms == first_ms), key=attrgetter("rank"))


def replies_of(state: Customer) -> list[int]:
    """Return the unix seconds in which the customer replied, sorted."""
    return sorted(set(first_seen(state.people.values()).values()))


def replied(
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
