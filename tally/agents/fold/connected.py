"""Folding subjects whose identity is only learnt later: connected components (architecture 3.10)."""

from collections import defaultdict
from typing import Any

from tally.agents.fold.failure import family_code
from tally.agents.fold.sweeps import Sweeps
from tally.schemas.topics import ALIASES
from tally.tables.contribution import Changes
from tally.tables.families.family import Family
from tally.tables.reading import Reader, Writes
from tally.tables.rules import Rules


def fold_connected(
    family: Family[Any, Any],
    facts: list[tuple[bytes, Any]],
    reader: Reader,
    rules: Rules,
    changes: Changes,
    writes: Writes,
) -> None:
    """Fold facts that may show that several subjects are one.

    Where a fact connects subjects, their states merge under the smallest key, and their contributions give
    way to that of the union, in the same batch.
    """
    sweeps = Sweeps(family, reader, [key for key, _ in facts])
    facts, unheard = sweeps.take(facts, writes)
    with family_code():
        keys = [family.subjects(key, fact) for key, fact in facts]
    named = list(dict.fromkeys(key for several in keys for key in several))
    aliases = reader.get_many(ALIASES, [family.code + key for key in named])
    roots = dict(zip(named, aliases, strict=True))
    groups = [[roots[key] or key for key in several] for several in keys]
    components = _components([*groups, *([key] for key in unheard)])
    known = list({root for root in roots.values() if root is not None} | {*unheard})
    states = dict(zip(known, reader.get_many(family.table, known), strict=True))
    merged: dict[bytes, list[Any]] = defaultdict(list)
    for several, (_, fact) in zip(keys, facts, strict=True):
        merged[components[roots[several[0]] or several[0]]].append(fact)
    olds: dict[bytes, dict[bytes, bytes]] = defaultdict(dict)
    for root, old in states.items():
        if old is not None:
            olds[components[root]][root] = old
    with family_code():
        for component in dict.fromkeys([*merged, *olds]):
            _fold_component(
                family, component, merged[component], olds[component], rules, changes, writes, sweeps
            )


def _fold_component(
    family: Family[Any, Any],
    scope: bytes,
    facts: list[Any],
    olds: dict[bytes, bytes],
    rules: Rules,
    changes: Changes,
    writes: Writes,
    sweeps: Sweeps,
) -> None:
    """Merge one component: all states it had, and its facts."""
    befores = {root: family.decode(old) for root, old in olds.items()}
    after: Any = None
    for before in befores.values():
        after = before if after is None else family.join(after, before)
    if facts:
        after = family.merge(after, facts)
    after = sweeps.applied(scope, after)
    members = family.members(scope, after)
    root = min(members)
    encoded = family.encode(after)
    if olds == {root: encoded}:
        return
    table = writes.setdefault(family.table, {})
    table.update(dict.fromkeys(olds))
    table[root] = encoded
    renamed = _renamed(family, members, root, befores)
    writes.setdefault(ALIASES, {}).update((family.code + member, root) for member in renamed)
    sweeps.index(root, after, befores, writes)
    changes.move(
        [part for key, before in befores.items() for part in family.contribution(key, before, rules)],
        family.contribution(root, after, rules),
    )


def _renamed(family: Family[Any, Any], members: Any, root: bytes, befores: dict[bytes, Any]) -> set[bytes]:
    """Return the members that are not yet known under this root."""
    known = set(family.members(root, befores[root])) if root in befores else set()
    return set(members) - known


def _components(groups: list[list[bytes]]) -> dict[bytes, bytes]:
    """Return for each key a name of its connected component."""
    parent: dict[bytes, bytes] = {}

    def find(key: bytes) -> bytes:
        above = parent.setdefault(key, key)
        while above != key:
            parent[key] = parent[above]
            key = above
            above = parent[key]
        return key

    for first, *others in groups:
        root = find(first)
        for other in others:
            parent[find(other)] = root
            root = find(root)
    return {key: find(key) for key in list(parent)}
