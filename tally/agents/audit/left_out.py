"""Subjects with a quarantined fact: an audit leaves them out.

Raw events do not say what it should count: the facts that it lacks depend on when our code failed,
or when the state grew too large. Subjects beyond a bound are compared like all others, since size alone
decides a bound. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence

from tally.agents.fold.missing import is_marked
from tally.agents.fold.rows import recount
from tally.schemas.notices import CODE_FAILURE, TOO_LARGE
from tally.schemas.tables import INCOMPLETE
from tally.tables.families.family import ConnectedFamily
from tally.tables.families.registry import FAMILIES, AnyFamily
from tally.tables.rules import Rules
from tally.tables.store.local import LocalStore

Names = dict[bytes, set[bytes]]
"""By family: every key under which a subject that is left out is known."""
State = tuple[AnyFamily, bytes, bytes]


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
            for family, key, value in _states(store):
                mine = names.get(family.code)
                if mine and not mine.isdisjoint(members := _names_of(family, key, value)):
                    mine.update(members)
    return names


def counted_without(store: LocalStore, names: Names, rules: Rules) -> dict[bytes, dict[str, int]]:
    """Return the rows that a store's states come to without those that are left out."""
    kept = (state for state in _states(store) if not _is_named(state, names))
    return {key: row.counts for key, row in recount(kept, rules, next_offset=0).rows.items()}


def count_of(store: LocalStore, names: Names) -> int:
    """Return how many subjects of a store are left out."""
    return sum(_is_named(state, names) for state in _states(store))


def _is_named(state: State, names: Names) -> bool:
    family, key, value = state
    mine = names.get(family.code, set())
    return bool(mine) and not mine.isdisjoint(_names_of(family, key, value))


def _names_of(family: AnyFamily, key: bytes, value: bytes) -> Sequence[bytes]:
    return family.members(key, family.decode(value)) if isinstance(family, ConnectedFamily) else (key,)


def _states(store: LocalStore, families: Iterable[AnyFamily] = FAMILIES) -> Iterator[State]:
    return ((family, key, value) for family in families for key, value in store.items(family.table))
