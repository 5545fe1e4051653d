"""Operators: the latest description of each membership holds, and each tenant sees its own."""

import random
from itertools import permutations

import pytest

from tally.schemas.bounds import OPERATOR_QUEUES
from tally.schemas.call_facts import MemberSeen
from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, join_parts
from tally.tables.families.operator import OperatorFamily
from tally.tables.rules import Rules

FAMILY = OperatorFamily()
KEY = join_parts("pbx01") + b"/PJSIP%2F201"


def seen(at_us: int, queue: str = "sales", tenant: str = "t1", status: int = 1, **more: object) -> MemberSeen:
    fields = {"name": "Ann", "paused": False, "reason": "", "in_call": False, "removed": False}
    given = {**fields, "last_call_s": 0, "wrapup_s": 0, **more}
    return MemberSeen("PJSIP/201", queue, at_us, tenant, status=status, **given)  # type: ignore[arg-type]


def rows(*facts: MemberSeen) -> dict[RowKey, dict[str, int]]:
    state = FAMILY.merge(None, facts)
    return {part.row: part.counts for part in FAMILY.contribution(KEY, state, Rules())}


def row(tenant: str) -> RowKey:
    return RowKey(tenant, "", Template("pbx01", "PJSIP/201"))


def test_the_latest_description_holds_in_whatever_order_they_come() -> None:
    facts = [seen(1_000), seen(3_000, status=2), seen(2_000, paused=True, reason="lunch")]

    assert {tuple(rows(*order)[row("t1")].items()) for order in permutations(facts)} == {
        (("memberships.name=Ann", 1), ("memberships.sales/status", 2), ("memberships.sales/since_ms", 3))
    }


def test_each_tenant_sees_the_queues_of_its_own() -> None:
    found = rows(seen(1_000, "secret", "tA", paused=True, reason="why"), seen(2_000, "open", "tB"))

    assert found.keys() == {row("tA"), row("tB")}
    assert not any("secret" in name or "why" in name for name in found[row("tB")])
    assert not any("open" in name for name in found[row("tA")])


def test_a_removed_membership_and_one_that_a_resync_did_not_find_are_none() -> None:
    removed = rows(seen(1_000), seen(2_000, removed=True))
    resynced = FAMILY.resynced(FAMILY.merge(None, [seen(1_000)]), 2_000)

    assert removed == {row("t1"): {"memberships.name=Ann": 1}}
    assert FAMILY.contribution(KEY, resynced, Rules()) == []
    assert FAMILY.merge(resynced, [seen(1_000)]) == FAMILY.merge(None, [seen(1_000)])


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_an_operator_has_queues_up_to_the_bound_in_any_order(over: int) -> None:
    facts = [seen(nth, f"q{nth}") for nth in range(OPERATOR_QUEUES.most + over)]
    random.Random(over).shuffle(facts)
    whole = FAMILY.merge(None, facts)
    first, *others = reversed(facts)
    one_by_one = FAMILY.merge(None, [first])
    for fact in others:
        one_by_one = FAMILY.merge(one_by_one, [fact])

    assert FAMILY.encode(whole) == FAMILY.encode(one_by_one)
    assert FAMILY.encode(FAMILY.merge(whole, facts[:1])) == FAMILY.encode(whole)
    assert FAMILY.beyond(whole) == (OPERATOR_QUEUES if over > 0 else None)
    assert bool(FAMILY.contribution(KEY, whole, Rules())) == (over <= 0)
