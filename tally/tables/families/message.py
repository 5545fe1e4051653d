"""The family of messages: the fate of each WhatsApp message, by business number and wamid."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec import Struct, structs

from tally.schemas.bounded import error_key, pricing_key
from tally.schemas.bounds import CLAIMANTS, Bound
from tally.schemas.cells import MINUTE_MS, MINUTE_SECONDS, QUARTER_MS, Cell, number_of
from tally.schemas.facts import MESSAGE, Claim, Claimed, MessageFact, Pricing, StatusSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import join_parts
from tally.schemas.notices import Scope
from tally.schemas.places import First
from tally.schemas.wamids import smaller_spelling, written_id
from tally.tables.contribution import Counts, Moment, Part, is_contested
from tally.tables.durations import bucket
from tally.tables.families.family import Placed, PlainFamily, earliest
from tally.tables.line import Event, Line
from tally.tables.rules import Rules


class Message(Struct, array_like=True, gc=False):
    """Everything known of one message; each time is the first one, in unix seconds, with its place.

    Without a campaign's claim it waits and contributes nothing. Only `merge` mutates a message: its own copy.
    """

    claim: Claim | None = None
    sent: First | None = None
    delivered: First | None = None
    read: First | None = None
    """First read or played."""
    failed: First | None = None
    quoted: First | None = None
    clicked: First | None = None
    error: tuple[int, str] | None = None
    """The smallest (seconds, raw `source:code`)."""
    pricing: Pricing | None = None
    others: tuple[Claim, ...] = ()
    """The smallest claim of every other attempt, by rank; at most one beyond the bound is kept."""
    spelling: bytes = b""
    """Of the smallest id that was written for it; empty where the id is in the key (wamids.py)."""


STAGES = ("sent", "delivered", "read", "failed", "quoted", "clicked")
LATE_SECONDS = 86_400
"""News of a message that came later than a day after it was accepted are late."""

_state_decoder = msgspec.msgpack.Decoder(Message)
_fact_decoder: msgspec.msgpack.Decoder[MessageFact] = msgspec.msgpack.Decoder(MessageFact)


class MessageFamily(PlainFamily[MessageFact, Message]):
    """The family of messages."""

    code = MESSAGE
    table = "messages"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def merge(self, state: Message | None, facts: Sequence[MessageFact]) -> Message:
        # One copy for all facts: joining one state per fact took three times as long.
        after = Message() if state is None else copy(state)
        contested: list[Claim] | None = None
        for fact in facts:
            if fact.spelling != after.spelling:
                after.spelling = smaller_spelling(after.spelling, fact.spelling)
            if isinstance(fact, StatusSeen):
                _apply_status(after, fact)
            elif isinstance(fact, Claimed):
                claim = fact.claim.placed(fact.place)
                if after.claim is None:
                    after.claim = claim
                elif after.claim != claim:
                    contested = [] if contested is None else contested
                    contested.append(claim)
            else:
                first = (fact.at_s, fact.place)
                after.quoted = earliest(after.quoted, first)
                if fact.clicked:
                    after.clicked = earliest(after.clicked, first)
        if contested is not None:
            _choose_claim(after, contested)
        return after

    def beyond(self, state: Message) -> Bound | None:
        return CLAIMANTS if len(state.others) > CLAIMANTS.most else None

    def named(self, key: bytes, fact: MessageFact) -> Sequence[Scope]:
        return [fact.claim.scope] if isinstance(fact, Claimed) and fact.claim.tenant else ()

    def waits(self, state: Message) -> bool:
        return state.claim is None

    def is_contested(self, parts: Sequence[Part]) -> bool:
        return is_contested(parts)

    def places(self, state: Message) -> Iterator[Placed]:
        if state.claim is not None:
            yield Placed("", "accepted", state.claim.at_ms * 1_000, state.claim.place)
        for claim in state.others:
            yield Placed(_attempt(claim), "claimed_elsewhere", claim.at_ms * 1_000, claim.place)
        for kind in STAGES:
            first: First | None = getattr(state, kind)
            if first is not None:
                at_s, place = first
                yield Placed("", kind, at_s * 1_000_000, place)

    def contribution(self, key: bytes, state: Message, rules: Rules) -> list[Part]:
        claim = state.claim
        if claim is None or not claim.campaign:
            return []
        number = number_of(key)
        counts = _counts(state, claim.at_ms // 1000)
        part = Part(_cell(claim, number), counts, *_span(state, claim.at_ms), "", "", _happened(state, claim))
        if not state.others:
            return [part]
        return [part, *(_elsewhere(other, number) for other in state.others[: CLAIMANTS.most])]

    def lines(self, key: bytes, state: Message, rules: Rules) -> list[Line]:
        parts = self.contribution(key, state, rules)
        if not parts or state.claim is None:
            return []
        message = written_id(key.partition(b"/")[2], state.spelling)
        line = _line(parts[0], state.claim, message, _own_events(state, state.claim))
        error = "" if state.error is None else state.error[1]
        pricing = state.pricing
        price = "" if pricing is None else f"{pricing.category}/{pricing.kind}"
        lines = [structs.replace(line, error=error, price=price) if error or price else line]
        for part, other in zip(parts[1:], state.others, strict=False):
            event = Event("claimed_elsewhere", other.at_ms, other.place)
            lines.append(_line(part, other, message, (event,)))
        return lines


def _line(part: Part, claim: Claim, message: str, events: tuple[Event, ...]) -> Line:
    return Line(part, claim.at_ms, claim.contact, claim.attempt, message, claim.phone, events=events)


def _own_events(state: Message, claim: Claim) -> tuple[Event, ...]:
    events = [Event("accepted", claim.at_ms, claim.place)]
    for kind in STAGES:
        first: First | None = getattr(state, kind)
        if first is not None:
            events.append(Event(kind, first[0] * 1_000, first[1]))
    return tuple(events)


def _cell(claim: Claim, number: str) -> Cell:
    row = RowKey(claim.tenant, claim.campaign, claim.template)
    return Cell(row, number, claim.market, claim.at_ms // QUARTER_MS)


def _happened(state: Message, claim: Claim) -> tuple[Moment, ...]:
    """Return when the message reached each stage: at its own time, or at that of a later stage before it."""
    happened: list[Moment] = [("accepted", claim.at_ms // MINUTE_MS, "", 1)]
    sent, delivered, read = state.sent, state.delivered, state.read
    if read is not None:
        happened.append(("read", read[0] // MINUTE_SECONDS, "", 1))
        if delivered is None or read < delivered:
            delivered = read
    if delivered is not None:
        happened.append(("delivered", delivered[0] // MINUTE_SECONDS, "", 1))
        if sent is None or delivered < sent:
            sent = delivered
    elif state.failed is not None:
        happened.append(("failed", state.failed[0] // MINUTE_SECONDS, "", 1))
    if sent is not None:
        happened.append(("sent", sent[0] // MINUTE_SECONDS, "", 1))
    if state.clicked is not None:
        happened.append(("clicked", state.clicked[0] // MINUTE_SECONDS, "", 1))
    return tuple(happened)


def _span(state: Message, accepted_ms: int) -> tuple[int, int]:
    """Return the first and the last time of a claimed message, in unix ms."""
    first_ms = last_ms = accepted_ms
    for first in (state.sent, state.delivered, state.read, state.failed, state.quoted):
        if first is not None:
            at_ms = first[0] * 1000
            if at_ms > last_ms:
                last_ms = at_ms
            elif at_ms < first_ms:
                first_ms = at_ms
    return first_ms, last_ms


def _apply_status(message: Message, fact: StatusSeen) -> None:
    status, first = fact.status, (fact.at_s, fact.place)
    if status == "sent":
        message.sent = earliest(message.sent, first)
    elif status == "delivered":
        message.delivered = earliest(message.delivered, first)
    elif status in {"read", "played"}:
        message.read = earliest(message.read, first)
    elif status == "failed":
        message.failed = earliest(message.failed, first)
    if fact.error is not None:
        message.error = earliest(message.error, (fact.at_s, fact.error))
    if fact.pricing is not None:
        message.pricing = _later_pricing(message.pricing, fact.pricing)


def _later_pricing(left: Pricing | None, right: Pricing | None) -> Pricing | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)


def _choose_claim(message: Message, claims: Iterable[Claim]) -> None:
    """Choose the smallest claim, and keep the smallest claim of each other attempt (docs/counters.md)."""
    smallest: dict[tuple[str, str, str, str], Claim] = {}
    for claim in (message.claim, *message.others, *claims):
        if claim is not None:
            attempt = (claim.tenant, claim.campaign, claim.contact, claim.attempt)
            held = smallest.get(attempt)
            smallest[attempt] = claim if held is None else held.joined(claim)
    if smallest:
        message.claim, *others = sorted(smallest.values(), key=attrgetter("rank"))
        # A service message is no attempt, and sorts last.
        message.others = tuple(claim for claim in others[: CLAIMANTS.most + 1] if claim.campaign)


def _elsewhere(claim: Claim, number: str) -> Part:
    """Return what a claim counts when another attempt's claim holds."""
    counts = {"claimed_elsewhere": 1}
    return Part(_cell(claim, number), counts, claim.at_ms, claim.at_ms, of=_attempt(claim))


def _attempt(claim: Claim) -> str:
    return join_parts(claim.tenant, claim.campaign, claim.contact, claim.attempt).decode()


def _counts(state: Message, accepted_s: int) -> Counts:
    """Return the counters of one claimed message (docs/counters.md)."""
    counts: Counts = {"accepted": 1}
    reached = earliest(state.delivered, state.read)
    if reached is not None:
        counts["sent"] = counts["delivered"] = 1
        _add_late(counts, "delivered_late", reached[0] - accepted_s)
    elif state.sent is not None:
        counts["sent"] = 1
    if state.read is not None:
        read_s = state.read[0]
        counts["read"] = 1
        _add_late(counts, "read_late", read_s - accepted_s)
        counts[_time_name("time_to_read", read_s - accepted_s)] = 1
    if state.delivered is not None:
        counts[_time_name("time_to_deliver", state.delivered[0] - accepted_s)] = 1
    elif reached is not None:
        counts["delivered_implied"] = 1
    if state.failed is not None:
        if reached is not None:
            counts["failed_then_delivered"] = 1
        else:
            counts["failed_after_send"] = 1
            counts[f"errors.{error_key(state.error[1] if state.error else None)}"] = 1
    if state.quoted is not None:
        counts["replied_quoted"] = 1
    if state.clicked is not None:
        counts["clicked"] = 1
    if state.pricing is not None:
        priced, billed = _pricing_names(state.pricing.category, state.pricing.kind)
        counts[priced] = 1
        if reached is not None:
            counts[billed] = 1
    return counts


def _add_late(counts: Counts, name: str, seconds: int) -> None:
    if seconds > LATE_SECONDS:
        counts[name] = 1


@lru_cache(maxsize=4096)
def _time_name(distribution: str, seconds: int) -> str:
    return f"{distribution}.{bucket(seconds)}"


@lru_cache(maxsize=1024)
def _pricing_names(category: str, kind: str) -> tuple[str, str]:
    """Return the counted names of a price: of any message, and of one that is delivered."""
    priced_as = pricing_key(category, kind)
    return f"pricing.{priced_as}", f"pricing_delivered.{priced_as}"
