"""The family of recipients: the producer's contacts in one campaign, with their attempts."""

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import islice

import msgspec
from msgspec import Struct

from tally.schemas.bounded import error_key
from tally.schemas.bounds import ATTEMPT_MESSAGES, ATTEMPTS, Bound
from tally.schemas.cells import MINUTE_MS, QUARTER_MS, Cell
from tally.schemas.facts import RECIPIENT, AttemptResult
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, bounded_name, split_parts
from tally.schemas.notices import Scope
from tally.schemas.places import First
from tally.tables.contribution import Counts, Moment, Part
from tally.tables.families.family import Placed, PlainFamily, earliest, ordered
from tally.tables.line import Event, Line
from tally.tables.rules import Rules

RANKED = ("accepted", "failed", "cancelled", "skipped", "requested", "queued")
"""Outcomes of an attempt, highest rank first; the highest-ranked one of an attempt counts."""
RANK_OF = {outcome: rank for rank, outcome in enumerate(RANKED)}
COUNTED_AS = {
    "failed": "failed_at_send",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "requested": "queued",
    "queued": "queued",
}

REQUESTED = ("requested", "accepted")
"""Outcomes of a voice attempt which show that the PBX was asked to dial."""


class Named(Struct, frozen=True, array_like=True, gc=False, order=True):
    """The template that a send result named for an attempt; the smallest value holds."""

    rank: int
    """The outcome's index in `RANKED`, so the template of the highest-ranked outcome holds."""
    template: Template
    unlabelled: bool
    """Sorts a result with a template id before one without."""
    label: str


Told = tuple[int, str]
"""A text that send results tell of an attempt, behind the outcome's index in `RANKED`; the smallest holds.

So it is that of the highest-ranked outcome that has one.
"""
UNTOLD: Told = (len(RANKED), "")


class Attempt(Struct, array_like=True, gc=False):
    """What is known of one attempt to reach the contact. Only `merge` mutates an attempt: its own copy."""

    first: dict[str, First]
    """When each outcome was first seen, in unix ms, and where."""
    named: Named
    error: tuple[int, str] | None
    """The smallest (milliseconds, raw `source:code`)."""
    messages: list[bytes]
    """The digests of the messages that the provider accepted, sorted."""
    channel: str
    number: Told = UNTOLD
    market: Told = UNTOLD
    phone: Told = UNTOLD


class Recipient(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one contact in one campaign; one item beyond each bound is kept, but not counted.

    Attempts are sorted by name, and messages by attempt. A bound keeps the smallest ones, so an item that it
    cut off can never be among them later.
    """

    attempts: dict[str, Attempt]


_state_decoder = msgspec.msgpack.Decoder(Recipient)
_fact_decoder = msgspec.msgpack.Decoder(AttemptResult)


class RecipientFamily(PlainFamily[AttemptResult, Recipient]):
    """The family of recipients."""

    code = RECIPIENT
    table = "recipients"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def merge(self, state: Recipient | None, facts: Sequence[AttemptResult]) -> Recipient:
        known = {} if state is None else dict(state.attempts)
        own: dict[str, Attempt] = {}
        for fact in facts:
            attempt = own.get(fact.attempt)
            if attempt is not None:
                _apply(attempt, fact)
            elif fact.attempt in known:
                own[fact.attempt] = attempt = _copied(known[fact.attempt])
                _apply(attempt, fact)
            else:
                own[fact.attempt] = _begun(fact)
        return _recipient(known, own)

    def beyond(self, state: Recipient) -> Bound | None:
        if len(state.attempts) > ATTEMPTS.most:
            return ATTEMPTS
        messages = 0
        for attempt in state.attempts.values():
            messages += len(attempt.messages)
        return ATTEMPT_MESSAGES if messages > ATTEMPT_MESSAGES.most else None

    def named(self, key: bytes, fact: AttemptResult) -> Sequence[Scope]:
        tenant, campaign, _ = split_parts(key)
        return [(tenant, campaign)]

    def places(self, state: Recipient) -> Iterator[Placed]:
        for name, attempt in state.attempts.items():
            for outcome, (at_ms, place) in attempt.first.items():
                yield Placed(name, outcome, at_ms * 1_000, place)

    def contribution(self, key: bytes, state: Recipient, rules: Rules) -> list[Part]:
        tenant, campaign, _ = split_parts(key)
        attempts = state.attempts
        if len(attempts) > ATTEMPTS.most:
            attempts = dict(islice(attempts.items(), ATTEMPTS.most))
        latest = _latest(attempts)
        room = ATTEMPT_MESSAGES.most
        parts = []
        for name, attempt in attempts.items():
            messages = min(len(attempt.messages), room)
            room -= messages
            counts = _counts(attempt, messages)
            if name == latest:
                counts["contacts"] = 1
            times = [at_ms for at_ms, _ in attempt.first.values()]
            first_ms, named = min(times), attempt.named
            row = RowKey(tenant, campaign, named.template)
            cell = Cell(row, bounded_name(attempt.number[1]), attempt.market[1], first_ms // QUARTER_MS)
            happened = _happened(attempt)
            parts.append(
                Part(cell, counts, first_ms, max(times), named.label, attempt.channel, happened, name)
            )
        return parts

    def lines(self, key: bytes, state: Recipient, rules: Rules) -> list[Line]:
        contact = split_parts(key)[2]
        lines = []
        for part in self.contribution(key, state, rules):
            attempt = state.attempts[part.of]
            error = "" if attempt.error is None else attempt.error[1]
            events = tuple([Event(outcome, *first) for outcome, first in attempt.first.items()])
            phone = attempt.phone[1]
            lines.append(Line(part, part.first_ms, contact, part.of, "", phone, "", error, "", events))
        return lines


def _happened(attempt: Attempt) -> tuple[Moment, ...]:
    if RANKED[attempt.named.rank] != "failed":
        return ()
    return (("failed", attempt.first["failed"][0] // MINUTE_MS, "", 1),)


def _latest(attempts: dict[str, Attempt]) -> str:
    """Return the attempt that began last; of several, the one that is largest as text."""
    if len(attempts) == 1:
        return next(iter(attempts))
    return max((min(attempt.first.values())[0], name) for name, attempt in attempts.items())[1]


def _recipient(known: dict[str, Attempt], own: dict[str, Attempt]) -> Recipient:
    """Return a state in canonical form, with at most one item beyond each bound."""
    for attempt in own.values():
        if len(attempt.first) > 1:
            attempt.first = ordered(attempt.first)
        if len(attempt.messages) > 1:
            attempt.messages = sorted(set(attempt.messages))
    known.update(own)
    if len(known) > 1:
        known = dict(islice(ordered(known).items(), ATTEMPTS.most + 1))
    room = ATTEMPT_MESSAGES.most + 1
    for name, attempt in known.items():
        messages = len(attempt.messages)
        if messages > room:
            known[name] = _copied(attempt)
            known[name].messages = attempt.messages[:room]
            messages = room
        room -= messages
    return Recipient(known)


def _begun(fact: AttemptResult) -> Attempt:
    """Return an attempt with only this fact."""
    rank = RANK_OF[fact.outcome]
    return Attempt(
        {fact.outcome: (fact.at_ms, fact.place)},
        Named(rank, fact.template, not fact.label, fact.label),
        None if fact.error is None else (fact.at_ms, fact.error),
        [fact.message] if fact.message else [],
        fact.channel,
        (rank, fact.number) if fact.number else UNTOLD,
        (rank, fact.market) if fact.market else UNTOLD,
        (rank, fact.phone) if fact.phone else UNTOLD,
    )


def _copied(attempt: Attempt) -> Attempt:
    mine = copy(attempt)
    mine.first, mine.messages = dict(attempt.first), list(attempt.messages)
    return mine


def _apply(attempt: Attempt, fact: AttemptResult) -> None:
    """Merge a fact into an attempt, which must be a copy; messages are sorted once, by `_recipient`."""
    outcome, at_ms = fact.outcome, fact.at_ms
    first, seen = (at_ms, fact.place), attempt.first.get(outcome)
    if seen is None or first < seen:
        attempt.first[outcome] = first
    rank = RANK_OF[outcome]
    if rank <= attempt.named.rank:
        attempt.named = min(attempt.named, Named(rank, fact.template, not fact.label, fact.label))
    if fact.error is not None:
        attempt.error = earliest(attempt.error, (at_ms, fact.error))
    if fact.message:
        attempt.messages.append(fact.message)
    if fact.number:
        attempt.number = min(attempt.number, (rank, fact.number))
    if fact.market:
        attempt.market = min(attempt.market, (rank, fact.market))
    if fact.phone:
        attempt.phone = min(attempt.phone, (rank, fact.phone))
    if fact.channel != attempt.channel:
        attempt.channel = max(attempt.channel, fact.channel)


def _counts(attempt: Attempt, messages: int) -> Counts:
    """Return the counters of one attempt (docs/counters.md), of which `messages` messages count."""
    counts: Counts = {"attempts": 1}
    if attempt.channel == "voice" and not attempt.first.keys().isdisjoint(REQUESTED):
        counts["requested"] = 1
    outcome = RANKED[attempt.named.rank]
    if name := COUNTED_AS.get(outcome):
        counts[name] = 1
    if outcome == "failed":
        counts[f"errors.{error_key(attempt.error[1] if attempt.error else None)}"] = 1
    if messages > 1:
        counts["duplicates"] = messages - 1
    return counts
