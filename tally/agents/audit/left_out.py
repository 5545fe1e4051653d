"""Subjects with a quarantined fact: an audit leaves them out.

Raw events do not say what it should count: the facts that it lacks depend on when our code failed,
or when the state grew too large. Subjects beyond a bound are compared like all others, since size alone
decides a bound. Pure.
"""

from collections.abc import Sequence

from tally.agents.audit.counting import State, counted_from_states, states_of
from tally.agents.audit.drift import Counted
from tally.agents.fold.missing import is_marked
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.tables import INCOMPLETE
from tally.tables.families.family import ConnectedFamily
from tally.tables.families.registry import AnyFamily
from tally.tables.rules import Rules
from tally.tables.store.local import LocalStore

Names = dict[bytes, set[bytes]]
"""By family: every key under which a subject that is left out is known."""


def left_out(*stores: LocalStore) -> Names:
    """Return the names of subjects with a fact that any of these counts has quarantined.

    One subject of one count may be several of another: all that share a name are left out of every count.
    """
    names: Names = {}
    for store in stores:
        for subject, mark in store.items(INCOMPLETE):
            if is_marked(mark, CODE_FAILURE) or is_marked(mark, TOO_LARGE):
                # A fact that would have joined several has marked them together.
                names.setdefault(subject[:1], set()).update((subject[1:], *subject[1:].split(b"+")))
    known = 0
    while names and (size := sum(map(len, names.values()))) > known:
        known = size
        for store in stores:
            for family, key, value in states_of(store):
                mine = names.get(family.code)
                if mine and not mine.isdisjoint(members := _names_of(family, key, value)):
                    mine.update(members)
    return names


def counted_without(store: LocalStore, names: Names, rules: Rules) -> Counted:
    """Return the rows and cells that a store's states come to without those that are left out."""
    kept = (state for state in states_of(store) if not _is_named(state, names))
    return counted_from_states(kept, rules)


def count_of(store: LocalStore, names: Names) -> int:
    """Return how many subjects of a store are left out."""
    return sum(_is_named(state, names) for state in states_of(store))


def _is_named(state: State, names: Names) -> bool:
    family, key, value = state
    mine = names.get(family.code, set())
    return bool(mine) and not mine.isdisjoint(_names_of(family, key, value))


def _names_of(family: AnyFamily, key: bytes, value: bytes) -> Sequence[bytes]:
    return family.members(key, family.decode(value)) if isinstance(family, ConnectedFamily) else (key,)
