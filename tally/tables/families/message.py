"""Messages: what became of each WhatsApp message, by business number and wamid."""

from collections.abc import Sequence
from functools import reduce

import msgspec
from msgspec import Struct

from tally.schemas.bounded import error_key, pricing_key
from tally.schemas.facts import MESSAGE, Claim, Claimed, MessageFact, Pricing, Quoted, StatusSeen
from tally.schemas.keys import RowKey
from tally.tables.contribution import Counts, Part
from tally.tables.durations import bucket
from tally.tables.families.family import Family, earliest
from tally.tables.rules import Rules


class Message(Struct, frozen=True, array_like=True):
    """Everything known of one message; times are the first ones, in unix seconds.

    Without a campaign's claim it waits and contributes nothing.
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


_state_decoder = msgspec.msgpack.Decoder(Message)
_fact_decoder: msgspec.msgpack.Decoder[MessageFact] = msgspec.msgpack.Decoder(MessageFact)


class MessageFamily(Family[MessageFact, Message]):
    """The family of messages."""

    code = MESSAGE
    table = "messages"

    def decode_fact(self, body: bytes | memoryview) -> MessageFact:
        return _fact_decoder.decode(body)

    def merge(self, state: Message | None, facts: Sequence[MessageFact]) -> Message:
        known = [_of(fact) for fact in facts]
        return reduce(self.join, known if state is None else [state, *known])

    def join(self, left: Message, right: Message) -> Message:
        return Message(
            _smaller_claim(left.claim, right.claim),
            earliest(left.sent_s, right.sent_s),
            earliest(left.delivered_s, right.delivered_s),
            earliest(left.read_s, right.read_s),
            earliest(left.failed_s, right.failed_s),
            earliest(left.quoted_s, right.quoted_s),
            earliest(left.clicked_s, right.clicked_s),
            min(left.error, right.error) if left.error and right.error else left.error or right.error,
            max(left.pricing, right.pricing)
            if left.pricing and right.pricing
            else left.pricing or right.pricing,
        )

    def decode(self, value: bytes) -> Message:
        return _state_decoder.decode(value)

    def waits(self, state: Message) -> bool:
        return state.claim is None

    def contribution(self, key: bytes, state: Message, rules: Rules) -> list[Part]:
        claim = state.claim
        if claim is None or not claim.campaign:
            return []
        times = [
            at_s
            for at_s in (state.sent_s, state.delivered_s, state.read_s, state.failed_s, state.quoted_s)
            if at_s is not None
        ]
        return [
            Part(
                RowKey(claim.tenant, claim.campaign, claim.template),
                _counts(state, claim.at_ms // 1000),
                min([claim.at_ms, *(at_s * 1000 for at_s in times)]),
                max([claim.at_ms, *(at_s * 1000 for at_s in times)]),
            )
        ]


def _of(fact: MessageFact) -> Message:
    """Return the state of a message of which only this fact is known."""
    match fact:
        case StatusSeen(status, at_s, error, pricing):
            return Message(
                sent_s=at_s if status == "sent" else None,
                delivered_s=at_s if status == "delivered" else None,
                read_s=at_s if status in ("read", "played") else None,
                failed_s=at_s if status == "failed" else None,
                error=None if error is None else (at_s, error),
                pricing=pricing,
            )
        case Claimed(claim):
            return Message(claim=claim)
        case Quoted(at_s, clicked):
            return Message(quoted_s=at_s, clicked_s=at_s if clicked else None)


def _smaller_claim(left: Claim | None, right: Claim | None) -> Claim | None:
    if left is None or right is None:
        return right if left is None else left
    return left if left.rank <= right.rank else right


def _counts(state: Message, accepted_s: int) -> Counts:
    """Return the counters of one claimed message (docs/counters.md)."""
    counts: Counts = {"accepted": 1}
    reached = state.delivered_s is not None or state.read_s is not None
    if reached or state.sent_s is not None:
        counts["sent"] = 1
    if reached:
        counts["delivered"] = 1
    if state.read_s is not None:
        counts["read"] = 1
        counts[f"time_to_read.{bucket(state.read_s - accepted_s)}"] = 1
    if state.delivered_s is not None:
        counts[f"time_to_deliver.{bucket(state.delivered_s - accepted_s)}"] = 1
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
        counts[f"pricing.{pricing_key(state.pricing.category, state.pricing.kind)}"] = 1
    return counts
