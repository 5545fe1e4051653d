"""A message that several attempts claim belongs to one; the others are told that it is claimed elsewhere."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tally.agents.fold.batch import fold_batch
from tally.schemas.bounds import CLAIMANTS
from tally.schemas.facts import MESSAGE, RECIPIENT, AttemptResult, Claim, Claimed, StatusSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import FREE_FORM, Template, join_parts
from tally.schemas.records import Keyed, KeyedFact
from tally.schemas.wamids import message_key
from tally.streams.operations.looks import Census
from tally.tables.families.message import Message, MessageFamily
from tally.tables.rules import Rules
from tests.support.partition import MemoryPartition, record

FAMILY = MessageFamily()
KEY = message_key("n1", "wamid.1")
AROUND = (-1, 0, 1)
ATTEMPT = Claim(1_000, "t1", "c1", "8", "1", Template("promo", "nl"))

CLAIMS = st.builds(
    Claim,
    st.integers(1_000, 1_005),
    st.sampled_from(["t1", "t2"]),
    st.sampled_from(["c1", "c2"]),
    st.sampled_from(["8", "9"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from([FREE_FORM, Template("promo", "nl"), Template("promo", "pt_BR")]),
)
SENDS = st.tuples(CLAIMS, st.sampled_from([b"a" * 12, b"b" * 12, b"c" * 12]))


def facts_of(claim: Claim, message: bytes) -> list[Keyed]:
    """Return what an accepted send result says of its message and its attempt."""
    result = AttemptResult(
        "whatsapp", claim.attempt, "accepted", claim.at_ms, claim.template, message=message
    )
    recipient = join_parts(claim.tenant, claim.campaign, claim.contact)
    return [
        KeyedFact(MESSAGE, join_parts("n1", message.decode()), Claimed(claim)),
        KeyedFact(RECIPIENT, recipient, result),
    ]


def by_campaign(partition: MemoryPartition) -> dict[tuple[str, str], Counter[str]]:
    campaigns: dict[tuple[str, str], Counter[str]] = {}
    for key, counts in partition.counts().items():
        row = RowKey.decode(key)
        campaigns.setdefault((row.tenant, row.campaign), Counter()).update(counts)
    return campaigns


@given(st.lists(SENDS, min_size=1, max_size=30), st.integers())
def test_accepted_attempts_and_duplicates_are_what_is_accepted_and_claimed_elsewhere(
    sends: list[tuple[Claim, bytes]], seed: int
) -> None:
    facts = [fact for send in sends for fact in facts_of(*send)]
    random.Random(seed).shuffle(facts)
    partition = MemoryPartition()
    partition.fold(facts[::2], Rules())
    partition.fold(facts[1::2], Rules())

    for counts in by_campaign(partition).values():
        assert counts["attempts"] + counts["duplicates"] == counts["accepted"] + counts["claimed_elsewhere"]


def merged(*claims: Claim) -> Message:
    return FAMILY.merge(None, [Claimed(claim) for claim in claims])


def counted(state: Message, name: str) -> dict[tuple[str, str, str], int]:
    """Return one counter by tenant, campaign and template name."""
    found: Counter[tuple[str, str, str]] = Counter()
    for part in FAMILY.contribution(KEY, state, Rules()):
        template = part.row.template
        assert template is not None
        found[part.row.tenant, part.row.campaign, template.name] += part.counts.get(name, 0)
    return {row: count for row, count in found.items() if count}


def test_each_other_attempt_counts_in_its_own_row() -> None:
    state = merged(
        ATTEMPT,
        replace(ATTEMPT, attempt="2", at_ms=1_001),
        replace(ATTEMPT, tenant="t2", at_ms=1_002),
        replace(ATTEMPT, tenant="t2", contact="9", at_ms=1_003, template=FREE_FORM),
    )

    assert counted(state, "accepted") == {("t1", "c1", "promo"): 1}
    assert counted(state, "claimed_elsewhere") == {
        ("t1", "c1", "promo"): 1,
        ("t2", "c1", "promo"): 1,
        ("t2", "c1", ""): 1,
    }


def test_the_same_attempt_again_is_not_elsewhere_and_its_smallest_claim_holds() -> None:
    later = replace(ATTEMPT, at_ms=2_000, template=FREE_FORM)

    assert merged(later, ATTEMPT) == merged(ATTEMPT)
    assert merged(ATTEMPT, later, ATTEMPT) == merged(ATTEMPT)


def test_an_attempt_that_turns_out_to_be_first_gives_the_other_one_its_place() -> None:
    other = replace(ATTEMPT, campaign="c2", at_ms=999)
    state = FAMILY.merge(merged(ATTEMPT), [StatusSeen("read", 5), Claimed(other)])

    assert counted(state, "accepted") == counted(state, "read") == {("t1", "c2", "promo"): 1}
    assert counted(state, "claimed_elsewhere") == {("t1", "c1", "promo"): 1}


def test_a_service_message_is_no_attempt() -> None:
    service = Claim(1, "t2")

    assert merged(service, ATTEMPT, replace(service, tenant="t3")) == merged(ATTEMPT)
    assert merged(service, replace(service, tenant="t3")) == merged(service)
    assert FAMILY.contribution(KEY, merged(service), Rules()) == []


def claimants(count: int) -> list[Claim]:
    return [replace(ATTEMPT, contact=f"{n:03d}", at_ms=1_000 + n // 3) for n in range(count)]


def in_any_order(claims: Sequence[Claim], seed: int) -> Message:
    rng = random.Random(seed)
    shuffled = rng.sample([*claims, *claims[::5]], len(claims) + len(claims[::5]))
    state: Message | None = None
    while shuffled:
        size = rng.choice([1, 9, 70])
        batch, shuffled = shuffled[:size], shuffled[size:]
        state = FAMILY.merge(state, [Claimed(claim) for claim in batch])
    assert state is not None
    return state


@pytest.mark.parametrize("more", [*AROUND, 200])
@pytest.mark.parametrize("seed", range(4))
def test_of_more_attempts_than_the_bound_the_smallest_claims_count_in_every_order(
    more: int, seed: int
) -> None:
    claims = claimants(1 + CLAIMANTS.most + more)
    state = in_any_order(claims, seed)

    assert state.claim == claims[0]
    assert state.others == tuple(claims[1 : CLAIMANTS.most + 2])
    assert FAMILY.beyond(state) is (CLAIMANTS if more > 0 else None)
    assert counted(state, "claimed_elsewhere") == {("t1", "c1", "promo"): CLAIMANTS.most + min(more, 0)}
    assert FAMILY.encode(state) == FAMILY.encode(merged(*claims))


def test_a_message_of_several_tenants_is_counted_once_and_named_by_its_business_number_alone() -> None:
    foreign = replace(ATTEMPT, tenant="t2", at_ms=1_001)
    partition, census, contested = MemoryPartition(), Census(), []
    for claim in (ATTEMPT, replace(ATTEMPT, attempt="2"), foreign, replace(foreign, tenant="t3"), foreign):
        fact = record(0, KeyedFact(MESSAGE, KEY, Claimed(claim)))
        folded = fold_batch([fact], partition, Rules())
        partition.apply(folded.writes)
        contested.append(folded.contested)
        census.apply(KEY, partition.tables[FAMILY.table][KEY])

    assert contested == [0, 0, 1, 0, 0]
    assert str(census) == "waiting for a send result: none; claimed by several tenants: n1: 1"


def test_a_message_that_waits_is_told_until_its_send_result_comes() -> None:
    census = Census()
    census.apply(KEY, FAMILY.encode(FAMILY.merge(None, [StatusSeen("read", 5)])))
    assert str(census) == "waiting for a send result: n1: 1; claimed by several tenants: none"

    census.apply(KEY, FAMILY.encode(merged(ATTEMPT)))
    assert str(census) == "waiting for a send result: none; claimed by several tenants: none"
