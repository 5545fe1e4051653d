"""What families may cost: merging is linear in facts and state, joining in all states, counting nearly so.

By CPU of this process, never by the clock on the wall, and by doubling: what is linear takes twice as long
for twice as much, what is quadratic four times.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tally.tables.families.family import ConnectedFamily, Family
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tests.support.cpu import doubling
from tests.support.facts import KEYS
from tests.support.large import SHAPES, Shape, every_connected_shape, every_shape

MOST = 2.6
"""Of a doubled size: twice, and room for caches and for m log m."""


def test_every_family_says_what_its_states_grow_by() -> None:
    assert {family.table for family in FAMILIES} == SHAPES.keys()
    assert all(SHAPES.values())


def facts(shape: Shape, first: int, count: int) -> list[Any]:
    return [shape.fact(first + nth) for nth in range(count)]


def merging(family: Family[Any, Any], shape: Shape, size: int) -> Callable[[], object]:
    return partial(family.merge, family.merge(None, facts(shape, 0, size)), facts(shape, size, size))


def joining(family: ConnectedFamily[Any, Any], shape: Shape, size: int) -> Callable[[], object]:
    return partial(family.join, [family.merge(None, [fact]) for fact in facts(shape, 0, size)])


def counting(family: Family[Any, Any], shape: Shape, size: int) -> Callable[[], object]:
    state = family.merge(None, facts(shape, 0, size))
    return partial(family.contribution, KEYS[family.table], state, Rules())


def encoding(family: Family[Any, Any], shape: Shape, size: int) -> Callable[[], object]:
    state = family.merge(None, facts(shape, 0, size))
    return lambda: family.decode(family.encode(state))


@every_shape
@pytest.mark.parametrize("work", [merging, counting, encoding])
def test_twice_as_much_costs_about_twice_as_much(
    family: Family[Any, Any],
    shape: Shape,
    work: Callable[[Family[Any, Any], Shape, int], Callable[[], object]],
) -> None:
    small, large = work(family, shape, shape.size), work(family, shape, 2 * shape.size)

    assert doubling(small, large, MOST) <= MOST


@every_connected_shape
def test_joining_twice_as_many_states_costs_about_twice_as_much(
    family: ConnectedFamily[Any, Any], shape: Shape
) -> None:
    small, large = joining(family, shape, shape.size), joining(family, shape, 2 * shape.size)

    assert doubling(small, large, MOST) <= MOST
