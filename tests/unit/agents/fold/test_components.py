"""Components are the sets of keys that links connect, whatever the order of the links."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.agents.fold.components import Components
from tests.support.cpu import doubling

KEYS = st.sampled_from([b"k%d" % n for n in range(12)])
LINKS = st.lists(st.lists(KEYS, min_size=1, max_size=4), max_size=12)


def united(links: list[list[bytes]]) -> Components:
    components = Components()
    for first, *others in links:
        components.union(first, others)
    return components


def by_spreading(links: list[list[bytes]]) -> set[frozenset[bytes]]:
    """Return what belongs together, by joining sets until none overlap any more."""
    sets: list[set[bytes]] = []
    for link in map(set, links):
        apart = [other for other in sets if not other & link]
        sets = [*apart, link.union(*(other for other in sets if other & link))]
    return {frozenset(one) for one in sets}


@given(LINKS)
def test_groups_are_what_links_connect(links: list[list[bytes]]) -> None:
    assert {frozenset(group) for group in united(links).groups().values()} == by_spreading(links)


@given(LINKS, st.integers())
def test_the_order_of_links_does_not_matter(links: list[list[bytes]], seed: int) -> None:
    rng = random.Random(seed)
    shuffled = [rng.sample(link, len(link)) for link in rng.sample(links, len(links))]
    groups, others = united(links).groups(), united(shuffled).groups()

    assert {key: set(group) for key, group in groups.items()} == {
        key: set(group) for key, group in others.items()
    }


@given(LINKS)
def test_each_key_is_found_by_the_smallest_of_its_group(links: list[list[bytes]]) -> None:
    components = united(links)

    for smallest, group in components.groups().items():
        assert smallest == min(group)
        assert {components.find(key) for key in group} == {smallest}


@given(LINKS, KEYS)
def test_a_key_that_is_added_belongs_to_itself_or_where_it_was(links: list[list[bytes]], key: bytes) -> None:
    components = united(links)
    before = {one for group in components.groups().values() for one in group}
    found = components.find(key) if key in before else key
    components.add(key)

    assert components.find(key) == found


def test_a_key_that_was_never_added_is_unknown() -> None:
    with pytest.raises(KeyError):
        Components().find(b"k")


@pytest.mark.parametrize("is_falling", [False, True])
def test_a_chain_twice_as_long_costs_about_twice_as_much(is_falling: bool) -> None:
    def chain(size: int) -> dict[bytes, list[bytes]]:
        keys = [b"%09d" % n for n in range(size)]
        links = [list(pair) for pair in pairwise(keys)]
        return united(links[::-1] if is_falling else links).groups()

    assert doubling(lambda: chain(20_000), lambda: chain(40_000), 2.6) <= 2.6
