"""The laws that every family keeps: merging is a join, encodings are canonical, contributions add up."""

import random
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.schemas.counters import BY_NAME
from tally.schemas.records import packed
from tally.tables.families.family import ConnectedFamily, Family
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tests.support.facts import FACTS, KEYS

RULES = Rules()
CONNECTED = [family for family in FAMILIES if isinstance(family, ConnectedFamily)]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.table)


def state_of(family: Family[Any, Any], facts: list[Any]) -> Any:
    """Fold facts one by one, as if each came in a batch of its own."""
    return reduce(lambda state, fact: family.merge(state, [fact]), facts, None)


@every_family
@given(data=st.data(), seed=st.integers())
def test_any_order_and_any_repetition_give_the_same_bytes(
    family: Family[Any, Any], data: st.DataObject, seed: int
) -> None:
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8))
    again = [*facts, *data.draw(st.lists(st.sampled_from(facts), max_size=4))]
    random.Random(seed).shuffle(again)

    assert family.encode(state_of(family, facts)) == family.encode(state_of(family, again))


@pytest.mark.parametrize("family", CONNECTED, ids=lambda family: family.table)
@given(data=st.data())
def test_states_split_anywhere_join_to_the_whole(
    family: ConnectedFamily[Any, Any], data: st.DataObject
) -> None:
    left, middle, right = (data.draw(st.lists(FACTS[family.table], min_size=1, max_size=4)) for _ in range(3))
    a, b, c = (state_of(family, part) for part in (left, middle, right))
    whole = family.encode(state_of(family, left + middle + right))

    assert family.encode(family.join([family.join([a, b]), c])) == whole
    assert family.encode(family.join([a, family.join([c, b])])) == whole
    assert family.encode(family.join([b, c, a])) == whole
    assert family.encode(family.join([a, a])) == family.encode(a)


@every_family
@given(data=st.data())
def test_facts_merged_at_once_are_facts_merged_one_by_one(
    family: Family[Any, Any], data: st.DataObject
) -> None:
    facts = data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8))
    before = data.draw(st.none() | st.builds(lambda fact: family.merge(None, [fact]), FACTS[family.table]))
    one_by_one = reduce(lambda state, fact: family.merge(state, [fact]), facts, before)

    assert family.encode(family.merge(before, facts)) == family.encode(one_by_one)


@every_family
@given(data=st.data())
def test_a_state_read_back_is_the_same_state(family: Family[Any, Any], data: st.DataObject) -> None:
    state = state_of(family, data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8)))

    assert family.decode(family.encode(state)) == state


@every_family
@given(data=st.data())
def test_a_fact_read_back_is_the_same_fact(family: Family[Any, Any], data: st.DataObject) -> None:
    fact = data.draw(FACTS[family.table])

    assert family.decode_fact(packed(fact)) == fact


@every_family
@given(data=st.data())
def test_a_contribution_names_registered_counters_of_its_family_and_counts_up(
    family: Family[Any, Any], data: st.DataObject
) -> None:
    state = state_of(family, data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8)))
    for part in family.contribution(KEYS[family.table], state, RULES):
        for name, value in part.counts.items():
            counter = BY_NAME[name.partition(".")[0]]
            assert ("." in name) == (counter.kind != "count")
            assert family.table.removesuffix("s") in counter.families
            assert part.row.grain in counter.grains
            assert value > 0
        assert part.first_ms <= part.last_ms


@every_family
@given(data=st.data())
def test_a_contribution_depends_on_the_state_alone(family: Family[Any, Any], data: st.DataObject) -> None:
    state = state_of(family, data.draw(st.lists(FACTS[family.table], min_size=1, max_size=8)))
    again = family.decode(family.encode(state))
    key = KEYS[family.table]

    assert family.contribution(key, state, RULES) == family.contribution(key, again, RULES)
