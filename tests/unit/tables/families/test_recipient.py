"""The counts of a contact beyond a bound: its smallest attempts and messages, in any order of its facts."""

import random

import pytest

from tally.schemas.bounds import ATTEMPT_MESSAGES, ATTEMPTS, TEMPLATE, Bound
from tally.schemas.facts import AttemptResult
from tally.schemas.keys import Template, join_parts
from tally.tables.contribution import Part
from tally.tables.families.recipient import Recipient, RecipientFamily
from tally.tables.rules import Rules

FAMILY = RecipientFamily()
KEY = join_parts("t1", "c1", "unknown")
PROMO = Template("promo", "pt_BR")
AROUND = (-1, 0, 1)
LONGEST_ID = "\U0001f4de" * 128
LONGEST_NAME = "x" * TEMPLATE.most
WORST_BYTES = 800_000
"""Well under what a changelog record may hold."""


def attempts(count: int) -> list[AttemptResult]:
    return [AttemptResult("whatsapp", f"{n:05d}", "queued", 1_000 + n, PROMO) for n in range(count)]


def messages(count: int, of: int = 1) -> list[AttemptResult]:
    """So many accepted messages, spread over some attempts."""
    digests = [n.to_bytes(12, "big") for n in range(count)]
    return [
        AttemptResult("whatsapp", f"{n % of:05d}", "accepted", 1_000 + n, PROMO, message=digest)
        for n, digest in enumerate(digests)
    ]


def in_any_order(facts: list[AttemptResult], seed: int) -> Recipient:
    """Merge facts in batches of any size and order, some of them twice."""
    rng = random.Random(seed)
    facts = [*facts, *facts[:5]]
    rng.shuffle(facts)
    state: Recipient | None = None
    while facts:
        size = rng.choice([1, 7, len(facts) // 2 + 1])
        batch, facts = facts[:size], facts[size:]
        state = FAMILY.merge(state, batch)
    assert state is not None
    return state


def counted(state: Recipient) -> list[Part]:
    return FAMILY.contribution(KEY, state, Rules())


def total(state: Recipient, name: str) -> int:
    return sum(part.counts.get(name, 0) for part in counted(state))


@pytest.mark.parametrize("more", AROUND)
@pytest.mark.parametrize("bound", [ATTEMPTS, ATTEMPT_MESSAGES], ids=lambda bound: bound.name)
def test_a_contact_is_beyond_a_bound_with_one_more_than_it_allows(bound: Bound, more: int) -> None:
    facts = attempts(ATTEMPTS.most + more) if bound is ATTEMPTS else messages(ATTEMPT_MESSAGES.most + more, 7)

    assert FAMILY.beyond(FAMILY.merge(None, facts)) is (bound if more > 0 else None)


@pytest.mark.parametrize("more", [*AROUND, 50])
@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_attempts_count_in_every_order(more: int, seed: int) -> None:
    facts = attempts(ATTEMPTS.most + more)
    state = in_any_order(facts, seed)

    assert total(state, "attempts") == total(state, "queued") == ATTEMPTS.most + min(more, 0)
    assert total(state, "contacts") == 1
    assert max(part.last_ms for part in counted(state)) == 1_000 + ATTEMPTS.most - 1 + min(more, 0)
    assert FAMILY.encode(state) == FAMILY.encode(FAMILY.merge(None, facts))


@pytest.mark.parametrize("more", [*AROUND, 50])
@pytest.mark.parametrize("of", [1, 7])
def test_the_messages_of_the_smallest_attempts_count_in_every_order(more: int, of: int) -> None:
    facts = messages(ATTEMPT_MESSAGES.most + more, of)
    state = in_any_order(facts, seed=of)

    assert total(state, "attempts") == of
    assert total(state, "duplicates") == ATTEMPT_MESSAGES.most + min(more, 0) - of
    assert FAMILY.encode(state) == FAMILY.encode(FAMILY.merge(None, facts))


def test_an_attempt_that_the_bound_leaves_no_message_still_counts() -> None:
    first = messages(ATTEMPT_MESSAGES.most + 1)
    later = AttemptResult("whatsapp", "9", "accepted", 5, PROMO, message=b"z" * 12)
    state = in_any_order([later, *first], seed=1)

    assert total(state, "attempts") == 2
    assert total(state, "duplicates") == ATTEMPT_MESSAGES.most - 1


def test_the_largest_contact_there_can_be_is_well_under_a_record() -> None:
    outcomes = ("queued", "accepted", "failed", "skipped", "cancelled", "requested")
    facts = [
        AttemptResult(
            "whatsapp",
            f"{n:04d}{LONGEST_ID[4:]}",
            outcome,  # type: ignore[arg-type]
            253_402_300_799_999,
            Template(LONGEST_NAME, LONGEST_NAME),
            LONGEST_ID,
            f"platform:{LONGEST_ID}",
            f"{n:04d}{nth:08d}".encode(),
        )
        for n in range(ATTEMPTS.most + 1)
        for nth, outcome in enumerate(outcomes * 2)
    ]

    assert len(FAMILY.encode(FAMILY.merge(None, facts))) < WORST_BYTES
