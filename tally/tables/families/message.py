"""The family of messages: the fate of each WhatsApp message, by business number and wamid."""

from collections.abc import Iterable, Sequence
from copy import copy
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec import Struct

from tally.schemas.bounded import error_key, pricing_key
from tally.schemas.bounds import CLAIMANTS, Bound
from tally.schemas.cells import MINUTE_MS, MINUTE_SECONDS, QUARTER_MS, Cell, number_of
from tally.schemas.facts import MESSAGE, Claim, Claimed, MessageFact, Pricing, StatusSeen
from tally.schemas.grains import RowKey
from tally.schemas.notices import Scope
from tally.schemas.wamids import smaller_spelling
from tally.tables.contribution import Counts, Moment, Part, is_contested
from tally.tables.durations import bucket
from tally.tables.families.family import PlainFamily, earliest
from tally.tables.rules import Rules


class Message(Struct, array_like=True, gc=False):
    """Everything known of one message; each time is the first one, in unix seconds.

    Without a campaign's claim it waits and contributes nothing. Only `merge` mutates a message: its own copy.
    """

    claim: Claim | None = None
    sent_s: int | None = None
    delivered_s: int | None = None
    read_s: int | None = None
    """First read or played."""
    failed_s: int | None = None
    quoted_s: int | None = None
    clicked_s: int | None = None
    error: tuple[int, str] | None = None
    """The smallest (seconds, raw `source:code`)."""
    pricing: Pricing | None = None
    others: tuple[Claim, ...] = ()
    """The smallest claim of every other attempt, by rank; at most one beyond the bound is kept."""
    spelling: bytes = b""
    """Of the smallest id that was written for it; empty where the id is in the key (wamids.py)."""


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
                if after.claim is None:
                    after.claim = fact.claim
                elif after.claim != fact.claim:
                    contested = [] if contested is None else contested
                    contested.append(fact.claim)
            else:
                after.quoted_s = earliest(after.quoted_s, fact.at_s)
                if fact.clicked:
                    after.clicked_s = earliest(after.clicked_s, fact.at_s)
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


def _cell(claim: Claim, number: str) -> Cell:
    row = RowKey(claim.tenant, claim.campaign, claim.template)
    return Cell(row, number, claim.market, claim.at_ms // QUARTER_MS)


def _happened(state: Message, claim: Claim) -> tuple[Moment, ...]:
    """Return when the message reached each stage: at its own time, or at that of a later stage before it."""
    happened: list[Moment] = [("accepted", claim.at_ms // MINUTE_MS, "", 1)]
    sent_s, delivered_s, read_s = state.sent_s, state.delivered_s, state.read_s
    if read_s is not None:
        happened.append(("read", read_s // MINUTE_SECONDS, "", 1))
        if delivered_s is None or read_s < delivered_s:
            delivered_s = read_s
    if delivered_s is not None:
        happened.append(("delivered", delivered_s // MINUTE_SECONDS, "", 1))
        if sent_s is None or delivered_s < sent_s:
            sent_s = delivered_s
    elif state.failed_s is not None:
        happened.append(("failed", state.failed_s // MINUTE_SECONDS, "", 1))
    if sent_s is not None:
        happened.append(("sent", sent_s // MINUTE_SECONDS, "", 1))
    if state.clicked_s is not None:
        happened.append(("clicked", state.clicked_s // MINUTE_SECONDS, "", 1))
    return tuple(happened)


def _span(state: Message, accepted_ms: int) -> tuple[int, int]:
    """Return the first and the last time of a claimed message, in unix ms."""
    first_ms = last_ms = accepted_ms
    for at_s in (state.sent_s, state.delivered_s, state.read_s, state.failed_s, state.quoted_s):
        if at_s is not None:
            at_ms = at_s * 1000
            if at_ms > last_ms:
                last_ms = at_ms
            elif at_ms < first_ms:
                first_ms = at_ms
    return first_ms, last_ms


def _apply_status(message: Message, fact: StatusSeen) -> None:
    status, at_s = fact.status, fact.at_s
    if status == "sent":
        message.sent_s = earliest(message.sent_s, at_s)
    elif status == "delivered":
        message.delivered_s = earliest(message.delivered_s, at_s)
    elif status in {"read", "played"}:
        message.read_s = earliest(message.read_s, at_s)
    elif status == "failed":
        message.failed_s = earliest(message.failed_s, at_s)
    if fact.error is not None:
        message.error = _smaller_error(message.error, (at_s, fact.error))
    if fact.pricing is not None:
        message.pricing = _later_pricing(message.pricing, fact.pricing)


def _smaller_error(left: tuple[int, str] | None, right: tuple[int, str] | None) -> tuple[int, str] | None:
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


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
    return Part(_cell(claim, number), {"claimed_elsewhere": 1}, claim.at_ms, claim.at_ms)


def _counts(state: Message, accepted_s: int) -> Counts:
    """Return the counters of one claimed message (docs/counters.md)."""
    counts: Counts = {"accepted": 1}
    reached_s = earliest(state.delivered_s, state.read_s)
    reached = reached_s is not None
    if reached or state.sent_s is not None:
        counts["sent"] = 1
    if reached_s is not None:
        counts["delivered"] = 1
        _add_late(counts, "delivered_late", reached_s - accepted_s)
    if state.read_s is not None:
        counts["read"] = 1
        _add_late(counts, "read_late", state.read_s - accepted_s)
        counts[_time_name("time_to_read", state.read_s - accepted_s)] = 1
    if state.delivered_s is not None:
        counts[_time_name("time_to_deliver", state.delivered_s - accepted_s)] = 1
    elif reached:
        counts["delivered_implied"] = 1
    if state.failed_s is not None:
        if reached:
            counts["failed_then_delivered"] = 1
        else:
            counts["failed_after_send"] = 1
            counts[f"errors.{error_key(state.error[1] if state.error else None)}"] = 1
    if state.quoted_s is not None:
        counts["replied_quoted"] = 1
    if state.clicked_s is not None:
        counts["clicked"] = 1
    if state.pricing is not None:
        priced, billed = _pricing_names(state.pricing.category, state.pricing.kind)
        counts[priced] = 1
        if reached:
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
