"""Operators: the latest description of each membership holds, and each tenant sees its own."""

from itertools import permutations

from tally.schemas.call_facts import MemberSeen
from tally.schemas.keys import RowKey, Template, join_parts
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


def test_a_removed_membership_and_one_that_a_sweep_did_not_find_are_none() -> None:
    removed = rows(seen(1_000), seen(2_000, removed=True))
    swept = FAMILY.swept(FAMILY.merge(None, [seen(1_000)]), 2_000)

    assert removed == {row("t1"): {"memberships.name=Ann": 1}}
    assert FAMILY.contribution(KEY, swept, Rules()) == []
    assert FAMILY.merge(swept, [seen(1_000)]) == FAMILY.merge(None, [seen(1_000)])
