"""Recipients: the producer's contacts in one campaign, with their attempts."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tally.schemas.bounded import error_key
from tally.schemas.facts import RECIPIENT, AttemptResult
from tally.schemas.keys import RowKey, Template, split_parts
from tally.tables.contribution import Counts, Part
from tally.tables.families.family import Family, ordered
from tally.tables.rules import Rules

RANKED = ("accepted", "failed", "cancelled", "skipped", "requested", "queued")
"""Outcomes of one attempt, the one that counts first."""
COUNTED_AS = {
    "failed": "failed_at_send",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "requested": "queued",
    "queued": "queued",
}

REQUESTED = ("requested", "accepted")
"""Outcomes of a voice attempt that say that the PBX was asked for it."""


class Result(Struct, frozen=True, array_like=True, gc=False, order=True):
    """One outcome of an attempt: when it was first seen, and the smallest template named with it."""

    at_ms: int
    template: Template
    unlabelled: bool
    """Orders a template id before none."""
    label: str


class Attempt(Struct, frozen=True, array_like=True, gc=False):
    """What became of one attempt to reach the contact."""

    results: dict[str, Result]
    error: tuple[int, str] | None
    """The smallest (milliseconds, raw `source:code`)."""
    messages: list[bytes]
    """Digests of the messages that the provider accepted, sorted."""
    channel: str


class Recipient(Struct, frozen=True, array_like=True, gc=False):
    """Everything known of one contact in one campaign."""

    attempts: dict[str, Attempt]


_state_decoder = msgspec.msgpack.Decoder(Recipient)
_fact_decoder = msgspec.msgpack.Decoder(AttemptResult)


class RecipientFamily(Family[AttemptResult, Recipient]):
    """The family of recipients."""

    code = RECIPIENT
    table = "recipients"
    decode_fact = staticmethod(_fact_decoder.decode)
    decode = staticmethod(_state_decoder.decode)

    def merge(self, state: Recipient | None, facts: Sequence[AttemptResult]) -> Recipient:
        known = [_of(fact) for fact in facts]
        return _join_all(known if state is None else [state, *known])

    def join(self, states: Sequence[Recipient]) -> Recipient:
        return _join_all(states)

    def contribution(self, key: bytes, state: Recipient, rules: Rules) -> list[Part]:
        tenant, campaign, _ = split_parts(key)
        parts = []
        latest = _latest(state.attempts)
        for name, attempt in state.attempts.items():
            outcome = _outcome(attempt)
            result = attempt.results[outcome]
            counts = _counts(attempt, outcome)
            if name == latest:
                counts["contacts"] = 1
            times = [seen.at_ms for seen in attempt.results.values()]
            row = RowKey(tenant, campaign, result.template)
            parts.append(Part(row, counts, min(times), max(times), result.label, attempt.channel))
        return parts


def _latest(attempts: dict[str, Attempt]) -> str:
    """Return the attempt that began last; of several the one that is largest as text."""
    if len(attempts) == 1:
        return next(iter(attempts))
    return max((_first_ms(attempt), name) for name, attempt in attempts.items())[1]


def _join_all(states: Sequence[Recipient]) -> Recipient:
    if len(states) == 1:
        return states[0]
    attempts = dict(states[0].attempts)
    for state in states[1:]:
        for name, attempt in state.attempts.items():
            mine = attempts.get(name)
            attempts[name] = attempt if mine is None else _join_attempts(mine, attempt)
    return Recipient(ordered(attempts))


def _of(fact: AttemptResult) -> Recipient:
    """Return the state of a recipient of whom only this fact is known."""
    attempt = Attempt(
        {fact.outcome: Result(fact.at_ms, fact.template, not fact.label, fact.label)},
        None if fact.error is None else (fact.at_ms, fact.error),
        [fact.message] if fact.message else [],
        fact.channel,
    )
    return Recipient({fact.attempt: attempt})


def _join_attempts(left: Attempt, right: Attempt) -> Attempt:
    results = dict(left.results)
    for outcome, result in right.results.items():
        mine = results.get(outcome)
        results[outcome] = result if mine is None else _join_results(mine, result)
    return Attempt(
        ordered(results),
        min(left.error, right.error) if left.error and right.error else left.error or right.error,
        sorted({*left.messages, *right.messages}),
        max(left.channel, right.channel),
    )


def _join_results(left: Result, right: Result) -> Result:
    """Join time and template apart: the smallest template need not have come with the first time."""
    smallest = min(
        (left.template, left.unlabelled, left.label), (right.template, right.unlabelled, right.label)
    )
    return Result(min(left.at_ms, right.at_ms), *smallest)


def _outcome(attempt: Attempt) -> str:
    return next(outcome for outcome in RANKED if outcome in attempt.results)


def _first_ms(attempt: Attempt) -> int:
    return min(result.at_ms for result in attempt.results.values())


def _counts(attempt: Attempt, outcome: str) -> Counts:
    """Return the counters of one attempt (docs/counters.md)."""
    counts: Counts = {"attempts": 1}
    if attempt.channel == "voice" and not attempt.results.keys().isdisjoint(REQUESTED):
        counts["requested"] = 1
    if name := COUNTED_AS.get(outcome):
        counts[name] = 1
    if outcome == "failed":
        counts[f"errors.{error_key(attempt.error[1] if attempt.error else None)}"] = 1
    if len(attempt.messages) > 1:
        counts["duplicates"] = len(attempt.messages) - 1
    return counts
